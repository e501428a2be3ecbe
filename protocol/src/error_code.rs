//! Kafka's error codes: an open table, so that a code from a newer broker survives.
//!
//! The table sorts the codes by what helps: nothing, to ask again later, or to refresh the metadata and ask
//! again. That is how Kafka's own clients take them. Beyond it, it depends on the API:
//! [`messages`](crate::messages) and each of its files say after which code a client looks for another
//! coordinator, joins its group anew, aborts its transaction or gives up.
//!
//! Sources: `org.apache.kafka.common.protocol.Errors` of Kafka 4.3 (codes, texts, which are retriable).

use core::fmt;

/// An error code of the protocol; [`ErrorCode::NONE`] says success.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ErrorCode(pub i16);

/// What the table knows about a code.
struct Row {
    name: &'static str,
    text: &'static str,
    class: Class,
}

/// How an application should take a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Trying the same again doesn't help.
    Final,
    /// The same request can succeed later.
    Retriable,
    /// Retriable, once the metadata (leaders, topic ids) was refreshed.
    StaleMetadata,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $class:ident, $text:literal;)*) => {
        #[allow(missing_docs, reason = "the names are Kafka's own; `text` explains each")]
        impl ErrorCode {
            $(pub const $name: ErrorCode = ErrorCode($code);)*

            /// Every code of the table.
            pub const KNOWN: &'static [ErrorCode] = &[$(ErrorCode($code)),*];

            const fn row(self) -> Option<Row> {
                match self.0 {
                    $($code => Some(Row { name: stringify!($name), text: $text, class: Class::$class }),)*
                    _ => None,
                }
            }
        }
    };
}

impl ErrorCode {
    /// Kafka's name of the code, if the table has it.
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|row| row.name)
    }

    /// Kafka's explanation of the code, if the table has it.
    pub fn text(self) -> Option<&'static str> {
        self.row().map(|row| row.text)
    }

    /// Whether the code says success.
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }

    /// Whether the same request can succeed later, if need be at another broker: `NOT_LEADER_OR_FOLLOWER` and
    /// `NOT_COORDINATOR` count. False for a code that the table doesn't have.
    pub fn is_retriable(self) -> bool {
        self.row().is_some_and(|row| row.class != Class::Final)
    }

    /// Whether the client's view of leaders or topics is out of date: metadata first, then the request again.
    /// All such codes are retriable.
    pub fn is_stale_metadata(self) -> bool {
        self.row().is_some_and(|row| row.class == Class::StaleMetadata)
    }

    /// The code as an error.
    ///
    /// # Errors
    /// Every code but [`ErrorCode::NONE`].
    pub const fn check(self) -> Result<(), ErrorCode> {
        if self.is_ok() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) if row.text.is_empty() => f.write_str(row.name),
            Some(row) => write!(f, "{}: {}", row.name, row.text),
            None => write!(f, "error code {} (not in this client's table)", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "ErrorCode({})", self.0),
        }
    }
}

impl core::error::Error for ErrorCode {}

codes! {
    UNKNOWN_SERVER_ERROR = -1, Final, "The server experienced an unexpected error when processing the request.";
    NONE = 0, Final, "";
    OFFSET_OUT_OF_RANGE = 1, Final, "The requested offset is not within the range of offsets maintained by the server.";
    CORRUPT_MESSAGE = 2, Retriable, "This message has failed its CRC checksum, exceeds the valid size, has a null key for a compacted topic, or is otherwise corrupt.";
    UNKNOWN_TOPIC_OR_PARTITION = 3, StaleMetadata, "This server does not host this topic-partition.";
    INVALID_FETCH_SIZE = 4, Final, "The requested fetch size is invalid.";
    LEADER_NOT_AVAILABLE = 5, StaleMetadata, "There is no leader for this topic-partition as we are in the middle of a leadership election.";
    NOT_LEADER_OR_FOLLOWER = 6, StaleMetadata, "For requests intended only for the leader, this error indicates that the broker is not the current leader. For requests intended for any replica, this error indicates that the broker is not a replica of the topic partition.";
    REQUEST_TIMED_OUT = 7, Retriable, "The request timed out.";
    BROKER_NOT_AVAILABLE = 8, Final, "The broker is not available.";
    REPLICA_NOT_AVAILABLE = 9, StaleMetadata, "The replica is not available for the requested topic-partition. Produce/Fetch requests and other requests intended only for the leader or follower return NOT_LEADER_OR_FOLLOWER if the broker is not a replica of the topic-partition.";
    MESSAGE_TOO_LARGE = 10, Final, "The request included a message larger than the max message size the server will accept.";
    STALE_CONTROLLER_EPOCH = 11, Final, "The controller moved to another broker.";
    OFFSET_METADATA_TOO_LARGE = 12, Final, "The metadata field of the offset request was too large.";
    NETWORK_EXCEPTION = 13, StaleMetadata, "The server disconnected before a response was received.";
    COORDINATOR_LOAD_IN_PROGRESS = 14, Retriable, "The coordinator is loading and hence can't process requests.";
    COORDINATOR_NOT_AVAILABLE = 15, Retriable, "The coordinator is not available.";
    NOT_COORDINATOR = 16, Retriable, "This is not the correct coordinator.";
    INVALID_TOPIC_EXCEPTION = 17, Final, "The request attempted to perform an operation on an invalid topic.";
    RECORD_LIST_TOO_LARGE = 18, Final, "The request included message batch larger than the configured segment size on the server.";
    NOT_ENOUGH_REPLICAS = 19, Retriable, "Messages are rejected since there are fewer in-sync replicas than required.";
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20, Retriable, "Messages are written to the log, but to fewer in-sync replicas than required.";
    INVALID_REQUIRED_ACKS = 21, Final, "Produce request specified an invalid value for required acks.";
    ILLEGAL_GENERATION = 22, Final, "Specified group generation id is not valid.";
    INCONSISTENT_GROUP_PROTOCOL = 23, Final, "The group member's supported protocols are incompatible with those of existing members or first group member tried to join with empty protocol type or empty protocol list.";
    INVALID_GROUP_ID = 24, Final, "The group id is invalid.";
    UNKNOWN_MEMBER_ID = 25, Final, "The coordinator is not aware of this member.";
    INVALID_SESSION_TIMEOUT = 26, Final, "The session timeout is not within the range allowed by the broker (as configured by group.min.session.timeout.ms and group.max.session.timeout.ms).";
    REBALANCE_IN_PROGRESS = 27, Final, "The group is rebalancing, so a rejoin is needed.";
    INVALID_COMMIT_OFFSET_SIZE = 28, Final, "The committing offset data size is not valid.";
    TOPIC_AUTHORIZATION_FAILED = 29, Final, "Topic authorization failed.";
    GROUP_AUTHORIZATION_FAILED = 30, Final, "Group authorization failed.";
    CLUSTER_AUTHORIZATION_FAILED = 31, Final, "Cluster authorization failed.";
    INVALID_TIMESTAMP = 32, Final, "The timestamp of the message is out of acceptable range.";
    UNSUPPORTED_SASL_MECHANISM = 33, Final, "The broker does not support the requested SASL mechanism.";
    ILLEGAL_SASL_STATE = 34, Final, "Request is not valid given the current SASL state.";
    UNSUPPORTED_VERSION = 35, Final, "The version of API is not supported.";
    TOPIC_ALREADY_EXISTS = 36, Final, "Topic with this name already exists.";
    INVALID_PARTITIONS = 37, Final, "Number of partitions is below 1.";
    INVALID_REPLICATION_FACTOR = 38, Final, "Replication factor is below 1 or larger than the number of available brokers.";
    INVALID_REPLICA_ASSIGNMENT = 39, Final, "Replica assignment is invalid.";
    INVALID_CONFIG = 40, Final, "Configuration is invalid.";
    NOT_CONTROLLER = 41, Retriable, "This is not the correct controller for this cluster.";
    INVALID_REQUEST = 42, Final, "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.";
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43, Final, "The message format version on the broker does not support the request.";
    POLICY_VIOLATION = 44, Final, "Request parameters do not satisfy the configured policy.";
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45, Final, "The broker received an out of order sequence number.";
    DUPLICATE_SEQUENCE_NUMBER = 46, Final, "The broker received a duplicate sequence number.";
    INVALID_PRODUCER_EPOCH = 47, Final, "Producer attempted to produce with an old epoch.";
    INVALID_TXN_STATE = 48, Final, "The producer attempted a transactional operation in an invalid state.";
    INVALID_PRODUCER_ID_MAPPING = 49, Final, "The producer attempted to use a producer id which is not currently assigned to its transactional id.";
    INVALID_TRANSACTION_TIMEOUT = 50, Final, "The transaction timeout is larger than the maximum value allowed by the broker (as configured by transaction.max.timeout.ms).";
    CONCURRENT_TRANSACTIONS = 51, Retriable, "The producer attempted to update a transaction while another concurrent operation on the same transaction was ongoing.";
    TRANSACTION_COORDINATOR_FENCED = 52, Final, "Indicates that the transaction coordinator sending a WriteTxnMarker is no longer the current coordinator for a given producer.";
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53, Final, "Transactional Id authorization failed.";
    SECURITY_DISABLED = 54, Final, "Security features are disabled.";
    OPERATION_NOT_ATTEMPTED = 55, Final, "The broker did not attempt to execute this operation. This may happen for batched RPCs where some operations in the batch failed, causing the broker to respond without trying the rest.";
    KAFKA_STORAGE_ERROR = 56, StaleMetadata, "Disk error when trying to access log file on the disk.";
    LOG_DIR_NOT_FOUND = 57, Final, "The user-specified log directory is not found in the broker config.";
    SASL_AUTHENTICATION_FAILED = 58, Final, "SASL Authentication failed.";
    UNKNOWN_PRODUCER_ID = 59, Final, "This exception is raised by the broker if it could not locate the producer metadata associated with the producerId in question. This could happen if, for instance, the producer's records were deleted because their retention time had elapsed. Once the last records of the producerId are removed, the producer's metadata is removed from the broker, and future appends by the producer will return this exception.";
    REASSIGNMENT_IN_PROGRESS = 60, Final, "A partition reassignment is in progress.";
    DELEGATION_TOKEN_AUTH_DISABLED = 61, Final, "Delegation Token feature is not enabled.";
    DELEGATION_TOKEN_NOT_FOUND = 62, Final, "Delegation Token is not found on server.";
    DELEGATION_TOKEN_OWNER_MISMATCH = 63, Final, "Specified Principal is not valid Owner/Renewer.";
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64, Final, "Delegation Token requests are not allowed on PLAINTEXT/1-way SSL channels and on delegation token authenticated channels.";
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65, Final, "Delegation Token authorization failed.";
    DELEGATION_TOKEN_EXPIRED = 66, Final, "Delegation Token is expired.";
    INVALID_PRINCIPAL_TYPE = 67, Final, "Supplied principalType is not supported.";
    NON_EMPTY_GROUP = 68, Final, "The group is not empty.";
    GROUP_ID_NOT_FOUND = 69, Final, "The group id does not exist.";
    FETCH_SESSION_ID_NOT_FOUND = 70, Retriable, "The fetch session ID was not found.";
    INVALID_FETCH_SESSION_EPOCH = 71, Retriable, "The fetch session epoch is invalid.";
    LISTENER_NOT_FOUND = 72, StaleMetadata, "There is no listener on the leader broker that matches the listener on which metadata request was processed.";
    TOPIC_DELETION_DISABLED = 73, Final, "Topic deletion is disabled.";
    FENCED_LEADER_EPOCH = 74, StaleMetadata, "The leader epoch in the request is older than the epoch on the broker.";
    UNKNOWN_LEADER_EPOCH = 75, Retriable, "The leader epoch in the request is newer than the epoch on the broker.";
    UNSUPPORTED_COMPRESSION_TYPE = 76, Final, "The requesting client does not support the compression type of given partition.";
    STALE_BROKER_EPOCH = 77, Final, "Broker epoch has changed.";
    OFFSET_NOT_AVAILABLE = 78, Retriable, "The leader high watermark has not caught up from a recent leader election so the offsets cannot be guaranteed to be monotonically increasing.";
    MEMBER_ID_REQUIRED = 79, Final, "The group member needs to have a valid member id before actually entering a consumer group.";
    PREFERRED_LEADER_NOT_AVAILABLE = 80, StaleMetadata, "The preferred leader was not available.";
    GROUP_MAX_SIZE_REACHED = 81, Final, "The group has reached its maximum size.";
    FENCED_INSTANCE_ID = 82, Final, "The broker rejected this static consumer since another consumer with the same group.instance.id has registered with a different member.id.";
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83, StaleMetadata, "Eligible topic partition leaders are not available.";
    ELECTION_NOT_NEEDED = 84, StaleMetadata, "Leader election not needed for topic partition.";
    NO_REASSIGNMENT_IN_PROGRESS = 85, Final, "No partition reassignment is in progress.";
    GROUP_SUBSCRIBED_TO_TOPIC = 86, Final, "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it.";
    INVALID_RECORD = 87, Final, "This record has failed the validation on broker and hence will be rejected.";
    UNSTABLE_OFFSET_COMMIT = 88, Retriable, "There are unstable offsets that need to be cleared.";
    THROTTLING_QUOTA_EXCEEDED = 89, Retriable, "The throttling quota has been exceeded.";
    PRODUCER_FENCED = 90, Final, "There is a newer producer with the same transactionalId which fences the current one.";
    RESOURCE_NOT_FOUND = 91, Final, "A request illegally referred to a resource that does not exist.";
    DUPLICATE_RESOURCE = 92, Final, "A request illegally referred to the same resource twice.";
    UNACCEPTABLE_CREDENTIAL = 93, Final, "Requested credential would not meet criteria for acceptability.";
    INCONSISTENT_VOTER_SET = 94, Final, "Indicates that the either the sender or recipient of a voter-only request is not one of the expected voters.";
    INVALID_UPDATE_VERSION = 95, Final, "The given update version was invalid.";
    FEATURE_UPDATE_FAILED = 96, Final, "Unable to update finalized features due to an unexpected server error.";
    PRINCIPAL_DESERIALIZATION_FAILURE = 97, Final, "Request principal deserialization failed during forwarding. This indicates an internal error on the broker cluster security setup.";
    SNAPSHOT_NOT_FOUND = 98, Final, "Requested snapshot was not found.";
    POSITION_OUT_OF_RANGE = 99, Final, "Requested position is not greater than or equal to zero, and less than the size of the snapshot.";
    UNKNOWN_TOPIC_ID = 100, StaleMetadata, "This server does not host this topic ID.";
    DUPLICATE_BROKER_REGISTRATION = 101, Final, "This broker ID is already in use.";
    BROKER_ID_NOT_REGISTERED = 102, Final, "The given broker ID was not registered.";
    INCONSISTENT_TOPIC_ID = 103, StaleMetadata, "The log's topic ID did not match the topic ID in the request.";
    INCONSISTENT_CLUSTER_ID = 104, Final, "The clusterId in the request does not match that found on the server.";
    TRANSACTIONAL_ID_NOT_FOUND = 105, Final, "The transactionalId could not be found.";
    FETCH_SESSION_TOPIC_ID_ERROR = 106, Retriable, "The fetch session encountered inconsistent topic ID usage.";
    INELIGIBLE_REPLICA = 107, Final, "The new ISR contains at least one ineligible replica.";
    NEW_LEADER_ELECTED = 108, Final, "The AlterPartition request successfully updated the partition state but the leader has changed.";
    OFFSET_MOVED_TO_TIERED_STORAGE = 109, Final, "The requested offset is moved to tiered storage.";
    FENCED_MEMBER_EPOCH = 110, Final, "The member epoch is fenced by the group coordinator. The member must abandon all its partitions and rejoin.";
    UNRELEASED_INSTANCE_ID = 111, Final, "The instance ID is still used by another member in the consumer group. That member must leave first.";
    UNSUPPORTED_ASSIGNOR = 112, Final, "The assignor or its version range is not supported by the consumer group.";
    STALE_MEMBER_EPOCH = 113, Final, "The member epoch is stale. The member must retry after receiving its updated member epoch via the ConsumerGroupHeartbeat API.";
    MISMATCHED_ENDPOINT_TYPE = 114, Final, "The request was sent to an endpoint of the wrong type.";
    UNSUPPORTED_ENDPOINT_TYPE = 115, Final, "This endpoint type is not supported yet.";
    UNKNOWN_CONTROLLER_ID = 116, Final, "This controller ID is not known.";
    UNKNOWN_SUBSCRIPTION_ID = 117, Final, "Client sent a push telemetry request with an invalid or outdated subscription ID.";
    TELEMETRY_TOO_LARGE = 118, Final, "Client sent a push telemetry request larger than the maximum size the broker will accept.";
    INVALID_REGISTRATION = 119, Final, "The controller has considered the broker registration to be invalid.";
    TRANSACTION_ABORTABLE = 120, Final, "The server encountered an error with the transaction. The client can abort the transaction to continue using this transactional ID.";
    INVALID_RECORD_STATE = 121, Final, "The record state is invalid. The acknowledgement of delivery could not be completed.";
    SHARE_SESSION_NOT_FOUND = 122, Retriable, "The share session was not found.";
    INVALID_SHARE_SESSION_EPOCH = 123, Retriable, "The share session epoch is invalid.";
    FENCED_STATE_EPOCH = 124, Final, "The share coordinator rejected the request because the share-group state epoch did not match.";
    INVALID_VOTER_KEY = 125, Final, "The voter key doesn't match the receiving replica's key.";
    DUPLICATE_VOTER = 126, Final, "The voter is already part of the set of voters.";
    VOTER_NOT_FOUND = 127, Final, "The voter is not part of the set of voters.";
    INVALID_REGULAR_EXPRESSION = 128, Final, "The regular expression is not valid.";
    REBOOTSTRAP_REQUIRED = 129, Final, "Client metadata is stale. The client should rebootstrap to obtain new metadata.";
    STREAMS_INVALID_TOPOLOGY = 130, Final, "The supplied topology is invalid.";
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131, Final, "The supplied topology epoch is invalid.";
    STREAMS_TOPOLOGY_FENCED = 132, Final, "The supplied topology epoch is outdated.";
    SHARE_SESSION_LIMIT_REACHED = 133, Retriable, "The limit of share sessions has been reached.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_its_name_and_text_and_an_unknown_one_survives() {
        assert_eq!(ErrorCode(6), ErrorCode::NOT_LEADER_OR_FOLLOWER);
        assert!(ErrorCode(6).is_stale_metadata() && ErrorCode(6).is_retriable());
        assert!(ErrorCode(7).is_retriable() && !ErrorCode(7).is_stale_metadata());
        assert!(!ErrorCode(10).is_retriable());
        assert!(ErrorCode(10).to_string().starts_with("MESSAGE_TOO_LARGE: "));
        assert_eq!(ErrorCode(9999).to_string(), "error code 9999 (not in this client's table)");
        assert_eq!(ErrorCode(9999).check(), Err(ErrorCode(9999)));
        assert_eq!(ErrorCode::NONE.check(), Ok(()));
    }
}
