//! Ottla.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla::options::OptionValue;
use ottla::producer::{Acks, CompressionType};
use ottla::{Kafka, Producer, ProducerOptions, Record};

use super::{Peer, on_tasks};
use crate::Failure;
use crate::load::Load;
use crate::settings::Settings;

/// Deliveries are looked at after so many records; so many are sent in a call, where it takes many.
const LOOK: usize = 1024;

/// How the sending tasks learn what became of their records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcomes {
    /// Not one by one: they flush at the end. That all arrived is for the broker's count to say.
    Flush,
    /// The same, with [`LOOK`] records in each call.
    FlushAll,
    /// Every record's delivery is kept until it has told its outcome.
    Each,
}

pub(super) struct Ottla {
    settings: Arc<Settings>,
    load: Arc<Load>,
    outcomes: Outcomes,
    runtime: tokio::runtime::Runtime,
    producer: Producer,
}

impl Ottla {
    pub(super) fn start(settings: Settings, load: Load, outcomes: Outcomes) -> Result<Ottla, Failure> {
        let runtime = settings.runtime()?;
        let options = ProducerOptions::default()
            .linger(settings.linger)
            .batch_size(settings.batch_bytes)
            .buffer_memory(settings.buffer_bytes)
            .acks(Acks::parse(&settings.acks)?)
            .compression(CompressionType::parse(&settings.compression)?);
        let producer = {
            let _inside = runtime.enter();
            Kafka::connect(&settings.brokers)?.producer(options)?
        };
        Ok(Ottla { settings: Arc::new(settings), load: Arc::new(load), outcomes, runtime, producer })
    }
}

impl Peer for Ottla {
    fn settings(&self) -> String {
        let outcomes = match self.outcomes {
            Outcomes::Flush => "deliveries dropped, flushed at the end",
            Outcomes::FlushAll => "1,024 records in a call, deliveries dropped, flushed at the end",
            Outcomes::Each => "every delivery's outcome read",
        };
        format!(
            "{}, idempotent {}, {outcomes}",
            self.settings.common(),
            self.producer.values().is_idempotent()
        )
    }

    fn produce(&self, first: u64, count: u64) -> Result<u64, Failure> {
        on_tasks(&self.runtime, &self.settings, first, count, |share| {
            let (producer, load) = (self.producer.clone(), Arc::clone(&self.load));
            let (settings, outcomes) = (Arc::clone(&self.settings), self.outcomes);
            async move {
                match outcomes {
                    Outcomes::Flush => send(&producer, &load, &settings.topic, share).await?,
                    Outcomes::FlushAll => send_all(&producer, &load, &settings.topic, share).await?,
                    Outcomes::Each => send_and_look(&producer, &load, &settings.topic, share).await?,
                }
                Ok(())
            }
        })?;
        self.runtime.block_on(self.producer.flush())?;
        Ok(count)
    }

    fn produce_awaiting(&self, first: u64, count: u64) -> Result<Vec<u64>, Failure> {
        let latencies = on_tasks(&self.runtime, &self.settings, first, count, |share| {
            let (producer, load) = (self.producer.clone(), Arc::clone(&self.load));
            let settings = Arc::clone(&self.settings);
            async move {
                let mut latencies = Vec::with_capacity((share.end - share.start) as usize);
                for at in share {
                    let began = Instant::now();
                    producer.send(record(&load, &settings.topic, at)).await?.await?;
                    latencies.push(began.elapsed().as_nanos() as u64);
                }
                Ok(latencies)
            }
        })?;
        Ok(latencies.concat())
    }
}

impl Drop for Ottla {
    fn drop(&mut self) {
        // What could fail has been flushed.
        let _ = self.runtime.block_on(self.producer.close(Duration::from_secs(10)));
    }
}

async fn send(
    producer: &Producer,
    load: &Load,
    topic: &str,
    share: std::ops::Range<u64>,
) -> Result<(), Failure> {
    for at in share {
        drop(producer.send(record(load, topic, at)).await?);
    }
    Ok(())
}

async fn send_all(
    producer: &Producer,
    load: &Load,
    topic: &str,
    share: std::ops::Range<u64>,
) -> Result<(), Failure> {
    let (mut records, mut deliveries) = (Vec::with_capacity(LOOK), Vec::with_capacity(LOOK));
    let mut first = share.start;
    while first < share.end {
        let end = share.end.min(first + LOOK as u64);
        records.clear();
        records.extend((first..end).map(|at| record(load, topic, at)));
        producer.send_all(&records, &mut deliveries).await?;
        deliveries.clear();
        first = end;
    }
    Ok(())
}

async fn send_and_look(
    producer: &Producer,
    load: &Load,
    topic: &str,
    share: std::ops::Range<u64>,
) -> Result<(), Failure> {
    let mut open = VecDeque::new();
    for at in share {
        open.push_back(producer.send(record(load, topic, at)).await?);
        if open.len() % LOOK == 0 {
            while let Some(outcome) = open.front_mut().and_then(ottla::Delivery::outcome) {
                outcome?;
                open.pop_front();
            }
        }
    }
    // Or the last ones would linger.
    producer.flush().await?;
    for delivery in open {
        delivery.await?;
    }
    Ok(())
}

fn record<'a>(load: &'a Load, topic: &'a str, at: u64) -> Record<'a> {
    let record = Record::new(topic).value(load.value(at)).maybe_key(load.key(at).map(AsRef::as_ref));
    match load.partition(at) {
        Some(partition) => record.partition(partition),
        None => record,
    }
}
