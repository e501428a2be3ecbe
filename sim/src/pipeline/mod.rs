//! A pipeline at work: it reads one topic, writes another, and commits both as one.
//!
//! What it must keep: each record that it reads has one descendant that counts, whatever fails meanwhile, and however many
//! of its lives run at one time. A life asks for its producer id before it asks where its group stands, so that nothing of
//! those before it can count after that.
//!
//! Sources: KIP-98 (transactions), KIP-447 (membership checked with the offsets), KIP-890 (transactions of the second kind).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use ottla_client::{Client, Error};
use ottla_consumer::{
    Consumer, ConsumerOptions, GroupMetadata, IsolationLevel, OffsetReset, Start, Strategy,
};
use ottla_mock::history::{ConsumerId, Event, Place, RecordId, TransactionId};
use tokio::sync::watch;

use crate::app::{App, place};
use crate::plan::{Departure, INPUT, Life, OUTPUT, PIPELINES, PipelinePlan};
use crate::reading::{POLL, assign, leave};
use crate::world::World;
use producer::{Failure, Identity, TransactionalProducer};

mod ask;
mod producer;

/// The longest time for which a pipeline keeps its offsets and the transaction's end apart for no reason.
const LULL: Duration = Duration::from_secs(4);

/// All lives of one pipeline.
#[derive(Debug)]
pub struct Pipeline {
    /// What it does.
    pub plan: PipelinePlan,
    /// Counts lives: no two of a run have the same number, and none has that of a producer or consumer.
    pub numbers: Arc<AtomicU32>,
    /// Turns true when it has to close.
    pub stop: watch::Receiver<bool>,
}

/// How a life went on.
enum Ended {
    /// As it was to.
    Planned,
    /// It is fenced, or doesn't know any more what its producer's state is.
    Failed,
}

impl Pipeline {
    /// Lives all lives.
    ///
    /// # Errors
    /// Options that no consumer can have.
    ///
    /// # Cancel safety
    /// Dropping it is as a crash, which the history does not say then.
    pub async fn run(self, clients: Vec<Client>, world: World) -> Result<(), Error> {
        let mut lives = tokio::task::JoinSet::new();
        let begun = Arc::default();
        for (life, client) in self.plan.lives.clone().into_iter().zip(clients) {
            let living = Living {
                plan: self.plan.clone(),
                life,
                client,
                world: world.clone(),
                numbers: Arc::clone(&self.numbers),
                begun: Arc::clone(&begun),
                stop: self.stop.clone(),
            };
            lives.spawn(living.run());
        }
        while let Some(lived) = lives.join_next().await {
            lived.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))?;
        }
        Ok(())
    }
}

/// One life.
struct Living {
    plan: PipelinePlan,
    life: Life,
    client: Client,
    world: World,
    numbers: Arc<AtomicU32>,
    begun: Arc<Mutex<BTreeMap<Identity, u32>>>,
    stop: watch::Receiver<bool>,
}

/// The records that a transaction makes, by partition.
type Batches = BTreeMap<Place, Vec<RecordId>>;

/// What a life has at hand.
struct Work {
    number: u32,
    app: App,
    producer: TransactionalProducer,
    rng: Rng,
    sequence: u64,
    transactions: u32,
}

impl Living {
    async fn run(mut self) -> Result<(), Error> {
        tokio::time::sleep(self.life.begins).await;
        while !self.is_over() {
            match self.live().await? {
                Ended::Planned => return Ok(()),
                // Whoever has a successor leaves the work to it.
                Ended::Failed if self.life.ends.is_some() => return Ok(()),
                Ended::Failed => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        let departs = self.life.ends.as_ref().is_some_and(|(at, _)| self.world.recorder().elapsed() >= *at);
        *self.stop.borrow() || departs
    }

    async fn live(&mut self) -> Result<Ended, Error> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let recorder = self.world.recorder().clone();
        let Ok(producer) = TransactionalProducer::begin(self.client.clone(), &self.plan).await else {
            return Ok(Ended::Failed);
        };
        if !self.plan.in_group {
            // Nobody coordinates who reads what, so that there may be two of them for a while.
            recorder.note(Event::Disturbed { what: format!("{} begins as {number}", self.plan.id) });
        }
        self.fence(producer.identity(), number);
        let id = ConsumerId(number);
        recorder.note(Event::Opened {
            consumer: id,
            group: Some(PIPELINES.into()),
            topics: vec![INPUT.into()],
            committed_only: true,
        });
        let app = App::new(id, &recorder, false);
        let mut consumer = Consumer::new(self.client.clone(), self.options())?;
        if self.plan.in_group {
            consumer.subscribe_with([INPUT], app.clone())?;
        }
        let rng = Rng::with_seed(self.plan.seed ^ u64::from(number));
        let mut work = Work { number, app, producer, rng, sequence: 0, transactions: 0 };
        let (input, mut places) = (INPUT.into(), Vec::new());
        let mut ended = Ended::Planned;
        while !self.is_over() {
            if !self.plan.in_group {
                assign(
                    &self.world.places_of(&input),
                    &mut places,
                    &mut consumer,
                    &work.app,
                    Start::Committed,
                )?;
            }
            let records = consumer.poll(POLL).await.map(|records| records.into_vec()).unwrap_or_default();
            work.app.note_generation(&consumer);
            let mut batches = Batches::new();
            let mut offsets = BTreeMap::new();
            let mut derived = Vec::new();
            for record in &records {
                let from = work.app.handed_out(record);
                let made = RecordId { producer: number, sequence: work.sequence };
                work.sequence += 1;
                let partition = i32::from(work.rng.bool());
                batches.entry(Place::new(OUTPUT, partition)).or_default().push(made);
                offsets.insert(place(record.topic_partition()), record.offset() + 1);
                derived.push((made, from));
            }
            if records.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
            for (record, from) in derived {
                recorder.note(Event::Derived { record, from, group: PIPELINES.into() });
            }
            let member = consumer.group_metadata().filter(|_| self.plan.in_group);
            match self.transact(&mut work, batches, offsets, member.as_ref()).await {
                Ok(()) => {}
                Err(Failure::Aborted) => work.app.rewind(&mut consumer),
                Err(Failure::Over) => {
                    ended = Ended::Failed;
                    break;
                }
            }
        }
        let how = match ended {
            Ended::Planned => self.life.ends.as_ref().map(|(_, how)| *how),
            Ended::Failed => Some(Departure::Drop),
        };
        leave(consumer, id, &recorder, how).await;
        Ok(ended)
    }

    /// Notes whom a new producer fences. Answers may come in another order than the coordinator gave them in.
    fn fence(&self, identity: Identity, number: u32) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.insert(identity, number);
        while begun.len() > 1
            && let Some((_, producer)) = begun.pop_first()
        {
            self.world.recorder().note(Event::Fenced { producer });
        }
    }

    /// One transaction: everything, or nothing.
    async fn transact(
        &self,
        work: &mut Work,
        batches: Batches,
        offsets: BTreeMap<Place, i64>,
        member: Option<&GroupMetadata>,
    ) -> Result<(), Failure> {
        let recorder = self.world.recorder();
        let transaction = TransactionId { producer: work.number, number: work.transactions };
        work.transactions += 1;
        recorder.note(Event::Begun { transaction });
        let sent = self.send(work, transaction, batches).await;
        let doubts = work.rng.f64() < self.plan.doubt;
        if sent.is_ok() && doubts {
            return Err(self.abort(work, transaction).await);
        }
        if let Err(failure) = sent {
            return Err(self.give_up(work, transaction, failure).await);
        }
        let consumer = work.app.id;
        for (place, offset) in &offsets {
            recorder.note(Event::CommitAsked { consumer, place: place.clone(), offset: *offset });
        }
        let answer = |done| {
            for (place, offset) in &offsets {
                recorder.note(Event::CommitAnswered {
                    consumer,
                    place: place.clone(),
                    offset: *offset,
                    done,
                });
            }
        };
        self.pause(work).await?;
        if let Err(failure) = work.producer.commit_offsets(PIPELINES, member, &offsets).await {
            answer(false);
            return Err(self.give_up(work, transaction, failure).await);
        }
        self.pause(work).await?;
        // Once all is calm it would make nothing but the run longer, beyond the time in which all has to be read.
        if work.rng.f64() < self.plan.dawdles && !self.world.is_calm() {
            tokio::time::sleep(LULL.mul_f64(work.rng.f64())).await;
        }
        recorder.note(Event::Ending { transaction, commit: true });
        let committed = work.producer.end(true).await;
        recorder.note(Event::Ended { transaction, committed: committed.is_ok().then_some(true) });
        answer(committed.is_ok());
        committed
    }

    async fn send(
        &self,
        work: &mut Work,
        transaction: TransactionId,
        batches: Batches,
    ) -> Result<(), Failure> {
        let recorder = self.world.recorder();
        for (place, records) in batches {
            self.pause(work).await?;
            for record in &records {
                let (record, place) = (*record, place.clone());
                recorder.note(Event::Sent { record, place, transaction: Some(transaction) });
            }
            let sent = work.producer.send(&place, &records, self.world.now_ms()).await;
            for (record, step) in records.into_iter().zip(0..) {
                recorder.note(match &sent {
                    Ok(base) => Event::Acknowledged { record, offset: base.map(|base| base + step) },
                    Err(_) => Event::Failed { record, possibly_written: true },
                });
            }
            sent?;
        }
        Ok(())
    }

    /// Works for a while; a life that is to be dropped may end here, in the middle of everything.
    async fn pause(&self, work: &mut Work) -> Result<(), Failure> {
        if !self.plan.work.is_zero() {
            tokio::time::sleep(self.plan.work.mul_f64(work.rng.f64())).await;
        }
        let crashes =
            matches!(&self.life.ends, Some((at, Departure::Drop)) if self.world.recorder().elapsed() >= *at);
        if crashes { Err(Failure::Over) } else { Ok(()) }
    }

    async fn give_up(&self, work: &mut Work, transaction: TransactionId, failure: Failure) -> Failure {
        match failure {
            Failure::Aborted => self.abort(work, transaction).await,
            Failure::Over => Failure::Over,
        }
    }

    async fn abort(&self, work: &mut Work, transaction: TransactionId) -> Failure {
        let recorder = self.world.recorder();
        recorder.note(Event::Ending { transaction, commit: false });
        match work.producer.end(false).await {
            Ok(()) => {
                recorder.note(Event::Ended { transaction, committed: Some(false) });
                Failure::Aborted
            }
            Err(_) => {
                recorder.note(Event::Ended { transaction, committed: None });
                Failure::Over
            }
        }
    }

    fn options(&self) -> ConsumerOptions {
        ConsumerOptions::new()
            .group_id(PIPELINES)
            .isolation_level(IsolationLevel::ReadCommitted)
            .auto_offset_reset(OffsetReset::Earliest)
            .enable_auto_commit(false)
            .session_timeout(Duration::from_secs(8))
            .heartbeat_interval(Duration::from_secs(1))
            .max_poll_interval(Duration::from_secs(30))
            .default_api_timeout(Duration::from_secs(20))
            .partition_assignment_strategy(vec![Strategy::Range])
            .max_poll_records(self.plan.batch)
            .allow_auto_create_topics(false)
    }
}
