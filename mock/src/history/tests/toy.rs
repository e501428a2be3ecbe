//! A toy client on real logs, with switches for bugs: idempotent and transactional producers, two members of a group.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ottla_protocol::compression::Compressor;
use ottla_protocol::records::{BatchBuilder, NO_HEADERS, ProducerState, SealOptions};

use super::*;
use crate::log::{AppendContext, LogConfig, MarkerAppend, PartitionLog};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    SequenceNotBumped,
    RetryWithoutSequence,
    AckBeforeResponse,
    WrongOffset,
    RetryOvertaken,
    SaidNotWritten,
    SentThoughRefused,
    ToldTwice,
    ForgottenOutcome,
    TimeoutIgnored,
    CommitBeforeDelivery,
    CommitOffByOne,
    OldCommitRepeated,
    CommitForgotten,
    CommitAnswerForgotten,
    ZombieCommits,
    StartAtEnd,
    StartAtBeginning,
    PositionStays,
    RecordsDropped,
    RecordsMixedUp,
    HandOutAfterRevoke,
    AssignBeforeRevoke,
    StopEarly,
    AbortedNotFiltered,
    OpenNotHeldBack,
    MarkerMissing,
    CommitForAbort,
}

impl Bug {
    pub(super) const ALL: &[(Bug, Rule)] = &[
        (Bug::SequenceNotBumped, Rule::Lost),
        (Bug::RetryWithoutSequence, Rule::Duplicated),
        (Bug::AckBeforeResponse, Rule::Lost),
        (Bug::WrongOffset, Rule::Misplaced),
        (Bug::RetryOvertaken, Rule::Reordered),
        (Bug::SaidNotWritten, Rule::Unexpected),
        (Bug::SentThoughRefused, Rule::Unexpected),
        (Bug::ToldTwice, Rule::ToldTwice),
        (Bug::ForgottenOutcome, Rule::Untold),
        (Bug::TimeoutIgnored, Rule::Late),
        (Bug::CommitBeforeDelivery, Rule::CommitAhead),
        (Bug::CommitOffByOne, Rule::CommitAhead),
        (Bug::OldCommitRepeated, Rule::CommitBackwards),
        (Bug::CommitForgotten, Rule::CommitLost),
        (Bug::CommitAnswerForgotten, Rule::Untold),
        (Bug::ZombieCommits, Rule::StaleCommit),
        (Bug::StartAtEnd, Rule::Skipped),
        (Bug::StartAtBeginning, Rule::ReadTwice),
        (Bug::PositionStays, Rule::ReadTwice),
        (Bug::RecordsDropped, Rule::Skipped),
        (Bug::RecordsMixedUp, Rule::Altered),
        (Bug::HandOutAfterRevoke, Rule::Unowned),
        (Bug::AssignBeforeRevoke, Rule::TwoOwners),
        (Bug::StopEarly, Rule::Undelivered),
        (Bug::AbortedNotFiltered, Rule::AbortedRead),
        (Bug::OpenNotHeldBack, Rule::EarlyRead),
        (Bug::MarkerMissing, Rule::Torn),
        (Bug::CommitForAbort, Rule::Torn),
    ];
}

const PARTITIONS: usize = 3;
const TRIES: u32 = 4;
const CONTEXT: AppendContext = AppendContext { version: 9, leader_epoch: 0, verified: true };

/// Plays a run.
pub(super) fn play(seed: u64, bug: Option<Bug>) -> History {
    let mut toy = Toy::new(seed, bug);
    for _ in 0..150 {
        toy.step();
    }
    toy.end()
}

struct Toy {
    rng: fastrand::Rng,
    bug: Option<Bug>,
    now: Duration,
    history: History,
    logs: Vec<PartitionLog>,
    /// The idempotent producer's records and numbers in each partition.
    lanes: Vec<Lane>,
    sequence: u64,
    /// The transactional producer: records so far, transactions so far, the next numbers in each partition.
    transactional: (u64, u32, Vec<i32>),
    open: Option<(TransactionId, Vec<usize>)>,
    members: [Member; 2],
    consumers: u32,
    generation: i32,
    committed: BTreeMap<usize, i64>,
}

#[derive(Default)]
struct Lane {
    queue: VecDeque<Item>,
    epoch: i16,
    next: i32,
}

struct Item {
    record: RecordId,
    tries: u32,
    /// Whether a try may have reached the log.
    reached: bool,
    told: bool,
}

#[derive(Default)]
struct Member {
    id: u32,
    positions: BTreeMap<usize, i64>,
    /// Whether others have its partitions already.
    zombie: bool,
}

fn place(partition: usize) -> Place {
    Place::new("t", i32::try_from(partition).unwrap())
}

fn batch(record: RecordId, producer: ProducerState, transactional: bool) -> Bytes {
    let mut builder = BatchBuilder::new(1 << 10);
    builder.try_append(1, None, Some(&record.value(0)), NO_HEADERS).unwrap();
    let options = SealOptions { producer, transactional, ..SealOptions::default() };
    builder.seal(&options, &mut Compressor::none()).unwrap().bytes()
}

impl Toy {
    fn new(seed: u64, bug: Option<Bug>) -> Toy {
        let mut toy = Toy {
            rng: fastrand::Rng::with_seed(seed),
            bug,
            now: Duration::ZERO,
            history: History::new(),
            logs: (0..PARTITIONS).map(|_| PartitionLog::new(LogConfig::default())).collect(),
            lanes: (0..PARTITIONS).map(|_| Lane::default()).collect(),
            sequence: 0,
            transactional: (0, 0, vec![0; PARTITIONS]),
            open: None,
            members: Default::default(),
            consumers: 0,
            generation: 0,
            committed: BTreeMap::new(),
        };
        toy.open_member(0);
        toy.open_member(1);
        toy.rebalance();
        toy
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn note(&mut self, event: Event) {
        self.history.note(self.now, event);
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(self.rng.u64(1..200));
        match self.rng.u8(..40) {
            0..=8 => self.send(),
            9..=18 => {
                let lane = self.rng.usize(..PARTITIONS);
                self.transmit(lane);
            }
            19..=22 => self.transact(),
            23..=31 => {
                let member = self.rng.usize(..2);
                self.poll(member);
            }
            32..=35 => {
                let member = self.rng.usize(..2);
                self.commit(member);
            }
            36 | 37 => self.rebalance(),
            38 => self.crash(),
            _ => self.expel(),
        }
    }

    fn end(mut self) -> History {
        self.end_transaction(true);
        while self.lanes.iter().any(|lane| !lane.queue.is_empty()) {
            (0..PARTITIONS).for_each(|lane| self.transmit(lane));
        }
        self.rebalance();
        for member in 0..2 {
            if !self.has(Bug::StopEarly) {
                for _ in 0..25 {
                    self.poll(member);
                }
            }
            self.commit(member);
        }
        for (partition, offset) in self.committed.clone() {
            self.note(Event::Stored { group: "g".into(), place: place(partition), offset });
        }
        self.note(Event::Finished);
        for (partition, log) in self.logs.iter().enumerate() {
            self.history.keep(place(partition), FinalLog::of(log).unwrap());
        }
        self.history
    }

    fn append(
        &mut self,
        partition: usize,
        record: RecordId,
        producer: ProducerState,
        transactional: bool,
    ) -> i64 {
        let log = &mut self.logs[partition];
        let appended = log.append(1, &CONTEXT, &batch(record, producer, transactional)).unwrap();
        log.set_high_watermark(log.end_offset());
        appended.base_offset
    }

    fn send(&mut self) {
        let record = RecordId { producer: 1, sequence: self.sequence };
        self.sequence += 1;
        let partition = self.rng.usize(..PARTITIONS);
        if self.rng.u8(..10) == 0 {
            self.note(Event::Refused { record });
            if !self.has(Bug::SentThoughRefused) {
                return;
            }
        } else {
            self.note(Event::Sent { record, place: place(partition), transaction: None });
        }
        self.lanes[partition].queue.push_back(Item { record, tries: 0, reached: false, told: false });
    }

    /// One try of the first record of a partition.
    fn transmit(&mut self, partition: usize) {
        let second =
            self.has(Bug::RetryOvertaken) && self.lanes[partition].queue.len() > 1 && self.rng.bool();
        let number = usize::from(second);
        if self.has(Bug::TimeoutIgnored) && self.rng.u8(..30) == 0 {
            self.now += Duration::from_secs(130);
        }
        let Some(mut item) = self.lanes[partition].queue.remove(number) else { return };
        if self.has(Bug::AckBeforeResponse) && !item.told {
            item.told = true;
            self.note(Event::Acknowledged { record: item.record, offset: None });
        }
        if item.tries == TRIES {
            return self.give_up(partition, &item);
        }
        item.tries += 1;
        let (arrives, answered) = (self.rng.u8(..3) > 0, self.rng.u8(..3) > 0);
        let mut offset = None;
        if arrives {
            let Lane { epoch, next, .. } = self.lanes[partition];
            let numbered = ProducerState { producer_id: 1, producer_epoch: epoch, base_sequence: next };
            let bare = self.has(Bug::RetryOvertaken) || self.has(Bug::RetryWithoutSequence) && item.tries > 1;
            let producer = if bare { ProducerState::NONE } else { numbered };
            offset = Some(self.append(partition, item.record, producer, false));
            item.reached = true;
        }
        match offset.filter(|_| answered) {
            None => self.lanes[partition].queue.insert(number, item),
            Some(offset) => {
                if !self.has(Bug::SequenceNotBumped) || self.rng.bool() {
                    // What went without a number used none up.
                    self.lanes[partition].next = self.logs_next(partition);
                }
                let wrong = i64::from(self.has(Bug::WrongOffset) && self.rng.bool());
                let forgets = self.has(Bug::ForgottenOutcome) && self.rng.u8(..10) == 0;
                if !item.told && !forgets {
                    self.note(Event::Acknowledged { record: item.record, offset: Some(offset + wrong) });
                }
                if self.has(Bug::ToldTwice) && item.tries > 1 {
                    self.note(Event::Failed { record: item.record, possibly_written: true });
                }
            }
        }
    }

    /// The number that the log expects next of the producer.
    fn logs_next(&self, partition: usize) -> i32 {
        let known = self.logs[partition].producers();
        let known = known.iter().find(|known| known.producer_id == 1);
        known
            .filter(|known| known.producer_epoch == i32::from(self.lanes[partition].epoch))
            .map_or(0, |known| known.last_sequence + 1)
    }

    fn give_up(&mut self, partition: usize, item: &Item) {
        if item.reached {
            self.lanes[partition].epoch += 1;
            self.lanes[partition].next = 0;
        }
        if !item.told {
            let possibly_written = item.reached && !self.has(Bug::SaidNotWritten);
            self.note(Event::Failed { record: item.record, possibly_written });
        }
    }

    fn transact(&mut self) {
        match &self.open {
            None => {
                let transaction = TransactionId { producer: 2, number: self.transactional.1 };
                self.transactional.1 += 1;
                self.open = Some((transaction, Vec::new()));
                self.note(Event::Begun { transaction });
            }
            Some(_) if self.rng.u8(..3) == 0 => self.end_transaction(false),
            Some((transaction, _)) => {
                let transaction = *transaction;
                let record = RecordId { producer: 2, sequence: self.transactional.0 };
                self.transactional.0 += 1;
                let partition = self.rng.usize(..PARTITIONS);
                self.note(Event::Sent { record, place: place(partition), transaction: Some(transaction) });
                let base_sequence = self.transactional.2[partition];
                let producer = ProducerState { producer_id: 2, producer_epoch: 0, base_sequence };
                let offset = self.append(partition, record, producer, true);
                self.transactional.2[partition] += 1;
                self.note(Event::Acknowledged { record, offset: Some(offset) });
                if let Some((_, touched)) =
                    self.open.as_mut().filter(|(_, touched)| !touched.contains(&partition))
                {
                    touched.push(partition);
                }
            }
        }
    }

    fn end_transaction(&mut self, at_the_end: bool) {
        let Some((transaction, touched)) = self.open.take() else { return };
        let commit = self.rng.bool();
        self.note(Event::Ending { transaction, commit });
        for (number, partition) in touched.into_iter().enumerate() {
            if self.has(Bug::MarkerMissing) && number == 0 && at_the_end {
                continue;
            }
            let marker = MarkerAppend {
                producer_id: 2,
                producer_epoch: 0,
                coordinator_epoch: 0,
                commit: commit || self.has(Bug::CommitForAbort),
                transaction_version: 0,
                leader_epoch: 0,
            };
            let log = &mut self.logs[partition];
            log.append_marker(1, &marker).unwrap();
            log.set_high_watermark(log.end_offset());
        }
        self.note(Event::Ended { transaction, committed: Some(commit) });
    }

    fn open_member(&mut self, member: usize) {
        let consumer = ConsumerId(self.consumers);
        self.members[member] = Member { id: self.consumers, ..Member::default() };
        self.consumers += 1;
        let topics = vec!["t".into()];
        self.note(Event::Opened { consumer, group: Some("g".into()), topics, committed_only: true });
    }

    fn poll(&mut self, member: usize) {
        let consumer = ConsumerId(self.members[member].id);
        for (partition, position) in self.members[member].positions.clone() {
            let log = FinalLog::of(&self.logs[partition]).unwrap();
            let end = match self.has(Bug::OpenNotHeldBack) {
                true => i64::MAX,
                false => self.logs[partition].last_stable_offset(),
            };
            let sees = |logged: &&Logged| {
                let is_decided = logged.is_visible(true)
                    || self.has(Bug::OpenNotHeldBack) && logged.fate == Fate::Open
                    || self.has(Bug::AbortedNotFiltered) && logged.fate == Fate::Aborted;
                logged.offset >= position && logged.offset < end && is_decided
            };
            let mut found: Vec<Logged> = log.records.iter().filter(sees).take(3).copied().collect();
            if self.has(Bug::RecordsDropped) && self.rng.bool() && found.len() > 1 {
                found.remove(0);
            }
            if self.has(Bug::RecordsMixedUp) && found.len() > 1 {
                found[0].record = found[1].record;
            }
            for logged in found {
                let Logged { offset, record, .. } = logged;
                self.note(Event::HandedOut { consumer, place: place(partition), offset, record });
                if !self.has(Bug::PositionStays) || self.rng.bool() {
                    self.members[member].positions.insert(partition, offset + 1);
                }
            }
        }
    }

    fn commit(&mut self, member: usize) {
        let Member { id, positions, zombie } = &self.members[member];
        let (consumer, zombie) = (ConsumerId(*id), *zombie);
        for (partition, mut offset) in positions.clone() {
            if self.has(Bug::CommitBeforeDelivery) {
                offset = self.logs[partition].end_offset();
            } else if self.has(Bug::CommitOffByOne) {
                offset += 1;
            } else if self.has(Bug::OldCommitRepeated) && self.rng.bool() {
                offset = (offset - 2).max(0);
            }
            let done = (!zombie || self.has(Bug::ZombieCommits)) && self.rng.u8(..6) > 0;
            self.note(Event::CommitAsked { consumer, place: place(partition), offset });
            if done && !self.has(Bug::CommitForgotten) {
                self.committed.insert(partition, offset);
            } else if done {
                self.committed.entry(partition).or_insert(offset);
            }
            if !(self.has(Bug::CommitAnswerForgotten) && self.rng.bool()) {
                self.note(Event::CommitAnswered { consumer, place: place(partition), offset, done });
            }
        }
    }

    fn rebalance(&mut self) {
        for member in 0..2 {
            let consumer = ConsumerId(self.members[member].id);
            let was_zombie = std::mem::take(&mut self.members[member].zombie);
            let late = self.has(Bug::AssignBeforeRevoke) && member == 0;
            for partition in self.members[member].positions.keys().copied().collect::<Vec<_>>() {
                let place = place(partition);
                match was_zombie {
                    true => self.note(Event::Lost { consumer, place }),
                    false if late => {}
                    false => self.note(Event::Revoked { consumer, place }),
                }
            }
            if self.has(Bug::HandOutAfterRevoke) {
                self.poll(member);
            }
            self.members[member].positions.clear();
        }
        self.generation += 1;
        let turn = self.rng.usize(..2);
        for member in [1, 0] {
            let mine =
                (0..PARTITIONS).filter(|partition| (partition + turn) % 2 == member).collect::<Vec<_>>();
            self.assign(member, &mine);
        }
        if self.has(Bug::AssignBeforeRevoke) {
            let consumer = ConsumerId(self.members[0].id);
            for partition in (0..PARTITIONS).filter(|partition| (partition + turn) % 2 == 1) {
                self.note(Event::Revoked { consumer, place: place(partition) });
            }
        }
    }

    fn assign(&mut self, member: usize, partitions: &[usize]) {
        let consumer = ConsumerId(self.members[member].id);
        for &partition in partitions {
            let start = match self.bug {
                Some(Bug::StartAtEnd) => self.logs[partition].end_offset(),
                Some(Bug::StartAtBeginning) => 0,
                _ => self.committed.get(&partition).copied().unwrap_or(0),
            };
            self.members[member].positions.insert(partition, start);
            self.note(Event::Assigned { consumer, place: place(partition) });
        }
        self.note(Event::Generation { consumer, generation: self.generation });
    }

    fn crash(&mut self) {
        let member = self.rng.usize(..2);
        self.note(Event::Gone { consumer: ConsumerId(self.members[member].id) });
        self.open_member(member);
        self.rebalance();
    }

    /// The coordinator gives a member up, which doesn't know it before the next rebalance.
    fn expel(&mut self) {
        let (member, other) = (self.rng.usize(..2), self.rng.usize(..2));
        if member == other || self.members.iter().any(|member| member.zombie) {
            return;
        }
        self.note(Event::Disturbed { what: format!("consumer {} is given up", self.members[member].id) });
        self.members[member].zombie = true;
        self.generation += 1;
        let partitions: Vec<usize> = self.members[member].positions.keys().copied().collect();
        self.assign(other, &partitions);
    }
}
