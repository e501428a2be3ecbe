//! Committed offsets: noting them with the group's coordinator, and reading them back.
//!
//! - [`round`], [`request`]: pure; the requests in the forms of all versions, and what an answer means for each partition;
//! - [`driver`]: retries over coordinator moves until the deadline.
//!
//! Guarantees: a commit carries the membership of the moment at which it was asked for, and takes on a newer generation only
//! while the member kept all it had, so it never overwrites what the next owner of a partition has committed; commits
//! of one member go out one after the other, in the order of the calls; an error about a partition is an error, never "no
//! offset".
//!
//! Sources: KIP-320 (leader epoch), KIP-345 (static members), KIP-447 (stable offsets), KIP-709 (OffsetFetch of groups),
//! KIP-848 (topic ids).

mod driver;
mod request;
mod round;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use ottla_client::{Backoff, Client, Lane};
use tokio::sync::{Semaphore, watch};

pub(crate) use request::TopicOffset;

use crate::group::{GroupConfig, Lanes, Membership, Shared};
use crate::metrics::Meter;

/// A committed offset, with what is kept beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OffsetAndMetadata {
    /// The offset of the next record to read.
    pub offset: i64,
    /// The leader epoch of the last record read, by which a later reader notices a truncated log.
    pub leader_epoch: Option<i32>,
    /// Any text to keep with the offset; brokers take up to `offset.metadata.max.bytes` (4,096 by default).
    pub metadata: String,
}

impl OffsetAndMetadata {
    /// `offset`, with no epoch and no text.
    pub fn new(offset: i64) -> Self {
        OffsetAndMetadata { offset, ..OffsetAndMetadata::default() }
    }
}

impl From<i64> for OffsetAndMetadata {
    fn from(offset: i64) -> Self {
        OffsetAndMetadata::new(offset)
    }
}

/// Commits and fetches a group's offsets. Clones share the order of their commits.
#[derive(Debug, Clone)]
pub(crate) struct Committer {
    client: Client,
    group_id: Arc<str>,
    lane: Arc<Lane>,
    backoff: Backoff,
    request_timeout: Duration,
    /// `None` commits from outside, which only a group without members lets happen.
    member: Option<Member>,
    /// One permit: whose turn it is to commit.
    turn: Arc<Semaphore>,
    meter: Arc<Meter>,
}

/// The membership that commits are made under.
#[derive(Debug, Clone)]
struct Member {
    now: watch::Receiver<Arc<Membership>>,
    group: Arc<Shared>,
}

impl Committer {
    /// Commits for a consumer whose partitions were assigned by hand.
    pub(crate) fn standalone(client: Client, config: &GroupConfig) -> Committer {
        let lane = Arc::new(client.lane());
        Committer::new(client, config, lane, None)
    }

    /// Commits for a member of the group.
    pub(crate) fn of_member(
        client: Client,
        config: &GroupConfig,
        lanes: &Lanes,
        now: watch::Receiver<Arc<Membership>>,
        group: Arc<Shared>,
    ) -> Committer {
        Committer::new(client, config, lanes.heartbeats(), Some(Member { now, group }))
    }

    fn new(client: Client, config: &GroupConfig, lane: Arc<Lane>, member: Option<Member>) -> Committer {
        Committer {
            client,
            group_id: Arc::clone(&config.group_id),
            lane,
            backoff: config.backoff(),
            request_timeout: config.request_timeout,
            member,
            turn: Arc::new(Semaphore::new(1)),
            meter: Arc::default(),
        }
    }

    /// The same, with its commits counted there.
    pub(crate) fn counted_by(mut self, meter: Arc<Meter>) -> Committer {
        self.meter = meter;
        self
    }

    /// Waits until every commit that was begun before is over: turns are taken in order.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn settled(&self) {
        drop(self.turn.acquire().await);
    }

    /// The membership that commits are made under, as it changes; `None` outside of groups.
    pub(crate) fn membership_updates(&self) -> Option<watch::Receiver<Arc<Membership>>> {
        self.member.as_ref().map(|member| member.now.clone())
    }
}
