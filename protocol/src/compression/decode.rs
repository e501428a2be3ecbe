//! [`Decompressor`]: compressed bytes to plain ones, piece by piece, within a limit.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{Compression, CompressionError};

/// The largest window of a zstd frame that is decoded, 128 MiB: what every level of the reference library
/// writes and what it reads by default.
pub const MAX_ZSTD_WINDOW: u64 = 1 << 27;

/// Decompresses `input` as a whole.
///
/// # Errors
/// [`CompressionError::Limit`] when the result would be longer than `limit`; the other kinds when the bytes
/// are damaged or the build lacks the codec.
pub fn decompress(codec: Compression, input: Bytes, limit: usize) -> Result<Bytes, CompressionError> {
    if codec == Compression::None {
        return if input.len() > limit { Err(CompressionError::Limit { codec, limit }) } else { Ok(input) };
    }
    let mut source = Decompressor::new(codec, input, limit)?;
    let mut out = Vec::new();
    // The hint is the input's claim: it is believed up to a bound, beyond which the output grows as it is
    // decoded.
    let mut want = source.size_hint().clamp(MIN_PIECE, MAX_FIRST_PIECE);
    while !source.read(&mut out, want)? {
        want = out.len().max(MIN_PIECE);
    }
    Ok(tight(out))
}

/// The source of a batch's plain records: decodes a little more each time it is asked.
pub struct Decompressor {
    codec: Compression,
    decoder: Decoder,
    limit: usize,
    produced: usize,
    ended: bool,
}

impl Decompressor {
    /// A decompressor of `input` that stops with an error once more than `limit` bytes came out.
    ///
    /// # Errors
    /// [`CompressionError::Disabled`] when the build lacks the codec, and the other kinds when the start of the
    /// input already shows that it is damaged.
    pub fn new(codec: Compression, input: Bytes, limit: usize) -> Result<Decompressor, CompressionError> {
        let decoder = match codec {
            Compression::None => Decoder::Plain(input),
            #[cfg(feature = "gzip")]
            Compression::Gzip => Decoder::Gzip(super::gzip::Decoder::new(input)),
            #[cfg(feature = "snappy")]
            Compression::Snappy => Decoder::Snappy(super::snappy::Decoder::new(input)),
            #[cfg(feature = "lz4")]
            Compression::Lz4 => Decoder::Lz4(super::lz4::Decoder::new(input)),
            #[cfg(feature = "zstd")]
            Compression::Zstd => Decoder::Zstd(super::zstd::Decoder::new(input)?),
            #[allow(unreachable_patterns)]
            codec => return Err(CompressionError::Disabled { codec }),
        };
        Ok(Decompressor { codec, decoder, limit, produced: 0, ended: false })
    }

    /// What the input claims it decompresses to, or a guess: good for a first buffer's size once it is
    /// bounded.
    pub fn size_hint(&self) -> usize {
        let hint = match &self.decoder {
            Decoder::Plain(input) => input.len(),
            #[cfg(feature = "gzip")]
            Decoder::Gzip(gzip) => gzip.size_hint(),
            #[cfg(feature = "snappy")]
            Decoder::Snappy(snappy) => snappy.size_hint(),
            #[cfg(feature = "lz4")]
            Decoder::Lz4(lz4) => lz4.size_hint(),
            #[cfg(feature = "zstd")]
            Decoder::Zstd(zstd) => zstd.size_hint(),
        };
        hint.min(self.limit)
    }

    /// Bytes that may still come out before the limit.
    pub fn room(&self) -> usize {
        self.limit - self.produced
    }

    /// What [`Decompressor::read`] says beyond the limit.
    pub(crate) fn limit_error(&self) -> CompressionError {
        CompressionError::Limit { codec: self.codec, limit: self.limit }
    }

    /// Whether everything has been decoded and every checksum was right.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Appends about `want` more bytes to `out` (at most one codec block beyond it) and says whether that was
    /// all. `false` means that at least one byte was appended.
    ///
    /// # Errors
    /// [`CompressionError::Limit`] beyond the limit, [`CompressionError::Corrupt`] or
    /// [`CompressionError::Window`] for bytes that cannot be decoded. What was appended then is of no use, and
    /// further calls fail as well or end.
    pub fn read(&mut self, out: &mut Vec<u8>, want: usize) -> Result<bool, CompressionError> {
        let before = out.len();
        // One byte beyond the limit is enough to learn that there is more.
        let want = want.clamp(1, self.room().saturating_add(1));
        while !self.ended && out.len() == before {
            let piece = Piece { want, room: self.room() };
            let result = match &mut self.decoder {
                Decoder::Plain(input) => read_plain(input, out, piece),
                #[cfg(feature = "gzip")]
                Decoder::Gzip(gzip) => gzip.read(out, piece),
                #[cfg(feature = "snappy")]
                Decoder::Snappy(snappy) => snappy.read(out, piece),
                #[cfg(feature = "lz4")]
                Decoder::Lz4(lz4) => lz4.read(out, piece),
                #[cfg(feature = "zstd")]
                Decoder::Zstd(zstd) => zstd.read(out, piece),
            };
            self.ended = result.map_err(|stop| stop.into_error(self.codec, self.limit))?;
        }
        self.produced += out.len() - before;
        if self.produced > self.limit {
            self.produced = self.limit;
            return Err(self.limit_error());
        }
        Ok(self.ended)
    }
}

impl core::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Decompressor")
            .field("codec", &self.codec)
            .field("limit", &self.limit)
            .field("produced", &self.produced)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// The smallest piece worth decoding at once.
const MIN_PIECE: usize = 4 * 1024;

/// The most that is allocated on the input's word alone.
const MAX_FIRST_PIECE: usize = 1024 * 1024;

/// What one step of a decoder may append.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    /// About so many bytes, at least one.
    pub(super) want: usize,
    /// More than this is beyond the limit.
    pub(super) room: usize,
}

/// Why a decoder stopped.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    /// More would come out than there is room for.
    Limit,
    /// The input is damaged.
    #[cfg_attr(
        not(any(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd")),
        allow(dead_code)
    )]
    Corrupt(&'static str),
    /// A zstd window of this size.
    #[cfg_attr(not(feature = "zstd"), allow(dead_code))]
    Window(u64),
}

impl Stop {
    pub(super) fn into_error(self, codec: Compression, limit: usize) -> CompressionError {
        match self {
            Stop::Limit => CompressionError::Limit { codec, limit },
            Stop::Corrupt(reason) => CompressionError::Corrupt { codec, reason },
            Stop::Window(window) => CompressionError::Window { window, limit: MAX_ZSTD_WINDOW },
        }
    }
}

enum Decoder {
    Plain(Bytes),
    #[cfg(feature = "gzip")]
    Gzip(super::gzip::Decoder),
    #[cfg(feature = "snappy")]
    Snappy(super::snappy::Decoder),
    #[cfg(feature = "lz4")]
    Lz4(super::lz4::Decoder),
    #[cfg(feature = "zstd")]
    Zstd(super::zstd::Decoder),
}

fn read_plain(input: &mut Bytes, out: &mut Vec<u8>, piece: Piece) -> Result<bool, Stop> {
    if input.len() > piece.room {
        return Err(Stop::Limit);
    }
    out.extend_from_slice(&input.split_to(piece.want.min(input.len())));
    Ok(input.is_empty())
}

/// Gives memory back that the bytes would otherwise hold for as long as a slice of them lives.
pub(crate) fn tight(mut bytes: Vec<u8>) -> Bytes {
    if bytes.capacity() - bytes.len() > bytes.len() / 4 + 64 {
        bytes.shrink_to_fit();
    }
    Bytes::from(bytes)
}
