//! StreamsGroupDescribe: the state of streams groups, their topologies and members. Goes to the groups'
//! coordinator. Needs Describe on the groups and on all topics of their topologies. `UNSUPPORTED_VERSION`
//! where the cluster has streams groups switched off.
//!
//! Sources: KIP-1071, KIP-430 (authorized operations).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(
    STREAMS_GROUP_DESCRIBE: StreamsGroupDescribeRequest => StreamsGroupDescribeResponse,
    versions 0..=0, flexible 0..
);

wire! {
    /// Asks about streams groups.
    pub struct StreamsGroupDescribeRequest {
        /// The groups; each is answered by itself.
        group_ids: Vec<String>,
        /// Asks what the client may do with each group.
        include_authorized_operations: bool,
    }

    /// The groups.
    pub struct StreamsGroupDescribeResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// The groups.
        groups: Vec<DescribedGroup>,
    }

    /// A group, or why there is none.
    pub struct DescribedGroup {
        /// `GROUP_ID_NOT_FOUND`, also for a group of another type; `INVALID_GROUP_ID` if empty,
        /// `NOT_COORDINATOR` and its like, `GROUP_AUTHORIZATION_FAILED`, and `TOPIC_AUTHORIZATION_FAILED` if
        /// the client mayn't see a topic of the group.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
        /// The group's id.
        group_id: String,
        /// `Empty`, `NotReady` (topics are missing or don't fit), `Assigning`, `Reconciling`, `Stable` or
        /// `Dead`; empty with an error.
        group_state: String,
        /// Counts the changes of members, topology and topics.
        group_epoch: i32,
        /// The group epoch that the target assignment was computed for.
        assignment_epoch: i32,
        /// The topology that the group has taken over; null with an error.
        topology: Option<Topology>,
        /// The members.
        members: Vec<Member>,
        /// What the client may do with the group, bit *n* for operation *n* of
        /// [`describe_acls`](super::describe_acls); `i32::MIN` where it wasn't asked for.
        authorized_operations: i32 = i32::MIN,
    }

    /// What the application does, as far as the coordinator knows.
    pub struct Topology {
        /// The epoch that the members gave it.
        epoch: i32,
        /// Its parts, with patterns resolved and partitions counted; null while source topics are missing or
        /// don't fit.
        subtopologies: Option<Vec<Subtopology>>,
    }

    /// A part of a topology.
    pub struct Subtopology {
        /// Its id, the same at every member.
        subtopology_id: String,
        /// The topics it reads.
        source_topics: Vec<String>,
        /// The repartition topics it writes.
        repartition_sink_topics: Vec<String>,
        /// The topics that its state is logged in, which the coordinator creates.
        state_changelog_topics: Vec<TopicInfo>,
        /// The repartition topics it reads, which the coordinator creates.
        repartition_source_topics: Vec<TopicInfo>,
    }

    /// A topic that the coordinator creates.
    pub struct TopicInfo {
        /// The topic's name.
        name: String,
        /// How many partitions it has to have; 0 where no number is asked for.
        partitions: i32,
        /// How many replicas; 0 for the broker's default.
        replication_factor: i16,
        /// Settings that differ from the broker's defaults.
        topic_configs: Vec<KeyValue>,
    }

    /// A member.
    pub struct Member {
        /// The id it gave itself.
        member_id: String,
        /// The group epoch that the member has reached.
        member_epoch: i32,
        /// Its `group.instance.id`, if it is static.
        instance_id: Option<String>,
        /// `client.rack`, where it is set.
        rack_id: Option<String>,
        /// `client.id` of the member.
        client_id: String,
        /// Where it connects from, as the broker sees it.
        client_host: String,
        /// The epoch of the topology it runs, which may be older than the group's.
        topology_epoch: i32,
        /// The process, which may run several members.
        process_id: String,
        /// Where to query its state, if it said so.
        user_endpoint: Option<Endpoint>,
        /// `client.tag.*`, for an assignor that spreads standby tasks by rack.
        client_tags: Vec<KeyValue>,
        /// How far each task's state has come, as the sum over its changelogs.
        task_offsets: Vec<TaskOffset>,
        /// Where each task's changelogs end, as the sum over them.
        task_end_offsets: Vec<TaskOffset>,
        /// The tasks it has now.
        assignment: Assignment,
        /// The tasks it will have once everybody has given up what is no longer theirs.
        target_assignment: Assignment,
        /// Whether it still speaks the classic protocol.
        is_classic: bool,
    }

    /// An address.
    pub struct Endpoint {
        /// The name or address to dial.
        host: String,
        /// The port to dial.
        port: u16,
    }

    /// A name and a value.
    pub struct KeyValue {
        /// The name of the tag or setting.
        key: String,
        /// Its value.
        value: String,
    }

    /// A place in a task's changelogs.
    pub struct TaskOffset {
        /// The task's subtopology.
        subtopology_id: String,
        /// The task's partition.
        partition: i32,
        /// The sum of the offsets.
        offset: i64,
    }

    /// A member's tasks.
    pub struct Assignment {
        /// Those that process records.
        active_tasks: Vec<TaskIds>,
        /// Those that keep a copy of the state.
        standby_tasks: Vec<TaskIds>,
        /// Those that load the state, to become active later.
        warmup_tasks: Vec<TaskIds>,
    }

    /// Tasks of a subtopology.
    pub struct TaskIds {
        /// The subtopology's id.
        subtopology_id: String,
        /// A task for each of these partitions.
        partitions: Vec<i32>,
    }
}
