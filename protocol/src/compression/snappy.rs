//! Snappy, in the framing of xerial's Java library: a header, then chunks of a big-endian length and a raw
//! Snappy block each. Raw blocks without that framing are read too, as other clients have written them.

use alloc::vec::Vec;

use bytes::Bytes;

use super::decode::{Piece, Stop};
use super::{Compression, CompressionError};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];

/// The magic, the framing's version and the lowest version that can read it, both 1.
const HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];

/// Plain bytes in a chunk, as the Java library writes them.
const CHUNK: usize = 32 * 1024;

pub(super) struct Encoder {
    state: snap::raw::Encoder,
}

impl Encoder {
    pub(super) fn new() -> Encoder {
        Encoder { state: snap::raw::Encoder::new() }
    }

    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        out.extend_from_slice(&HEADER);
        for chunk in input.chunks(CHUNK) {
            let length_at = out.len();
            let start = length_at + 4;
            out.resize(start + snap::raw::max_compress_len(chunk.len()), 0);
            let len = self
                .state
                .compress(chunk, &mut out[start..])
                .map_err(|_| CompressionError::Input { codec: Compression::Snappy, len: input.len() })?;
            out[length_at..start].copy_from_slice(&(len as u32).to_be_bytes());
            out.truncate(start + len);
        }
        Ok(())
    }
}

pub(super) struct Decoder {
    input: Bytes,
    at: usize,
    framed: bool,
}

impl Decoder {
    pub(super) fn new(input: Bytes) -> Decoder {
        let framed = input.len() >= HEADER.len() && input.starts_with(&MAGIC);
        Decoder { at: if framed { HEADER.len() } else { 0 }, input, framed }
    }

    /// What the chunks claim in all.
    pub(super) fn size_hint(&self) -> usize {
        let mut total = 0usize;
        let mut at = self.at;
        while let Ok(Some((block, next))) = self.block(at) {
            total = total.saturating_add(plain_len(block).unwrap_or(0));
            at = next;
        }
        total
    }

    pub(super) fn read(&mut self, out: &mut Vec<u8>, piece: Piece) -> Result<bool, Stop> {
        if self.input.is_empty() {
            return Err(Stop::Corrupt("no data"));
        }
        let before = out.len();
        while out.len() - before < piece.want {
            let Some((block, next)) = self.block(self.at)? else { return Ok(true) };
            let len = plain_len(block)?;
            if len > piece.room - (out.len() - before) {
                return Err(Stop::Limit);
            }
            let start = out.len();
            out.resize(start + len, 0);
            snap::raw::Decoder::new()
                .decompress(block, &mut out[start..])
                .map_err(|_| Stop::Corrupt("invalid snappy block"))?;
            self.at = next;
        }
        Ok(false)
    }

    /// The raw block at `at` and where the next one starts.
    fn block(&self, mut at: usize) -> Result<Option<(&[u8], usize)>, Stop> {
        if !self.framed {
            let block = &self.input[at..];
            return Ok((!block.is_empty()).then_some((block, self.input.len())));
        }
        // Streams that were written one after the other keep their headers.
        while self.input[at..].starts_with(&MAGIC) && self.input.len() - at >= HEADER.len() {
            at += HEADER.len();
        }
        let rest = &self.input[at..];
        if rest.is_empty() {
            return Ok(None);
        }
        let (length, rest) = rest.split_first_chunk().ok_or(Stop::Corrupt("a chunk's length is cut off"))?;
        let length = i32::from_be_bytes(*length);
        let length = usize::try_from(length).map_err(|_| Stop::Corrupt("a chunk has a negative length"))?;
        let block = rest.get(..length).ok_or(Stop::Corrupt("a chunk is longer than the data"))?;
        Ok(Some((block, at + 4 + length)))
    }
}

/// What a raw block claims to hold, if it possibly can: the densest element is a copy of 64 bytes in three.
fn plain_len(block: &[u8]) -> Result<usize, Stop> {
    if block.is_empty() {
        return Err(Stop::Corrupt("an empty chunk"));
    }
    let len =
        snap::raw::decompress_len(block).map_err(|_| Stop::Corrupt("invalid length of a snappy block"))?;
    if len > block.len().saturating_mul(22) {
        return Err(Stop::Corrupt("a block claims more than it can hold"));
    }
    Ok(len)
}
