//! What can go wrong around a real Kafka.

use std::io;
use std::time::Duration;

use thiserror::Error;

/// Why a cluster, or a Java program beside it, could not do what was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// Java or Maven is not there and could not be installed.
    #[error("{tool} is needed and missing ({why}); run: {command}")]
    ToolMissing {
        /// The program.
        tool: &'static str,
        /// Why it could not be installed.
        why: String,
        /// What the user can run.
        command: String,
    },
    /// A program ran and failed.
    #[error("{what} failed with {status}:\n{output}")]
    ToolFailed {
        /// Which program, doing what.
        what: String,
        /// How it ended.
        status: String,
        /// The end of its output.
        output: String,
    },
    /// A program was killed because it did not end in time.
    #[error("{what} did not end within {deadline:?} and was killed")]
    TookTooLong {
        /// Which program, doing what.
        what: String,
        /// The time it had.
        deadline: Duration,
    },
    /// A node did not do what was waited for.
    #[error("node {node}: {waited_for}: {last} after {after:?}; its log ends:\n{log}")]
    NotReady {
        /// The node.
        node: i32,
        /// The state that did not come.
        waited_for: &'static str,
        /// What was seen last.
        last: String,
        /// How long was waited.
        after: Duration,
        /// The tail of the node's log.
        log: String,
    },
    /// The cluster has no node with this id.
    #[error("no node {node} in a cluster with nodes 1 to {nodes}")]
    UnknownNode {
        /// The id asked for.
        node: i32,
        /// How many nodes there are.
        nodes: usize,
    },
    /// The node does not run, so it cannot be signalled.
    #[error("node {node} does not run, so it cannot be {wanted}; its log ends:\n{log}")]
    NotRunning {
        /// The node.
        node: i32,
        /// What was to be done to it.
        wanted: &'static str,
        /// The tail of the node's log.
        log: String,
    },
    /// The builder was given something that makes no cluster.
    #[error("{0}")]
    Invalid(String),
    /// The operating system refused.
    #[error("could not {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl KafkaError {
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> KafkaError {
        KafkaError::Io { what: what.into(), source }
    }
}
