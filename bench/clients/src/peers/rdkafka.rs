//! librdkafka through rust-rdkafka: with a callback for each record, and with a future for each.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, FutureProducer, FutureRecord, Producer, ProducerContext,
};
use rdkafka::util::Timeout;

use super::{Peer, on_tasks};
use crate::Failure;
use crate::load::Load;
use crate::settings::{Mode, Settings};

/// A sending thread serves callbacks after so many records.
const SERVE: u64 = 1024;
/// `BaseProducer::poll` comes back when its time is over, never sooner, and `flush` polls for up to 100 ms at a time.
const POLL: Duration = Duration::from_millis(1);

fn config(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("acks", &settings.acks)
        .set("enable.idempotence", settings.idempotent().to_string())
        .set("linger.ms", settings.linger.as_millis().to_string())
        .set("batch.size", settings.batch_bytes.to_string())
        // Or 10,000 records, and 1,000,000 bytes, would be the bounds of a batch.
        .set("batch.num.messages", settings.most_records().min(1_000_000).to_string())
        .set("message.max.bytes", (settings.batch_bytes + (64 << 10)).max(1_000_000).to_string())
        .set("queue.buffering.max.messages", settings.most_records().to_string())
        .set("queue.buffering.max.kbytes", (settings.buffer_bytes >> 10).to_string())
        .set("compression.codec", &settings.compression);
    config
}

fn text(settings: &Settings, how: &str) -> String {
    let (_, version) = rdkafka::util::get_rdkafka_version();
    format!(
        "{}, idempotent {}, queue.buffering.max.messages {}, {how}, librdkafka {version}",
        settings.common(),
        settings.idempotent(),
        settings.most_records()
    )
}

fn is_full(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull))
}

/// `BaseProducer`: sending threads serve the callbacks themselves.
pub(super) struct Callbacks {
    settings: Settings,
    load: Load,
    producer: BaseProducer<Counting>,
    /// Hears of every callback, where each record is awaited.
    told: Mutex<Option<Receiver<()>>>,
}

/// What the callbacks counted.
#[derive(Default)]
struct Counting {
    acknowledged: AtomicU64,
    failed: AtomicU64,
    tell: Option<SyncSender<()>>,
}

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() { &self.acknowledged } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        if let Some(tell) = &self.tell {
            // Nobody listens any more when the run is over.
            let _ = tell.send(());
        }
    }
}

impl Callbacks {
    pub(super) fn start(settings: Settings, load: Load) -> Result<Callbacks, Failure> {
        let (tell, told) = match settings.mode {
            Mode::ProduceAwait => Some(mpsc::sync_channel(1)).unzip(),
            _ => (None, None),
        };
        let counting = Counting { tell, ..Counting::default() };
        let producer = BaseProducer::from_config_and_context(&config(&settings), counting)?;
        Ok(Callbacks { settings, load, producer, told: Mutex::new(told) })
    }

    fn send(&self, at: u64) -> Result<(), Failure> {
        let mut record: BaseRecord<'_, [u8], [u8]> =
            BaseRecord::to(&self.settings.topic).payload(self.load.value(at));
        record.key = self.load.key(at).map(AsRef::as_ref);
        record.partition = self.load.partition(at);
        while let Err((error, refused)) = self.producer.send(record) {
            if !is_full(&error) {
                return Err(error.into());
            }
            self.producer.poll(POLL);
            record = refused;
        }
        Ok(())
    }

    /// Whether so many more than `before` were acknowledged.
    fn check(&self, before: u64, count: u64) -> Result<(), Failure> {
        let context = self.producer.context();
        let done = context.acknowledged.load(Ordering::Relaxed) - before;
        if done != count || context.failed.load(Ordering::Relaxed) > 0 {
            return Err(format!("{done} of {count} records were acknowledged").into());
        }
        Ok(())
    }
}

impl Peer for Callbacks {
    fn settings(&self) -> String {
        text(&self.settings, "a callback per record")
    }

    fn produce(&self, first: u64, count: u64) -> Result<u64, Failure> {
        let before = self.producer.context().acknowledged.load(Ordering::Relaxed);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.settings.tasks)
                .map(|task| {
                    scope.spawn(move || -> Result<(), Failure> {
                        for at in self.settings.share(task, first, count) {
                            self.send(at)?;
                            if at % SERVE == 0 {
                                self.producer.poll(Duration::ZERO);
                            }
                        }
                        Ok(())
                    })
                })
                .collect();
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
        })?;
        while let Err(error) = self.producer.flush(POLL) {
            if !matches!(error, KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)) {
                return Err(error.into());
            }
        }
        self.check(before, count)?;
        Ok(count)
    }

    fn produce_awaiting(&self, first: u64, count: u64) -> Result<Vec<u64>, Failure> {
        let told = self.told.lock().map_err(|_| "a thread panicked")?;
        let told = told.as_ref().ok_or("no callback is listened to")?;
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // What `ThreadedProducer` does.
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    self.producer.poll(Duration::from_millis(100));
                }
            });
            let send_each = || {
                let mut latencies = Vec::with_capacity(count as usize);
                let before = self.producer.context().acknowledged.load(Ordering::Relaxed);
                for at in first..first + count {
                    let began = Instant::now();
                    self.send(at)?;
                    told.recv()?;
                    latencies.push(began.elapsed().as_nanos() as u64);
                }
                self.check(before, count)?;
                Ok(latencies)
            };
            let sent = send_each();
            over.store(true, Ordering::Relaxed);
            sent
        })
    }
}

/// `FutureProducer`.
pub(super) struct Futures {
    settings: Arc<Settings>,
    load: Arc<Load>,
    runtime: tokio::runtime::Runtime,
    producer: FutureProducer,
}

impl Futures {
    pub(super) fn start(settings: Settings, load: Load) -> Result<Futures, Failure> {
        let runtime = settings.runtime()?;
        let producer = {
            let _inside = runtime.enter();
            FutureProducer::from_config_and_context(&config(&settings), DefaultClientContext)?
        };
        Ok(Futures { settings: Arc::new(settings), load: Arc::new(load), runtime, producer })
    }
}

impl Peer for Futures {
    fn settings(&self) -> String {
        text(&self.settings, "a future per record")
    }

    fn produce(&self, first: u64, count: u64) -> Result<u64, Failure> {
        on_tasks(&self.runtime, &self.settings, first, count, |share| {
            let (producer, load) = (self.producer.clone(), Arc::clone(&self.load));
            let settings = Arc::clone(&self.settings);
            async move {
                let mut open = VecDeque::new();
                for at in share {
                    let mut record = future_record(&load, &settings.topic, at);
                    loop {
                        match producer.send_result(record) {
                            Ok(future) => break open.push_back(future),
                            Err((error, refused)) if is_full(&error) => record = refused,
                            Err((error, _)) => return Err(error.into()),
                        }
                        match open.pop_front() {
                            Some(oldest) => {
                                oldest.await?.map_err(|(error, _)| error)?;
                            }
                            None => tokio::time::sleep(Duration::from_millis(1)).await,
                        }
                    }
                    if open.len() == settings.most_records()
                        && let Some(oldest) = open.pop_front()
                    {
                        oldest.await?.map_err(|(error, _)| error)?;
                    }
                }
                tokio::task::block_in_place(|| producer.flush(Timeout::Never))?;
                for future in open {
                    future.await?.map_err(|(error, _)| error)?;
                }
                Ok(())
            }
        })?;
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
                    let sent = producer.send(future_record(&load, &settings.topic, at), Timeout::Never).await;
                    sent.map_err(|(error, _)| error)?;
                    latencies.push(began.elapsed().as_nanos() as u64);
                }
                Ok(latencies)
            }
        })?;
        Ok(latencies.concat())
    }
}

fn future_record<'a>(load: &'a Load, topic: &'a str, at: u64) -> FutureRecord<'a, [u8], [u8]> {
    let mut record = FutureRecord::to(topic).payload(load.value(at).as_ref());
    record.key = load.key(at).map(AsRef::as_ref);
    record.partition = load.partition(at);
    record
}
