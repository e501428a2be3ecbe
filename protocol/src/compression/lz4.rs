//! LZ4 frames. Blocks are independent of each other, both in what is written and in what is read: Kafka's own
//! reader refuses linked blocks, so that no broker has ever stored any.

use alloc::vec::Vec;

use bytes::Bytes;
use core::hash::Hasher;
use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};
use twox_hash::XxHash32;

use super::decode::{Piece, Stop};
use super::{Compression, CompressionError};

const MAGIC: [u8; 4] = 0x184d_2204u32.to_le_bytes();

const VERSION: u8 = 0b0100_0000;
const VERSION_MASK: u8 = 0b1100_0000;
const INDEPENDENT: u8 = 0b0010_0000;
const BLOCK_CHECKSUMS: u8 = 0b0001_0000;
const CONTENT_SIZE: u8 = 0b0000_1000;
const CONTENT_CHECKSUM: u8 = 0b0000_0100;
const FLAGS_RESERVED: u8 = 0b0000_0011;

/// Set in a block's length when its bytes are stored as they are.
const STORED: u32 = 1 << 31;

/// Plain bytes in a block, and the code for it in the frame's descriptor.
const BLOCK: usize = 64 * 1024;
const BLOCK_CODE: u8 = 4 << 4;

pub(super) struct Encoder {
    table: CompressTable,
}

impl Encoder {
    pub(super) fn new() -> Encoder {
        Encoder { table: CompressTable::default() }
    }

    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        let descriptor = [VERSION | INDEPENDENT, BLOCK_CODE];
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&descriptor);
        out.push(descriptor_checksum(&descriptor));
        for block in input.chunks(BLOCK) {
            let length_at = out.len();
            let start = length_at + 4;
            out.resize(start + get_maximum_output_size(block.len()), 0);
            let len = compress_into_with_table(block, &mut out[start..], &mut self.table)
                .map_err(|_| CompressionError::Input { codec: Compression::Lz4, len: input.len() })?;
            let length = if len < block.len() {
                out.truncate(start + len);
                len as u32
            } else {
                out.truncate(start);
                out.extend_from_slice(block);
                block.len() as u32 | STORED
            };
            out[length_at..start].copy_from_slice(&length.to_le_bytes());
        }
        out.extend_from_slice(&[0; 4]);
        Ok(())
    }
}

pub(super) struct Decoder {
    input: Bytes,
    at: usize,
    frame: Option<Frame>,
}

/// The frame that is being decoded.
struct Frame {
    block_size: usize,
    block_checksums: bool,
    content_size: Option<u64>,
    content_hash: Option<XxHash32>,
    produced: u64,
}

impl Decoder {
    pub(super) fn new(input: Bytes) -> Decoder {
        Decoder { input, at: 0, frame: None }
    }

    /// The blocks' sizes as their lengths suggest them: all but the last are full.
    pub(super) fn size_hint(&self) -> usize {
        let mut at = 0;
        let Ok(frame) = read_frame(&self.input, &mut at) else { return 0 };
        if let Some(size) = frame.content_size {
            return usize::try_from(size)
                .unwrap_or(usize::MAX)
                .min(self.input.len().saturating_mul(MAX_RATIO));
        }
        let mut blocks = 0usize;
        let mut last = 0;
        while let Ok((length, _)) = read_length(&self.input, &mut at) {
            if length == 0 || length > self.input.len() - at {
                break;
            }
            blocks += 1;
            last = length;
            at += length + if frame.block_checksums { 4 } else { 0 };
        }
        match blocks {
            0 => 0,
            // A first guess for a small batch: text and JSON shrink about so much.
            1 => last.saturating_mul(4).min(frame.block_size),
            _ => blocks.saturating_mul(frame.block_size),
        }
    }

    pub(super) fn read(&mut self, out: &mut Vec<u8>, piece: Piece) -> Result<bool, Stop> {
        let before = out.len();
        while out.len() - before < piece.want {
            let Some(frame) = &mut self.frame else {
                self.frame = Some(read_frame(&self.input, &mut self.at)?);
                continue;
            };
            let room = piece.room - (out.len() - before);
            if !frame.read_block(&self.input, &mut self.at, out, room)? {
                self.frame = None;
                if self.at == self.input.len() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl Frame {
    /// Appends the next block's bytes; `false` at the end of the frame.
    fn read_block(
        &mut self,
        input: &Bytes,
        at: &mut usize,
        out: &mut Vec<u8>,
        room: usize,
    ) -> Result<bool, Stop> {
        let (length, stored) = read_length(input, at)?;
        if length == 0 && !stored {
            return self.finish(input, at).map(|()| false);
        }
        if length > self.block_size {
            return Err(Stop::Corrupt("a block is longer than the frame allows"));
        }
        let block = take(input, at, length)?;
        if self.block_checksums && read_u32(input, at)? != XxHash32::oneshot(0, block) {
            return Err(Stop::Corrupt("wrong checksum of a block"));
        }
        let start = out.len();
        if stored {
            if block.len() > room {
                return Err(Stop::Limit);
            }
            out.extend_from_slice(block);
        } else {
            let possible = block.len().saturating_mul(MAX_RATIO).min(self.block_size);
            out.resize(start + possible.min(room), 0);
            let len = decompress_into(block, &mut out[start..]).map_err(|_| {
                if room < possible { Stop::Limit } else { Stop::Corrupt("invalid lz4 block") }
            })?;
            out.truncate(start + len);
        }
        self.produced += (out.len() - start) as u64;
        if let Some(hash) = &mut self.content_hash {
            hash.write(&out[start..]);
        }
        Ok(true)
    }

    fn finish(&self, input: &Bytes, at: &mut usize) -> Result<(), Stop> {
        if self.content_size.is_some_and(|size| size != self.produced) {
            return Err(Stop::Corrupt("the content is not as long as the frame says"));
        }
        if let Some(hash) = &self.content_hash
            && read_u32(input, at)? != hash.finish_32()
        {
            return Err(Stop::Corrupt("wrong checksum of the content"));
        }
        Ok(())
    }
}

/// A match of any length costs a byte for every 255 bytes of it.
const MAX_RATIO: usize = 255;

fn read_frame(input: &Bytes, at: &mut usize) -> Result<Frame, Stop> {
    if take(input, at, 4)? != MAGIC {
        return Err(Stop::Corrupt("this is no lz4 frame"));
    }
    let start = *at;
    let flags = take(input, at, 1)?[0];
    let block_descriptor = take(input, at, 1)?[0];
    if flags & VERSION_MASK != VERSION || flags & FLAGS_RESERVED != 0 || block_descriptor & 0x8f != 0 {
        return Err(Stop::Corrupt("an lz4 frame of unknown version, with a dictionary or reserved bits"));
    }
    if flags & INDEPENDENT == 0 {
        return Err(Stop::Corrupt("linked lz4 blocks, which Kafka does not allow"));
    }
    let block_size = match block_descriptor >> 4 {
        code @ 4..=7 => 1 << (8 + 2 * code),
        _ => return Err(Stop::Corrupt("an lz4 frame of unknown block size")),
    };
    let content_size = if flags & CONTENT_SIZE == 0 {
        None
    } else {
        let low = read_u32(input, at)?;
        Some(u64::from(low) | u64::from(read_u32(input, at)?) << 32)
    };
    let checksum = descriptor_checksum(&input[start..*at]);
    if take(input, at, 1)?[0] != checksum {
        return Err(Stop::Corrupt("wrong checksum of the lz4 frame's header"));
    }
    Ok(Frame {
        block_size,
        block_checksums: flags & BLOCK_CHECKSUMS != 0,
        content_size,
        content_hash: (flags & CONTENT_CHECKSUM != 0).then(|| XxHash32::with_seed(0)),
        produced: 0,
    })
}

/// A block's length, and whether its bytes are stored as they are.
fn read_length(input: &Bytes, at: &mut usize) -> Result<(usize, bool), Stop> {
    let length = read_u32(input, at)?;
    Ok(((length & !STORED) as usize, length & STORED != 0))
}

fn read_u32(input: &Bytes, at: &mut usize) -> Result<u32, Stop> {
    let bytes = take(input, at, 4)?;
    Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn take<'a>(input: &'a Bytes, at: &mut usize, len: usize) -> Result<&'a [u8], Stop> {
    let end = at.saturating_add(len);
    let bytes = input.get(*at..end).ok_or(Stop::Corrupt("the lz4 frame ends too early"))?;
    *at = end;
    Ok(bytes)
}

fn descriptor_checksum(descriptor: &[u8]) -> u8 {
    (XxHash32::oneshot(0, descriptor) >> 8) as u8
}
