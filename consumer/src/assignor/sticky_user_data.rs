//! The bytes that sticky members add to their subscription: what they had, and since which generation.
//!
//! v0 is an array of topics with their partitions; v1 adds the generation behind it. There is no version number: v1 is
//! tried first. Decoding takes any bytes and never allocates more than a small multiple of their number.
//!
//! Sources: KIP-54, KIP-341.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{TopicPartition, java_order};

/// What a member of a sticky group had before it rejoined.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StickyUserData {
    /// The partitions it had.
    pub partitions: Vec<TopicPartition>,
    /// The generation that gave them to it; members that write v0 do not tell it.
    pub generation_id: Option<i32>,
}

impl StickyUserData {
    /// The bytes of v1, or of v0 if there is no generation.
    ///
    /// Topics come in the Java client's order, so that equal contents give equal bytes. Topic names longer than a Kafka
    /// string can hold (32,767 bytes; brokers allow 249) are left out.
    pub fn encode(&self) -> Bytes {
        let mut topics: Vec<&str> = Vec::new();
        let mut partitions: HashMap<&str, Vec<i32>> = HashMap::new();
        for TopicPartition { topic, partition } in &self.partitions {
            if i16::try_from(topic.len()).is_ok() {
                let list = partitions.entry(topic).or_default();
                if list.is_empty() {
                    topics.push(topic);
                }
                list.push(*partition);
            }
        }
        let mut bytes = BytesMut::new();
        bytes.put_u32(topics.len() as u32);
        for topic in java_order::hash_order(&topics).into_iter().map(|at| topics[at]) {
            let list = &partitions[topic];
            bytes.put_u16(topic.len() as u16);
            bytes.put_slice(topic.as_bytes());
            bytes.put_u32(list.len() as u32);
            list.iter().for_each(|&partition| bytes.put_i32(partition));
        }
        if let Some(generation) = self.generation_id {
            bytes.put_i32(generation);
        }
        bytes.freeze()
    }

    /// Reads v1, or v0 where the generation is missing; `None` if the bytes are neither.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = bytes;
        let mut partitions = Vec::new();
        for _ in 0..count(&mut input, 2 + 4)? {
            let length = usize::try_from(input.try_get_i16().ok()?).ok()?;
            let (name, rest) = input.split_at_checked(length)?;
            let topic: Arc<str> = Arc::from(str::from_utf8(name).ok()?);
            input = rest;
            for _ in 0..count(&mut input, 4)? {
                let partition = input.try_get_i32().ok()?;
                partitions.push(TopicPartition { topic: Arc::clone(&topic), partition });
            }
        }
        Some(Self { partitions, generation_id: input.try_get_i32().ok() })
    }
}

/// Reads the number of elements of an array, if that many elements of `min_size` bytes can follow.
fn count(input: &mut &[u8], min_size: usize) -> Option<usize> {
    let count = usize::try_from(input.try_get_i32().ok()?).ok()?;
    (count <= input.len() / min_size).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(generation_id: Option<i32>) -> StickyUserData {
        let partitions = vec![TopicPartition::new("t0", 4), TopicPartition::new("t0", 7)];
        StickyUserData { partitions, generation_id }
    }

    #[test]
    fn v1_ends_with_the_generation() {
        let bytes = sample(Some(9)).encode();
        assert_eq!(&bytes[..], b"\0\0\0\x01\0\x02t0\0\0\0\x02\0\0\0\x04\0\0\0\x07\0\0\0\x09");
        assert_eq!(StickyUserData::decode(&bytes), Some(sample(Some(9))));
    }

    #[test]
    fn v0_has_no_generation_and_a_torn_one_is_none() {
        let bytes = sample(None).encode();
        assert_eq!(StickyUserData::decode(&bytes), Some(sample(None)));
        assert_eq!(StickyUserData::decode(&[&bytes[..], &[0, 0]].concat()), Some(sample(None)));
    }

    #[test]
    fn every_proper_prefix_of_v0_is_refused() {
        let bytes = sample(None).encode();
        for length in 0..bytes.len() {
            assert_eq!(StickyUserData::decode(&bytes[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn counts_beyond_the_input_are_refused() {
        assert_eq!(StickyUserData::decode(&[0x7f, 0xff, 0xff, 0xff, 0, 1, b't', 0, 0, 0, 0]), None);
        assert_eq!(StickyUserData::decode(&[0xff; 16]), None);
        assert_eq!(StickyUserData::decode(&[0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0]), None);
        assert_eq!(StickyUserData::decode(&[0, 0, 0, 1, 0, 1, 0xff, 0, 0, 0, 0]), None);
    }
}
