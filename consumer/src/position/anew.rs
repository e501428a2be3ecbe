//! The one door to a new position: seek, skip, reset, a truncated log, another topic of the same name.
//!
//! Guarantees: whatever was fetched for the position before, or is on its way, never reaches the application; what was handed
//! out and lies before the new position holds commits up until it is acknowledged, as it does not come again; what lies
//! behind it comes again, or is another record by now, and is not waited for.

use ottla_client::{Error, ErrorKind, TopicPartition};

use crate::fetch::plan::Route;
use crate::fetch::state::FetchState;
use crate::subscription::{Generation, Origin, Position, ResetTo, Start};

/// Where a partition goes on that has a position, or waits for one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anew {
    /// Where the application wants it.
    Sought(Start),
    /// At an offset that was kept with the epoch of the record before it.
    Kept(Position),
    /// Elsewhere in the log that it is in, as the consumer knows by itself.
    Moved(Position),
    /// Where the log was truncated, as the leader at this route says.
    Truncated(Position, Route),
    /// By the policy, as the offset is not in the log.
    Reset(ResetTo),
    /// By the policy, in another topic of the same name.
    Recreated(ResetTo),
}

impl Anew {
    /// The offset, if it is known already.
    fn offset(self) -> Option<i64> {
        match self {
            Anew::Sought(Start::Offset(offset)) => Some(offset),
            Anew::Kept(position) | Anew::Moved(position) | Anew::Truncated(position, _) => {
                Some(position.offset)
            }
            Anew::Sought(_) | Anew::Reset(_) | Anew::Recreated(_) => None,
        }
    }
}

impl FetchState {
    /// Reads a partition on from elsewhere, as the application wants it; false if the consumer doesn't have it.
    pub(crate) fn seek(&mut self, partition: &TopicPartition, to: Start) -> bool {
        self.begin_anew(partition, Anew::Sought(to))
    }

    /// Gives a partition a new position, or has it wait for one; false if the consumer doesn't have it.
    pub(crate) fn begin_anew(&mut self, partition: &TopicPartition, to: Anew) -> bool {
        self.damages.forget(partition);
        self.buffer.discard(partition);
        match to {
            Anew::Sought(start) => drop(self.subscription.seek(partition, start)),
            Anew::Kept(position) => drop(self.subscription.seek_to(partition, position)),
            Anew::Moved(position) => self.subscription.move_within(partition, position),
            Anew::Truncated(position, route) => self.subscription.go_back(partition, position, route),
            Anew::Reset(to) | Anew::Recreated(to) => self.subscription.reset(partition, to),
        }
        let Some(assigned) = self.subscription.partition(partition) else { return false };
        if let Some(acks) = &mut self.acks {
            if matches!(to, Anew::Recreated(_)) {
                acks.forget(partition);
            }
            acks.begin(partition, assigned.generation);
            if let Some(offset) = to.offset() {
                acks.comes_again(partition, offset);
            }
        }
        true
    }

    /// A lookup found where the partition begins, and in which log.
    pub(crate) fn found(
        &mut self,
        partition: &TopicPartition,
        generation: Generation,
        position: Position,
        origin: Origin,
    ) {
        let waits = self
            .subscription
            .partition(partition)
            .is_some_and(|assigned| assigned.generation == generation && assigned.fetching().is_none());
        if waits {
            self.subscription.found(partition, generation, position, origin);
            if let Some(acks) = &mut self.acks {
                acks.comes_again(partition, position.offset);
            }
        }
    }

    /// There is no offset to go on from: looks one up by the policy, or reports that there is none.
    pub(crate) fn without_offset(&mut self, partition: &TopicPartition, generation: Generation, what: &str) {
        self.by_policy(partition, generation, what, Anew::Reset);
    }

    /// The topic is another one than the partition was read of.
    pub(crate) fn recreated(&mut self, partition: &TopicPartition, generation: Generation) {
        self.by_policy(partition, generation, "the topic was deleted and created anew", Anew::Recreated);
    }

    fn by_policy(
        &mut self,
        partition: &TopicPartition,
        generation: Generation,
        what: &str,
        anew: impl FnOnce(ResetTo) -> Anew,
    ) {
        match ResetTo::by_policy(self.rules.reset) {
            Some(to) => {
                if self.subscription.current_mut(partition, generation).is_some() {
                    tracing::info!(%partition, reset = ?to, "{what}: resetting the position");
                    self.begin_anew(partition, anew(to));
                }
            }
            None => {
                let message = format!("{partition}: {what}, and auto.offset.reset is none: seek to go on");
                let error = Error::new(ErrorKind::OffsetOutOfRange, message);
                self.report(partition, generation, error);
            }
        }
    }
}

#[cfg(test)]
mod tests;
