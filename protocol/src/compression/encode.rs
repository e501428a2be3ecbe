//! [`Compressor`]: one codec at one level, with its tables and its output buffer kept from batch to batch.

use alloc::vec::Vec;

use super::{Compression, CompressionError, CompressionLevel};

/// Compresses batches, one after the other.
///
/// Making one costs the codec's tables, so keep it; it works off any lock and on any thread (zstd keeps its
/// tables, megabytes, per thread).
pub struct Compressor {
    level: CompressionLevel,
    encoder: Encoder,
    output: Vec<u8>,
}

impl Compressor {
    /// A compressor of this codec and level; a plain [`Compression`] stands for its default level.
    ///
    /// # Errors
    /// [`CompressionError::Disabled`] when the build lacks the codec.
    pub fn new(level: impl Into<CompressionLevel>) -> Result<Compressor, CompressionError> {
        let level = level.into();
        let encoder = match level.codec() {
            Compression::None => Encoder::None,
            #[cfg(feature = "gzip")]
            Compression::Gzip => Encoder::Gzip(super::gzip::Encoder::new(level.level())),
            #[cfg(feature = "snappy")]
            Compression::Snappy => Encoder::Snappy(alloc::boxed::Box::new(super::snappy::Encoder::new())),
            #[cfg(feature = "lz4")]
            Compression::Lz4 => Encoder::Lz4(super::lz4::Encoder::new()),
            #[cfg(feature = "zstd")]
            Compression::Zstd => Encoder::Zstd(super::zstd::Encoder::new(level.level())),
            #[allow(unreachable_patterns)]
            codec => return Err(CompressionError::Disabled { codec }),
        };
        Ok(Compressor { level, encoder, output: Vec::new() })
    }

    /// A compressor that leaves bytes as they are.
    pub fn none() -> Compressor {
        Compressor { level: CompressionLevel::default(), encoder: Encoder::None, output: Vec::new() }
    }

    /// The codec.
    pub fn codec(&self) -> Compression {
        self.level.codec()
    }

    /// The codec and its level.
    pub fn level(&self) -> CompressionLevel {
        self.level
    }

    /// Compresses `input` as a whole; `None` when the codec is [`Compression::None`] and the bytes stay as
    /// they are.
    ///
    /// # Errors
    /// [`CompressionError::Input`] when the codec cannot take so much at once (snappy and lz4: 4 GiB).
    #[cfg_attr(
        not(any(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd")),
        allow(unused_variables, unreachable_code)
    )]
    pub fn compress(&mut self, input: &[u8]) -> Result<Option<&[u8]>, CompressionError> {
        self.output.clear();
        match &mut self.encoder {
            Encoder::None => return Ok(None),
            #[cfg(feature = "gzip")]
            Encoder::Gzip(gzip) => gzip.compress(input, &mut self.output)?,
            #[cfg(feature = "snappy")]
            Encoder::Snappy(snappy) => snappy.compress(input, &mut self.output)?,
            #[cfg(feature = "lz4")]
            Encoder::Lz4(lz4) => lz4.compress(input, &mut self.output)?,
            #[cfg(feature = "zstd")]
            Encoder::Zstd(zstd) => zstd.compress(input, &mut self.output),
        }
        Ok(Some(&self.output))
    }
}

impl core::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Compressor").field("level", &self.level).finish_non_exhaustive()
    }
}

enum Encoder {
    None,
    #[cfg(feature = "gzip")]
    Gzip(super::gzip::Encoder),
    #[cfg(feature = "snappy")]
    Snappy(alloc::boxed::Box<super::snappy::Encoder>),
    #[cfg(feature = "lz4")]
    Lz4(super::lz4::Encoder),
    #[cfg(feature = "zstd")]
    Zstd(super::zstd::Encoder),
}
