//! For tests: brokers as far as idempotent producers can tell: logs that check sequence numbers as Kafka does.
//!
//! Written from the broker's side and sharing nothing with the code under test but the batch decoder.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::records::{Batches, DecodeOptions};

/// What a broker keeps of a producer in one partition.
#[derive(Debug, Default)]
struct ProducerEntry {
    epoch: i16,
    last_sequence: i32,
    /// First sequence, last sequence and base offset of the last five batches.
    recent: VecDeque<(i32, i32, i64)>,
}

/// One partition's log: the values of its records.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) values: Vec<u32>,
    producers: HashMap<i64, ProducerEntry>,
}

impl Log {
    /// Appends a batch, or says what is wrong; the offset of its first record.
    pub(crate) fn append(&mut self, bytes: &Bytes) -> Result<i64, ErrorCode> {
        let batch = Batches::new(bytes.clone()).next().expect("a batch").expect("whole");
        batch.verify_crc().expect("the CRC covers the sequence");
        let header = *batch.header();
        let (first, last) = (header.base_sequence, header.base_sequence + header.count - 1);
        if let Some(entry) = self.producers.get(&header.producer_id) {
            if header.producer_epoch < entry.epoch {
                return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
            }
            let same_epoch = header.producer_epoch == entry.epoch;
            let repeat = entry.recent.iter().find(|(f, l, _)| same_epoch && (*f, *l) == (first, last));
            if let Some((_, _, offset)) = repeat {
                return Ok(*offset);
            }
            let expected = if same_epoch { entry.last_sequence + 1 } else { 0 };
            if first != expected {
                return Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
            }
        }
        let offset = self.values.len() as i64;
        let mut cursor = batch.cursor(&DecodeOptions::default()).expect("decodes");
        while let Some(record) = cursor.next_ref().expect("decodes") {
            let value = record.value.and_then(|value| value.first_chunk()).expect("four bytes");
            self.values.push(u32::from_be_bytes(*value));
        }
        if header.producer_id >= 0 {
            let entry = self.producers.entry(header.producer_id).or_default();
            if entry.epoch != header.producer_epoch {
                entry.recent.clear();
            }
            entry.epoch = header.producer_epoch;
            entry.last_sequence = last;
            entry.recent.push_back((first, last, offset));
            if entry.recent.len() > 5 {
                entry.recent.pop_front();
            }
        }
        Ok(offset)
    }
}
