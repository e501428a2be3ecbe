//! From one end to the other: a client writes a record, reads it back, and only then writes the next. How long each took
//! is its latency, produce to consume.

use std::time::{Duration, Instant};

use ::ottla::consumer::Start;
use ::ottla::{Consumer, ConsumerOptions, Kafka, Producer, ProducerOptions, Record, TopicPartition};
use ::rdkafka::consumer::{BaseConsumer, Consumer as _};
use ::rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};
use ::rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use bytes::Bytes;
use krafka::consumer::AutoOffsetReset;

use crate::Failure;
use crate::settings::Settings;

const WAIT: Duration = Duration::from_secs(10);

/// Both ends of a topic's partition 0.
pub trait Echo {
    /// The settings, in words.
    fn settings(&self) -> String;

    /// Sends so many records, each after the one before was read; how many nanoseconds each took.
    ///
    /// # Errors
    /// When one doesn't come back.
    fn bounce(&mut self, count: u64) -> Result<Vec<u64>, Failure>;
}

/// Makes the client that the settings name, ready to read what is written from now on.
///
/// # Errors
/// When there is none of that name.
pub fn start(settings: &Settings) -> Result<Box<dyn Echo>, Failure> {
    Ok(match settings.peer.as_str() {
        "ottla" => Box::new(Ottla::start(settings)?),
        "rdkafka" => Box::new(Rdkafka::start(settings)?),
        "krafka" => Box::new(Krafka::start(settings)?),
        other => return Err(format!("no echo of {other} here").into()),
    })
}

struct Ottla {
    runtime: tokio::runtime::Runtime,
    topic: String,
    value: Vec<u8>,
    producer: Producer,
    consumer: Consumer,
}

impl Ottla {
    fn start(settings: &Settings) -> Result<Ottla, Failure> {
        let runtime = settings.runtime()?;
        let kafka = {
            let _inside = runtime.enter();
            Kafka::connect(&settings.brokers)?
        };
        let (producer, mut consumer) = {
            let _inside = runtime.enter();
            let producer = kafka.producer(ProducerOptions::default().linger(settings.linger))?;
            (producer, kafka.consumer(ConsumerOptions::default())?)
        };
        let partition = TopicPartition::new(settings.topic.as_str(), 0);
        consumer.assign([(partition.clone(), Start::Latest)])?;
        runtime.block_on(consumer.position(&partition))?;
        Ok(Ottla {
            runtime,
            topic: settings.topic.clone(),
            value: vec![b'x'; settings.size],
            producer,
            consumer,
        })
    }
}

impl Echo for Ottla {
    fn settings(&self) -> String {
        "defaults, no linger, next".to_owned()
    }

    fn bounce(&mut self, count: u64) -> Result<Vec<u64>, Failure> {
        let Ottla { runtime, topic, value, producer, consumer } = self;
        runtime.block_on(async {
            let mut latencies = Vec::with_capacity(count as usize);
            for _ in 0..count {
                let began = Instant::now();
                let record = Record::new(topic.as_str()).value(&value[..]).partition(0);
                drop(producer.send(record).await?);
                let read = consumer.next().await?;
                if read.value() != Some(&value[..]) {
                    return Err("another record than the one that was sent".into());
                }
                latencies.push(began.elapsed().as_nanos() as u64);
            }
            Ok(latencies)
        })
    }
}

struct Rdkafka {
    topic: String,
    value: Vec<u8>,
    producer: ThreadedProducer<DefaultProducerContext>,
    consumer: BaseConsumer,
}

impl Rdkafka {
    fn start(settings: &Settings) -> Result<Rdkafka, Failure> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &settings.brokers)
            .set("linger.ms", settings.linger.as_millis().to_string())
            .set("enable.idempotence", "true")
            .create()?;
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &settings.brokers)
            .set("group.id", "bench")
            .set("enable.auto.commit", "false")
            .create()?;
        let end = consumer.fetch_watermarks(&settings.topic, 0, WAIT)?.1;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&settings.topic, 0, Offset::Offset(end))?;
        consumer.assign(&list)?;
        Ok(Rdkafka { topic: settings.topic.clone(), value: vec![b'x'; settings.size], producer, consumer })
    }
}

impl Echo for Rdkafka {
    fn settings(&self) -> String {
        "defaults, idempotent, no linger, poll".to_owned()
    }

    fn bounce(&mut self, count: u64) -> Result<Vec<u64>, Failure> {
        let mut latencies = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let began = Instant::now();
            let record: BaseRecord<'_, [u8], [u8]> =
                BaseRecord::to(&self.topic).payload(&self.value[..]).partition(0);
            self.producer.send(record).map_err(|(error, _)| error)?;
            let read = self.consumer.poll(WAIT).ok_or("the record did not come back")??;
            if read.payload() != Some(&self.value[..]) {
                return Err("another record than the one that was sent".into());
            }
            latencies.push(began.elapsed().as_nanos() as u64);
        }
        Ok(latencies)
    }
}

struct Krafka {
    runtime: tokio::runtime::Runtime,
    topic: String,
    value: Bytes,
    producer: krafka::producer::Producer,
    consumer: krafka::consumer::Consumer,
}

impl Krafka {
    fn start(settings: &Settings) -> Result<Krafka, Failure> {
        let runtime = settings.runtime()?;
        let (producer, consumer) = runtime.block_on(async {
            let kafka = krafka::Kafka::builder(settings.brokers.as_str()).connect().await?;
            let producer = kafka.producer().idempotent(true).linger(settings.linger).build().await?;
            let consumer =
                kafka.consumer_without_group().auto_offset_reset(AutoOffsetReset::Latest).build().await?;
            consumer.assign(&settings.topic, vec![0]).await?;
            // The position is looked up by a poll.
            drop(consumer.poll(Duration::from_millis(1000)).await?);
            Ok::<_, krafka::KrafkaError>((producer, consumer))
        })?;
        let value = Bytes::from(vec![b'x'; settings.size]);
        Ok(Krafka { runtime, topic: settings.topic.clone(), value, producer, consumer })
    }
}

impl Echo for Krafka {
    fn settings(&self) -> String {
        "defaults, idempotent, no linger, recv".to_owned()
    }

    fn bounce(&mut self, count: u64) -> Result<Vec<u64>, Failure> {
        let Krafka { runtime, topic, value, producer, consumer } = self;
        runtime.block_on(async {
            let mut latencies = Vec::with_capacity(count as usize);
            for _ in 0..count {
                let began = Instant::now();
                let record = krafka::Record::new(topic.as_str(), value.clone()).partition(0);
                let sent = producer.enqueue(record).await?;
                drop(consumer.recv().await?.ok_or("the record did not come back")?);
                latencies.push(began.elapsed().as_nanos() as u64);
                drop(sent.await?);
            }
            Ok(latencies)
        })
    }
}
