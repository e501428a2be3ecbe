//! The records: a few thousand keys and values made of words, the same bytes for every peer in every language.

use bytes::Bytes;

use crate::settings::{Settings, Spread};

/// How many different keys and values there are.
const POOL: u64 = 4096;

const WORDS: [&str; 64] = [
    "order", "user", "price", "item", "total", "count", "time", "zone", "city", "name", "first", "last",
    "email", "phone", "street", "north", "south", "east", "west", "green", "blue", "red", "black", "white",
    "small", "large", "open", "closed", "true", "false", "null", "active", "pending", "sent", "paid", "card",
    "cash", "coin", "euro", "dollar", "pound", "kilo", "gram", "meter", "mile", "hour", "minute", "second",
    "day", "week", "month", "year", "spring", "summer", "autumn", "winter", "monday", "sunday", "morning",
    "evening", "noon", "night", "early", "late",
];

/// All records of a run.
pub struct Load {
    values: Vec<Bytes>,
    keys: Option<Vec<Bytes>>,
    robin: Option<i32>,
}

impl Load {
    /// The records that the settings ask for.
    pub fn new(settings: &Settings) -> Load {
        let robin = (settings.spread == Spread::Robin).then_some(settings.partitions);
        Load::of(settings.size, settings.key, robin)
    }

    /// Records with values and keys of so many bytes.
    pub(crate) fn of(size: usize, key: Option<usize>, robin: Option<i32>) -> Load {
        let pool = |salt: u64, size| (0..POOL).map(|i| text(i | salt, size)).collect();
        Load { values: pool(0, size), keys: key.map(|size| pool(1 << 32, size)), robin }
    }

    /// A record's value.
    #[inline]
    pub fn value(&self, record: u64) -> &Bytes {
        &self.values[(record % POOL) as usize]
    }

    /// A record's key, if records have keys.
    #[inline]
    pub fn key(&self, record: u64) -> Option<&Bytes> {
        self.keys.as_ref().map(|keys| &keys[(record % POOL) as usize])
    }

    /// A record's partition, unless the client chooses.
    #[inline]
    pub fn partition(&self, record: u64) -> Option<i32> {
        self.robin.map(|partitions| (record % partitions as u64) as i32)
    }
}

fn text(seed: u64, size: usize) -> Bytes {
    let next =
        |state: u64| state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let mut state = next(seed);
    let mut made = Vec::with_capacity(size + 16);
    while made.len() < size {
        state = next(state);
        made.extend_from_slice(WORDS[(state >> 58) as usize].as_bytes());
        made.push(b' ');
    }
    made.truncate(size);
    Bytes::from(made)
}
