//! The target `headers_frames`: what a socket gives, cut anywhere, and the headers of what comes out.

use bytes::{BufMut, Bytes};
use ottla_protocol::header::{RequestHeader, ResponseHeader};
use ottla_protocol::wire::{Reader, Writer};

use crate::memory;
use crate::source::Source;

// The client's own, which is private to it: compiled once more, so that it is what runs in the client that is tested here.
#[allow(dead_code, reason = "the client uses more of it")]
#[path = "../../../client/src/net/frame.rs"]
mod frame;
#[allow(dead_code, reason = "the client uses more of it")]
#[path = "../../../client/src/net/spares.rs"]
mod spares;

use frame::FrameReader;

/// The longest frame of the target's connections. More than the client's step for large frames, so that a lie is possible.
const MAX_FRAME: usize = 64 << 20;

/// Takes the input for the sizes of reads, and the bytes of a connection that is read in such pieces.
///
/// Frames come out as their lengths say, whatever the cuts; a length that no frame can have is an error, and nothing comes
/// after it; memory follows what arrived, not what was announced. Headers of all versions come back from their bytes.
pub fn headers_frames(data: &[u8]) {
    let mut source = Source::new(data);
    let cuts = source.below(16);
    let cuts: Vec<usize> = source.slice(cuts).iter().map(|size| usize::from(*size) + 1).collect();
    let stream = source.rest();
    let (frames, refused) = split(stream);
    // Twice the stream for growth, the client's buffer for small frames and its first step for a large one, and bookkeeping.
    let bound = 32 * stream.len() + (2 << 20);
    let (read, failed) = memory::within(bound, "a connection", || read(stream, &cuts));
    assert_eq!(read, frames);
    assert_eq!(failed, refused);
    for frame in frames {
        headers(&Bytes::copy_from_slice(frame));
    }
}

/// The frames of a stream, and whether a length that no frame can have comes after them.
fn split(mut stream: &[u8]) -> (Vec<&[u8]>, bool) {
    let mut frames = Vec::new();
    while let Some((length, rest)) = stream.split_first_chunk::<4>() {
        let length = i32::from_be_bytes(*length);
        if length < 4 || length as usize > MAX_FRAME {
            return (frames, true);
        }
        let Some((frame, rest)) = rest.split_at_checked(length as usize) else { break };
        frames.push(frame);
        stream = rest;
    }
    (frames, false)
}

/// The same by the client's reader, fed in pieces of these sizes, again and again; all at once without sizes.
fn read(mut stream: &[u8], cuts: &[usize]) -> (Vec<Bytes>, bool) {
    let mut reader = FrameReader::new(MAX_FRAME);
    let mut frames = Vec::new();
    let mut cuts = cuts.iter().copied().cycle();
    while !stream.is_empty() {
        let mut buffer = reader.buffer();
        let room = buffer.chunk_mut().len();
        assert!(room > 0, "nowhere to read to");
        let (piece, rest) = stream.split_at(cuts.next().unwrap_or(usize::MAX).min(stream.len()).min(room));
        buffer.put_slice(piece);
        stream = rest;
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    assert!(error.to_string().contains("was announced"), "{error}");
                    assert!(reader.next_frame().is_err(), "a refused length is taken the second time");
                    return (frames, true);
                }
            }
        }
    }
    (frames, false)
}

fn headers(frame: &Bytes) {
    for version in [1, 2] {
        let mut reader = Reader::new(frame, version, false);
        match RequestHeader::read(&mut reader, version) {
            Ok(header) => request_header_comes_back(&header, version, reader.offset()),
            Err(error) => assert!(error.offset <= frame.len(), "{error}"),
        }
    }
    for version in [0, 1] {
        let mut reader = Reader::new(frame, version, false);
        match ResponseHeader::read(&mut reader, version) {
            Ok(header) => response_header_comes_back(&header, version, reader.offset()),
            Err(error) => assert!(error.offset <= frame.len(), "{error}"),
        }
    }
}

/// A header read from `read` bytes comes back from its own.
pub(crate) fn request_header_comes_back(header: &RequestHeader, version: i16, read: usize) {
    let mut writer = Writer::new(version, false);
    header.write(&mut writer, version).expect("what was read can be written");
    let bytes = writer.finish().expect("a header is short").to_bytes();
    as_long(bytes.len(), read, version >= 2);
    let mut reader = Reader::new(&bytes, version, false);
    assert_eq!(RequestHeader::read(&mut reader, version).as_ref(), Ok(header));
    assert_eq!(reader.finish(), Ok(()));
}

/// A header read from `read` bytes comes back from its own.
pub(crate) fn response_header_comes_back(header: &ResponseHeader, version: i16, read: usize) {
    let mut writer = Writer::new(version, false);
    header.write(&mut writer, version).expect("what was read can be written");
    let bytes = writer.finish().expect("a header is short").to_bytes();
    as_long(bytes.len(), read, version >= 1);
    let mut reader = Reader::new(&bytes, version, false);
    assert_eq!(ResponseHeader::read(&mut reader, version).as_ref(), Ok(header));
    assert_eq!(reader.finish(), Ok(()));
}

/// A flexible header may have been written with more bytes than it needs.
fn as_long(written: usize, read: usize, flexible: bool) {
    assert!(if flexible { written <= read } else { written == read }, "{read} bytes become {written}");
}
