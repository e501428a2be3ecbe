//! What happens to the batches of a request when its answer comes, or doesn't.

use std::time::{Duration, Instant};

use ottla_client::{Error, ErrorKind};
use ottla_protocol::error_code::ErrorCode;

use super::answer::{Verdict, judge};
use super::{Answer, RequestId, Said, Sender};
use crate::batch::Batch;
use crate::sequence::Ticket;

impl Sender {
    /// A request is over: `answer` says for each of its batches, in the order of its items, what became of it.
    /// `random` (0 to 1) spreads retries; `throttle` is the broker's wish to be left alone.
    pub(crate) fn answered(
        &mut self,
        id: RequestId,
        mut answer: impl FnMut(usize) -> Answer,
        throttle: Duration,
        now: Instant,
        random: f64,
    ) {
        let Ok(place) = self.requests.binary_search_by_key(&id, |(id, _)| *id) else { return };
        let Some((_, request)) = self.requests.remove(place) else { return };
        let latency = now.saturating_duration_since(request.sent_at);
        let mut answered = false;
        self.nodes.answered(request.node, throttle, now);
        // None of them is left if everything was given up meanwhile.
        for (at, (index, ticket)) in request.batches.into_iter().enumerate() {
            match answer(at) {
                Answer::Said(said) => {
                    answered = true;
                    self.said(index, ticket, &said, now, random);
                }
                Answer::Failed(error) => self.failed(index, ticket, error, now, random),
            }
            self.consider(index, now);
        }
        self.accumulator.memory.meter.request_over(answered, latency, throttle);
        #[cfg(feature = "metrics")]
        self.accumulator.memory.publish();
        tracing::debug!(node = request.node, answered, ?latency, ?throttle, "a produce request is over");
        if let Some(fatal) = self.fatal.clone() {
            self.abandon(&fatal, now);
        }
    }

    fn said(&mut self, index: u32, ticket: Ticket, said: &Said, now: Instant, random: f64) {
        let lane = &mut self.lanes[index];
        let code = said.code;
        let verdict = judge(code, self.rules.idempotent);
        if verdict == Verdict::Written {
            lane.retry_at = None;
            lane.acknowledged_at = Some(now);
            let base = said.base_offset.filter(|base| *base >= 0 && code.is_ok());
            if let Some(batch) = lane.sequences.acknowledged(ticket) {
                let (topic, partition) = (&lane.buffer.topic, lane.buffer.partition);
                let (records, bytes, tries) = (batch.count, batch.size(), batch.tries);
                let age = now.saturating_duration_since(batch.opened);
                tracing::trace!(%topic, partition, records, bytes, tries, offset = base, ?age, "a batch is written");
                batch.acknowledge(
                    base,
                    said.log_append_time.filter(|time| *time >= 0),
                    &self.accumulator.memory,
                );
            }
            return;
        }
        let name = format!("{}-{}", lane.buffer.topic, lane.buffer.partition);
        let error = broker_error(said, &name);
        self.accumulator.memory.meter.refused(code);
        if let Some(batch) = lane.sequences.batch_mut(ticket) {
            let (topic, partition) = (&lane.buffer.topic, lane.buffer.partition);
            let (records, bytes, tries) = (batch.count, batch.size(), batch.tries);
            tracing::debug!(%topic, partition, records, bytes, tries, %code, ?verdict, "a broker refused a batch");
            batch.last_error = Some(error.clone());
            batch.possibly_written |= matches!(verdict, Verdict::Retry { unknown: true } | Verdict::Lost);
        }
        match verdict {
            Verdict::Written => {}
            Verdict::Retry { unknown } => {
                self.metadata_wanted |= code.is_stale_metadata();
                self.retry(index, ticket, unknown, now, random);
            }
            Verdict::OutOfOrder => {
                if lane.sequences.out_of_order(ticket) {
                    if let Some(batch) = lane.sequences.batch_mut(ticket) {
                        batch.forgiven += 1;
                    }
                } else {
                    self.after_failure(index, ticket, now, random);
                }
            }
            Verdict::NeedsNewId => {
                lane.sequences.spent(ticket);
                self.after_failure(index, ticket, now, random);
            }
            Verdict::Split => self.split(index, ticket, error),
            Verdict::Refused => {
                if let Some(batch) = lane.sequences.refused(ticket) {
                    self.refuse(batch, said, error, &name);
                }
            }
            Verdict::Lost => {
                if let Some(batch) = lane.sequences.lost(ticket) {
                    batch.warn_of(&error);
                    batch.fail(error, &self.accumulator.memory);
                }
            }
            Verdict::Fatal => {
                lane.sequences.retry(ticket, false);
                self.fatal.get_or_insert(error);
            }
        }
    }

    /// No answer came.
    fn failed(&mut self, index: u32, ticket: Ticket, error: Error, now: Instant, random: f64) {
        let lane = &mut self.lanes[index];
        let unknown = error.possibly_written();
        let hopeless = matches!(error.kind(), ErrorKind::Encode | ErrorKind::UnsupportedVersion) && !unknown;
        if hopeless {
            if let Some(batch) = lane.sequences.refused(ticket) {
                batch.warn_of(&error);
                batch.fail(error, &self.accumulator.memory);
            }
            return;
        }
        if let Some(batch) = lane.sequences.batch_mut(ticket) {
            batch.possibly_written |= unknown;
            batch.last_error = Some(error);
        }
        self.metadata_wanted = true;
        self.retry(index, ticket, unknown, now, random);
    }

    fn retry(&mut self, index: u32, ticket: Ticket, unknown: bool, now: Instant, random: f64) {
        self.lanes[index].sequences.retry(ticket, unknown);
        self.after_failure(index, ticket, now, random);
    }

    /// Gives the batch up if it has been tried often enough, and otherwise pauses.
    fn after_failure(&mut self, index: u32, ticket: Ticket, now: Instant, random: f64) {
        let lane = &mut self.lanes[index];
        let Some(batch) = lane.sequences.batch_mut(ticket) else { return };
        let tries = batch.tries - batch.forgiven;
        // At least a little, or what is refused at once would be planned again at once, for ever.
        let pause = self.rules.backoff.next(tries.saturating_sub(1), random).max(Duration::from_millis(1));
        let until = now + pause;
        lane.retry_at = Some(lane.retry_at.map_or(until, |at| at.max(until)));
        if tries > self.rules.retries
            && let Some(batch) = lane.sequences.give_up(ticket)
        {
            let name = batch.completion.partition();
            let mut error =
                Error::new(ErrorKind::Broker, format!("gave up on {} records for {name}", batch.count));
            if let Some(last) = &batch.last_error {
                error = Error::new(last.kind(), error.to_string()).with_cause(last.clone());
            }
            batch.warn_of(&error);
            batch.fail(error, &self.accumulator.memory);
        }
    }

    fn split(&mut self, index: u32, ticket: Ticket, error: Error) {
        let lane = &mut self.lanes[index];
        let Some(batch) = lane.sequences.refused(ticket) else { return };
        match batch.split() {
            Ok(parts) => {
                self.accumulator.memory.meter.split();
                let (topic, partition) = (&lane.buffer.topic, lane.buffer.partition);
                let [first, second] = parts.each_ref().map(|part| part.count);
                tracing::debug!(%topic, partition, first, second, "split a batch that a broker found too large");
                lane.sequences.replace(ticket, parts);
            }
            Err(failed) => {
                let (batch, cause) = *failed;
                let error = match cause {
                    Some(cause) => error.with_cause(cause),
                    None => error,
                };
                batch.warn_of(&error);
                batch.fail(error, &self.accumulator.memory);
            }
        }
    }

    /// Tells the records that a broker named as faulty apart from the others (KIP-467).
    fn refuse(&mut self, batch: Batch, said: &Said, error: Error, name: &str) {
        let memory = &self.accumulator.memory;
        batch.warn_of(&error);
        if said.record_errors.is_empty() {
            batch.fail(error, memory);
            return;
        }
        let (tries, possibly_written) = (batch.tries, batch.possibly_written);
        let mut at_fault: Vec<(u32, Error)> = said
            .record_errors
            .iter()
            .map(|(record, message)| {
                let message = message.as_deref().or(said.message.as_deref());
                let doing = match message {
                    Some(message) => format!("{name} refused a record ({message})"),
                    None => format!("{name} refused a record"),
                };
                let error = Error::from_code(said.code, doing);
                (*record, error.with_tries(tries).with_possibly_written(possibly_written))
            })
            .collect();
        at_fault.sort_by_key(|(record, _)| *record);
        at_fault.dedup_by_key(|(record, _)| *record);
        let others = Error::from_code(
            ErrorCode::INVALID_RECORD,
            format!("{name} refused a batch because of {} of its other records", at_fault.len()),
        );
        batch.fail_by_records(at_fault.into(), others, memory);
    }
}

fn broker_error(said: &Said, name: &str) -> Error {
    match &said.message {
        Some(message) => Error::from_code(said.code, format!("cannot produce to {name} ({message})")),
        None => Error::from_code(said.code, format!("cannot produce to {name}")),
    }
}
