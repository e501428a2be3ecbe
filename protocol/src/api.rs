//! API keys and what ties a request to its response.

use core::fmt;

use crate::wire::{Message, VersionRange};

/// The number of an API on the wire; an open set, so that an unknown one survives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiKey(pub i16);

macro_rules! keys {
    ($($name:ident = $key:literal, $text:literal;)*) => {
        #[allow(missing_docs, reason = "the names are Kafka's own and say all there is to say")]
        impl ApiKey {
            $(pub const $name: ApiKey = ApiKey($key);)*

            /// Kafka's name of the API, where this crate knows it.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($key => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

keys! {
    PRODUCE = 0, "Produce";
    FETCH = 1, "Fetch";
    LIST_OFFSETS = 2, "ListOffsets";
    METADATA = 3, "Metadata";
    OFFSET_COMMIT = 8, "OffsetCommit";
    OFFSET_FETCH = 9, "OffsetFetch";
    FIND_COORDINATOR = 10, "FindCoordinator";
    JOIN_GROUP = 11, "JoinGroup";
    HEARTBEAT = 12, "Heartbeat";
    LEAVE_GROUP = 13, "LeaveGroup";
    SYNC_GROUP = 14, "SyncGroup";
    DESCRIBE_GROUPS = 15, "DescribeGroups";
    LIST_GROUPS = 16, "ListGroups";
    SASL_HANDSHAKE = 17, "SaslHandshake";
    API_VERSIONS = 18, "ApiVersions";
    CREATE_TOPICS = 19, "CreateTopics";
    DELETE_TOPICS = 20, "DeleteTopics";
    DELETE_RECORDS = 21, "DeleteRecords";
    INIT_PRODUCER_ID = 22, "InitProducerId";
    OFFSET_FOR_LEADER_EPOCH = 23, "OffsetForLeaderEpoch";
    ADD_PARTITIONS_TO_TXN = 24, "AddPartitionsToTxn";
    ADD_OFFSETS_TO_TXN = 25, "AddOffsetsToTxn";
    END_TXN = 26, "EndTxn";
    WRITE_TXN_MARKERS = 27, "WriteTxnMarkers";
    TXN_OFFSET_COMMIT = 28, "TxnOffsetCommit";
    DESCRIBE_ACLS = 29, "DescribeAcls";
    CREATE_ACLS = 30, "CreateAcls";
    DELETE_ACLS = 31, "DeleteAcls";
    DESCRIBE_CONFIGS = 32, "DescribeConfigs";
    ALTER_CONFIGS = 33, "AlterConfigs";
    ALTER_REPLICA_LOG_DIRS = 34, "AlterReplicaLogDirs";
    DESCRIBE_LOG_DIRS = 35, "DescribeLogDirs";
    SASL_AUTHENTICATE = 36, "SaslAuthenticate";
    CREATE_PARTITIONS = 37, "CreatePartitions";
    CREATE_DELEGATION_TOKEN = 38, "CreateDelegationToken";
    RENEW_DELEGATION_TOKEN = 39, "RenewDelegationToken";
    EXPIRE_DELEGATION_TOKEN = 40, "ExpireDelegationToken";
    DESCRIBE_DELEGATION_TOKEN = 41, "DescribeDelegationToken";
    DELETE_GROUPS = 42, "DeleteGroups";
    ELECT_LEADERS = 43, "ElectLeaders";
    INCREMENTAL_ALTER_CONFIGS = 44, "IncrementalAlterConfigs";
    ALTER_PARTITION_REASSIGNMENTS = 45, "AlterPartitionReassignments";
    LIST_PARTITION_REASSIGNMENTS = 46, "ListPartitionReassignments";
    OFFSET_DELETE = 47, "OffsetDelete";
    DESCRIBE_CLIENT_QUOTAS = 48, "DescribeClientQuotas";
    ALTER_CLIENT_QUOTAS = 49, "AlterClientQuotas";
    DESCRIBE_USER_SCRAM_CREDENTIALS = 50, "DescribeUserScramCredentials";
    ALTER_USER_SCRAM_CREDENTIALS = 51, "AlterUserScramCredentials";
    DESCRIBE_QUORUM = 55, "DescribeQuorum";
    UPDATE_FEATURES = 57, "UpdateFeatures";
    DESCRIBE_CLUSTER = 60, "DescribeCluster";
    DESCRIBE_PRODUCERS = 61, "DescribeProducers";
    UNREGISTER_BROKER = 64, "UnregisterBroker";
    DESCRIBE_TRANSACTIONS = 65, "DescribeTransactions";
    LIST_TRANSACTIONS = 66, "ListTransactions";
    CONSUMER_GROUP_HEARTBEAT = 68, "ConsumerGroupHeartbeat";
    CONSUMER_GROUP_DESCRIBE = 69, "ConsumerGroupDescribe";
    GET_TELEMETRY_SUBSCRIPTIONS = 71, "GetTelemetrySubscriptions";
    PUSH_TELEMETRY = 72, "PushTelemetry";
    LIST_CONFIG_RESOURCES = 74, "ListConfigResources";
    DESCRIBE_TOPIC_PARTITIONS = 75, "DescribeTopicPartitions";
    SHARE_GROUP_HEARTBEAT = 76, "ShareGroupHeartbeat";
    SHARE_GROUP_DESCRIBE = 77, "ShareGroupDescribe";
    SHARE_FETCH = 78, "ShareFetch";
    SHARE_ACKNOWLEDGE = 79, "ShareAcknowledge";
    ADD_RAFT_VOTER = 80, "AddRaftVoter";
    REMOVE_RAFT_VOTER = 81, "RemoveRaftVoter";
    STREAMS_GROUP_HEARTBEAT = 88, "StreamsGroupHeartbeat";
    STREAMS_GROUP_DESCRIBE = 89, "StreamsGroupDescribe";
    DESCRIBE_SHARE_GROUP_OFFSETS = 90, "DescribeShareGroupOffsets";
    ALTER_SHARE_GROUP_OFFSETS = 91, "AlterShareGroupOffsets";
    DELETE_SHARE_GROUP_OFFSETS = 92, "DeleteShareGroupOffsets";
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "API {}", self.0),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An API: its key and the versions that this crate's tables cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Api {
    /// The key.
    pub key: ApiKey,
    /// The versions whose bytes are known, those that brokers before 4.0 speak included.
    pub versions: VersionRange,
    /// Those of them that a client negotiates. The bytes of the others Kafka can still change or has changed, or they
    /// are for brokers among themselves.
    pub negotiable: VersionRange,
    /// The first flexible version (KIP-482).
    pub flexible_from: i16,
}

impl Api {
    /// An API whose versions may all be negotiated.
    pub(crate) const fn new(key: ApiKey, versions: VersionRange, flexible_from: i16) -> Self {
        Api { key, versions, negotiable: versions, flexible_from }
    }

    /// The same API with the versions from `first` on unstable.
    pub(crate) const fn unstable_from(self, first: i16) -> Self {
        self.negotiating(self.versions.min, first - 1)
    }

    /// The same API, of which a client negotiates only the versions from `min` to `max`.
    pub(crate) const fn negotiating(mut self, min: i16, max: i16) -> Self {
        self.negotiable = VersionRange::new(min, max);
        self
    }

    /// Whether `version` is flexible.
    pub const fn flexible(&self, version: i16) -> bool {
        version >= self.flexible_from
    }

    /// The version of the request header that precedes a body in `version`.
    pub const fn request_header_version(&self, version: i16) -> i16 {
        if self.flexible(version) { 2 } else { 1 }
    }

    /// The version of the response header that precedes a body in `version`.
    ///
    /// An ApiVersions response has header version 0 always: the client doesn't know yet what the broker speaks.
    pub const fn response_header_version(&self, version: i16) -> i16 {
        if self.flexible(version) && self.key.0 != ApiKey::API_VERSIONS.0 { 1 } else { 0 }
    }

    /// The newest negotiable version that both this crate and a broker speak which announces `broker`.
    pub fn negotiate(&self, broker: VersionRange) -> Option<i16> {
        let common = self.negotiable.intersect(broker);
        (!common.is_empty()).then_some(common.max)
    }

    /// The newest version to send from within a transaction, to a broker that announces `broker` in a cluster whose feature
    /// `transaction.version` is finalized at `transaction_version` (0 where it isn't finalized at all).
    ///
    /// KIP-890 changed what some versions mean, not only their bytes. From Produce 12 and TxnOffsetCommit 5 on, the broker
    /// adds partitions and groups to the transaction by itself, and from EndTxn 5 on each transaction ends with a new
    /// epoch. A broker announces these versions before its cluster works so, and there a client has to stay below them and
    /// to send AddPartitionsToTxn and AddOffsetsToTxn; from `transaction.version` 2 on it doesn't send those, so that an
    /// older version than these would leave the transaction without its partitions. `None` in such a case, as where no
    /// version is common.
    ///
    /// For every other API this is [`Api::negotiate`]. The answer holds for one transaction: its kind is decided at its
    /// start, whatever the cluster finalizes meanwhile.
    pub fn negotiate_in_transaction(&self, broker: VersionRange, transaction_version: i16) -> Option<i16> {
        match self.first_of_transaction_version_2() {
            Some(first) if transaction_version >= 2 => {
                self.negotiate(broker).filter(|version| *version >= first)
            }
            Some(first) => self.negotiate(broker.intersect(VersionRange::new(0, first - 1))),
            None => self.negotiate(broker),
        }
    }

    /// The first version that belongs to transactions of `transaction.version` 2 and newer alone.
    const fn first_of_transaction_version_2(&self) -> Option<i16> {
        match self.key {
            ApiKey::PRODUCE => Some(12),
            ApiKey::TXN_OFFSET_COMMIT | ApiKey::END_TXN => Some(5),
            _ => None,
        }
    }
}

/// A message that a client sends.
pub trait Request: Message {
    /// Its API.
    const API: Api;
    /// What the broker answers.
    type Response: Response<Request = Self>;
}

/// A message that a broker answers.
pub trait Response: Message {
    /// The request it answers.
    type Request: Request<Response = Self>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::add_partitions_to_txn::AddPartitionsToTxnRequest;
    use crate::messages::end_txn::EndTxnRequest;
    use crate::messages::init_producer_id::InitProducerIdRequest;
    use crate::messages::produce::ProduceRequest;
    use crate::messages::txn_offset_commit::TxnOffsetCommitRequest;

    #[test]
    fn the_newest_common_version_is_negotiated_but_never_an_unstable_one() {
        let api = InitProducerIdRequest::API;
        assert_eq!((api.versions, api.negotiable), (VersionRange::new(0, 6), VersionRange::new(0, 5)));
        assert_eq!(api.negotiate(VersionRange::new(0, 6)), Some(5));
        assert_eq!(api.negotiate(VersionRange::new(1, 4)), Some(4));
        assert_eq!(api.negotiate(VersionRange::new(6, 6)), None);
        assert_eq!(api.negotiate(VersionRange::NONE), None);
    }

    #[test]
    fn a_version_that_brokers_keep_for_themselves_is_never_negotiated() {
        let api = AddPartitionsToTxnRequest::API;
        assert_eq!((api.versions, api.negotiable), (VersionRange::new(0, 5), VersionRange::new(0, 3)));
        assert_eq!(api.negotiate(VersionRange::new(0, 5)), Some(3));
        assert_eq!(api.negotiate(VersionRange::new(4, 5)), None);
    }

    #[test]
    fn transactions_before_transaction_version_2_stay_below_the_versions_that_belong_to_it() {
        let new = VersionRange::new(0, i16::MAX);
        for (api, capped, newest) in
            [(ProduceRequest::API, 11, 13), (TxnOffsetCommitRequest::API, 4, 5), (EndTxnRequest::API, 4, 5)]
        {
            assert_eq!(api.negotiate(new), Some(newest), "{}", api.key);
            for before in [-1, 0, 1] {
                assert_eq!(api.negotiate_in_transaction(new, before), Some(capped), "{}", api.key);
            }
            for since in [2, 3, i16::MAX] {
                assert_eq!(api.negotiate_in_transaction(new, since), Some(newest), "{}", api.key);
            }
        }
    }

    #[test]
    fn a_broker_too_old_for_a_kind_of_transaction_has_no_version_for_it() {
        let api = ProduceRequest::API;
        assert_eq!(api.negotiate_in_transaction(VersionRange::new(3, 9), 0), Some(9));
        assert_eq!(api.negotiate_in_transaction(VersionRange::new(3, 12), 2), Some(12));
        assert_eq!(api.negotiate_in_transaction(VersionRange::new(3, 11), 2), None);
        assert_eq!(api.negotiate_in_transaction(VersionRange::new(12, 13), 1), None);
        assert_eq!(api.negotiate_in_transaction(VersionRange::NONE, 0), None);
        assert_eq!(EndTxnRequest::API.negotiate_in_transaction(VersionRange::new(0, 4), 2), None);
    }

    #[test]
    fn other_apis_are_negotiated_in_a_transaction_as_elsewhere() {
        let new = VersionRange::new(0, i16::MAX);
        for transaction_version in [0, 2] {
            for api in [AddPartitionsToTxnRequest::API, InitProducerIdRequest::API] {
                assert_eq!(api.negotiate_in_transaction(new, transaction_version), api.negotiate(new));
            }
        }
    }
}
