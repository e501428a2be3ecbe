//! The hash that puts a key into a partition, bit for bit that of Kafka's Java client: a record with a key
//! lands in the partition in which every other client that follows Java's default puts it.
//!
//! Sources: KIP-794 (the default partitioner); the algorithm is Austin Appleby's MurmurHash2, seed
//! `0x9747b28c`.

use core::num::NonZeroU32;

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

/// MurmurHash2 of `data` with Kafka's seed.
pub fn murmur2(data: &[u8]) -> i32 {
    let mut hash = SEED ^ data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (at, &byte) in tail.iter().enumerate() {
            hash ^= u32::from(byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    (hash ^ hash >> 15) as i32
}

/// Clears the sign bit, which is how Kafka makes a hash a partition number (`i32::MIN` becomes 0).
pub const fn to_positive(hash: i32) -> i32 {
    hash & i32::MAX
}

/// The partition of a record with this key in a topic of `partitions` partitions.
pub fn partition_for_key(key: &[u8], partitions: NonZeroU32) -> i32 {
    (to_positive(murmur2(key)) as u32 % partitions) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_equal_those_of_the_java_client() {
        let known: [(&[u8], i32); 6] = [
            (b"", 275_646_681),
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key), hash, "{key:?}");
        }
    }

    #[test]
    fn the_sign_bit_is_cleared_not_negated() {
        assert_eq!([i32::MIN, -1, 0, i32::MAX].map(to_positive), [0, i32::MAX, 0, i32::MAX]);
    }

    #[test]
    fn a_key_stays_in_its_partition() {
        let partitions = NonZeroU32::new(6).expect("not zero");
        assert_eq!(partition_for_key(b"", partitions), 3);
    }
}
