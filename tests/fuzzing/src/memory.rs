//! What a piece of work may take in memory, where the binary counts it.

pub use peak_alloc::PeakAlloc;

/// The most memory that decoding a message of `frame` bytes may take: with the densest elements that there are, twice 35 bytes for
/// each on the wire while their list grows, what the few lists that are open at once have reserved, and a constant for what is
/// allocated beside them. `ottla_tests::memory` reckons it from the tables.
pub fn message_bound(frame: usize) -> usize {
    74 * frame + 4096
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
