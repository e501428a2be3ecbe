//! What a partition holds to be fetched: one batch, made beforehand, over and over, each time at the next offsets.

use std::io;

use bytes::Bytes;
use ottla_protocol::compression::{Compression, Compressor};
use ottla_protocol::records::{BatchBuilder, NO_HEADERS, SealOptions};

use crate::load::Load;

/// What is to be read from every topic.
#[derive(Clone, Debug)]
pub struct Script {
    /// Records of a topic, at least; none for topics that are written to.
    pub records: u64,
    /// Partitions that have any; 0 for all.
    pub active: i32,
    /// Bytes of a value.
    pub size: usize,
    /// Bytes of a key, if records have one.
    pub key: Option<usize>,
    /// The codec, by Kafka's name.
    pub compression: String,
    /// Bytes of a batch before compression.
    pub batch_bytes: usize,
}

impl Default for Script {
    fn default() -> Script {
        Script {
            records: 0,
            active: 0,
            size: 100,
            key: None,
            compression: "none".to_owned(),
            batch_bytes: 64 << 10,
        }
    }
}

/// The batch and how often it is there.
pub(super) struct Log {
    records: u64,
    active: i32,
    /// The batch behind its base offset.
    tail: Bytes,
    /// Records of the batch.
    count: i64,
}

impl Log {
    pub(super) fn of(script: &Script) -> io::Result<Log> {
        let codec = Compression::ALL.into_iter().find(|codec| codec.name() == script.compression);
        let codec = codec.ok_or_else(|| io::Error::other(format!("no codec {}", script.compression)))?;
        let mut compressor = Compressor::new(codec.default_level()).map_err(io::Error::other)?;
        let load = Load::of(script.size, script.key, None);
        let mut builder = BatchBuilder::new(script.batch_bytes);
        let mut count = 0;
        while builder
            .try_append(
                TIME + count as i64,
                load.key(count).map(AsRef::as_ref),
                Some(load.value(count)),
                NO_HEADERS,
            )
            .is_ok()
        {
            count += 1;
        }
        if count == 0 {
            return Err(io::Error::other("a record is longer than a batch"));
        }
        let batch = builder.seal(&SealOptions::default(), &mut compressor).map_err(io::Error::other)?.bytes();
        Ok(Log {
            records: script.records,
            active: script.active,
            tail: batch.slice(8..),
            count: count as i64,
        })
    }

    /// Where a partition ends.
    pub(super) fn end(&self, partition: i32, partitions: i32) -> i64 {
        let active = if self.active > 0 { self.active.min(partitions) } else { partitions };
        if partition >= active {
            return 0;
        }
        let each = self.records.div_ceil(active as u64) as i64;
        (each + self.count - 1) / self.count * self.count
    }

    /// Bytes of a batch.
    pub(super) fn batch_len(&self) -> usize {
        self.tail.len() + 8
    }

    /// Records of a batch.
    pub(super) fn batch_count(&self) -> i64 {
        self.count
    }

    /// A batch behind its base offset.
    pub(super) fn tail(&self) -> &[u8] {
        &self.tail
    }
}

/// Any time in 2026.
const TIME: i64 = 1_790_000_000_000;
