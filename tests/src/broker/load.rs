//! [`Load`]: work that goes on while something fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ottla::{Delivery, Error, Kafka, Producer, ProducerOptions, Record, TopicPartition};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::ledger::{Id, Ledger};
use super::run::Dice;

/// How often each task sends a few records.
const PACE: Duration = Duration::from_millis(4);

/// How many records of a task may be without an outcome, so that what is slow does not pile up.
const PENDING: usize = 500;

/// How much later than the delivery timeout an outcome may be noted: the time that a busy machine takes to note it.
const SLACK: Duration = Duration::from_secs(15);

/// What is sent.
#[derive(Clone, Debug)]
pub struct Mix {
    /// Where to.
    pub topic: String,
    /// Its partitions, from 0.
    pub partitions: i32,
    /// How many tasks send; every two of them share a producer.
    pub tasks: u32,
    /// The most bytes of a value.
    pub largest: u64,
}

/// Tasks that send numbered records to random partitions until they are told to stop, and note what became of each.
#[derive(Debug)]
pub struct Load {
    kafka: Kafka,
    topic: String,
    ledger: Arc<Ledger>,
    stop: watch::Sender<bool>,
    counts: watch::Receiver<Vec<Counts>>,
    failures: mpsc::UnboundedReceiver<(Id, Error)>,
    slowest: Arc<AtomicU64>,
    delivery_timeout: Duration,
    producers: Vec<Producer>,
    tasks: Vec<JoinHandle<()>>,
}

/// Records of a partition.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Without an outcome.
    pending: u64,
    acknowledged: u64,
}

/// What a task has.
struct Task {
    number: u32,
    mix: Mix,
    producer: Producer,
    dice: Dice,
    stop: watch::Receiver<bool>,
    counts: Arc<watch::Sender<Vec<Counts>>>,
    notes: mpsc::Sender<Note>,
}

/// What was accepted, and when.
struct Note {
    id: Id,
    partition: TopicPartition,
    accepted: Instant,
    delivery: Delivery,
}

/// Where outcomes are noted.
#[derive(Clone)]
struct Notes {
    ledger: Arc<Ledger>,
    counts: Arc<watch::Sender<Vec<Counts>>>,
    failed: mpsc::UnboundedSender<(Id, Error)>,
    /// The longest time in milliseconds from acceptance to outcome.
    slowest: Arc<AtomicU64>,
}

impl Load {
    /// Begins.
    pub fn start(kafka: &Kafka, options: &ProducerOptions, mix: &Mix, dice: &mut Dice) -> Load {
        let ledger = Arc::new(Ledger::default());
        let (stop, stopped) = watch::channel(false);
        let (counts, seen) = watch::channel(vec![Counts::default(); mix.partitions as usize]);
        let counts = Arc::new(counts);
        let (failed, failures) = mpsc::unbounded_channel();
        let slowest = Arc::new(AtomicU64::new(0));
        let outcomes = Notes {
            ledger: Arc::clone(&ledger),
            counts: Arc::clone(&counts),
            failed,
            slowest: Arc::clone(&slowest),
        };
        let (mut producers, mut tasks) = (Vec::new(), Vec::new());
        for number in 0..mix.tasks {
            if number % 2 == 0 {
                producers.push(kafka.producer(options.clone()).expect("valid options"));
            }
            let (notes, noted) = mpsc::channel(PENDING);
            let producer = producers.last().expect("one was just made").clone();
            let dice = Dice::seeded(dice.next());
            let (stop, mix, shared) = (stopped.clone(), mix.clone(), Arc::clone(&counts));
            let task = Task { number, mix, producer, dice, stop, counts: shared, notes };
            tasks.push(tokio::spawn(task.send()));
            tasks.push(tokio::spawn(outcomes.clone().note(noted)));
        }
        Load {
            kafka: kafka.clone(),
            topic: mix.topic.clone(),
            ledger,
            stop,
            counts: seen,
            failures,
            slowest,
            delivery_timeout: options.values().delivery_timeout,
            producers,
            tasks,
        }
    }

    /// What was sent, and what readers note.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Waits until more records of every partition are acknowledged than are on their way now, by `count`; fails the test
    /// after `limit`.
    pub async fn advance(&self, count: u64, limit: Duration) {
        let mut counts = self.counts.clone();
        let goal: Vec<u64> =
            counts.borrow().iter().map(|now| now.acknowledged + now.pending + count).collect();
        let reached =
            counts.wait_for(|now| now.iter().zip(&goal).all(|(now, goal)| now.acknowledged >= *goal));
        if tokio::time::timeout(limit, reached).await.is_err() {
            let (counts, cluster) = (self.counts.borrow(), self.kafka.client().cluster());
            let topic = cluster.topic(&self.topic);
            panic!("not all partitions advanced to {goal:?} within {limit:?}: {counts:?}, {topic:#?}");
        }
    }

    /// Sends no more, waits for every outcome, and gives back those that failed; fails the test after `limit`, or when an
    /// outcome was told after the producer's delivery timeout.
    pub async fn finish(mut self, limit: Duration) -> (Arc<Ledger>, Vec<(Id, Error)>) {
        self.stop.send_replace(true);
        let producers = self.producers.clone();
        let metrics = || producers.iter().map(Producer::metrics).collect::<Vec<_>>();
        let rest = async {
            for task in self.tasks {
                task.await.unwrap_or_else(|error| panic!("a sending task failed: {error}"));
            }
            for producer in self.producers {
                producer.close(limit).await.unwrap_or_else(|error| panic!("close: {error}"));
            }
        };
        if tokio::time::timeout(limit, rest).await.is_err() {
            let cluster = self.kafka.client().cluster();
            let (counts, topic, metrics) = (self.counts.borrow(), cluster.topic(&self.topic), metrics());
            panic!("sending the rest did not end within {limit:?}: {counts:?}, {metrics:#?}, {topic:#?}");
        }
        let slowest = Duration::from_millis(self.slowest.load(Ordering::Relaxed));
        let timeout = self.delivery_timeout;
        assert!(
            slowest <= timeout.saturating_add(SLACK),
            "a delivery timeout of {timeout:?}, told after {slowest:?}"
        );
        let mut failures = Vec::new();
        while let Ok(failure) = self.failures.try_recv() {
            failures.push(failure);
        }
        (self.ledger, failures)
    }
}

impl Task {
    async fn send(mut self) {
        let mut pace = tokio::time::interval(PACE);
        let mut sequence = 0;
        while !*self.stop.borrow() {
            pace.tick().await;
            for _ in 0..=self.dice.below(4) {
                let id = Id { producer: self.number, sequence };
                sequence += 1;
                let partition = self.dice.below(self.mix.partitions as u64) as i32;
                let value = id.payload(self.dice.below(self.mix.largest) as usize);
                let record = Record::new(&self.mix.topic).partition(partition).value(&value);
                let delivery = self.producer.send(record).await;
                let delivery = delivery.unwrap_or_else(|error| panic!("send: {error}"));
                let accepted = Instant::now();
                self.counts.send_modify(|counts| counts[partition as usize].pending += 1);
                let partition = TopicPartition { topic: self.mix.topic.as_str().into(), partition };
                let note = Note { id, partition, accepted, delivery };
                assert!(self.notes.send(note).await.is_ok(), "the notes are taken to the end");
            }
        }
    }
}

impl Notes {
    /// Outcomes are awaited in the order of acceptance, so none is noted later than its own or an earlier one's deadline.
    async fn note(self, mut noted: mpsc::Receiver<Note>) {
        while let Some(Note { id, partition, accepted, delivery }) = noted.recv().await {
            let delivery = delivery.await;
            self.slowest.fetch_max(accepted.elapsed().as_millis() as u64, Ordering::Relaxed);
            self.ledger.delivery(id, partition.clone(), &delivery);
            self.counts.send_modify(|counts| {
                let counts = &mut counts[partition.partition as usize];
                counts.pending -= 1;
                counts.acknowledged += u64::from(delivery.is_ok());
            });
            if let Err(error) = delivery {
                // The load may be gone by now.
                let _ = self.failed.send((id, error));
            }
        }
    }
}
