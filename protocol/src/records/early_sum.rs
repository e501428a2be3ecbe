//! [`EarlySum`]: a checksum that grows with its batch.
//!
//! Bytes that were just copied are still in the processor's cache. A batch that is summed when it is sealed has to be fetched
//! from memory for it, mostly by another processor, which for large records takes longer than all else.

use super::header::BATCH_HEADER_LEN;
use crate::crc32c;

/// The checksum of a batch's first records.
#[derive(Clone, Copy, Debug)]
pub(super) struct EarlySum {
    /// Where they end.
    end: usize,
    crc: u32,
}

impl EarlySum {
    /// Of a batch that has no records yet.
    pub(super) fn new() -> EarlySum {
        EarlySum { end: BATCH_HEADER_LEN, crc: 0 }
    }

    /// Sums up to here.
    #[inline(never)]
    pub(super) fn reach(&mut self, buffer: &[u8], here: usize) {
        self.crc = crc32c::extend(self.crc, &buffer[self.end..here]);
        self.end = here;
    }

    /// The checksum of all records of a batch that ends here. None if nothing was summed: then it is best summed in one go
    /// with the header.
    pub(super) fn finish(mut self, buffer: &[u8], here: usize) -> Option<u32> {
        if self.end == BATCH_HEADER_LEN {
            return None;
        }
        self.reach(buffer, here);
        Some(self.crc)
    }
}
