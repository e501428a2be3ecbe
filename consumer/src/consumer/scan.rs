//! What a scan needs of its consumer.

use std::time::Instant;

use ottla_client::{Error, TopicPartition};

use super::Consumer;
use crate::fetch::driver::now;
use crate::options::IsolationLevel;
use crate::record::Record;
use crate::subscription::Start;

impl Consumer {
    /// The offsets that `at` stands for in the partitions, all of which are assigned, by `deadline`; the positions are there
    /// then.
    pub(crate) async fn offsets(
        &mut self,
        partitions: &[TopicPartition],
        at: Start,
        deadline: Instant,
    ) -> Result<Vec<i64>, Error> {
        for partition in partitions {
            self.seek(partition, at)?;
        }
        let mut offsets = Vec::with_capacity(partitions.len());
        for partition in partitions {
            offsets.push(self.position_by(partition, deadline).await?);
        }
        Ok(offsets)
    }

    /// Records that are at hand, perhaps none.
    pub(crate) async fn at_hand(&mut self) -> Result<Vec<Record>, Error> {
        let now = now();
        self.give_way(now).await;
        self.begin_poll(now);
        self.fill(self.options.max_poll_records)
    }

    /// Whether all before `end` was returned or passed over.
    pub(crate) fn has_reached(&self, partition: &TopicPartition, end: i64) -> bool {
        let state = self.shared.state();
        let assigned = state.subscription.partition(partition);
        assigned.and_then(|assigned| assigned.fetching()).is_some_and(|at| at.position.offset >= end)
    }

    /// The position of a partition of which nothing is buffered.
    pub(crate) fn unfetched(&self, partition: &TopicPartition) -> Option<i64> {
        let state = self.shared.state();
        let fetching = state.subscription.partition(partition)?.fetching()?;
        state.buffer.is_empty_of(partition).then_some(fetching.position.offset)
    }

    /// Waits for news, but not for longer than a broker has to answer a fetch when there is nothing.
    pub(crate) async fn has_news_in_time(&mut self) -> bool {
        self.wait(now().checked_add(self.options.fetch_max_wait * 2)).await
    }

    /// Waits for news.
    pub(crate) async fn has_news(&mut self) -> bool {
        self.wait(None).await
    }

    /// Gives up all partitions but these.
    pub(crate) fn keep_only<'a>(
        &mut self,
        partitions: impl Iterator<Item = &'a TopicPartition>,
    ) -> Result<(), Error> {
        self.assign(partitions.map(|partition| (partition.clone(), Start::Earliest)))
    }

    pub(crate) fn isolation_level(&self) -> IsolationLevel {
        self.options.isolation_level
    }
}
