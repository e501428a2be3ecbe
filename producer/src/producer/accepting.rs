//! [`Accepting`]: the future of [`Producer::send`].

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ottla_client::Error;

use super::Producer;
use crate::accumulator::Attempt;
use crate::delivery::Delivery;
use crate::record::Record;
use crate::runtime;

/// A record on its way into its batch, as [`Producer::send`] returns it.
///
/// Nearly every record is taken the first time that this is polled. So it is no `async fn`, which would move the record and
/// make room for a wait with every call: only a wait that takes place has a state of its own, on the heap.
#[must_use = "nothing is sent before this is awaited"]
pub struct Accepting<'a> {
    producer: &'a Producer,
    record: Record<'a>,
    state: State<'a>,
}

enum State<'a> {
    New,
    Waiting(Pin<Box<dyn Future<Output = Result<Delivery, Error>> + Send + 'a>>),
    Done,
}

impl<'a> Accepting<'a> {
    #[inline]
    pub(super) fn new(producer: &'a Producer, record: Record<'a>) -> Self {
        Accepting { producer, record, state: State::New }
    }

    /// Opens a batch for the record, or waits for what is missing.
    #[cold]
    #[inline(never)]
    fn begin(&mut self, timestamp: i64, cx: &mut Context<'_>) -> Poll<Result<Delivery, Error>> {
        let mut attempt = Attempt::default();
        match self.producer.append_slowly(&self.record, timestamp, &mut attempt) {
            Ok(delivery) => {
                self.state = State::Done;
                Poll::Ready(Ok(delivery))
            }
            Err(reason) => {
                let wait = self.producer.send_later(self.record, reason, attempt);
                self.state = State::Waiting(Box::pin(wait));
                self.poll_state(cx)
            }
        }
    }

    /// Goes on with a wait, or with a record that interceptors are to see, which is still new here.
    #[cold]
    #[inline(never)]
    fn poll_state(&mut self, cx: &mut Context<'_>) -> Poll<Result<Delivery, Error>> {
        if matches!(self.state, State::New) {
            self.state = State::Waiting(Box::pin(self.producer.send_attached(self.record, None)));
        }
        match &mut self.state {
            State::Waiting(wait) => {
                let outcome = ready!(wait.as_mut().poll(cx));
                self.state = State::Done;
                Poll::Ready(outcome)
            }
            State::New | State::Done => panic!("a send was polled after it had returned"),
        }
    }
}

impl Future for Accepting<'_> {
    type Output = Result<Delivery, Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if !matches!(this.state, State::New) || this.producer.is_intercepted() {
            return this.poll_state(cx);
        }
        let timestamp = this.record.timestamp_ms().unwrap_or_else(runtime::timestamp);
        match this.producer.append_quickly(&this.record, timestamp) {
            Some(place) => {
                this.state = State::Done;
                Poll::Ready(Ok(place.delivery(timestamp)))
            }
            None => this.begin(timestamp, cx),
        }
    }
}

impl fmt::Debug for Accepting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepting").field("topic", &self.record.topic()).finish_non_exhaustive()
    }
}
