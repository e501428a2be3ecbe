//! What is noted while a run goes on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Names a record: the `sequence`-th that one task sent, over all partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// The task that sends in order.
    pub producer: u32,
    /// The record's place among what the task sent.
    pub sequence: u64,
}

/// Names a transaction: the `number`-th of one producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId {
    /// The producer.
    pub producer: u32,
    /// The transaction's place among the producer's.
    pub number: u32,
}

/// Names a partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition's index.
    pub partition: i32,
}

/// Names a consumer, one life of it: who comes back after a crash is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerId(pub u32);

/// Something that an application did, was told or was handed, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The time since the run's start.
    pub at: Duration,
    /// What happened.
    pub event: Event,
}

/// What happens in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A producer accepted a record.
    Sent {
        /// The record.
        record: RecordId,
        /// Where it goes.
        place: Place,
        /// The transaction that it is part of.
        transaction: Option<TransactionId>,
    },
    /// A producer did not accept a record.
    Refused {
        /// The record.
        record: RecordId,
    },
    /// A record's outcome: it is in the log.
    Acknowledged {
        /// The record.
        record: RecordId,
        /// Where in its partition, if the broker said so.
        offset: Option<i64>,
    },
    /// A record's outcome: it is not in the log, or nobody knows.
    Failed {
        /// The record.
        record: RecordId,
        /// Whether it may be in the log even so.
        possibly_written: bool,
    },
    /// A consumer begins.
    Opened {
        /// The consumer.
        consumer: ConsumerId,
        /// Its group; readers without one are each their own.
        group: Option<Arc<str>>,
        /// The topics that it wants.
        topics: Vec<Arc<str>>,
        /// Whether it must see committed records only (`read_committed`).
        committed_only: bool,
    },
    /// A consumer got a partition.
    Assigned {
        /// The consumer.
        consumer: ConsumerId,
        /// The partition.
        place: Place,
    },
    /// A consumer gave a partition up.
    Revoked {
        /// The consumer.
        consumer: ConsumerId,
        /// The partition.
        place: Place,
    },
    /// A consumer was told that it has lost a partition.
    Lost {
        /// The consumer.
        consumer: ConsumerId,
        /// The partition.
        place: Place,
    },
    /// A consumer is in this generation of its group, with the partitions that it has now.
    Generation {
        /// The consumer.
        consumer: ConsumerId,
        /// The generation.
        generation: i32,
    },
    /// A consumer has taken the place of another, whose name it has (`group.instance.id`); that one may not know it yet.
    Succeeds {
        /// The consumer.
        consumer: ConsumerId,
        /// Whose place it has.
        before: ConsumerId,
    },
    /// A consumer has not polled for longer than `max.poll.interval.ms`: what it had, it has no more.
    Overslept {
        /// The consumer.
        consumer: ConsumerId,
    },
    /// A consumer begins to close.
    Closing {
        /// The consumer.
        consumer: ConsumerId,
    },
    /// A consumer is gone, closed or crashed; what it had, it has no more.
    Gone {
        /// The consumer.
        consumer: ConsumerId,
    },
    /// A consumer handed a record out.
    HandedOut {
        /// The consumer.
        consumer: ConsumerId,
        /// The record's partition.
        place: Place,
        /// Its offset.
        offset: i64,
        /// The record.
        record: RecordId,
    },
    /// A consumer goes on from elsewhere in a partition that it has.
    Sought {
        /// The consumer.
        consumer: ConsumerId,
        /// The partition.
        place: Place,
        /// Where it goes on.
        offset: i64,
    },
    /// A consumer was asked to commit an offset.
    CommitAsked {
        /// The consumer.
        consumer: ConsumerId,
        /// The partition.
        place: Place,
        /// The offset of the next record to read.
        offset: i64,
    },
    /// The answer to the commit that the consumer was asked for last.
    CommitAnswered {
        /// The consumer.
        consumer: ConsumerId,
        /// The partition.
        place: Place,
        /// The offset.
        offset: i64,
        /// Whether it is committed.
        done: bool,
    },
    /// What the coordinator holds: at the end of a run, and meanwhile wherever it was looked at.
    Stored {
        /// The group.
        group: Arc<str>,
        /// The partition.
        place: Place,
        /// The committed offset.
        offset: i64,
    },
    /// A producer began a transaction.
    Begun {
        /// The transaction.
        transaction: TransactionId,
    },
    /// A producer was asked to end a transaction.
    Ending {
        /// The transaction.
        transaction: TransactionId,
        /// Whether it is to be committed.
        commit: bool,
    },
    /// A transaction's outcome.
    Ended {
        /// The transaction.
        transaction: TransactionId,
        /// Whether it was committed; `None` where nobody knows.
        committed: Option<bool>,
    },
    /// A record was made from another one that a group was handed: once for each, if the group's work is to count once.
    Derived {
        /// The record that was sent.
        record: RecordId,
        /// The record that it was made from.
        from: RecordId,
        /// The group that was handed it.
        group: Arc<str>,
    },
    /// A newer producer has begun with the transactional id of this one, which may not commit anything from now on.
    Fenced {
        /// The producer.
        producer: u32,
    },
    /// A producer is content with its leaders' word (`acks=1`) and numbers no batches: what it sends may be there twice, in
    /// another order, or lost with its leader.
    Careless {
        /// The producer.
        producer: u32,
    },
    /// A partition's log is gone, and another one is there or will be: its topic is deleted, or made anew. What was sent
    /// before may be in either of them, or in none.
    Recreated {
        /// The partition.
        place: Place,
    },
    /// A partition's leader goes, and with it what nobody else has of the partition.
    Endangered {
        /// The partition.
        place: Place,
    },
    /// Somebody did harm to the cluster.
    Disturbed {
        /// What was done.
        what: String,
    },
    /// No more harm is done, and all that was done is mended.
    Calmed,
    /// The run is over: everything that was to happen should have.
    Finished,
}

impl RecordId {
    /// A value of `length` bytes, or as many more as it takes, that holds this id.
    pub fn value(self, length: usize) -> Vec<u8> {
        let mut value = format!("{self} ").into_bytes();
        value.resize(value.len().max(length), b'.');
        value
    }

    /// The id in a value; `None` in one that [`RecordId::value`] did not make.
    pub fn of_value(value: &[u8]) -> Option<RecordId> {
        let head = value.split(|byte| *byte == b' ').next()?;
        let (producer, sequence) = std::str::from_utf8(head).ok()?.split_once('#')?;
        Some(RecordId { producer: producer.parse().ok()?, sequence: sequence.parse().ok()? })
    }
}

impl Place {
    /// Names a partition.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Place {
        Place { topic: topic.into(), partition }
    }
}

impl Event {
    pub(super) fn record(&self) -> Option<RecordId> {
        match self {
            Event::Sent { record, .. }
            | Event::Refused { record }
            | Event::Acknowledged { record, .. }
            | Event::Failed { record, .. }
            | Event::Derived { record, .. }
            | Event::HandedOut { record, .. } => Some(*record),
            _ => None,
        }
    }

    pub(super) fn place(&self) -> Option<&Place> {
        match self {
            Event::Sent { place, .. }
            | Event::Assigned { place, .. }
            | Event::Revoked { place, .. }
            | Event::Lost { place, .. }
            | Event::HandedOut { place, .. }
            | Event::Sought { place, .. }
            | Event::Endangered { place }
            | Event::Recreated { place }
            | Event::CommitAsked { place, .. }
            | Event::CommitAnswered { place, .. }
            | Event::Stored { place, .. } => Some(place),
            _ => None,
        }
    }

    pub(super) fn transaction(&self) -> Option<TransactionId> {
        match self {
            Event::Sent { transaction, .. } => *transaction,
            Event::Begun { transaction }
            | Event::Ending { transaction, .. }
            | Event::Ended { transaction, .. } => Some(*transaction),
            _ => None,
        }
    }

    pub(super) fn consumer(&self) -> Option<ConsumerId> {
        match self {
            Event::Opened { consumer, .. }
            | Event::Assigned { consumer, .. }
            | Event::Revoked { consumer, .. }
            | Event::Lost { consumer, .. }
            | Event::Generation { consumer, .. }
            | Event::Succeeds { consumer, .. }
            | Event::Overslept { consumer }
            | Event::Closing { consumer }
            | Event::Gone { consumer }
            | Event::HandedOut { consumer, .. }
            | Event::Sought { consumer, .. }
            | Event::CommitAsked { consumer, .. }
            | Event::CommitAnswered { consumer, .. } => Some(*consumer),
            _ => None,
        }
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.producer, self.sequence)
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transaction {}/{}", self.producer, self.number)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl fmt::Display for ConsumerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "consumer {}", self.0)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3}s  {}", self.at.as_secs_f64(), self.event)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Sent { record, place, transaction: None } => write!(f, "{record} sent to {place}"),
            Event::Sent { record, place, transaction: Some(transaction) } => {
                write!(f, "{record} sent to {place} in {transaction}")
            }
            Event::Refused { record } => write!(f, "{record} refused"),
            Event::Acknowledged { record, offset: Some(offset) } => {
                write!(f, "{record} acknowledged at {offset}")
            }
            Event::Acknowledged { record, offset: None } => write!(f, "{record} acknowledged"),
            Event::Failed { record, possibly_written: true } => {
                write!(f, "{record} failed, possibly written")
            }
            Event::Failed { record, possibly_written: false } => write!(f, "{record} failed, not written"),
            Event::Opened { consumer, group, topics, committed_only } => {
                let isolation = if *committed_only { "committed records" } else { "all records" };
                let group = group.as_deref().unwrap_or("no group");
                write!(f, "{consumer} opened in {group} for {isolation} of {}", topics.join(", "))
            }
            Event::Assigned { consumer, place } => write!(f, "{consumer} got {place}"),
            Event::Revoked { consumer, place } => write!(f, "{consumer} gave up {place}"),
            Event::Lost { consumer, place } => write!(f, "{consumer} lost {place}"),
            Event::Generation { consumer, generation } => {
                write!(f, "{consumer} is in generation {generation}")
            }
            Event::Succeeds { consumer, before } => write!(f, "{consumer} takes the place of {before}"),
            Event::Overslept { consumer } => write!(f, "{consumer} has not polled for too long"),
            Event::Closing { consumer } => write!(f, "{consumer} closes"),
            Event::Gone { consumer } => write!(f, "{consumer} is gone"),
            Event::HandedOut { consumer, place, offset, record } => {
                write!(f, "{consumer} handed out {record} at {place} offset {offset}")
            }
            Event::CommitAsked { consumer, place, offset } => {
                write!(f, "{consumer} commits {offset} of {place}")
            }
            Event::CommitAnswered { consumer, place, offset, done } => {
                let answer = if *done { "was told that it committed" } else { "could not commit" };
                write!(f, "{consumer} {answer} {offset} of {place}")
            }
            Event::Stored { group, place, offset } => write!(f, "{group} stands at {offset} of {place}"),
            Event::Begun { transaction } => write!(f, "{transaction} begun"),
            Event::Ending { transaction, commit: true } => write!(f, "{transaction} to be committed"),
            Event::Ending { transaction, commit: false } => write!(f, "{transaction} to be aborted"),
            Event::Ended { transaction, committed } => match committed {
                Some(true) => write!(f, "{transaction} committed"),
                Some(false) => write!(f, "{transaction} aborted"),
                None => write!(f, "{transaction} ended, nobody knows how"),
            },
            Event::Sought { consumer, place, offset } => {
                write!(f, "{consumer} goes on at {offset} of {place}")
            }
            Event::Derived { record, from, group } => write!(f, "{record} made from {from} for {group}"),
            Event::Fenced { producer } => write!(f, "producer {producer} fenced"),
            Event::Careless { producer } => write!(f, "producer {producer} is content with acks=1"),
            Event::Recreated { place } => write!(f, "-- {place} is another one from here on"),
            Event::Endangered { place } => write!(f, "-- {place} loses its leader"),
            Event::Disturbed { what } => write!(f, "-- {what}"),
            Event::Calmed => f.write_str("-- calm"),
            Event::Finished => f.write_str("-- finished"),
        }
    }
}
