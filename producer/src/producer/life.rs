//! What is asked of the producer's task: to flush, to close, to give up.

use std::time::Duration;

use ottla_client::{Error, ErrorKind};
use tokio::sync::{oneshot, watch};

use super::Producer;
use crate::driver::Command;
use crate::runtime;

/// How much later than its deadline `close` stops waiting for the task to say how it ended.
const SLACK: Duration = Duration::from_secs(1);

/// Further away than any deadline that somebody waits for.
pub(super) const FAR_FUTURE: Duration = Duration::from_secs(365 * 86_400);

impl Producer {
    /// Sends everything that was accepted before, without lingering, and waits until all of it has its outcome. Whether
    /// that was success, the deliveries tell. What is accepted meanwhile does not prolong it. Callbacks and interceptors
    /// know it when this returns.
    ///
    /// # Errors
    /// `Closed` when the producer's task has ended; then everything has its outcome.
    ///
    /// # Cancel safety
    /// Dropping it ends the wait and nothing else.
    pub async fn flush(&self) -> Result<(), Error> {
        let now = runtime::now();
        let waiting = self.ask(|reply| Command::Flush(now, reply)).await;
        for batch in waiting.ok_or_else(|| self.closed())? {
            batch.told().await;
        }
        self.delivered().await;
        Ok(())
    }

    /// Accepts no more records, flushes for up to `deadline`, fails what is left then, and ends the producer's task.
    /// Closing a producer that is closed succeeds.
    ///
    /// # Errors
    /// `Timeout` when records had to be failed at the deadline, or when a callback of the application's holds the task up
    /// for a second longer.
    ///
    /// # Cancel safety
    /// Once polled it takes effect, even if it is dropped.
    pub async fn close(&self, deadline: Duration) -> Result<(), Error> {
        let shared = &self.0.shared;
        shared.accumulator.close();
        let at = runtime::now().checked_add(deadline).unwrap_or_else(|| runtime::now() + FAR_FUTURE);
        let ended = self.ask(|reply| Command::Close(at, reply));
        match runtime::until_if_timed(at + SLACK, ended).await {
            Some(ended) => ended.unwrap_or(Ok(())),
            None => Err(Error::new(
                ErrorKind::Timeout,
                "the producer's task did not end by close's deadline: does a callback of a record block?",
            )),
        }
    }

    /// Waits until callbacks and interceptors know every outcome that there is.
    async fn delivered(&self) {
        if self.0.shared.outbox.is_used() {
            // A task that has ended delivered everything before.
            self.ask(Command::Deliver).await;
        }
    }

    /// What the task answers; `None` if it has ended.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.0.commands.send(command(reply)).ok()?;
        answer_of(&self.0.task, answer).await
    }

    /// Gives up every record that was accepted before and has no outcome yet: its delivery fails at once with kind
    /// `Aborted`, and [`Error::possibly_written`] is true where a request that holds it is under way or was not answered.
    /// The producer goes on with what is sent afterwards, in order and without duplicates as ever; records that others send
    /// while this is awaited may be given up, too. To end the producer at once, use [`Producer::close`] with no time.
    ///
    /// # Errors
    /// `Closed` when the producer's task has ended; then everything has its outcome.
    ///
    /// # Cancel safety
    /// Once polled it takes effect, even if it is dropped.
    pub async fn abort(&self) -> Result<(), Error> {
        self.ask(Command::Abort).await.ok_or_else(|| self.closed())
    }
}

/// An answer of the task, unless it ends without one.
///
/// A command may pass into the channel and find nobody there: it is sent in two steps, and a runtime that shuts down drops the
/// receiver between them. The channel would keep it then for as long as there are handles, and whoever waits has one.
async fn answer_of<T>(task: &watch::Sender<()>, mut answer: oneshot::Receiver<T>) -> Option<T> {
    tokio::select! {
        biased;
        answer = &mut answer => answer.ok(),
        () = task.closed() => answer.try_recv().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_command_that_stays_in_the_channel_of_a_task_that_ended_is_not_waited_for() {
        let (task, alive) = watch::channel(());
        // What is in the channel is neither answered nor dropped.
        let (in_channel, answer) = oneshot::channel::<()>();
        let waiting = tokio::time::timeout(Duration::from_secs(60), answer_of(&task, answer));
        let mut waiting = std::pin::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(alive);
        assert_eq!(waiting.await, Ok(None));
        drop(in_channel);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_the_task_gave_before_it_ended_counts() {
        let (task, alive) = watch::channel(());
        let (reply, answer) = oneshot::channel();
        reply.send(7).expect("somebody waits");
        drop(alive);
        assert_eq!(answer_of(&task, answer).await, Some(7));
    }
}
