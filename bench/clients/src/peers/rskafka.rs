//! rskafka, which takes vectors of records for a partition: tasks gather a batch, hand it over and gather the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rskafka::chrono::DateTime;
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::record::Record;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Peer, on_tasks};
use crate::Failure;
use crate::load::Load;
use crate::settings::Settings;

/// Vectors of one partition that are on their way at a time.
const IN_FLIGHT: usize = 5;
/// What a small record takes in a batch beside its key and value.
const OVERHEAD: usize = 9;

pub(super) struct Rskafka {
    settings: Arc<Settings>,
    load: Arc<Load>,
    compression: Compression,
    runtime: tokio::runtime::Runtime,
    partitions: Arc<Vec<Partition>>,
}

struct Partition {
    client: PartitionClient,
    in_flight: Arc<Semaphore>,
}

impl Rskafka {
    pub(super) fn start(settings: Settings, load: Load) -> Result<Rskafka, Failure> {
        let compression = match settings.compression.as_str() {
            "none" => Compression::NoCompression,
            "gzip" => Compression::Gzip,
            "snappy" => Compression::Snappy,
            "lz4" => Compression::Lz4,
            "zstd" => Compression::Zstd,
            other => return Err(format!("no codec {other}").into()),
        };
        if settings.acks != "all" {
            return Err("rskafka knows acks=all alone".into());
        }
        let runtime = settings.runtime()?;
        let partitions = runtime.block_on(async {
            let brokers = settings.brokers.split(',').map(str::to_owned).collect();
            let client = ClientBuilder::new(brokers).build().await?;
            let mut partitions = Vec::new();
            for partition in 0..settings.partitions {
                let client =
                    client.partition_client(&settings.topic, partition, UnknownTopicHandling::Retry).await?;
                partitions.push(Partition { client, in_flight: Arc::new(Semaphore::new(IN_FLIGHT)) });
            }
            Ok::<_, rskafka::client::error::Error>(partitions)
        })?;
        let (settings, load) = (Arc::new(settings), Arc::new(load));
        Ok(Rskafka { settings, load, compression, runtime, partitions: Arc::new(partitions) })
    }
}

impl Peer for Rskafka {
    fn settings(&self) -> String {
        format!(
            "vectors of {} B, {IN_FLIGHT} on their way per partition, partitions in turn, idempotent false, acks all, {}",
            self.settings.batch_bytes, self.settings.compression
        )
    }

    fn produce(&self, first: u64, count: u64) -> Result<u64, Failure> {
        on_tasks(&self.runtime, &self.settings, first, count, |share| {
            let (partitions, load) = (Arc::clone(&self.partitions), Arc::clone(&self.load));
            let (settings, compression) = (Arc::clone(&self.settings), self.compression);
            async move {
                let per_vector = (settings.batch_bytes / (settings.bytes_each() + OVERHEAD)).max(1) as u64;
                let mut sending = JoinSet::new();
                let mut next = share.start;
                while next < share.end {
                    let end = (next + per_vector).min(share.end);
                    let partition = (next / per_vector % partitions.len() as u64) as usize;
                    let records = (next..end).map(|at| record(&load, at)).collect();
                    let turn = Arc::clone(&partitions[partition].in_flight).acquire_owned().await?;
                    let partitions = Arc::clone(&partitions);
                    sending.spawn(async move {
                        let sent = partitions[partition].client.produce(records, compression).await;
                        drop(turn);
                        sent.map(|offsets| offsets.len())
                    });
                    next = end;
                    while let Some(done) = sending.try_join_next() {
                        done??;
                    }
                }
                while let Some(done) = sending.join_next().await {
                    done??;
                }
                Ok(())
            }
        })?;
        Ok(count)
    }

    fn produce_awaiting(&self, first: u64, count: u64) -> Result<Vec<u64>, Failure> {
        let latencies = on_tasks(&self.runtime, &self.settings, first, count, |share| {
            let (partitions, load) = (Arc::clone(&self.partitions), Arc::clone(&self.load));
            let compression = self.compression;
            async move {
                let mut latencies = Vec::with_capacity((share.end - share.start) as usize);
                for at in share {
                    let began = Instant::now();
                    let partition = &partitions[(at % partitions.len() as u64) as usize];
                    partition.client.produce(vec![record(&load, at)], compression).await?;
                    latencies.push(began.elapsed().as_nanos() as u64);
                }
                Ok(latencies)
            }
        })?;
        Ok(latencies.concat())
    }
}

fn record(load: &Load, at: u64) -> Record {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    Record {
        key: load.key(at).map(|key| key.to_vec()),
        value: Some(load.value(at).to_vec()),
        headers: BTreeMap::new(),
        timestamp: DateTime::from_timestamp_millis(now).unwrap_or_default(),
    }
}
