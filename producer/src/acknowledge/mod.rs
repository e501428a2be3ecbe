//! What an application attached to its records (callbacks, interceptors), from `send` to the acknowledgement.
//!
//! ```text
//!  Unaccepted ──append──▶ Attached (in the batch's Teller) ──tell──▶ Outbox ──the producer's task──▶ application
//!      └────────────────── failed or dropped ──────────────────────────▶ application, at once
//! ```
//!
//! Guarantees: what was attached to a record is called exactly once, whatever becomes of the record; never under a lock;
//! for accepted records of one partition in the order of the records, even where their outcomes are known in another
//! one; a call that panics is caught, and concerns nobody else. A record without anything attached costs nothing, a batch
//! of such records one null pointer.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ottla_client::{Error, ErrorKind};

use crate::delivery::Delivered;
use crate::interceptor::{Acknowledgement, SendId};
pub(crate) use attached::Attached;
pub(crate) use outbox::{Lineup, Outbox};

mod attached;
mod outbox;

/// What becomes of a record, told to a function instead of a future.
pub type Callback = Box<dyn FnOnce(Result<Delivered, Error>) + Send>;

/// What was attached to one record.
#[derive(Default)]
pub(crate) struct Attachment {
    callback: Option<Callback>,
    /// Set where interceptors saw the record.
    id: Option<SendId>,
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("callback", &self.callback.is_some())
            .field("id", &self.id)
            .finish()
    }
}

impl Attachment {
    /// Tells everybody who is attached.
    fn tell(self, outbox: &Outbox, topic: &str, partition: Option<i32>, outcome: Result<Delivered, Error>) {
        if let Some(id) = self.id {
            let acknowledgement = Acknowledgement { id, topic, partition, outcome: outcome.as_ref() };
            outbox.interceptors().on_acknowledgement(&acknowledgement);
        }
        if let Some(callback) = self.callback {
            isolated("a callback of a record", || callback(outcome));
        }
    }
}

/// Calls something of the application's. Its panic is logged and ends here.
pub(crate) fn isolated(what: &'static str, call: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        tracing::error!(panic = text.unwrap_or("?"), "{what} panicked");
    }
}

/// A record that has something attached and is in no batch yet. Dropped in that state, it tells so.
#[derive(Debug)]
pub(crate) struct Unaccepted<'a> {
    outbox: &'a Arc<Outbox>,
    topic: &'a str,
    partition: Option<i32>,
    attachment: Option<Attachment>,
}

impl<'a> Unaccepted<'a> {
    pub(crate) fn new(
        outbox: &'a Arc<Outbox>,
        topic: &'a str,
        partition: Option<i32>,
        id: Option<SendId>,
        callback: Option<Callback>,
    ) -> Self {
        let attachment = (id.is_some() || callback.is_some()).then_some(Attachment { callback, id });
        if attachment.is_some() {
            outbox.note_use();
        }
        Unaccepted { outbox, topic, partition, attachment }
    }

    /// What to give to the batch that takes the record.
    pub(crate) fn attach(&mut self) -> Attach<'_> {
        Attach { outbox: self.outbox, slot: &mut self.attachment }
    }

    /// Takes the callback back, which then is not called.
    pub(crate) fn take_callback(&mut self) -> Option<Callback> {
        self.attachment.as_mut()?.callback.take()
    }

    /// The record was not accepted.
    pub(crate) fn failed(&mut self, error: &Error) {
        if let Some(attachment) = self.attachment.take() {
            attachment.tell(self.outbox, self.topic, self.partition, Err(error.clone()));
        }
    }
}

impl Drop for Unaccepted<'_> {
    fn drop(&mut self) {
        if self.attachment.is_some() {
            let message = format!("a send to topic {} was dropped before it accepted the record", self.topic);
            self.failed(&Error::new(ErrorKind::Aborted, message));
        }
    }
}

/// An attachment on its way into a batch. Whoever takes the record takes it out of the slot.
#[derive(Debug)]
pub(crate) struct Attach<'a> {
    pub(crate) outbox: &'a Arc<Outbox>,
    pub(crate) slot: &'a mut Option<Attachment>,
}

#[cfg(test)]
mod tests;
