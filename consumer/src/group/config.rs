//! What a group member is configured with.

use std::sync::Arc;
use std::time::Duration;

use ottla_client::Backoff;

use crate::assignor::{Assignor, RebalanceProtocol};
use crate::options::GroupProtocol;

/// The options of a membership, as the facade read them from its own.
#[derive(Debug, Clone)]
pub(crate) struct GroupConfig {
    /// `group.id`.
    pub(crate) group_id: Arc<str>,
    /// `group.protocol`.
    pub(crate) group_protocol: GroupProtocol,
    /// `group.remote.assignor`: the coordinator's assignor, for the consumer protocol.
    pub(crate) remote_assignor: Option<String>,
    /// `exclude.internal.topics`, for patterns that the client matches.
    pub(crate) exclude_internal_topics: bool,
    /// `group.instance.id`: makes the member static (KIP-345).
    pub(crate) group_instance_id: Option<String>,
    /// `session.timeout.ms`.
    pub(crate) session_timeout: Duration,
    /// `heartbeat.interval.ms`.
    pub(crate) heartbeat_interval: Duration,
    /// `max.poll.interval.ms`, which is the rebalance timeout as well.
    pub(crate) max_poll_interval: Duration,
    /// The assignors on offer, best first; not empty.
    pub(crate) assignors: Vec<Arc<dyn Assignor>>,
    /// `client.rack`.
    pub(crate) client_rack: Option<String>,
    /// `retry.backoff.ms`.
    pub(crate) retry_backoff: Duration,
    /// `retry.backoff.max.ms`.
    pub(crate) retry_backoff_max: Duration,
    /// `request.timeout.ms`.
    pub(crate) request_timeout: Duration,
    /// `default.api.timeout.ms`.
    pub(crate) default_api_timeout: Duration,
}

/// How much longer than the rebalance timeout an answer to JoinGroup or SyncGroup may take.
const REBALANCE_LAPSE: Duration = Duration::from_secs(5);

/// A heartbeat waits behind a commit on the same connection, for which brokers take up to 5 s
/// (`offsets.commit.timeout.ms`); that is not silence yet.
const BEHIND_A_COMMIT: Duration = Duration::from_secs(6);

impl GroupConfig {
    /// How the members hand partitions over: cooperatively only if every assignor on offer can.
    ///
    /// The coordinator may choose any of them, and a member cannot keep its partitions for one and give them up for
    /// another: it has to decide before it joins.
    pub(crate) fn protocol(&self) -> RebalanceProtocol {
        let cooperative =
            |assignor: &Arc<dyn Assignor>| assignor.protocol() == RebalanceProtocol::Cooperative;
        if self.assignors.iter().all(cooperative) {
            RebalanceProtocol::Cooperative
        } else {
            RebalanceProtocol::Eager
        }
    }

    /// How long JoinGroup and SyncGroup may take: the coordinator holds both until all members are there.
    pub(crate) fn rebalance_request_timeout(&self) -> Duration {
        self.request_timeout.max(self.max_poll_interval.saturating_add(REBALANCE_LAPSE))
    }

    /// How long a heartbeat may take: if the first after an answer is lost, the next must still get through before the
    /// session ends. Sessions that are too short for both have one.
    pub(crate) fn heartbeat_request_timeout(&self) -> Duration {
        let half = self.session_timeout.saturating_sub(self.heartbeat_interval) / 2;
        half.max(BEHIND_A_COMMIT).min(self.session_timeout).min(self.request_timeout)
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.retry_backoff, self.retry_backoff_max)
    }
}

#[cfg(test)]
mod tests {
    use super::super::classic::test_config;
    use super::*;

    #[test]
    fn a_heartbeat_that_is_lost_leaves_time_for_another_in_the_session() {
        const MS: fn(u64) -> Duration = Duration::from_millis;
        let timeout = |session, interval, request| {
            let (session_timeout, heartbeat_interval) = (MS(session), MS(interval));
            let config = GroupConfig { session_timeout, heartbeat_interval, ..test_config() };
            GroupConfig { request_timeout: MS(request), ..config }.heartbeat_request_timeout()
        };
        assert_eq!(timeout(45_000, 3_000, 30_000), MS(21_000));
        assert_eq!(timeout(10_000, 3_000, 30_000), MS(6_000));
        assert_eq!(timeout(45_000, 3_000, 2_000), MS(2_000), "as any request");
        assert_eq!(timeout(5_000, 1_000, 30_000), MS(5_000), "none outlasts the session");
        assert_eq!(timeout(10_000, 9_999, 30_000), MS(6_000), "a slow commit is no silence");
    }
}
