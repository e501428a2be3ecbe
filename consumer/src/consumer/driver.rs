//! The facade's clock, waits and tasks.

#![allow(clippy::disallowed_methods, reason = "a driver starts tasks and waits")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use ottla_client::{Error, ErrorKind};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::fetch::driver::{Shared, now};
use crate::group::Group;
use crate::turn::{self, Turn};

/// The runtime that the consumer was made in.
#[derive(Clone, Debug)]
pub(super) struct Runtime(Handle);

impl Runtime {
    pub(super) fn current() -> Result<Runtime, Error> {
        Handle::try_current().map(Runtime).map_err(|_| {
            Error::new(
                ErrorKind::Config,
                "no tokio runtime: create consumers inside `#[tokio::main]` or `Runtime::block_on`",
            )
        })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.0
    }

    /// Starts an operation here and now, and lets it go on in the background, whoever waits for it or not.
    ///
    /// Operations that take their turn when they are first polled do so in the order of these calls: left to the
    /// runtime, the second of two could begin first.
    pub(super) fn begin(&self, operation: impl Future<Output = Result<(), Error>> + Send + 'static) -> Begun {
        let mut operation = Box::pin(operation);
        let _guard = self.0.enter();
        match operation.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Begun::Done(Some(result)),
            Poll::Pending => Begun::Running(self.0.spawn(operation)),
        }
    }
}

/// An operation in the background; its future gives the result. Dropping it does not stop the operation.
#[derive(Debug)]
pub(crate) enum Begun {
    Done(Option<Result<(), Error>>),
    Running(JoinHandle<Result<(), Error>>),
}

impl Begun {
    /// The result, if it is there; for an operation that nobody waits for.
    pub(super) fn try_result(&mut self) -> Option<Result<(), Error>> {
        match Pin::new(self).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }
}

impl Future for Begun {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Begun::Done(result) => Poll::Ready(result.take().unwrap_or_else(|| Err(ended()))),
            Begun::Running(task) => {
                Pin::new(task).poll(cx).map(|joined| joined.unwrap_or_else(|_| Err(ended())))
            }
        }
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Closed, "the runtime ended while the operation was under way")
}

/// Says when `next` has to look after more than records, without a look at the clock for each: when its turn is over, or when
/// a task has set a flag, so long after [`Pace::restart`].
#[derive(Debug, Default)]
pub(super) struct Pace {
    turn: Turn,
    signal: Arc<Signal>,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Signal {
    is_due: AtomicBool,
    restarted: Notify,
}

impl Pace {
    /// Whether it is time.
    #[inline]
    pub(super) fn is_due(&mut self) -> bool {
        self.turn.is_over(now) || self.signal.is_due.load(Ordering::Relaxed)
    }

    /// Lets other tasks have their turn, if the reader has had its own.
    pub(super) async fn give_way(&mut self, now: Instant) {
        if self.turn.begin_next(now) {
            tokio::task::yield_now().await;
        }
    }

    /// The reader has waited, and others have had their turn.
    pub(super) fn waited(&mut self) {
        self.turn.waited();
    }

    /// The interval begins now.
    pub(super) fn restart(&mut self, runtime: &Runtime) {
        self.signal.is_due.store(false, Ordering::Relaxed);
        self.signal.restarted.notify_one();
        if self.task.is_none() {
            let signal = Arc::clone(&self.signal);
            self.task = Some(runtime.0.spawn(async move {
                loop {
                    signal.restarted.notified().await;
                    tokio::time::sleep(turn::LONGEST).await;
                    signal.is_due.store(true, Ordering::Relaxed);
                }
            }));
        }
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// The output of `work`, unless `end` comes first.
pub(super) async fn unless<T>(end: impl Future<Output = ()>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        output = work => Some(output),
        () = end => None,
    }
}

/// Waits until there may be news; false once `deadline` has passed.
pub(super) async fn wait(shared: &Shared, group: Option<&mut Group>, deadline: Option<Instant>) -> bool {
    let event = async {
        match group {
            // It stays until it is acknowledged; only that there is one matters here.
            Some(group) => drop(group.event().await),
            None => std::future::pending().await,
        }
    };
    let timer = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = shared.news.notified() => true,
        () = event => true,
        () = timer => false,
    }
}
