//! The sender against an invented clock: scripts of single rules here, chance against a model of brokers in [`random`].

#![allow(
    clippy::disallowed_methods,
    reason = "a test plays the application, with clock and tasks of its own"
)]

#[cfg(feature = "lz4")]
mod compressing;
mod ending;
mod random;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::{Backoff, ErrorKind};
use ottla_protocol::compression::Compressor;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::records::Batches;

use super::*;
use crate::accumulator::Attempt;
use crate::delivery::{Delivered, Delivery};
use crate::partitioner::PartitionerClass;
use crate::record::Record;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// A sender, its clock, and topic `t` with a number of partitions led by node 1.
struct Bench {
    sender: Sender,
    accumulator: Arc<Accumulator>,
    start: Instant,
    now: Instant,
    leader: Option<NodeId>,
}

impl Bench {
    fn new(partitions: usize, batch_size: usize, change: impl FnOnce(&mut Rules)) -> Self {
        Bench::with_memory(1 << 20, partitions, batch_size, change)
    }

    fn with_memory(
        memory: usize,
        partitions: usize,
        batch_size: usize,
        change: impl FnOnce(&mut Rules),
    ) -> Self {
        let mut rules = Rules {
            idempotent: true,
            max_in_flight: 5,
            max_request_size: 1 << 20,
            linger: MS(5),
            delivery_timeout: MS(2_000),
            retries: u32::MAX,
            backoff: Backoff::new(MS(10), MS(40)).with_shape(2.0, 0.0),
            adaptive: true,
            availability: Duration::ZERO,
            max_idle: MS(300_000),
        };
        change(&mut rules);
        let accumulator =
            Arc::new(Accumulator::new(batch_size, 1 << 20, memory, PartitionerClass::Default, false));
        accumulator.update_topic(&"t".into(), vec![Some(1); partitions]);
        let start = Instant::now();
        let mut sender = Sender::new(rules, Arc::clone(&accumulator), Compressor::none());
        sender.identified(Identity { producer_id: 7, epoch: 0 }, start);
        Bench { sender, accumulator, start, now: start, leader: Some(1) }
    }

    fn send(&self, partition: i32, value: &[u8]) -> Delivery {
        let record = Record::new("t").partition(partition).value(value);
        self.accumulator
            .append(&record, 1, &mut Attempt::default(), || self.now, || 0)
            .expect("room")
            .delivery
    }

    fn at(&mut self, ms: u64) {
        self.now = self.start + MS(ms);
        self.absorb();
    }

    fn absorb(&mut self) {
        let mut touched = Vec::new();
        self.accumulator.inbox.take(&mut touched);
        let leader = self.leader;
        self.sender.touched(&touched, self.now, |_, _| leader);
        self.sender.wake(self.now);
    }

    /// The partitions and record counts of the next request to node 1.
    fn plan(&mut self) -> Option<(RequestId, Vec<(i32, i32)>)> {
        self.absorb();
        let planned = self.sender.plan(1, self.now)?;
        let items = planned.items.iter().map(|item| {
            let batch = Batches::new(item.records.clone()).next().expect("a batch").expect("whole");
            (item.partition, batch.header().count)
        });
        Some((planned.id, items.collect()))
    }

    fn answer(&mut self, id: RequestId, code: ErrorCode) {
        let said = Said { code, base_offset: Some(100).filter(|_| code.is_ok()), ..Said::default() };
        self.sender.answered(id, |_| Answer::Said(said.clone()), Duration::ZERO, self.now, 0.5);
    }
}

fn failure(delivery: &mut Delivery) -> Error {
    delivery.outcome().expect("told").expect_err("a failure")
}

#[test]
fn an_open_batch_lingers_and_a_full_one_does_not() {
    let mut bench = Bench::new(2, 200, |_| {});
    let mut small = bench.send(0, b"one");
    assert!(bench.plan().is_none());
    assert_eq!(bench.sender.next_wake(bench.now), Some(bench.start + MS(5)));
    let _full: Vec<_> = (0..2).map(|_| bench.send(1, &[0; 100])).collect();
    assert_eq!(bench.plan().expect("full").1, [(1, 1)]);
    bench.at(5);
    let (id, items) = bench.plan().expect("lingered");
    assert_eq!(items, [(0, 1)]);
    bench.answer(id, ErrorCode::NONE);
    let delivered = Delivered { topic: "t".into(), partition: 0, offset: Some(100), timestamp: 1 };
    assert_eq!(small.outcome().expect("told").expect("acknowledged"), delivered);
}

#[test]
fn a_request_holds_one_batch_of_a_partition_and_as_many_as_the_size_allows() {
    let mut bench = Bench::new(3, 200, |rules| rules.max_request_size = 450);
    let mut sent = Vec::new();
    for partition in 0..3 {
        sent.extend((0..2).map(|_| bench.send(partition, &[0; 100])));
    }
    bench.at(5);
    // Each batch has one record of 100 bytes: 61 + 100 + some more.
    assert_eq!(bench.plan().expect("due").1, [(0, 1), (1, 1)]);
    assert_eq!(
        bench.plan().expect("due").1,
        [(2, 1)],
        "no partition has an anchor yet, so nothing else goes out"
    );
    assert!(bench.plan().is_none());
}

#[test]
fn a_partition_whose_leader_left_and_came_back_has_one_batch_in_a_request() {
    let mut bench = Bench::new(1, 200, |rules| rules.idempotent = false);
    let _sent: Vec<_> = (0..3).map(|_| bench.send(0, &[0; 100])).collect();
    bench.at(5);
    bench.sender.leaders(bench.now, |_, _| Some(2));
    bench.sender.leaders(bench.now, |_, _| Some(1));
    let requests: Vec<_> = std::iter::from_fn(|| bench.plan()).map(|(_, items)| items).collect();
    assert_eq!(requests, [[(0, 1)], [(0, 1)], [(0, 1)]]);
}

#[test]
fn nothing_new_overtakes_what_a_new_leader_a_new_topic_or_a_forgetful_broker_may_refuse() {
    let doubts: [fn(&mut Bench); 3] = [
        |bench| bench.sender.recreated(|topic| topic == "t"),
        |bench| {
            bench.sender.leaders(bench.now, |_, _| Some(2));
            bench.sender.leaders(bench.now, |_, _| Some(1));
        },
        |bench| bench.now += Duration::from_secs(3_600),
    ];
    for (at, doubt) in doubts.into_iter().enumerate() {
        let mut bench = Bench::new(1, 200, |rules| rules.delivery_timeout = Duration::from_secs(9_999));
        let _first = bench.send(0, &[0; 100]);
        bench.at(5);
        let (id, _) = bench.plan().expect("due");
        bench.answer(id, ErrorCode::NONE);
        doubt(&mut bench);
        let _sent: Vec<_> = (0..3).map(|_| bench.send(0, &[0; 100])).collect();
        let (id, _) = bench.plan().expect("one");
        assert!(bench.plan().is_none(), "doubt {at}");
        bench.answer(id, ErrorCode::NONE);
        assert!(bench.plan().is_some(), "doubt {at} is over");
    }
}

#[test]
fn at_most_so_many_requests_are_in_flight_to_a_broker_and_throttling_is_obeyed() {
    let mut bench = Bench::new(3, 200, |rules| {
        rules.max_in_flight = 2;
        rules.max_request_size = 1;
        rules.linger = Duration::ZERO;
    });
    let _sent: Vec<_> = (0..3).map(|partition| bench.send(partition, b"v")).collect();
    let (first, _) = bench.plan().expect("one");
    let (second, _) = bench.plan().expect("two");
    assert!(bench.plan().is_none());
    bench.answer(first, ErrorCode::NONE);
    let said = Said { base_offset: Some(1), ..Said::default() };
    bench.sender.answered(second, |_| Answer::Said(said.clone()), MS(30), bench.now, 0.5);
    assert!(bench.plan().is_none(), "throttled");
    assert!(bench.sender.next_ready(None, bench.now).is_none());
    assert_eq!(bench.sender.next_wake(bench.now), Some(bench.start + MS(30)));
    bench.at(30);
    assert_eq!(bench.plan().expect("three").1, [(2, 1)]);
}

#[test]
fn what_cannot_be_sent_is_not_planned_again_at_the_same_instant_even_without_backoff() {
    let mut bench = Bench::new(2, 200, |rules| {
        (rules.linger, rules.backoff) = (Duration::ZERO, Backoff::new(Duration::ZERO, Duration::ZERO));
    });
    let _sent = [bench.send(0, b"v"), bench.send(1, b"v")];
    let mut planned = 0;
    while let Some((id, _)) = bench.plan().filter(|_| planned < 10) {
        planned += 1;
        let failed = |_| Answer::Failed(Error::new(ErrorKind::Disconnected, "refused here"));
        bench.sender.answered(id, failed, Duration::ZERO, bench.now, 0.5);
    }
    assert!((1..=2).contains(&planned), "{planned}");
    assert_eq!(bench.sender.next_wake(bench.now), Some(bench.now + MS(1)));
    bench.at(1);
    assert!(bench.plan().is_some());
}

#[test]
fn a_broker_that_left_is_forgotten_once_nothing_is_under_way_to_it() {
    let mut bench = Bench::new(1, 200, |rules| rules.linger = Duration::ZERO);
    let _first = bench.send(0, b"v");
    bench.absorb();
    bench.sender.brokers(|_| false, bench.now);
    assert_eq!(bench.sender.nodes.len(), 1, "something waits for it");
    let (id, _) = bench.plan().expect("one");
    bench.sender.brokers(|_| false, bench.now);
    assert_eq!(bench.sender.nodes.len(), 1, "a request is under way");
    bench.sender.answered(id, |_| Answer::Said(Said::default()), MS(30), bench.now, 0.5);
    bench.sender.brokers(|_| false, bench.now);
    assert_eq!(bench.sender.nodes.len(), 1, "it wants to be left alone");
    bench.at(30);
    bench.sender.brokers(|node| node == 1, bench.now);
    assert_eq!(bench.sender.nodes.len(), 1, "it is there");
    bench.sender.brokers(|_| false, bench.now);
    assert_eq!(bench.sender.nodes.len(), 0);
    let _second = bench.send(0, b"w");
    assert_eq!(bench.plan().expect("two").1, [(0, 1)], "it came back");
}

#[test]
fn a_leaderless_partition_waits_asks_for_metadata_and_goes_on_with_its_leader() {
    let mut bench = Bench::new(1, 200, |_| {});
    bench.leader = None;
    let _sent = bench.send(0, b"v");
    bench.at(5);
    assert!(bench.sender.wants_metadata() && bench.sender.next_ready(None, bench.now).is_none());
    bench.sender.leaders(bench.now, |_, _| Some(1));
    assert_eq!(bench.plan().expect("led").1, [(0, 1)]);
}

#[test]
fn a_record_times_out_naming_the_last_cause_and_whether_it_may_be_written() {
    let mut bench = Bench::new(2, 200, |_| {});
    let mut refused = bench.send(0, b"refused");
    let mut silent = bench.send(1, b"silent");
    bench.at(5);
    let (id, items) = bench.plan().expect("due");
    assert_eq!(items.len(), 2);
    let broken =
        Error::new(ErrorKind::Disconnected, "node 1 closed the connection").with_possibly_written(true);
    let said = Said { code: ErrorCode::NOT_ENOUGH_REPLICAS, ..Said::default() };
    let answers = |at| if at == 0 { Answer::Said(said.clone()) } else { Answer::Failed(broken.clone()) };
    bench.sender.answered(id, answers, Duration::ZERO, bench.now, 0.5);
    bench.at(1_999);
    assert!(refused.outcome().is_none() && silent.outcome().is_none());
    bench.at(2_000);
    let (refused, silent) = (failure(&mut refused), failure(&mut silent));
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Timeout, Some(ErrorCode::NOT_ENOUGH_REPLICAS)));
    assert_eq!((refused.possibly_written(), silent.possibly_written()), (false, true));
    assert_eq!((silent.tries(), silent.cause().map(Error::kind)), (1, Some(ErrorKind::Disconnected)));
    assert!(bench.sender.is_idle());
}

#[test]
fn records_that_never_found_a_leader_or_a_connection_say_so() {
    let mut bench = Bench::new(1, 200, |_| {});
    let mut unreachable = bench.send(0, b"v");
    bench.at(5);
    bench.sender.unreachable(1, Error::new(ErrorKind::Connect, "cannot connect to node 1"));
    bench.at(2_000);
    assert!(failure(&mut unreachable).to_string().ends_with("cannot connect to node 1"));
    bench.sender.leaders(bench.now, |_, _| None);
    let mut leaderless = bench.send(0, b"v");
    bench.at(4_000);
    let error = failure(&mut leaderless);
    assert_eq!((error.code(), error.possibly_written()), (Some(ErrorCode::LEADER_NOT_AVAILABLE), false));
}

#[test]
fn a_batch_too_large_is_split_down_to_the_record_that_alone_fails() {
    let mut bench = Bench::new(1, 400, |_| {});
    let mut sent: Vec<_> = [10, 150, 10].map(|len| bench.send(0, &vec![b'v'; len])).into();
    bench.at(5);
    let (whole, items) = bench.plan().expect("due");
    assert_eq!(items, [(0, 3)]);
    bench.answer(whole, ErrorCode::MESSAGE_TOO_LARGE);
    let (half, items) = bench.plan().expect("the first half");
    assert_eq!(items, [(0, 2)]);
    bench.answer(half, ErrorCode::MESSAGE_TOO_LARGE);
    let (single, items) = bench.plan().expect("the first record");
    assert_eq!(items, [(0, 1)]);
    bench.answer(single, ErrorCode::NONE);
    let (single, items) = bench.plan().expect("the large one, now that the epoch has an anchor");
    assert_eq!(items, [(0, 1)]);
    bench.answer(single, ErrorCode::MESSAGE_TOO_LARGE);
    assert_eq!(failure(&mut sent[1]).kind(), ErrorKind::RecordTooLarge);
    let (last, items) = bench.plan().expect("the last record");
    assert_eq!(items, [(0, 1)]);
    bench.answer(last, ErrorCode::NONE);
    assert!(sent[0].outcome().expect("told").is_ok() && sent[2].outcome().expect("told").is_ok());
    let metrics = bench.accumulator.memory.meter.snapshot();
    assert_eq!((metrics.total.records_sent, metrics.total.records_retried), (3, 0), "a split is no retry");
    assert_eq!((metrics.batches.sent, metrics.batches.split, metrics.batches.retried), (1, 2, 0));
}

#[test]
fn the_part_of_a_split_batch_is_retried_like_any_batch() {
    let mut bench = Bench::new(1, 400, |_| {});
    let _sent: Vec<_> = [10, 150].map(|len| bench.send(0, &vec![b'v'; len])).into();
    bench.at(5);
    let (whole, _) = bench.plan().expect("due");
    bench.answer(whole, ErrorCode::MESSAGE_TOO_LARGE);
    let (part, _) = bench.plan().expect("the first part");
    bench.answer(part, ErrorCode::NOT_ENOUGH_REPLICAS);
    bench.at(1_000);
    let (again, items) = bench.plan().expect("the first part again");
    assert_eq!(items, [(0, 1)]);
    bench.answer(again, ErrorCode::NONE);
    assert_eq!(bench.accumulator.memory.meter.snapshot().total.records_retried, 1);
}

#[test]
fn being_behind_a_batch_that_is_too_large_costs_neither_a_try_nor_a_pause() {
    let mut bench = Bench::new(1, 200, |rules| rules.retries = 1);
    let mut anchor = bench.send(0, b"first");
    bench.at(5);
    let (first, _) = bench.plan().expect("due");
    bench.answer(first, ErrorCode::NONE);
    assert!(anchor.outcome().expect("told").is_ok());
    for round in 0..4 {
        let mut large = bench.send(0, &[0; 130]);
        let mut good: Vec<_> = (0..3).map(|_| bench.send(0, &[0; 120])).collect();
        bench.now += MS(5);
        let sent: Vec<RequestId> = std::iter::from_fn(|| bench.plan()).map(|(id, _)| id).collect();
        assert_eq!(sent.len(), 4, "round {round}");
        bench.answer(sent[0], ErrorCode::MESSAGE_TOO_LARGE);
        assert_eq!(failure(&mut large).kind(), ErrorKind::RecordTooLarge);
        for id in &sent[1..] {
            bench.answer(*id, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        }
        // At once, and numbered anew: the first of the new epoch alone, then the others.
        while let Some((id, _)) = bench.plan() {
            bench.answer(id, ErrorCode::NONE);
        }
        for delivery in &mut good {
            assert!(delivery.outcome().expect("told").is_ok(), "round {round}");
        }
    }
}

#[test]
fn a_fatal_answer_fails_everything_once() {
    let mut bench = Bench::new(2, 200, |_| {});
    let mut sent: Vec<_> = [0, 1].map(|partition| bench.send(partition, b"v")).into();
    bench.at(5);
    let (id, _) = bench.plan().expect("due");
    sent.push(bench.send(0, b"open"));
    bench.answer(id, ErrorCode::PRODUCER_FENCED);
    assert_eq!(bench.sender.fatal().map(Error::kind), Some(ErrorKind::Fenced));
    for delivery in &mut sent {
        let error = failure(delivery);
        assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::Fenced, false));
    }
}

#[test]
fn retries_are_counted_and_paused_for() {
    let mut bench = Bench::new(1, 200, |rules| rules.retries = 2);
    let mut sent = bench.send(0, b"v");
    bench.at(5);
    for pause in [10, 20] {
        let (id, _) = bench.plan().expect("due");
        bench.answer(id, ErrorCode::NOT_ENOUGH_REPLICAS);
        assert!(bench.plan().is_none());
        let wake = bench.sender.next_wake(bench.now).expect("a timer");
        assert_eq!(wake, bench.now + MS(pause));
        bench.now = wake;
        bench.absorb();
    }
    let (id, _) = bench.plan().expect("the last try");
    bench.answer(id, ErrorCode::NOT_ENOUGH_REPLICAS);
    let error = failure(&mut sent);
    assert_eq!((error.tries(), error.code()), (3, Some(ErrorCode::NOT_ENOUGH_REPLICAS)));
}

#[test]
fn a_flush_sends_what_is_open_and_later_records_stay_out_of_it() {
    let mut bench = Bench::new(1, 1_000, |_| {});
    let _before: Vec<_> = (0..3).map(|_| bench.send(0, b"before")).collect();
    bench.absorb();
    let waiting = bench.sender.flush(bench.now, bench.now, |_, _| Some(1));
    assert_eq!(waiting.len(), 1);
    let _after = bench.send(0, b"after");
    let (id, items) = bench.plan().expect("no linger");
    assert_eq!(items, [(0, 3)]);
    bench.answer(id, ErrorCode::NONE);
    assert!(waiting[0].is_told());
    assert!(bench.plan().is_none(), "the later record lingers");
}

#[test]
fn a_flush_leaves_alone_what_was_opened_after_it_was_asked_for() {
    let mut bench = Bench::new(2, 200, |rules| rules.linger = MS(1_000));
    let _before: Vec<_> = (0..2).map(|_| bench.send(0, &[0; 100])).collect();
    let asked = bench.now;
    bench.at(1);
    let _after = [bench.send(0, &[0; 100]), bench.send(0, &[0; 100]), bench.send(1, b"after")];
    bench.absorb();
    let waiting = bench.sender.flush(asked, bench.now, |_, _| Some(1));
    assert_eq!(waiting.len(), 2, "the full batch and the open one of that time");
    for _ in 0..2 {
        let (id, items) = bench.plan().expect("no linger");
        assert_eq!(items, [(0, 1)]);
        bench.answer(id, ErrorCode::NONE);
    }
    assert!(waiting.iter().all(|batch| batch.is_told()));
    let (_, items) = bench.plan().expect("full in the meantime");
    assert_eq!(items, [(0, 1)]);
    assert!(bench.plan().is_none(), "the rest lingers");
}

#[test]
fn without_room_open_batches_do_not_linger() {
    let mut bench = Bench::new(1, 200, |rules| rules.linger = MS(1_000));
    let _sent = bench.send(0, b"v");
    assert!(bench.plan().is_none());
    let accumulator = Arc::clone(&bench.accumulator);
    let mut wait = accumulator.memory.reserve(1 << 20);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::pin::Pin::new(&mut wait).poll(&mut cx).is_pending());
    let (id, _) = bench.plan().expect("memory is short");
    bench.answer(id, ErrorCode::NONE);
    assert!(std::pin::Pin::new(&mut wait).poll(&mut cx).is_ready());
}

#[test]
fn records_at_fault_are_told_apart_and_the_rest_of_the_partition_goes_on() {
    let mut bench = Bench::new(1, 1_000, |_| {});
    let mut sent: Vec<_> = (0..3).map(|_| bench.send(0, b"v")).collect();
    bench.at(5);
    let (id, _) = bench.plan().expect("due");
    let said = Said {
        code: ErrorCode::INVALID_RECORD,
        record_errors: vec![(1, Some("no key".into()))],
        message: Some("bad records".into()),
        ..Said::default()
    };
    bench.sender.answered(id, |_| Answer::Said(said.clone()), Duration::ZERO, bench.now, 0.5);
    let texts: Vec<_> = sent.iter_mut().map(|delivery| failure(delivery).to_string()).collect();
    assert!(texts[1].contains("(no key)"), "{texts:?}");
    assert!(texts[0].contains("1 of its other records") && texts[0] == texts[2], "{texts:?}");
    let _next = bench.send(0, b"v");
    bench.at(10);
    assert!(bench.plan().is_some());
}

/// A batch's partition, epoch and first sequence number.
type Number = (i32, i16, i32);

fn numbers(planned: &plan::Planned) -> Vec<Number> {
    let number = |item: &Item| {
        let batch = Batches::new(item.records.clone()).next().expect("a batch").expect("whole");
        (item.partition, batch.header().producer_epoch, batch.header().base_sequence)
    };
    planned.items.iter().map(number).collect()
}

impl Bench {
    fn plan_numbers(&mut self) -> Option<(RequestId, Vec<Number>)> {
        self.absorb();
        let planned = self.sender.plan(1, self.now)?;
        Some((planned.id, numbers(&planned)))
    }

    /// Answers a request with a code for each of its batches.
    fn answer_each(&mut self, id: RequestId, codes: &[ErrorCode]) {
        let said = |at: usize| {
            let code = codes[at];
            Answer::Said(Said { code, base_offset: Some(100).filter(|_| code.is_ok()), ..Said::default() })
        };
        self.sender.answered(id, said, Duration::ZERO, self.now, 0.5);
    }

    /// Two partitions with a batch acknowledged in each, so that more may be in flight, and one more request with both.
    fn two_under_way(&mut self) -> (RequestId, [Delivery; 2]) {
        let _first = [self.send(0, b"first"), self.send(1, b"first")];
        self.at(5);
        let (id, _) = self.plan_numbers().expect("due");
        self.answer(id, ErrorCode::NONE);
        let sent = [self.send(0, b"second"), self.send(1, b"second")];
        self.at(10);
        let (id, numbers) = self.plan_numbers().expect("due");
        assert_eq!(numbers, [(0, 0, 1), (1, 0, 1)]);
        (id, sent)
    }
}

#[test]
fn one_partitions_fatal_answer_leaves_the_other_of_the_same_request_alone() {
    for code in
        [ErrorCode::TOPIC_AUTHORIZATION_FAILED, ErrorCode::INVALID_RECORD, ErrorCode::INVALID_TIMESTAMP]
    {
        let mut bench = Bench::new(2, 200, |_| {});
        let (id, [mut refused, mut written]) = bench.two_under_way();
        bench.answer_each(id, &[code, ErrorCode::NONE]);
        let error = failure(&mut refused);
        assert_eq!((error.code(), error.possibly_written(), error.tries()), (Some(code), false, 1));
        assert!(written.outcome().expect("told").is_ok());
        assert!(bench.sender.fatal().is_none());
        let _next = [bench.send(0, b"third"), bench.send(1, b"third")];
        bench.at(20);
        let (_, numbers) = bench.plan_numbers().expect("both go on");
        assert_eq!(numbers, [(0, 1, 0), (1, 0, 2)], "the gap raised the epoch of its partition only");
    }
}

#[test]
fn a_partition_whose_log_lost_the_producer_begins_anew_and_the_other_goes_on() {
    for code in [ErrorCode::UNKNOWN_PRODUCER_ID, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER] {
        let mut bench = Bench::new(2, 200, |_| {});
        let (id, [mut repeated, mut written]) = bench.two_under_way();
        bench.answer_each(id, &[code, ErrorCode::NONE]);
        assert!(repeated.outcome().is_none() && written.outcome().expect("told").is_ok());
        let _next = bench.send(1, b"third");
        bench.at(15);
        assert_eq!(bench.plan_numbers().expect("undisturbed").1, [(1, 0, 2)]);
        bench.at(30);
        let (id, numbers) = bench.plan_numbers().expect("after the pause");
        assert_eq!(numbers, [(0, 1, 0)], "the same record under a new epoch");
        bench.answer(id, ErrorCode::NONE);
        assert!(repeated.outcome().expect("told").is_ok());
    }
}

#[test]
fn a_spent_epoch_asks_for_a_new_id_which_only_its_partition_takes() {
    let mut bench = Bench::new(2, 200, |_| {});
    let (id, [mut repeated, mut written]) = bench.two_under_way();
    bench.answer_each(id, &[ErrorCode::INVALID_PRODUCER_EPOCH, ErrorCode::NONE]);
    assert!(repeated.outcome().is_none() && written.outcome().expect("told").is_ok());
    bench.at(30);
    assert!(bench.plan_numbers().is_none() && bench.sender.wants_identity());
    let _next = bench.send(1, b"third");
    bench.at(40);
    assert_eq!(bench.plan_numbers().expect("it needs no other id").1, [(1, 0, 2)]);
    bench.sender.identified(Identity { producer_id: 8, epoch: 0 }, bench.now);
    let (id, numbers) = bench.plan_numbers().expect("identified");
    assert_eq!(numbers, [(0, 0, 0)]);
    bench.answer(id, ErrorCode::NONE);
    assert!(repeated.outcome().expect("told").is_ok());
}

#[test]
fn without_idempotence_what_is_refused_stays_so_and_nothing_waits_for_it() {
    for code in [ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorCode::INVALID_RECORD] {
        let mut bench = Bench::new(1, 200, |rules| (rules.idempotent, rules.max_in_flight) = (false, 2));
        let mut sent: Vec<_> = (0..3).map(|_| bench.send(0, &[0; 100])).collect();
        bench.at(5);
        let (first, _) = bench.plan_numbers().expect("one");
        let (second, numbers) = bench.plan_numbers().expect("two at once, without an anchor");
        assert_eq!(numbers, [(0, -1, -1)]);
        bench.answer(first, code);
        assert_eq!(failure(&mut sent[0]).code(), Some(code));
        assert!(bench.plan().is_some(), "the third takes its place");
        bench.answer(second, ErrorCode::NONE);
        assert!(sent[1].outcome().expect("told").is_ok());
    }
}

#[test]
fn giving_up_fails_all_at_once_and_what_comes_afterwards_is_in_order() {
    let mut bench = Bench::new(2, 200, |_| {});
    let (id, sent) = bench.two_under_way();
    let open = [bench.send(0, b"open"), bench.send(1, b"open")];
    let error = Error::new(ErrorKind::InvalidState, "given up");
    bench.sender.abort(&error, bench.now, |_, _| Some(1));
    for (mut delivery, possibly) in sent.into_iter().zip([true; 2]).chain(open.into_iter().zip([false; 2])) {
        let error = failure(&mut delivery);
        assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::InvalidState, possibly));
    }
    assert!(bench.sender.is_idle());
    assert_eq!(bench.accumulator.memory.charged(), 0);
    let _after = [bench.send(0, b"after"), bench.send(1, b"after")];
    bench.at(20);
    assert_eq!(bench.plan_numbers().expect("behind what is under way").1, [(0, 0, 2), (1, 0, 2)]);
    bench.answer(id, ErrorCode::NONE);
}

#[test]
fn a_forgotten_topic_goes_on_with_its_numbers() {
    let mut bench = Bench::new(3, 200, |rules| rules.delivery_timeout = MS(900_000));
    for round in 0..3 {
        let _sent = [bench.send(0, b"v"), bench.send(2, b"v")];
        bench.at(10 * round + 5);
        let (id, _) = bench.plan().expect("due");
        bench.answer(id, ErrorCode::NONE);
    }
    assert!(bench.sender.idle_topics(bench.now).is_empty());
    let due = bench.sender.lanes.next_idle_check().expect("a topic is known");
    bench.now = due;
    bench.absorb();
    assert_eq!(bench.sender.idle_topics(due), ["t".into()]);
    assert!(bench.sender.forget("t"));
    assert_eq!((bench.sender.lanes.indices(), bench.accumulator.partition_count("t")), (0..0, 0));

    bench.accumulator.update_topic(&"other".into(), vec![Some(1)]);
    bench.accumulator.update_topic(&"t".into(), vec![Some(1); 3]);
    let _sent: Vec<_> = (0..3).map(|partition| bench.send(partition, &[0; 100])).collect();
    let _more: Vec<_> = (0..3).map(|partition| bench.send(partition, &[0; 100])).collect();
    bench.now += MS(10);
    let (id, numbers) = bench.plan_numbers().expect("due");
    assert_eq!(numbers, [(0, 0, 3), (1, 0, 0), (2, 0, 3)]);
    assert!(
        bench.plan().is_none(),
        "the log may have forgotten the producer: one batch until it says otherwise"
    );
    bench.answer(id, ErrorCode::NONE);
    assert_eq!(bench.plan_numbers().expect("anchored").1, [(0, 0, 4), (1, 0, 1), (2, 0, 4)]);
}

#[test]
fn a_topic_with_something_under_way_is_not_forgotten() {
    let mut bench = Bench::new(1, 200, |rules| rules.delivery_timeout = MS(900_000));
    let mut sent = bench.send(0, b"v");
    bench.at(5);
    assert!(bench.sender.idle_topics(bench.now).is_empty());
    let (id, _) = bench.plan().expect("due");
    bench.now += MS(400_000);
    assert!(bench.sender.idle_topics(bench.now).is_empty() && !bench.sender.forget("t"));
    bench.answer(id, ErrorCode::NONE);
    assert!(sent.outcome().expect("told").is_ok());
    let _open = bench.send(0, b"v");
    assert!(!bench.sender.forget("t"), "not yet seen by the task");
    bench.sender.abort(&Error::new(ErrorKind::InvalidState, "given up"), bench.now, |_, _| Some(1));
    bench.now += MS(400_000);
    assert_eq!(bench.sender.idle_topics(bench.now), ["t".into()]);
}

/// Where 1,500 records without a key went, each of them a batch of its own.
fn spread(bench: &Bench, partitions: usize) -> Vec<usize> {
    let mut random = fastrand::Rng::with_seed(5);
    let mut counts = vec![0; partitions];
    for _ in 0..1_500 {
        let record = Record::new("t").value(&[0; 150]);
        let mut attempt = Attempt::default();
        let random = std::cell::RefCell::new(&mut random);
        let accepted = bench
            .accumulator
            .append(&record, 1, &mut attempt, || bench.now, || random.borrow_mut().u64(..))
            .expect("room");
        counts[accepted.delivery.partition() as usize] += 1;
    }
    counts
}

#[test]
fn records_without_a_key_avoid_partitions_in_which_batches_wait() {
    let mut bench = Bench::new(3, 200, |rules| rules.max_in_flight = 1);
    let _queued: Vec<_> = [0, 0, 0, 0, 1].map(|partition| bench.send(partition, &[0; 150])).into();
    bench.absorb();
    bench.sender.balance(bench.now);
    // The last batch of a partition is open, so 3, 0 and 0 wait: weights of 1, 4 and 4.
    let counts = spread(&bench, 3);
    assert!(counts[0] * 3 < counts[1] && counts[0] * 3 < counts[2], "{counts:?}");
    assert!(counts[0] > 0, "but not for ever");
}

#[test]
fn a_broker_that_takes_nothing_gets_nothing_until_it_does() {
    let mut bench = Bench::new(4, 200, |rules| {
        rules.availability = MS(100);
        rules.max_in_flight = 1;
        rules.delivery_timeout = MS(10_000);
    });
    let node = |partition: i32| Some(if partition < 2 { 1 } else { 2 });
    bench.sender.leaders(bench.now, |_, partition| node(partition));
    let _first = bench.send(0, b"v");
    bench.at(5);
    bench.sender.leaders(bench.now, |_, partition| node(partition));
    let (id, _) = bench.plan().expect("due");
    let _waits = bench.send(1, &[0; 150]);
    let _full = bench.send(1, &[0; 150]);
    bench.at(10);
    bench.sender.balance(bench.now);
    assert!(bench.plan().is_none(), "one is in flight");
    assert_eq!(bench.sender.next_wake(bench.now), Some(bench.now + MS(100)));
    bench.at(110);
    bench.sender.balance(bench.now);
    let counts = spread(&bench, 4);
    assert!(counts[0] + counts[1] <= 1 && counts[2] + counts[3] >= 1_499, "{counts:?}");

    bench.answer(id, ErrorCode::NONE);
    while bench.sender.plan(1, bench.now).is_some() {}
    bench.at(120);
    bench.sender.balance(bench.now);
    let counts = spread(&bench, 4);
    assert!(counts[0] > 100 && counts[1] > 100, "{counts:?}");
}

#[test]
fn what_a_partition_in_use_takes_beside_its_records_is_little() {
    let size = size_of::<lane::Lane>() + size_of::<crate::accumulator::PartitionBuffer>();
    assert!(size <= 640, "{size} bytes");
    assert!(size_of::<Option<crate::sequence::Kept>>() <= 24, "this stays when its topic is forgotten");
}
