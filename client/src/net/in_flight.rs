//! The requests that await an answer, in the order in which the broker will answer them. A pure table.
//!
//! Guarantee: an answer goes to the request at the head of the line or to nobody; a correlation id that is not the head's
//! says that client and broker no longer agree on what is being answered.

use std::collections::VecDeque;
use std::time::Instant;

use ottla_protocol::api::Api;

/// A request that awaits its answer.
#[derive(Debug)]
pub(super) struct Expected<W> {
    pub(super) correlation_id: i32,
    pub(super) api: Api,
    pub(super) version: i16,
    pub(super) since: Instant,
    pub(super) deadline: Instant,
    /// Whether some of the request's bytes went to the socket.
    pub(super) begun: bool,
    pub(super) waiter: W,
}

/// An answer to something else than the oldest request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an answer to request {found} came where {} was due", expected.map_or("none".to_owned(), |id| format!("one to request {id}")))]
pub(super) struct Mismatch {
    pub(super) expected: Option<i32>,
    pub(super) found: i32,
}

#[derive(Debug)]
pub(super) struct InFlight<W> {
    line: VecDeque<Expected<W>>,
    /// How many from the head of the line have begun to be written.
    begun: usize,
    earliest: Option<Instant>,
}

impl<W> InFlight<W> {
    pub(super) fn new() -> Self {
        InFlight { line: VecDeque::new(), begun: 0, earliest: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// A request was enqueued for writing.
    pub(super) fn push(&mut self, expected: Expected<W>) {
        self.earliest =
            Some(self.earliest.map_or(expected.deadline, |earliest| earliest.min(expected.deadline)));
        self.line.push_back(expected);
    }

    /// The first bytes of the next request went to the socket.
    pub(super) fn begin(&mut self) {
        if let Some(expected) = self.line.get_mut(self.begun) {
            expected.begun = true;
            self.begun += 1;
        }
    }

    /// An answer came.
    pub(super) fn answer(&mut self, correlation_id: i32) -> Result<Expected<W>, Mismatch> {
        let expected = self.line.front().filter(|head| head.begun).map(|head| head.correlation_id);
        let mismatch = Mismatch { expected, found: correlation_id };
        if expected != Some(correlation_id) {
            return Err(mismatch);
        }
        let head = self.line.pop_front().ok_or(mismatch)?;
        self.begun -= 1;
        if self.earliest == Some(head.deadline) {
            self.earliest = self.line.iter().map(|expected| expected.deadline).min();
        }
        Ok(head)
    }

    /// When the next request is overdue.
    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        self.earliest
    }

    /// Takes everything out, with the requests that are overdue at `now` marked.
    pub(super) fn drain(&mut self, now: Instant) -> impl Iterator<Item = (Expected<W>, bool)> {
        self.begun = 0;
        self.earliest = None;
        self.line.drain(..).map(move |expected| {
            let overdue = expected.deadline <= now;
            (expected, overdue)
        })
    }

    /// The first request overdue at `now`.
    pub(super) fn overdue(&self, now: Instant) -> Option<&Expected<W>> {
        self.line.iter().find(|expected| expected.deadline <= now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ottla_protocol::api::Request;
    use ottla_protocol::messages::api_versions::ApiVersionsRequest;

    use super::*;

    fn table(deadlines: &[(i32, u64)]) -> (InFlight<i32>, Instant) {
        let start = crate::runtime::now();
        let mut in_flight = InFlight::new();
        for &(correlation_id, seconds) in deadlines {
            in_flight.push(Expected {
                correlation_id,
                api: ApiVersionsRequest::API,
                version: 0,
                since: start,
                deadline: start + Duration::from_secs(seconds),
                begun: false,
                waiter: correlation_id * 10,
            });
        }
        (in_flight, start)
    }

    #[test]
    fn answers_match_in_order_and_only_what_was_written() {
        let (mut in_flight, _) = table(&[(7, 1), (8, 1)]);
        assert_eq!(in_flight.answer(7).unwrap_err(), Mismatch { expected: None, found: 7 });
        in_flight.begin();
        in_flight.begin();
        assert_eq!(in_flight.answer(8).unwrap_err(), Mismatch { expected: Some(7), found: 8 });
        assert_eq!(in_flight.answer(7).unwrap().waiter, 70);
        assert_eq!(in_flight.answer(8).unwrap().waiter, 80);
        assert_eq!(in_flight.answer(8).unwrap_err(), Mismatch { expected: None, found: 8 });
        assert!(in_flight.is_empty());
    }

    #[test]
    fn the_earliest_deadline_counts_wherever_it_stands_in_line() {
        let (mut in_flight, start) = table(&[(1, 5), (2, 3), (3, 9)]);
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        (0..3).for_each(|_| in_flight.begin());
        assert_eq!(in_flight.poll_deadline(), at(3));
        in_flight.answer(1).unwrap();
        assert_eq!(in_flight.poll_deadline(), at(3));
        in_flight.answer(2).unwrap();
        assert_eq!(in_flight.poll_deadline(), at(9));
        in_flight.answer(3).unwrap();
        assert_eq!(in_flight.poll_deadline(), None);
    }

    #[test]
    fn draining_tells_who_was_overdue_and_who_was_begun() {
        let (mut in_flight, start) = table(&[(1, 5), (2, 3), (3, 9)]);
        in_flight.begin();
        let now = start + Duration::from_secs(5);
        assert_eq!(in_flight.overdue(now).map(|expected| expected.correlation_id), Some(1));
        let drained: Vec<_> = in_flight
            .drain(now)
            .map(|(expected, overdue)| (expected.waiter, expected.begun, overdue))
            .collect();
        assert_eq!(drained, [(10, true, true), (20, false, true), (30, false, false)]);
        assert_eq!((in_flight.poll_deadline(), in_flight.is_empty()), (None, true));
    }
}
