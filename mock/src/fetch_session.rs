//! Fetch sessions as a broker keeps them: a consumer names its partitions once, and then only what changes.
//!
//! A session answers a partition only if there is something to say: records, an error, a high watermark or log start
//! that moved, another replica to read from, or divergence. Partitions that were answered with records go to the end of the
//! line, so that none starves.
//!
//! Sources: KIP-227, KIP-516 (sessions by topic id).

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::fetch::{EpochEndOffset, PartitionData};
use ottla_protocol::uuid::Uuid;

/// A session that was idle for this long makes room for another.
const EVICT_AFTER: Duration = Duration::from_secs(120);

/// The epoch that opens a session.
const INITIAL: i32 = 0;
/// The epoch that wants none, and closes one that is there.
const FINAL: i32 = -1;

/// A partition under the name that its request used: by topic (the id is zero), or by id (the topic is empty).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Named {
    pub(crate) topic: String,
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
}

/// What is wanted of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) named: Named,
    pub(crate) current_leader_epoch: i32,
    pub(crate) fetch_offset: i64,
    pub(crate) last_fetched_epoch: i32,
    pub(crate) max_bytes: i32,
}

/// What kind of session a fetch belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    /// None: everything is answered and nothing kept.
    Sessionless,
    /// Everything is answered, and a session made of it.
    Full,
    /// An open session that expects this epoch next.
    Incremental { session_id: i32, next_epoch: i32 },
}

/// A broker's sessions.
#[derive(Debug, Default)]
pub(crate) struct FetchSessions {
    sessions: BTreeMap<i32, Session>,
}

#[derive(Debug)]
struct Session {
    by_id: bool,
    epoch: i32,
    used: Instant,
    order: BTreeMap<u64, Cached>,
    places: HashMap<Named, u64>,
    next_place: u64,
}

/// What a session knows of a partition.
#[derive(Debug)]
struct Cached {
    wanted: Wanted,
    high_watermark: i64,
    log_start_offset: i64,
}

impl FetchSessions {
    /// Takes the sessions' part of a request, and says what is to be fetched.
    ///
    /// # Errors
    /// The code that the whole answer says.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        session_id: i32,
        epoch: i32,
        by_id: bool,
        wanted: Vec<Wanted>,
        forgotten: &[Named],
    ) -> Result<(Context, Vec<Wanted>), ErrorCode> {
        if epoch == INITIAL || epoch == FINAL {
            self.sessions.remove(&session_id);
            let context = if epoch == FINAL { Context::Sessionless } else { Context::Full };
            return Ok((context, wanted));
        }
        let session = self.sessions.get_mut(&session_id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        if session.epoch != epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if session.by_id != by_id {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        wanted.into_iter().for_each(|wanted| session.want(wanted));
        for named in forgotten {
            session.forget(named);
        }
        session.used = now;
        if session.order.is_empty() {
            self.sessions.remove(&session_id);
            return Ok((Context::Sessionless, Vec::new()));
        }
        session.epoch = next_epoch(epoch);
        let context = Context::Incremental { session_id, next_epoch: session.epoch };
        Ok((context, session.order.values().map(|cached| cached.wanted.clone()).collect()))
    }

    /// Leaves out of the answer what the session has said before, and gives the session's id.
    ///
    /// # Errors
    /// `INVALID_FETCH_SESSION_EPOCH` where another request of the session came meanwhile.
    pub(crate) fn close(
        &mut self,
        now: Instant,
        context: Context,
        slots: usize,
        new_id: impl FnMut() -> i32,
        answers: &mut Vec<(Wanted, PartitionData)>,
    ) -> Result<i32, ErrorCode> {
        match context {
            Context::Sessionless => Ok(0),
            Context::Full => Ok(self.create(now, slots, new_id, answers)),
            Context::Incremental { session_id, next_epoch } => {
                let session =
                    self.sessions.get_mut(&session_id).filter(|session| session.epoch == next_epoch);
                let session = session.ok_or(ErrorCode::INVALID_FETCH_SESSION_EPOCH)?;
                answers.retain(|(wanted, data)| session.answer(&wanted.named, data));
                Ok(session_id)
            }
        }
    }

    /// The partitions of a session.
    pub(crate) fn partitions(&self, session_id: i32) -> impl Iterator<Item = &Named> {
        self.sessions.get(&session_id).into_iter().flat_map(|session| session.places.keys())
    }

    fn create(
        &mut self,
        now: Instant,
        slots: usize,
        mut new_id: impl FnMut() -> i32,
        answers: &[(Wanted, PartitionData)],
    ) -> i32 {
        if self.sessions.len() >= slots && !self.evict(now, answers.len()) {
            return 0;
        }
        let id = loop {
            let id = new_id();
            if id > 0 && !self.sessions.contains_key(&id) {
                break id;
            }
        };
        let mut session = Session {
            by_id: answers.first().is_some_and(|(wanted, _)| !wanted.named.topic_id.is_zero()),
            epoch: next_epoch(INITIAL),
            used: now,
            order: BTreeMap::new(),
            places: HashMap::new(),
            next_place: 0,
        };
        for (wanted, data) in answers {
            let high_watermark = if data.error_code.is_ok() { data.high_watermark } else { -1 };
            session.push(Cached {
                wanted: wanted.clone(),
                high_watermark,
                log_start_offset: data.log_start_offset,
            });
        }
        self.sessions.insert(id, session);
        id
    }

    /// Makes room for a session of `size` partitions, if one has been idle for long or is smaller.
    fn evict(&mut self, now: Instant, size: usize) -> bool {
        let oldest = self.sessions.iter().min_by_key(|(_, session)| session.used);
        let stale = oldest.filter(|(_, session)| now.saturating_duration_since(session.used) > EVICT_AFTER);
        let smallest = || self.sessions.iter().min_by_key(|(_, session)| session.order.len());
        let smaller = || smallest().filter(|(_, session)| session.order.len() < size);
        let Some(id) = stale.or_else(smaller).map(|(id, _)| *id) else { return false };
        self.sessions.remove(&id);
        true
    }
}

impl Session {
    fn want(&mut self, wanted: Wanted) {
        match self.places.get(&wanted.named).and_then(|place| self.order.get_mut(place)) {
            Some(cached) => cached.wanted = wanted,
            None => self.push(Cached { wanted, high_watermark: -1, log_start_offset: -1 }),
        }
    }

    fn forget(&mut self, named: &Named) -> Option<Cached> {
        let place = self.places.remove(named)?;
        self.order.remove(&place)
    }

    fn push(&mut self, cached: Cached) {
        self.places.insert(cached.wanted.named.clone(), self.next_place);
        self.order.insert(self.next_place, cached);
        self.next_place += 1;
    }

    /// Whether there is something to say about the partition; notes it as said.
    fn answer(&mut self, named: &Named, data: &PartitionData) -> bool {
        let Some(cached) = self.places.get(named).and_then(|place| self.order.get_mut(place)) else {
            return true;
        };
        let has_records = data.records.as_ref().is_some_and(|records| !records.is_empty());
        let moved =
            cached.high_watermark != data.high_watermark || cached.log_start_offset != data.log_start_offset;
        cached.high_watermark = if data.error_code.is_ok() { data.high_watermark } else { -1 };
        cached.log_start_offset = data.log_start_offset;
        if has_records && let Some(cached) = self.forget(named) {
            self.push(cached);
        }
        has_records
            || moved
            || !data.error_code.is_ok()
            || data.preferred_read_replica >= 0
            || data.diverging_epoch != EpochEndOffset::default()
    }
}

fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a script begins now")]
mod tests;
