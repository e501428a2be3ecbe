//! [`Spares`]: buffers of large frames, used again.
//!
//! A large buffer that is given back to the system comes back as pages that have to be cleared and mapped one by one while it
//! is read into. Of reading a mebibyte that was a fifth, so that what one answer lay in is kept for the next.
//!
//! Guarantees: what is kept is at most [`MOST_KEPT`] bytes; a frame that lies in a buffer that was kept takes no more than an
//! eighth more than itself, so that who counts frames knows what they hold; a buffer is kept once nothing of its frame is held
//! any more.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers of fewer bytes are left to the allocator, which has them at hand.
pub(super) const KEPT_FROM: usize = 128 << 10;

/// Of all buffers that are kept. Enough for three answers of a mebibyte, or for one of many partitions.
const MOST_KEPT: usize = 8 << 20;

/// Buffers that nobody uses, the one that was used last at the end. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spares(Arc<Mutex<Vec<Vec<u8>>>>);

/// A frame's bytes, in a buffer that is to be used again.
struct Lent {
    buf: Vec<u8>,
    home: Spares,
}

impl Spares {
    /// An empty buffer for a frame of so many bytes.
    pub(super) fn take(&self, len: usize) -> Option<Vec<u8>> {
        if len < KEPT_FROM {
            return None;
        }
        let mut spares = self.lock();
        let fits = |spare: &Vec<u8>| (len..=len + len / 8).contains(&spare.capacity());
        // The one used last is the likeliest to be in the processor's caches.
        let at = spares.iter().rposition(fits)?;
        Some(spares.remove(at))
    }

    /// A whole frame, whose buffer is kept when nobody holds it any more.
    pub(super) fn lend(&self, buf: Vec<u8>) -> Bytes {
        match buf.capacity() {
            KEPT_FROM..=MOST_KEPT => Bytes::from_owner(Lent { buf, home: self.clone() }),
            _ => buf.into(),
        }
    }

    fn keep(&self, mut buf: Vec<u8>) {
        buf.clear();
        let mut left_out = Vec::new();
        {
            let mut spares = self.lock();
            spares.push(buf);
            let mut kept: usize = spares.iter().map(Vec::capacity).sum();
            let too_many = spares.iter().take_while(|spare| {
                let is_too_much = kept > MOST_KEPT;
                kept -= spare.capacity();
                is_too_much
            });
            let too_many = too_many.count();
            left_out.extend(spares.drain(..too_many));
        }
        // Without the lock: freeing may be a call to the system.
        drop(left_out);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        // Whatever a panic left there is a list of empty buffers.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much room to make for so many bytes: a sixteenth more at most, so that frames of about one size fit into each other's
/// buffers.
pub(super) fn rounded(len: usize) -> usize {
    let step = if len < KEPT_FROM { 1 } else { len.checked_next_power_of_two().unwrap_or(32) / 32 };
    len.checked_next_multiple_of(step).unwrap_or(len)
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buf
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.keep(std::mem::take(&mut self.buf));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn filled(capacity: usize, len: usize) -> Vec<u8> {
        let mut buf = Vec::with_capacity(capacity);
        buf.resize(len, 7);
        buf
    }

    fn kept(spares: &Spares) -> Vec<usize> {
        spares.lock().iter().map(Vec::capacity).collect()
    }

    #[test]
    fn a_buffer_is_used_again_once_nothing_of_its_frame_is_held() {
        let spares = Spares::default();
        let frame = spares.lend(filled(MIB, MIB));
        let slice = frame.slice(9..10);
        let address = frame.as_ptr();
        drop(frame);
        assert_eq!(kept(&spares), Vec::<usize>::new());
        assert_eq!(&slice[..], [7]);
        drop(slice);
        assert_eq!(kept(&spares), [MIB]);
        let again = spares.take(MIB - 1).unwrap();
        assert_eq!((again.as_ptr(), again.len(), kept(&spares)), (address, 0, vec![]));
    }

    #[test]
    fn a_frame_gets_no_buffer_that_is_much_larger_than_itself_nor_one_that_is_too_small() {
        let spares = Spares::default();
        drop(spares.lend(filled(MIB, MIB)));
        assert_eq!(spares.take(MIB + 1), None);
        assert_eq!(spares.take(MIB / 2), None);
        assert_eq!(spares.take(KEPT_FROM - 1), None);
        assert_eq!(spares.take(MIB / 9 * 8), None);
        assert!(spares.take(MIB / 9 * 8 + 9).is_some());
        for len in
            [0, 1, KEPT_FROM - 1, KEPT_FROM, KEPT_FROM + 1, MIB, MIB + 1, usize::MAX / 2 + 2, usize::MAX]
        {
            let room = rounded(len);
            assert!((len..=len.saturating_add(len / 16)).contains(&room), "{room} for {len}");
        }
    }

    #[test]
    fn frames_of_about_one_size_lie_in_each_others_buffers() {
        let spares = Spares::default();
        let mut fresh = 0;
        // As if there were batches of 64 KiB, of which up to a mebibyte is sent.
        for len in (0..100).map(|n| MIB - n * 7919 % (64 << 10)) {
            let mut buf = spares.take(len).unwrap_or_else(|| {
                fresh += 1;
                Vec::with_capacity(rounded(len))
            });
            buf.resize(len, 0);
            drop(spares.lend(buf));
        }
        assert!(fresh <= 3, "{fresh}");
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_goes_first() {
        let spares = Spares::default();
        let frames: Vec<Bytes> = (0..20).map(|n| spares.lend(filled(MIB + n, MIB))).collect();
        drop(frames);
        assert_eq!(kept(&spares), (13..20).map(|n| MIB + n).collect::<Vec<_>>());
        drop(spares.lend(filled(MOST_KEPT + 1, MOST_KEPT + 1)));
        assert_eq!(kept(&spares).len(), 7);
        drop(spares.lend(filled(MOST_KEPT, MOST_KEPT)));
        assert_eq!(kept(&spares), [MOST_KEPT]);
    }
}
