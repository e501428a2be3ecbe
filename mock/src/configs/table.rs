//! The settings.

/// A setting's type, with the numbers of DescribeConfigs, and what it takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Type {
    /// `true` or `false`.
    Boolean,
    /// One of these words, or anything if there are none.
    String(&'static [&'static str]),
    /// 32 bits, from one bound to the other.
    Int(i32, i32),
    /// 64 bits, not below.
    Long(i64),
    /// A number from one bound to the other.
    Double(f64, f64),
    /// Words out of these, with commas between, or any words if there are none.
    List(&'static [&'static str]),
}

impl Type {
    /// The number of DescribeConfigs.
    pub(crate) fn code(self) -> i8 {
        match self {
            Type::Boolean => 1,
            Type::String(_) => 2,
            Type::Int(..) => 3,
            Type::Long(_) => 5,
            Type::Double(..) => 6,
            Type::List(_) => 7,
        }
    }
}

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Kafka's name.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: Type,
    /// Kafka's default.
    pub(crate) default: &'static str,
    /// The broker's setting that stands for a topic's.
    pub(crate) synonym: Option<&'static str>,
    /// Whether a broker takes a change while it runs.
    pub(crate) dynamic: bool,
}

impl Setting {
    /// Says why `value` doesn't fit.
    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        let fits = match self.kind {
            Type::Boolean => ["true", "false"].contains(&value.to_ascii_lowercase().as_str()),
            Type::String(words) => words.is_empty() || words.contains(&value),
            Type::Int(min, max) => {
                value.trim().parse().is_ok_and(|number: i32| (min..=max).contains(&number))
            }
            Type::Long(min) => value.trim().parse().is_ok_and(|number: i64| number >= min),
            Type::Double(min, max) => {
                value.trim().parse().is_ok_and(|number: f64| (min..=max).contains(&number))
            }
            Type::List(words) => words.is_empty() || super::list(value).all(|word| words.contains(&word)),
        };
        if fits { Ok(()) } else { Err(format!("Invalid value {value} for configuration {}", self.name)) }
    }
}

const fn topic(name: &'static str, kind: Type, default: &'static str, synonym: &'static str) -> Setting {
    let synonym = if synonym.is_empty() { None } else { Some(synonym) };
    Setting { name, kind, default, synonym, dynamic: true }
}

const fn broker(name: &'static str, kind: Type, default: &'static str, dynamic: bool) -> Setting {
    Setting { name, kind, default, synonym: None, dynamic }
}

const ANY: Type = Type::String(&[]);
const FOREVER: &str = "9223372036854775807";

/// What topics have.
pub(crate) const TOPIC: &[Setting] = &[
    topic("cleanup.policy", Type::List(&["compact", "delete"]), "delete", "log.cleanup.policy"),
    topic("compression.gzip.level", Type::Int(-1, 9), "-1", "compression.gzip.level"),
    topic("compression.lz4.level", Type::Int(1, 17), "9", "compression.lz4.level"),
    topic(
        "compression.type",
        Type::String(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        "producer",
        "compression.type",
    ),
    topic("compression.zstd.level", Type::Int(-131_072, 22), "3", "compression.zstd.level"),
    topic("delete.retention.ms", Type::Long(0), "86400000", "log.cleaner.delete.retention.ms"),
    topic("file.delete.delay.ms", Type::Long(0), "60000", "log.segment.delete.delay.ms"),
    topic("flush.messages", Type::Long(1), FOREVER, "log.flush.interval.messages"),
    topic("flush.ms", Type::Long(0), FOREVER, "log.flush.interval.ms"),
    topic("follower.replication.throttled.replicas", Type::List(&[]), "", ""),
    topic("index.interval.bytes", Type::Int(0, i32::MAX), "4096", "log.index.interval.bytes"),
    topic("leader.replication.throttled.replicas", Type::List(&[]), "", ""),
    topic("local.retention.bytes", Type::Long(-2), "-2", "log.local.retention.bytes"),
    topic("local.retention.ms", Type::Long(-2), "-2", "log.local.retention.ms"),
    topic("max.compaction.lag.ms", Type::Long(1), FOREVER, "log.cleaner.max.compaction.lag.ms"),
    topic("max.message.bytes", Type::Int(0, i32::MAX), "1048588", "message.max.bytes"),
    topic("message.timestamp.after.max.ms", Type::Long(0), "3600000", "log.message.timestamp.after.max.ms"),
    topic("message.timestamp.before.max.ms", Type::Long(0), FOREVER, "log.message.timestamp.before.max.ms"),
    topic(
        "message.timestamp.type",
        Type::String(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        "log.message.timestamp.type",
    ),
    topic("min.cleanable.dirty.ratio", Type::Double(0.0, 1.0), "0.5", "log.cleaner.min.cleanable.ratio"),
    topic("min.compaction.lag.ms", Type::Long(0), "0", "log.cleaner.min.compaction.lag.ms"),
    topic("min.insync.replicas", Type::Int(1, i32::MAX), "1", "min.insync.replicas"),
    topic("preallocate", Type::Boolean, "false", "log.preallocate"),
    topic("remote.log.copy.disable", Type::Boolean, "false", ""),
    topic("remote.log.delete.on.disable", Type::Boolean, "false", ""),
    topic("remote.storage.enable", Type::Boolean, "false", ""),
    topic("retention.bytes", Type::Long(i64::MIN), "-1", "log.retention.bytes"),
    topic("retention.ms", Type::Long(-1), "604800000", "log.retention.ms"),
    // Kafka asks for a megabyte at least; smaller segments make retention and compaction testable with little data.
    topic("segment.bytes", Type::Int(14, i32::MAX), "1073741824", "log.segment.bytes"),
    topic("segment.index.bytes", Type::Int(4, i32::MAX), "10485760", "log.index.size.max.bytes"),
    topic("segment.jitter.ms", Type::Long(0), "0", "log.roll.jitter.ms"),
    topic("segment.ms", Type::Long(1), "604800000", "log.roll.ms"),
    topic("unclean.leader.election.enable", Type::Boolean, "false", "unclean.leader.election.enable"),
];

/// What brokers have beside what stands for a topic's.
pub(crate) const BROKER: &[Setting] = &[
    broker("auto.create.topics.enable", Type::Boolean, "true", false),
    broker("auto.include.jmx.reporter", Type::Boolean, "true", false),
    broker("broker.session.timeout.ms", Type::Int(1, i32::MAX), "9000", false),
    broker("controlled.shutdown.enable", Type::Boolean, "true", false),
    broker("default.replication.factor", Type::Int(1, i32::MAX), "1", false),
    broker("delete.topic.enable", Type::Boolean, "true", false),
    broker("fetch.max.bytes", Type::Int(1024, i32::MAX), "57671680", false),
    broker("group.consumer.assignment.interval.ms", Type::Int(0, i32::MAX), "1000", false),
    broker("group.consumer.assignors", Type::List(&[]), "uniform,range", false),
    broker("group.consumer.heartbeat.interval.ms", Type::Int(1, i32::MAX), "5000", false),
    broker("group.consumer.max.heartbeat.interval.ms", Type::Int(1, i32::MAX), "15000", false),
    broker("group.consumer.max.session.timeout.ms", Type::Int(1, i32::MAX), "60000", false),
    broker("group.consumer.max.size", Type::Int(1, i32::MAX), "2147483647", false),
    broker("group.consumer.migration.policy", ANY, "bidirectional", false),
    broker("group.consumer.min.heartbeat.interval.ms", Type::Int(1, i32::MAX), "5000", false),
    broker("group.consumer.min.session.timeout.ms", Type::Int(1, i32::MAX), "45000", false),
    broker("group.consumer.regex.refresh.interval.ms", Type::Int(10_000, i32::MAX), "600000", false),
    broker("group.consumer.session.timeout.ms", Type::Int(1, i32::MAX), "45000", false),
    broker("group.initial.rebalance.delay.ms", Type::Int(0, i32::MAX), "3000", false),
    broker("group.max.session.timeout.ms", Type::Int(0, i32::MAX), "1800000", false),
    broker("group.max.size", Type::Int(1, i32::MAX), "2147483647", false),
    broker("group.min.session.timeout.ms", Type::Int(0, i32::MAX), "6000", false),
    broker("log.dirs", ANY, "/var/lib/kafka", false),
    broker("max.incremental.fetch.session.cache.slots", Type::Int(0, i32::MAX), "1000", false),
    broker("num.partitions", Type::Int(1, i32::MAX), "1", false),
    broker("offset.metadata.max.bytes", Type::Int(0, i32::MAX), "4096", false),
    broker("offsets.retention.check.interval.ms", Type::Long(1), "600000", false),
    broker("offsets.retention.minutes", Type::Int(1, i32::MAX), "10080", false),
    broker("offsets.topic.num.partitions", Type::Int(1, i32::MAX), "50", false),
    broker("offsets.topic.replication.factor", Type::Int(1, i32::MAX), "3", false),
    broker("replica.lag.time.max.ms", Type::Long(1), "30000", false),
    broker("replica.selector.class", ANY, "", false),
    broker("socket.request.max.bytes", Type::Int(1, i32::MAX), "104857600", false),
    broker("transaction.max.timeout.ms", Type::Int(1, i32::MAX), "900000", false),
    broker("transaction.partition.verification.enable", Type::Boolean, "true", true),
    broker("transaction.state.log.min.isr", Type::Int(1, i32::MAX), "2", false),
    broker("transaction.state.log.num.partitions", Type::Int(1, i32::MAX), "50", false),
    broker("transaction.state.log.replication.factor", Type::Int(1, i32::MAX), "3", false),
    broker("transactional.id.expiration.ms", Type::Int(1, i32::MAX), "604800000", false),
];
