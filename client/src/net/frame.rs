//! Cuts what comes from a socket into frames. A pure machine.
//!
//! Guarantees: a frame comes out as one `Bytes` that shares the buffer it was read into; a frame's announced length
//! reserves at most as much again as has already arrived (and little more than a mebibyte to start with), unless it takes a
//! buffer that is there anyway; a length beyond the limit is refused before anything is reserved.

use std::fmt;

use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::spares::{self, Spares};

/// What is read at once while frames are small.
const CHUNK: usize = 64 << 10;
/// What is read at once where a large frame is likely to come.
const GLANCE: usize = 4 << 10;
/// Frames from this length on get a buffer of their own, so that keeping one keeps nothing else alive.
const LARGE_FROM: usize = 16 << 10;
/// What a large frame's buffer starts with, at most. More than a fetch of one partition's worth, which is a mebibyte and its
/// head: growing for the last few bytes would copy all others.
const FIRST_STEP: usize = (1 << 20) + CHUNK;

#[derive(Debug)]
pub(super) struct FrameReader {
    small: BytesMut,
    large: Option<Large>,
    /// Whether the last frame was a large one: its first bytes are copied, so only few are read before the length is known.
    expects_large: bool,
    spares: Spares,
    max: usize,
}

/// A large frame, without the length before it, that is still arriving.
#[derive(Debug)]
struct Large {
    buf: Vec<u8>,
    len: usize,
}

/// A length that no frame can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) struct BadLength {
    bytes: [u8; 4],
    max: usize,
}

impl FrameReader {
    /// Accepts frames of up to `max` bytes.
    pub(super) fn new(max: usize) -> Self {
        FrameReader {
            small: BytesMut::new(),
            large: None,
            expects_large: false,
            spares: Spares::default(),
            max,
        }
    }

    /// The same bytes, from now on with another limit.
    pub(super) fn with_max(self, max: usize) -> Self {
        FrameReader { max, ..self }
    }

    /// The same bytes, with the buffers that these readers share.
    pub(super) fn with_spares(self, spares: Spares) -> Self {
        FrameReader { spares, ..self }
    }

    /// Where to read to; has room for at least one byte.
    pub(super) fn buffer(&mut self) -> Limit<&mut (dyn BufMut + Send)> {
        let (buffer, most): (&mut (dyn BufMut + Send), usize) = match &mut self.large {
            Some(Large { buf, len }) => {
                let left = *len - buf.len();
                if buf.len() == buf.capacity() {
                    let whole = spares::rounded(*len) - buf.len();
                    buf.reserve_exact(whole.min(buf.len().max(FIRST_STEP)));
                }
                (buf, left)
            }
            None => {
                if self.small.capacity() - self.small.len() < CHUNK / 4 {
                    self.small.reserve(CHUNK);
                }
                (&mut self.small, if self.expects_large { GLANCE } else { usize::MAX })
            }
        };
        buffer.limit(most)
    }

    /// The next whole frame, if it has arrived.
    pub(super) fn next_frame(&mut self) -> Result<Option<Bytes>, BadLength> {
        if let Some(large) = self.large.take_if(|large| large.buf.len() == large.len) {
            return Ok(Some(self.spares.lend(large.buf)));
        }
        if self.large.is_some() {
            return Ok(None);
        }
        let Some(&bytes) = self.small.first_chunk::<4>() else { return Ok(None) };
        // The shortest response is its correlation id.
        let len = match usize::try_from(i32::from_be_bytes(bytes)) {
            Ok(len) if (4..=self.max).contains(&len) => len,
            _ => return Err(BadLength { bytes, max: self.max }),
        };
        if self.small.len() - 4 >= len {
            self.small.advance(4);
            self.expects_large = false;
            return Ok(Some(self.small.split_to(len).freeze()));
        }
        if len >= LARGE_FROM {
            self.small.advance(4);
            let fresh = || Vec::with_capacity(spares::rounded(len).min(FIRST_STEP));
            let mut buf = self.spares.take(len).unwrap_or_else(fresh);
            buf.put(self.small.split());
            self.expects_large = true;
            self.large = Some(Large { buf, len });
        }
        Ok(None)
    }
}

impl fmt::Display for BadLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BadLength { bytes, max } = self;
        let announced = i32::from_be_bytes(*bytes);
        write!(f, "a frame of {announced} bytes was announced, where 4 to {max} are possible")?;
        match bytes {
            b"HTTP" => f.write_str("; this looks like an HTTP server"),
            b"SSH-" => f.write_str("; this looks like an SSH server"),
            [0x15 | 0x16, 3, ..] => f.write_str("; this looks like a listener that wants TLS"),
            text if text.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') => {
                write!(f, "; this looks like text (`{}`), not like Kafka", text.escape_ascii())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 8 << 20;

    fn framed(lengths: &[usize]) -> (Vec<u8>, Vec<Vec<u8>>) {
        let frames: Vec<Vec<u8>> = lengths
            .iter()
            .enumerate()
            .map(|(i, len)| (0..*len).map(|at| (at * 7 + i) as u8).collect())
            .collect();
        let wire = frames
            .iter()
            .flat_map(|frame| [&(frame.len() as u32).to_be_bytes()[..], frame].concat())
            .collect();
        (wire, frames)
    }

    /// Feeds `wire` in pieces of at most `step` bytes, as a socket would.
    fn read(wire: &[u8], step: usize) -> Result<Vec<Vec<u8>>, BadLength> {
        let (mut reader, mut frames, mut rest) = (FrameReader::new(MAX), Vec::new(), wire);
        while !rest.is_empty() {
            let mut buffer = reader.buffer();
            let room = buffer.chunk_mut().len();
            assert!(room > 0);
            let taken = step.min(rest.len()).min(room);
            buffer.put_slice(&rest[..taken]);
            rest = &rest[taken..];
            while let Some(frame) = reader.next_frame()? {
                frames.push(frame.to_vec());
            }
        }
        Ok(frames)
    }

    #[test]
    fn frames_come_out_whole_at_every_cut() {
        let (wire, frames) = framed(&[4, 9, 300, 4]);
        for step in 1..=wire.len() {
            assert_eq!(read(&wire, step), Ok(frames.clone()), "step {step}");
        }
    }

    #[test]
    fn large_and_small_frames_mix() {
        let (wire, frames) = framed(&[10, LARGE_FROM, 5, 3 * FIRST_STEP + 1, LARGE_FROM - 1, 7]);
        for step in [1000, CHUNK, FIRST_STEP, usize::MAX] {
            assert!(read(&wire, step) == Ok(frames.clone()), "step {step}");
        }
    }

    #[test]
    fn a_large_frame_after_another_is_copied_no_further_than_its_head_and_lies_in_the_same_buffer() {
        let frame = |fill: u8| [&(1_u32 << 20).to_be_bytes()[..], &vec![fill; 1 << 20]].concat();
        let mut reader = FrameReader::new(MAX);
        let mut take = |wire: &[u8]| {
            let mut rooms = Vec::new();
            let mut rest = wire;
            loop {
                let mut buffer = reader.buffer();
                let room = buffer.chunk_mut().len().min(rest.len());
                rooms.push(room);
                buffer.put_slice(&rest[..room]);
                rest = &rest[room..];
                if let Some(frame) = reader.next_frame().unwrap() {
                    return (frame, rooms);
                }
            }
        };
        let (first, _) = take(&frame(1));
        let address = first.as_ptr();
        drop(first);
        let (second, rooms) = take(&frame(2));
        assert_eq!((second.as_ptr(), rooms), (address, vec![GLANCE, (1 << 20) + 4 - GLANCE]));
        assert!(second.iter().all(|byte| *byte == 2));
        // As long as it is held, the next one lies elsewhere.
        let (third, _) = take(&frame(3));
        assert_ne!(third.as_ptr(), second.as_ptr());
        let (small, _) = take(&[0, 0, 0, 4, 1, 1, 1, 1]);
        assert_eq!(&small[..], [1; 4]);
        let room = reader.buffer().chunk_mut().len();
        assert!(room > GLANCE, "{room}");
    }

    #[test]
    fn an_announced_length_reserves_only_a_step() {
        let mut reader = FrameReader::new(i32::MAX as usize);
        reader.buffer().put_slice(&0x7fff_ffffu32.to_be_bytes());
        assert_eq!(reader.next_frame(), Ok(None));
        reader.buffer().put_slice(b"some");
        assert!(reader.large.unwrap().buf.capacity() <= FIRST_STEP);
    }

    #[test]
    fn impossible_lengths_are_refused_with_a_guess_at_what_talks() {
        let refuse = |bytes: &[u8; 4]| read(bytes, 4).unwrap_err().to_string();
        assert_eq!(
            refuse(b"HTTP"),
            "a frame of 1213486160 bytes was announced, where 4 to 8388608 are possible; this looks like an HTTP server"
        );
        assert!(refuse(&[0x15, 3, 3, 0]).ends_with("a listener that wants TLS"));
        assert!(refuse(b"220 ").ends_with("this looks like text (`220 `), not like Kafka"));
        assert!(refuse(&[0x80, 0, 0, 0]).contains("-2147483648"));
        assert!(refuse(&[0, 0, 0, 3]).contains("a frame of 3 bytes"));
        assert!(refuse(&[0x7f, 0xff, 0xff, 0xff]).contains("2147483647"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_whole_frames_or_an_error_whatever_the_cuts(
            bytes in proptest::collection::vec(0u8..6, 0..400),
            step in 1usize..40,
        ) {
            let (cut, whole) = (read(&bytes, step), read(&bytes, usize::MAX));
            proptest::prop_assert_eq!(&cut, &whole);
            let wire: usize = whole.iter().flatten().map(|frame| frame.len() + 4).sum();
            proptest::prop_assert!(wire <= bytes.len());
        }
    }
}
