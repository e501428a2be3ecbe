//! The end: of a subscription, or of the consumer.

use std::time::{Duration, Instant};

use ottla_client::{Error, ErrorKind};

use super::{Consumer, spoken};
use crate::fetch::driver::{now, until};
use crate::subscription::Source;

impl Consumer {
    /// Gives all partitions up, with commit and listener as at a revocation, and leaves the group.
    ///
    /// # Errors
    /// The listener's own; kind `Timeout` if it, or the coordinator, takes longer than `default.api.timeout.ms`.
    /// Nothing is subscribed to afterwards, whatever the error.
    ///
    /// # Cancel safety
    /// Dropping it leaves some of this undone; calling it again goes on.
    pub async fn unsubscribe(&mut self) -> Result<(), Error> {
        let deadline = self.default_deadline();
        self.end(deadline, self.options.default_api_timeout).await
    }

    /// Commits what was returned (with `enable.auto.commit`), tells the listener, waits for commits that were begun, leaves the
    /// group, and ends the consumer's tasks, all within `deadline`. Static members (`group.instance.id`) do not leave: their partitions wait for them.
    ///
    /// # Errors
    /// The listener's own; kind `Timeout` if something was not done in time: the coordinator then notices by the session
    /// timeout.
    ///
    /// # Cancel safety
    /// Dropping it is as dropping the consumer.
    pub async fn close(mut self, deadline: Duration) -> Result<(), Error> {
        let now = now();
        let until = now.checked_add(deadline).unwrap_or(now + self.options.default_api_timeout);
        self.end(until, deadline).await
    }

    async fn end(&mut self, deadline: Instant, timeout: Duration) -> Result<(), Error> {
        let late = || {
            let message = format!("commit and listener were not done within {}", spoken(timeout));
            Err(Error::new(ErrorKind::Timeout, message))
        };
        // What the group asked for comes first, as the listener has only heard half of it.
        let mut result = self.finish_with_streams(deadline).await.unwrap_or_else(late);
        if self.step.is_none() {
            self.begin_giving_up();
            result = result.and(self.finish_with_streams(deadline).await.unwrap_or_else(late));
        }
        // Commits that wait for their turn, or for another try, are made by the member that is about to go.
        if let Some(committer) = self.committer.clone()
            && until(deadline, committer.settled()).await.is_none()
        {
            result = result.and(late());
        }
        if let Some(group) = self.group.take() {
            let left = until(deadline + LEAVE_GRACE, group.leave(deadline)).await;
            result = result.and(left.unwrap_or_else(late));
        }
        self.step = None;
        self.listener = None;
        self.reading = None;
        self.set_committer(None);
        {
            let mut state = self.shared.state();
            state.subscription.source = Source::None;
            for partition in state.subscription.names() {
                state.remove(&partition);
            }
        }
        self.register_topics();
        self.shared.work.notify_one();
        result
    }

    /// Waits for the step's end, and leaves time to commit if the holders of streams take too long.
    async fn finish_with_streams(&mut self, deadline: Instant) -> Option<Result<(), Error>> {
        if self.shared.state().streams.handover.is_some() {
            let now = now();
            let patience = deadline.saturating_duration_since(now).mul_f64(HOLDERS_SHARE);
            let finished = self.finish_step(Some(now + patience)).await;
            if finished.is_some() {
                return finished;
            }
            self.shared.state().streams.cut();
        }
        self.finish_step(Some(deadline)).await
    }
}

/// How much later than its own deadline a group that hangs is given up.
const LEAVE_GRACE: Duration = Duration::from_millis(100);

/// The part of the time for closing that the holders of streams have.
const HOLDERS_SHARE: f64 = 0.75;
