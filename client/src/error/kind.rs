//! What kinds of errors there are.

use ottla_protocol::error_code::ErrorCode;

/// What went wrong, coarsely enough to match on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option that is unknown, out of bounds or contradicts another; or no tokio runtime.
    Config,
    /// A host name without an address.
    Dns,
    /// No TCP (or other) connection to the address.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The broker did not accept the credentials.
    Sasl,
    /// The ApiVersions exchange failed: what listens there is perhaps no Kafka broker.
    Handshake,
    /// A connection ended before the answer came.
    Disconnected,
    /// A deadline passed.
    Timeout,
    /// A broker sent what cannot be decoded, or what it was not asked for.
    Protocol,
    /// A request holds what the wire format, or the version that the broker speaks, cannot express.
    Encode,
    /// Broker and client have no version of an API in common.
    UnsupportedVersion,
    /// A broker answered with an error code that has no kind of its own; see [`crate::Error::code`].
    Broker,
    /// The topic or partition does not exist.
    UnknownTopic,
    /// The principal may not do this.
    Authorization,
    /// A record or batch larger than the client's or the broker's limit.
    RecordTooLarge,
    /// The producer's memory is used up.
    BufferFull,
    /// A connection's queue is full.
    Busy,
    /// The client, producer or consumer was closed.
    Closed,
    /// The application gave up what it had begun.
    Aborted,
    /// Another instance with the same identity took over.
    Fenced,
    /// The group took the membership, and with it the partitions, away.
    GroupLost,
    /// A key or value could not be turned into bytes or back.
    Serialization,
    /// A batch whose checksum or structure is wrong.
    CorruptRecord,
    /// The log does not hold the wanted offset and no reset policy applies.
    OffsetOutOfRange,
    /// The log lost records that the consumer has read, and no reset policy says where to go on.
    LogTruncated,
    /// A call that the current state does not allow.
    InvalidState,
    /// The application asked its consumers to stop: not a failure.
    Shutdown,
}

impl ErrorKind {
    /// The kind of a broker's error code.
    pub(super) fn of_code(code: ErrorCode) -> ErrorKind {
        match code {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::UNKNOWN_TOPIC_ID
            | ErrorCode::INVALID_TOPIC_EXCEPTION => ErrorKind::UnknownTopic,
            ErrorCode::TOPIC_AUTHORIZATION_FAILED
            | ErrorCode::GROUP_AUTHORIZATION_FAILED
            | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => ErrorKind::Authorization,
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => ErrorKind::RecordTooLarge,
            ErrorCode::PRODUCER_FENCED | ErrorCode::FENCED_INSTANCE_ID => ErrorKind::Fenced,
            ErrorCode::CORRUPT_MESSAGE => ErrorKind::CorruptRecord,
            ErrorCode::OFFSET_OUT_OF_RANGE => ErrorKind::OffsetOutOfRange,
            ErrorCode::UNSUPPORTED_VERSION => ErrorKind::UnsupportedVersion,
            ErrorCode::SASL_AUTHENTICATION_FAILED
            | ErrorCode::UNSUPPORTED_SASL_MECHANISM
            | ErrorCode::ILLEGAL_SASL_STATE => ErrorKind::Sasl,
            _ => ErrorKind::Broker,
        }
    }

    /// Whether time alone can cure it.
    pub(super) fn is_transient(self) -> bool {
        matches!(
            self,
            ErrorKind::Dns
                | ErrorKind::Connect
                | ErrorKind::Disconnected
                | ErrorKind::Timeout
                | ErrorKind::BufferFull
                | ErrorKind::Busy
        )
    }

    /// Whether it stands for a stage of setting up a connection.
    pub(crate) fn is_connection_stage(self) -> bool {
        matches!(
            self,
            ErrorKind::Dns | ErrorKind::Connect | ErrorKind::Tls | ErrorKind::Sasl | ErrorKind::Handshake
        )
    }
}
