//! Record batches to produce, good ones and bad ones.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ottla_protocol::compression::{Compression, Compressor};
use ottla_protocol::records::{BatchBuilder, NO_HEADERS, ProducerState, SealOptions};
use ottla_tests::json::BASE64;

pub(crate) use ottla_tests::broker::now_ms;

/// A batch of records, one for each value.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    key: Option<&'static str>,
    values: Vec<Vec<u8>>,
    timestamp: i64,
    options: SealOptions,
    codec: Compression,
}

impl Batch {
    /// Records of these values, without keys, of now.
    pub(crate) fn of(values: &[&str]) -> Batch {
        Batch {
            key: None,
            values: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
            timestamp: now_ms(),
            options: SealOptions::default(),
            codec: Compression::None,
        }
    }

    /// One record of this size.
    pub(crate) fn large(size: usize) -> Batch {
        Batch { values: vec![vec![b'x'; size]], ..Batch::of(&[]) }
    }

    /// With a key.
    pub(crate) fn key(self, key: &'static str) -> Batch {
        Batch { key: Some(key), ..self }
    }

    /// With this timestamp.
    pub(crate) fn at(self, timestamp: i64) -> Batch {
        Batch { timestamp, ..self }
    }

    /// Compressed.
    pub(crate) fn codec(self, codec: Compression) -> Batch {
        Batch { codec, ..self }
    }

    /// Of an idempotent producer.
    pub(crate) fn by(mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) -> Batch {
        self.options.producer = ProducerState { producer_id, producer_epoch, base_sequence };
        self
    }

    /// Within a transaction.
    pub(crate) fn in_transaction(mut self) -> Batch {
        self.options.transactional = true;
        self
    }

    /// Of control records, which no client may write.
    pub(crate) fn control(mut self) -> Batch {
        self.options.control = true;
        self
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1 << 22);
        for value in &self.values {
            builder
                .try_append(self.timestamp, self.key.map(str::as_bytes), Some(value), NO_HEADERS)
                .expect("room for all");
        }
        let mut compressor = Compressor::new(self.codec).expect("a codec that is built in");
        builder.seal(&self.options, &mut compressor).expect("few bytes").bytes().to_vec()
    }

    /// The bytes as a request's field.
    pub(crate) fn field(&self) -> String {
        base64(&self.bytes())
    }

    /// The field after `harm` was done to the bytes.
    pub(crate) fn harmed(&self, harm: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut bytes = self.bytes();
        harm(&mut bytes);
        base64(&bytes)
    }
}

/// Bytes as a request's field.
pub(crate) fn base64(bytes: &[u8]) -> String {
    format!("{BASE64}{}", STANDARD.encode(bytes))
}
