//! [`Budget`]: for how many bytes each broker may be asked now. A pure machine.
//!
//! Guarantees: what is held and what is asked for stays within the bound, but for batches that come whole, however large. A
//! broker that has run dry, so that the application waits for nobody but it, is asked for one answer's worth within one
//! turn of the others that have run dry, too, and that answer, unless what is unread fills the bound; however much of its
//! share partitions hold that rest, and however much others could be asked for. A broker that failed last time is waited
//! for by nobody.
//!
//! ```text
//! bound | held | asked of others | set aside: a worth for each dry broker | free |
//! ```

use std::collections::BTreeMap;

use ottla_client::NodeId;

/// What counts of a broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Claim {
    /// Its part of the bound.
    pub(super) share: usize,
    /// What is held of that.
    pub(super) held: usize,
    /// Partitions that it can be asked for.
    pub(super) askable: usize,
    /// Whether the application has nothing of it to read, and waits.
    pub(super) is_dry: bool,
    pub(super) asking: Asking,
    /// Whether its last request failed.
    pub(super) has_failed: bool,
    /// The number of the last request to it.
    pub(super) asked: u64,
}

/// Whether a broker is being asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Asking {
    #[default]
    Idle,
    /// It is to be left alone for now.
    PutOff,
    /// It is being connected to, but nothing was asked yet.
    Begun,
    /// For so many bytes.
    For(usize),
}

/// Bounds of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// Of all that is held and asked for.
    pub(super) bound: usize,
    /// Of a request: no less than `worth`.
    pub(super) request: usize,
    /// What an answer can bring of one partition.
    pub(super) answer: usize,
    /// What is worth a request.
    pub(super) worth: usize,
}

/// Who may ask for how much.
#[derive(Debug)]
pub(super) struct Budget {
    terms: Terms,
    claims: BTreeMap<NodeId, Claim>,
    /// All that is held, and asked for.
    taken: usize,
    /// Dry brokers that wait for a request, the one that waits longest first.
    queue: Vec<(u64, NodeId)>,
    /// Those that are waited for by nobody.
    failed: usize,
}

impl Budget {
    /// With so much held in all.
    pub(super) fn new(terms: Terms, held: usize, claims: BTreeMap<NodeId, Claim>) -> Budget {
        let waiting = || claims.iter().filter(|(_, claim)| claim.waits());
        let mut queue: Vec<_> = waiting()
            .filter(|(_, claim)| !claim.has_failed)
            .map(|(node, claim)| (claim.asked, *node))
            .collect();
        queue.sort_unstable();
        let failed = waiting().count() - queue.len();
        let asked: usize = claims.values().map(Claim::reserved).sum();
        Budget { terms, taken: held.saturating_add(asked), queue, failed, claims }
    }

    /// How many bytes a broker may be asked for; `None` if it is too little to be worth a request.
    pub(super) fn allowance(&self, node: NodeId) -> Option<usize> {
        let Terms { bound, request, answer, worth } = self.terms;
        let claim = self.claims.get(&node).filter(|claim| claim.askable > 0)?;
        let free = bound.saturating_sub(self.taken.saturating_sub(claim.reserved()));
        // Those that have something to read wait for all that don't; those for whoever has waited longer.
        let before = match claim.is_dry {
            true => self.queue.partition_point(|place| *place < (claim.asked, node)),
            false => self.queue.len(),
        };
        let waits = usize::from(claim.waits());
        let after = (self.queue.len() + self.failed).saturating_sub(before + waits);
        let free = free.saturating_sub(before.saturating_mul(worth));
        let room = claim.share.saturating_sub(claim.held);
        let room = if claim.is_dry { room.max(worth) } else { room };
        if room.min(free) < worth {
            return None;
        }
        let spared = free.saturating_sub(after.saturating_mul(worth)).max(worth);
        let can_bring = claim.askable.saturating_mul(answer).max(worth);
        Some(room.min(spared).min(can_bring).min(request))
    }

    /// With so much held, there is enough for all brokers that have run dry.
    pub(super) fn ample(&self) -> usize {
        let asked: usize = self.claims.values().map(Claim::reserved).sum();
        let waiting = self.queue.len() + self.failed;
        self.terms.bound.saturating_sub(asked.saturating_add(waiting.saturating_mul(self.terms.worth)))
    }

    /// Whether a broker that has run dry has to wait for more than others' turns.
    pub(super) fn is_short(&self) -> bool {
        self.claims.iter().any(|(node, claim)| claim.waits() && self.allowance(*node).is_none())
    }
}

impl Claim {
    /// Whether a request to it would be the next thing that the application gets to read from it.
    fn waits(&self) -> bool {
        self.is_dry && self.askable > 0 && matches!(self.asking, Asking::Idle | Asking::Begun)
    }

    /// What was asked of a broker when it had a larger share is not held against those that have that now: it may never
    /// answer.
    fn reserved(&self) -> usize {
        match self.asking {
            Asking::For(bytes) => bytes.min(self.share),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests;
