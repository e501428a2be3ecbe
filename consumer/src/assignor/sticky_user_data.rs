//! The bytes that sticky members add to their subscription: what they had, and since which generation.
//!
//! Their field table is the protocol's, [`ottla_protocol::messages::sticky_user_data`]; here they become the assignors' own
//! partitions, in the order in which the Java client writes them. Decoding takes any bytes and never allocates more than a
//! small multiple of their number.
//!
//! Sources: KIP-54, KIP-341.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::messages::sticky_user_data::{self, StickyAssignorUserData, TopicAssignment};

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
        let assignment = java_order::hash_order(&topics).into_iter().map(|at| TopicAssignment {
            topic: topics[at].to_owned(),
            partitions: partitions.remove(topics[at]).unwrap_or_default(),
            ..Default::default()
        });
        let data = StickyAssignorUserData {
            previous_assignment: assignment.collect(),
            generation: self.generation_id.unwrap_or(-1),
            ..Default::default()
        };
        let version = if self.generation_id.is_some() { 1 } else { 0 };
        // Only texts or lists that the format can't hold are errors; long names are left out above, and memory holds no
        // list of 2³¹ partitions.
        sticky_user_data::encode(&data, version).unwrap_or_default()
    }

    /// Reads v1, or v0 where the generation is missing; `None` if the bytes are neither.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (data, version) = sticky_user_data::decode(&Bytes::copy_from_slice(bytes)).ok()?;
        let mut partitions = Vec::new();
        for TopicAssignment { topic, partitions: list, .. } in data.previous_assignment {
            let topic: Arc<str> = Arc::from(topic);
            partitions.extend(
                list.into_iter().map(|partition| TopicPartition { topic: Arc::clone(&topic), partition }),
            );
        }
        Some(Self { partitions, generation_id: (version >= 1).then_some(data.generation) })
    }
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
    fn names_that_no_kafka_string_holds_are_left_out() {
        let mut data = sample(Some(1));
        data.partitions.push(TopicPartition::new("x".repeat(32_768), 0));
        assert_eq!(StickyUserData::decode(&data.encode()), Some(sample(Some(1))));
    }

    #[test]
    fn what_is_neither_version_is_refused() {
        let bytes = sample(None).encode();
        for length in 0..bytes.len() {
            assert_eq!(StickyUserData::decode(&bytes[..length]), None, "{length} bytes");
        }
        assert_eq!(StickyUserData::decode(&[0xff; 16]), None);
    }
}
