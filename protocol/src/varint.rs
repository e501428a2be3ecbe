//! Variable-length integers as Kafka writes them: seven bits a byte, least significant group first, signed
//! values in zigzag order.
//!
//! The readers take what Java's `ByteUtils` takes and refuse what it refuses: bits beyond the type's width in
//! the last allowed byte are dropped, a continuation bit there is an error. Nothing here allocates or panics.
//!
//! Sources: KIP-98 (records), KIP-482 (compact fields and tags).

use alloc::vec::Vec;

/// The most bytes a 32 bit varint takes.
pub const MAX_VARINT_LEN: usize = 5;

/// The most bytes a 64 bit varint takes.
pub const MAX_VARLONG_LEN: usize = 10;

/// Why bytes are not a varint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VarintError {
    /// The bytes end while the continuation bit asks for more.
    #[error("the bytes end inside a varint")]
    Truncated,
    /// The last byte that the type allows still has its continuation bit set.
    #[error("a varint is longer than its type allows")]
    TooLong,
}

/// Reads an unsigned varint from the start of `bytes`: the value and the number of bytes it took.
///
/// # Errors
/// [`VarintError`] when the bytes end too early or the varint is longer than five bytes.
#[inline]
pub fn unsigned(bytes: &[u8]) -> Result<(u32, usize), VarintError> {
    match *bytes {
        [a, ..] if a < 0x80 => Ok((u32::from(a), 1)),
        [a, b, ..] if b < 0x80 => Ok((u32::from(a & 0x7f) | u32::from(b) << 7, 2)),
        _ => unsigned_long_form(bytes),
    }
}

/// Reads a zigzag varint from the start of `bytes`: the value and the number of bytes it took.
///
/// # Errors
/// As [`unsigned`].
#[inline]
pub fn varint(bytes: &[u8]) -> Result<(i32, usize), VarintError> {
    let (value, len) = unsigned(bytes)?;
    Ok((unzigzag(value), len))
}

/// Reads an unsigned 64 bit varint from the start of `bytes`: the value and the number of bytes it took.
///
/// # Errors
/// [`VarintError`] when the bytes end too early or the varint is longer than ten bytes.
#[inline]
pub fn unsigned_long(bytes: &[u8]) -> Result<(u64, usize), VarintError> {
    match *bytes {
        [a, ..] if a < 0x80 => Ok((u64::from(a), 1)),
        [a, b, ..] if b < 0x80 => Ok((u64::from(a & 0x7f) | u64::from(b) << 7, 2)),
        _ => unsigned_long_long_form(bytes),
    }
}

/// Reads a zigzag varlong from the start of `bytes`: the value and the number of bytes it took.
///
/// # Errors
/// As [`unsigned_long`].
#[inline]
pub fn varlong(bytes: &[u8]) -> Result<(i64, usize), VarintError> {
    let (value, len) = unsigned_long(bytes)?;
    Ok((unzigzag_long(value), len))
}

/// Appends an unsigned varint.
#[inline]
pub fn put_unsigned(out: &mut Vec<u8>, value: u32) {
    if value < 0x80 {
        out.push(value as u8);
        return;
    }
    let mut bytes = [0; MAX_VARINT_LEN];
    let len = write_unsigned(&mut bytes, value);
    out.extend_from_slice(&bytes[..len]);
}

/// Appends a zigzag varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_unsigned(out, zigzag(value));
}

/// Appends an unsigned 64 bit varint.
#[inline]
pub fn put_unsigned_long(out: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        out.push(value as u8);
        return;
    }
    let mut bytes = [0; MAX_VARLONG_LEN];
    let len = write_unsigned_long(&mut bytes, value);
    out.extend_from_slice(&bytes[..len]);
}

/// Appends a zigzag varlong.
#[inline]
pub fn put_varlong(out: &mut Vec<u8>, value: i64) {
    put_unsigned_long(out, zigzag_long(value));
}

/// Bytes that [`put_unsigned`] appends.
#[inline]
pub const fn unsigned_len(value: u32) -> usize {
    // Nine sixty-fourths are close enough to a seventh for every width up to 64 bits, and cost no division.
    (((31 - (value | 1).leading_zeros()) * 9 + 73) / 64) as usize
}

/// Bytes that [`put_varint`] appends.
#[inline]
pub const fn varint_len(value: i32) -> usize {
    unsigned_len(zigzag(value))
}

/// Bytes that [`put_unsigned_long`] appends.
#[inline]
pub const fn unsigned_long_len(value: u64) -> usize {
    (((63 - (value | 1).leading_zeros()) * 9 + 73) / 64) as usize
}

/// Bytes that [`put_varlong`] appends.
#[inline]
pub const fn varlong_len(value: i64) -> usize {
    unsigned_long_len(zigzag_long(value))
}

/// Writes an unsigned varint to the start of `out`, which has to be long enough, and says how many bytes it
/// took.
#[inline]
pub(crate) fn write_unsigned(out: &mut [u8], mut value: u32) -> usize {
    // Nearly all lengths and deltas of records.
    if value < 0x80 {
        out[0] = value as u8;
        return 1;
    }
    if value < 0x4000 {
        out[..2].copy_from_slice(&[value as u8 | 0x80, (value >> 7) as u8]);
        return 2;
    }
    let mut at = 0;
    while value >= 0x80 {
        out[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    out[at] = value as u8;
    at + 1
}

/// Writes an unsigned 64 bit varint to the start of `out`, which has to be long enough, and says how many
/// bytes it took.
#[inline]
pub(crate) fn write_unsigned_long(out: &mut [u8], mut value: u64) -> usize {
    if let Ok(short) = u32::try_from(value)
        && short < 0x4000
    {
        return write_unsigned(out, short);
    }
    let mut at = 0;
    while value >= 0x80 {
        out[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    out[at] = value as u8;
    at + 1
}

/// Small magnitudes of either sign to small unsigned values.
#[inline]
pub(crate) const fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

/// [`zigzag`] for 64 bits.
#[inline]
pub(crate) const fn zigzag_long(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The value that [`zigzag`] was given.
#[inline]
pub(crate) const fn unzigzag(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

#[inline]
const fn unzigzag_long(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// [`unsigned`] for any length.
#[inline(never)]
fn unsigned_long_form(bytes: &[u8]) -> Result<(u32, usize), VarintError> {
    match bytes.first_chunk() {
        Some(word) => match gather(u64::from_le_bytes(*word)) {
            Some((value, len)) if len <= MAX_VARINT_LEN => Ok((value as u32, len)),
            _ => Err(VarintError::TooLong),
        },
        None => unsigned_at_end(bytes),
    }
}

/// [`unsigned_long`] for any length.
#[inline(never)]
fn unsigned_long_long_form(bytes: &[u8]) -> Result<(u64, usize), VarintError> {
    match bytes.first_chunk().and_then(|word| gather(u64::from_le_bytes(*word))) {
        Some(read) => Ok(read),
        None => unsigned_long_at_end(bytes),
    }
}

/// Decodes the varint in the low bytes of `word` without a branch for each of them; `None` when it doesn't
/// end there.
#[inline]
const fn gather(word: u64) -> Option<(u64, usize)> {
    let ends = !word & 0x8080_8080_8080_8080;
    if ends == 0 {
        return None;
    }
    let bits = ends.trailing_zeros() + 1;
    // The bytes up to the first without a continuation bit, closed up from eight bits each to seven.
    let bytes = word & (u64::MAX >> (64 - bits)) & 0x7f7f_7f7f_7f7f_7f7f;
    let pairs = (bytes & 0x007f_007f_007f_007f) | (bytes & 0x7f00_7f00_7f00_7f00) >> 1;
    let quads = (pairs & 0x0000_3fff_0000_3fff) | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    let value = (quads & 0x0fff_ffff) | (quads & 0x0fff_ffff_0000_0000) >> 4;
    Some((value, (bits / 8) as usize))
}

#[cold]
fn unsigned_at_end(bytes: &[u8]) -> Result<(u32, usize), VarintError> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(MAX_VARINT_LEN).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Ok((value, at + 1));
        }
    }
    Err(ended(bytes.len(), MAX_VARINT_LEN))
}

#[cold]
fn unsigned_long_at_end(bytes: &[u8]) -> Result<(u64, usize), VarintError> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(MAX_VARLONG_LEN).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Ok((value, at + 1));
        }
    }
    Err(ended(bytes.len(), MAX_VARLONG_LEN))
}

fn ended(available: usize, longest: usize) -> VarintError {
    if available < longest { VarintError::Truncated } else { VarintError::TooLong }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_change_at_every_seventh_bit() {
        for bit in 0..32 {
            for value in [(1u32 << bit) - 1, 1 << bit, (1 << bit) + 1] {
                let mut out = Vec::new();
                put_unsigned(&mut out, value);
                assert_eq!(
                    (unsigned_len(value), unsigned(&out)),
                    (out.len(), Ok((value, out.len()))),
                    "{value}"
                );
            }
        }
        for bit in 0..64 {
            for value in [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1] {
                let mut out = Vec::new();
                put_unsigned_long(&mut out, value);
                assert_eq!(
                    (unsigned_long_len(value), unsigned_long(&out)),
                    (out.len(), Ok((value, out.len()))),
                    "{value}"
                );
            }
        }
    }

    #[test]
    fn a_continuation_bit_at_the_end_is_truncated_and_in_the_last_byte_too_long() {
        assert_eq!(unsigned(&[]), Err(VarintError::Truncated));
        assert_eq!(unsigned(&[0x80; 4]), Err(VarintError::Truncated));
        assert_eq!(unsigned(&[0x80; 5]), Err(VarintError::TooLong));
        assert_eq!(unsigned_long(&[0x80; 9]), Err(VarintError::Truncated));
        assert_eq!(unsigned_long(&[0x80; 10]), Err(VarintError::TooLong));
    }

    #[test]
    fn bits_beyond_the_width_are_dropped() {
        assert_eq!(unsigned(&[0xff, 0xff, 0xff, 0xff, 0x7f]), Ok((u32::MAX, 5)));
        assert_eq!(
            unsigned_long(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
            Ok((u64::MAX, 10))
        );
    }

    proptest! {
        #[test]
        fn signed_values_come_back(int: i32, long: i64, tail: Vec<u8>) {
            let mut out = Vec::new();
            put_varint(&mut out, int);
            prop_assert_eq!(out.len(), varint_len(int));
            prop_assert_eq!(varint(&out), Ok((int, varint_len(int))));
            out.extend_from_slice(&tail);
            prop_assert_eq!(varint(&out), Ok((int, varint_len(int))));
            let mut out = Vec::new();
            put_varlong(&mut out, long);
            prop_assert_eq!(out.len(), varlong_len(long));
            prop_assert_eq!(varlong(&out), Ok((long, varlong_len(long))));
            out.extend_from_slice(&tail);
            prop_assert_eq!(varlong(&out), Ok((long, varlong_len(long))));
        }

        #[test]
        fn many_bytes_at_once_are_read_as_one_by_one(bytes: [u8; 12], continued in 0usize..12) {
            let mut bytes = bytes;
            bytes[..continued].iter_mut().for_each(|byte| *byte |= 0x80);
            prop_assert_eq!(unsigned(&bytes), unsigned_at_end(&bytes));
            prop_assert_eq!(unsigned_long(&bytes), unsigned_long_at_end(&bytes));
        }
    }
}
