//! A run of anybody's code: a cluster, faults, a clock of its own, and a verdict.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use ottla_mock::history::{Event, History, Limits, Violation};
use ottla_mock::{ClusterOptions, Mock, Release};
use tokio::sync::watch;

use crate::faults::{Act, Faults, Ground};
use crate::recorder::Recorder;
use crate::saboteur::sabotage;
use crate::world::{EPOCH_MS, World};

/// How long a run may take by its own clock.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// A run before it happens: a cluster in memory, faults, and how long things may take.
///
/// ```
/// use std::time::Duration;
/// use ottla_consumer::{Consumer, ConsumerOptions, Start, TopicPartition};
/// use ottla_mock::history::{ConsumerId, Event, RecordId};
/// use ottla_producer::{Producer, ProducerOptions, Record};
/// use ottla_sim::{Faults, Simulation};
/// use tokio::time::timeout;
///
/// let outcome = Simulation::new(7).topic("orders", 3).faults(Faults::default()).run(async |world| {
///     let recorder = world.recorder();
///     let producer = Producer::new(world.client()?, ProducerOptions::new())?;
///     let mut outcomes = Vec::new();
///     for sequence in 0..20 {
///         let id = RecordId { producer: 1, sequence };
///         let value = id.value(100);
///         match producer.send(Record::new("orders").value(&value).timestamp(world.now_ms())).await {
///             Ok(delivery) => outcomes.push(recorder.sent(id, delivery)),
///             Err(_) => recorder.note(Event::Refused { record: id }),
///         }
///     }
///     for outcome in outcomes {
///         // A failure is no violation, if it is said rightly whether the record may be in the log.
///         let _ = outcome.await;
///     }
///
///     let consumer = ConsumerId(1);
///     let topics = vec!["orders".into()];
///     recorder.note(Event::Opened { consumer, group: None, topics, committed_only: false });
///     let mut reader = Consumer::new(world.client()?, ConsumerOptions::new())?;
///     let mut partitions = Vec::new();
///     for place in world.places() {
///         partitions.push((TopicPartition::new(place.topic.clone(), place.partition), Start::Earliest));
///         recorder.note(Event::Assigned { consumer, place });
///     }
///     reader.assign(partitions)?;
///     while timeout(Duration::from_millis(1), world.drained()).await.is_err() {
///         for record in &reader.poll(Duration::from_secs(1)).await.unwrap_or_default() {
///             recorder.handed_out(consumer, record);
///         }
///     }
///     Ok::<(), ottla_client::Error>(())
/// });
/// assert!(outcome.is_good(), "{outcome}");
/// ```
///
/// Only what is noted is judged ([`ottla_mock::history`]): the values that are sent to the cluster's topics must be those of
/// [`RecordId::value`](ottla_mock::history::RecordId::value), which may be followed by anything.
#[derive(Debug, Clone)]
pub struct Simulation {
    seed: u64,
    brokers: i32,
    replication: Option<i16>,
    topics: Vec<(Arc<str>, i32)>,
    cluster: ClusterOptions,
    faults: Faults,
    acts: Vec<Act>,
    ground: Ground,
    limits: Limits,
    patience: Duration,
}

/// What a run came to. It prints as the violations, what was run, and the whole history.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What was run, where a seed alone decided that.
    pub plan: Option<Box<crate::Plan>>,
    /// What happened.
    pub history: History,
    /// What was wrong with it.
    pub violations: Vec<Violation>,
    /// What kept the run itself from being judged: code that failed or did not end, a log that cannot be read.
    pub failure: Option<String>,
}

impl Outcome {
    /// Whether nothing was wrong.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty() && self.failure.is_none()
    }
}

impl Simulation {
    /// Three brokers of the newest release, no topics, no faults. All chance follows from the seed.
    pub fn new(seed: u64) -> Simulation {
        Simulation {
            seed,
            brokers: 3,
            replication: None,
            topics: Vec::new(),
            cluster: ClusterOptions::new(),
            faults: Faults::none(),
            acts: Vec::new(),
            ground: Ground::default(),
            limits: Limits {
                outcome: Duration::from_secs(125),
                commit: Duration::from_secs(25),
                delivery: Duration::from_secs(120),
                expulsion: Duration::from_secs(60),
            },
            patience: PATIENCE,
        }
    }

    /// How many brokers there are. Default: 3.
    #[must_use]
    pub fn brokers(mut self, brokers: i32) -> Simulation {
        self.brokers = brokers;
        self
    }

    /// On how many brokers each partition is. Default: on three, or on all where there are fewer.
    #[must_use]
    pub fn replication(mut self, factor: i16) -> Simulation {
        self.replication = Some(factor);
        self
    }

    /// The release of Kafka to imitate. Default: the newest.
    #[must_use]
    pub fn release(mut self, release: Release) -> Simulation {
        self.cluster = self.cluster.release(release);
        self
    }

    /// How long followers take to copy, and what else the cluster's options have: topics, brokers, seed and clock are the
    /// simulation's.
    #[must_use]
    pub fn cluster(mut self, change: impl FnOnce(ClusterOptions) -> ClusterOptions) -> Simulation {
        self.cluster = change(self.cluster);
        self
    }

    /// A topic, whose records are judged.
    #[must_use]
    pub fn topic(mut self, name: impl Into<Arc<str>>, partitions: i32) -> Simulation {
        self.topics.push((name.into(), partitions));
        self
    }

    /// A group whose coordinator may move, and whose members may be given up.
    #[must_use]
    pub fn group(mut self, name: impl Into<String>) -> Simulation {
        self.ground.groups.push(name.into());
        self
    }

    /// A transactional id whose coordinator may move, and whose producer may be fenced.
    #[must_use]
    pub fn transactional_id(mut self, id: impl Into<String>) -> Simulation {
        self.ground.transactional_ids.push(id.into());
        self
    }

    /// What goes wrong. Default: nothing.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Simulation {
        self.faults = faults;
        self
    }

    /// Harm that is done for certain, beside the faults.
    #[must_use]
    pub fn acts(mut self, acts: impl IntoIterator<Item = Act>) -> Simulation {
        self.acts.extend(acts);
        self
    }

    /// How long things may take. Default: as fits [`World::client`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Simulation {
        self.limits = limits;
        self
    }

    /// How long the whole run may take by its own clock. Default: one hour.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Simulation {
        self.patience = patience;
        self
    }

    /// Runs code on a runtime of its own, on this thread, under a clock that jumps to whatever is next, and judges what was
    /// noted. An error that the code returns is the run's [`Outcome::failure`].
    ///
    /// The same seed and code give the same history where tokio is built with `--cfg tokio_unstable`, and the code takes
    /// chance from the seed alone and starts no threads but those of `spawn_blocking`. No task goes on in such a build while
    /// one of those is at work, so that it must not wait for any.
    ///
    /// In such a build, tasks that wake each other for ever at one instant are found, too; elsewhere they hang.
    ///
    /// # Panics
    /// Within a tokio runtime, or where the code panics.
    pub fn run<E: fmt::Display>(self, code: impl AsyncFnOnce(World) -> Result<(), E>) -> Outcome {
        // The clients' own chance: jitter of backoffs, which broker to ask first.
        fastrand::seed(self.seed);
        let mut builder = tokio::runtime::Builder::new_current_thread();
        #[cfg(tokio_unstable)]
        let gate = {
            let gate = crate::threads::Gate::default();
            gate.guard(&mut builder);
            let between = (still_clock(), gate.clone());
            // Without the seed, tokio itself draws lots: which branch of a `select!` comes first.
            builder
                .rng_seed(tokio::runtime::RngSeed::from_bytes(&self.seed.to_be_bytes()))
                .on_before_task_poll(move |_| {
                    between.0();
                    between.1.drain();
                });
            gate
        };
        let seed = self.seed;
        let runtime = match builder.enable_time().start_paused(true).build() {
            Ok(runtime) => runtime,
            Err(error) => return failed(seed, History::new(), format!("no runtime: {error}")),
        };
        // By the runtime's own clock.
        let recorder = {
            let _within = runtime.enter();
            Recorder::start()
        };
        let run = || runtime.block_on(self.course(recorder.clone(), code));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        #[cfg(tokio_unstable)]
        gate.open();
        outcome.unwrap_or_else(|cause| match cause.downcast::<&str>() {
            Ok(text) if *text == STILL => failed(seed, recorder.history(), STILL.to_owned()),
            Ok(text) => std::panic::resume_unwind(text),
            Err(cause) => std::panic::resume_unwind(cause),
        })
    }

    async fn course<E: fmt::Display>(
        self,
        recorder: Recorder,
        code: impl AsyncFnOnce(World) -> Result<(), E>,
    ) -> Outcome {
        let mock = match Mock::start(self.options()) {
            Ok(mock) => mock,
            Err(error) => return failed(self.seed, History::new(), error.to_string()),
        };
        let (calm, is_calm) = watch::channel(false);
        let topics = self.topics.iter().map(|(name, _)| Arc::clone(name)).collect();
        let world =
            World { mock, recorder: recorder.clone(), topics, replication: self.factor(), calm: is_calm };
        let mut acts = self.faults.draw(&mut Rng::with_seed(self.seed), &self.ground(&world));
        acts.extend(self.acts);
        acts.sort_by_key(|act| act.at);
        let harm = tokio::spawn(sabotage(world.clone(), acts, calm));
        let failure = match tokio::time::timeout(self.patience, code(world.clone())).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("the code did not end within {:?}", self.patience)),
        };
        harm.abort();
        recorder.note(Event::Finished);
        let mut history = recorder.history();
        for place in world.places() {
            match world.log(&place) {
                Some(Ok(log)) => history.keep(place, log),
                Some(Err(error)) => return failed(self.seed, history, error),
                None => {}
            }
        }
        let violations = history.check(&self.limits);
        Outcome { seed: self.seed, plan: None, history, violations, failure }
    }

    fn options(&self) -> ClusterOptions {
        let replication = self.factor();
        let options = self.cluster.clone().brokers(self.brokers).seed(self.seed).epoch_ms(EPOCH_MS);
        let options = options.config("auto.create.topics.enable", "false");
        self.topics
            .iter()
            .fold(options, |options, (topic, partitions)| options.topic(&**topic, *partitions, replication))
    }

    fn factor(&self) -> i16 {
        let all = i16::try_from(self.brokers).unwrap_or(i16::MAX);
        self.replication.unwrap_or(3).min(all)
    }

    fn ground(&self, world: &World) -> Ground {
        Ground {
            brokers: self.brokers,
            places: world.places(),
            lone_leaders: self.factor() == 1,
            ..self.ground.clone()
        }
    }
}

/// What a run fails with that comes to no end at one instant.
const STILL: &str = "the clock stands still: tasks wake each other without end";

/// Finds out that tasks wake each other for ever, in which case no timer ever fires.
#[cfg(tokio_unstable)]
fn still_clock() -> impl Fn() + Send + Sync + 'static {
    use std::sync::{Mutex, PoisonError};

    /// More steps than any run needs at one instant.
    const STEPS: u64 = 2_000_000;
    let seen = Mutex::new((tokio::time::Instant::now(), 0_u64));
    move || {
        let now = tokio::time::Instant::now();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = if seen.0 == now { (now, seen.1 + 1) } else { (now, 0) };
        let stands = seen.1 > STEPS;
        drop(seen);
        if stands {
            std::panic::panic_any(STILL);
        }
    }
}

fn failed(seed: u64, history: History, failure: String) -> Outcome {
    Outcome { seed, plan: None, history, violations: Vec::new(), failure: Some(failure) }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {} violations", self.seed, self.violations.len())?;
        if let Some(failure) = &self.failure {
            writeln!(f, "{failure}")?;
        }
        for violation in &self.violations {
            writeln!(f, "{violation}")?;
        }
        match &self.plan {
            Some(plan) => writeln!(f, "\n{plan:#?}\n")?,
            None => writeln!(f)?,
        }
        write!(f, "{}", self.history)
    }
}
