//! [`Shutdown`]: one handle that stops many consumers, and waits until they are gone.
//!
//! Guarantees: whoever waits in a consumer attached to it hears of it at once, records or not; a consumer counts as gone
//! only when it was dropped, which for a closed one is after it left its group.

#![allow(clippy::disallowed_methods, reason = "a driver reads the clock and waits for signals")]

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use ottla_client::{Error, ErrorKind};
use tokio::sync::watch;
use tokio::time::Instant as Clock;

use crate::fetch::driver::Shared;

/// Stops consumers: those that [`Consumer::stop_with`](crate::Consumer::stop_with) or
/// [`Consumer::run`](crate::Consumer::run) attached to it. Clones are the same shutdown.
///
/// ```no_run
/// # async fn run(mut consumer: ottla_consumer::Consumer) -> Result<(), ottla_client::Error> {
/// use std::time::Duration;
/// use ottla_client::ErrorKind;
/// use ottla_consumer::Shutdown;
///
/// let shutdown = Shutdown::new();
/// let elsewhere = shutdown.clone(); // `elsewhere.trigger()` stops the loop.
///
/// consumer.stop_with(&shutdown);
/// loop {
///     match consumer.next().await {
///         Ok(record) => println!("{record:?}"),
///         Err(error) if error.kind() == ErrorKind::Shutdown => break,
///         Err(error) => return Err(error),
///     }
/// }
/// consumer.close(Duration::from_secs(10)).await
/// # }
/// ```
#[derive(Clone)]
pub struct Shutdown {
    inner: Arc<Inner>,
}

struct Inner {
    /// When it was triggered.
    triggered: watch::Sender<Option<Instant>>,
    /// How many are attached.
    attached: watch::Sender<usize>,
    /// The consumers to wake.
    sleepers: Mutex<Vec<Weak<Shared>>>,
}

impl Shutdown {
    /// A shutdown that only [`Shutdown::trigger`] triggers.
    pub fn new() -> Shutdown {
        Shutdown {
            inner: Arc::new(Inner {
                triggered: watch::Sender::new(None),
                attached: watch::Sender::new(0),
                sleepers: Mutex::default(),
            }),
        }
    }

    /// A shutdown that Ctrl-C triggers and, on Unix, SIGTERM. From then on these signals do nothing else in this process,
    /// not even the second time.
    ///
    /// # Errors
    /// Kind `Config` outside of a tokio runtime; `InvalidState` if the system does not let signals be caught.
    #[cfg(feature = "signal")]
    pub fn on_signals() -> Result<Shutdown, Error> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
            Error::new(ErrorKind::Config, "no tokio runtime: call `Shutdown::on_signals` inside of one")
        })?;
        let shutdown = Shutdown::new();
        let refused = |cause| Error::new(ErrorKind::InvalidState, "cannot catch signals").with_cause(cause);
        let signals = Signals::caught().map_err(refused)?;
        let triggers = shutdown.clone();
        runtime.spawn(async move {
            signals.any().await;
            tracing::info!("a signal asks the consumers to stop");
            triggers.trigger();
        });
        Ok(shutdown)
    }

    /// Asks everybody who is attached to stop. Once is enough.
    pub fn trigger(&self) {
        let now = Clock::now().into_std();
        self.inner.triggered.send_if_modified(|triggered| {
            let first = triggered.is_none();
            triggered.get_or_insert(now);
            first
        });
        let sleepers = std::mem::take(&mut *self.sleepers());
        for sleeper in sleepers.iter().filter_map(Weak::upgrade) {
            sleeper.news.notify_one();
        }
    }

    /// Whether it was triggered.
    pub fn is_triggered(&self) -> bool {
        self.triggered_at().is_some()
    }

    /// Waits until it is triggered.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn triggered(&self) {
        // The sender lives as long as `self`.
        let _ = self.inner.triggered.subscribe().wait_for(Option::is_some).await;
    }

    /// Has [`Shutdown::finished`] wait for somebody else than a consumer, until the value is dropped.
    pub fn attach(&self) -> Attached {
        self.inner.attached.send_modify(|attached| *attached += 1);
        Attached { shutdown: self.clone() }
    }

    /// How many are attached: consumers that are not closed or dropped yet, and others.
    pub fn attached(&self) -> usize {
        *self.inner.attached.borrow()
    }

    /// Waits until all who are attached are gone. Trigger it first.
    ///
    /// # Errors
    /// Kind `Timeout` if some are still there after `deadline`.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn finished(&self, deadline: Duration) -> Result<(), Error> {
        let mut attached = self.inner.attached.subscribe();
        let gone = attached.wait_for(|attached| *attached == 0);
        match tokio::time::timeout(deadline, gone).await {
            Ok(_) => Ok(()),
            Err(_) => {
                let message = format!(
                    "{} of those that were asked to stop have not done so within {} ms",
                    self.attached(),
                    deadline.as_millis()
                );
                Err(Error::new(ErrorKind::Timeout, message))
            }
        }
    }

    pub(crate) fn triggered_at(&self) -> Option<Instant> {
        *self.inner.triggered.borrow()
    }

    /// Attaches a consumer, which is woken by the trigger.
    pub(crate) fn attach_consumer(&self, shared: &Arc<Shared>) -> Attached {
        {
            let mut sleepers = self.sleepers();
            sleepers.retain(|sleeper| sleeper.strong_count() > 0);
            sleepers.push(Arc::downgrade(shared));
        }
        if self.is_triggered() {
            shared.news.notify_one();
        }
        self.attach()
    }

    fn sleepers(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Shared>>> {
        // Each change is a single call, so a panic leaves nothing half done.
        self.inner.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown::new()
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("triggered", &self.is_triggered())
            .field("attached", &self.attached())
            .finish()
    }
}

/// Keeps [`Shutdown::finished`] waiting until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it says that all is done"]
pub struct Attached {
    shutdown: Shutdown,
}

impl Attached {
    /// What it is attached to.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.shutdown.inner.attached.send_modify(|attached| *attached -= 1);
    }
}

/// The signals that ask a process to end, caught from the moment on at which this is made.
#[cfg(all(feature = "signal", unix))]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(all(feature = "signal", unix))]
impl Signals {
    fn caught() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    async fn any(mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

#[cfg(all(feature = "signal", windows))]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(all(feature = "signal", windows))]
impl Signals {
    fn caught() -> std::io::Result<Signals> {
        tokio::signal::windows::ctrl_c().map(Signals)
    }

    async fn any(mut self) {
        self.0.recv().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_finished_when_everybody_is_gone_and_says_how_many_are_not() {
        let shutdown = Shutdown::new();
        let (one, other) = (shutdown.attach(), shutdown.attach());
        assert!(!shutdown.is_triggered());
        shutdown.trigger();
        shutdown.clone().triggered().await;
        drop(one);
        let late = shutdown.finished(Duration::from_secs(3)).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Timeout);
        assert!(late.to_string().starts_with("1 of those"), "{late}");
        drop(other);
        shutdown.finished(Duration::ZERO).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_trigger_counts() {
        let shutdown = Shutdown::new();
        shutdown.trigger();
        let first = shutdown.triggered_at();
        tokio::time::advance(Duration::from_secs(1)).await;
        shutdown.trigger();
        assert_eq!(shutdown.triggered_at(), first);
    }
}
