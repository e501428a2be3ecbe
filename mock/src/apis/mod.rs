//! The RPCs, a file each: what a request means here, and what refusing it looks like.
//!
//! To add one, write its file with an `impl Serve for …Request` and name it in the table below. It is advertised in the
//! versions that the imitated release has ([`crate::versions`]) and that the protocol crate knows.

use std::time::Instant;

use bytes::Bytes;
use ottla_protocol::api::{Api, ApiKey, Request};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::header::decode_request;
use ottla_protocol::wire::VersionRange;

use crate::call::{Caller, Ticket};
use crate::cluster::{Cluster, ConnectionId};
use crate::faults::Kind;
use crate::versions::Release;

/// The circumstances of a request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// When it is served.
    pub(crate) now: Instant,
    /// The same as a wall clock would show it, in milliseconds since 1970.
    pub(crate) now_ms: i64,
    /// The name under which the answer is owed.
    pub(crate) ticket: Ticket,
    /// The connection that it came by.
    pub(crate) connection: ConnectionId,
    /// The broker that was asked.
    pub(crate) broker: i32,
    /// The version of request and answer.
    pub(crate) version: i16,
    /// Who asks.
    pub(crate) caller: Caller,
}

/// What an RPC says at once.
#[derive(Debug)]
pub(crate) enum Reply<R> {
    /// The answer.
    Now(R),
    /// The answer comes later, by [`Cluster::answer`].
    Later,
    /// No answer is due; the connection's next request may be served.
    Never,
    /// The answer, after which the connection is closed.
    Last(R),
    /// The connection is closed without an answer.
    Close,
}

/// What a fault can be limited to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Requests that name this topic, by name or by id.
    Topic(String),
    /// Requests of or about this group.
    Group(String),
    /// Requests of or about this transactional id.
    TransactionalId(String),
}

impl Subject {
    /// Whether it is the topic of this name.
    pub(crate) fn is_topic(&self, name: &str) -> bool {
        matches!(self, Subject::Topic(topic) if topic == name)
    }

    /// Whether it is the topic of this id.
    pub(crate) fn is_topic_id(&self, cluster: &Cluster, id: ottla_protocol::uuid::Uuid) -> bool {
        cluster.topics.name_of(id).is_some_and(|name| self.is_topic(name))
    }

    /// Whether it is the group of this id.
    pub(crate) fn is_group(&self, id: &str) -> bool {
        matches!(self, Subject::Group(group) if group == id)
    }

    /// Whether it is this transactional id.
    pub(crate) fn is_transactional_id(&self, id: &str) -> bool {
        matches!(self, Subject::TransactionalId(own) if own == id)
    }
}

/// An RPC.
pub(crate) trait Serve: Request {
    /// Does what the request asks.
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<Self::Response>;

    /// The answer that says `code` wherever this API can say it.
    fn refuse(&self, version: i16, code: ErrorCode) -> Self::Response;

    /// Sets the time for which a quota holds the client back, where the answer has such a field.
    fn throttle(response: &mut Self::Response, throttle_time_ms: i32);

    /// Whether the client reads an answer to this.
    fn is_answered(&self) -> bool {
        true
    }

    /// Whether the request is about `subject`.
    fn concerns(&self, _cluster: &Cluster, _subject: &Subject) -> bool {
        false
    }
}

macro_rules! apis {
    ($($module:ident: $($request:ident),+;)*) => {
        $(pub(crate) mod $module;)*

        static ROWS: &[Row] = &[$($(Row {
            api: <ottla_protocol::messages::$module::$request as Request>::API,
            serve: serve_as::<ottla_protocol::messages::$module::$request>,
        },)+)*];
    };
}

apis! {
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
    create_partitions: CreatePartitionsRequest;
    describe_log_dirs: DescribeLogDirsRequest;
    sasl_authenticate: SaslAuthenticateRequest;
    delete_groups: DeleteGroupsRequest;
    elect_leaders: ElectLeadersRequest;
    alter_partition_reassignments: AlterPartitionReassignmentsRequest;
    list_partition_reassignments: ListPartitionReassignmentsRequest;
    describe_topic_partitions: DescribeTopicPartitionsRequest;
    incremental_alter_configs: IncrementalAlterConfigsRequest;
    offset_delete: OffsetDeleteRequest;
    describe_client_quotas: DescribeClientQuotasRequest;
    alter_client_quotas: AlterClientQuotasRequest;
    describe_cluster: DescribeClusterRequest;
    describe_producers: DescribeProducersRequest;
    describe_transactions: DescribeTransactionsRequest;
    list_transactions: ListTransactionsRequest;
    consumer_group_heartbeat: ConsumerGroupHeartbeatRequest;
    consumer_group_describe: ConsumerGroupDescribeRequest;
    list_config_resources: ListConfigResourcesRequest;
    describe_quorum: DescribeQuorumRequest;
    describe_user_scram_credentials: DescribeUserScramCredentialsRequest;
    alter_user_scram_credentials: AlterUserScramCredentialsRequest;
    create_delegation_token: CreateDelegationTokenRequest;
    renew_delegation_token: RenewDelegationTokenRequest;
    expire_delegation_token: ExpireDelegationTokenRequest;
    describe_delegation_token: DescribeDelegationTokenRequest;
}

/// The API that every connection begins with.
pub(crate) const API_VERSIONS: ApiKey = ApiKey::API_VERSIONS;

/// An API of the table.
pub(crate) fn api(key: ApiKey) -> Option<Api> {
    row(key).map(|row| row.api)
}

/// Whether the API is in the table.
pub(crate) fn is_served(key: ApiKey) -> bool {
    row(key).is_some()
}

/// Every API that a release serves here, with the versions it takes.
pub(crate) fn all(release: Release) -> impl Iterator<Item = (ApiKey, VersionRange)> {
    let versions = move |row: &Row| (row.api.key, advertised(release, row.api.key));
    ROWS.iter().map(versions).filter(|(_, versions)| !versions.is_empty())
}

/// The versions of an API that a release takes here.
pub(crate) fn advertised(release: Release, key: ApiKey) -> VersionRange {
    let known = api(key).map_or(VersionRange::NONE, |api| api.versions);
    release.versions(key).intersect(known)
}

/// Serves a request.
pub(crate) fn serve(cluster: &mut Cluster, key: ApiKey, call: &Call, body: &Bytes, with_faults: bool) {
    if let Some(row) = row(key) {
        (row.serve)(cluster, call, body, with_faults);
    }
}

struct Row {
    api: Api,
    serve: fn(&mut Cluster, &Call, &Bytes, bool),
}

fn row(key: ApiKey) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.api.key == key)
}

/// Answers with an error, or closes the connection of a client that reads no answer.
fn refuse<R: Serve>(cluster: &mut Cluster, call: &Call, request: &R, code: ErrorCode) {
    match request.is_answered() {
        true => cluster.answer(call.now, call.ticket, request.refuse(call.version, code)),
        false => cluster.finish(call.ticket, true),
    }
}

fn serve_as<R: Serve>(cluster: &mut Cluster, call: &Call, body: &Bytes, with_faults: bool) {
    let Ok(request) = decode_request::<R>(body, call.version) else {
        // As Kafka does: there is no answer to what can't be read.
        return cluster.finish(call.ticket, true);
    };
    let concerns = |cluster: &Cluster, subject: &Subject| request.concerns(cluster, subject);
    let fault = if with_faults { cluster.draw_fault(R::API.key, call, concerns) } else { None };
    match fault {
        None => {}
        Some(Kind::Answer(harm)) => cluster.harm_answer(call.ticket, harm),
        Some(Kind::Refuse(code)) => {
            return refuse(cluster, call, &request, code);
        }
        Some(Kind::RefuseDone(code)) => {
            cluster.silence(call.ticket, true);
            request.clone().serve(cluster, call);
            cluster.silence(call.ticket, false);
            return refuse(cluster, call, &request, code);
        }
        Some(Kind::Hold(time)) => return cluster.hold_request(call.now + time, call.ticket, body.clone()),
        Some(Kind::DropRequest) => return,
        Some(Kind::Close) => return cluster.finish(call.ticket, true),
    }
    match request.serve(cluster, call) {
        Reply::Now(response) => cluster.answer(call.now, call.ticket, response),
        Reply::Last(response) => {
            cluster.close_after(call.ticket);
            cluster.answer(call.now, call.ticket, response);
        }
        Reply::Later => {}
        Reply::Never => cluster.finish(call.ticket, false),
        Reply::Close => cluster.finish(call.ticket, true),
    }
}
