//! [`Batch`]: records of one partition on their way, and everything that is known about them.

use std::time::{Duration, Instant};

use ottla_client::{Error, ErrorKind};
use ottla_protocol::compression::{CompressionError, Compressor};
use ottla_protocol::records::{BatchBuilder, ProducerState, RecordError, SealOptions, SealedBatch};

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
    /// Whether one of them may have been processed without its answer having told so.
    pub(crate) possibly_written: bool,
    pub(crate) last_error: Option<Error>,
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
    pub(crate) fn new(completion: Teller, builder: BatchBuilder, opened: Instant, charged: usize) -> Self {
        Batch {
            completion,
            count: builder.len() as i32,
            content: Content::Open(builder),
            opened,
            charged,
            tries: 0,
            possibly_written: false,
            last_error: None,
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

    /// Seals the batch, or numbers it anew if it is sealed.
    pub(crate) fn seal(
        &mut self,
        producer: ProducerState,
        compressor: &mut Compressor,
    ) -> Result<(), CompressionError> {
        self.content = match std::mem::replace(&mut self.content, Content::Gone) {
            Content::Open(builder) => {
                let options = SealOptions { producer, ..SealOptions::default() };
                Content::Sealed(builder.seal(&options, compressor)?)
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
    pub(crate) fn acknowledge(self, base_offset: Option<i64>, log_append_time: Option<i64>, memory: &Memory) {
        self.completion.tell(Outcome::Acknowledged { base_offset, log_append_time });
        self.release(memory);
    }

    /// Tells all records that they failed, and gives the memory back.
    pub(crate) fn fail(self, error: Error, memory: &Memory) {
        let error = self.describe(error);
        self.completion.tell(Outcome::Failed(error));
        self.release(memory);
    }

    /// Tells the records at fault and the others apart.
    pub(crate) fn fail_by_records(self, at_fault: Box<[(u32, Error)]>, others: Error, memory: &Memory) {
        let others = self.describe(others);
        self.completion.tell(Outcome::FailedByRecords { at_fault, others });
        self.release(memory);
    }

    /// Splits the batch into two halves that carry its charge on. Hands itself back if it holds a single record.
    pub(crate) fn split(self) -> Result<[Batch; 2], Box<(Batch, Option<RecordError>)>> {
        let Content::Sealed(sealed) = &self.content else { return Err(Box::new((self, None))) };
        let count = sealed.count();
        if count < 2 {
            return Err(Box::new((self, None)));
        }
        match halves(sealed) {
            Err(error) => Err(Box::new((self, Some(error)))),
            Ok(builders) => {
                let first = count.div_ceil(2) as u32;
                let mut charged = [self.charged / 2, self.charged - self.charged / 2].into_iter();
                let batches = builders.map(|builder| {
                    let completion = self.completion.part();
                    let mut batch = Batch::new(completion, builder, self.opened, charged.next().unwrap_or(0));
                    batch.tries = self.tries;
                    batch.last_error = self.last_error.clone();
                    batch
                });
                let [left, right] = &batches;
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
        match self.last_error.as_ref().or(trouble) {
            Some(last) => error.with_cause(last.clone()),
            None => error,
        }
    }
}

fn halves(sealed: &SealedBatch) -> Result<[BatchBuilder; 2], RecordError> {
    let first = sealed.count().div_ceil(2);
    let mut cursor = sealed.cursor()?;
    let limit = sealed.uncompressed_size();
    let mut builders = [BatchBuilder::new(limit), BatchBuilder::new(limit)];
    let mut at = 0;
    while let Some(record) = cursor.next_ref()? {
        let builder = &mut builders[usize::from(at >= first)];
        // The half holds no more than the whole did, so it fits.
        let _ = builder.try_append(record.timestamp, record.key, record.value, record.headers);
        at += 1;
    }
    Ok(builders)
}
