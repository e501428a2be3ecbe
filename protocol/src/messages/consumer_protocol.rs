//! The classic consumer protocol: what members of a consumer group tell each other inside JoinGroup and SyncGroup.
//!
//! The broker passes these blobs on unread. Each is an `int16` version and a body that is never flexible. A member
//! reads a version it doesn't know as the newest it knows, and passes over what follows, in any version: versions
//! only ever append fields, and the members of a group are not all updated at once.
//!
//! The broker does compare a member's subscription bytewise with its last one to tell whether it changed, so equal
//! subscriptions must be equal bytes: see [`ConsumerProtocolSubscription::sort`].
//!
//! By version: 1 brings the owned partitions, 2 the generation in which they were owned, 3 the rack. Assignments are
//! the same in all of them.
//!
//! Sources: KIP-429 (owned partitions), KIP-792 (generation), KIP-881 (rack).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use alloc::collections::BTreeMap;

use bytes::Bytes;

use crate::wire::{DecodeError, EncodeError, Message, Reader, Row, Writer, wire};

/// The protocol type of consumer groups in JoinGroup and SyncGroup.
pub const PROTOCOL_TYPE: &str = "consumer";

/// The newest version of both blobs.
pub const NEWEST_VERSION: i16 = 3;

wire! {
    /// What a member wants, sent to the leader's assignor as JoinGroup metadata.
    pub struct ConsumerProtocolSubscription {
        /// The topics to be assigned from.
        topics: Vec<String>,
        /// Whatever the assignor of this member wants to tell that of the leader.
        user_data: Option<Bytes>,
        /// What the member held when it joined; sticky assignors leave as much of it in place as they can.
        [1.., ignorable] owned_partitions: Vec<TopicPartition>,
        /// The generation in which it held that; of two members with the same claim the newer one counts. -1: none.
        [2.., ignorable] generation_id: i32 = -1,
        /// The member's `client.rack`; an empty one is to be taken for none.
        [3.., ignorable] rack_id: Option<String>,
    }

    /// What a member gets, from the leader's assignor by way of SyncGroup.
    pub struct ConsumerProtocolAssignment {
        /// The partitions to read.
        assigned_partitions: Vec<TopicPartition>,
        /// Whatever the assignor of the leader wants to tell that of this member.
        user_data: Option<Bytes>,
    }

    /// Partitions of one topic.
    pub struct TopicPartition {
        /// The topic's name.
        topic: String,
        /// The partitions' numbers.
        partitions: Vec<i32>,
    }
}

impl ConsumerProtocolSubscription {
    /// Puts topics, owned topics and their partitions in ascending order, as the Java client sends them.
    pub fn sort(&mut self) {
        self.topics.sort_unstable();
        self.owned_partitions.sort_by(|a, b| a.topic.cmp(&b.topic));
        self.owned_partitions.iter_mut().for_each(|topic| topic.partitions.sort_unstable());
    }
}

impl TopicPartition {
    /// Gathers single partitions by topic; topics, and partitions within each, stay in order of first appearance.
    pub fn group<'a>(partitions: impl IntoIterator<Item = (&'a str, i32)>) -> Vec<TopicPartition> {
        let mut places = BTreeMap::new();
        let mut topics: Vec<TopicPartition> = Vec::new();
        for (topic, partition) in partitions {
            let place = *places.entry(topic).or_insert_with(|| {
                topics.push(TopicPartition { topic: topic.to_owned(), ..Default::default() });
                topics.len() - 1
            });
            topics[place].partitions.push(partition);
        }
        topics
    }
}

/// The blob of a subscription in `version`; one outside 0 to [`NEWEST_VERSION`] counts as the nearest of them.
///
/// # Errors
/// A text or list that is too long for the format.
pub fn encode_subscription(
    subscription: &ConsumerProtocolSubscription,
    version: i16,
) -> Result<Bytes, EncodeError> {
    encode(subscription, version)
}

/// The blob of an assignment in `version`; one outside 0 to [`NEWEST_VERSION`] counts as the nearest of them.
///
/// # Errors
/// A text or list that is too long for the format.
pub fn encode_assignment(
    assignment: &ConsumerProtocolAssignment,
    version: i16,
) -> Result<Bytes, EncodeError> {
    encode(assignment, version)
}

/// Reads a subscription and the version that its sender wrote, which may be newer than [`NEWEST_VERSION`].
///
/// # Errors
/// Whatever is malformed, a negative version included. Bytes left over are not an error.
pub fn decode_subscription(blob: &Bytes) -> Result<(ConsumerProtocolSubscription, i16), DecodeError> {
    decode(blob)
}

/// Reads an assignment and the version that its sender wrote, which may be newer than [`NEWEST_VERSION`].
///
/// # Errors
/// Whatever is malformed, a negative version included. Bytes left over are not an error.
pub fn decode_assignment(blob: &Bytes) -> Result<(ConsumerProtocolAssignment, i16), DecodeError> {
    decode(blob)
}

fn encode<M: Message>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let version = version.clamp(0, NEWEST_VERSION);
    let mut writer = Writer::new(version, false);
    writer.raw(&version.to_be_bytes());
    writer.message(message)?;
    writer.finish().map(|frame| frame.to_bytes())
}

fn decode<M: Message>(blob: &Bytes) -> Result<(M, i16), DecodeError> {
    let mut reader = Reader::new(blob, 0, false);
    let version = reader.version_prefix(&const { Row::plain(M::NAME, "version") }, NEWEST_VERSION)?;
    Ok((reader.message()?, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{DecodeErrorKind, Place};

    fn subscription() -> ConsumerProtocolSubscription {
        ConsumerProtocolSubscription {
            topics: vec!["b".into(), "a".into()],
            user_data: Some(Bytes::from_static(&[7])),
            owned_partitions: TopicPartition::group([("b", 1), ("a", 2), ("b", 0)]),
            generation_id: 5,
            rack_id: Some("r".into()),
            ..Default::default()
        }
    }

    fn topic(topic: &str, partitions: &[i32]) -> TopicPartition {
        TopicPartition { topic: topic.into(), partitions: partitions.into(), ..Default::default() }
    }

    #[test]
    fn grouping_keeps_the_order_of_first_appearance() {
        let grouped = TopicPartition::group([("b", 1), ("a", 2), ("b", 0)]);
        assert_eq!(grouped, [topic("b", &[1, 0]), topic("a", &[2])]);
    }

    #[test]
    fn sorting_orders_topics_and_partitions() {
        let mut sorted = subscription();
        sorted.sort();
        assert_eq!(sorted.topics, ["a", "b"]);
        assert_eq!(sorted.owned_partitions, [topic("a", &[2]), topic("b", &[0, 1])]);
    }

    #[test]
    fn an_older_version_leaves_out_what_it_lacks() {
        let blob = encode_subscription(&subscription(), 1).expect("it fits");
        let expected = ConsumerProtocolSubscription { generation_id: -1, rack_id: None, ..subscription() };
        assert_eq!(decode_subscription(&blob), Ok((expected, 1)));
    }

    #[test]
    fn a_newer_version_reads_as_the_newest_known_and_what_it_adds_is_passed_over() {
        let mut blob = encode_subscription(&subscription(), i16::MAX).expect("it fits").to_vec();
        assert_eq!(blob[..2], [0, 3]);
        blob[1] = 47;
        blob.extend([1, 2, 3]);
        assert_eq!(decode_subscription(&blob.into()), Ok((subscription(), 47)));
    }

    #[test]
    fn known_versions_pass_over_what_follows_as_well() {
        let assignment = ConsumerProtocolAssignment {
            assigned_partitions: vec![topic("a", &[2])],
            user_data: None,
            ..Default::default()
        };
        for version in 0..=NEWEST_VERSION {
            let mut blob = encode_assignment(&assignment, version).expect("it fits").to_vec();
            blob.push(0);
            assert_eq!(decode_assignment(&blob.into()), Ok((assignment.clone(), version)));
        }
    }

    #[test]
    fn a_negative_version_is_refused() {
        let place = Place { message: "ConsumerProtocolAssignment", field: "version" };
        assert_eq!(
            decode_assignment(&Bytes::from_static(&[0xff; 20])),
            Err(DecodeError { place, offset: 2, kind: DecodeErrorKind::UnknownVersion(-1) })
        );
    }

    #[test]
    fn an_empty_blob_is_refused() {
        let place = Place { message: "ConsumerProtocolAssignment", field: "version" };
        let kind = DecodeErrorKind::Truncated { needed: 2, remaining: 0 };
        assert_eq!(decode_assignment(&Bytes::new()), Err(DecodeError { place, offset: 0, kind }));
    }
}
