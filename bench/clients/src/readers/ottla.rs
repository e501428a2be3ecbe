//! Ottla: records by poll, one at a time, or batches.

use std::time::Duration;

use ottla::consumer::Start;
use ottla::{Consumer, ConsumerOptions, Kafka, TopicPartition};

use super::{Reader, Seen};
use crate::Failure;
use crate::settings::Settings;

/// How records are taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    Poll,
    Next,
    Batch,
}

pub(super) struct Ottla {
    by: By,
    runtime: tokio::runtime::Runtime,
    consumer: Consumer,
}

impl Ottla {
    pub(super) fn start(settings: Settings, by: By) -> Result<Ottla, Failure> {
        let runtime = settings.runtime()?;
        let mut consumer = {
            let _inside = runtime.enter();
            Kafka::connect(&settings.brokers)?.consumer(ConsumerOptions::default())?
        };
        let all = 0..settings.partitions;
        consumer.assign(
            all.map(|partition| (TopicPartition::new(settings.topic.as_str(), partition), Start::Earliest)),
        )?;
        Ok(Ottla { by, runtime, consumer })
    }
}

impl Reader for Ottla {
    fn settings(&self) -> String {
        let by = match self.by {
            By::Poll => "poll",
            By::Next => "next",
            By::Batch => "poll_batches",
        };
        format!("defaults, assigned, {by}")
    }

    fn read(&mut self, count: u64) -> Result<Seen, Failure> {
        let Ottla { by, runtime, consumer } = self;
        let mut seen = Seen::default();
        runtime.block_on(async {
            while seen.records < count {
                match by {
                    By::Poll => {
                        for record in &consumer.poll(WAIT).await? {
                            seen.look(record.key(), record.value());
                        }
                    }
                    By::Next => {
                        let record = consumer.next().await?;
                        seen.look(record.key(), record.value());
                    }
                    By::Batch => {
                        for mut batch in consumer.poll_batches(WAIT).await? {
                            while let Some(record) = batch.next_record()? {
                                seen.look(record.key, record.value);
                            }
                        }
                    }
                }
            }
            Ok(seen)
        })
    }
}

const WAIT: Duration = Duration::from_secs(10);
