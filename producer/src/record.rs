//! [`Record`]: what an application sends, borrowed from it for the length of `send`.

use ottla_protocol::records;

/// A record to send. It borrows everything; `send` copies it once, into its partition's open batch.
///
/// ```
/// use ottla_producer::{Header, Record};
///
/// let headers = [Header::new("trace", "4711")];
/// let record = Record::new("orders").key("customer-7").value(r#"{"total": 12}"#).headers(&headers);
/// assert_eq!(record.topic(), "orders");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    topic: &'a str,
    partition: Option<i32>,
    timestamp: Option<i64>,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: &'a [Header<'a>],
}

impl<'a> Record<'a> {
    /// A record for `topic`, so far with neither key nor value.
    pub const fn new(topic: &'a str) -> Self {
        Record { topic, partition: None, timestamp: None, key: None, value: None, headers: &[] }
    }

    /// Sets the partition; without it the partitioner chooses.
    #[must_use]
    pub const fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets the timestamp in milliseconds since 1970; without it the record gets the time of `send`, on Linux as of the
    /// kernel's last tick: up to 4 milliseconds earlier, or 10 with the slowest tick.
    #[must_use]
    pub const fn timestamp(mut self, milliseconds: i64) -> Self {
        self.timestamp = Some(milliseconds);
        self
    }

    /// Sets the key, by which records are put into partitions and compacted. Empty is not the same as none.
    #[must_use]
    pub fn key<K: AsRef<[u8]> + ?Sized>(mut self, key: &'a K) -> Self {
        self.key = Some(key.as_ref());
        self
    }

    /// Sets the value. A record without one is a tombstone in a compacted topic.
    #[must_use]
    pub fn value<V: AsRef<[u8]> + ?Sized>(mut self, value: &'a V) -> Self {
        self.value = Some(value.as_ref());
        self
    }

    /// Sets the headers.
    #[must_use]
    pub const fn headers(mut self, headers: &'a [Header<'a>]) -> Self {
        self.headers = headers;
        self
    }

    /// Sets a key that may be absent.
    #[must_use]
    pub const fn maybe_key(mut self, key: Option<&'a [u8]>) -> Self {
        self.key = key;
        self
    }

    /// Sets a value that may be absent.
    #[must_use]
    pub const fn maybe_value(mut self, value: Option<&'a [u8]>) -> Self {
        self.value = value;
        self
    }

    /// The topic's name.
    pub const fn topic(&self) -> &'a str {
        self.topic
    }

    /// The partition, if the application chose one.
    pub const fn chosen_partition(&self) -> Option<i32> {
        self.partition
    }

    /// The timestamp in milliseconds since 1970, if the application set one.
    pub const fn timestamp_ms(&self) -> Option<i64> {
        self.timestamp
    }

    /// The key.
    pub const fn key_bytes(&self) -> Option<&'a [u8]> {
        self.key
    }

    /// The value.
    pub const fn value_bytes(&self) -> Option<&'a [u8]> {
        self.value
    }

    /// The headers.
    pub const fn header_slice(&self) -> &'a [Header<'a>] {
        self.headers
    }

    /// Whether [`Record::size_upper_bound`] is no more than `limit`; of most records that is clear without reckoning it.
    #[inline]
    pub(crate) fn is_within(&self, limit: usize) -> bool {
        let content = self.key.map_or(0, <[u8]>::len).saturating_add(self.value.map_or(0, <[u8]>::len));
        let clear = self.headers.is_empty() && content.saturating_add(AROUND) <= limit;
        clear || self.size_upper_bound() <= limit
    }

    /// The most bytes that the record takes in a batch, the batch's own header included.
    #[inline(never)]
    pub(crate) fn size_upper_bound(&self) -> usize {
        records::BATCH_HEADER_LEN + records::record_size_upper_bound(self.key, self.value, self.headers)
    }
}

/// No record without headers is taken to need more than this beside its key and its value, in a batch of its own.
const AROUND: usize = records::BATCH_HEADER_LEN + 32;

/// A record's header: a name and a value that may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    key: &'a str,
    value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// A header with a value.
    pub fn new<V: AsRef<[u8]> + ?Sized>(key: &'a str, value: &'a V) -> Self {
        Header { key, value: Some(value.as_ref()) }
    }

    /// A header whose value is null, which is not the same as empty.
    pub const fn null(key: &'a str) -> Self {
        Header { key, value: None }
    }

    /// The name.
    pub const fn key(&self) -> &'a str {
        self.key
    }

    /// The value.
    pub const fn value(&self) -> Option<&'a [u8]> {
        self.value
    }
}

impl<'a> From<&Header<'a>> for records::Header<'a> {
    fn from(header: &Header<'a>) -> Self {
        records::Header { key: header.key.as_bytes(), value: header.value }
    }
}
