//! The clients: each one sends a range of records and comes back when all of them are acknowledged.

mod krafka;
mod ottla;
mod raw;
mod rdkafka;
mod rskafka;

use crate::Failure;
use crate::load::Load;
use crate::settings::Settings;

/// A client that is ready to send.
pub trait Peer {
    /// Its settings, in words.
    fn settings(&self) -> String;

    /// Sends `count` records and waits until all are acknowledged. Gives back how many it were, as `raw` sends whole
    /// batches.
    ///
    /// # Errors
    /// When a record isn't acknowledged.
    fn produce(&self, first: u64, count: u64) -> Result<u64, Failure>;

    /// Sends each of `count` records after the answer to the one before; how many nanoseconds each took.
    ///
    /// # Errors
    /// When a record isn't acknowledged.
    fn produce_awaiting(&self, first: u64, count: u64) -> Result<Vec<u64>, Failure>;
}

/// Makes the client that the settings name.
///
/// # Errors
/// When there is none of that name, or it can't do what is asked.
pub fn start(settings: &Settings, load: Load) -> Result<Box<dyn Peer>, Failure> {
    let settings = settings.clone();
    Ok(match settings.peer.as_str() {
        "ottla" => Box::new(ottla::Ottla::start(settings, load, ottla::Outcomes::Flush)?),
        "ottla-each" => Box::new(ottla::Ottla::start(settings, load, ottla::Outcomes::Each)?),
        "ottla-all" => Box::new(ottla::Ottla::start(settings, load, ottla::Outcomes::FlushAll)?),
        "rdkafka" => Box::new(rdkafka::Callbacks::start(settings, load)?),
        "rdkafka-future" => Box::new(rdkafka::Futures::start(settings, load)?),
        "krafka" => Box::new(krafka::Krafka::start(settings, load)?),
        "rskafka" => Box::new(rskafka::Rskafka::start(settings, load)?),
        "raw" => Box::new(raw::Raw::start(settings, load, raw::Batches::Beforehand)?),
        "encode" => Box::new(raw::Raw::start(settings, load, raw::Batches::Anew)?),
        other => return Err(format!("no peer {other} here").into()),
    })
}

/// Runs a task for each share of the records, all at once, and gathers what they give.
fn on_tasks<T, F>(
    runtime: &tokio::runtime::Runtime,
    settings: &Settings,
    first: u64,
    count: u64,
    task: impl Fn(std::ops::Range<u64>) -> F,
) -> Result<Vec<T>, Failure>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failure>> + Send + 'static,
{
    let tasks: Vec<_> =
        (0..settings.tasks).map(|at| runtime.spawn(task(settings.share(at, first, count)))).collect();
    runtime.block_on(async {
        let mut done = Vec::with_capacity(tasks.len());
        for task in tasks {
            done.push(task.await??);
        }
        Ok(done)
    })
}
