//! How a coordinator is configured, by Kafka's property names and defaults.

use std::time::Duration;

/// How the group coordinator behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupOptions {
    /// The shortest session timeout that a classic member may ask for: `group.min.session.timeout.ms`, 6 s.
    pub(crate) min_session_timeout: Duration,
    /// The longest session timeout that a classic member may ask for: `group.max.session.timeout.ms`, 30 min.
    pub(crate) max_session_timeout: Duration,
    /// How long the first rebalance of an empty classic group waits for more members:
    /// `group.initial.rebalance.delay.ms`, 3 s.
    pub(crate) initial_rebalance_delay: Duration,
    /// How many members a classic group may have: `group.max.size`, unlimited.
    pub(crate) max_size: usize,
    /// How many UTF-16 units the metadata of a committed offset may have: `offset.metadata.max.bytes`, 4,096.
    pub(crate) offset_metadata_max_size: usize,
    /// How long offsets are kept that nobody needs: `offsets.retention.minutes`, 7 days.
    pub(crate) offsets_retention: Duration,
    /// How often they are looked at: `offsets.retention.check.interval.ms`, 10 min.
    pub(crate) offsets_check_interval: Duration,
    /// How long a member of a consumer group may be silent: `group.consumer.session.timeout.ms`, 45 s.
    pub(crate) consumer_session_timeout: Duration,
    /// After what time members of consumer groups are told to heartbeat again:
    /// `group.consumer.heartbeat.interval.ms`, 5 s.
    pub(crate) consumer_heartbeat_interval: Duration,
    /// How many members a consumer group may have: `group.consumer.max.size`, unlimited.
    pub(crate) consumer_max_size: usize,
    /// The assignors on offer, the default one first: `group.consumer.assignors`, uniform and range.
    pub(crate) consumer_assignors: Vec<ServerAssignor>,
    /// How much time passes at least between two target assignments of a consumer group:
    /// `group.consumer.assignment.interval.ms`, 1 s; Kafka before 4.3 had none.
    pub(crate) consumer_assignment_interval: Duration,
    /// How often the topics behind regular expressions are looked up without other cause:
    /// `group.consumer.regex.refresh.interval.ms`, 10 min.
    pub(crate) consumer_regex_refresh_interval: Duration,
    /// Whether a member of the consumer protocol turns a classic group into a consumer group, and the last
    /// one's leaving turns it back: `group.consumer.migration.policy`, both.
    pub(crate) migration: Migration,
}

impl Default for GroupOptions {
    fn default() -> Self {
        GroupOptions {
            min_session_timeout: Duration::from_secs(6),
            max_session_timeout: Duration::from_secs(30 * 60),
            initial_rebalance_delay: Duration::from_secs(3),
            max_size: usize::MAX,
            offset_metadata_max_size: 4096,
            offsets_retention: Duration::from_secs(7 * 24 * 60 * 60),
            offsets_check_interval: Duration::from_secs(10 * 60),
            consumer_session_timeout: Duration::from_secs(45),
            consumer_heartbeat_interval: Duration::from_secs(5),
            consumer_max_size: usize::MAX,
            consumer_assignors: vec![ServerAssignor::Uniform, ServerAssignor::Range],
            consumer_assignment_interval: Duration::from_secs(1),
            consumer_regex_refresh_interval: Duration::from_secs(10 * 60),
            migration: Migration { upgrade: true, downgrade: true },
        }
    }
}

/// An assignor of the broker's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerAssignor {
    /// `uniform`: even shares that move as little as possible.
    Uniform,
    /// `range`: neighbouring partitions of each topic.
    Range,
}

impl ServerAssignor {
    /// The name that members ask for it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ServerAssignor::Uniform => "uniform",
            ServerAssignor::Range => "range",
        }
    }
}

/// Which ways a group may change its protocol while it has members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Migration {
    /// From classic to consumer.
    pub(crate) upgrade: bool,
    /// From consumer to classic.
    pub(crate) downgrade: bool,
}
