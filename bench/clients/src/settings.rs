//! What is asked of a peer.

use std::time::Duration;

use lexopt::prelude::*;

use crate::Failure;

/// The flags of `drive`; the peers in Go and Java take the same ones.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which client.
    pub peer: String,
    /// What it does.
    pub mode: Mode,
    /// Records that are measured.
    pub records: u64,
    /// Records sent before, to connect and to warm up.
    pub warmup: u64,
    /// Bytes of a value.
    pub size: usize,
    /// Bytes of a key, if records have one.
    pub key: Option<usize>,
    /// The codec, by Kafka's name.
    pub compression: String,
    /// `all`, `1` or `0`.
    pub acks: String,
    /// The bootstrap list.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: i32,
    /// Tasks (or threads) that send through one handle.
    pub tasks: usize,
    /// How records without a partition find one.
    pub spread: Spread,
    /// How long a batch waits to be filled.
    pub linger: Duration,
    /// Bytes of a batch.
    pub batch_bytes: usize,
    /// Bytes that records on their way may take.
    pub buffer_bytes: usize,
    /// Worker threads of the tokio runtime; 0 for as many as there are processors.
    pub workers: usize,
}

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Sends everything, then waits until all of it is acknowledged.
    Produce,
    /// Sends each record after the answer to the one before.
    ProduceAwait,
    /// Reads everything, and looks at each value.
    Consume,
    /// Sends each record after the one before was read; both ends are the same client's.
    Latency,
    /// Makes the topic.
    CreateTopic,
    /// Prints how many records the topic has been sent.
    Count,
    /// Prints how many records of the topic a null broker has sent.
    CountSent,
}

/// Who chooses partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// The client's own partitioner.
    Own,
    /// The bench: one partition after the other, record by record.
    Robin,
}

impl Settings {
    /// Reads the command line.
    ///
    /// # Errors
    /// An unknown flag, or a value that can't be read.
    pub fn from_args() -> Result<Settings, Failure> {
        let mut settings = Settings {
            peer: "ottla".to_owned(),
            mode: Mode::Produce,
            records: 1_000_000,
            warmup: 0,
            size: 100,
            key: None,
            compression: "none".to_owned(),
            acks: "all".to_owned(),
            brokers: "127.0.0.1:9092".to_owned(),
            topic: "bench".to_owned(),
            partitions: 3,
            tasks: 1,
            spread: Spread::Own,
            linger: Duration::ZERO,
            batch_bytes: 1 << 20,
            buffer_bytes: 64 << 20,
            workers: 0,
        };
        let (mut warmup, mut linger) = (None, None);
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            let Long(name) = argument else { return Err(argument.unexpected().into()) };
            let name = name.to_owned();
            let value = arguments.value()?.string()?;
            let number = || value.parse::<u64>().map_err(|error| format!("--{name} {value}: {error}"));
            match name.as_str() {
                "peer" => settings.peer = value,
                "mode" => settings.mode = mode(&value)?,
                "records" => settings.records = number()?,
                "warmup" => warmup = Some(number()?),
                "size" => settings.size = number()? as usize,
                "key" => settings.key = if value == "none" { None } else { Some(number()? as usize) },
                "compression" => settings.compression = value,
                "acks" => settings.acks = value,
                "brokers" => settings.brokers = value,
                "topic" => settings.topic = value,
                "partitions" => settings.partitions = i32::try_from(number()?)?.max(1),
                "tasks" => settings.tasks = (number()? as usize).max(1),
                "spread" => settings.spread = spread(&value)?,
                "linger-ms" => linger = Some(Duration::from_millis(number()?)),
                "batch-bytes" => settings.batch_bytes = number()? as usize,
                "buffer-bytes" => settings.buffer_bytes = number()? as usize,
                // What the broker is to hold; it has been told.
                "active" => drop(number()?),
                "workers" => settings.workers = number()? as usize,
                _ => return Err(format!("no flag --{name}").into()),
            }
        }
        settings.warmup = warmup.unwrap_or_else(|| (settings.records / 10).min(1_000_000));
        let awaiting = matches!(settings.mode, Mode::ProduceAwait | Mode::Latency);
        settings.linger = linger.unwrap_or(Duration::from_millis(if awaiting { 0 } else { 5 }));
        Ok(settings)
    }

    /// Whether producers are idempotent, where they can be.
    pub fn idempotent(&self) -> bool {
        self.acks == "all"
    }

    /// Records that may be on their way, for clients that also bound their number. Not what stops records of 100 bytes.
    pub fn most_records(&self) -> usize {
        (self.buffer_bytes / 64).max(1000)
    }

    /// Bytes of key and value.
    pub fn bytes_each(&self) -> usize {
        self.size + self.key.unwrap_or(0)
    }

    /// The settings that all clients share, in words.
    pub fn common(&self) -> String {
        format!(
            "linger {} ms, batch {} B, buffer {} B, acks {}, {}",
            self.linger.as_millis(),
            self.batch_bytes,
            self.buffer_bytes,
            self.acks,
            self.compression
        )
    }

    /// The share of `count` records after `first` that falls to a task.
    pub fn share(&self, task: usize, first: u64, count: u64) -> std::ops::Range<u64> {
        let at = |task: usize| first + count * task as u64 / self.tasks as u64;
        at(task)..at(task + 1)
    }

    /// A tokio runtime as the settings say.
    ///
    /// # Errors
    /// When its threads can't be started.
    pub fn runtime(&self) -> Result<tokio::runtime::Runtime, Failure> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        if self.workers > 0 {
            builder.worker_threads(self.workers);
        }
        Ok(builder.enable_all().build()?)
    }
}

impl Mode {
    /// Its name, as on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Produce => "produce",
            Mode::ProduceAwait => "produce-await",
            Mode::Consume => "consume",
            Mode::Latency => "latency",
            Mode::CreateTopic => "create-topic",
            Mode::Count => "count",
            Mode::CountSent => "count-sent",
        }
    }
}

fn mode(name: &str) -> Result<Mode, Failure> {
    let all = [
        Mode::Produce,
        Mode::ProduceAwait,
        Mode::Consume,
        Mode::Latency,
        Mode::CreateTopic,
        Mode::Count,
        Mode::CountSent,
    ];
    all.into_iter().find(|mode| mode.name() == name).ok_or_else(|| format!("no mode {name}").into())
}

fn spread(name: &str) -> Result<Spread, Failure> {
    match name {
        "own" => Ok(Spread::Own),
        "robin" => Ok(Spread::Robin),
        _ => Err(format!("no spread {name}: own or robin").into()),
    }
}
