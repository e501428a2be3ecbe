//! What of Kafka's schemas we leave out, and what of ours Kafka has no schema for: each with its reason.
//!
//! A test demands that everything in these lists still excludes something.

/// APIs (without `Request` and `Response`) and blobs that have no table.
pub const EXCLUDED: &[(&str, &str)] = &[
    // The brokers' own quorum: only controllers listen, and only brokers and controllers send.
    ("AllocateProducerIds", "a broker asks the controller"),
    ("AlterPartition", "a leader tells the controller"),
    ("AssignReplicasToDirs", "a broker tells the controller"),
    ("BeginQuorumEpoch", "a new leader of the controllers tells the others"),
    ("BrokerHeartbeat", "a broker tells the controller"),
    ("BrokerRegistration", "a broker tells the controller"),
    ("ControllerRegistration", "a controller tells the leader of controllers"),
    ("EndQuorumEpoch", "a leader of controllers resigns"),
    ("Envelope", "a broker passes a client's request on to the controller"),
    ("FetchSnapshot", "a controller or broker reads the leader's snapshot"),
    ("UpdateRaftVoter", "a controller tells the leader where it listens"),
    ("Vote", "controllers elect a leader"),
    ("DefaultPrincipalData", "travels inside Envelope only"),
    // Share groups: the coordinator of a group to the one of its state, broker to broker.
    ("InitializeShareGroupState", "coordinators among themselves"),
    ("ReadShareGroupState", "coordinators among themselves"),
    ("ReadShareGroupStateSummary", "coordinators among themselves"),
    ("WriteShareGroupState", "coordinators among themselves"),
    ("DeleteShareGroupState", "coordinators among themselves"),
    // With ZooKeeper they went, in Kafka 4.0; the schemas stay without a version.
    ("ControlledShutdown", "a broker told a controller under ZooKeeper"),
    ("LeaderAndIsr", "a controller under ZooKeeper told brokers"),
    ("StopReplica", "a controller under ZooKeeper told brokers"),
    ("UpdateMetadata", "a controller under ZooKeeper told brokers"),
];

/// Tables of bytes that Kafka spells out in Java alone.
pub const WITHOUT_SCHEMA: &[(&str, &str)] =
    &[("StickyAssignorUserData", "StickyAssignor.java holds its two versions as code")];

/// Fields that are in the old form even where the message around them is flexible.
pub const NOT_COMPACT: &[&str] = &["RequestHeader.client_id"];

/// The lists in requests and blobs that are maps to Kafka, with their keys. A table has a plain list there, and a sender
/// must not name the same key twice: brokers take one of the two, or refuse both.
pub const KEYS: &[(&str, &str)] = &[
    ("AddPartitionsToTxnRequest.transactions", "transactional_id"),
    ("AddPartitionsToTxnRequest.transactions.topics", "name"),
    ("AddPartitionsToTxnRequest.v3_and_below_topics", "name"),
    ("AddRaftVoterRequest.listeners", "name"),
    ("AlterConfigsRequest.resources", "resource_type, resource_name"),
    ("AlterConfigsRequest.resources.configs", "name"),
    ("AlterReplicaLogDirsRequest.dirs", "path"),
    ("AlterReplicaLogDirsRequest.dirs.topics", "name"),
    ("AlterShareGroupOffsetsRequest.topics", "topic_name"),
    ("ConsumerProtocolAssignment.assigned_partitions", "topic"),
    ("ConsumerProtocolSubscription.owned_partitions", "topic"),
    ("CreatePartitionsRequest.topics", "name"),
    ("CreateTopicsRequest.topics", "name"),
    ("CreateTopicsRequest.topics.assignments", "partition_index"),
    ("CreateTopicsRequest.topics.configs", "name"),
    ("DescribeLogDirsRequest.topics", "topic"),
    ("ElectLeadersRequest.topic_partitions", "topic"),
    ("IncrementalAlterConfigsRequest.resources", "resource_type, resource_name"),
    ("IncrementalAlterConfigsRequest.resources.configs", "name, config_operation"),
    ("JoinGroupRequest.protocols", "name"),
    ("OffsetDeleteRequest.topics", "name"),
    ("OffsetForLeaderEpochRequest.topics", "topic"),
    ("ProduceRequest.topic_data", "name, topic_id"),
    ("ShareAcknowledgeRequest.topics", "topic_id"),
    ("ShareAcknowledgeRequest.topics.partitions", "partition_index"),
    ("ShareFetchRequest.topics", "topic_id"),
    ("ShareFetchRequest.topics.partitions", "partition_index"),
    ("UpdateFeaturesRequest.feature_updates", "feature"),
    ("VotersRecord.voters.endpoints", "name"),
];
