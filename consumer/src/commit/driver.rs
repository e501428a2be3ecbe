//! Sends commits and fetches to the coordinator, wherever it is by then, until they are settled or the deadline is over.

#![allow(clippy::disallowed_methods, reason = "a driver reads the clock and draws random numbers")]

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ottla_client::{CoordinatorKey, Error, ErrorKind, NodeId, TopicPartition};
use ottla_protocol::api::Request;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_commit::OffsetCommitRequest;
use ottla_protocol::messages::offset_fetch::OffsetFetchRequest;
use tokio::time::Instant as Clock;
use tracing::Instrument;

use super::request::{Judgement, TopicOffset, Topics, fetch_request, judge_fetch};
use super::round::Commit;
use super::{Committer, OffsetAndMetadata};
use crate::group::Membership;

mod once;

impl Committer {
    /// Commits `offsets` as the member that this is when it is called, after all commits that were called before.
    ///
    /// Membership and place are taken at the call, not at the first poll: the offsets are those of the partitions that the
    /// member has now, and a commit that starts later must not pass for one of the generation that has come by then.
    ///
    /// # Errors
    /// `GroupLost` if the member has lost its place and `Fenced` if another took it; `Authorization`; `Broker` for what the
    /// coordinator refuses otherwise; at the deadline the stage at which connecting failed, or `Timeout`, with the last
    /// obstacle as its cause. A rebalance that outlasts the deadline is such an obstacle, and retriable. Some partitions
    /// may be committed even so.
    ///
    /// # Cancel safety
    /// Dropping it leaves open whether the commit happened; it is not sent again.
    pub(crate) fn commit(
        &self,
        offsets: &HashMap<TopicPartition, TopicOffset>,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (this, sender) = (self.clone(), self.membership());
        let pending: BTreeMap<_, _> =
            offsets.iter().map(|(partition, offset)| (partition.clone(), offset.clone())).collect();
        let called = now();
        let span = tracing::debug_span!("commit", group = %self.group_id, partitions = pending.len());
        let mut turn = Box::pin(tokio::task::unconstrained(Arc::clone(&self.turn).acquire_owned()));
        // The first poll takes the place in the queue.
        let at_once = turn.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        async move {
            if pending.is_empty() {
                return Ok(());
            }
            let mut tries =
                Tries::new(format!("offsets of group `{}` are not committed", this.group_id), deadline);
            let _turn = match at_once {
                Poll::Ready(turn) => turn,
                Poll::Pending => match tokio::time::timeout_at(Clock::from_std(deadline), turn).await {
                    Ok(turn) => turn,
                    Err(_) => return this.counted(called, Err(tries.give_up())),
                },
            };
            let result = this.commit_as(sender, pending, &mut tries).await;
            this.counted(called, result)
        }
        .instrument(span)
    }

    /// Counts a commit that is over.
    fn counted(&self, called: Instant, result: Result<(), Error>) -> Result<(), Error> {
        self.meter.committed(now().saturating_duration_since(called), &result);
        result
    }

    async fn commit_as(
        &self,
        mut sender: Arc<Membership>,
        pending: BTreeMap<TopicPartition, TopicOffset>,
        tries: &mut Tries,
    ) -> Result<(), Error> {
        let mut commit = Commit::new(pending);
        loop {
            let cluster = self.client.cluster();
            let Some(mut round) = commit.next(|topic| cluster.topic(topic).map(|topic| topic.id)) else {
                return commit.result(&self.group_id).map_err(|error| error.with_tries(tries.count));
            };
            if self.member.is_some() && !self.membership().is_member() {
                return Err(self.lost(None));
            }
            tries.count += 1;
            let request = |_| round.request(&self.group_id, &sender);
            match self.ask::<OffsetCommitRequest>(request, round.newest_version(), tries.deadline).await {
                Err(failure) => self.pass_over(tries, failure)?,
                Ok((node, response)) => match round.judge(&response) {
                    Judgement::Done => continue,
                    Judgement::Failed(error) => {
                        commit.refuse(error);
                        continue;
                    }
                    Judgement::Retry {
                        code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID,
                        ..
                    } if self.are_gone(round.partitions()) => {
                        commit.lose(round);
                        continue;
                    }
                    // Never by name: offsets of a topic that is gone would become those of its successor.
                    Judgement::Retry { code, elsewhere } => self.retry_after(tries, node, code, elsewhere),
                    Judgement::Membership(code) => match self.reconsider(code, &sender)? {
                        Some(newer) => {
                            commit.put_back(round);
                            sender = newer;
                            continue;
                        }
                        None => {
                            tracing::debug!(%code, epoch = sender.generation_id, "a commit waits for the group");
                            tries.last = Some(Error::from_code(code, "the group is between two generations"));
                        }
                    },
                },
            }
            commit.put_back(round);
            self.wait(tries).await?;
            sender = self.newer(sender);
        }
    }

    /// Whether metadata, too, says that none of these topics exists: trying on would only hold up a revocation, and with
    /// it the whole group, until the deadline.
    fn are_gone<'a>(&self, mut partitions: impl Iterator<Item = &'a TopicPartition>) -> bool {
        let cluster = self.client.cluster();
        partitions.all(|TopicPartition { topic, .. }| {
            cluster.topic(topic).is_none()
                && cluster.topic_error(topic) == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        })
    }

    /// The committed offset of each partition, `None` where there is none.
    ///
    /// # Errors
    /// `Authorization`; `Broker` for what the coordinator refuses otherwise; at the deadline the stage at which
    /// connecting failed, or `Timeout`, with the last obstacle as its cause.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub(crate) async fn fetch(
        &self,
        partitions: &[TopicPartition],
        deadline: Instant,
    ) -> Result<HashMap<TopicPartition, Option<OffsetAndMetadata>>, Error> {
        let mut pending = partitions.to_vec();
        pending.sort_unstable();
        pending.dedup();
        let mut found = HashMap::with_capacity(pending.len());
        let what = format!("the committed offsets of group `{}` are not known", self.group_id);
        let mut tries = Tries::new(what, deadline);
        while !pending.is_empty() {
            tries.count += 1;
            let mut topics = Topics::of(&self.client.cluster(), &pending);
            let mut later = topics.set_aside(&mut pending);
            let newest = topics.newest_version();
            let reader = self.membership();
            let request = |version| fetch_request(&self.group_id, &reader, &pending, &topics, version);
            match self.ask::<OffsetFetchRequest>(request, newest, tries.deadline).await {
                Err(failure) => self.pass_over(&mut tries, failure)?,
                Ok((node, response)) => {
                    match judge_fetch(&self.group_id, &mut pending, &mut found, &topics, &response) {
                        Judgement::Done => {
                            pending = later;
                            continue;
                        }
                        Judgement::Failed(error) => return Err(error.with_tries(tries.count)),
                        Judgement::Membership(code) => self.ask_as_who(&mut tries, code, &reader)?,
                        // Not by name, which may still be that of another topic: see `fetch_once`.
                        Judgement::Retry { code, elsewhere } => {
                            self.retry_after(&mut tries, node, code, elsewhere);
                        }
                    }
                }
            }
            pending.append(&mut later);
            self.wait(&tries).await?;
        }
        Ok(found.into_iter().map(|(name, found)| (name, found.map(|found| found.offset))).collect())
    }

    /// Asks the coordinator once; an error names the coordinator that it speaks against.
    async fn ask<R: Request>(
        &self,
        request: impl FnOnce(i16) -> R,
        newest: i16,
        deadline: Instant,
    ) -> Result<(NodeId, R::Response), (Option<NodeId>, Error)> {
        let node = self.client.coordinator(&self.key(), deadline).await.map_err(|error| (None, error))?;
        let submitted = async {
            let patience = deadline.min(now() + self.request_timeout);
            let connection = self.client.connection(node, self.lane.purpose(), patience).await?;
            let version = connection.version_at_most::<R>(newest)?;
            // Not the caller's deadline: when that passes the caller goes, and heartbeats go on over the same connection.
            connection.submit(&request(version), version, now() + self.request_timeout)
        };
        let reply = submitted.await.map_err(|error| (Some(node), error))?;
        match tokio::time::timeout_at(Clock::from_std(deadline), reply).await {
            Ok(answer) => answer.map(|response| (node, response)).map_err(|error| (Some(node), error)),
            // That it had no more time says nothing of the coordinator.
            Err(_) => {
                let message = format!("node {node}, the coordinator of the group, did not answer in time");
                Err((None, Error::new(ErrorKind::Timeout, message).with_possibly_written(true)))
            }
        }
    }

    /// Notes a failure to ask that may pass.
    fn pass_over(&self, tries: &mut Tries, (node, error): (Option<NodeId>, Error)) -> Result<(), Error> {
        if !error.is_retriable() {
            return Err(error);
        }
        if let Some(node) = node {
            self.client.forget_coordinator(&self.key(), node);
        }
        tries.possibly_written |= error.possibly_written();
        tries.last = Some(error);
        Ok(())
    }

    /// Notes a refusal that may pass.
    fn retry_after(&self, tries: &mut Tries, node: NodeId, code: ErrorCode, elsewhere: bool) {
        tracing::debug!(node, %code, "the coordinator refused offsets");
        if elsewhere {
            self.client.forget_coordinator(&self.key(), node);
        }
        if code.is_stale_metadata() {
            self.client.refresh_metadata();
        }
        tries.last =
            Some(Error::from_code(code, format!("node {node}, the coordinator of the group, refuses")));
    }

    /// Notes that the coordinator does not know the reader as the member `sent_as`. By the next try its epoch has been brought
    /// up to date, or it is no member any more and reads from outside the group, which is allowed.
    fn ask_as_who(&self, tries: &mut Tries, code: ErrorCode, sent_as: &Arc<Membership>) -> Result<(), Error> {
        let error = Error::from_code(
            code,
            format!("cannot fetch the committed offsets of group `{}`", self.group_id),
        );
        let passes = matches!(
            code,
            ErrorCode::STALE_MEMBER_EPOCH
                | ErrorCode::UNKNOWN_MEMBER_ID
                | ErrorCode::GROUP_ID_NOT_FOUND
                | ErrorCode::FENCED_MEMBER_EPOCH
        );
        match &self.member {
            Some(member) if passes && sent_as.has_epochs => {
                member.group.commit_refused(code, Arc::clone(sent_as));
                tries.last = Some(error);
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// What a refusal of the membership `sent_as` means by now: the membership to try again with at once, or, with
    /// `None`, later.
    ///
    /// A member of a cooperative group rejoins while the application works. Its commit can meet a coordinator that is a
    /// generation ahead; as long as nothing had to be given up, all that is committed is still the member's own, and the
    /// newer generation says so as well.
    fn reconsider(
        &self,
        code: ErrorCode,
        sent_as: &Arc<Membership>,
    ) -> Result<Option<Arc<Membership>>, Error> {
        let Some(member) = &self.member else {
            let doing = match code {
                ErrorCode::GROUP_ID_NOT_FOUND => format!("cannot commit for group `{}`", self.group_id),
                _ => format!("group `{}` has members, so nobody else can commit for it", self.group_id),
            };
            return Err(Error::from_code(code, doing));
        };
        let current = self.membership();
        let same = (&current.member_id, current.generation_id) == (&sent_as.member_id, sent_as.generation_id);
        member.group.commit_refused(code, Arc::clone(sent_as));
        match code {
            ErrorCode::REBALANCE_IN_PROGRESS => Ok(None),
            ErrorCode::ILLEGAL_GENERATION if same && current.rebalancing => Ok(None),
            // The answer that brings the newer epoch is on its way.
            ErrorCode::STALE_MEMBER_EPOCH if same => Ok(None),
            ErrorCode::ILLEGAL_GENERATION | ErrorCode::STALE_MEMBER_EPOCH
                if !same && current.is_member() && current.tenure == sent_as.tenure =>
            {
                Ok(Some(current))
            }
            ErrorCode::FENCED_INSTANCE_ID => Err(Error::from_code(
                code,
                format!(
                    "cannot commit for group `{}`: another member uses this group.instance.id",
                    self.group_id
                ),
            )),
            code => Err(self.lost(Some(code))),
        }
    }

    /// What the sender is by now, if it kept all it had; a refusal by epoch is not worth a second one.
    fn newer(&self, sent_as: Arc<Membership>) -> Arc<Membership> {
        let current = self.membership();
        let kept = sent_as.has_epochs && current.is_member() && current.tenure == sent_as.tenure;
        if kept && current.member_id == sent_as.member_id { current } else { sent_as }
    }

    fn lost(&self, code: Option<ErrorCode>) -> Error {
        let message = format!(
            "cannot commit for group `{}`: the member is not in its current generation, so others may read its \
             partitions by now; poll to rejoin, and poll more often than max.poll.interval.ms",
            self.group_id
        );
        let error = Error::new(ErrorKind::GroupLost, message);
        match code {
            Some(code) => error.with_cause(Error::from_code(code, "the coordinator refused the commit")),
            None => error,
        }
    }

    async fn wait(&self, tries: &Tries) -> Result<(), Error> {
        let wait = self.backoff.next(tries.count.saturating_sub(1), fastrand::f64());
        if now() + wait >= tries.deadline {
            return Err(tries.give_up());
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    fn membership(&self) -> Arc<Membership> {
        match &self.member {
            Some(member) => Arc::clone(&member.now.borrow()),
            None => Arc::new(Membership::none()),
        }
    }

    fn key(&self) -> CoordinatorKey {
        CoordinatorKey::Group(Arc::clone(&self.group_id))
    }
}

/// How an operation has fared so far.
struct Tries {
    what: String,
    started: Instant,
    deadline: Instant,
    count: u32,
    possibly_written: bool,
    last: Option<Error>,
}

impl Tries {
    fn new(what: String, deadline: Instant) -> Tries {
        Tries { what, started: now(), deadline, count: 0, possibly_written: false, last: None }
    }

    fn give_up(&self) -> Error {
        let within: Duration = self.deadline.saturating_duration_since(self.started);
        let message = format!("{} within {} ms", self.what, within.as_millis());
        Error::gave_up(message, self.last.clone())
            .with_tries(self.count)
            .with_possibly_written(self.possibly_written)
    }
}

fn now() -> Instant {
    Clock::now().into_std()
}

#[cfg(test)]
mod tests;
