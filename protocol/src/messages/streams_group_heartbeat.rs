//! StreamsGroupHeartbeat: joins a streams group, stays in it, leaves it, and learns which tasks to run. Goes
//! to the group's coordinator. Needs Read on the group and Describe on the topology's topics; Create, on the
//! cluster or on them, for the internal topics that are missing.
//!
//! The member tells the coordinator its topology; the coordinator creates the internal topics and assigns
//! tasks: a task is a partition of a subtopology. The member makes up its own id. What hasn't changed since
//! the last heartbeat is null, in both directions; a member that joins sends everything.
//! `UNSUPPORTED_VERSION` where the cluster has streams groups switched off.
//!
//! Kafka 4.3 answers `INVALID_REQUEST` to what the protocol foresees but its coordinator can't do yet: static
//! members, task offsets, warm-up tasks reported by a member, patterns of source topics, and another topology
//! than the group has.
//!
//! Sources: KIP-1071.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(
    STREAMS_GROUP_HEARTBEAT: StreamsGroupHeartbeatRequest => StreamsGroupHeartbeatResponse,
    versions 0..=0, flexible 0..
);

wire! {
    /// A sign of life, with what has changed at the member.
    pub struct StreamsGroupHeartbeatRequest {
        /// The group, which is the `application.id`, created by the first that joins; `INVALID_REQUEST` if
        /// empty, `GROUP_ID_NOT_FOUND` if it is of another type.
        group_id: String,
        /// The id that the member gave itself for as long as it lives; `INVALID_REQUEST` if empty,
        /// `UNKNOWN_MEMBER_ID` if the coordinator has removed it.
        member_id: String,
        /// 0 to join, -1 to leave, -2 for a static member that comes back soon, else the epoch from the last
        /// answer; one that is neither the member's nor, as after a lost answer, the one before is answered
        /// with `FENCED_MEMBER_EPOCH`.
        member_epoch: i32,
        /// The `endpoint_information_epoch` of the last answer; if the group's is another by now, the answer
        /// carries everybody's endpoints.
        endpoint_information_epoch: i32,
        /// The `group.instance.id` of a static member; `UNRELEASED_INSTANCE_ID` while another member has it.
        instance_id: Option<String>,
        /// `client.rack`, where it is set.
        rack_id: Option<String>,
        /// Milliseconds the coordinator waits for the member to give up tasks; then it removes it. -1:
        /// unchanged, in a join `INVALID_REQUEST`.
        rebalance_timeout_ms: i32 = -1,
        /// What the application does, sent only when joining (else, or if null then, `INVALID_REQUEST`); the
        /// group takes it over if it has none. `STREAMS_INVALID_TOPOLOGY` if a name is illegal or Kafka's
        /// own, or a changelog topic asks for a number of partitions; `TOPIC_AUTHORIZATION_FAILED` if a topic
        /// may not be described.
        topology: Option<Topology>,
        /// The active tasks that the member has now; empty in a join. Of the three kinds of tasks all are
        /// given or none; `INVALID_REQUEST` otherwise, and for a task that the topology doesn't have.
        active_tasks: Option<Vec<TaskIds>>,
        /// The standby tasks that the member has now.
        standby_tasks: Option<Vec<TaskIds>>,
        /// The warm-up tasks that the member has now.
        warmup_tasks: Option<Vec<TaskIds>>,
        /// The process, which may run several members; the assignor spreads a task's copies over processes.
        process_id: Option<String>,
        /// Where other instances of the application can query this one's state; `application.server`.
        user_endpoint: Option<Endpoint>,
        /// `client.tag.*`, for an assignor that spreads standby tasks by rack.
        client_tags: Option<Vec<KeyValue>>,
        /// How far each task's state has come, as the sum over its changelogs.
        task_offsets: Option<Vec<TaskOffset>>,
        /// Where each task's changelogs end, as the sum over them.
        task_end_offsets: Option<Vec<TaskOffset>>,
        /// Asks all members to shut down; they hear of it by status 4.
        shutdown_application: bool,
    }

    /// What the application does, as far as the coordinator has to know.
    pub struct Topology {
        /// Counts the application's topologies. A lower one than the group's gives status 0.
        epoch: i32,
        /// The parts that share no state and no topic other than repartition topics.
        subtopologies: Vec<Subtopology>,
    }

    /// A part of a topology.
    pub struct Subtopology {
        /// Its id, the same at every member.
        subtopology_id: String,
        /// The topics it reads; status 1 while one is missing.
        source_topics: Vec<String>,
        /// Patterns of topics it reads.
        source_topic_regex: Vec<String>,
        /// The topics that its state is logged in, which the coordinator creates.
        state_changelog_topics: Vec<TopicInfo>,
        /// The repartition topics it writes.
        repartition_sink_topics: Vec<String>,
        /// The repartition topics it reads, which the coordinator creates.
        repartition_source_topics: Vec<TopicInfo>,
        /// Topics that must have the same number of partitions; status 2 if they don't.
        copartition_groups: Vec<CopartitionGroup>,
    }

    /// Topics with the same number of partitions, by their places in the subtopology's lists.
    pub struct CopartitionGroup {
        /// Places in `source_topics`.
        source_topics: Vec<i16>,
        /// Places in `source_topic_regex`.
        source_topic_regex: Vec<i16>,
        /// Places in `repartition_source_topics`.
        repartition_source_topics: Vec<i16>,
    }

    /// A topic that the coordinator creates; where the client may not have it created, status 3 says so.
    pub struct TopicInfo {
        /// The topic's name.
        name: String,
        /// How many partitions; 0 lets the coordinator choose, and always stands with changelogs.
        partitions: i32,
        /// How many replicas; 0 for the broker's default.
        replication_factor: i16,
        /// Settings that differ from the broker's defaults.
        topic_configs: Vec<KeyValue>,
    }

    /// A name and a value.
    pub struct KeyValue {
        /// The name of the tag or setting.
        key: String,
        /// Its value.
        value: String,
    }

    /// An address.
    pub struct Endpoint {
        /// The name or address to dial.
        host: String,
        /// The port to dial.
        port: u16,
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

    /// Tasks of a subtopology.
    pub struct TaskIds {
        /// The subtopology's id.
        subtopology_id: String,
        /// A task for each of these partitions.
        partitions: Vec<i32>,
    }

    /// What the coordinator wants of the member.
    pub struct StreamsGroupHeartbeatResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `NOT_COORDINATOR` and its like pass; after `UNKNOWN_MEMBER_ID` and `FENCED_MEMBER_EPOCH` the
        /// member joins anew; `GROUP_MAX_SIZE_REACHED` (`group.streams.max.size`),
        /// `GROUP_AUTHORIZATION_FAILED` and what else the request's fields name is final. Reserved and not
        /// sent by Kafka 4.3: `STREAMS_INVALID_TOPOLOGY_EPOCH`, `STREAMS_TOPOLOGY_FENCED`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
        /// The member's id.
        member_id: String,
        /// The epoch for the next heartbeat.
        member_epoch: i32,
        /// After how many milliseconds the next heartbeat is due; without any for
        /// `group.streams.session.timeout.ms` the member is removed.
        heartbeat_interval_ms: i32,
        /// How far a warm-up task may lag behind to count as caught up, in offsets.
        acceptable_recovery_lag: i32,
        /// Milliseconds until `task_offsets` are due again; they go with the next heartbeat after that.
        task_offset_interval_ms: i32,
        /// What keeps the group from working; each comes again until it is over.
        status: Option<Vec<Status>> = Some(Vec::new()),
        /// The active tasks to have; null if all three kinds are as before.
        active_tasks: Option<Vec<TaskIds>>,
        /// The standby tasks to have; null with `active_tasks`.
        standby_tasks: Option<Vec<TaskIds>>,
        /// The warm-up tasks to have; null with `active_tasks`.
        warmup_tasks: Option<Vec<TaskIds>>,
        /// The epoch of the endpoints, for the next heartbeat.
        endpoint_information_epoch: i32,
        /// Which instance has which partitions' state, for queries; null if the member's epoch of the
        /// endpoints is the newest.
        partitions_by_user_endpoint: Option<Vec<EndpointToPartitions>>,
    }

    /// The state that an instance of the application has.
    pub struct EndpointToPartitions {
        /// Where to query it.
        user_endpoint: Endpoint,
        /// The input partitions of its active tasks.
        active_partitions: Vec<TopicPartition>,
        /// The input partitions of its standby tasks.
        standby_partitions: Vec<TopicPartition>,
    }

    /// Something that the member has to know of the group.
    pub struct Status {
        /// 0 the member's topology is older than the group's; 1 source topics are missing; 2 partition
        /// numbers don't fit together; 3 internal topics are missing, and the coordinator tries to create
        /// them; 4 a member asked all to shut down; 5 the assignment comes later.
        status_code: i8,
        /// The same in words, with the topics that it is about.
        status_detail: String,
    }

    /// Partitions of a topic.
    pub struct TopicPartition {
        /// The topic's name.
        topic: String,
        /// The partitions' indexes.
        partitions: Vec<i32>,
    }
}
