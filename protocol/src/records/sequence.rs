//! Arithmetic of sequence numbers: they count from 0 to `i32::MAX` and begin again at 0 (KIP-98).

/// The sequence number `by` after `sequence`; both have to be at least 0.
pub const fn add(sequence: i32, by: i32) -> i32 {
    (sequence.wrapping_add(by)) & i32::MAX
}

/// The sequence number `by` before `sequence`; both have to be at least 0.
pub const fn sub(sequence: i32, by: i32) -> i32 {
    (sequence.wrapping_sub(by)) & i32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_at_the_largest_i32_and_never_become_negative() {
        assert_eq!(add(i32::MAX - 2, 2), i32::MAX);
        assert_eq!(add(i32::MAX - 4, 5), 0);
        assert_eq!(add(i32::MAX, i32::MAX), i32::MAX - 1);
        assert_eq!(sub(0, 1), i32::MAX);
        assert_eq!(sub(925_656_360, 1_386_128_565), 1_687_011_443);
        assert_eq!(sub(5, 5), 0);
    }
}
