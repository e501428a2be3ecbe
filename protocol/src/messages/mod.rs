//! Kafka's messages, a file for each API.
//!
//! Every file holds its API's field tables: the request, the response and the structures inside them, under
//! Kafka's own names in snake case. Structures are built as `Message { field, ..Default::default() }`; the
//! versions, defaults and nullability stand in the tables.
//!
//! A file's head says who answers, which rights the client needs and what each version brought; its fields
//! say what the broker does with them and which errors follow. What holds for all APIs stands only here:
//!
//! - **Who answers.** A partition's leader, the coordinator of a group or of a transactional id, the
//!   controller, or any broker. Requests for the controller go to any broker of a KRaft cluster: it passes
//!   them on in the client's name, sits out a change of controller, and answers `REQUEST_TIMED_OUT` if that
//!   takes too long. `NOT_CONTROLLER` reaches only clients that talk to controllers themselves (KIP-919), or
//!   to clusters with ZooKeeper.
//! - **The wrong leader.** `NOT_LEADER_OR_FOLLOWER`, `UNKNOWN_TOPIC_OR_PARTITION`, `UNKNOWN_TOPIC_ID` and
//!   whatever else [`is_stale_metadata`](crate::error_code::ErrorCode::is_stale_metadata) tell the client to
//!   refresh its metadata and to ask again. An unknown topic may only be unknown yet: brokers learn of topics
//!   one after the other.
//! - **The wrong coordinator.** After `NOT_COORDINATOR` and `COORDINATOR_NOT_AVAILABLE` the client asks
//!   FindCoordinator again; after `COORDINATOR_LOAD_IN_PROGRESS` it waits and asks the same broker. The files
//!   call these three "`NOT_COORDINATOR` and its like".
//! - **Rights.** "Needs Read on the group" means an ACL that allows this operation on this resource; without
//!   it the answer is the resource's `..._AUTHORIZATION_FAILED`, which asking again doesn't change. Clusters
//!   without an authorizer allow everything. Where a broker says what a client may do, operation *n* of
//!   [`describe_acls`] is bit *n*.
//! - **Errors of any API.** `UNSUPPORTED_VERSION` also where the cluster has a feature switched off,
//!   `INVALID_REQUEST`, `UNKNOWN_SERVER_ERROR`. Which codes are worth another try is a property of the code:
//!   [`is_retriable`](crate::error_code::ErrorCode::is_retriable).
//! - **Quotas.** `throttle_time_ms` is how long a client that has overdrawn a quota is to keep silent. Since
//!   Kafka 2.0 the broker answers at once and then reads nothing from the connection for that long; before,
//!   it held the answer back. Versions that seem to change nothing, such as Heartbeat 2, tell the client
//!   which of the two it is (KIP-219).
//! - **Old versions.** Those that "only brokers before 4.0 take" fell to KIP-896. Versions from the table's
//!   `flexible` on have compact encodings and tagged fields (KIP-482).

macro_rules! messages {
    ($($module:ident: $request:ident;)*) => {
        $(pub mod $module;)*

        /// Every API of this crate, for code that walks them all.
        #[cfg(feature = "reflect")]
        pub static APIS: &[crate::reflect::DynApi] = &[
            $(crate::reflect::DynApi::of::<$module::$request>(),)*
        ];
    };
}

messages! {
    produce: ProduceRequest;
    fetch: FetchRequest;
    list_offsets: ListOffsetsRequest;
    metadata: MetadataRequest;
    offset_commit: OffsetCommitRequest;
    offset_fetch: OffsetFetchRequest;
    find_coordinator: FindCoordinatorRequest;
    join_group: JoinGroupRequest;
    heartbeat: HeartbeatRequest;
    leave_group: LeaveGroupRequest;
    sync_group: SyncGroupRequest;
    describe_groups: DescribeGroupsRequest;
    list_groups: ListGroupsRequest;
    sasl_handshake: SaslHandshakeRequest;
    api_versions: ApiVersionsRequest;
    create_topics: CreateTopicsRequest;
    delete_topics: DeleteTopicsRequest;
    delete_records: DeleteRecordsRequest;
    init_producer_id: InitProducerIdRequest;
    offset_for_leader_epoch: OffsetForLeaderEpochRequest;
    add_partitions_to_txn: AddPartitionsToTxnRequest;
    add_offsets_to_txn: AddOffsetsToTxnRequest;
    end_txn: EndTxnRequest;
    write_txn_markers: WriteTxnMarkersRequest;
    txn_offset_commit: TxnOffsetCommitRequest;
    describe_acls: DescribeAclsRequest;
    create_acls: CreateAclsRequest;
    delete_acls: DeleteAclsRequest;
    describe_configs: DescribeConfigsRequest;
    alter_configs: AlterConfigsRequest;
    alter_replica_log_dirs: AlterReplicaLogDirsRequest;
    describe_log_dirs: DescribeLogDirsRequest;
    sasl_authenticate: SaslAuthenticateRequest;
    create_partitions: CreatePartitionsRequest;
    create_delegation_token: CreateDelegationTokenRequest;
    renew_delegation_token: RenewDelegationTokenRequest;
    expire_delegation_token: ExpireDelegationTokenRequest;
    describe_delegation_token: DescribeDelegationTokenRequest;
    delete_groups: DeleteGroupsRequest;
    elect_leaders: ElectLeadersRequest;
    incremental_alter_configs: IncrementalAlterConfigsRequest;
    alter_partition_reassignments: AlterPartitionReassignmentsRequest;
    list_partition_reassignments: ListPartitionReassignmentsRequest;
    offset_delete: OffsetDeleteRequest;
    describe_client_quotas: DescribeClientQuotasRequest;
    alter_client_quotas: AlterClientQuotasRequest;
    describe_user_scram_credentials: DescribeUserScramCredentialsRequest;
    alter_user_scram_credentials: AlterUserScramCredentialsRequest;
    describe_quorum: DescribeQuorumRequest;
    update_features: UpdateFeaturesRequest;
    describe_cluster: DescribeClusterRequest;
    describe_producers: DescribeProducersRequest;
    unregister_broker: UnregisterBrokerRequest;
    describe_transactions: DescribeTransactionsRequest;
    list_transactions: ListTransactionsRequest;
    consumer_group_heartbeat: ConsumerGroupHeartbeatRequest;
    consumer_group_describe: ConsumerGroupDescribeRequest;
    get_telemetry_subscriptions: GetTelemetrySubscriptionsRequest;
    push_telemetry: PushTelemetryRequest;
    list_config_resources: ListConfigResourcesRequest;
    describe_topic_partitions: DescribeTopicPartitionsRequest;
    share_group_heartbeat: ShareGroupHeartbeatRequest;
    share_group_describe: ShareGroupDescribeRequest;
    share_fetch: ShareFetchRequest;
    share_acknowledge: ShareAcknowledgeRequest;
    add_raft_voter: AddRaftVoterRequest;
    remove_raft_voter: RemoveRaftVoterRequest;
    streams_group_heartbeat: StreamsGroupHeartbeatRequest;
    streams_group_describe: StreamsGroupDescribeRequest;
    describe_share_group_offsets: DescribeShareGroupOffsetsRequest;
    alter_share_group_offsets: AlterShareGroupOffsetsRequest;
    delete_share_group_offsets: DeleteShareGroupOffsetsRequest;
}

macro_rules! blobs {
    ($($module:ident { $($message:ident: versions $min:literal ..= $max:literal, flexible $flexible:expr;)+ })+) => {
        $(pub mod $module;)+

        /// The field tables that travel inside other messages' byte fields and records.
        #[cfg(feature = "reflect")]
        pub static BLOBS: &[crate::reflect::DynMessage] = &[
            $($(crate::reflect::DynMessage::of::<$module::$message>(
                crate::wire::VersionRange::new($min, $max),
                $flexible,
            ),)+)+
        ];
    };
}

/// No version is as new as this.
#[cfg(feature = "reflect")]
const NEVER: i16 = i16::MAX;

blobs! {
    consumer_protocol {
        ConsumerProtocolSubscription: versions 0..=3, flexible NEVER;
        ConsumerProtocolAssignment: versions 0..=3, flexible NEVER;
    }
    sticky_user_data {
        StickyAssignorUserData: versions 0..=1, flexible NEVER;
    }
    control_records {
        ControlRecordTypeSchema: versions 0..=0, flexible NEVER;
        EndTxnMarker: versions 0..=0, flexible NEVER;
        LeaderChangeMessage: versions 0..=1, flexible 0;
        SnapshotHeaderRecord: versions 0..=0, flexible 0;
        SnapshotFooterRecord: versions 0..=0, flexible 0;
        KRaftVersionRecord: versions 0..=0, flexible 0;
    }
    voters_record {
        VotersRecord: versions 0..=0, flexible 0;
    }
}
