//! What the application has, what it should have, and the one step it is asked to take.
//!
//! Guarantee: steps come one at a time, so nothing is assigned while a revocation or loss of it is not acknowledged, and the
//! order is the one the group needs: what is lost, what must go, what came.

use std::collections::BTreeSet;

use ottla_client::{Error, TopicPartition};

use super::GroupEvent;
use crate::assignor::PreviousAssignment;

/// The application's side of a rebalance.
#[derive(Debug)]
pub(super) struct Handover {
    /// What the application has, as far as it has acknowledged.
    owned: BTreeSet<TopicPartition>,
    /// The generation that `owned` was assigned in; -1 before the first, and after a loss.
    generation_id: i32,
    /// What it should have, until it does.
    target: Option<BTreeSet<TopicPartition>>,
    /// What the member was last assigned, and when, whatever became of it: some assignors build on it.
    previous: Option<(Vec<TopicPartition>, i32)>,
    /// Whether all it has (and is about to get) is lost.
    lost: bool,
    outstanding: Option<GroupEvent>,
    last_id: u64,
    tenure: u64,
}

impl Default for Handover {
    fn default() -> Self {
        Handover {
            owned: BTreeSet::new(),
            generation_id: -1,
            target: None,
            previous: None,
            lost: false,
            outstanding: None,
            last_id: 0,
            tenure: 0,
        }
    }
}

impl Handover {
    pub(super) fn owned(&self) -> impl Iterator<Item = &TopicPartition> {
        self.owned.iter()
    }

    pub(super) fn generation_id(&self) -> i32 {
        self.generation_id
    }

    pub(super) fn previous(&self) -> Option<PreviousAssignment<'_>> {
        let (partitions, generation_id) = self.previous.as_ref()?;
        Some(PreviousAssignment { partitions, generation_id: *generation_id })
    }

    pub(super) fn tenure(&self) -> u64 {
        self.tenure
    }

    pub(super) fn outstanding(&self) -> Option<&GroupEvent> {
        self.outstanding.as_ref()
    }

    /// Whether the application has nothing to do and nothing is coming up.
    pub(super) fn is_settled(&self) -> bool {
        self.outstanding.is_none() && self.target.is_none() && !self.lost
    }

    /// The leader gave the member `share`.
    pub(super) fn remember(&mut self, share: &[TopicPartition], generation_id: i32) {
        self.previous = Some((share.to_vec(), generation_id));
    }

    /// What the application should have will be said later.
    pub(super) fn put_off(&mut self) {
        self.target = None;
    }

    /// A generation is complete and this is the member's share; tells whether some of what it has is not in it.
    pub(super) fn assign(&mut self, share: BTreeSet<TopicPartition>, generation_id: i32) -> bool {
        let taken = self.owned.difference(&share).next().is_some();
        if self.owned.is_empty() {
            // Whatever a commit from before names, the member did not have it any more.
            self.tenure += 1;
        }
        self.target = Some(share);
        self.generation_id = generation_id;
        taken
    }

    /// Everything is lost.
    pub(super) fn lose(&mut self) {
        self.generation_id = -1;
        self.tenure += 1;
        self.lost = true;
    }

    /// The step of this number was taken; `false` if it is not the current one, or stays.
    pub(super) fn acknowledge(&mut self, event_id: u64) -> bool {
        match self.outstanding.take() {
            Some(event) if event.id() == event_id => match event {
                GroupEvent::Revoke { partitions, .. } | GroupEvent::Lost { partitions, .. } => {
                    // A commit that began while they were being given up must not outlive the step in a newer
                    // generation, in which others have them.
                    self.tenure += 1;
                    // They are in order, as they were taken from a set.
                    self.owned.retain(|partition| partitions.binary_search(partition).is_err());
                }
                GroupEvent::Assigned { all, .. } => {
                    self.owned = all.into_iter().collect();
                    self.target = None;
                }
                GroupEvent::Failed { lasting: false, .. } => {}
                lasting @ GroupEvent::Failed { lasting: true, .. } => {
                    self.outstanding = Some(lasting);
                    return false;
                }
            },
            other => {
                self.outstanding = other;
                return false;
            }
        }
        true
    }

    /// Brings up the next step, if the last was taken. `going` are the partitions that have to go before the member joins.
    pub(super) fn advance(&mut self, going: impl Fn(&TopicPartition) -> bool) {
        if self.outstanding.is_some() {
            return;
        }
        if std::mem::take(&mut self.lost) {
            self.target = None;
            if !self.owned.is_empty() {
                let partitions = self.owned.iter().cloned().collect();
                self.outstanding = Some(GroupEvent::Lost { id: self.next_id(), partitions });
                return;
            }
        }
        let revoked: Vec<TopicPartition> = match &self.target {
            Some(target) => self.owned.difference(target).cloned().collect(),
            None => self.owned.iter().filter(|partition| going(partition)).cloned().collect(),
        };
        if !revoked.is_empty() {
            self.outstanding = Some(GroupEvent::Revoke { id: self.next_id(), partitions: revoked });
        } else if let Some(target) = &self.target {
            let added = target.difference(&self.owned).cloned().collect();
            let all = target.iter().cloned().collect();
            self.outstanding = Some(GroupEvent::Assigned { id: self.next_id(), added, all });
        }
    }

    /// Tells the application of a failure, unless it has something else to do first.
    pub(super) fn fail(&mut self, error: &Error, lasting: bool) -> bool {
        if self.outstanding.is_some() {
            return false;
        }
        self.outstanding = Some(GroupEvent::Failed { id: self.next_id(), error: error.clone(), lasting });
        true
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}
