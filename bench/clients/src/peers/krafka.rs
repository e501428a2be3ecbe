//! krafka.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use krafka::producer::{Acks, Producer};
use krafka::{Compression, Kafka, Record};

use super::{Peer, on_tasks};
use crate::Failure;
use crate::load::Load;
use crate::settings::Settings;

pub(super) struct Krafka {
    settings: Arc<Settings>,
    load: Arc<Load>,
    runtime: tokio::runtime::Runtime,
    producer: Arc<Producer>,
}

impl Krafka {
    pub(super) fn start(settings: Settings, load: Load) -> Result<Krafka, Failure> {
        let runtime = settings.runtime()?;
        let compression = match settings.compression.as_str() {
            "none" => Compression::None,
            "gzip" => Compression::Gzip,
            "snappy" => Compression::Snappy,
            "lz4" => Compression::Lz4,
            "zstd" => Compression::Zstd,
            other => return Err(format!("no codec {other}").into()),
        };
        let acks = match settings.acks.as_str() {
            "all" => Acks::All,
            "1" => Acks::Leader,
            "0" => Acks::None,
            other => return Err(format!("no acks {other}").into()),
        };
        let producer = runtime.block_on(async {
            let kafka = Kafka::builder(settings.brokers.as_str()).connect().await?;
            kafka
                .producer()
                .acks(acks)
                .idempotent(settings.idempotent())
                .linger(settings.linger)
                .batch_size(settings.batch_bytes)
                .buffer_memory(settings.buffer_bytes)
                .compression(compression)
                .build()
                .await
        })?;
        Ok(Krafka {
            settings: Arc::new(settings),
            load: Arc::new(load),
            runtime,
            producer: Arc::new(producer),
        })
    }
}

impl Peer for Krafka {
    fn settings(&self) -> String {
        format!(
            "{}, idempotent {}, every handle awaited, values shared without a copy",
            self.settings.common(),
            self.settings.idempotent()
        )
    }

    fn produce(&self, first: u64, count: u64) -> Result<u64, Failure> {
        on_tasks(&self.runtime, &self.settings, first, count, |share| {
            let (producer, load) = (Arc::clone(&self.producer), Arc::clone(&self.load));
            let settings = Arc::clone(&self.settings);
            async move {
                let mut open = VecDeque::new();
                for at in share {
                    open.push_back(producer.enqueue(record(&load, &settings.topic, at)).await?);
                    if open.len() == settings.most_records()
                        && let Some(oldest) = open.pop_front()
                    {
                        drop(oldest.await?);
                    }
                }
                producer.flush().await?;
                for handle in open {
                    drop(handle.await?);
                }
                Ok(())
            }
        })?;
        Ok(count)
    }

    fn produce_awaiting(&self, first: u64, count: u64) -> Result<Vec<u64>, Failure> {
        let latencies = on_tasks(&self.runtime, &self.settings, first, count, |share| {
            let (producer, load) = (Arc::clone(&self.producer), Arc::clone(&self.load));
            let settings = Arc::clone(&self.settings);
            async move {
                let mut latencies = Vec::with_capacity((share.end - share.start) as usize);
                for at in share {
                    let began = Instant::now();
                    drop(producer.send(record(&load, &settings.topic, at)).await?);
                    latencies.push(began.elapsed().as_nanos() as u64);
                }
                Ok(latencies)
            }
        })?;
        Ok(latencies.concat())
    }
}

impl Drop for Krafka {
    fn drop(&mut self) {
        // What could fail has been awaited.
        let _ = self.runtime.block_on(self.producer.close());
    }
}

fn record(load: &Load, topic: &str, at: u64) -> Record {
    let mut record = Record::new(topic, load.value(at).clone());
    if let Some(key) = load.key(at) {
        record = record.key(key.clone());
    }
    match load.partition(at) {
        Some(partition) => record.partition(partition),
        None => record,
    }
}
