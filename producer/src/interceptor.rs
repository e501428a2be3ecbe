//! [`Interceptor`]: sees every record on its way out, and what became of it.
//!
//! Guarantee: each `on_send` is followed by exactly one `on_acknowledgement` with the same [`SendId`], on every
//! interceptor, however the record ends: acknowledged, refused at once, failed, expired, split with its batch, given up
//! at `close`, or dropped with the future of `send`.
//!
//! Sources: KIP-42 (producer and consumer interceptors).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ottla_client::Error;

use crate::acknowledge::isolated;
use crate::delivery::Delivered;
use crate::record::{Header, Record};

/// Looks at records, and may add headers to them.
///
/// Interceptors are given to [`ProducerBuilder::interceptor`](crate::ProducerBuilder::interceptor). With several, each
/// call goes to all of them in the order in which they were given, before the record's callback. A panic in one is
/// logged and ends there: the record, the others and the producer are not affected.
///
/// `on_send` runs on the task that sends, before the record takes room. `on_acknowledgement` runs on the producer's
/// task for records that were accepted, in the order of a partition's records, and on the task that sends for
/// others. Both should be quick: the producer waits for them.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use ottla_producer::{Acknowledgement, Interceptor, Sending};
///
/// #[derive(Default)]
/// struct Traced {
///     failures: AtomicU64,
/// }
///
/// impl Interceptor for Traced {
///     fn on_send(&self, sending: &mut Sending<'_>) {
///         if sending.header("trace").is_none() {
///             sending.add_header("trace", Some(&sending.id().number().to_be_bytes()));
///         }
///     }
///
///     fn on_acknowledgement(&self, acknowledgement: &Acknowledgement<'_>) {
///         if acknowledgement.outcome().is_err() {
///             self.failures.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait Interceptor: Send + Sync {
    /// A record is about to be sent.
    fn on_send(&self, sending: &mut Sending<'_>) {
        let _ = sending;
    }

    /// The outcome of a record that `on_send` saw.
    fn on_acknowledgement(&self, acknowledgement: &Acknowledgement<'_>) {
        let _ = acknowledgement;
    }
}

impl<I: Interceptor + ?Sized> Interceptor for Arc<I> {
    fn on_send(&self, sending: &mut Sending<'_>) {
        (**self).on_send(sending);
    }

    fn on_acknowledgement(&self, acknowledgement: &Acknowledgement<'_>) {
        (**self).on_acknowledgement(acknowledgement);
    }
}

/// Names one record of a producer, for as long as it is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendId(pub(crate) u64);

impl SendId {
    /// As a number, unique within the producer.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// A record that is about to be sent, as interceptors see it.
#[derive(Debug)]
pub struct Sending<'a> {
    id: SendId,
    record: &'a Record<'a>,
    added: &'a mut AddedHeaders,
}

impl Sending<'_> {
    /// The number by which the record's acknowledgement is known.
    pub fn id(&self) -> SendId {
        self.id
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        self.record.topic()
    }

    /// The partition, if the application chose one.
    pub fn chosen_partition(&self) -> Option<i32> {
        self.record.chosen_partition()
    }

    /// The timestamp in milliseconds since 1970, if the application chose one.
    pub fn timestamp(&self) -> Option<i64> {
        self.record.timestamp_ms()
    }

    /// The key.
    pub fn key(&self) -> Option<&[u8]> {
        self.record.key_bytes()
    }

    /// The value.
    pub fn value(&self) -> Option<&[u8]> {
        self.record.value_bytes()
    }

    /// The record's headers, and behind them those that interceptors added so far.
    pub fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        self.record.header_slice().iter().copied().chain(self.added.iter())
    }

    /// The last header of this name.
    pub fn header(&self, name: &str) -> Option<Header<'_>> {
        self.headers().filter(|header| header.key() == name).last()
    }

    /// Adds a header behind all others; it is copied. `None` is a header whose value is null.
    pub fn add_header(&mut self, name: &str, value: Option<&[u8]>) {
        self.added.push(name, value);
    }
}

/// What became of a record, as interceptors see it.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledgement<'a> {
    pub(crate) id: SendId,
    pub(crate) topic: &'a str,
    pub(crate) partition: Option<i32>,
    pub(crate) outcome: Result<&'a Delivered, &'a Error>,
}

impl<'a> Acknowledgement<'a> {
    /// The number that the record had in `on_send`.
    pub fn id(&self) -> SendId {
        self.id
    }

    /// The topic.
    pub fn topic(&self) -> &'a str {
        self.topic
    }

    /// The partition, if it was decided before the record failed.
    pub fn partition(&self) -> Option<i32> {
        self.partition
    }

    /// Where the record was written, or why it was not acknowledged.
    ///
    /// # Errors
    /// As those of [`Delivery`](crate::Delivery) and [`Producer::send`](crate::Producer::send); kind `Aborted` where the
    /// future of a send was dropped before the record was accepted.
    pub fn outcome(&self) -> Result<&'a Delivered, &'a Error> {
        self.outcome
    }
}

/// Headers that interceptors added to one record.
#[derive(Debug, Default)]
pub(crate) struct AddedHeaders {
    names: String,
    values: Vec<u8>,
    places: Vec<(Range<usize>, Option<Range<usize>>)>,
}

impl AddedHeaders {
    fn push(&mut self, name: &str, value: Option<&[u8]>) {
        let (name_at, value_at) = (self.names.len(), self.values.len());
        self.names.push_str(name);
        self.values.extend_from_slice(value.unwrap_or_default());
        self.places.push((name_at..self.names.len(), value.map(|_| value_at..self.values.len())));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Header<'_>> {
        self.places.iter().map(|(name, value)| match value {
            Some(value) => Header::new(&self.names[name.clone()], &self.values[value.clone()]),
            None => Header::null(&self.names[name.clone()]),
        })
    }
}

/// The interceptors of a producer.
#[derive(Default)]
pub(crate) struct Interceptors {
    all: Box<[Arc<dyn Interceptor>]>,
    next_id: AtomicU64,
}

impl fmt::Debug for Interceptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interceptors({})", self.all.len())
    }
}

impl Interceptors {
    pub(crate) fn new(all: Vec<Arc<dyn Interceptor>>) -> Self {
        Interceptors { all: all.into(), next_id: AtomicU64::new(0) }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Shows a record to all; its number, and what they added.
    pub(crate) fn on_send(&self, record: &Record<'_>) -> (Option<SendId>, AddedHeaders) {
        let mut added = AddedHeaders::default();
        if self.is_empty() {
            return (None, added);
        }
        let id = SendId(self.next_id.fetch_add(1, Ordering::Relaxed));
        for interceptor in &self.all {
            let before = added.places.len();
            let mut finished = false;
            isolated("an interceptor's `on_send`", || {
                interceptor.on_send(&mut Sending { id, record, added: &mut added });
                finished = true;
            });
            if !finished {
                added.places.truncate(before);
            }
        }
        (Some(id), added)
    }

    /// Shows an outcome to all.
    pub(crate) fn on_acknowledgement(&self, acknowledgement: &Acknowledgement<'_>) {
        for interceptor in &self.all {
            isolated("an interceptor's `on_acknowledgement`", || {
                interceptor.on_acknowledgement(acknowledgement);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Adds(&'static str, Option<&'static [u8]>);

    impl Interceptor for Adds {
        fn on_send(&self, sending: &mut Sending<'_>) {
            let seen = sending.headers().count().to_string();
            sending.add_header(self.0, self.1);
            sending.add_header("seen", Some(seen.as_bytes()));
            assert_ne!(self.0, "panics", "as it should");
        }
    }

    #[test]
    fn each_sees_what_those_before_it_added_and_a_panicking_one_adds_nothing() {
        let list: Vec<Arc<dyn Interceptor>> =
            vec![Arc::new(Adds("a", Some(b"1"))), Arc::new(Adds("panics", None)), Arc::new(Adds("b", None))];
        let own = [Header::new("own", "x")];
        let interceptors = Interceptors::new(list);
        let (id, added) = interceptors.on_send(&Record::new("t").headers(&own));
        let added: Vec<_> = added.iter().collect();
        let expected =
            [Header::new("a", "1"), Header::new("seen", "1"), Header::null("b"), Header::new("seen", "3")];
        assert_eq!((id, added), (Some(SendId(0)), expected.to_vec()));
        assert_eq!(interceptors.on_send(&Record::new("t")).0, Some(SendId(1)));
    }

    #[test]
    fn the_last_header_of_a_name_counts() {
        let mut added = AddedHeaders::default();
        added.push("a", Some(b"2"));
        let own = [Header::new("a", "1")];
        let record = Record::new("t").headers(&own);
        let sending = Sending { id: SendId(0), record: &record, added: &mut added };
        assert_eq!(sending.header("a"), Some(Header::new("a", "2")));
        assert_eq!(sending.header("b"), None);
    }
}
