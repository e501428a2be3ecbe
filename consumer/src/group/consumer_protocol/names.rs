//! What the topics of a target are called: assignments name them by ids that the member may not have met yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use ottla_client::Error;
use ottla_protocol::uuid::Uuid;

use super::{Ask, AskBody, ConsumerMember};

/// The names of topics, by id.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: BTreeMap<Uuid, Arc<str>>,
    not_before: Option<Instant>,
    failures: u32,
}

impl Names {
    pub(super) fn name(&self, id: Uuid) -> Option<&Arc<str>> {
        self.known.get(&id)
    }

    /// Keeps only these.
    pub(super) fn retain(&mut self, keep: impl Fn(Uuid) -> bool) {
        self.known.retain(|id, _| keep(*id));
    }
}

impl ConsumerMember {
    /// The topics of the target whose names are not known yet.
    pub(crate) fn unnamed_topics(&self) -> Vec<Uuid> {
        self.target.ids().filter(|id| self.names.name(*id).is_none()).collect()
    }

    /// Somebody knows what some topics are called.
    pub(crate) fn learn_names(&mut self, names: impl IntoIterator<Item = (Uuid, Arc<str>)>) {
        let unnamed = self.unnamed_topics();
        let before = self.names.known.len();
        self.names.known.extend(names.into_iter().filter(|(id, _)| unnamed.contains(id)));
        if self.names.known.len() > before {
            self.names.failures = 0;
            self.forget_unsubscribed();
            self.reconcile();
        }
    }

    /// The answer to [`AskBody::TopicNames`]: those that are known. The rest is asked for again, as metadata may lag.
    pub(crate) fn handle_names(
        &mut self,
        now: Instant,
        id: u64,
        answer: Result<Vec<(Uuid, Arc<str>)>, Error>,
    ) {
        if self.in_flight.names != Some(id) {
            return;
        }
        self.in_flight.names = None;
        let wait = self.config.backoff().next(self.names.failures, self.random.f64());
        self.names.failures = self.names.failures.saturating_add(1);
        self.names.not_before = Some(now + wait);
        match answer {
            Ok(names) => self.learn_names(names),
            Err(error) => tracing::debug!(%error, "the names of assigned topics are not known yet"),
        }
    }

    pub(super) fn names_at(&self) -> Option<Instant> {
        let waits = self.state.is_active() && self.in_flight.names.is_none();
        self.names.not_before.filter(|_| waits && !self.unnamed_topics().is_empty())
    }

    pub(super) fn ask_names(&mut self, now: Instant) -> Option<Ask> {
        let due = self.names.not_before.is_none_or(|at| at <= now);
        if !due || self.in_flight.names.is_some() || !self.state.is_active() {
            return None;
        }
        let unnamed = self.unnamed_topics();
        if unnamed.is_empty() {
            return None;
        }
        let id = self.in_flight.next_id();
        self.in_flight.names = Some(id);
        Some(Ask { id, body: AskBody::TopicNames(unnamed) })
    }
}
