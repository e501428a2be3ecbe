//! How much memory a piece of work takes at its peak.
//!
//! Only right in a binary that declares `#[global_allocator] static ALLOCATOR: PeakAlloc = PeakAlloc;` and while no
//! other thread of it works.

pub use peak_alloc::PeakAlloc;

/// Runs `work` and says how many bytes it held at most beyond what was held before.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    PeakAlloc.reset_peak_usage();
    let before = PeakAlloc.current_usage();
    let result = work();
    (result, PeakAlloc.peak_usage().saturating_sub(before))
}

/// No element of a list takes more bytes of memory for each byte of its shortest form on the wire: a test reckons it
/// from the tables. The worst is a group that ListGroups lists, 120 bytes for 3.
pub const LARGEST_RATIO: usize = 40;

/// The most memory that decoding a message of `frame` bytes may take.
///
/// A list that outgrows what was reserved for it holds three times its elements for a moment, the old half and the new
/// whole; each of the few lists that are open at once may have reserved as many bytes as the frame has. The constant is
/// for what the test itself allocates meanwhile.
pub fn message_bound(frame: usize) -> usize {
    (3 * LARGEST_RATIO + 4) * frame + 4096
}
