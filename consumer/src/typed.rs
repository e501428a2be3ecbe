//! Records as values instead of bytes.
//!
//! Guarantee: a record that cannot be read is an item like any other, with the record and the reason; reading goes on
//! behind it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use ottla_client::deserialize::{DeserializeError, Deserializer};
use ottla_client::{Error, ErrorKind};

use crate::consumer::{Consumer, RecordStream};
use crate::record::Record;

/// Reads records as keys of type `K` and values of type `V`, wherever they come from: a consumer, a
/// [`PartitionStream`](crate::PartitionStream), a [`Scan`](crate::Scan).
pub struct Decoder<K, V> {
    key: Arc<dyn Deserializer<K>>,
    value: Arc<dyn Deserializer<V>>,
}

impl<K, V> Decoder<K, V> {
    /// Reads keys by `key` and values by `value`.
    pub fn new(key: impl Deserializer<K> + 'static, value: impl Deserializer<V> + 'static) -> Decoder<K, V> {
        Decoder { key: Arc::new(key), value: Arc::new(value) }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// The record, with what is wrong with its key or value.
    pub fn decode(&self, record: Record) -> Result<TypedRecord<K, V>, BadRecord> {
        let key = match read(&*self.key, record.topic(), record.key()) {
            Ok(key) => key,
            Err(error) => return Err(BadRecord { record: Box::new(record), part: Part::Key, error }),
        };
        let value = match read(&*self.value, record.topic(), record.value()) {
            Ok(value) => value,
            Err(error) => return Err(BadRecord { record: Box::new(record), part: Part::Value, error }),
        };
        Ok(TypedRecord { key, value, record })
    }
}

impl<K, V> Clone for Decoder<K, V> {
    fn clone(&self) -> Self {
        Decoder { key: Arc::clone(&self.key), value: Arc::clone(&self.value) }
    }
}

impl<K, V> fmt::Debug for Decoder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

fn read<T>(
    deserializer: &dyn Deserializer<T>,
    topic: &str,
    data: Option<&[u8]>,
) -> Result<T, DeserializeError> {
    match data {
        Some(data) => deserializer.deserialize(topic, data),
        None => deserializer.absent(topic),
    }
}

/// A record whose key and value were read.
#[derive(Clone, Debug)]
pub struct TypedRecord<K, V> {
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
    /// The record as it came: its topic, offset, timestamp, headers and bytes.
    pub record: Record,
}

/// Which part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its key.
    Key,
    /// Its value.
    Value,
}

/// A record whose key or value could not be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot read the {} of the record at offset {} of {}: {error}", part.name(), record.offset(), record.topic_partition())]
pub struct BadRecord {
    /// The record as it came.
    pub record: Box<Record>,
    /// What of it could not be read.
    pub part: Part,
    /// Why.
    #[source]
    pub error: DeserializeError,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Key => "key",
            Part::Value => "value",
        }
    }
}

impl From<BadRecord> for Error {
    /// An error of kind `Serialization`, for those to whom a bad record is an end.
    fn from(bad: BadRecord) -> Error {
        Error::new(ErrorKind::Serialization, bad.to_string()).with_cause(bad)
    }
}

impl Consumer {
    /// This consumer for keys of type `K` and values of type `V`.
    ///
    /// ```no_run
    /// # async fn run(consumer: ottla_consumer::Consumer) -> Result<(), ottla_client::Error> {
    /// use ottla_client::deserialize::{BigEndian, Text};
    /// use ottla_consumer::TypedConsumer;
    ///
    /// let mut readings: TypedConsumer<String, f64> = consumer.typed(Text, BigEndian);
    /// match readings.next().await? {
    ///     Ok(reading) => println!("{}: {} °C", reading.key, reading.value),
    ///     Err(bad) => eprintln!("{bad}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn typed<K, V>(
        self,
        key: impl Deserializer<K> + 'static,
        value: impl Deserializer<V> + 'static,
    ) -> TypedConsumer<K, V> {
        TypedConsumer { consumer: self, decoder: Decoder::new(key, value) }
    }
}

/// A [`Consumer`] that reads keys and values itself; made by [`Consumer::typed`].
///
/// A record whose key or value is refused comes as a [`BadRecord`] in its place, and counts as returned.
pub struct TypedConsumer<K, V> {
    consumer: Consumer,
    decoder: Decoder<K, V>,
}

impl<K, V> TypedConsumer<K, V> {
    /// The next record; see [`Consumer::next`].
    ///
    /// # Errors
    /// Those of [`Consumer::next`]; a record that cannot be read is none of them.
    ///
    /// # Cancel safety
    /// Safe: a record is only taken when it is returned.
    pub async fn next(&mut self) -> Result<Result<TypedRecord<K, V>, BadRecord>, Error> {
        let record = self.consumer.next().await?;
        Ok(self.decoder.decode(record))
    }

    /// The next records; see [`Consumer::poll`].
    ///
    /// # Errors
    /// Those of [`Consumer::poll`].
    ///
    /// # Cancel safety
    /// Safe: records are only taken when they are returned.
    pub async fn poll(
        &mut self,
        timeout: Duration,
    ) -> Result<Vec<Result<TypedRecord<K, V>, BadRecord>>, Error> {
        let records = self.consumer.poll(timeout).await?;
        Ok(records.into_iter().map(|record| self.decoder.decode(record)).collect())
    }

    /// The records as a stream; see [`Consumer::stream`].
    pub fn stream(&mut self) -> TypedStream<'_, K, V> {
        TypedStream { records: self.consumer.stream(), decoder: &self.decoder }
    }

    /// The consumer, for all that has nothing to do with types.
    pub fn consumer(&mut self) -> &mut Consumer {
        &mut self.consumer
    }

    /// The consumer without the types.
    pub fn into_consumer(self) -> Consumer {
        self.consumer
    }
}

impl<K, V> fmt::Debug for TypedConsumer<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedConsumer").field("consumer", &self.consumer).finish_non_exhaustive()
    }
}

/// The stream of [`TypedConsumer::stream`].
pub struct TypedStream<'a, K, V> {
    records: RecordStream<'a>,
    decoder: &'a Decoder<K, V>,
}

impl<K, V> Stream for TypedStream<'_, K, V> {
    type Item = Result<Result<TypedRecord<K, V>, BadRecord>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let decoder = self.decoder;
        let record = Pin::new(&mut self.records).poll_next(cx);
        record.map(|record| record.map(|record| record.map(|record| decoder.decode(record))))
    }
}

impl<K, V> fmt::Debug for TypedStream<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedStream").finish_non_exhaustive()
    }
}
