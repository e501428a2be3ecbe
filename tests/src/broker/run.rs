//! Running a test's body: runtime, deadline, names, chance.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ottla::protocol::error_code::ErrorCode;
use ottla::{Kafka, NewTopic};

/// How long a test, or one wait in it, may take: far more than any needs, so that only what hangs meets it.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Runs `test` on a runtime of its own; fails after [`DEADLINE`].
pub fn run(test: impl AsyncFnOnce()) {
    run_within(DEADLINE, test);
}

/// Runs `test` on a runtime of its own; fails after `limit`.
///
/// `RUST_LOG` in the environment shows what the crates log.
pub fn run_within(limit: Duration, test: impl AsyncFnOnce()) {
    static LOG: Once = Once::new();
    LOG.call_once(|| {
        if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_default_env() {
            let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(within(limit, "the test", test()));
    // What a test left behind must not keep the next from starting.
    runtime.shutdown_background();
}

/// Awaits `future`; fails the test when it takes longer than `limit`.
pub async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not end within {limit:?}"),
    }
}

/// `name` with an ending that no other test, process or call uses.
pub fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Creates a topic of a unique name and gives that back.
pub async fn topic(kafka: &Kafka, name: &str, partitions: i32) -> String {
    topic_with(kafka, name, |topic| topic.partitions(partitions)).await
}

/// Creates a topic of a unique name, with the settings that `change` makes, and gives the name back.
pub async fn topic_with(kafka: &Kafka, name: &str, change: impl FnOnce(NewTopic) -> NewTopic) -> String {
    let name = unique(name);
    match kafka.create_topic(change(NewTopic::new(&name))).await {
        Ok(()) => {}
        // Nobody else uses the name, so this very request created it: a broker sends it to the controller again when it
        // loses the controller before the answer, and that happens right after a node was harmed.
        Err(error) if error.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS) => {
            println!("{name} was created before its answer: {error}");
        }
        Err(error) => panic!("no topic: {error}"),
    }
    name
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_millis()).expect("a clock before the year 292,000,000")
}

/// Repeatable chance. Its seed is printed, which the test's output shows when it fails; `OTTLA_SEED` in the environment
/// sets it.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// A new seed, or that of the environment.
    pub fn new(what: &str) -> Dice {
        let given = std::env::var("OTTLA_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| now_ms() as u64 ^ (u64::from(std::process::id()) << 40));
        println!("{what}: OTTLA_SEED={seed}");
        Dice(seed)
    }

    /// A seed of the caller's choice.
    pub fn seeded(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Any number (SplitMix64).
    #[allow(clippy::should_implement_trait, reason = "dice are no collection and have no end")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is above 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// `len` bytes that no codec makes smaller.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}
