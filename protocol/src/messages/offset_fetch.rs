//! OffsetFetch: where groups have come to, as OffsetCommit left it. Goes to the groups' coordinator. Needs
//! Describe on the groups and on the topics; where everything is asked for, other topics are left out.
//!
//! Up to version 7 the request is about one group, and `group_id` and `topics` hold it; from 8 on it is about
//! several, in `groups`, and the answer has the same two forms. A group that isn't there has committed
//! nothing, which is no error.
//!
//! Versions: 0 read from ZooKeeper (only brokers before 4.0 take it); from 2 on null topics ask for
//! everything committed, and errors of the group stand apart from those of partitions; 5 brings the leader
//! epoch; 7 can insist on offsets that no open transaction may still change; 9 names the member, for the
//! consumer protocol; 10 names topics by id.
//!
//! Sources: KIP-88 (everything committed), KIP-320 (leader epoch), KIP-447 (stable offsets), KIP-709 (several
//! groups), KIP-848 (consumer protocol, topic ids), KIP-896 (removed version).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(OFFSET_FETCH: OffsetFetchRequest => OffsetFetchResponse, versions 0..=10, flexible 6..);

wire! {
    /// Asks for committed offsets.
    pub struct OffsetFetchRequest {
        /// The group, up to version 7; `NOT_COORDINATOR` if another broker takes care of it by now.
        [..=7] group_id: String,
        /// The topics, up to version 7; null for whatever the group has committed.
        [..=7, nullable 2..=7] topics: Option<Vec<OffsetFetchRequestTopic>> = Some(Vec::new()),
        /// The groups, from version 8 on.
        [8..] groups: Vec<OffsetFetchRequestGroup>,
        /// Whether a partition with a commit in an open transaction is answered with
        /// `UNSTABLE_OFFSET_COMMIT`, to be asked again, instead of the offset before it. What read-committed
        /// consumers start from.
        [7..] require_stable: bool,
    }

    /// A topic, up to version 7.
    pub struct OffsetFetchRequestTopic {
        /// The topic's name.
        [..=7] name: String,
        /// The partitions asked for.
        [..=7] partition_indexes: Vec<i32>,
    }

    /// A group, from version 8 on.
    pub struct OffsetFetchRequestGroup {
        /// The group.
        [8..] group_id: String,
        /// The member that asks, in a group of the consumer protocol; `UNKNOWN_MEMBER_ID` if the coordinator
        /// doesn't have it. Null, with epoch -1: no check.
        [9.., ignorable] member_id: Option<String>,
        /// Its epoch; `STALE_MEMBER_EPOCH` if that is over, and the member asks again with the one from its
        /// next heartbeat. -1: no check. Classic groups check neither.
        [9.., ignorable] member_epoch: i32 = -1,
        /// The topics; null for whatever the group has committed.
        [8..] topics: Option<Vec<OffsetFetchRequestTopics>> = Some(Vec::new()),
    }

    /// A topic, from version 8 on.
    pub struct OffsetFetchRequestTopics {
        /// The topic's name, up to version 9.
        [8..=9, ignorable] name: String,
        /// The topic's id, from version 10 on; `UNKNOWN_TOPIC_ID` if the broker knows no such topic.
        [10.., ignorable] topic_id: Uuid,
        /// The partitions asked for.
        [8..] partition_indexes: Vec<i32>,
    }

    /// Committed offsets.
    pub struct OffsetFetchResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [3.., ignorable] throttle_time_ms: i32,
        /// The topics, up to version 7.
        [..=7] topics: Vec<OffsetFetchResponseTopic>,
        /// As [`OffsetFetchResponseGroup::error_code`], in versions 2 to 7; in older ones it stands at each
        /// partition.
        [2..=7, ignorable] error_code: ErrorCode,
        /// The groups, from version 8 on.
        [8..] groups: Vec<OffsetFetchResponseGroup>,
    }

    /// A topic's offsets, up to version 7.
    pub struct OffsetFetchResponseTopic {
        /// The topic's name.
        [..=7] name: String,
        /// Its partitions.
        [..=7] partitions: Vec<OffsetFetchResponsePartition>,
    }

    /// A partition's offset, up to version 7.
    pub struct OffsetFetchResponsePartition {
        /// The partition's index.
        [..=7] partition_index: i32,
        /// The offset of the next record to read; -1 if nothing is committed.
        [..=7] committed_offset: i64,
        /// The leader epoch that was committed with it; -1 if none was.
        [5..=7, ignorable] committed_leader_epoch: i32 = -1,
        /// The text that was committed with it.
        [..=7] metadata: Option<String> = Some(String::new()),
        /// As [`OffsetFetchResponsePartitions::error_code`].
        [..=7] error_code: ErrorCode,
    }

    /// A group's offsets, from version 8 on.
    pub struct OffsetFetchResponseGroup {
        /// The group.
        [8..] group_id: String,
        /// Its topics.
        [8..] topics: Vec<OffsetFetchResponseTopics>,
        /// What concerns the group as a whole: `NOT_COORDINATOR`, `COORDINATOR_NOT_AVAILABLE`,
        /// `COORDINATOR_LOAD_IN_PROGRESS`, `GROUP_AUTHORIZATION_FAILED`, and what the request's member fields
        /// name. The group's topics are empty then.
        [8..] error_code: ErrorCode,
    }

    /// A topic's offsets, from version 8 on.
    pub struct OffsetFetchResponseTopics {
        /// The topic's name, up to version 9.
        [8..=9, ignorable] name: String,
        /// The topic's id, from version 10 on.
        [10.., ignorable] topic_id: Uuid,
        /// Its partitions.
        [8..] partitions: Vec<OffsetFetchResponsePartitions>,
    }

    /// A partition's offset, from version 8 on.
    pub struct OffsetFetchResponsePartitions {
        /// The partition's index.
        [8..] partition_index: i32,
        /// The offset of the next record to read; -1 if nothing is committed.
        [8..] committed_offset: i64,
        /// The leader epoch that was committed with it; -1 if none was.
        [8.., ignorable] committed_leader_epoch: i32 = -1,
        /// The text that was committed with it.
        [8..] metadata: Option<String> = Some(String::new()),
        /// Why there is no offset: `UNSTABLE_OFFSET_COMMIT`, `UNKNOWN_TOPIC_ID`,
        /// `TOPIC_AUTHORIZATION_FAILED`. A partition without a commit, even one that doesn't exist, is no
        /// error.
        [8..] error_code: ErrorCode,
    }
}
