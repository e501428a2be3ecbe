//! Kafka's messages, a file for each API.
//!
//! Every file holds its API's field tables: the request, the response and the structures inside them, under Kafka's
//! own names in snake case. Structures are built as `Message { field, ..Default::default() }`; the versions, defaults
//! and nullability stand in the tables.

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
    sasl_handshake: SaslHandshakeRequest;
    api_versions: ApiVersionsRequest;
    create_topics: CreateTopicsRequest;
    delete_topics: DeleteTopicsRequest;
    init_producer_id: InitProducerIdRequest;
    offset_for_leader_epoch: OffsetForLeaderEpochRequest;
    sasl_authenticate: SaslAuthenticateRequest;
}

pub mod consumer_protocol;

/// The field tables that travel inside other messages' byte fields.
#[cfg(feature = "reflect")]
pub static BLOBS: &[crate::reflect::DynMessage] = &[
    crate::reflect::DynMessage::of::<consumer_protocol::ConsumerProtocolSubscription>(),
    crate::reflect::DynMessage::of::<consumer_protocol::ConsumerProtocolAssignment>(),
];
