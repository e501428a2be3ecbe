//! rskafka, which fetches from one partition at a time and fetches nothing ahead: a task for each partition.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rskafka::client::ClientBuilder;
use rskafka::client::partition::{PartitionClient, UnknownTopicHandling};
use tokio::task::JoinSet;

use super::{Reader, Seen};
use crate::Failure;
use crate::settings::Settings;

pub(super) struct Rskafka {
    runtime: tokio::runtime::Runtime,
    partitions: Vec<(Arc<PartitionClient>, i64)>,
}

impl Rskafka {
    pub(super) fn start(settings: Settings) -> Result<Rskafka, Failure> {
        let runtime = settings.runtime()?;
        let partitions = runtime.block_on(async {
            let brokers = settings.brokers.split(',').map(str::to_owned).collect();
            let client = ClientBuilder::new(brokers).build().await?;
            let mut partitions = Vec::new();
            for partition in 0..settings.partitions {
                let client =
                    client.partition_client(&settings.topic, partition, UnknownTopicHandling::Retry).await?;
                partitions.push((Arc::new(client), 0));
            }
            Ok::<_, rskafka::client::error::Error>(partitions)
        })?;
        Ok(Rskafka { runtime, partitions })
    }
}

impl Reader for Rskafka {
    fn settings(&self) -> String {
        "fetch_records of up to 1 MiB, a task for each partition".to_owned()
    }

    fn read(&mut self, count: u64) -> Result<Seen, Failure> {
        let read = Arc::new(AtomicU64::new(0));
        let mut tasks: JoinSet<Result<(usize, i64, Seen), Failure>> = JoinSet::new();
        let _inside = self.runtime.enter();
        for (at, (client, offset)) in self.partitions.iter().enumerate() {
            let (client, mut offset, read) = (Arc::clone(client), *offset, Arc::clone(&read));
            tasks.spawn(async move {
                let mut seen = Seen::default();
                while read.load(Ordering::Relaxed) < count {
                    let (records, end) = client.fetch_records(offset, 1..1 << 20, 500).await?;
                    read.fetch_add(records.len() as u64, Ordering::Relaxed);
                    for record in &records {
                        seen.look(record.record.key.as_deref(), record.record.value.as_deref());
                        offset = record.offset + 1;
                    }
                    if offset >= end {
                        break;
                    }
                }
                Ok((at, offset, seen))
            });
        }
        let done = self.runtime.block_on(tasks.join_all());
        let mut all = Seen::default();
        for task in done {
            let (at, offset, seen) = task?;
            self.partitions[at].1 = offset;
            all.records += seen.records;
            all.bytes += seen.bytes;
            all.sum = all.sum.wrapping_add(seen.sum);
        }
        Ok(all)
    }
}
