//! The coordinator as a member knows it: where it is, or where it turned out not to be.

use std::time::Instant;

use ottla_client::NodeId;

/// The coordinator of a group.
#[derive(Debug, Default)]
pub(super) struct Coordinator {
    node: Option<NodeId>,
    /// The one that turned out not to be it, or did not answer.
    wrong: Option<NodeId>,
    not_before: Option<Instant>,
    failures: u32,
}

impl Coordinator {
    pub(super) fn node(&self) -> Option<NodeId> {
        self.node
    }

    pub(super) fn wrong(&self) -> Option<NodeId> {
        self.wrong
    }

    /// When the next look-up may start.
    pub(super) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    pub(super) fn may_be_sought(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }

    /// How often it was lost without a proper answer in between.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn found(&mut self, node: NodeId) {
        self.node = Some(node);
        self.wrong = None;
    }

    /// It answered something else than that it isn't it.
    pub(super) fn confirm(&mut self) {
        self.failures = 0;
    }

    /// It is not where it was, or does not answer: it may be looked for from `not_before` on.
    pub(super) fn lose(&mut self, not_before: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(not_before);
        self.wrong = self.node.take().or(self.wrong);
    }
}
