//! librdkafka through rust-rdkafka's `BaseConsumer`.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::{Reader, Seen};
use crate::Failure;
use crate::settings::Settings;

pub(super) struct Rdkafka {
    consumer: BaseConsumer,
}

impl Rdkafka {
    pub(super) fn start(settings: Settings) -> Result<Rdkafka, Failure> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &settings.brokers)
            // Has to be there, although nothing is committed.
            .set("group.id", "bench")
            .set("enable.auto.commit", "false")
            // With its second of pause, once 100,000 records lie ready, it would mostly sleep here.
            .set("fetch.queue.backoff.ms", "1")
            .set("enable.auto.offset.store", "false")
            .create()?;
        let mut list = TopicPartitionList::new();
        for partition in 0..settings.partitions {
            list.add_partition_offset(&settings.topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        Ok(Rdkafka { consumer })
    }
}

impl Reader for Rdkafka {
    fn settings(&self) -> String {
        let (_, version) = rdkafka::util::get_rdkafka_version();
        format!("assigned, no offsets stored, fetch.queue.backoff.ms 1, poll, librdkafka {version}")
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
