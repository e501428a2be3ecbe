//! The consumer's options, by Kafka's names and as typed setters.
//!
//! Sources: KIP-62 (`max.poll.interval.ms`), KIP-74 (fetch limits), KIP-98 (isolation), KIP-345 (static members),
//! KIP-392 (racks), KIP-429 (cooperative assignors).

use std::time::Duration;

use ottla_client::options::OptionValue;
use ottla_client::{Error, ErrorKind, option_names};

pub(crate) use crate::offset_reset::OffsetReset;

const MS: fn(u64) -> Duration = Duration::from_millis;

ottla_client::options! {
    /// Options of a [`Consumer`](crate::Consumer); what concerns connections stands in
    /// [`ClientOptions`](ottla_client::ClientOptions).
    pub struct ConsumerOptions, ConsumerValues, rule rule {
        /// The group to join by `subscribe`, and whose commits `commit` writes; not needed for `assign` without commits.
        "group.id" => group_id: Option<String> = None, check not_blank;
        /// A name that stays the member's over restarts (static membership): its partitions wait for it until the
        /// session times out. No two members may use the same.
        "group.instance.id" => group_instance_id: Option<String> = None, check not_blank;
        /// How the members agree: `classic` lets the leader's client assign; `consumer` (KIP-848, Kafka 4.0 and later) lets
        /// the coordinator, and only what moves stops during a rebalance. A group may change over while it runs.
        "group.protocol" => group_protocol: GroupProtocol = GroupProtocol::Classic;
        /// Which of the brokers' assignors a group of `group.protocol=consumer` uses, such as `uniform` or `range`; the
        /// brokers choose if it is not set.
        "group.remote.assignor" => group_remote_assignor: Option<String> = None, check not_blank;
        /// Whether `subscribe_pattern` leaves out Kafka's own topics, such as `__consumer_offsets`; with
        /// `group.protocol=consumer` the brokers match, and leave out none.
        "exclude.internal.topics" => exclude_internal_topics: bool = true;
        /// Which assignors the group may use, the preferred one first: `range`, `roundrobin`, `sticky`,
        /// `cooperative-sticky`.
        "partition.assignment.strategy" => partition_assignment_strategy: Vec<Strategy> =
            vec![Strategy::Range, Strategy::CooperativeSticky], check some_strategy;
        /// After how long without a heartbeat the group gives the member's partitions to others. A heartbeat is given up
        /// after half of what the session leaves beside the interval, but not before 6 s (or the session, or
        /// `request.timeout.ms`, if shorter), so sessions of 10 s and more survive one that is lost.
        "session.timeout.ms" => session_timeout: Duration = MS(45_000), min MS(1), max MS(i32::MAX as u64);
        /// How often a heartbeat is sent; at most a third of the session timeout is advisable.
        "heartbeat.interval.ms" => heartbeat_interval: Duration = MS(3_000), min MS(1), max MS(i32::MAX as u64);
        /// How long the application may take between two polls until it counts as stuck and leaves the group.
        "max.poll.interval.ms" => max_poll_interval: Duration = MS(300_000), min MS(1), max MS(i32::MAX as u64);
        /// The most records that one poll returns.
        "max.poll.records" => max_poll_records: usize = 500, min 1;
        /// Where to begin without a committed offset, or when the log does not hold it any more.
        "auto.offset.reset" => auto_offset_reset: OffsetReset = OffsetReset::Latest;
        /// Whether positions are committed in the background; needs `group.id`.
        "enable.auto.commit" => enable_auto_commit: bool = true;
        /// What commits name: `position` is all that was returned by earlier polls, `acked` of each partition what the
        /// application acknowledged without a gap.
        "commit.mode" => commit_mode: CommitMode = CommitMode::Position;
        /// How often positions are committed in the background.
        "auto.commit.interval.ms" => auto_commit_interval: Duration = MS(5_000), max MS(i32::MAX as u64);
        /// How many bytes a broker gathers, over all partitions, before it answers.
        "fetch.min.bytes" => fetch_min_bytes: i32 = 1, min 0;
        /// How long a broker waits for `fetch.min.bytes`.
        "fetch.max.wait.ms" => fetch_max_wait: Duration = MS(500), max MS(i32::MAX as u64);
        /// A bound of one answer in bytes; a batch that is larger comes nevertheless.
        "fetch.max.bytes" => fetch_max_bytes: usize = 50 << 20, min 1, max i32::MAX as usize;
        /// A bound of one partition's part of an answer in bytes; a batch that is larger comes nevertheless. So much of
        /// each partition is fetched ahead, too.
        "max.partition.fetch.bytes" => max_partition_fetch_bytes: usize = 1 << 20, min 1, max i32::MAX as usize;
        /// A bound of the memory that fetched answers hold, over all partitions, those that are paused included: with so
        /// much held, nothing more is asked for, and what keeps whole answers alive is copied out of them where a broker
        /// would have to wait. A broker is asked for at most half of its equal share at once. Partitions read as streams
        /// have equal parts of it instead. A batch comes whole, whatever is left. Answers of 128 KiB and more lie in buffers
        /// that are up to an eighth larger.
        "queued.max.bytes" => queued_max_bytes: usize = 32 << 20, min 1;
        /// Whether records of transactions are seen before, or also without, their commit.
        "isolation.level" => isolation_level: IsolationLevel = IsolationLevel::ReadUncommitted;
        /// Whether the checksums of batches are compared.
        "check.crcs" => check_crcs: bool = true;
        /// Where this consumer stands: brokers may tell it to read from a replica in the same rack.
        "client.rack" => client_rack: String = String::new();
        /// Whether topics that are read but don't exist may be created, if the brokers' own settings allow it too.
        "allow.auto.create.topics" => allow_auto_create_topics: bool = true;
        /// After how long without progress a partition that has something to read, or a consumer that waits for its
        /// group, is told to be stuck, and why, by `Consumer::events` and in the log; found up to an eighth of it later. 0
        /// never tells.
        "stuck.after.ms" => stuck_after: Duration = MS(60_000), max MS(i32::MAX as u64);
        /// How long calls such as `commit`, `committed` and `position` may take, retries included.
        "default.api.timeout.ms" => default_api_timeout: Duration = MS(60_000), min MS(1), max MS(i32::MAX as u64);
    }
}

/// `commit.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CommitMode {
    /// What earlier polls returned counts as processed.
    #[default]
    Position,
    /// Processed is what was acknowledged; commits go as far as there is no gap.
    Acked,
}
option_names!(CommitMode { Position = "position", Acked = "acked" });

/// `group.protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupProtocol {
    /// JoinGroup and SyncGroup: one member, the leader, assigns for all.
    #[default]
    Classic,
    /// ConsumerGroupHeartbeat: the coordinator assigns, and each member follows at its own pace.
    Consumer,
}
option_names!(GroupProtocol { Classic = "classic", Consumer = "consumer" });

/// `isolation.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IsolationLevel {
    /// Every record, those of open and aborted transactions included.
    #[default]
    ReadUncommitted,
    /// Only what is committed, or was written outside of transactions.
    ReadCommitted,
}
option_names!(IsolationLevel { ReadUncommitted = "read_uncommitted", ReadCommitted = "read_committed" });

/// A row of `partition.assignment.strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Topic by topic, neighbouring partitions to the same member.
    Range,
    /// All partitions in turn.
    RoundRobin,
    /// Balanced, and as close to the last assignment as can be; all partitions stop during a rebalance.
    Sticky,
    /// The same, and only what moves stops during a rebalance.
    CooperativeSticky,
}
option_names!(Strategy {
    Range = "range",
    RoundRobin = "roundrobin",
    Sticky = "sticky",
    CooperativeSticky = "cooperative-sticky",
    Range = "org.apache.kafka.clients.consumer.RangeAssignor",
    RoundRobin = "org.apache.kafka.clients.consumer.RoundRobinAssignor",
    Sticky = "org.apache.kafka.clients.consumer.StickyAssignor",
    CooperativeSticky = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
});

impl Strategy {
    /// The name by which the group knows it.
    pub fn name(self) -> String {
        self.render()
    }
}

fn not_blank(text: &Option<String>) -> Result<(), String> {
    match text {
        Some(text) if text.trim().is_empty() => Err("the name is blank".to_owned()),
        _ => Ok(()),
    }
}

#[allow(clippy::ptr_arg, reason = "the table passes a reference to the option's type")]
fn some_strategy(strategies: &Vec<Strategy>) -> Result<(), String> {
    match strategies.iter().enumerate().find(|(at, strategy)| strategies[..*at].contains(strategy)) {
        _ if strategies.is_empty() => Err("no assignor is named".to_owned()),
        Some((_, twice)) => Err(format!("`{}` is named twice", twice.name())),
        None => Ok(()),
    }
}

fn rule(values: &ConsumerValues) -> Result<(), Error> {
    let refuse = |text: &str| Err(Error::new(ErrorKind::Config, text.to_owned()));
    if values.heartbeat_interval >= values.session_timeout {
        return refuse("option `heartbeat.interval.ms` has to be less than `session.timeout.ms`");
    }
    let defaults = ConsumerValues::default();
    match values.group_protocol {
        GroupProtocol::Consumer => {
            let theirs = "the brokers decide it for groups of `group.protocol=consumer`";
            if values.session_timeout != defaults.session_timeout {
                return refuse(&format!(
                    "option `session.timeout.ms`: {theirs} (group.consumer.session.timeout.ms)"
                ));
            }
            if values.heartbeat_interval != defaults.heartbeat_interval {
                return refuse(&format!(
                    "option `heartbeat.interval.ms`: {theirs} (group.consumer.heartbeat.interval.ms)"
                ));
            }
            if values.partition_assignment_strategy != defaults.partition_assignment_strategy {
                return refuse(
                    "option `partition.assignment.strategy` is for `group.protocol=classic`; with `consumer` the \
                     brokers assign, as `group.remote.assignor` says",
                );
            }
        }
        GroupProtocol::Classic if values.group_remote_assignor.is_some() => {
            return refuse("option `group.remote.assignor` needs `group.protocol=consumer`");
        }
        GroupProtocol::Classic => {}
    }
    if values.group_instance_id.is_some() && values.group_id.is_none() {
        return refuse("option `group.instance.id` needs `group.id`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_kafkas() {
        let default = |name: &str| {
            let row = ConsumerOptions::ROWS.iter().find(|row| row.name == name).unwrap();
            (row.default)()
        };
        let kafkas = [
            ("session.timeout.ms", "45000"),
            ("heartbeat.interval.ms", "3000"),
            ("max.poll.interval.ms", "300000"),
            ("max.poll.records", "500"),
            ("auto.offset.reset", "latest"),
            ("enable.auto.commit", "true"),
            ("auto.commit.interval.ms", "5000"),
            ("partition.assignment.strategy", "range,cooperative-sticky"),
            ("fetch.min.bytes", "1"),
            ("fetch.max.wait.ms", "500"),
            ("fetch.max.bytes", "52428800"),
            ("max.partition.fetch.bytes", "1048576"),
            ("isolation.level", "read_uncommitted"),
            ("check.crcs", "true"),
            ("default.api.timeout.ms", "60000"),
        ];
        for (name, value) in kafkas {
            assert_eq!(default(name), value, "{name}");
        }
        ConsumerOptions::new().validate().unwrap();
    }

    #[test]
    fn javas_class_names_of_assignors_are_understood() {
        let mut options = ConsumerOptions::new();
        let text = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor, roundrobin";
        options.set("partition.assignment.strategy", text).unwrap();
        assert_eq!(
            options.values().partition_assignment_strategy,
            [Strategy::CooperativeSticky, Strategy::RoundRobin]
        );
        assert!(options.set("partition.assignment.strategy", "").is_err());
        assert!(options.set("partition.assignment.strategy", "range,range").is_err());
        assert!(options.set("partition.assignment.strategy", "uniform").is_err());
    }

    #[test]
    fn what_the_other_protocol_decides_is_refused() {
        let refused = |options: ConsumerOptions| {
            let error = options.validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            error.to_string()
        };
        let consumer = || ConsumerOptions::new().group_protocol(GroupProtocol::Consumer);
        assert!(consumer().group_remote_assignor("uniform").validate().is_ok());
        assert!(refused(consumer().session_timeout(MS(50_000))).contains("session.timeout.ms"));
        assert!(refused(consumer().heartbeat_interval(MS(1_000))).contains("heartbeat.interval.ms"));
        let strategy = consumer().partition_assignment_strategy(vec![Strategy::Sticky]);
        assert!(refused(strategy).contains("group.remote.assignor"));
        let remote = ConsumerOptions::new().group_remote_assignor("uniform");
        assert!(refused(remote).contains("group.protocol=consumer"));
        let mut options = ConsumerOptions::new();
        options.set("group.protocol", "consumer").unwrap();
        assert_eq!(options.values().group_protocol, GroupProtocol::Consumer);
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let slow = ConsumerOptions::new().session_timeout(MS(3_000));
        assert_eq!(slow.validate().unwrap_err().kind(), ErrorKind::Config);
        let lonely = ConsumerOptions::new().group_instance_id("a");
        assert_eq!(lonely.validate().unwrap_err().kind(), ErrorKind::Config);
        assert!(lonely.group_id("g").validate().is_ok());
        assert!(ConsumerOptions::new().group_id(" ").validate().is_err());
    }
}
