//! Metadata: brokers, topics, and who leads which partition. Any broker answers, out of what it has learnt so
//! far.
//!
//! Needs Describe on the topics; to create one by asking, Create on the topic or on the cluster. Where all
//! topics are asked for, those that the client may not describe are left out.
//!
//! Versions: 1 tells "all topics" (null) from "no topic" (empty) and names controller and racks; 2 adds the
//! cluster id; 4 lets the client forbid that asking creates a topic; 5 lists offline replicas; 6 answers
//! `LISTENER_NOT_FOUND` where older ones say `LEADER_NOT_AVAILABLE`; 7 adds leader epochs; 8 adds authorized
//! operations; 9 is flexible; 10 adds topic ids, which may replace names in requests from 12 on; 11 leaves
//! the cluster's authorized operations to DescribeCluster; 13 adds an error for the answer as a whole.
//!
//! Sources: KIP-4, KIP-36 (racks), KIP-78 (cluster id), KIP-112 (offline replicas), KIP-320 (leader epochs),
//! KIP-361 (no creation by asking), KIP-430 (authorized operations), KIP-516 (topic ids), KIP-700
//! (DescribeCluster), KIP-1102 (rebootstrap).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{BrokerIds, api, wire};

api!(METADATA: MetadataRequest => MetadataResponse, versions 0..=13, flexible 9..);

wire! {
    /// Asks about topics and the brokers that serve them.
    pub struct MetadataRequest {
        /// The topics asked for; null asks for every topic that the client may see. In version 0 an empty
        /// list does. If one of them has an id, those with names only are passed over.
        [nullable 1..] topics: Option<Vec<MetadataRequestTopic>> = Some(Vec::new()),
        /// Lets a broker with `auto.create.topics.enable` create what is missing; at first it answers
        /// `UNKNOWN_TOPIC_OR_PARTITION` or `LEADER_NOT_AVAILABLE`, and the client asks again.
        [4..] allow_auto_topic_creation: bool = true,
        /// Asks what the client may do with the cluster; 0 operations are answered without Describe on it.
        [8..=10] include_cluster_authorized_operations: bool,
        /// Asks what the client may do with each topic.
        [8..] include_topic_authorized_operations: bool,
    }

    /// A topic asked for, by name or by id.
    pub struct MetadataRequestTopic {
        /// The id; brokers take it from version 12 on (`INVALID_REQUEST` before) and answer
        /// `UNKNOWN_TOPIC_ID` where no topic has it.
        [10.., ignorable] topic_id: Uuid,
        /// The name; null where the id is given. Brokers refuse a null below version 12 with
        /// `INVALID_REQUEST`.
        [nullable 10..] name: Option<String> = Some(String::new()),
    }

    /// The cluster as the answering broker sees it, which may lag behind.
    pub struct MetadataResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [3.., ignorable] throttle_time_ms: i32,
        /// The brokers that are alive, with their addresses on the listener that was asked.
        brokers: Vec<MetadataResponseBroker>,
        /// The cluster's id, the same as long as the cluster lives.
        [2.., ignorable] cluster_id: Option<String>,
        /// A broker that takes controller requests; with KRaft any that is alive, and it passes them on. -1
        /// if there is none.
        [1.., ignorable] controller_id: i32 = -1,
        /// The topics asked for, in no particular order.
        topics: Vec<MetadataResponseTopic>,
        /// What the client may do with the cluster, bit *n* for operation *n* of
        /// [`describe_acls`](super::describe_acls); `i32::MIN` where it wasn't asked for.
        [8..=10] cluster_authorized_operations: i32 = i32::MIN,
        /// `REBOOTSTRAP_REQUIRED` tells the client to forget all brokers and to start from its bootstrap
        /// list; Kafka 4.3's own brokers don't send it.
        [13.., ignorable] error_code: ErrorCode,
    }

    /// A broker.
    pub struct MetadataResponseBroker {
        /// The broker's id.
        node_id: i32,
        /// The name or address to dial.
        host: String,
        /// The port to dial.
        port: i32,
        /// `broker.rack`, where it is set.
        [1.., ignorable] rack: Option<String>,
    }

    /// A topic, or why there is none.
    pub struct MetadataResponseTopic {
        /// `UNKNOWN_TOPIC_OR_PARTITION`, `UNKNOWN_TOPIC_ID`, `LEADER_NOT_AVAILABLE` while it is created (all
        /// three may pass), `INVALID_TOPIC_EXCEPTION` for an illegal name, `TOPIC_AUTHORIZATION_FAILED`.
        error_code: ErrorCode,
        /// The name; null only where the topic was asked for by an id that the broker can't or mayn't
        /// resolve.
        [nullable 12..] name: Option<String> = Some(String::new()),
        /// The id, which a topic of the same name created later doesn't share; zero where it is unknown.
        [10.., ignorable] topic_id: Uuid,
        /// Whether Kafka itself owns the topic, like `__consumer_offsets`.
        [1.., ignorable] is_internal: bool,
        /// The partitions in no particular order.
        partitions: Vec<MetadataResponsePartition>,
        /// What the client may do with the topic, bit *n* for operation *n* of
        /// [`describe_acls`](super::describe_acls); `i32::MIN` where it wasn't asked for.
        [8..] topic_authorized_operations: i32 = i32::MIN,
    }

    /// A partition.
    pub struct MetadataResponsePartition {
        /// `LEADER_NOT_AVAILABLE` during an election, `LISTENER_NOT_FOUND` where the leader lacks the
        /// listener that was asked; in version 0 also `REPLICA_NOT_AVAILABLE` where a replica is down.
        error_code: ErrorCode,
        /// The partition's index.
        partition_index: i32,
        /// The broker that takes writes and reads; -1 if there is none now.
        leader_id: i32,
        /// Counts up with each new leader, so that a client can tell old metadata from new, and names the
        /// leader that its requests are meant for; -1 if unknown.
        [7.., ignorable] leader_epoch: i32 = -1,
        /// The brokers that hold a copy, the preferred leader first.
        replica_nodes: BrokerIds,
        /// The brokers whose copy is in sync, from which the next leader comes.
        isr_nodes: BrokerIds,
        /// The brokers whose copy can't be reached now: they are down, or the disk is.
        [5.., ignorable] offline_replicas: BrokerIds,
    }
}
