//! [`Batch`]: records of one partition on their way, and everything that is known about them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::{Error, ErrorKind};
use ottla_protocol::compression::{Compression, CompressionError, Compressor};
use ottla_protocol::records::{BatchBuilder, ProducerState, RecordError, SealOptions, SealedBatch};

use crate::accumulator::Ratio;
use crate::completion::{Outcome, Part, Teller};
use crate::memory::Memory;

/// A batch: open, sealed or, for a moment, in neither state.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) completion: Teller,
    pub(crate) content: Content,
    /// When its first record was accepted.
    pub(crate) opened: Instant,
    /// Records in it.
    pub(crate) count: i32,
    /// Bytes of the memory budget that it holds.
    pub(crate) charged: usize,
    /// Requests that carried it.
    pub(crate) tries: u32,
    /// The try by which these records were in a request of their own first: later ones are repeats. Not 1 where they are
    /// part of a batch that was split after it had been sent.
    pub(crate) first_try: u32,
    /// Of all tries, how many failed by no fault of its own: because of a record that is in another batch now, or of a batch
    /// before it that was refused.
    pub(crate) forgiven: u32,
    /// Whether one of them may have been processed without its answer having told so.
    pub(crate) possibly_written: bool,
    pub(crate) last_error: Option<Error>,
    /// Learns how well the records could be compressed.
    ratio: Arc<Ratio>,
}

/// The records.
#[derive(Debug)]
pub(crate) enum Content {
    /// As they were appended.
    Open(BatchBuilder),
    /// As they are sent.
    Sealed(SealedBatch),
    /// Nowhere: sealing failed.
    Gone,
}

impl Batch {
    pub(crate) fn new(
        completion: Teller,
        builder: BatchBuilder,
        opened: Instant,
        charged: usize,
        ratio: Arc<Ratio>,
    ) -> Self {
        Batch {
            completion,
            count: builder.len() as i32,
            content: Content::Open(builder),
            opened,
            charged,
            tries: 0,
            first_try: 1,
            forgiven: 0,
            possibly_written: false,
            last_error: None,
            ratio,
        }
    }

    /// Bytes that it takes in a request, as far as that is known before it is sealed.
    pub(crate) fn size(&self) -> usize {
        match &self.content {
            Content::Open(builder) => builder.size(),
            Content::Sealed(sealed) => sealed.size(),
            Content::Gone => 0,
        }
    }

    /// Bytes of its records before compression, headers included.
    pub(crate) fn uncompressed_size(&self) -> usize {
        match &self.content {
            Content::Sealed(sealed) => sealed.uncompressed_size(),
            _ => self.size(),
        }
    }

    /// Seals the batch, or numbers it anew if it is sealed.
    pub(crate) fn seal(
        &mut self,
        producer: ProducerState,
        compressor: &mut Compressor,
    ) -> Result<(), CompressionError> {
        self.content = match std::mem::replace(&mut self.content, Content::Gone) {
            Content::Open(builder) => {
                let options = SealOptions { producer, ..SealOptions::default() };
                let sealed = builder.seal(&options, compressor)?;
                if compressor.codec() != Compression::None {
                    self.ratio.observe(sealed.uncompressed_size(), sealed.size());
                }
                Content::Sealed(sealed)
            }
            Content::Sealed(mut sealed) => {
                sealed.set_producer(producer);
                Content::Sealed(sealed)
            }
            Content::Gone => Content::Gone,
        };
        Ok(())
    }

    /// Tells all records that they are written, and gives the memory back.
    pub(crate) fn acknowledge(
        mut self,
        base_offset: Option<i64>,
        log_append_time: Option<i64>,
        memory: &Memory,
    ) {
        memory.meter.acknowledged(&self);
        self.completion.tell(Outcome::Acknowledged { base_offset, log_append_time });
        self.release(memory);
    }

    /// Tells all records that they failed, and gives the memory back.
    pub(crate) fn fail(mut self, error: Error, memory: &Memory) {
        let error = self.describe(error);
        memory.meter.failed(&self, &error);
        self.completion.tell(Outcome::Failed(error));
        self.release(memory);
    }

    /// Tells the records at fault and the others apart.
    pub(crate) fn fail_by_records(mut self, at_fault: Box<[(u32, Error)]>, others: Error, memory: &Memory) {
        let others = self.describe(others);
        memory.meter.failed(&self, &others);
        self.completion.tell(Outcome::FailedByRecords { at_fault, others });
        self.release(memory);
    }

    /// Splits the batch into two halves that carry its charge on. Hands itself back if it holds a single record.
    pub(crate) fn split(mut self) -> Result<[Batch; 2], Box<(Batch, Option<RecordError>)>> {
        let Content::Sealed(sealed) = &self.content else { return Err(Box::new((self, None))) };
        let count = sealed.count();
        if count < 2 {
            return Err(Box::new((self, None)));
        }
        match halves(sealed) {
            Err(error) => Err(Box::new((self, Some(error)))),
            Ok(builders) => {
                // The estimate led astray: begin again with none.
                self.ratio.observe(1, 1);
                let first = count.div_ceil(2) as u32;
                let mut charged = [self.charged / 2, self.charged - self.charged / 2].into_iter();
                let mut batches = builders.map(|builder| {
                    let completion = self.completion.part();
                    let charged = charged.next().unwrap_or(0);
                    let ratio = Arc::clone(&self.ratio);
                    let mut batch = Batch::new(completion, builder, self.opened, charged, ratio);
                    batch.tries = self.tries;
                    batch.first_try = self.tries + 1;
                    batch.forgiven = self.tries;
                    batch.last_error = self.last_error.clone();
                    batch
                });
                let [left, right] = &mut batches;
                self.completion.hand_on(first, &mut left.completion, &mut right.completion);
                self.completion.tell(Outcome::Split(
                    [
                        Part { first: 0, completion: left.completion.share() },
                        Part { first, completion: right.completion.share() },
                    ]
                    .into(),
                ));
                Ok(batches)
            }
        }
    }

    /// Whether it has still to be sealed.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.content, Content::Open(_))
    }

    /// Whether its time is over.
    pub(crate) fn is_expired(&self, now: Instant, timeout: Duration) -> bool {
        now.saturating_duration_since(self.opened) >= timeout
    }

    /// Gives the memory of a batch without records back.
    pub(crate) fn drop_empty(self, memory: &Memory) {
        self.release(memory);
    }

    fn release(self, memory: &Memory) {
        let buffer = match self.content {
            Content::Open(builder) => Some(builder.into_buffer()),
            Content::Sealed(sealed) => sealed.into_buffer(),
            Content::Gone => None,
        };
        memory.release(self.charged, buffer);
    }

    /// Logs that its records failed.
    pub(crate) fn warn_of(&self, error: &Error) {
        let (topic, partition) = (self.completion.topic(), self.completion.partition_id());
        let Batch { count: records, tries, possibly_written, .. } = self;
        tracing::warn!(%topic, partition, records, tries, possibly_written, %error, "a batch failed");
    }

    fn describe(&self, error: Error) -> Error {
        error.with_tries(self.tries).with_possibly_written(self.possibly_written)
    }

    /// The error for a batch whose time is over.
    pub(crate) fn timeout_error(&self, timeout: Duration, trouble: Option<&Error>) -> Error {
        let partition = self.completion.partition();
        let error = Error::new(
            ErrorKind::Timeout,
            format!("{} records for {partition} not delivered within {} ms", self.count, timeout.as_millis()),
        );
        error.with_cause(match self.last_error.as_ref().or(trouble) {
            Some(last) => last.clone(),
            None if self.tries > 0 => {
                Error::new(ErrorKind::Timeout, "the leader has not answered the produce request yet")
            }
            None => Error::new(ErrorKind::Timeout, "they waited for earlier records to be written"),
        })
    }
}

const LONGEST_VARLONG: usize = 10;

fn halves(sealed: &SealedBatch) -> Result<[BatchBuilder; 2], RecordError> {
    let first = sealed.count().div_ceil(2);
    let mut cursor = sealed.cursor()?;
    // A half has its own first timestamp, to which the distances of the others may take more bytes to write.
    let limit = sealed.uncompressed_size() + LONGEST_VARLONG * sealed.count();
    let mut builders = [BatchBuilder::new(limit), BatchBuilder::new(limit)];
    let mut at = 0;
    while let Some(record) = cursor.next_ref()? {
        let builder = &mut builders[usize::from(at >= first)];
        // It fits, by the choice of the limit.
        let _ = builder.try_append(record.timestamp, record.key, record.value, record.headers);
        at += 1;
    }
    Ok(builders)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs some instant")]

    use ottla_protocol::records::NO_HEADERS;

    use super::*;

    #[test]
    fn a_timeout_says_what_it_waited_for_even_if_nothing_failed() {
        let teller = Teller::new("t".into(), 3);
        let mut batch = Batch::new(teller, BatchBuilder::new(100), Instant::now(), 0, Arc::new(Ratio::new()));
        let text = |batch: &Batch, trouble: Option<&Error>| {
            batch.timeout_error(Duration::from_secs(2), trouble).to_string()
        };
        let prefix = "0 records for t-3 not delivered within 2000 ms: ";
        let wrong = Error::new(ErrorKind::Connect, "nobody listens");
        assert_eq!(text(&batch, None), format!("{prefix}they waited for earlier records to be written"));
        assert_eq!(text(&batch, Some(&wrong)), format!("{prefix}nobody listens"));
        batch.tries = 1;
        assert_eq!(
            text(&batch, None),
            format!("{prefix}the leader has not answered the produce request yet")
        );
        batch.last_error = Some(Error::new(ErrorKind::Disconnected, "gone"));
        assert_eq!(text(&batch, Some(&wrong)), format!("{prefix}gone"));
    }

    #[test]
    fn a_half_has_all_its_records_even_if_its_first_timestamp_makes_the_others_longer() {
        let mut builder = BatchBuilder::new(1 << 20);
        for at in 0..400 {
            let timestamp = if at == 200 { i64::MAX } else { 0 };
            builder.try_append(timestamp, None, None, NO_HEADERS).expect("room");
        }
        let teller = Teller::new("t".into(), 0);
        let mut batch = Batch::new(teller, builder, Instant::now(), 0, Arc::new(Ratio::new()));
        batch.seal(ProducerState::NONE, &mut Compressor::none()).expect("no codec");
        let halves = batch.split().expect("many records");
        assert_eq!(halves.each_ref().map(|half| half.count), [200, 200]);
    }
}
