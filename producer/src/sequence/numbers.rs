//! [`Numbers`]: the producer id, epoch and next sequence number of one partition.
//!
//! Guarantee: a number of an epoch is given out once; an epoch is only ever raised, and one that the broker has seen
//! surpassed, or that cannot be raised any more, makes a new producer id necessary.
//!
//! Sources: KIP-98 (sequences), KIP-360 (raising the epoch).

use ottla_protocol::records::{ProducerState, sequence};

/// A producer id and epoch, as the cluster gave it or with the epoch raised since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
}

/// Where a partition's sequence stands while nothing is under way, to go on from there after the rest was forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    identity: Identity,
    next: i32,
    id_spent: bool,
}

/// The numbers of one partition. Without an identity none can be given out.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    identity: Option<Identity>,
    next: i32,
    /// The broker knows a higher epoch of this producer id, or there is none.
    id_spent: bool,
}

impl Numbers {
    /// What is kept of them, if the sequence has begun.
    pub(super) fn keep(&self) -> Option<Kept> {
        Some(Kept { identity: self.identity?, next: self.next, id_spent: self.id_spent })
    }

    /// Begins with a new producer id, if one is needed. False if it is one whose epochs are used up here, so that another
    /// is needed.
    pub(super) fn identify(&mut self, identity: Identity) -> bool {
        match self.identity {
            Some(own) if self.id_spent && own.producer_id == identity.producer_id => return false,
            Some(_) if !self.id_spent => {}
            _ => {
                self.identity = Some(identity);
                self.id_spent = false;
            }
        }
        true
    }

    /// Whether there is a producer id of use.
    pub(super) fn may_be_given_out(&self) -> bool {
        self.identity.is_some() && !self.id_spent
    }

    /// What the next batch is to be sealed with.
    pub(super) fn upcoming(&self) -> ProducerState {
        match self.identity {
            Some(Identity { producer_id, epoch }) => {
                ProducerState { producer_id, producer_epoch: epoch, base_sequence: self.next }
            }
            None => ProducerState::NONE,
        }
    }

    /// Gives out the numbers of so many records.
    pub(super) fn take(&mut self, records: i32) {
        self.next = sequence::add(self.next, records);
    }

    /// The broker knows a higher epoch.
    pub(super) fn spend(&mut self) {
        self.id_spent = true;
    }

    /// Begins again from 0 in the next epoch.
    pub(super) fn raise_epoch(&mut self) {
        self.next = 0;
        if let Some(identity) = &mut self.identity
            && !self.id_spent
        {
            match identity.epoch.checked_add(1) {
                Some(epoch) => identity.epoch = epoch,
                None => self.id_spent = true,
            }
        }
    }
}

impl From<Kept> for Numbers {
    fn from(Kept { identity, next, id_spent }: Kept) -> Self {
        Numbers { identity: Some(identity), next, id_spent }
    }
}
