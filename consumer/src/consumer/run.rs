//! Stopping by a [`Shutdown`], and a loop that does all that belongs to it.
//!
//! Guarantee: a record whose work was not done counts as not processed: no commit of the loop names it.

#![allow(clippy::disallowed_methods, reason = "a driver reads the clock and waits")]

use std::future::Future;
use std::time::Duration;

use ottla_client::{Error, ErrorKind};

use super::Consumer;
use crate::fetch::driver::now;
use crate::options::CommitMode;
use crate::record::Record;
use crate::shutdown::Shutdown;
use crate::subscription::Start;

/// How [`Consumer::run`] failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError<E> {
    /// The consumer did.
    #[error(transparent)]
    Consumer(#[from] Error),
    /// The application's work did.
    #[error("{0}")]
    Work(E),
}

impl Consumer {
    /// Has `shutdown` stop this consumer: once it is triggered, `poll` and `next` end at once with kind `Shutdown`, records
    /// or not, in the midst of a rebalance too, and streams end. The consumer is to be closed then; until it is closed or
    /// dropped, [`Shutdown::finished`] waits for it.
    ///
    /// Replaces an earlier shutdown.
    pub fn stop_with(&mut self, shutdown: &Shutdown) {
        self.stop = Some(shutdown.attach_consumer(&self.shared));
    }

    /// Hands each record to `work`, one after the other, until `shutdown` is triggered. Then the record in work is finished,
    /// what was processed is committed (by `enable.auto.commit` and `commit.mode`, as by [`Consumer::close`]), and the
    /// group is left: all that within `grace` from the trigger, of which the work gets three quarters.
    ///
    /// Errors of the consumer that may pass are logged, and it goes on.
    ///
    /// ```no_run
    /// # async fn run(consumer: ottla_consumer::Consumer) {
    /// use std::time::Duration;
    /// use ottla_consumer::{RunError, Shutdown};
    ///
    /// let shutdown = Shutdown::new();
    /// let work = async |record: ottla_consumer::Record| {
    ///     println!("{record:?}");
    ///     Ok::<(), std::io::Error>(())
    /// };
    /// match consumer.run(&shutdown, Duration::from_secs(10), work).await {
    ///     Ok(()) => println!("stopped"),
    ///     Err(RunError::Work(error)) => eprintln!("the work failed: {error}"),
    ///     Err(RunError::Consumer(error)) => eprintln!("{error}"),
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Work` with the error of `work`, `Consumer` with one that does not pass; in both cases the consumer was closed,
    /// and the record that failed comes again. `Consumer` also with what closing failed with, and with kind `Timeout` if
    /// the record in work was not finished in time; its work was dropped then.
    ///
    /// # Cancel safety
    /// Dropping it is as dropping the consumer. The record in work may be committed or not.
    pub async fn run<W, F, E>(
        mut self,
        shutdown: &Shutdown,
        grace: Duration,
        mut work: W,
    ) -> Result<(), RunError<E>>
    where
        W: FnMut(Record) -> F,
        F: Future<Output = Result<(), E>>,
    {
        self.stop_with(shutdown);
        let outcome = loop {
            let record = match self.next().await {
                Ok(record) => record,
                Err(error) if error.kind() == ErrorKind::Shutdown => break Ok(()),
                Err(error) if error.is_retriable() && !self.has_failed() => {
                    tracing::warn!(%error, "reading goes on");
                    continue;
                }
                Err(error) => break Err(RunError::Consumer(error)),
            };
            let (partition, offset) = (record.topic_partition().clone(), record.offset());
            let over = async {
                shutdown.triggered().await;
                tokio::time::sleep(grace.mul_f64(WORKS_SHARE)).await;
            };
            let failure = tokio::select! {
                biased;
                done = work(record) => match done {
                    Ok(()) => continue,
                    Err(error) => RunError::Work(error),
                },
                () = over => {
                    let message = format!(
                        "the record at offset {offset} of {partition} was not processed before the shutdown's grace \
                         was over; it will be read again"
                    );
                    RunError::Consumer(Error::new(ErrorKind::Timeout, message))
                }
            };
            // By acknowledgements it is not committed anyway, while others are still outstanding.
            if self.options.commit_mode == CommitMode::Position {
                // It can't have been revoked meanwhile, as nobody polled.
                let _ = self.seek(&partition, Start::Offset(offset));
            }
            break Err(failure);
        };
        let left = match shutdown.triggered_at() {
            Some(at) => grace.saturating_sub(now().saturating_duration_since(at)),
            None => grace,
        };
        let closed = self.close(left).await.map_err(RunError::Consumer);
        outcome.and(closed)
    }

    /// Whether it may go on polling.
    pub(super) fn go_on(&self) -> Result<(), Error> {
        match &self.stop {
            Some(stop) if stop.shutdown().is_triggered() => {
                Err(Error::new(ErrorKind::Shutdown, "the consumer was asked to stop; close it"))
            }
            _ => Ok(()),
        }
    }

    /// Waits until it may not go on.
    pub(super) fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let shutdown = self.stop.as_ref().map(|stop| stop.shutdown().clone());
        async move {
            match shutdown {
                Some(shutdown) => shutdown.triggered().await,
                None => std::future::pending().await,
            }
        }
    }
}

/// The part of the grace that the record in work has.
const WORKS_SHARE: f64 = 0.75;
