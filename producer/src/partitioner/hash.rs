//! Hashes of keys, and the partitions that they stand for.

use std::num::NonZeroU32;

use ottla_protocol::murmur2::partition_for_key;

/// As the Java client, and librdkafka's `murmur2`: the hash without its sign bit.
#[inline]
pub(super) fn murmur2(key: &[u8], partitions: NonZeroU32) -> u32 {
    partition_for_key(key, partitions) as u32
}

/// As librdkafka's `consistent`: the CRC-32 of zlib, without a sign.
pub(super) fn crc32(key: &[u8], partitions: NonZeroU32) -> u32 {
    crc32_of(key) % partitions
}

/// As librdkafka's `fnv1a` and Sarama: the hash taken as a signed number, of which the sign is dropped. The smallest
/// number, which has no positive twin, stays itself and counts as 2^31.
pub(super) fn fnv1a(key: &[u8], partitions: NonZeroU32) -> u32 {
    fnv1a_of(key) % partitions
}

fn fnv1a_of(key: &[u8]) -> u32 {
    let hash =
        key.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    (hash as i32).unsigned_abs()
}

fn crc32_of(key: &[u8]) -> u32 {
    !key.iter().fold(u32::MAX, |crc, byte| CRC32[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

/// What each byte does to the CRC; its polynomial is IEEE's, with the lowest bit first.
static CRC32: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv1a_equals_sarama() {
        // Of librdkafka's own test, computed there by Go's `hash/fnv`.
        let known: [(&str, u32); 11] = [
            ("kafka", 0x0d33_c4e1),
            ("giberish123456789", 0x77a5_8295),
            ("1234", 0x023b_dd03),
            ("234", 0x2dea_3cd2),
            ("34", 0x740f_a83e),
            ("4", 0x310c_a263),
            ("PreAmbleWillBeRemoved,ThePrePartThatIs", 0x65cb_d69c),
            ("reAmbleWillBeRemoved,ThePrePartThatIs", 0x6e49_c79a),
            ("eAmbleWillBeRemoved,ThePrePartThatIs", 0x69ee_d356),
            ("AmbleWillBeRemoved,ThePrePartThatIs", 0x6abc_c023),
            ("", 0x7ee3_623b),
        ];
        for (key, hash) in known {
            assert_eq!(fnv1a_of(key.as_bytes()), hash, "{key:?}");
        }
    }

    #[test]
    fn crc32_is_zlibs() {
        let known: [(&str, u32); 5] = [
            ("", 0),
            ("123456789", 0xcbf4_3926),
            ("23456", 0xb1b4_51d7),
            ("this is another string with more length to it perhaps", 0xb015_0df7),
            ("hejsan", 0xd077_037e),
        ];
        for (key, hash) in known {
            assert_eq!(crc32_of(key.as_bytes()), hash, "{key:?}");
        }
    }

    #[test]
    fn hashes_above_two_to_the_thirty_one_are_divided_without_a_sign() {
        let seventeen = NonZeroU32::new(17).expect("not zero");
        assert_eq!(crc32(b"hejsan", seventeen), 0xd077_037e % 17);
    }
}
