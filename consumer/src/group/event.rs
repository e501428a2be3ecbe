//! What a group asks of the application.

use ottla_client::{Error, TopicPartition};

/// The next thing the application side has to do. There is one at a time; the next comes after the acknowledgement.
#[derive(Debug, Clone)]
pub(crate) enum GroupEvent {
    /// Give these partitions up: the listener may commit, then nothing of them is handed out any more.
    Revoke { id: u64, partitions: Vec<TopicPartition> },
    /// `all` is what the member has now; `added` of it is new. Comes after every rebalance, even without additions.
    Assigned { id: u64, added: Vec<TopicPartition>, all: Vec<TopicPartition> },
    /// These partitions are gone, perhaps somebody else reads them by now: no commit is possible.
    Lost { id: u64, partitions: Vec<TopicPartition> },
    /// The group cannot be joined. Unless the error may pass ([`GroupEvent::Failed::lasting`] is false), the event
    /// stays, acknowledged or not, so that every poll reports it.
    Failed { id: u64, error: Error, lasting: bool },
}

impl GroupEvent {
    /// The number to acknowledge the event by; rises from event to event.
    pub(crate) fn id(&self) -> u64 {
        match self {
            GroupEvent::Revoke { id, .. }
            | GroupEvent::Assigned { id, .. }
            | GroupEvent::Lost { id, .. }
            | GroupEvent::Failed { id, .. } => *id,
        }
    }
}
