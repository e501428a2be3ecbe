//! Random sequences of sends, answers, errors, broken connections, moved leaders and timeouts against the model.

#![allow(
    clippy::disallowed_methods,
    reason = "a test plays the application, with clock and tasks of its own"
)]

use std::collections::{BTreeMap, HashMap, VecDeque};

use ottla_protocol::records::ProducerState;
use proptest::prelude::*;

use super::*;
use crate::model::Log;
use crate::sender::plan::Planned;

const PARTITIONS: i32 = 2;
const NODES: [NodeId; 2] = [1, 2];

/// What may happen.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Records for a partition.
    Send { partition: i32, records: u8 },
    /// Time passes.
    Pass { ms: u64 },
    /// Everything that may be sent to a node is sent.
    Submit { node: usize },
    /// A node takes its next request and answers; with an error, each batch of `mask` gets it instead of being appended.
    Answer { node: usize, fault: Fault, mask: u8 },
    /// The connection breaks after the node took some of the requests.
    Break { node: usize, taken: usize },
    /// The partition's leader moves.
    Move { partition: i32, node: usize },
    /// Everything is flushed.
    Flush,
    /// Everything is given up.
    Abort,
    /// The topic is forgotten if nothing is under way, and learned of again.
    Forget,
    /// A codec is done with one of the batches that it has, or fails.
    Codec { which: usize, fails: bool },
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// Refused, retriable.
    Refuse(ErrorCode),
    /// Appended, and an error all the same.
    Append(ErrorCode),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        2 => Just(Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS)),
        1 => Just(Fault::Refuse(ErrorCode::INVALID_RECORD)),
        1 => Just(Fault::Append(ErrorCode::REQUEST_TIMED_OUT)),
        1 => Just(Fault::Append(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND)),
        1 => Just(Fault::Append(ErrorCode::NOT_LEADER_OR_FOLLOWER)),
        1 => Just(Fault::Append(ErrorCode::UNKNOWN_SERVER_ERROR)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..PARTITIONS, 1..12u8).prop_map(|(partition, records)| Step::Send { partition, records }),
        4 => prop_oneof![1..30u64, 1..30u64, 100..900u64].prop_map(|ms| Step::Pass { ms }),
        6 => (0..2usize).prop_map(|node| Step::Submit { node }),
        6 => (0..2usize, fault(), any::<u8>()).prop_map(|(node, fault, mask)| Step::Answer { node, fault, mask }),
        1 => (0..2usize, 0..4usize).prop_map(|(node, taken)| Step::Break { node, taken }),
        1 => (0..PARTITIONS, 0..2usize).prop_map(|(partition, node)| Step::Move { partition, node }),
        1 => Just(Step::Flush),
        1 => Just(Step::Abort),
        1 => Just(Step::Forget),
        4 => (0..4usize, 0..8u8).prop_map(|(which, chance)| Step::Codec { which, fails: chance == 0 }),
    ]
}

struct World {
    bench: Bench,
    leaders: BTreeMap<i32, NodeId>,
    logs: BTreeMap<i32, Log>,
    pipes: BTreeMap<NodeId, VecDeque<Planned>>,
    /// Per partition, in the order of sending.
    sent: BTreeMap<i32, Vec<(u32, Delivery)>>,
    next_value: u32,
    idempotent: bool,
    /// The brokers' `max.message.bytes`.
    max_message: usize,
    /// What follows the number in a record.
    padding: usize,
    /// What codecs have.
    jobs: Vec<SealJob>,
}

impl World {
    fn new(idempotent: bool, max_in_flight: usize, max_message: usize) -> Self {
        let bench = Bench::new(PARTITIONS as usize, 240, |rules| {
            rules.idempotent = idempotent;
            rules.max_in_flight = max_in_flight;
        });
        World {
            bench,
            leaders: (0..PARTITIONS).map(|partition| (partition, 1)).collect(),
            logs: (0..PARTITIONS).map(|partition| (partition, Log::default())).collect(),
            pipes: NODES.iter().map(|node| (*node, VecDeque::new())).collect(),
            sent: BTreeMap::new(),
            next_value: 0,
            idempotent,
            max_message,
            padding: 0,
            jobs: Vec::new(),
        }
    }

    /// With records that are worth it to be compressed elsewhere.
    #[cfg(feature = "lz4")]
    fn compressing(max_in_flight: usize) -> Self {
        let mut world = World::new(true, max_in_flight, usize::MAX);
        world.bench = Bench::with_memory(64 << 20, PARTITIONS as usize, 12_000, |rules| {
            rules.max_in_flight = max_in_flight;
        });
        world.bench.sender.compressor = lz4();
        world.padding = 3_000;
        world
    }

    fn absorb(&mut self) {
        let mut touched = Vec::new();
        self.bench.accumulator.inbox.take(&mut touched);
        let leaders = &self.leaders;
        let leader = |_: &str, partition: i32| leaders.get(&partition).copied();
        self.bench.sender.touched(&touched, self.bench.now, leader);
        self.bench.sender.wake(self.bench.now);
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Send { partition, records } => {
                for _ in 0..records {
                    let value = self.next_value;
                    self.next_value += 1;
                    let value_bytes = [&value.to_be_bytes()[..], &vec![0; self.padding]].concat();
                    let delivery = self.bench.send(partition, &value_bytes);
                    self.sent.entry(partition).or_default().push((value, delivery));
                }
            }
            Step::Pass { ms } => self.bench.now += MS(ms),
            Step::Submit { node } => self.submit(NODES[node]),
            Step::Answer { node, fault, mask } => self.answer(NODES[node], fault, mask),
            Step::Break { node, taken } => self.break_connection(NODES[node], taken),
            Step::Move { partition, node } => {
                self.leaders.insert(partition, NODES[node]);
                self.learn_leaders();
            }
            Step::Flush => {
                let leaders = &self.leaders;
                let now = self.bench.now;
                self.bench.sender.flush(now, now, |_, partition| leaders.get(&partition).copied());
            }
            Step::Abort => {
                let leaders = &self.leaders;
                let error = Error::new(ErrorKind::InvalidState, "given up");
                let leader = |_: &str, partition| leaders.get(&partition).copied();
                self.bench.sender.abort(&error, self.bench.now, leader);
                for (_, delivery) in self.sent.values_mut().flatten() {
                    assert!(delivery.outcome().is_some(), "told at once");
                }
            }
            Step::Codec { which, fails } => self.compress(which, fails),
            Step::Forget => {
                if self.bench.sender.forget("t") {
                    self.bench.accumulator.update_topic(&"t".into(), vec![Some(1); PARTITIONS as usize]);
                }
            }
        }
        self.absorb();
    }

    /// Lets a codec finish one of its jobs.
    fn compress(&mut self, which: usize, fails: bool) {
        self.jobs.append(&mut self.bench.sender.seal_jobs());
        if self.jobs.is_empty() {
            return;
        }
        let SealJob { index, job, body } = self.jobs.swap_remove(which % self.jobs.len());
        let result = match fails {
            true => Err(Error::new(ErrorKind::Encode, "it failed")),
            false => Ok(body.seal(ProducerState::NONE, &mut self.bench.sender.compressor).expect("a codec")),
        };
        self.bench.sender.sealed(index, job, result, self.bench.now);
    }

    fn learn_leaders(&mut self) {
        let leaders = &self.leaders;
        self.bench.sender.leaders(self.bench.now, |_, partition| leaders.get(&partition).copied());
    }

    fn submit(&mut self, node: NodeId) {
        self.absorb();
        while let Some(planned) = self.bench.sender.plan(node, self.bench.now) {
            self.pipes.get_mut(&node).expect("known").push_back(planned);
        }
    }

    fn take(&mut self, node: NodeId, planned: &Planned, fault: Fault, mask: u8) -> Vec<Said> {
        let mut answers = Vec::new();
        for (at, item) in planned.items.iter().enumerate() {
            let fault = if mask >> (at % 8) & 1 == 1 { fault } else { Fault::None };
            let leads = self.leaders[&item.partition] == node;
            let log = self.logs.get_mut(&item.partition).expect("known");
            let result = match fault {
                _ if !leads => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
                _ if item.records.len() > self.max_message => Err(ErrorCode::MESSAGE_TOO_LARGE),
                Fault::None => log.append(&item.records),
                Fault::Refuse(code) => Err(code),
                Fault::Append(code) => log.append(&item.records).and(Err(code)),
            };
            answers.push(match result {
                Ok(offset) => Said { base_offset: Some(offset), ..Said::default() },
                Err(code) => Said { code, ..Said::default() },
            });
        }
        answers
    }

    fn answer(&mut self, node: NodeId, fault: Fault, mask: u8) {
        let Some(planned) = self.pipes.get_mut(&node).expect("known").pop_front() else { return };
        let answers = self.take(node, &planned, fault, mask);
        let said = |at: usize| Answer::Said(answers[at].clone());
        self.bench.sender.answered(planned.id, said, Duration::ZERO, self.bench.now, 0.5);
    }

    fn break_connection(&mut self, node: NodeId, taken: usize) {
        let requests = std::mem::take(self.pipes.get_mut(&node).expect("known"));
        for (at, planned) in requests.iter().enumerate() {
            if at < taken {
                self.take(node, planned, Fault::None, 0);
            }
        }
        for planned in requests {
            let error = Error::new(ErrorKind::Disconnected, "broken").with_possibly_written(true);
            let failed = |_| Answer::Failed(error.clone());
            self.bench.sender.answered(planned.id, failed, Duration::ZERO, self.bench.now, 0.5);
        }
    }

    /// No more faults: everything gets its outcome in bounded time.
    fn heal(&mut self) {
        for _ in 0..2_000 {
            self.absorb();
            self.compress(0, false);
            for node in NODES {
                self.submit(node);
                while !self.pipes[&node].is_empty() {
                    self.answer(node, Fault::None, 0);
                }
            }
            self.bench.sender.balance(self.bench.now);
            if self.bench.sender.is_idle() && self.bench.sender.staging.is_idle() {
                return;
            }
            self.bench.now += MS(5);
        }
        panic!("not idle after 10 s without faults");
    }

    fn check(&mut self) {
        for (partition, sent) in &mut self.sent {
            let log = &self.logs[partition].values;
            let mut counts: HashMap<u32, usize> = HashMap::new();
            log.iter().for_each(|value| *counts.entry(*value).or_default() += 1);
            for (value, delivery) in sent {
                let copies = counts.get(value).copied().unwrap_or(0);
                match delivery.outcome().expect("every record is told") {
                    Ok(delivered) => {
                        assert!(copies >= 1, "{value} was acknowledged and is lost");
                        if let Some(offset) = delivered.offset {
                            assert_eq!(log[offset as usize], *value, "at its offset");
                        }
                    }
                    Err(error) if copies > 0 => {
                        assert!(error.possibly_written(), "{value} is written: {error}")
                    }
                    Err(_) => {}
                }
                assert!(!self.idempotent || copies <= 1, "{value} is in the log {copies} times");
            }
            if self.idempotent {
                assert!(log.is_sorted(), "out of order: {log:?}");
            }
        }
        let memory = &self.bench.accumulator.memory;
        assert!(memory.try_take(memory.limit()).is_some(), "all memory came back");
    }
}

#[cfg(feature = "lz4")]
fn lz4() -> Compressor {
    Compressor::new(ottla_protocol::compression::Compression::Lz4.default_level()).expect("built in")
}

proptest! {
    #[cfg(feature = "lz4")]
    #[test]
    fn compressed_records_are_in_the_log_once_in_order_and_told_once(
        steps in prop::collection::vec(step(), 1..100),
        in_flight in 1..=5usize,
    ) {
        let mut world = World::compressing(in_flight);
        for step in steps {
            world.run(step);
        }
        world.heal();
        world.check();
    }

    #[test]
    fn idempotent_records_are_in_the_log_once_in_order_and_told_once(
        steps in prop::collection::vec(step(), 1..100),
        in_flight in 1..=5usize,
        max_message in 60..260usize,
    ) {
        let mut world = World::new(true, in_flight, max_message);
        for step in steps {
            world.run(step);
        }
        world.heal();
        world.check();
    }

    #[test]
    fn records_without_idempotence_are_told_once_and_not_lost(
        steps in prop::collection::vec(step(), 1..100),
        in_flight in 1..=5usize,
        max_message in 60..260usize,
    ) {
        let mut world = World::new(false, in_flight, max_message);
        for step in steps {
            world.run(step);
        }
        world.heal();
        world.check();
    }
}
