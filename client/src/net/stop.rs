//! Why connections end, and in what words those who wait learn of it.

use std::io;
use std::time::{Duration, Instant};

use ottla_protocol::api::ApiKey;

use super::connection::Address;
use super::frame::BadLength;
use super::in_flight::{Expected, Mismatch};
use super::line::Line;
use crate::error::{Error, ErrorKind};
use crate::runtime;

/// Why a connection ends.
pub(super) enum Stop {
    /// All handles and replies are gone.
    Released,
    Idle,
    Overdue,
    Eof,
    /// A write failed; the line knows how.
    Broken,
    Io(io::Error),
    BadLength(BadLength),
    Mismatch(Mismatch),
    /// The task is no more, though nothing had ended it.
    Abandoned,
}

impl Stop {
    /// Whether the connection ends for want of work, which is no failure.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Stop::Idle | Stop::Released)
    }

    pub(super) fn cause(self, address: &Address, max_idle: Duration, line: &mut Line, now: Instant) -> Error {
        let disconnected = |message: String| Error::new(ErrorKind::Disconnected, message);
        let protocol = |what: &str| Error::new(ErrorKind::Protocol, format!("{address} {what}"));
        let broke =
            |error: io::Error| disconnected(format!("the connection to {address} broke")).with_cause(error);
        match self {
            Stop::Released => disconnected(format!("nobody uses the connection to {address} any more")),
            Stop::Idle => {
                let idle = runtime::spoken(max_idle);
                disconnected(format!(
                    "the connection to {address} was idle for {idle} and closed by this client"
                ))
            }
            Stop::Eof => disconnected(format!("{address} closed the connection")),
            Stop::Broken => broke(line.take_broken().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())),
            Stop::Io(error) => broke(error),
            Stop::BadLength(error) => protocol("sent what is no frame").with_cause(error),
            Stop::Mismatch(error) => protocol("answered out of order").with_cause(error),
            Stop::Overdue => match line.overdue(now) {
                Some(expected) => address.overdue(expected),
                None => address.overdue_write(true),
            },
            Stop::Abandoned => disconnected(format!(
                "the task of the connection to {address} was stopped, by the end of its runtime or a panic"
            )),
        }
    }
}

impl Address {
    /// The error of a request that was not answered in time.
    pub(super) fn overdue<W>(&self, expected: &Expected<W>) -> Error {
        let Expected { api, version, deadline, since, begun, .. } = expected;
        let within = runtime::spoken(deadline.saturating_duration_since(*since));
        let done = if *begun { "answer" } else { "take" };
        Error::new(
            ErrorKind::Timeout,
            format!("{self} did not {done} {} v{version} within {within}", api.key),
        )
        .with_possibly_written(*begun)
    }

    /// The error of a request without an answer that was not written in time.
    pub(super) fn overdue_write(&self, begun: bool) -> Error {
        Error::new(
            ErrorKind::Timeout,
            format!("{self} did not take a {} without acknowledgement in time", ApiKey::PRODUCE),
        )
        .with_possibly_written(begun)
    }

    /// The error of a request whose connection ended for another's sake.
    pub(super) fn lost(&self, cause: &Error, possibly_written: bool) -> Error {
        Error::new(ErrorKind::Disconnected, format!("the connection to {self} ended"))
            .with_cause(cause.clone())
            .with_possibly_written(possibly_written)
    }
}
