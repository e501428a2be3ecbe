//! Clock, chance and tasks, for the driver and the facade.

#![allow(clippy::disallowed_methods, reason = "the one place that gives clock, chance and tasks to drivers")]

use std::future::Future;
use std::time::Instant;

use ottla_client::{Error, ErrorKind};
use tokio::runtime::Handle;
use tokio::time::Instant as Clock;

/// Now, by the runtime's clock, which tests can pause.
pub(crate) fn now() -> Instant {
    Clock::now().into_std()
}

/// Milliseconds since 1970, perhaps as of the system's last tick.
///
/// It is asked for with every record. Reading the exact clock takes longer than encoding a record of 100 bytes, and
/// nothing cheaper would say how old a reading is; the clock of the last tick takes a few nanoseconds.
#[cfg(target_os = "linux")]
pub(crate) fn timestamp() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
}

/// Milliseconds since 1970.
#[cfg(not(target_os = "linux"))]
pub(crate) fn timestamp() -> i64 {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as i64
}

/// A number from 0 to 1.
pub(crate) fn random() -> f64 {
    fastrand::f64()
}

/// A seed for one choice.
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

/// As [`until`]; outside of a runtime, where there are no timers, without a deadline.
pub(crate) async fn until_if_timed<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    match Handle::try_current() {
        Ok(_) => until(deadline, future).await,
        Err(_) => Some(future.await),
    }
}

/// The runtime that the caller runs in.
pub(crate) fn current() -> Result<Handle, Error> {
    Handle::try_current().map_err(|_| {
        Error::new(
            ErrorKind::Config,
            "no tokio runtime: create producers inside `#[tokio::main]` or `Runtime::block_on`",
        )
    })
}
