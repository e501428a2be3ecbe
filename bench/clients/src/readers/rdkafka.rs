//! librdkafka through rust-rdkafka's `BaseConsumer`.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::{Reader, Seen};
use crate::Failure;
use crate::settings::Settings;

/// How long it pauses its fetches once 100,000 records of a partition lie ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backoff {
    /// A second.
    Default,
    /// A millisecond.
    Short,
}

pub(super) struct Rdkafka {
    consumer: BaseConsumer,
    backoff: Backoff,
}

impl Rdkafka {
    pub(super) fn start(settings: Settings, backoff: Backoff) -> Result<Rdkafka, Failure> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &settings.brokers)
            // Has to be there, although nothing is committed.
            .set("group.id", "bench")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false");
        if backoff == Backoff::Short {
            config.set("fetch.queue.backoff.ms", "1");
        }
        let consumer: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        for partition in 0..settings.partitions {
            list.add_partition_offset(&settings.topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        Ok(Rdkafka { consumer, backoff })
    }
}

impl Reader for Rdkafka {
    fn settings(&self) -> String {
        let (_, version) = rdkafka::util::get_rdkafka_version();
        let rest = match self.backoff {
            Backoff::Default => "defaults",
            Backoff::Short => "fetch.queue.backoff.ms 1",
        };
        format!("{rest}, assigned, no offsets stored, poll, librdkafka {version}")
    }

    fn read(&mut self, count: u64) -> Result<Seen, Failure> {
        let mut seen = Seen::default();
        while seen.records < count {
            match self.consumer.poll(Duration::from_secs(10)) {
                Some(Ok(message)) => seen.look(message.key(), message.payload()),
                Some(Err(error)) => return Err(error.into()),
                None => return Err(format!("nothing came after {} records", seen.records).into()),
            }
        }
        Ok(seen)
    }
}
