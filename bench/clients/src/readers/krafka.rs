//! krafka.

use std::time::Duration;

use krafka::Kafka;
use krafka::consumer::{AutoOffsetReset, Consumer};

use super::{Reader, Seen};
use crate::Failure;
use crate::settings::Settings;

pub(super) struct Krafka {
    runtime: tokio::runtime::Runtime,
    consumer: Consumer,
}

impl Krafka {
    pub(super) fn start(settings: Settings) -> Result<Krafka, Failure> {
        let runtime = settings.runtime()?;
        let consumer = runtime.block_on(async {
            let kafka = Kafka::builder(settings.brokers.as_str()).connect().await?;
            let consumer = kafka
                .consumer_without_group()
                .auto_offset_reset(AutoOffsetReset::Earliest)
                .max_buffered_records(BUFFERED)
                .build()
                .await?;
            consumer.assign(&settings.topic, (0..settings.partitions).collect()).await?;
            Ok::<_, krafka::KrafkaError>(consumer)
        })?;
        Ok(Krafka { runtime, consumer })
    }
}

impl Reader for Krafka {
    fn settings(&self) -> String {
        format!("assigned, no group, poll, max_buffered_records {BUFFERED}")
    }

    fn read(&mut self, count: u64) -> Result<Seen, Failure> {
        let mut seen = Seen::default();
        self.runtime.block_on(async {
            while seen.records < count {
                for record in self.consumer.poll(Duration::from_secs(10)).await? {
                    seen.look(record.key.as_deref(), record.value.as_deref());
                }
            }
            Ok(seen)
        })
    }
}

/// Room for what one fetch brings. Of its 500, whatever a fetch brings beyond 1,000 records is fetched again.
const BUFFERED: i32 = 65_536;
