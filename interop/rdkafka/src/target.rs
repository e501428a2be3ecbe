//! The cluster that is looked at, and what all scenarios do with it: create topics, write, read.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// How a scenario went, with the reason when it failed.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// How long anything may take that has to happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The cluster, and who we are there.
pub struct Target {
    bootstrap: String,
    pub user: Option<(String, String)>,
    run: String,
}

impl Target {
    pub fn new(bootstrap: String, user: Option<(String, String)>) -> Target {
        let run = format!("{}-{}", std::process::id(), now_ms());
        Target { bootstrap, user, run }
    }

    /// A name for a topic, a group or a transactional id that nobody has used on this cluster before.
    pub fn name(&self, what: &str) -> String {
        format!("rdkafka-{what}-{}", self.run)
    }

    /// What every client is told; `INTEROP_DEBUG` names contexts of librdkafka's `debug`.
    pub fn config(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("client.id", "interop-rdkafka");
        // A topic that was just created may not have reached every broker yet.
        config.set("topic.metadata.propagation.max.ms", "10000").set("reconnect.backoff.max.ms", "500");
        if let Ok(debug) = std::env::var("INTEROP_DEBUG") {
            config.set("debug", debug).set_log_level(RDKafkaLogLevel::Debug);
        }
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config
    }

    pub fn admin(&self) -> Outcome<AdminClient<DefaultClientContext>> {
        Ok(self.config(&[]).create()?)
    }

    /// Creates a topic with three replicas and waits until its partitions have leaders.
    pub fn create(&self, what: &str, partitions: i32) -> Outcome<String> {
        let topic = self.name(what);
        let admin = self.admin()?;
        let new =
            NewTopic::new(&topic, partitions, TopicReplication::Fixed(3)).set("min.insync.replicas", "2");
        for result in block_on(admin.create_topics([&new], &patient()))? {
            result.map_err(|(topic, code)| format!("creating {topic}: {code}"))?;
        }
        eventually("the new topic has leaders", || {
            let metadata = admin.inner().fetch_metadata(Some(&topic), PATIENCE)?;
            let found = metadata.topics().first().map_or(&[][..], |topic| topic.partitions());
            Ok(found.len() == partitions as usize && found.iter().all(|partition| partition.leader() >= 0))
        })?;
        Ok(topic)
    }

    pub fn writer(&self, settings: &[(&str, &str)]) -> Outcome<Writer> {
        let mut config = self.config(&[("acks", "all"), ("linger.ms", "5"), ("message.timeout.ms", "60000")]);
        for (name, value) in settings {
            config.set(*name, *value);
        }
        Ok(Writer { producer: config.create_with_context(Deliveries::default())?, sent: Mutex::default() })
    }

    /// All records of a topic's partitions, up to the end that `isolation` shows.
    pub fn read(&self, topic: &str, partitions: i32, isolation: &str) -> Outcome<BTreeMap<i32, Vec<Record>>> {
        let group = self.name("nobody");
        let consumer: BaseConsumer = self
            .config(&[
                ("group.id", &group),
                ("enable.auto.commit", "false"),
                ("enable.partition.eof", "true"),
                ("isolation.level", isolation),
                ("check.crcs", "true"),
            ])
            .create()?;
        let mut all = TopicPartitionList::new();
        for partition in 0..partitions {
            all.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&all)?;
        let mut found: BTreeMap<i32, Vec<Record>> = (0..partitions).map(|id| (id, Vec::new())).collect();
        let mut open = partitions;
        let end = Instant::now() + PATIENCE;
        while open > 0 {
            if Instant::now() > end {
                return Err(format!("{open} of {partitions} partitions of {topic} did not end").into());
            }
            match consumer.poll(Duration::from_millis(200)) {
                None => {}
                Some(Ok(message)) => found.entry(message.partition()).or_default().push(Record::of(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
                Some(Err(error)) => return Err(error.into()),
            }
        }
        Ok(found)
    }
}

/// A record as it was sent, or as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    pub fn text(partition: i32, value: &str) -> Record {
        let (timestamp, value) = (now_ms(), Some(value.as_bytes().to_vec()));
        Record { partition, timestamp, value, ..Record::default() }
    }

    fn of(message: &impl Message) -> Record {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            let owned = |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
            headers.iter().map(owned).collect()
        });
        Record {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().unwrap_or(-1),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers,
        }
    }
}

/// A producer that remembers what it was given and what became of it.
pub struct Writer {
    pub producer: BaseProducer<Deliveries>,
    sent: Mutex<Vec<Record>>,
}

impl Writer {
    pub fn send(&self, topic: &str, record: Record) -> Outcome {
        let mut sent = self.sent.lock().unwrap();
        let mut message = BaseRecord::<[u8], [u8], usize>::with_opaque_to(topic, sent.len())
            .partition(record.partition)
            .timestamp(record.timestamp);
        message.key = record.key.as_deref();
        message.payload = record.value.as_deref();
        if !record.headers.is_empty() {
            let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: value.as_deref() })
            });
            message = message.headers(headers);
        }
        self.producer.send(message).map_err(|(error, _)| error)?;
        sent.push(record);
        drop(sent);
        self.producer.poll(Duration::ZERO);
        Ok(())
    }

    /// Sends `count` records round robin, with texts that begin with `what`.
    pub fn send_texts(&self, topic: &str, partitions: i32, what: &str, count: i32) -> Outcome {
        (0..count).try_for_each(|n| self.send(topic, Record::text(n % partitions, &format!("{what} {n}"))))
    }

    /// Waits for all answers; gives what was sent, by partition and with the offsets that the cluster gave.
    pub fn finish(&self) -> Outcome<BTreeMap<i32, Vec<Record>>> {
        self.producer.flush(2 * PATIENCE)?;
        let delivered = self.producer.context().results.lock().unwrap();
        let mut all: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
        for (index, record) in self.sent.lock().unwrap().iter().enumerate() {
            let offset = match delivered.get(&index) {
                Some(Ok(offset)) => *offset,
                Some(Err(error)) => return Err(format!("record {index} was not delivered: {error}").into()),
                None => return Err(format!("nothing became of record {index}").into()),
            };
            all.entry(record.partition).or_default().push(Record { offset, ..record.clone() });
        }
        Ok(all)
    }
}

/// What became of records, and errors that concern the whole client.
#[derive(Default)]
pub struct Deliveries {
    results: Mutex<BTreeMap<usize, Result<i64, String>>>,
    errors: Mutex<Vec<RDKafkaErrorCode>>,
}

impl Deliveries {
    pub fn saw(&self, code: RDKafkaErrorCode) -> bool {
        self.errors.lock().unwrap().contains(&code)
    }
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        log::warn!("{error}: {reason}");
        self.errors.lock().unwrap().extend(error.rdkafka_error_code());
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let outcome = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.to_string()),
        };
        self.results.lock().unwrap().insert(index, outcome);
    }
}

pub fn patient() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// Fails with `what` unless `holds`.
pub fn ensure(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(what().into()) }
}

/// Fails unless both are the same.
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Outcome {
    ensure(found == expected, || {
        let short = |text: String| text.chars().take(400).collect::<String>();
        format!("{what}: {} instead of {}", short(format!("{found:?}")), short(format!("{expected:?}")))
    })
}

/// Asks again until `holds` says so; an error of its own counts as a no, for clusters need a moment.
pub fn eventually(what: &str, mut holds: impl FnMut() -> Outcome<bool>) -> Outcome {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = holds();
        if matches!(found, Ok(true)) {
            return Ok(());
        }
        if Instant::now() > end {
            let why = found.err().map_or_else(String::new, |error| format!(": {error}"));
            return Err(format!("not within {PATIENCE:?}: {what}{why}").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// librdkafka's own remarks go to stderr, before the reason of a failure.
pub fn log_to_stderr() {
    struct Stderr;
    impl log::Log for Stderr {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            eprintln!("{:.3} {}", now_ms() as f64 / 1000.0 % 1000.0, record.args());
        }
        fn flush(&self) {}
    }
    // Only a second logger is refused.
    let _ = log::set_logger(&Stderr);
    log::set_max_level(log::LevelFilter::Debug);
}
