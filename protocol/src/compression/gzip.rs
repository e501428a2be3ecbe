//! gzip: one member is written, one or more are read (RFC 1952 §2.2).

use alloc::vec::Vec;

use bytes::Bytes;
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use super::decode::{Piece, Stop};
use super::{Compression, CompressionError};

/// The largest window, as zlib counts it; every gzip encoder stays within it.
const WINDOW_BITS: u8 = 15;

/// Deflate cannot do better than this, so a trailer that says more lies.
const MAX_RATIO: usize = 1032;

pub(super) struct Encoder {
    state: Compress,
}

impl Encoder {
    pub(super) fn new(level: i32) -> Encoder {
        Encoder { state: Compress::new_gzip(flate2::Compression::new(level.clamp(1, 9) as u32), WINDOW_BITS) }
    }

    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        self.state.reset();
        out.reserve(input.len() / 2 + 64);
        loop {
            let taken = self.state.total_in() as usize;
            match self.state.compress_vec(&input[taken..], out, FlushCompress::Finish) {
                Ok(Status::StreamEnd) => return Ok(()),
                Ok(Status::Ok | Status::BufError) => out.reserve(out.len().max(4096)),
                Err(_) => return Err(CompressionError::Input { codec: Compression::Gzip, len: input.len() }),
            }
        }
    }
}

pub(super) struct Decoder {
    input: Bytes,
    at: usize,
    state: Decompress,
}

impl Decoder {
    pub(super) fn new(input: Bytes) -> Decoder {
        Decoder { input, at: 0, state: Decompress::new_gzip(WINDOW_BITS) }
    }

    /// The size that the last member's trailer states.
    pub(super) fn size_hint(&self) -> usize {
        let stated = self.input.last_chunk().map_or(0, |trailer| u32::from_le_bytes(*trailer) as usize);
        stated.min(self.input.len().saturating_mul(MAX_RATIO))
    }

    pub(super) fn read(&mut self, out: &mut Vec<u8>, piece: Piece) -> Result<bool, Stop> {
        let before = out.len();
        out.reserve_exact(piece.want);
        loop {
            let (taken, made) = (self.state.total_in(), self.state.total_out());
            let status = self
                .state
                .decompress_vec(&self.input[self.at..], out, FlushDecompress::None)
                .map_err(|_| Stop::Corrupt("invalid gzip header, deflate data or checksum"))?;
            let taken = (self.state.total_in() - taken) as usize;
            let made = self.state.total_out() - made;
            self.at += taken;
            match status {
                Status::StreamEnd => match &self.input[self.at..] {
                    [] => return Ok(true),
                    // Another member: its output follows that of the one before.
                    [0x1f, 0x8b, ..] => {
                        self.state = Decompress::new_gzip(WINDOW_BITS);
                        if out.len() > before {
                            return Ok(false);
                        }
                    }
                    _ => return Err(Stop::Corrupt("bytes after the last gzip member")),
                },
                Status::Ok | Status::BufError if made > 0 => return Ok(false),
                Status::Ok | Status::BufError if taken == 0 || self.at == self.input.len() => {
                    return Err(Stop::Corrupt("the gzip stream ends too early"));
                }
                Status::Ok | Status::BufError => {}
            }
        }
    }
}
