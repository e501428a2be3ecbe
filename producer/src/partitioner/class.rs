//! [`PartitionerClass`]: the partitioners by name.

use std::fmt;
use std::sync::Arc;

use ottla_client::options::OptionValue;

use super::Partitioner;

/// `partitioner.class`: how a record gets a partition that names none.
///
/// "Sticky" means: the topic's current partition, until it has got a batch's worth of bytes; then the next one is drawn,
/// by the length of their queues where some are slower than others (`partitioner.adaptive.partitioning.enable`). A thread
/// that finds another one appending there goes on with a current partition of its own until that has had its turn.
#[derive(Clone, Default)]
pub enum PartitionerClass {
    /// As the Java client does: murmur2 of the key; without a key, sticky.
    #[default]
    Default,
    /// As librdkafka's `consistent`: CRC-32 of the key; no key counts as an empty one.
    Consistent,
    /// As librdkafka's `consistent_random`, its default: CRC-32 of the key; with an empty or no key, sticky.
    ConsistentRandom,
    /// As librdkafka's `murmur2`: murmur2 of the key; no key counts as an empty one.
    Murmur2,
    /// As librdkafka's `murmur2_random`: murmur2 of the key; without a key, sticky.
    Murmur2Random,
    /// As librdkafka's `fnv1a`, which follows Sarama: FNV-1a of the key; no key counts as an empty one.
    Fnv1a,
    /// As librdkafka's `fnv1a_random`: FNV-1a of the key; without a key, sticky.
    Fnv1aRandom,
    /// As librdkafka's `random`: for each record with a key any partition that has a leader; without a key, sticky.
    Random,
    /// Each record, with a key or without, goes to the next partition that has a leader.
    RoundRobin,
    /// The application's own.
    Custom(Arc<dyn Partitioner>),
}

/// Names as they are shown first; more that are understood follow in [`ALIASES`].
const NAMES: [(&str, PartitionerClass); 9] = [
    ("default", PartitionerClass::Default),
    ("consistent", PartitionerClass::Consistent),
    ("consistent_random", PartitionerClass::ConsistentRandom),
    ("murmur2", PartitionerClass::Murmur2),
    ("murmur2_random", PartitionerClass::Murmur2Random),
    ("fnv1a", PartitionerClass::Fnv1a),
    ("fnv1a_random", PartitionerClass::Fnv1aRandom),
    ("random", PartitionerClass::Random),
    ("round_robin", PartitionerClass::RoundRobin),
];

/// What Java's configurations say; nothing is the default there.
const ALIASES: [(&str, PartitionerClass); 3] = [
    ("", PartitionerClass::Default),
    ("org.apache.kafka.clients.producer.internals.DefaultPartitioner", PartitionerClass::Default),
    ("org.apache.kafka.clients.producer.RoundRobinPartitioner", PartitionerClass::RoundRobin),
];

impl PartitionerClass {
    /// A partitioner of the application's own.
    pub fn custom(partitioner: impl Partitioner + 'static) -> Self {
        PartitionerClass::Custom(Arc::new(partitioner))
    }
}

impl PartialEq for PartitionerClass {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (PartitionerClass::Custom(own), PartitionerClass::Custom(other)) => Arc::ptr_eq(own, other),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl fmt::Debug for PartitionerClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}

impl OptionValue for PartitionerClass {
    fn kind() -> String {
        NAMES.map(|(name, _)| format!("`{name}`")).join(", ")
    }

    fn parse(text: &str) -> Result<Self, String> {
        let named = |(name, _): &&(&str, PartitionerClass)| text.eq_ignore_ascii_case(name);
        let found = NAMES.iter().find(named).or_else(|| ALIASES.iter().find(named));
        found.map(|(_, class)| class.clone()).ok_or_else(|| format!("one of {}", Self::kind()))
    }

    fn render(&self) -> String {
        let named = NAMES.iter().find(|(_, class)| class == self);
        named.map_or("custom", |(name, _)| *name).to_owned()
    }
}
