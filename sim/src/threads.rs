//! Work on threads, such as compression, as part of the seeded order.
//!
//! When a thread is done with something is up to the operating system. So threads work only between two steps of the
//! runtime, which waits for them: whatever a task gave away is done before the next task goes on, in the order in which it
//! was given away, and before the clock moves.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

/// Decides when the threads of a runtime work. Clones are handles of the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    /// Makes this the gate of the runtime's threads, of which there is one at a time. Somebody has to [drain](Gate::drain)
    /// it between two steps, too.
    pub(crate) fn guard(&self, builder: &mut Builder) {
        let (entrance, exit, end) = (self.clone(), self.clone(), self.clone());
        builder
            .max_blocking_threads(1)
            // A thread ends as soon as it has nothing to do, so that the next one begins at the gate.
            .thread_keep_alive(Duration::ZERO)
            .on_thread_start(move || entrance.pass())
            .on_thread_stop(move || exit.left())
            .on_thread_park(move || end.drain());
    }

    /// Lets threads do all that there is for them, and waits for that. Within the runtime.
    pub(crate) fn drain(&self) {
        let metrics = Handle::current().metrics();
        if metrics.num_blocking_threads() == 0 {
            return;
        }
        let mut is_open = self.lock();
        *is_open = true;
        self.0.changed.notify_all();
        while metrics.num_blocking_threads() > 0 {
            is_open = self.0.changed.wait(is_open).unwrap_or_else(PoisonError::into_inner);
        }
        *is_open = false;
    }

    /// Lets threads work whenever they want to, from now on.
    pub(crate) fn open(&self) {
        *self.lock() = true;
        self.0.changed.notify_all();
    }

    fn pass(&self) {
        let mut is_open = self.lock();
        while !*is_open {
            is_open = self.0.changed.wait(is_open).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn left(&self) {
        let _unchanged = self.lock();
        self.0.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.is_open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
