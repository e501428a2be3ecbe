//! Offsets on request: ends of logs, times, lag; and seeks to them.
//!
//! Guarantee: every partition has an answer or an error of its own by `default.api.timeout.ms`; each leader is asked once for
//! all of its partitions.
//!
//! Sources: KIP-79, KIP-98 (what a reader of committed records can see), KIP-320, KIP-695 (lag).

use std::collections::HashMap;

use ottla_client::{Error, ErrorKind, TopicPartition};
use ottla_protocol::messages::list_offsets::{EARLIEST_TIMESTAMP, LATEST_TIMESTAMP};

use super::Consumer;
use super::assignment::{invalid, unassigned};
use crate::commit::OffsetAndMetadata;
use crate::position::anew::Anew;
use crate::position::driver::query;
use crate::position::query::{Answers, OffsetAndTimestamp};
use crate::subscription::{Position, Start};

/// An answer for each partition.
type Each<T> = HashMap<TopicPartition, Result<T, Error>>;

impl Consumer {
    /// The offset of the first record that each partition's log still holds; the partitions need not be assigned.
    ///
    /// # Errors
    /// Of each partition on its own: `UnknownTopic`, `Authorization`; after `default.api.timeout.ms` the stage at which
    /// connecting failed, or `Timeout`, with the last obstacle.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn begin_offsets(
        &mut self,
        partitions: &[TopicPartition],
    ) -> HashMap<TopicPartition, Result<i64, Error>> {
        self.ends(partitions, EARLIEST_TIMESTAMP).await
    }

    /// The offset after the last record of each partition that this consumer can see, by `isolation.level`: the high
    /// watermark, or the last stable offset. The partitions need not be assigned.
    ///
    /// # Errors
    /// Those of [`Consumer::begin_offsets`].
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn end_offsets(
        &mut self,
        partitions: &[TopicPartition],
    ) -> HashMap<TopicPartition, Result<i64, Error>> {
        self.ends(partitions, LATEST_TIMESTAMP).await
    }

    /// The first record of each partition that is not older than a time, in milliseconds since 1970; `None` if all are
    /// older. The partitions need not be assigned.
    ///
    /// # Errors
    /// Those of [`Consumer::begin_offsets`], and `InvalidState` for a negative time.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn offsets_for_times(
        &mut self,
        times: impl IntoIterator<Item = (TopicPartition, i64)>,
    ) -> HashMap<TopicPartition, Result<Option<OffsetAndTimestamp>, Error>> {
        let (asked, negative): (HashMap<_, _>, HashMap<_, _>) =
            times.into_iter().partition(|(_, timestamp)| *timestamp >= 0);
        let mut answers = self.query(asked).await;
        for (partition, timestamp) in negative {
            let error =
                invalid(format!("cannot look for the time {timestamp} in {partition}: it is negative"));
            answers.insert(partition, Err(error));
        }
        answers
    }

    /// How many offsets lie between the position and the end of what this consumer can see, as of the last answer that
    /// brought records or news of the partition; `None` if the partition is not assigned or nothing is known yet. Offsets
    /// without a record, as those of transactions' markers, count.
    pub fn lag(&mut self, partition: &TopicPartition) -> Option<u64> {
        self.settle();
        let state = self.shared.state();
        let fetching = state.subscription.partition(partition)?.fetching()?;
        Some(distance(fetching.position.offset, fetching.end_offset?))
    }

    /// The same, with the end as the partition's leader knows it now.
    ///
    /// # Errors
    /// Those of [`Consumer::position`] and [`Consumer::end_offsets`].
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn current_lag(&mut self, partition: &TopicPartition) -> Result<u64, Error> {
        let position = self.position(partition).await?;
        let end = self.end_offsets(std::slice::from_ref(partition)).await.remove(partition);
        let unanswered = || Error::new(ErrorKind::Protocol, format!("no answer about {partition}"));
        Ok(distance(position, end.ok_or_else(unanswered)??))
    }

    /// Reads on from the first record that the logs of these partitions hold, looked up when it is needed.
    ///
    /// # Errors
    /// Kind `InvalidState` if one is not assigned; then all stay where they are.
    pub fn seek_to_beginning(&mut self, partitions: &[TopicPartition]) -> Result<(), Error> {
        self.seek_all(partitions, Start::Earliest)
    }

    /// Reads on from the end of what this consumer can see of these partitions, looked up when it is needed:
    /// [`Consumer::position`] waits for that.
    ///
    /// # Errors
    /// Kind `InvalidState` if one is not assigned; then all stay where they are.
    pub fn seek_to_end(&mut self, partitions: &[TopicPartition]) -> Result<(), Error> {
        self.seek_all(partitions, Start::Latest)
    }

    /// Reads on from the first record of each of these partitions that is not older than this time, in milliseconds since
    /// 1970, or from the end if all are older.
    ///
    /// # Errors
    /// Kind `InvalidState` if one is not assigned, or for a negative time; then all stay where they are.
    pub fn seek_to_time(&mut self, partitions: &[TopicPartition], timestamp: i64) -> Result<(), Error> {
        if timestamp < 0 {
            return Err(invalid(format!("cannot seek to the time {timestamp}: it is negative")));
        }
        self.seek_all(partitions, Start::Timestamp(timestamp))
    }

    /// Reads on from an offset that was kept with its leader epoch, by a commit or by the application: if the log was
    /// truncated since then, that is noticed as if the consumer had read up to there itself.
    ///
    /// # Errors
    /// Kind `InvalidState` if the partition is not assigned or the offset negative.
    pub fn seek_to_offset(
        &mut self,
        partition: &TopicPartition,
        to: &OffsetAndMetadata,
    ) -> Result<(), Error> {
        if to.offset < 0 {
            return Err(invalid(format!("cannot seek {partition} to offset {}: it is negative", to.offset)));
        }
        self.park();
        let position = Position { offset: to.offset, leader_epoch: to.leader_epoch };
        if !self.shared.state().begin_anew(partition, Anew::Kept(position)) {
            return Err(unassigned(partition));
        }
        self.shared.work.notify_one();
        Ok(())
    }

    fn seek_all(&mut self, partitions: &[TopicPartition], to: Start) -> Result<(), Error> {
        self.park();
        let mut state = self.shared.state();
        if let Some(partition) = partitions.iter().find(|name| state.subscription.partition(name).is_none()) {
            return Err(unassigned(partition));
        }
        for partition in partitions {
            state.seek(partition, to);
        }
        drop(state);
        self.shared.work.notify_one();
        Ok(())
    }

    async fn ends(&mut self, partitions: &[TopicPartition], timestamp: i64) -> Each<i64> {
        let answers = self.query(partitions.iter().map(|name| (name.clone(), timestamp)).collect()).await;
        let end = |(name, answer): (TopicPartition, Result<Option<OffsetAndTimestamp>, Error>)| {
            let unanswered = || Error::new(ErrorKind::Protocol, format!("the log of {name} has no such end"));
            let offset = answer.and_then(|found| found.map(|found| found.offset).ok_or_else(unanswered));
            (name, offset)
        };
        answers.into_iter().map(end).collect()
    }

    async fn query(&mut self, asked: HashMap<TopicPartition, i64>) -> Answers {
        query(&self.client, self.options.isolation_level, asked, self.default_deadline()).await
    }
}

/// From the position to the end; a position that a truncated log has left beyond its end lags by nothing.
fn distance(position: i64, end: i64) -> u64 {
    u64::try_from(end.saturating_sub(position)).unwrap_or(0)
}
