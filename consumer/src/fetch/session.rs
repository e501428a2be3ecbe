//! [`FetchSession`]: tells one broker only what changed since the last request.
//!
//! The broker remembers the partitions, and answers only those with news, so that idle partitions cost nothing on the
//! wire. The session is numbered; each request counts its epoch up. When the broker has forgotten the session, or the
//! epochs disagree, the next request names everything again.
//!
//! As the broker says nothing of a partition that stands where it did, whoever asks anew (after a seek, or because the
//! partition went and came back) is told what the broker said before: where its log ends.
//!
//! Guarantee: broker and client agree on the partitions of a session. In a session by names a topic that was deleted and
//! created anew is the same partition; in one by ids it is another.
//!
//! ```text
//!           answered with a session id            answered
//! full (epoch 0) ----------------> incremental (epoch n) ---> epoch n + 1
//!      ^                                  |
//!      +---- refused, lost, or closed ----+
//! ```
//!
//! Sources: KIP-227 (sessions), KIP-516 (topic ids in sessions).

use std::collections::HashMap;
use std::sync::Arc;

use ottla_client::TopicPartition;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::fetch::{FetchPartition, FetchTopic, ForgottenTopic};
use ottla_protocol::uuid::Uuid;

use crate::subscription::Generation;

/// The epoch of a request that opens a session.
const INITIAL_EPOCH: i32 = 0;

/// The epoch of a request that closes one.
const FINAL_EPOCH: i32 = -1;

/// What is asked of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) topic_id: Uuid,
    pub(crate) leader_epoch: i32,
    pub(crate) offset: i64,
    pub(crate) max_bytes: i32,
    /// Whose answer it is; the broker is not told.
    pub(crate) generation: Generation,
}

/// The part of a request that a session decides.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SessionRequest {
    pub(crate) session_id: i32,
    pub(crate) session_epoch: i32,
    pub(crate) topics: Vec<FetchTopic>,
    pub(crate) forgotten: Vec<ForgottenTopic>,
    /// What the broker will not say again to those that ask anew; it is not sent.
    pub(crate) told: Vec<Told>,
}

/// Where a partition's log ends, as the broker told who asked before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) partition: TopicPartition,
    pub(crate) generation: Generation,
    pub(crate) end: i64,
}

/// What one broker was asked for and remembers.
#[derive(Debug, Default)]
pub(crate) struct FetchSession {
    id: i32,
    /// The next request's epoch.
    epoch: i32,
    with_ids: bool,
    partitions: HashMap<TopicPartition, Known>,
    names: HashMap<Uuid, Arc<str>>,
}

/// A partition of the session.
#[derive(Clone, Copy, Debug)]
struct Known {
    wanted: Wanted,
    /// Where its log ends, as the broker said last.
    end: Option<i64>,
}

impl FetchSession {
    /// The next request, for exactly these partitions; `with_ids` if its version names topics by id.
    pub(crate) fn request(
        &mut self,
        wanted: Vec<(TopicPartition, Wanted)>,
        with_ids: bool,
    ) -> SessionRequest {
        if self.with_ids != with_ids {
            // A session keeps to names or ids; the request below closes the old one and opens another.
            self.epoch = INITIAL_EPOCH;
            self.with_ids = with_ids;
        }
        let full = self.epoch == INITIAL_EPOCH;
        let mut old = std::mem::take(&mut self.partitions);
        if full {
            // All of them are new to the session that this opens.
            old.clear();
        }
        self.partitions.reserve(wanted.len());
        self.names.clear();
        let mut changes = Changes::default();
        for (name, want) in wanted {
            let known = old.remove(&name);
            self.want(&mut changes, name, want, known);
        }
        let mut gone: Vec<_> = old.into_iter().collect();
        gone.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (name, known) in gone {
            changes.forgotten.add(&name, known.wanted.topic_id);
        }
        self.with(changes)
    }

    /// Whether the broker remembers what it was asked for, so that only changes need to be told.
    pub(crate) fn goes_on(&self, with_ids: bool) -> bool {
        self.epoch != INITIAL_EPOCH && self.with_ids == with_ids
    }

    /// The next request of a session that goes on: these partitions are asked for differently from here on, or, where
    /// nothing is wanted, not any more. What was not changed costs nothing.
    pub(crate) fn request_changes(
        &mut self,
        changed: Vec<(TopicPartition, Option<Wanted>)>,
    ) -> SessionRequest {
        let mut changes = Changes::default();
        for (name, want) in changed {
            let known = self.partitions.remove(&name);
            match (want, known) {
                (Some(want), known) => self.want(&mut changes, name, want, known),
                (None, Some(known)) => changes.forgotten.add(&name, known.wanted.topic_id),
                (None, None) => {}
            }
        }
        self.with(changes)
    }

    /// The request that closes the session, if the broker has one; nothing more is asked in it.
    pub(crate) fn close(&mut self) -> Option<SessionRequest> {
        let is_open = self.epoch != INITIAL_EPOCH;
        let session_id = self.id;
        self.start_over();
        is_open.then(|| SessionRequest {
            session_id,
            session_epoch: FINAL_EPOCH,
            ..SessionRequest::default()
        })
    }

    /// This is wanted of a partition from here on, of which the broker knew that.
    fn want(&mut self, changes: &mut Changes, name: TopicPartition, want: Wanted, known: Option<Known>) {
        // By names it is the same partition to the broker, which takes in what is sent before it forgets: both at once
        // would end with nothing.
        let (same, other) = match known {
            Some(known) if self.with_ids && known.wanted.topic_id != want.topic_id => (None, Some(known)),
            known => (known, None),
        };
        if let Some(other) = other {
            changes.forgotten.add(&name, other.wanted.topic_id);
        }
        if same.is_none_or(|known| !known.wanted.reads_as(&want)) {
            changes.topics.add(&name, &want);
        }
        let end = same.and_then(|known| known.end);
        if let Some(end) = end
            && same.is_some_and(|known| known.wanted.generation != want.generation)
        {
            changes.told.push(Told { partition: name.clone(), generation: want.generation, end });
        }
        if self.with_ids && !self.names.contains_key(&want.topic_id) {
            self.names.insert(want.topic_id, name.topic.clone());
        }
        self.partitions.insert(name, Known { wanted: want, end });
    }

    fn with(&self, changes: Changes) -> SessionRequest {
        SessionRequest {
            session_id: self.id,
            session_epoch: self.epoch,
            topics: changes.topics.0,
            forgotten: changes.forgotten.0,
            told: changes.told,
        }
    }

    /// An answer came, with this error for the session as a whole.
    pub(crate) fn handle_response(&mut self, session_id: i32, error: ErrorCode) {
        match error {
            ErrorCode::NONE if session_id == 0 => self.start_over(),
            ErrorCode::NONE => {
                self.id = session_id;
                self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
            }
            ErrorCode::FETCH_SESSION_ID_NOT_FOUND => self.start_over(),
            _ => self.epoch = INITIAL_EPOCH,
        }
    }

    /// No answer came. The session may be there still: the next request closes it and opens another.
    pub(crate) fn handle_failure(&mut self) {
        self.epoch = INITIAL_EPOCH;
    }

    /// The partition that an answer speaks of, by name or by id, and what it was asked for.
    pub(crate) fn asked(&self, name: &str, id: Uuid, partition: i32) -> Option<(TopicPartition, Wanted)> {
        let topic = if self.with_ids { self.names.get(&id)?.clone() } else { Arc::from(name) };
        let name = TopicPartition { topic, partition };
        let wanted = self.partitions.get(&name)?.wanted;
        (!self.with_ids || wanted.topic_id == id).then_some((name, wanted))
    }

    /// The broker said where a partition's log ends.
    pub(crate) fn heard_end(&mut self, name: &TopicPartition, end: i64) {
        if let Some(known) = self.partitions.get_mut(name) {
            known.end = Some(end);
        }
    }

    fn start_over(&mut self) {
        self.id = 0;
        self.epoch = INITIAL_EPOCH;
    }
}

impl Wanted {
    /// Whether the broker need not be told.
    fn reads_as(&self, other: &Wanted) -> bool {
        Wanted { generation: other.generation, ..*self } == *other
    }
}

/// What a request says of partitions.
#[derive(Default)]
struct Changes {
    topics: Topics,
    forgotten: Forgotten,
    told: Vec<Told>,
}

/// Topics in the order of their first partition, each once.
#[derive(Default)]
struct Topics(Vec<FetchTopic>);

impl Topics {
    fn add(&mut self, name: &TopicPartition, want: &Wanted) {
        let partition = FetchPartition {
            partition: name.partition,
            current_leader_epoch: want.leader_epoch,
            fetch_offset: want.offset,
            partition_max_bytes: want.max_bytes,
            ..Default::default()
        };
        // Partitions arrive topic by topic, but the list may begin in the middle of one: its topic comes last again.
        let is_same = |topic: &FetchTopic| *topic.topic == *name.topic && topic.topic_id == want.topic_id;
        let at = match (self.0.last(), self.0.first()) {
            (Some(last), _) if is_same(last) => Some(self.0.len() - 1),
            (_, Some(first)) if is_same(first) => Some(0),
            _ => None,
        };
        match at.and_then(|at| self.0.get_mut(at)) {
            Some(topic) => topic.partitions.push(partition),
            None => self.0.push(FetchTopic {
                topic: name.topic.to_string(),
                topic_id: want.topic_id,
                partitions: vec![partition],
                ..Default::default()
            }),
        }
    }
}

#[derive(Default)]
struct Forgotten(Vec<ForgottenTopic>);

impl Forgotten {
    fn add(&mut self, name: &TopicPartition, topic_id: Uuid) {
        // A topic may be listed twice.
        match self.0.last_mut().filter(|topic| *topic.topic == *name.topic && topic.topic_id == topic_id) {
            Some(topic) => topic.partitions.push(name.partition),
            None => self.0.push(ForgottenTopic {
                topic: name.topic.to_string(),
                topic_id,
                partitions: vec![name.partition],
                ..Default::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests;
