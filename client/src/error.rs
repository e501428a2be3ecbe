//! The one error type of connections, metadata, producers and consumers.
//!
//! An [`Error`] is cheap to clone (a broken connection hands the same cause to everybody who waited on it), reads as one
//! line, and answers what an application asks: try again? start over? may the broker have seen it?
//!
//! Sources: KIP-691 and KIP-1050 (which errors are retriable, abortable, fatal).

use std::fmt;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;

pub use kind::ErrorKind;

mod kind;

/// What went wrong, where, after how many tries, and because of what.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    code: Option<ErrorCode>,
    tries: u32,
    retriable: Option<bool>,
    possibly_written: bool,
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` says what was tried and where, in one line without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error(Arc::new(Inner {
            kind,
            message: message.into(),
            code: None,
            tries: 0,
            retriable: None,
            possibly_written: false,
            cause: None,
        }))
    }

    /// A broker's refusal; `doing` says what was asked of it. The kind follows from the code.
    pub fn from_code(code: ErrorCode, doing: impl fmt::Display) -> Error {
        Error::new(ErrorKind::of_code(code), format!("{doing}: {code}"))
            .change(|inner| inner.code = Some(code))
    }

    /// What a wait came to that ended with its deadline: a failure to set up a connection, where that is what it was
    /// held up by, or else a timeout.
    pub fn gave_up(message: impl Into<String>, last: Option<Error>) -> Error {
        let Some(last) = last else { return Error::new(ErrorKind::Timeout, message) };
        let kind = if last.kind().is_connection_stage() { last.kind() } else { ErrorKind::Timeout };
        let written = last.possibly_written();
        Error::new(kind, message).with_possibly_written(written).with_cause(last).with_retriable(true)
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The broker's error code behind this error: its own, or that of its cause.
    pub fn code(&self) -> Option<ErrorCode> {
        self.0.code.or_else(|| self.cause()?.code())
    }

    /// The error that led to this one, where that is one of Ottla's.
    pub fn cause(&self) -> Option<&Error> {
        self.0.cause.as_deref().and_then(|cause| cause.downcast_ref())
    }

    /// How often the operation was tried; zero where that was not counted.
    pub fn tries(&self) -> u32 {
        self.0.tries
    }

    /// Whether the same operation can succeed later without anybody changing anything.
    pub fn is_retriable(&self) -> bool {
        match (self.0.retriable, self.0.code) {
            (Some(told), _) => told,
            (None, Some(code)) => code.is_retriable(),
            (None, None) => self.0.kind.is_transient(),
        }
    }

    /// Whether the producer or consumer that met this error is of no further use and has to be made anew.
    pub fn is_fatal(&self) -> bool {
        const FATAL: &[ErrorCode] = &[
            ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
            ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            ErrorCode::SASL_AUTHENTICATION_FAILED,
            ErrorCode::UNSUPPORTED_VERSION,
            ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
        ];
        matches!(self.0.kind, ErrorKind::Fenced | ErrorKind::Closed)
            || self.0.code.is_some_and(|code| FATAL.contains(&code))
    }

    /// Whether the current transaction can only be aborted.
    pub fn must_abort(&self) -> bool {
        matches!(
            self.0.code,
            Some(
                ErrorCode::TRANSACTION_ABORTABLE
                    | ErrorCode::INVALID_PRODUCER_EPOCH
                    | ErrorCode::UNKNOWN_PRODUCER_ID
            )
        )
    }

    /// Whether a broker may have done what it was asked: it may have received the request although nobody got its answer, or its
    /// answer leaves that open, as `NOT_LEADER_OR_FOLLOWER` does of one that led no more when it had written.
    pub fn possibly_written(&self) -> bool {
        self.0.possibly_written
    }

    /// The same error, caused by `cause`.
    #[must_use]
    pub fn with_cause(self, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.change(|inner| inner.cause = Some(Arc::new(cause)))
    }

    /// The same error, saying whether the broker may have received the request.
    #[must_use]
    pub fn with_possibly_written(self, possibly: bool) -> Error {
        self.change(|inner| inner.possibly_written = possibly)
    }

    /// The same error, after `tries` tries.
    #[must_use]
    pub fn with_tries(self, tries: u32) -> Error {
        self.change(|inner| inner.tries = tries)
    }

    /// The same error, retriable or not whatever its kind says.
    #[must_use]
    pub fn with_retriable(self, retriable: bool) -> Error {
        self.change(|inner| inner.retriable = Some(retriable))
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Error {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { message, tries, cause, possibly_written, .. } = &*self.0;
        f.write_str(message)?;
        if *tries > 1 {
            write!(f, " (tried {tries} times)")?;
        }
        if *possibly_written {
            f.write_str(" (the broker may have received it)")?;
        }
        match cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}: {self})", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.cause {
            Some(cause) => Some(&**cause),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_one_line_with_tries_and_cause() {
        let cause = Error::new(ErrorKind::Connect, "cannot connect to kafka:9092")
            .with_cause(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        let error = Error::new(ErrorKind::Timeout, "no metadata of topic orders within 5s")
            .with_cause(cause)
            .with_tries(3)
            .with_possibly_written(true);
        assert_eq!(
            error.to_string(),
            "no metadata of topic orders within 5s (tried 3 times) (the broker may have received it): \
             cannot connect to kafka:9092: connection refused"
        );
        assert_eq!(error.cause().map(Error::kind), Some(ErrorKind::Connect));
        assert!(error.is_retriable() && error.possibly_written());
    }

    #[test]
    fn a_code_decides_the_kind_and_the_answers() {
        let fenced = Error::from_code(ErrorCode::PRODUCER_FENCED, "cannot produce to orders-0");
        assert_eq!(
            (fenced.kind(), fenced.is_fatal(), fenced.is_retriable()),
            (ErrorKind::Fenced, true, false)
        );
        let moved = Error::from_code(ErrorCode::NOT_LEADER_OR_FOLLOWER, "cannot produce to orders-0");
        assert_eq!((moved.kind(), moved.is_fatal(), moved.is_retriable()), (ErrorKind::Broker, false, true));
        let denied = Error::from_code(ErrorCode::TOPIC_AUTHORIZATION_FAILED, "cannot read orders");
        assert_eq!((denied.kind(), denied.is_retriable()), (ErrorKind::Authorization, false));
        let timeout = Error::new(ErrorKind::Timeout, "gave up").with_cause(moved);
        assert_eq!(timeout.code(), Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
        assert!(Error::from_code(ErrorCode::TRANSACTION_ABORTABLE, "x").must_abort());
    }

    #[test]
    fn an_override_beats_kind_and_code() {
        assert!(!Error::new(ErrorKind::Disconnected, "x").with_retriable(false).is_retriable());
        assert!(Error::new(ErrorKind::Handshake, "x").with_retriable(true).is_retriable());
    }
}
