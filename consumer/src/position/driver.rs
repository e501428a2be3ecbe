//! Asks leaders and the coordinator for offsets.

#![allow(clippy::disallowed_methods, reason = "a driver reads the clock and starts tasks")]

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ottla_client::{Backoff, Client, Cluster, Error, ErrorKind, NodeId, Purpose, Topic, TopicPartition};
use ottla_protocol::api::Request;
use ottla_protocol::messages::list_offsets::{ListOffsetsRequest, ListOffsetsResponse};
use ottla_protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};
use tokio::task::JoinSet;

use super::query::{Answers, OffsetQuery, QueryBatch};
use super::reset::LookupBatch;
use super::validate::{EpochBatch, FIRST_USABLE_VERSION};
use crate::commit::TopicOffset;
use crate::fetch::driver::{Context, millis, now, random, until};
use crate::fetch::plan::Routes;
use crate::options::IsolationLevel;
use crate::subscription::{Generation, Origin, Position};

/// How long after the deadline the causes of what is missing are waited for.
const GRACE: Duration = Duration::from_millis(100);

/// Looks up a batch of offsets, once; what fails is due again after a backoff.
pub(crate) async fn look_up(context: &Context, batch: &LookupBatch) {
    let partitions: Vec<TopicPartition> = batch.asked().map(|(name, _)| name.clone()).collect();
    let deadline = now() + context.client.options().values().request_timeout;
    let isolation = context.options.isolation_level;
    let request = |timeout_ms| batch.request(isolation, timeout_ms, clock_ms());
    let asking = ask::<ListOffsetsRequest>(&context.client, batch.leader, deadline, 0, request);
    let outcome = unless_moved(&context.client, batch.leader, &partitions, asking).await;
    let now = now();
    let stale = match outcome {
        Ok(Some(response)) => context.shared.state().handle_offsets(batch, now, random(), &response),
        Ok(None) => false,
        Err(error) => {
            tracing::debug!(node = batch.leader, %error, "looking up offsets failed");
            context.shared.state().handle_lookup_failure(batch.asked(), now, random(), &error);
            true
        }
    };
    settle(context, stale);
}

/// Asks a leader, once, whether what was fetched is in its log; what fails is due again after a backoff.
pub(crate) async fn check_epochs(context: &Context, batch: &EpochBatch) {
    let partitions: Vec<TopicPartition> = batch.checks.iter().map(|check| check.partition.clone()).collect();
    let deadline = now() + context.client.options().values().request_timeout;
    let request = |_| batch.request();
    let asking = ask::<OffsetForLeaderEpochRequest>(
        &context.client,
        batch.leader,
        deadline,
        FIRST_USABLE_VERSION,
        request,
    );
    let outcome: Result<Option<OffsetForLeaderEpochResponse>, Error> =
        unless_moved(&context.client, batch.leader, &partitions, asking).await;
    let now = now();
    let stale = match outcome {
        Ok(Some(response)) => context.shared.state().handle_epoch_ends(batch, now, random(), &response),
        Ok(None) => {
            context.shared.state().handle_unchecked(batch);
            false
        }
        Err(error) => {
            tracing::debug!(node = batch.leader, %error, "looking for truncated logs failed");
            context.shared.state().handle_check_failure(batch, now, random(), &error);
            true
        }
    };
    settle(context, stale);
}

fn settle(context: &Context, stale: bool) {
    if stale {
        context.client.refresh_metadata();
    }
    context.shared.news.notify_one();
}

/// One request to a broker; `None` if its version would be older than `oldest`. Whoever asks goes at `deadline`, but the
/// connection, which others use as well, is given the whole of `request.timeout.ms` for the answer.
async fn ask<R: Request>(
    client: &Client,
    node: NodeId,
    deadline: Instant,
    oldest: i16,
    request: impl FnOnce(i32) -> R,
) -> Result<Option<R::Response>, Error> {
    let connection = client.connection(node, Purpose::General, deadline).await?;
    let version = match connection.version::<R>() {
        Ok(version) if version >= oldest => version,
        Err(error) if oldest == 0 => return Err(error),
        _ => return Ok(None),
    };
    let timeout_ms = millis(deadline.saturating_duration_since(now()));
    let request_timeout = client.options().values().request_timeout;
    let reply = connection.submit(&request(timeout_ms), version, now() + request_timeout)?;
    match until(deadline, reply).await {
        Some(answer) => answer.map(Some),
        None => Err(Error::new(ErrorKind::Timeout, format!("node {node} did not answer in time"))),
    }
}

/// The answer of a leader, unless another has taken over meanwhile: one that is gone would be waited for until the request
/// times out.
async fn unless_moved<T>(
    client: &Client,
    leader: NodeId,
    partitions: &[TopicPartition],
    asking: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut updates = client.cluster_updates();
    let moved = async {
        let leads = |cluster: &Cluster| {
            let is_elsewhere =
                |name: &TopicPartition| cluster.route(name).is_some_and(|route| route.leader != leader);
            !partitions.iter().any(is_elsewhere)
        };
        while leads(&updates.latest()) {
            if updates.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        Error::new(ErrorKind::Disconnected, "the leader moved while it was asked for offsets")
    };
    tokio::select! {
        outcome = asking => outcome,
        error = moved => Err(error),
    }
}

/// Fetches the group's committed offsets of these partitions, once; what is not answered is due again after a backoff.
pub(crate) async fn fetch_committed(context: &Context, asked: &[(TopicPartition, Generation)]) {
    let names: Vec<TopicPartition> = asked.iter().map(|(name, _)| name.clone()).collect();
    let outcome = match context.shared.committer() {
        Some(committer) => committer.fetch_once(&names, now() + context.options.default_api_timeout).await,
        None => {
            Err(Error::new(ErrorKind::Config, "there are no committed offsets without option `group.id`"))
        }
    };
    let mut state = context.shared.state();
    match outcome {
        Ok(offsets) => {
            let position = |TopicOffset { offset, topic_id }| {
                let position = Position { offset: offset.offset, leader_epoch: offset.leader_epoch };
                (position, Origin::of(topic_id))
            };
            let offsets =
                offsets.into_iter().map(|(name, found)| (name, found.map(|found| found.map(position))));
            state.handle_committed(asked, now(), random(), offsets.collect());
        }
        Err(error) => {
            match error.is_retriable() {
                true => tracing::debug!(%error, "cannot fetch committed offsets yet"),
                false => tracing::warn!(%error, "cannot fetch committed offsets"),
            }
            let asked = asked.iter().map(|(name, generation)| (name, *generation));
            state.handle_lookup_failure(asked, now(), random(), &error);
        }
    }
    drop(state);
    context.shared.news.notify_one();
}

/// What a job of [`query`] came to.
enum Done {
    Offsets(QueryBatch, Result<ListOffsetsResponse, Error>),
    Topic(Arc<str>, Result<Arc<Topic>, Error>),
}

/// Asks leaders for offsets, each for all of its partitions at once, until all are known or `deadline` has passed. A broker
/// that is slow keeps back nothing but its own partitions.
pub(crate) async fn query(
    client: &Client,
    isolation: IsolationLevel,
    asked: HashMap<TopicPartition, i64>,
    deadline: Instant,
) -> Answers {
    let retries = client.options().values();
    let (request_timeout, pause) = (retries.request_timeout, retries.retry_backoff_max);
    let started = now();
    let mut query = OffsetQuery::new(asked, Backoff::new(retries.retry_backoff, pause));
    let topics_in_use = client.topics_in_use();
    query.topics().iter().for_each(|topic| topics_in_use.add(topic));
    let mut updates = client.cluster_updates();
    let mut jobs: JoinSet<Done> = JoinSet::new();
    let mut awaited: HashSet<Arc<str>> = HashSet::new();
    while !query.is_done() {
        let cluster = updates.latest();
        let is_over = now() >= deadline;
        if is_over && jobs.is_empty() {
            break;
        }
        for batch in query.begin(now(), &*cluster).into_iter().filter(|_| !is_over) {
            let client = client.clone();
            let deadline = deadline.min(now() + request_timeout);
            jobs.spawn(async move {
                let request = |timeout_ms| batch.request(isolation, timeout_ms);
                let asking = ask::<ListOffsetsRequest>(&client, batch.leader, deadline, 0, request);
                let outcome = unless_moved(&client, batch.leader, &batch.partitions(), asking).await;
                let unanswered = || Error::new(ErrorKind::UnsupportedVersion, "no version of ListOffsets");
                let outcome = outcome.and_then(|response| response.ok_or_else(unanswered));
                Done::Offsets(batch, outcome)
            });
        }
        for topic in query.leaderless(&*cluster) {
            if !is_over && awaited.insert(Arc::clone(&topic)) {
                let client = client.clone();
                jobs.spawn(async move {
                    let found = client.topic(&topic, deadline).await;
                    if found.is_ok() {
                        // It is known, but not all of its leaders, or not this many partitions.
                        client.refresh_metadata();
                        tokio::time::sleep_until(deadline.min(now() + pause).into()).await;
                    }
                    Done::Topic(topic, found)
                });
            }
        }
        let due = match is_over {
            true => deadline + GRACE,
            false => query.next_due(now()).map_or(deadline, |due| due.min(deadline)),
        };
        tokio::select! {
            Some(done) = jobs.join_next() => match done {
                Ok(Done::Offsets(batch, Ok(response))) => {
                    if query.handle_response(&batch, now(), random(), &response) {
                        client.refresh_metadata();
                    }
                }
                Ok(Done::Offsets(batch, Err(error))) => {
                    query.handle_failure(&batch, now(), random(), &error);
                    client.refresh_metadata();
                }
                Ok(Done::Topic(topic, found)) => {
                    query.handle_topic(&topic, &found.map(|_| client.cluster().topic(&topic).cloned()));
                    awaited.remove(&topic);
                }
                Err(_) => break,
            },
            Ok(()) = updates.changed() => {}
            () = tokio::time::sleep_until(due.into()) => {
                if is_over {
                    break;
                }
            }
        }
    }
    query.finish(deadline.saturating_duration_since(started))
}

/// The time in milliseconds since 1970.
fn clock_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
