//! The bytes that wait for the socket, as the slices of vectored writes. A pure queue.
//!
//! Guarantee: frames leave whole and in order, however the socket cuts its writes.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Instant;

use bytes::{Buf, Bytes};
use ottla_protocol::wire::Frame;

/// Frames that wait to be written. `W` is who learns that a frame without an answer was written.
#[derive(Debug)]
pub(super) struct Outbox<W> {
    parts: VecDeque<Part>,
    one_ways: VecDeque<OneWay<W>>,
    /// How many of `one_ways`, from the first, have begun to be written.
    one_ways_begun: usize,
}

/// A frame without an answer.
#[derive(Debug)]
pub(super) struct OneWay<W> {
    pub(super) deadline: Instant,
    pub(super) waiter: W,
}

/// What a write got done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Progress<W> {
    /// Frames with an answer whose first bytes were written.
    pub(super) begun: usize,
    /// Frames without an answer that were written to their end.
    pub(super) sent: Vec<W>,
}

#[derive(Debug)]
enum Part {
    /// What is left of a frame's length; a frame begins when the first of its four bytes goes.
    Length {
        left: Bytes4,
        answered: bool,
    },
    Chunk(Bytes),
    /// Behind a frame without an answer.
    End,
}

/// Up to four bytes, without an allocation.
#[derive(Debug)]
struct Bytes4 {
    bytes: [u8; 4],
    from: usize,
}

impl<W> Outbox<W> {
    pub(super) fn new() -> Self {
        Outbox { parts: VecDeque::new(), one_ways: VecDeque::new(), one_ways_begun: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Enqueues a frame that will be answered.
    pub(super) fn push(&mut self, frame: Frame) {
        self.push_parts(frame, true);
    }

    /// Enqueues a frame that will not be answered.
    pub(super) fn push_one_way(&mut self, frame: Frame, one_way: OneWay<W>) {
        self.push_parts(frame, false);
        self.parts.push_back(Part::End);
        self.one_ways.push_back(one_way);
    }

    /// Fills `slices` with what goes next and says how many it filled; none exactly if nothing waits.
    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = self.parts.iter().filter_map(|part| match part {
            Part::Length { left, .. } => Some(&left.bytes[left.from..]),
            Part::Chunk(chunk) => Some(&chunk[..]),
            Part::End => None,
        });
        slices.iter_mut().zip(parts).map(|(slice, part)| *slice = IoSlice::new(part)).count()
    }

    /// The socket took `written` bytes.
    pub(super) fn advance(&mut self, mut written: usize) -> Progress<W> {
        let mut progress = Progress { begun: 0, sent: Vec::new() };
        while let Some(part) = self.parts.front_mut() {
            let done = match part {
                Part::Length { .. } | Part::Chunk(_) if written == 0 => break,
                Part::Length { left, answered } => {
                    if left.from == 0 {
                        progress.begun += usize::from(*answered);
                        self.one_ways_begun += usize::from(!*answered);
                    }
                    let taken = written.min(4 - left.from);
                    left.from += taken;
                    written -= taken;
                    left.from == 4
                }
                Part::Chunk(chunk) => {
                    let taken = written.min(chunk.len());
                    chunk.advance(taken);
                    written -= taken;
                    chunk.is_empty()
                }
                Part::End => {
                    self.one_ways_begun -= 1;
                    progress.sent.extend(self.one_ways.pop_front().map(|one_way| one_way.waiter));
                    true
                }
            };
            if !done {
                break;
            }
            self.parts.pop_front();
        }
        progress
    }

    /// A write of the first `filled` slices failed. The stream may have sent some of them all the same, as TLS does that
    /// fails at a later record, so all of their frames count as begun; says how many frames with an answer that adds.
    pub(super) fn failed(&mut self, filled: usize) -> usize {
        let offered = self.parts.iter().filter(|part| !matches!(part, Part::End)).take(filled);
        let mut begun = 0;
        for part in offered {
            if let Part::Length { left: Bytes4 { from: 0, .. }, answered } = part {
                begun += usize::from(*answered);
                self.one_ways_begun += usize::from(!*answered);
            }
        }
        begun
    }

    /// When the next frame without an answer is overdue.
    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        self.one_ways.iter().map(|one_way| one_way.deadline).min()
    }

    /// Takes the frames without an answer out, with whether some of their bytes went to the socket.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (OneWay<W>, bool)> {
        self.parts.clear();
        let begun = std::mem::take(&mut self.one_ways_begun);
        self.one_ways.drain(..).enumerate().map(move |(at, one_way)| (one_way, at < begun))
    }

    fn push_parts(&mut self, frame: Frame, answered: bool) {
        // `Writer::finish` lets no frame be longer than an `i32` can say.
        let bytes = (frame.len() as u32).to_be_bytes();
        self.parts.push_back(Part::Length { left: Bytes4 { bytes, from: 0 }, answered });
        self.parts.extend(frame.into_chunks().into_iter().map(Part::Chunk));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ottla_protocol::header::encode_request;
    use ottla_protocol::messages::api_versions::ApiVersionsRequest;

    use super::*;

    fn frame(correlation_id: i32) -> Frame {
        encode_request(&ApiVersionsRequest::default(), 0, correlation_id, None).unwrap()
    }

    fn wire(frames: &[Frame]) -> Vec<u8> {
        frames
            .iter()
            .flat_map(|frame| [&(frame.len() as u32).to_be_bytes()[..], &frame.to_bytes()].concat())
            .collect()
    }

    #[test]
    fn frames_leave_whole_and_in_order_however_the_writes_are_cut() {
        let frames = [frame(1), frame(2), frame(3)];
        let expected = wire(&frames);
        for step in 1..=expected.len() {
            let now = crate::runtime::now();
            let mut outbox = Outbox::new();
            outbox.push(frames[0].clone());
            outbox.push_one_way(frames[1].clone(), OneWay { deadline: now, waiter: 'b' });
            outbox.push(frames[2].clone());
            let (mut written, mut begun, mut sent) = (Vec::new(), 0, Vec::new());
            while !outbox.is_empty() {
                let mut slices = [IoSlice::new(&[]); 2];
                let filled = outbox.slices(&mut slices);
                let bytes: Vec<u8> =
                    slices[..filled].iter().flat_map(|slice| slice.to_vec()).take(step).collect();
                assert!(!bytes.is_empty());
                written.extend_from_slice(&bytes);
                let progress = outbox.advance(bytes.len());
                begun += progress.begun;
                sent.extend(progress.sent);
            }
            assert_eq!((written, begun, sent), (expected.clone(), 2, vec!['b']), "step {step}");
        }
    }

    #[test]
    fn a_frame_has_begun_once_its_first_byte_went() {
        let now = crate::runtime::now();
        let mut outbox = Outbox::new();
        outbox.push_one_way(frame(1), OneWay { deadline: now + Duration::from_secs(2), waiter: 'a' });
        outbox.push_one_way(frame(2), OneWay { deadline: now + Duration::from_secs(1), waiter: 'b' });
        assert_eq!(outbox.poll_deadline(), Some(now + Duration::from_secs(1)));
        assert_eq!(outbox.advance(1), Progress { begun: 0, sent: vec![] });
        let left: Vec<_> = outbox.drain().map(|(one_way, begun)| (one_way.waiter, begun)).collect();
        assert_eq!(left, [('a', true), ('b', false)]);
        assert!(outbox.is_empty() && outbox.poll_deadline().is_none());
    }

    #[test]
    fn whatever_a_failed_write_was_offered_has_begun() {
        let one_way = |waiter| OneWay { deadline: crate::runtime::now(), waiter };
        let mut outbox = Outbox::new();
        outbox.push(frame(1));
        outbox.push_one_way(frame(2), one_way('a'));
        outbox.push(frame(3));
        outbox.push_one_way(frame(4), one_way('b'));
        outbox.push_one_way(frame(5), one_way('c'));
        // The first frame's beginning is written and counted; each frame is two slices.
        assert_eq!(outbox.advance(1).begun, 1);
        assert_eq!(outbox.slices(&mut [IoSlice::new(&[]); 64]), 10);
        assert_eq!(outbox.failed(7), 1, "the third frame");
        let left: Vec<_> = outbox.drain().map(|(one_way, begun)| (one_way.waiter, begun)).collect();
        assert_eq!(left, [('a', true), ('b', true), ('c', false)]);
    }
}
