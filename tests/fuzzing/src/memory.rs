//! What a piece of work may take in memory, where the binary counts it.

pub use peak_alloc::PeakAlloc;

/// No element of a list takes more bytes of memory for each byte of its shortest form on the wire: a test reckons it
/// from the tables. The worst is a group that ListGroups lists, 104 bytes for 3.
pub const LARGEST_RATIO: usize = 35;

/// The most memory that decoding a frame made of nothing but the densest elements may take.
///
/// A list that outgrows what was reserved for it holds its elements twice for a moment; each of the few lists that are
/// open at once may have reserved as many bytes as the frame has. The constant is for what is allocated beside them.
pub fn densest_bound(frame: usize) -> usize {
    (2 * LARGEST_RATIO + 4) * frame + 4096
}

/// Runs `work`.
///
/// Panics when it held more than `bound` bytes at once. Nothing is counted in a binary that doesn't declare
/// `#[global_allocator] static ALLOCATOR: PeakAlloc = PeakAlloc;`, and other threads' memory is counted too.
pub fn within<T>(bound: usize, what: &str, work: impl FnOnce() -> T) -> T {
    PeakAlloc.reset_peak_usage();
    let before = PeakAlloc.current_usage();
    let result = work();
    let peak = PeakAlloc.peak_usage().saturating_sub(before);
    assert!(peak <= bound, "{what} takes {peak} bytes of memory, more than {bound}");
    result
}
