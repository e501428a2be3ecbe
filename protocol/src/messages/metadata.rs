//! Metadata: brokers, topics, and who leads which partition. Any broker answers.
//!
//! Versions: 1 tells "all topics" (null) from "no topic" (empty) and names controller and racks; 4 lets the client
//! forbid that asking creates a topic; 5 lists offline replicas; 7 adds leader epochs; 8 adds authorized operations;
//! 9 is flexible; 10 adds topic ids, which may replace names in requests from 12 on; 13 adds an error for the answer
//! as a whole.
//!
//! Sources: KIP-4, KIP-36 (racks), KIP-78 (cluster id), KIP-112 (offline replicas), KIP-320 (leader epochs), KIP-361
//! (no creation by asking), KIP-430 (authorized operations), KIP-516 (topic ids), KIP-700 (DescribeCluster),
//! KIP-1102 (rebootstrap).

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{BrokerIds, api, wire};

api!(METADATA: MetadataRequest => MetadataResponse, versions 0..=13, flexible 9..);

wire! {
    /// Asks about topics and the brokers that serve them.
    pub struct MetadataRequest {
        /// The topics asked for; null asks for every topic that the client may see. In version 0 an empty list does.
        [nullable 1..] topics: Option<Vec<MetadataRequestTopic>> = Some(Vec::new()),
        /// Lets a broker with `auto.create.topics.enable` create what is missing; at first it may answer
        /// `UNKNOWN_TOPIC_OR_PARTITION` or `LEADER_NOT_AVAILABLE`.
        [4..] allow_auto_topic_creation: bool = true,
        /// Asks what the client may do with the cluster; later versions have DescribeCluster for this.
        [8..=10] include_cluster_authorized_operations: bool,
        /// Asks what the client may do with each topic.
        [8..] include_topic_authorized_operations: bool,
    }

    /// A topic asked for, by name or by id.
    pub struct MetadataRequestTopic {
        /// The id; brokers take it from version 12 on, and answer `UNKNOWN_TOPIC_ID` where no topic has it.
        [10.., ignorable] topic_id: Uuid,
        /// The name; null where the id is given. Brokers refuse a null below version 12.
        [nullable 10..] name: Option<String> = Some(String::new()),
    }

    /// The cluster as the answering broker sees it, which may lag behind.
    pub struct MetadataResponse {
        /// How long a quota delays the client, in milliseconds.
        [3.., ignorable] throttle_time_ms: i32,
        /// The brokers that are alive, with their addresses on the listener that was asked.
        brokers: Vec<MetadataResponseBroker>,
        /// The cluster's id, the same as long as the cluster lives.
        [2.., ignorable] cluster_id: Option<String>,
        /// A broker that takes controller requests; with KRaft any of them, and each forwards. -1 if there is none.
        [1.., ignorable] controller_id: i32 = -1,
        /// The topics asked for.
        topics: Vec<MetadataResponseTopic>,
        /// A bit for each allowed operation on the cluster; `i32::MIN` where it wasn't asked for.
        [8..=10] cluster_authorized_operations: i32 = i32::MIN,
        /// `REBOOTSTRAP_REQUIRED` tells the client to forget all brokers and to start from its bootstrap list.
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
        /// `UNKNOWN_TOPIC_OR_PARTITION`, `UNKNOWN_TOPIC_ID`, `LEADER_NOT_AVAILABLE` while it is created,
        /// `INVALID_TOPIC_EXCEPTION` for an illegal name, `TOPIC_AUTHORIZATION_FAILED`.
        error_code: ErrorCode,
        /// The name; null only where the topic was asked for by an id that the broker can't or mayn't resolve.
        [nullable 12..] name: Option<String> = Some(String::new()),
        /// The id, which a topic of the same name created later doesn't share; zero where it is unknown.
        [10.., ignorable] topic_id: Uuid,
        /// Whether Kafka itself owns the topic, like `__consumer_offsets`.
        [1.., ignorable] is_internal: bool,
        /// The partitions in no particular order.
        partitions: Vec<MetadataResponsePartition>,
        /// A bit for each allowed operation on the topic; `i32::MIN` where it wasn't asked for.
        [8..] topic_authorized_operations: i32 = i32::MIN,
    }

    /// A partition.
    pub struct MetadataResponsePartition {
        /// `LEADER_NOT_AVAILABLE` during an election, `LISTENER_NOT_FOUND` where the leader lacks this listener.
        error_code: ErrorCode,
        /// The partition's index.
        partition_index: i32,
        /// The broker that takes writes and reads; -1 if there is none now.
        leader_id: i32,
        /// Counts up with each new leader, so that a client can tell old metadata from new; -1 if unknown.
        [7.., ignorable] leader_epoch: i32 = -1,
        /// The brokers that hold a copy.
        replica_nodes: BrokerIds,
        /// The brokers whose copy is in sync.
        isr_nodes: BrokerIds,
        /// The brokers whose copy can't be reached now.
        [5.., ignorable] offline_replicas: BrokerIds,
    }
}
