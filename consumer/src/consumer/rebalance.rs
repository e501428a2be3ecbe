//! What the group asks for: partitions come, go, or are lost; the listener has its word; then the subscription changes.
//!
//! Guarantees: steps happen in the group's order, one at a time, inside `poll`; no record is handed out while a step is under
//! way, so none of a revoked partition comes after its commit. A step whose poll was dropped goes on where it was.
//!
//! Sources: KIP-429.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::{Error, ErrorKind, TopicPartition};
use tracing::Instrument;

use super::Consumer;
use super::commits::{Offsets, begin_commit, named, positions};
use super::driver::{self, Begun, Runtime};
use crate::commit::{Committer, OffsetAndMetadata};
use crate::fetch::driver::{Shared, now, until};
use crate::group::GroupEvent;
use crate::listener::{ListenerFuture, RebalanceContext, RebalanceListener};
use crate::streams::Slot;
use crate::stuck::FirstOf;
use crate::subscription::{Source, Start};

/// A step that is under way.
pub(super) struct Step {
    change: Change,
    partitions: Vec<TopicPartition>,
    /// The group's number of it; `None` for the consumer's own.
    event: Option<u64>,
    /// Whether the listener is still the consumer's at the end.
    pub(super) listener_stays: bool,
    /// The listener's part, which owns the listener meanwhile.
    telling: Telling,
}

/// What a step does to the subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Assigned,
    Revoked,
    Lost,
}

type Told = (Option<Box<dyn RebalanceListener>>, Result<(), Error>);
type Telling = Pin<Box<dyn Future<Output = Told> + Send>>;

impl Consumer {
    /// Does what the group asks for; false if `deadline` passes first.
    pub(super) async fn rebalance(&mut self, deadline: Option<Instant>) -> Result<bool, Error> {
        loop {
            self.go_on()?;
            if self.step.is_none() {
                match self.group.as_mut().and_then(|group| group.try_event()) {
                    Some(event) => self.begin_event(event)?,
                    None if !self.awaits_loss() => return Ok(true),
                    None => {
                        if !driver::wait(&self.shared, self.group.as_mut(), deadline).await {
                            return Ok(false);
                        }
                        continue;
                    }
                }
            }
            let stopping = self.stopping();
            match driver::unless(stopping, self.finish_step(deadline)).await {
                Some(Some(result)) => result?,
                Some(None) => return Ok(false),
                // The step goes on when the consumer is closed.
                None => return self.go_on().map(|()| false),
            }
        }
    }

    /// Whether the member is out of its group, and has yet to say that all partitions are lost.
    ///
    /// A member that oversleeps while the application has another step to take says it only after that step. Between the
    /// two, the partitions look as if they were still the application's.
    fn awaits_loss(&self) -> bool {
        let is_out = self.group.as_ref().is_some_and(|group| !group.membership().is_member());
        is_out && self.shared.state().subscription.iter().next().is_some()
    }

    /// Begins a step that the consumer takes by itself: it gives everything up, if it still has it.
    pub(super) fn begin_giving_up(&mut self) {
        let all = self.shared.state().subscription.names();
        let lost = self.group.as_ref().is_some_and(|group| !group.membership().is_member());
        self.begin_step(if lost { Change::Lost } else { Change::Revoked }, all, None);
    }

    /// Waits for the step's end, by `deadline`; then the subscription changes, at once and without another wait.
    pub(super) async fn finish_step(&mut self, deadline: Option<Instant>) -> Option<Result<(), Error>> {
        let Some(step) = &mut self.step else { return Some(Ok(())) };
        let _inside = self.shared.meter.inside();
        let (listener, result) = match deadline {
            Some(deadline) => until(deadline, step.telling.as_mut()).await?,
            None => step.telling.as_mut().await,
        };
        let step = self.step.take()?;
        if step.listener_stays {
            self.listener = listener;
        }
        self.apply(step.change, &step.partitions);
        if let (Some(group), Some(event)) = (&mut self.group, step.event) {
            group.acknowledge(event);
        }
        Some(result)
    }

    pub(super) fn begin_event(&mut self, event: GroupEvent) -> Result<(), Error> {
        let id = event.id();
        match event {
            GroupEvent::Revoke { partitions, .. } => self.begin_step(Change::Revoked, partitions, Some(id)),
            GroupEvent::Lost { partitions, .. } => {
                tracing::warn!(?partitions, "the group took partitions away; rejoining");
                self.shared.meter.lost(now(), self.options.max_poll_interval);
                self.begin_step(Change::Lost, partitions, Some(id));
            }
            GroupEvent::Assigned { added, .. } => {
                {
                    let mut state = self.shared.state();
                    for partition in &added {
                        state.subscription.add(partition.clone(), Start::Committed, true);
                    }
                }
                self.register_topics();
                self.begin_step(Change::Assigned, added, Some(id));
            }
            GroupEvent::Failed { error, .. } => {
                if let Some(group) = &mut self.group {
                    group.acknowledge(id);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn begin_step(&mut self, change: Change, partitions: Vec<TopicPartition>, event: Option<u64>) {
        self.park();
        let handover = self.shared.state().streams.handover;
        let commit = match (change, handover) {
            (Change::Revoked, Some(handover)) => LastCommit::AfterStreams {
                slots: self.shared.state().streams.close(&partitions),
                deadline: now() + handover,
                wanted: self.auto_commit.is_some(),
            },
            // All that was handed out was handed out by earlier polls: it is processed.
            (Change::Revoked, None) => LastCommit::Begun(self.last_commit()),
            (Change::Lost, _) => {
                // Others may read them already, however long the listener takes.
                let slots = self.shared.state().streams.close(&partitions);
                slots.iter().for_each(|slot| slot.cut());
                LastCommit::Begun(None)
            }
            (Change::Assigned, _) => LastCommit::Begun(None),
        };
        let context = StepContext {
            shared: Arc::clone(&self.shared),
            committer: self.committer.clone(),
            runtime: self.runtime.clone(),
            timeout: self.options.default_api_timeout,
        };
        self.shared.meter.listener_begins(now());
        let telling = tell(change, self.listener.take(), context, partitions.clone(), commit);
        let telling = telling.instrument(tracing::debug_span!("rebalance", ?change));
        self.step =
            Some(Step { change, partitions, event, listener_stays: true, telling: Box::pin(telling) });
    }

    fn apply(&mut self, change: Change, partitions: &[TopicPartition]) {
        self.count(change, partitions);
        let mut state = self.shared.state();
        match change {
            Change::Assigned => {
                state.subscription.release(partitions);
                state.streams.look_again();
            }
            Change::Revoked | Change::Lost => partitions.iter().for_each(|partition| state.remove(partition)),
        }
        drop(state);
        if change != Change::Assigned
            && let Some(auto_commit) = &mut self.auto_commit
        {
            auto_commit.forget(partitions);
        }
        self.register_topics();
        self.shared.work.notify_one();
    }
}

impl Consumer {
    /// Counts and logs a step that is done.
    fn count(&self, change: Change, partitions: &[TopicPartition]) {
        let meter = &self.shared.meter;
        match change {
            Change::Assigned => {
                let state = self.shared.state();
                let topics = match &state.subscription.source {
                    Source::Group(topics) => Some(topics),
                    Source::None | Source::Manual => None,
                };
                meter.assigned(now(), partitions.len(), topics);
                let all = state.subscription.iter().count();
                tracing::info!(added = %FirstOf(partitions), partitions = all, "partitions assigned");
            }
            Change::Revoked | Change::Lost => {
                meter.gave_up(partitions.len(), change == Change::Lost);
                if !partitions.is_empty() {
                    tracing::info!(partitions = %FirstOf(partitions), ?change, "partitions given up");
                }
            }
        }
    }
}

/// The part of a step that waits: the commit, then the listener.
async fn tell(
    change: Change,
    mut listener: Option<Box<dyn RebalanceListener>>,
    mut context: StepContext,
    partitions: Vec<TopicPartition>,
    commit: LastCommit,
) -> Told {
    if let Err(error) = commit.done(&context).await {
        tracing::warn!(%error, ?partitions, "positions are not committed; their records will be read again");
    }
    let Some(told) = &mut listener else { return (None, Ok(())) };
    let result = match change {
        Change::Assigned => told.assigned(&mut context, &partitions).await,
        // Nothing to give up is nothing to tell.
        Change::Revoked | Change::Lost if partitions.is_empty() => Ok(()),
        Change::Revoked => told.revoked(&mut context, &partitions).await,
        Change::Lost => told.lost(&mut context, &partitions).await,
    };
    (listener, result)
}

/// The commit before partitions are given away.
enum LastCommit {
    Begun(Option<Begun>),
    /// Once the holders of the partitions' streams have come to an end, or are out of time.
    AfterStreams {
        slots: Vec<Arc<Slot>>,
        deadline: Instant,
        wanted: bool,
    },
}

impl LastCommit {
    async fn done(self, context: &StepContext) -> Result<(), Error> {
        match self {
            LastCommit::Begun(None) => Ok(()),
            LastCommit::Begun(Some(commit)) => commit.await,
            LastCommit::AfterStreams { slots, deadline, wanted } => {
                for slot in &slots {
                    if until(deadline, slot.released()).await.is_none() {
                        let partition = slot.partition();
                        tracing::warn!(%partition, "its stream's holder was not done in time: it ends now");
                        slot.cut();
                    }
                }
                let offsets = context.positions();
                if wanted && !offsets.is_empty() { context.begin(&offsets).await } else { Ok(()) }
            }
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step")
            .field("change", &self.change)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

/// What a listener can do; it owns its share of everything, so that a step can outlive the poll in which it began.
#[derive(Debug)]
struct StepContext {
    shared: Arc<Shared>,
    committer: Option<Committer>,
    runtime: Runtime,
    timeout: Duration,
}

impl StepContext {
    fn positions(&self) -> Offsets {
        let mut state = self.shared.state();
        state.settle_streams();
        positions(&state)
    }

    fn begin(&self, offsets: &Offsets) -> ListenerFuture<'static> {
        match &self.committer {
            Some(committer) => {
                Box::pin(begin_commit(&self.runtime, committer, offsets, now() + self.timeout))
            }
            None => Box::pin(std::future::ready(Err(Error::new(
                ErrorKind::InvalidState,
                "there is no group to commit to",
            )))),
        }
    }
}

impl RebalanceContext for StepContext {
    fn assignment(&self) -> Vec<TopicPartition> {
        self.shared.state().subscription.names()
    }

    fn position(&self, partition: &TopicPartition) -> Option<i64> {
        let state = self.shared.state();
        Some(state.subscription.partition(partition)?.fetching()?.position.offset)
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), Error> {
        super::assignment::seek(&self.shared, partition, Start::Offset(offset))
    }

    fn commit(&mut self) -> ListenerFuture<'_> {
        let offsets = self.positions();
        self.begin(&offsets)
    }

    fn commit_offsets(&mut self, offsets: HashMap<TopicPartition, OffsetAndMetadata>) -> ListenerFuture<'_> {
        let offsets = named(&self.shared.state(), offsets);
        self.begin(&offsets)
    }
}
