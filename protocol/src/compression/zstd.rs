//! Zstandard: one frame that states its size is written, one or more of any kind are read.
//!
//! Frames that cannot hold much are decoded straight into the output. Larger ones stream through a window, so
//! that the output can be taken piece by piece.

use alloc::boxed::Box;
use alloc::vec::Vec;

use std::io::{Cursor, Read};

use bytes::Bytes;
use structured_zstd::decoding::errors::FrameDecoderError;
use structured_zstd::decoding::{
    ContentChecksum, FrameDecoder, StreamingDecoder, find_frame_compressed_size, frame_decompressed_bound,
};
use structured_zstd::encoding::{CompressionLevel, compress_slice_to_vec};

use super::decode::{MAX_ZSTD_WINDOW, Piece, Stop};
use super::{Compression, CompressionError};

/// Frames whose blocks cannot hold more than this in all are decoded at once.
const DIRECT: u64 = 4 * 1024 * 1024;

pub(super) struct Encoder {
    level: i32,
}

impl Encoder {
    pub(super) fn new(level: i32) -> Encoder {
        Encoder { level }
    }

    pub(super) fn compress(&self, input: &[u8], out: &mut Vec<u8>) {
        // Not the library's reusable compressor: as a generic type it is compiled anew by each crate that names it, which
        // took longer than all else here together, and reusing it saved a batch of 16 KiB no more than 5 %.
        out.extend_from_slice(&compress_slice_to_vec(input, CompressionLevel::from_level(self.level)));
    }
}

pub(super) struct Decoder {
    mode: Mode,
}

enum Mode {
    /// Everything at once.
    Direct { input: Bytes, bound: usize },
    /// Through a window.
    Stream(Box<StreamingDecoder<Cursor<Bytes>, FrameDecoder>>),
}

impl Decoder {
    pub(super) fn new(input: Bytes) -> Result<Decoder, CompressionError> {
        let bound = output_bound(&input).map_err(|stop| stop.into_error(Compression::Zstd, 0))?;
        let mode = if bound <= DIRECT {
            Mode::Direct { input, bound: bound as usize }
        } else {
            Mode::Stream(Box::new(StreamingDecoder::new_with_decoder(Cursor::new(input), frame_decoder())))
        };
        Ok(Decoder { mode })
    }

    pub(super) fn size_hint(&self) -> usize {
        match &self.mode {
            Mode::Direct { bound, .. } => *bound,
            Mode::Stream(_) => usize::MAX,
        }
    }

    pub(super) fn read(&mut self, out: &mut Vec<u8>, piece: Piece) -> Result<bool, Stop> {
        let start = out.len();
        match &mut self.mode {
            Mode::Direct { input, bound } => {
                if input.is_empty() {
                    return Err(Stop::Corrupt("no zstd frame"));
                }
                let len = (*bound).min(piece.room);
                out.resize(start + len, 0);
                let result = frame_decoder().decode_all(input, &mut out[start..]);
                let len = result.map_err(|error| match stop(&error) {
                    Stop::Limit if len == *bound => Stop::Corrupt("a zstd frame holds more than it declares"),
                    stop => stop,
                })?;
                out.truncate(start + len);
                Ok(true)
            }
            Mode::Stream(stream) => {
                out.resize(start + piece.want, 0);
                let mut at = start;
                while at < out.len() {
                    match stream.read(&mut out[at..]) {
                        Ok(0) => {
                            out.truncate(at);
                            return Ok(true);
                        }
                        Ok(len) => at += len,
                        Err(error) => {
                            let source = error.get_ref().and_then(|inner| inner.downcast_ref());
                            return Err(source.map_or(Stop::Corrupt(INVALID), stop));
                        }
                    }
                }
                Ok(false)
            }
        }
    }
}

const INVALID: &str = "invalid zstd frame";

/// The most that all frames together can decompress to, from their headers and their blocks' headers.
fn output_bound(mut input: &[u8]) -> Result<u64, Stop> {
    let mut bound = 0u64;
    while !input.is_empty() {
        let frame = frame_decompressed_bound(input).map_err(|_| Stop::Corrupt(INVALID))?;
        let len = find_frame_compressed_size(input).map_err(|_| Stop::Corrupt(INVALID))?;
        bound = bound.saturating_add(frame);
        input = &input[len..];
    }
    Ok(bound)
}

fn frame_decoder() -> FrameDecoder {
    let mut decoder = FrameDecoder::new();
    decoder.set_content_checksum(ContentChecksum::Verify);
    // The constant is within what the decoder allows, so that there is nothing to report.
    let _ = decoder.set_max_window_size(MAX_ZSTD_WINDOW);
    decoder
}

fn stop(error: &FrameDecoderError) -> Stop {
    match error {
        FrameDecoderError::WindowSizeTooBig { requested, .. } => Stop::Window(*requested),
        FrameDecoderError::TargetTooSmall => Stop::Limit,
        FrameDecoderError::ChecksumMismatch { .. } => Stop::Corrupt("wrong checksum of a zstd frame"),
        _ => Stop::Corrupt(INVALID),
    }
}
