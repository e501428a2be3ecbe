//! [`TypedProducer`]: sends values instead of bytes.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use ottla_client::serialize::{SerializeError, Serializer};
use ottla_client::{Error, ErrorKind};

use crate::acknowledge::isolated;
use crate::delivery::{Delivered, Delivery};
use crate::producer::Producer;
use crate::record::{Header, Record};

impl Producer {
    /// This producer for keys of type `K` and values of type `V`. Both share everything; there may be many.
    ///
    /// ```no_run
    /// # async fn run(producer: ottla_producer::Producer) -> Result<(), ottla_client::Error> {
    /// use ottla_producer::serialize::{BigEndian, Text};
    /// use ottla_producer::{TypedProducer, TypedRecord};
    ///
    /// let readings: TypedProducer<str, f64> = producer.typed(Text, BigEndian);
    /// readings.send(TypedRecord::new("temperatures").key("cellar").value(&11.5)).await?.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn typed<K: ?Sized, V: ?Sized>(
        &self,
        key: impl Serializer<K> + 'static,
        value: impl Serializer<V> + 'static,
    ) -> TypedProducer<K, V> {
        TypedProducer { producer: self.clone(), key: Arc::new(key), value: Arc::new(value) }
    }
}

/// A [`Producer`] that serializes keys and values itself; made by [`Producer::typed`].
///
/// A key or value that its serializer refuses fails its record with kind `Serialization` before the record takes room, and
/// nothing else. Interceptors see records as bytes, and those that can't be serialized not at all. Serializers write
/// into a buffer that is reused: nothing is allocated per record.
pub struct TypedProducer<K: ?Sized, V: ?Sized> {
    producer: Producer,
    key: Arc<dyn Serializer<K>>,
    value: Arc<dyn Serializer<V>>,
}

impl<K: ?Sized, V: ?Sized> Clone for TypedProducer<K, V> {
    fn clone(&self) -> Self {
        TypedProducer {
            producer: self.producer.clone(),
            key: Arc::clone(&self.key),
            value: Arc::clone(&self.value),
        }
    }
}

impl<K: ?Sized, V: ?Sized> fmt::Debug for TypedProducer<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedProducer").field("producer", &self.producer).finish_non_exhaustive()
    }
}

/// A record whose key and value are not bytes yet. It borrows everything.
pub struct TypedRecord<'a, K: ?Sized, V: ?Sized> {
    topic: &'a str,
    partition: Option<i32>,
    timestamp: Option<i64>,
    key: Option<&'a K>,
    value: Option<&'a V>,
    headers: &'a [Header<'a>],
}

impl<K: ?Sized, V: ?Sized> Clone for TypedRecord<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: ?Sized, V: ?Sized> Copy for TypedRecord<'_, K, V> {}

impl<K: ?Sized, V: ?Sized> fmt::Debug for TypedRecord<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedRecord")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

impl<'a, K: ?Sized, V: ?Sized> TypedRecord<'a, K, V> {
    /// A record for `topic`, so far with neither key nor value.
    pub const fn new(topic: &'a str) -> Self {
        TypedRecord { topic, partition: None, timestamp: None, key: None, value: None, headers: &[] }
    }

    /// Sets the partition; without it the partitioner chooses.
    #[must_use]
    pub const fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets the timestamp in milliseconds since 1970; without it the record gets the time of `send`.
    #[must_use]
    pub const fn timestamp(mut self, milliseconds: i64) -> Self {
        self.timestamp = Some(milliseconds);
        self
    }

    /// Sets the key.
    #[must_use]
    pub const fn key(mut self, key: &'a K) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets the value. A record without one is a tombstone in a compacted topic.
    #[must_use]
    pub const fn value(mut self, value: &'a V) -> Self {
        self.value = Some(value);
        self
    }

    /// Sets the headers.
    #[must_use]
    pub const fn headers(mut self, headers: &'a [Header<'a>]) -> Self {
        self.headers = headers;
        self
    }

    /// The topic's name.
    pub const fn topic(&self) -> &'a str {
        self.topic
    }
}

/// A record that [`TypedProducer::try_send`] didn't take, and why.
#[derive(thiserror::Error)]
#[error("{error}")]
pub struct TypedTrySendError<'a, K: ?Sized, V: ?Sized> {
    /// The record, as it was given.
    pub record: TypedRecord<'a, K, V>,
    /// As that of [`TrySendError`](crate::TrySendError), or of kind `Serialization`.
    #[source]
    pub error: Error,
}

impl<K: ?Sized, V: ?Sized> fmt::Debug for TypedTrySendError<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TypedTrySendError { record, error } = self;
        f.debug_struct("TypedTrySendError").field("record", record).field("error", error).finish()
    }
}

impl<K: ?Sized, V: ?Sized> TypedProducer<K, V> {
    /// As [`Producer::send`].
    ///
    /// # Errors
    /// Kind `Serialization` for a key or value that has no bytes, and those of [`Producer::send`]. The record is nowhere
    /// then.
    ///
    /// # Cancel safety
    /// As [`Producer::send`].
    pub async fn send(&self, record: TypedRecord<'_, K, V>) -> Result<Delivery, Error> {
        let written = self.serialize(&record)?;
        self.producer.send(written.record(&record)).await
    }

    /// As [`Producer::send_with`]; the callback is also told that the key or value has no bytes.
    ///
    /// # Cancel safety
    /// As [`Producer::send_with`].
    pub async fn send_with(
        &self,
        record: TypedRecord<'_, K, V>,
        callback: impl FnOnce(Result<Delivered, Error>) + Send + 'static,
    ) {
        match self.serialize(&record) {
            Ok(written) => self.producer.send_with(written.record(&record), callback).await,
            Err(error) => isolated("a callback of a record", || callback(Err(error))),
        }
    }

    /// As [`Producer::try_send`].
    ///
    /// # Errors
    /// The record, and why it was not taken.
    pub fn try_send<'a>(
        &self,
        record: TypedRecord<'a, K, V>,
    ) -> Result<Delivery, TypedTrySendError<'a, K, V>> {
        let sent = self.serialize(&record).and_then(|written| {
            self.producer.try_send(written.record(&record)).map_err(|refused| refused.error)
        });
        sent.map_err(|error| TypedTrySendError { record, error })
    }

    /// The producer underneath, to flush and close it.
    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    fn serialize(&self, record: &TypedRecord<'_, K, V>) -> Result<Written, Error> {
        let topic = record.topic;
        let mut written = Written { buffer: SCRATCH.take(), key: None, value: None };
        written.buffer.clear();
        let failed = |what: &str, error: SerializeError| {
            let message = format!("cannot serialize the {what} of a record for topic {topic}");
            Error::new(ErrorKind::Serialization, message).with_cause(error)
        };
        if let Some(key) = record.key.filter(|key| !self.key.is_null(key)) {
            self.key.serialize(topic, key, &mut written.buffer).map_err(|error| failed("key", error))?;
            written.key = Some(written.buffer.len());
        }
        if let Some(value) = record.value.filter(|value| !self.value.is_null(value)) {
            self.value
                .serialize(topic, value, &mut written.buffer)
                .map_err(|error| failed("value", error))?;
            written.value = Some(written.buffer.len());
        }
        Ok(written)
    }
}

thread_local! {
    /// The buffer for the next record that is serialized on this thread.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A larger buffer is not kept.
const KEPT: usize = 64 << 10;

/// A key and a value as bytes, one behind the other.
#[derive(Debug)]
struct Written {
    buffer: Vec<u8>,
    /// Where the key ends, if there is one; and the value.
    key: Option<usize>,
    value: Option<usize>,
}

impl Written {
    fn record<'w, K: ?Sized, V: ?Sized>(&'w self, typed: &TypedRecord<'w, K, V>) -> Record<'w> {
        let mut record = Record::new(typed.topic)
            .maybe_key(self.key.map(|end| &self.buffer[..end]))
            .maybe_value(self.value.map(|end| &self.buffer[self.key.unwrap_or(0)..end]))
            .headers(typed.headers);
        if let Some(partition) = typed.partition {
            record = record.partition(partition);
        }
        if let Some(timestamp) = typed.timestamp {
            record = record.timestamp(timestamp);
        }
        record
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        if buffer.capacity() <= KEPT {
            // A thread that ends has no use for it.
            let _ = SCRATCH.try_with(|scratch| scratch.set(buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_kept_for_the_next_record_unless_they_are_large() {
        let kept = |capacity| {
            drop(Written { buffer: Vec::with_capacity(capacity), key: None, value: None });
            SCRATCH.take().capacity()
        };
        assert_eq!((kept(KEPT), kept(KEPT + 1)), (KEPT, 0));
    }

    #[test]
    fn key_and_value_are_told_apart_and_from_null() {
        let record = |key, value| {
            let written = Written { buffer: b"kv".to_vec(), key, value };
            let typed = TypedRecord::<str, str>::new("t").partition(1).timestamp(5);
            let record = written.record(&typed);
            let bytes = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            assert_eq!((record.chosen_partition(), record.timestamp_ms()), (Some(1), Some(5)));
            (bytes(record.key_bytes()), bytes(record.value_bytes()))
        };
        let some = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(record(Some(1), Some(2)), (some("k"), some("v")));
        assert_eq!(record(Some(1), Some(1)), (some("k"), some("")));
        assert_eq!(record(Some(0), None), (some(""), None));
        assert_eq!(record(None, Some(2)), (None, some("kv")));
    }
}
