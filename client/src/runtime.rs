//! The clock, chance and tasks, for the drivers of this crate.

#![allow(clippy::disallowed_methods, reason = "the one place that drivers get clock, chance and tasks from")]

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::Instant as Clock;

use crate::error::{Error, ErrorKind};

/// Now, by the runtime's clock, which tests can pause.
pub(crate) fn now() -> Instant {
    Clock::now().into_std()
}

/// A number from 0 to 1.
pub(crate) fn random() -> f64 {
    fastrand::f64()
}

/// A seed for one order or choice.
pub(crate) fn seed() -> u64 {
    fastrand::u64(..)
}

/// Waits until `at`.
pub(crate) async fn sleep_until(at: Instant) {
    tokio::time::sleep_until(Clock::from_std(at)).await;
}

/// The output of `future`, unless `deadline` passes first.
pub(crate) async fn until<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    tokio::time::timeout_at(Clock::from_std(deadline), future).await.ok()
}

/// The runtime that the caller runs in.
pub(crate) fn current() -> Result<tokio::runtime::Handle, Error> {
    tokio::runtime::Handle::try_current().map_err(|_| {
        Error::new(
            ErrorKind::Config,
            "no tokio runtime: create clients inside `#[tokio::main]` or `Runtime::block_on`",
        )
    })
}

/// Starts a task that ends by itself.
pub(crate) fn detach(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

/// A value that a task changes and others watch.
pub(crate) type Watched<T> = tokio::sync::watch::Receiver<T>;

/// A task that ends with its owner.
#[derive(Debug)]
pub(crate) struct OwnedTask(JoinHandle<()>);

impl OwnedTask {
    /// Starts a task.
    pub(crate) fn spawn(
        runtime: &tokio::runtime::Handle,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        OwnedTask(runtime.spawn(task))
    }
}

impl Drop for OwnedTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How long a wait was, for messages: whole seconds or milliseconds.
pub(crate) fn spoken(duration: Duration) -> String {
    match duration.as_millis() {
        // A timer fires a little late.
        millis if millis >= 1000 && millis % 1000 < 10 => format!("{} s", millis / 1000),
        millis => format!("{millis} ms"),
    }
}
