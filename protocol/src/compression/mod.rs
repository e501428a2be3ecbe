//! The codecs of record batches: gzip, snappy, lz4 and zstd, each in Rust and each behind a feature of its
//! name.
//!
//! [`Compressor`] compresses batch after batch with its state kept; [`Decompressor`] decodes piece by piece
//! within a limit, so that a few hostile kilobytes that stand for gigabytes cost a bounded amount of memory:
//! it never allocates more than what it has really decoded, one piece ahead, and the codec's own state (gzip
//! 48 KiB; snappy nothing; lz4 one block of at most 4 MiB; zstd 4 MiB for small frames, or else the frame's
//! window of at most [`MAX_ZSTD_WINDOW`]).
//!
//! What is written is what Kafka's Java client writes: gzip of one member, snappy in xerial's framing with
//! chunks of 32 KiB, lz4 frames of independent 64 KiB blocks, zstd of one frame with its size. What is read
//! goes beyond: gzip of several members, snappy raw or framed, lz4 with sizes and checksums, several lz4 or
//! zstd frames one after the other.
//!
//! Sources: KIP-57 (lz4 framing), KIP-110 (zstd), KIP-390 (levels).

use core::fmt;
use core::ops::RangeInclusive;
use core::str::FromStr;

mod decode;
mod encode;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

pub(crate) use decode::tight;
pub use decode::{Decompressor, MAX_ZSTD_WINDOW, decompress};
pub use encode::Compressor;

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Snappy, in the framing of xerial's Java library.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard, for brokers from 2.1 on.
    Zstd,
}

impl Compression {
    /// Every codec that Kafka knows, in the order of their ids.
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// The codec with this id in a batch's attributes, if Kafka knows one.
    pub const fn from_id(id: u8) -> Option<Compression> {
        match id {
            0 => Some(Compression::None),
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Snappy),
            3 => Some(Compression::Lz4),
            4 => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// The codec's id in a batch's attributes.
    pub const fn id(self) -> u8 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        }
    }

    /// The codec's name in Kafka's configuration, which is also the name of the feature that builds it.
    pub const fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// Whether this build contains the codec.
    pub const fn is_available(self) -> bool {
        match self {
            Compression::None => true,
            Compression::Gzip => cfg!(feature = "gzip"),
            Compression::Snappy => cfg!(feature = "snappy"),
            Compression::Lz4 => cfg!(feature = "lz4"),
            Compression::Zstd => cfg!(feature = "zstd"),
        }
    }

    /// The levels that Kafka's configuration allows, or `None` for a codec without levels.
    ///
    /// gzip also takes -1 for its default. All lz4 levels give the same output: the codec has one speed.
    pub const fn levels(self) -> Option<RangeInclusive<i32>> {
        match self {
            Compression::Gzip => Some(1..=9),
            Compression::Lz4 => Some(1..=17),
            Compression::Zstd => Some(-131_072..=22),
            Compression::None | Compression::Snappy => None,
        }
    }

    /// This codec at its default level: gzip 6, lz4 9, zstd 3.
    pub const fn default_level(self) -> CompressionLevel {
        let level = match self {
            Compression::Gzip => 6,
            Compression::Lz4 => 9,
            Compression::Zstd => 3,
            Compression::None | Compression::Snappy => 0,
        };
        CompressionLevel { codec: self, level }
    }

    /// This codec at `level`.
    ///
    /// # Errors
    /// [`CompressionError::Level`] when the codec has no levels or not this one.
    pub fn level(self, level: i32) -> Result<CompressionLevel, CompressionError> {
        match self.levels() {
            Some(_) if self == Compression::Gzip && level == -1 => Ok(self.default_level()),
            Some(range) if range.contains(&level) => Ok(CompressionLevel { codec: self, level }),
            _ => Err(CompressionError::Level { codec: self, level }),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = UnknownCompression;

    fn from_str(name: &str) -> Result<Self, UnknownCompression> {
        Compression::ALL.into_iter().find(|codec| codec.name() == name).ok_or(UnknownCompression)
    }
}

/// A name that is none of Kafka's codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown compression type: expected none, gzip, snappy, lz4 or zstd")]
pub struct UnknownCompression;

/// A codec with a level that it knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CompressionLevel {
    codec: Compression,
    level: i32,
}

impl CompressionLevel {
    /// The codec.
    pub const fn codec(self) -> Compression {
        self.codec
    }

    /// Its level; 0 for a codec without levels.
    pub const fn level(self) -> i32 {
        self.level
    }
}

impl From<Compression> for CompressionLevel {
    fn from(codec: Compression) -> Self {
        codec.default_level()
    }
}

/// Why bytes could not be compressed or decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// The codec is not part of this build.
    #[error("{codec} is not in this build: enable the feature `{codec}` of ottla-protocol")]
    Disabled {
        /// The codec, whose name is also the feature's.
        codec: Compression,
    },
    /// The codec has no such level.
    #[error("{codec} has no level {level}{}", Levels(*.codec))]
    Level {
        /// The codec.
        codec: Compression,
        /// The level that was asked for.
        level: i32,
    },
    /// The compressed bytes are damaged or incomplete.
    #[error("corrupt {codec} data: {reason}")]
    Corrupt {
        /// The codec.
        codec: Compression,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The bytes decompress to more than was allowed.
    #[error("{codec} data decompresses to more than the limit of {limit} bytes")]
    Limit {
        /// The codec.
        codec: Compression,
        /// The most bytes that were allowed.
        limit: usize,
    },
    /// A zstd frame asks for a larger window than is allowed.
    #[error("a zstd frame asks for a window of {window} bytes: at most {limit} are allowed")]
    Window {
        /// The window that the frame declares.
        window: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// There is too much input for the codec.
    #[error("{codec} cannot compress {len} bytes at once")]
    Input {
        /// The codec.
        codec: Compression,
        /// The length of the input.
        len: usize,
    },
}

/// Says which levels a codec has.
struct Levels(Compression);

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.levels() {
            Some(range) => write!(f, ": use {} to {}", range.start(), range.end()),
            None => f.write_str(": it has no levels"),
        }
    }
}

#[cfg(test)]
mod tests;
