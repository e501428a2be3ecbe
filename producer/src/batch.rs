//! [`Batch`]: records of one partition on their way, and everything that is known about them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_client::{Error, ErrorKind};
use ottla_protocol::compression::{Compression, CompressionError, Compressor};
use ottla_protocol::records::{BatchBuilder, ProducerState, RecordError};

use crate::accumulator::Ratio;
use crate::body::Body;
use crate::completion::{Outcome, Part, Teller};
use crate::memory::{Charge, Memory};

/// A batch. Its records can be elsewhere, to be compressed; all else, and so who tells their outcome, stays here.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) completion: Teller,
    records: Records,
    /// When its first record was accepted.
    pub(crate) opened: Instant,
    /// Records in it.
    pub(crate) count: i32,
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

/// Where the records are.
#[derive(Debug)]
enum Records {
    Here(Body),
    /// With the job that compresses them.
    Away {
        job: u64,
        size: usize,
    },
    /// Nowhere: sealing failed, or nobody needs them any more.
    Gone {
        size: usize,
    },
}

impl Batch {
    pub(crate) fn new(
        completion: Teller,
        builder: BatchBuilder,
        opened: Instant,
        charge: Charge,
        ratio: Arc<Ratio>,
    ) -> Self {
        Batch {
            completion,
            count: builder.len() as i32,
            records: Records::Here(Body::new(builder, charge)),
            opened,
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
        match &self.records {
            Records::Here(body) => body.size(),
            Records::Away { size, .. } | Records::Gone { size } => *size,
        }
    }

    /// Bytes of its records before compression, headers included.
    pub(crate) fn uncompressed_size(&self) -> usize {
        match &self.records {
            Records::Here(body) => body.uncompressed_size(),
            _ => self.size(),
        }
    }

    /// Its bytes as they are sent, once it is sealed.
    pub(crate) fn bytes(&self) -> Option<Bytes> {
        match &self.records {
            Records::Here(body) => body.bytes(),
            _ => None,
        }
    }

    /// Seals the batch, or numbers it anew if it is sealed.
    pub(crate) fn seal(
        &mut self,
        producer: ProducerState,
        compressor: &mut Compressor,
    ) -> Result<(), CompressionError> {
        let is_new = self.is_open() && compressor.codec() != Compression::None;
        if let Some(body) = self.take_body() {
            let body = body.seal(producer, compressor)?;
            if is_new {
                self.observe(&body);
            }
            self.records = Records::Here(body);
        }
        Ok(())
    }

    /// Gives the records out, to be compressed by this job.
    pub(crate) fn send_away(&mut self, job: u64) -> Option<Body> {
        let (size, body) = (self.size(), self.take_body()?);
        self.records = Records::Away { job, size };
        Some(body)
    }

    /// Takes the compressed records back.
    pub(crate) fn take_back(&mut self, body: Body) {
        self.observe(&body);
        self.records = Records::Here(body);
    }

    /// Whether its records are being compressed elsewhere.
    pub(crate) fn is_away(&self) -> bool {
        matches!(self.records, Records::Away { .. })
    }

    /// Whether its records are with this job.
    pub(crate) fn is_with(&self, with: u64) -> bool {
        matches!(self.records, Records::Away { job, .. } if job == with)
    }

    fn take_body(&mut self) -> Option<Body> {
        let gone = Records::Gone { size: self.size() };
        match std::mem::replace(&mut self.records, gone) {
            Records::Here(body) => Some(body),
            elsewhere => {
                self.records = elsewhere;
                None
            }
        }
    }

    fn observe(&self, body: &Body) {
        self.ratio.observe(body.uncompressed_size(), body.size());
    }

    /// Tells all records that they are written, and gives the memory back.
    pub(crate) fn acknowledge(
        mut self,
        base_offset: Option<i64>,
        log_append_time: Option<i64>,
        memory: &Memory,
    ) {
        memory.meter.acknowledged(&self);
        // One that leaves no room for the batch is no offset of a log.
        let base_offset = base_offset.filter(|base| base.checked_add(i64::from(self.count)).is_some());
        self.completion.tell(Outcome::Acknowledged { base_offset, log_append_time });
        self.let_go();
    }

    /// Tells all records that they failed, and gives the memory back.
    pub(crate) fn fail(mut self, error: Error, memory: &Memory) {
        let error = self.describe(error);
        memory.meter.failed(&self, &error);
        self.completion.tell(Outcome::Failed(error));
        self.let_go();
    }

    /// Tells the records at fault and the others apart.
    pub(crate) fn fail_by_records(mut self, at_fault: Box<[(u32, Error)]>, others: Error, memory: &Memory) {
        let others = self.describe(others);
        memory.meter.failed(&self, &others);
        self.completion.tell(Outcome::FailedByRecords { at_fault, others });
        self.let_go();
    }

    /// Splits the batch into two halves that carry its charge on. Hands itself back if it holds a single record.
    pub(crate) fn split(mut self) -> Result<[Batch; 2], Box<(Batch, Option<RecordError>)>> {
        let Records::Here(body) = &self.records else { return Err(Box::new((self, None))) };
        let (first, [left, right]) = match body.halves() {
            Ok(Some(halves)) => halves,
            Ok(None) => return Err(Box::new((self, None))),
            Err(error) => return Err(Box::new((self, Some(error)))),
        };
        let Some(body) = self.take_body() else { return Err(Box::new((self, None))) };
        // The estimate led astray: begin again with none.
        self.ratio.observe(1, 1);
        let [for_left, for_right] = body.into_charge().halves();
        let (mut left, mut right) = (self.part(left, for_left), self.part(right, for_right));
        self.completion.hand_on(first, &mut left.completion, &mut right.completion);
        self.completion.tell(Outcome::Split(
            [
                Part { first: 0, completion: left.completion.share() },
                Part { first, completion: right.completion.share() },
            ]
            .into(),
        ));
        Ok([left, right])
    }

    fn part(&self, builder: BatchBuilder, charge: Charge) -> Batch {
        let mut part =
            Batch::new(self.completion.part(), builder, self.opened, charge, Arc::clone(&self.ratio));
        part.tries = self.tries;
        part.first_try = self.tries + 1;
        part.forgiven = self.tries;
        part.possibly_written = self.possibly_written;
        part.last_error = self.last_error.clone();
        part
    }

    /// Whether it has still to be sealed.
    pub(crate) fn is_open(&self) -> bool {
        matches!(&self.records, Records::Here(body) if body.is_open())
    }

    /// Whether its time is over.
    pub(crate) fn is_expired(&self, now: Instant, timeout: Duration) -> bool {
        now.saturating_duration_since(self.opened) >= timeout
    }

    /// Gives the memory of a batch without records back.
    pub(crate) fn drop_empty(mut self) {
        self.let_go();
    }

    /// Lets go of the records and gives their memory back. What is charged for bytes that a request still holds comes out:
    /// they are not free before that is over.
    pub(crate) fn let_go(&mut self) -> Option<Charge> {
        self.take_body()?.let_go()
    }

    /// Bytes of the memory budget that it holds.
    #[cfg(test)]
    pub(crate) fn charged(&self) -> usize {
        match &self.records {
            Records::Here(body) => body.charged(),
            _ => 0,
        }
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
            None if self.is_away() => Error::new(ErrorKind::Timeout, "they are still being compressed"),
            None => Error::new(ErrorKind::Timeout, "they waited for earlier records to be written"),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs some instant")]

    use ottla_protocol::records::NO_HEADERS;

    use super::*;

    #[test]
    fn a_timeout_says_what_it_waited_for_even_if_nothing_failed() {
        let teller = Teller::new("t".into(), 3);
        let mut batch = Batch::new(
            teller,
            BatchBuilder::new(100),
            Instant::now(),
            Charge::nothing(),
            Arc::new(Ratio::new()),
        );
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
        let mut batch =
            Batch::new(teller, builder, Instant::now(), Charge::nothing(), Arc::new(Ratio::new()));
        batch.seal(ProducerState::NONE, &mut Compressor::none()).expect("no codec");
        let halves = batch.split().expect("many records");
        assert_eq!(halves.each_ref().map(|half| half.count), [200, 200]);
    }
}
