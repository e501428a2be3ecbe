//! [`PartitionStreams`]: a consumer whose partitions are read by tasks of their own.

#![allow(clippy::disallowed_methods, reason = "a driver starts tasks and reads the clock")]

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ottla_client::{Error, ErrorKind, TopicPartition};
use tokio::task::JoinSet;

use super::Consumer;
use crate::ack::Acknowledger;
use crate::fetch::driver::{Shared, now};
use crate::metrics::ConsumerMetrics;
use crate::options::CommitMode;
use crate::shutdown::Shutdown;
use crate::streams::PartitionStream;

/// How long a holder may go on with its record, unless it was told otherwise.
const HANDOVER: Duration = Duration::from_secs(30);

impl Consumer {
    /// Turns the consumer into a source of streams, one for each partition that it has, for a task per partition.
    ///
    /// ```no_run
    /// # async fn run(consumer: ottla_consumer::Consumer) -> Result<(), ottla_client::Error> {
    /// let mut streams = consumer.partition_streams();
    /// loop {
    ///     let mut stream = streams.next().await?;
    ///     tokio::spawn(async move {
    ///         while let Some(record) = stream.next().await {
    ///             println!("{}: {record:?}", stream.partition());
    ///         }
    ///     });
    /// }
    /// # }
    /// ```
    pub fn partition_streams(mut self) -> PartitionStreams {
        self.park();
        {
            let mut state = self.shared.state();
            let longest = self.options.max_poll_interval / 2;
            state.streams.handover = Some(HANDOVER.min(longest));
            state.streams.look_again();
            state.subscription.streamed = true;
        }
        let end = EndStreams(Arc::clone(&self.shared));
        PartitionStreams { consumer: self, _end: end }
    }

    /// A stream of the next partition that has none.
    pub(super) fn next_stream(&mut self) -> Option<PartitionStream> {
        let slot = self.shared.state().next_slot()?;
        let acked = self.options.commit_mode == CommitMode::Acked;
        Some(PartitionStream::new(Arc::clone(&self.shared), slot, acked))
    }
}

/// A consumer whose partitions are read by tasks of their own; made by [`Consumer::partition_streams`].
///
/// [`PartitionStreams::next`] is also what keeps the group and the commits in the background going: call it again and
/// again, or use [`PartitionStreams::run`]. With cooperative assignors only the streams of partitions that change hands end at
/// a rebalance; with the others all do, and come again.
///
/// Dropping it ends all streams.
pub struct PartitionStreams {
    consumer: Consumer,
    _end: EndStreams,
}

impl PartitionStreams {
    /// For how long the holder of a partition that is revoked may go on with the record it has; then its stream ends, and
    /// that record counts as not processed. 30 s if this is not called, and never more than half of
    /// `max.poll.interval.ms`.
    #[must_use]
    pub fn handover(self, within: Duration) -> PartitionStreams {
        let longest = self.consumer.options.max_poll_interval / 2;
        self.consumer.shared.state().streams.handover = Some(within.min(longest));
        self
    }

    /// A stream of the next partition that has none: one that was assigned, or whose stream was dropped before its end.
    /// Meanwhile rebalances take place and commits are made in the background.
    ///
    /// # Errors
    /// Those of [`Consumer::poll`], `Shutdown` among them. It may be called again after any.
    ///
    /// # Cancel safety
    /// Safe, but nothing goes on until it is called again.
    pub async fn next(&mut self) -> Result<PartitionStream, Error> {
        loop {
            self.consumer.begin_poll(now());
            self.consumer.rebalance(None).await?;
            self.consumer.next_error()?;
            if let Some(stream) = self.consumer.next_stream() {
                return Ok(stream);
            }
            self.consumer.wait(None).await;
        }
    }

    /// Starts a task with `work` for each stream, until `shutdown` is triggered; then the streams end, and what their
    /// holders have processed is committed and the group is left within `grace`. Tasks that still go on then are
    /// aborted.
    ///
    /// Errors of the consumer that may pass are logged.
    ///
    /// # Errors
    /// Those that do not pass, and those of [`PartitionStreams::close`].
    ///
    /// # Cancel safety
    /// Dropping it ends the streams, aborts the tasks and drops the consumer.
    pub async fn run<W, F>(mut self, shutdown: &Shutdown, grace: Duration, mut work: W) -> Result<(), Error>
    where
        W: FnMut(PartitionStream) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        self.consumer.stop_with(shutdown);
        let mut tasks = JoinSet::new();
        let runtime = self.consumer.runtime.handle().clone();
        let outcome = loop {
            match self.next().await {
                Ok(stream) => {
                    tasks.spawn_on(work(stream), &runtime);
                    while let Some(done) = tasks.try_join_next() {
                        log_panic(done);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Shutdown => break Ok(()),
                Err(error) if error.is_retriable() && !self.consumer.has_failed() => {
                    tracing::warn!(%error, "reading goes on");
                }
                Err(error) => break Err(error),
            }
        };
        let left = match shutdown.triggered_at() {
            Some(at) => grace.saturating_sub(now().saturating_duration_since(at)),
            None => grace,
        };
        outcome.and(self.close(left).await)
    }

    /// Acknowledges records; see [`Consumer::acknowledger`].
    ///
    /// # Errors
    /// Kind `InvalidState` unless `commit.mode` is `acked`.
    pub fn acknowledger(&self) -> Result<Acknowledger, Error> {
        self.consumer.acknowledger()
    }

    /// Has `shutdown` stop it, as [`Consumer::stop_with`] does: [`PartitionStreams::next`] then ends with kind
    /// `Shutdown`, and [`PartitionStreams::close`] ends the streams.
    pub fn stop_with(&mut self, shutdown: &Shutdown) {
        self.consumer.stop_with(shutdown);
    }

    /// What the consumer has done so far, and where it stands: as far as the streams' holders have processed. See
    /// [`Consumer::metrics`].
    pub fn metrics(&self) -> ConsumerMetrics {
        self.consumer.metrics()
    }

    /// The partitions that the consumer has.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.consumer.assignment()
    }

    /// Commits what the streams' holders have processed.
    ///
    /// # Errors
    /// Those of [`Consumer::commit`].
    ///
    /// # Cancel safety
    /// As [`Consumer::commit`].
    pub async fn commit(&mut self) -> Result<(), Error> {
        self.consumer.commit().await
    }

    /// Ends the streams, waits for their holders for up to three quarters of `deadline`, and closes the consumer as
    /// [`Consumer::close`] does.
    ///
    /// # Errors
    /// Those of [`Consumer::close`].
    ///
    /// # Cancel safety
    /// Dropping it is as dropping the consumer.
    pub async fn close(self, deadline: Duration) -> Result<(), Error> {
        self.consumer.close(deadline).await
    }
}

impl fmt::Debug for PartitionStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionStreams").field("consumer", &self.consumer).finish_non_exhaustive()
    }
}

/// Ends the streams of a consumer that is gone.
struct EndStreams(Arc<Shared>);

impl Drop for EndStreams {
    fn drop(&mut self) {
        self.0.state().streams.cut();
    }
}

fn log_panic(done: Result<(), tokio::task::JoinError>) {
    if let Err(error) = done {
        tracing::error!(%error, "the task of a partition's stream did not come to its end");
    }
}
