//! How much memory a piece of work takes at its peak.
//!
//! Only right in a binary that declares `#[global_allocator] static ALLOCATOR: PeakAlloc = PeakAlloc;` and while no
//! other thread of it works.

pub use ottla_fuzzing::memory::{LARGEST_RATIO, PeakAlloc, densest_bound};

/// Runs `work` and says how many bytes it held at most beyond what was held before.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    PeakAlloc.reset_peak_usage();
    let before = PeakAlloc.current_usage();
    let result = work();
    (result, PeakAlloc.peak_usage().saturating_sub(before))
}

/// The most memory that decoding a message may take, whatever is wrong with it: twice the frame and 64 KiB. It holds for
/// every message in the golden vectors, cut off and damaged.
///
/// It can't hold for every frame that can be made: a message in memory takes more than on the wire, and a frame may hold
/// a hundred thousand elements of three bytes. See [`densest_bound`].
pub fn message_bound(frame: usize) -> usize {
    2 * frame + 64 * 1024
}
