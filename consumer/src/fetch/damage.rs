//! [`Damages`]: batches that cannot be read, each of which its partition stands before until it is skipped.
//!
//! Guarantees: the position stays before the damage, and what was fetched behind it is fetched again, as the damage may have
//! happened on the way; a skip leaves out no more than the batch, as far as that can be told.

use std::collections::BTreeMap;
use std::time::Instant;

use ottla_client::{Error, ErrorKind, TopicPartition};
use ottla_protocol::records::RecordError;

use super::buffer::Reading;
use super::state::FetchState;
use crate::position::anew::Anew;
use crate::subscription::{Assigned, Generation, Position};

/// Where partitions stand before a batch that cannot be read, and where that ends, if it is known.
#[derive(Debug, Default)]
pub(crate) struct Damages(BTreeMap<TopicPartition, Damage>);

#[derive(Clone, Copy, Debug)]
struct Damage {
    generation: Generation,
    position: i64,
    next: Option<i64>,
}

impl Damages {
    /// The partition's position begins anew, or it is gone.
    pub(crate) fn forget(&mut self, partition: &TopicPartition) {
        self.0.remove(partition);
    }
}

impl FetchState {
    /// `reading` met damage: what was fetched behind it is fetched again, as the damage may have happened on the way.
    pub(crate) fn damaged(
        &mut self,
        reading: &Reading,
        error: RecordError,
        now: Instant,
        random: f64,
    ) -> Error {
        self.settle(reading);
        let Reading { partition, generation, fetch } = reading;
        let position = fetch.next_offset();
        if let Some(assigned) = self.subscription.current_mut(partition, *generation) {
            assigned.halted = false;
            let failures = assigned.failures;
            if let Some(fetching) = assigned.fetching_mut() {
                fetching.fetch_offset = position;
                fetching.fetch_epoch = fetching.position.leader_epoch;
            }
            self.buffer.discard(partition);
            let at = now + self.rules.backoff.next(failures, random);
            self.subscription.put_off(partition, *generation, at);
        }
        let assigned = self.subscription.partition(partition);
        let log_end = assigned.and_then(Assigned::fetching).and_then(|fetching| fetching.end_offset);
        let next = fetch.behind_damage(log_end);
        let damage = Damage { generation: *generation, position, next };
        self.damages.0.insert(partition.clone(), damage);
        let advice = match next {
            Some(next) => format!("`skip` passes over the batch, to offset {next}"),
            None => "seek beyond the damage to go on".to_owned(),
        };
        let message = format!("cannot read {partition} at offset {position}; {advice}");
        let error = Error::new(ErrorKind::CorruptRecord, message).with_cause(error);
        self.heard.damaged(partition, *generation, position, &error);
        error
    }

    /// Moves the position behind the batch that cannot be read; where that is.
    pub(crate) fn skip(&mut self, partition: &TopicPartition) -> Result<i64, Error> {
        let damage = self.damages.0.get(partition).copied();
        let Some(damage) = damage.filter(|damage| self.is_before(partition, damage)) else {
            let message = format!("{partition} stands before no batch that cannot be read");
            return Err(Error::new(ErrorKind::InvalidState, message));
        };
        let Damage { position, next, .. } = damage;
        let Some(next) = next else {
            let message = format!(
                "where the damage of {partition} at offset {position} ends is unknown; seek beyond it"
            );
            return Err(Error::new(ErrorKind::InvalidState, message));
        };
        tracing::warn!(%partition, from = position, to = next, "skipping records that cannot be read");
        self.begin_anew(partition, Anew::Moved(Position { offset: next, leader_epoch: None }));
        Ok(next)
    }

    /// The partitions that stand before a batch that cannot be read.
    pub(crate) fn damaged_partitions(&self) -> Vec<TopicPartition> {
        let stands = self.damages.0.iter().filter(|(partition, damage)| self.is_before(partition, damage));
        stands.map(|(partition, _)| partition.clone()).collect()
    }

    fn is_before(&self, partition: &TopicPartition, damage: &Damage) -> bool {
        self.subscription.partition(partition).is_some_and(|assigned| {
            assigned.generation == damage.generation
                && assigned.fetching().is_some_and(|fetching| fetching.position.offset == damage.position)
        })
    }
}
