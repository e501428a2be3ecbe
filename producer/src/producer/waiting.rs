//! What stands between a record and its batch: a topic that is not known yet, no room, or a reason for good.

use std::time::Instant;

use ottla_client::{Error, ErrorKind};
use ottla_protocol::error_code::ErrorCode;

use super::{FAR_FUTURE, Producer};
use crate::accumulator::{Attempt, Reason};
use crate::delivery::Delivery;
use crate::memory::Charge;
use crate::record::Record;
use crate::runtime;

impl Producer {
    #[cold]
    pub(super) async fn send_later(
        &self,
        record: Record<'_>,
        mut reason: Reason,
        mut attempt: Attempt,
    ) -> Result<Delivery, Error> {
        let record = &record;
        let deadline = self.block_deadline();
        loop {
            self.make_way(record, &reason, &mut attempt, deadline).await?;
            match self.append(record, &mut attempt) {
                Ok(delivery) => return Ok(delivery),
                Err(another) => reason = another,
            }
        }
    }

    pub(super) fn block_deadline(&self) -> Instant {
        let max_block = self.0.shared.values().max_block;
        runtime::now().checked_add(max_block).unwrap_or_else(|| runtime::now() + FAR_FUTURE)
    }

    /// Waits until there is hope for a record that was not taken.
    pub(super) async fn make_way(
        &self,
        record: &Record<'_>,
        reason: &Reason,
        attempt: &mut Attempt,
        deadline: Instant,
    ) -> Result<(), Error> {
        match *reason {
            Reason::UnknownTopic => self.learn_topic(record.topic(), deadline).await,
            Reason::NoSuchPartition { partitions } => {
                self.await_partition(record, partitions, deadline).await
            }
            Reason::NoRoom { bytes } => {
                attempt.reservation = Some(self.reserve(bytes, deadline).await?);
                Ok(())
            }
            Reason::Misplaced { partition, partitions } => Err(misplaced(record, partition, partitions)),
            Reason::TooLarge { bytes, limit } => Err(too_large(record, bytes, limit)),
            Reason::Closed => Err(self.closed()),
        }
    }

    /// Waits for the topic's metadata.
    pub(super) async fn learn_topic(&self, name: &str, deadline: Instant) -> Result<(), Error> {
        let shared = &self.0.shared;
        // Of this wait alone: one that fails or is dropped leaves nothing to be kept fresh.
        let asking = shared.client.topics_in_use().creating(shared.values().allow_auto_create_topics);
        asking.add(name);
        match shared.client.topic(name, deadline).await {
            Ok(topic) => {
                shared.take_up(&topic);
                Ok(())
            }
            Err(error) => {
                if error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) {
                    let waited = shared.values().max_block.as_millis();
                    let message = format!("topic {name} does not exist, or did not within {waited} ms");
                    return Err(Error::new(ErrorKind::UnknownTopic, message).with_cause(error));
                }
                Err(error)
            }
        }
    }

    /// Waits until the topic has the partition that the record names.
    pub(super) async fn await_partition(
        &self,
        record: &Record<'_>,
        known: usize,
        deadline: Instant,
    ) -> Result<(), Error> {
        let shared = &self.0.shared;
        let wanted = record.chosen_partition().and_then(|partition| usize::try_from(partition).ok());
        let Some(wanted) = wanted else { return Err(no_such_partition(record, known)) };
        let mut updates = shared.client.cluster_updates();
        loop {
            if let Some(topic) = updates.latest().topic(record.topic())
                && topic.partitions.len() > wanted
            {
                shared.take_up(topic);
                return Ok(());
            }
            shared.client.refresh_metadata();
            match runtime::until(deadline, updates.changed()).await {
                Some(Ok(())) => {}
                _ => {
                    return Err(no_such_partition(
                        record,
                        shared.accumulator.partition_count(record.topic()),
                    ));
                }
            }
        }
    }

    /// Waits for room in the buffer.
    pub(super) async fn reserve(&self, bytes: usize, deadline: Instant) -> Result<Charge, Error> {
        let shared = &self.0.shared;
        let mut wait = shared.accumulator.memory.reserve(bytes);
        let granted = std::future::poll_fn(|cx| {
            let granted = std::pin::Pin::new(&mut wait).poll(cx);
            if granted.is_pending() {
                // Open batches should go out now, full or not.
                shared.notify.notify_one();
            }
            granted
        });
        match runtime::until(deadline, granted).await {
            Some(Some(reservation)) => Ok(reservation),
            Some(None) => Err(self.closed()),
            None => Err(self.no_room(&format!("within {} ms", shared.values().max_block.as_millis()))),
        }
    }

    pub(super) fn closed(&self) -> Error {
        let fatal = self.0.shared.fatal.get().cloned();
        fatal.unwrap_or_else(|| Error::new(ErrorKind::Closed, "the producer is closed"))
    }

    pub(super) fn no_room(&self, when: &str) -> Error {
        let limit = self.0.shared.values().buffer_memory;
        Error::new(
            ErrorKind::BufferFull,
            format!("no room {when}: records not yet acknowledged take all {limit} bytes of `buffer.memory`"),
        )
    }
}

pub(super) fn too_large(record: &Record<'_>, bytes: usize, limit: usize) -> Error {
    let message = format!(
        "a record for topic {} takes up to {bytes} bytes, more than the {limit} that `max.request.size` and \
         `buffer.memory` allow",
        record.topic()
    );
    Error::new(ErrorKind::RecordTooLarge, message)
}

pub(super) fn misplaced(record: &Record<'_>, partition: i32, partitions: usize) -> Error {
    let topic = record.topic();
    Error::new(
        ErrorKind::InvalidState,
        format!(
            "the application's partitioner chose partition {partition} of topic {topic}, which has {partitions}"
        ),
    )
}

pub(super) fn no_such_partition(record: &Record<'_>, partitions: usize) -> Error {
    let (topic, partition) = (record.topic(), record.chosen_partition().unwrap_or(-1));
    Error::new(
        ErrorKind::UnknownTopic,
        format!("topic {topic} has {partitions} partitions and no partition {partition}"),
    )
}
