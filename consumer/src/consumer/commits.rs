//! Commits: on request, and in the background.
//!
//! Guarantees: a commit names what was handed out by earlier polls, never what the application has not seen; commits take
//! effect in the order of the calls, those in the background included, even if their futures are dropped.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ottla_client::{Error, TopicPartition};

use super::Consumer;
use super::driver::{Begun, Runtime};
use crate::commit::{Committer, OffsetAndMetadata, TopicOffset};
use crate::fetch::state::FetchState;
use crate::record::Record;
use crate::subscription::Position;

/// Offsets to commit, by partition.
pub(super) type Offsets = HashMap<TopicPartition, TopicOffset>;

/// The least time between two looks at commits in the background while the application waits for records.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// Commits in the background: when the next is due, and the one that is under way.
#[derive(Debug)]
pub(super) struct AutoCommit {
    interval: Duration,
    due: Option<Instant>,
    under_way: Option<(Begun, Offsets)>,
    /// What the last commits said, so that an idle member commits nothing.
    done: Offsets,
}

impl AutoCommit {
    pub(super) fn new(interval: Duration) -> AutoCommit {
        AutoCommit { interval, due: None, under_way: None, done: Offsets::new() }
    }

    /// Takes note of the result of a commit that was under way.
    fn reap(&mut self) {
        let Some((begun, offsets)) = &mut self.under_way else { return };
        match begun.try_result() {
            None => return,
            Some(Ok(())) => self.done.extend(offsets.drain()),
            Some(Err(error)) => tracing::warn!(%error, "committing in the background failed"),
        }
        self.under_way = None;
    }

    /// Whether a commit is to begin now; the first one is an interval after the first poll.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = *self.due.get_or_insert(now + self.interval);
        if due > now || self.under_way.is_some() {
            return false;
        }
        self.due = Some(now + self.interval);
        true
    }

    /// When to look after it again: when the next one is due, or, if another one holds that up, an interval later.
    pub(super) fn next(&self, now: Instant) -> Instant {
        self.due.filter(|due| *due > now).unwrap_or(now + self.interval.max(SHORTEST_WAIT))
    }

    /// The partition is no longer ours: what was committed for it says nothing about the next time.
    pub(super) fn forget<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        for partition in partitions {
            self.done.remove(partition);
            if let Some((_, offsets)) = &mut self.under_way {
                offsets.remove(partition);
            }
        }
    }
}

impl Consumer {
    /// Commits the positions of all partitions: everything that was returned so far counts as processed. With
    /// `commit.mode=acked`, commits what was acknowledged.
    ///
    /// # Errors
    /// `GroupLost` when the partitions may belong to others by now, which the next poll deals with; after
    /// `default.api.timeout.ms` the stage at which connecting failed, or `Timeout`; `Authorization`; `Config` without
    /// `group.id`.
    ///
    /// # Cancel safety
    /// Dropping it leaves the commit going on in the background; later commits take effect after it.
    pub async fn commit(&mut self) -> Result<(), Error> {
        self.settle();
        let offsets = positions(&self.shared.state());
        self.begin_commit(&offsets)?.await
    }

    /// Begins a commit as [`Consumer::commit`] does, and lets it go on while the application works. Commits take effect in
    /// the order in which they were begun.
    ///
    /// # Errors
    /// Kind `Config` without `group.id`; what happens later is the result of the [`PendingCommit`].
    pub fn commit_in_background(&mut self) -> Result<PendingCommit, Error> {
        self.settle();
        let offsets = positions(&self.shared.state());
        self.begin_commit(&offsets).map(PendingCommit)
    }

    /// Commits that `record`, and with it all before it in its partition, is processed; with the epoch of its leader, by
    /// which a later reader notices a truncated log. If its topic was deleted, and created anew, since it was fetched, that is
    /// refused with code `UNKNOWN_TOPIC_OR_PARTITION`, whatever was handed out of the new one.
    ///
    /// # Errors
    /// Those of [`Consumer::commit`].
    ///
    /// # Cancel safety
    /// As [`Consumer::commit`].
    pub async fn commit_record(&mut self, record: &Record) -> Result<(), Error> {
        let mut offset = OffsetAndMetadata::new(record.offset().saturating_add(1));
        offset.leader_epoch = record.leader_epoch();
        let mut offsets = named(&self.shared.state(), [(record.topic_partition().clone(), offset)]);
        offsets.values_mut().for_each(|offset| offset.topic_id = record.topic_id().or(offset.topic_id));
        self.begin_commit(&offsets)?.await
    }

    /// Commits these offsets: of each partition that of the next record to read. They count for the topic of which records
    /// were handed out last: if that was deleted and created anew since, they say nothing about the new one, and are refused
    /// with code `UNKNOWN_TOPIC_OR_PARTITION`.
    ///
    /// # Errors
    /// Those of [`Consumer::commit`].
    ///
    /// # Cancel safety
    /// As [`Consumer::commit`].
    pub async fn commit_offsets(
        &mut self,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
    ) -> Result<(), Error> {
        let offsets = named(&self.shared.state(), offsets);
        self.begin_commit(&offsets)?.await
    }

    /// The group's committed offsets; `None` where there is none.
    ///
    /// # Errors
    /// After `default.api.timeout.ms` the stage at which connecting failed, or `Timeout`; `Authorization`; `Config`
    /// without `group.id`.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<HashMap<TopicPartition, Option<OffsetAndMetadata>>, Error> {
        let committer = self.committer()?;
        committer.fetch(partitions, self.default_deadline()).await
    }

    /// Begins a commit in the background if the interval is over. What was returned by earlier polls is in the positions;
    /// what this poll will return is not.
    pub(super) fn auto_commit_if_due(&mut self, now: Instant) {
        let Some(auto_commit) = &mut self.auto_commit else { return };
        auto_commit.reap();
        // While the group asks for something, partitions may be on their way out, and that commits by itself.
        if self.step.is_some() || !auto_commit.is_due(now) {
            return;
        }
        self.settle();
        let mut offsets = positions(&self.shared.state());
        let in_group = self.group.is_some();
        let Some(auto_commit) = &mut self.auto_commit else { return };
        // The offsets of a group without members would expire if they were not committed again.
        offsets.retain(|partition, offset| !in_group || auto_commit.done.get(partition) != Some(offset));
        if offsets.is_empty() {
            return;
        }
        if let Ok(begun) = self.begin_commit(&offsets)
            && let Some(auto_commit) = &mut self.auto_commit
        {
            auto_commit.under_way = Some((begun, offsets));
        }
    }

    /// Begins a commit of all positions, for an end of the assignment; `None` if commits are not automatic.
    pub(super) fn last_commit(&mut self) -> Option<Begun> {
        self.auto_commit.as_ref()?;
        self.settle();
        let mut offsets = positions(&self.shared.state());
        let in_group = self.group.is_some();
        if let Some(auto_commit) = &mut self.auto_commit {
            auto_commit.reap();
            offsets.retain(|partition, offset| !in_group || auto_commit.done.get(partition) != Some(offset));
        }
        (!offsets.is_empty()).then(|| self.begin_commit(&offsets))?.ok()
    }

    fn begin_commit(&mut self, offsets: &Offsets) -> Result<Begun, Error> {
        let committer = self.committer()?;
        if let Some(auto_commit) = &mut self.auto_commit {
            // Whatever this one says, what earlier ones said is not what is committed any more.
            auto_commit.forget(offsets.keys());
        }
        Ok(begin_commit(&self.runtime, &committer, offsets, self.default_deadline()))
    }

    /// Whoever commits for this consumer: the member of the group, or, without one, the consumer alone.
    pub(super) fn committer(&mut self) -> Result<Committer, Error> {
        if let Some(committer) = &self.committer {
            return Ok(committer.clone());
        }
        let committer = Committer::standalone(self.client.clone(), &self.group_config()?)
            .counted_by(Arc::clone(&self.shared.meter));
        self.set_committer(Some(committer.clone()));
        Ok(committer)
    }

    pub(super) fn set_committer(&mut self, committer: Option<Committer>) {
        let committer = committer.map(|committer| committer.counted_by(Arc::clone(&self.shared.meter)));
        self.committer.clone_from(&committer);
        self.shared.set_committer(committer);
    }
}

/// A commit that goes on whether or not anybody waits for it; made by [`Consumer::commit_in_background`]. As a future it
/// gives the result, with the errors of [`Consumer::commit`].
#[derive(Debug)]
pub struct PendingCommit(Begun);

impl Future for PendingCommit {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Begins a commit that takes its turn now, with the membership of now, and goes on whether or not anybody waits for it.
pub(super) fn begin_commit(
    runtime: &Runtime,
    committer: &Committer,
    offsets: &Offsets,
    deadline: Instant,
) -> Begun {
    runtime.begin(committer.commit(offsets, deadline))
}

/// The positions of all partitions that have one.
pub(super) fn positions(state: &FetchState) -> Offsets {
    let committed = |(name, position): (&TopicPartition, Position)| {
        let position = match &state.acks {
            Some(acks) => acks.committable(name, position),
            None => position,
        };
        let offset = OffsetAndMetadata { leader_epoch: position.leader_epoch, ..position.offset.into() };
        let topic_id = state.subscription.origin(name).topic_id();
        (name.clone(), TopicOffset { offset, topic_id })
    };
    state.subscription.positions().map(committed).collect()
}

/// Offsets that the application names: they are of what it was handed.
pub(super) fn named(
    state: &FetchState,
    offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
) -> Offsets {
    let named = |(name, offset)| {
        let topic_id = state.subscription.handed_of(&name);
        (name, TopicOffset { offset, topic_id })
    };
    offsets.into_iter().map(named).collect()
}
