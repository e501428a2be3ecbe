//! Who leads: what the controller does when brokers come and go.

use std::time::{Duration, Instant};

use ottla_protocol::uuid::Uuid;

use super::alarms::Alarm;
use super::{Cluster, Partition};
use crate::configs;
use crate::versions::Release;

impl Cluster {
    pub(crate) fn partition_mut(&mut self, topic: Uuid, index: i32) -> Option<&mut Partition> {
        self.topics.by_id_mut(topic).and_then(|topic| topic.partition_mut(index))
    }

    /// Whether a broker does what is the controller's to do: since 3.0 any passes it on, before that only one broker did.
    pub(crate) fn takes_controller_requests(&self, broker: i32) -> bool {
        self.options.release >= Release::V3_9 || self.brokers.controller() == Some(broker)
    }

    pub(super) fn all_partitions(&mut self) -> impl Iterator<Item = &mut Partition> {
        self.topics.iter_mut().flat_map(|topic| topic.partitions.iter_mut())
    }

    /// The partitions that a broker leads.
    pub(super) fn led_by(&self, broker: i32) -> Vec<(Uuid, i32)> {
        self.partitions_where(|partition| partition.leader == broker)
    }

    /// Fences a broker that has been silent for too long, unless it is back.
    pub(super) fn fence_if_silent(&mut self, now: Instant, broker: i32) {
        if !self.brokers.runs(broker) {
            self.fence(now, broker);
            self.settle(now);
        }
    }

    /// The controller counts on the broker no longer: others lead, and it is in sync with nothing.
    pub(super) fn fence(&mut self, now: Instant, broker: i32) {
        match self.brokers.get_mut(broker) {
            Some(found) if !found.fenced => found.fenced = true,
            _ => return,
        }
        for (topic, index) in self.partitions_where(|partition| partition.replicas.contains(&broker)) {
            let leads = self.partition_mut(topic, index).is_some_and(|partition| partition.leader == broker);
            if leads {
                self.elect(now, topic, index);
            }
            if let Some(partition) = self.partition_mut(topic, index) {
                partition.left(broker);
            }
            self.finish_reassignment(now, topic, index);
            self.parked.wake(topic, index);
        }
        self.topics_changed();
    }

    /// Leaders give up on a follower that hasn't had all that they have for `replica.lag.time.max.ms`, and look again after half
    /// of that, as long as the controller believes in it. One that lacks nothing stays in sync.
    pub(super) fn shrink_if_lagging(&mut self, now: Instant, broker: i32) {
        if self.brokers.runs(broker) || !self.brokers.is_live(broker) {
            return;
        }
        let lags = |partition: &Partition| {
            partition.leader != broker
                && partition.serves()
                && partition.isr.contains(&broker)
                && partition.end_of(broker) < partition.log.end_offset()
        };
        for (topic, index) in self.partitions_where(lags) {
            if let Some(partition) = self.partition_mut(topic, index) {
                partition.left(broker);
            }
            self.parked.wake(topic, index);
        }
        let lag = u64::try_from(self.brokers.number("replica.lag.time.max.ms")).unwrap_or(0);
        self.alarms.set(now + Duration::from_millis(lag / 2 + 1), Alarm::Lag(broker));
        self.settle(now);
    }

    /// The controller counts on the broker again.
    pub(super) fn come_back(&mut self, now: Instant, broker: i32) {
        if let Some(found) = self.brokers.get_mut(broker) {
            found.fenced = false;
        }
        self.all_partitions().for_each(|partition| partition.spoke(broker));
        for (topic, index) in self.partitions_where(|partition| partition.replicas.contains(&broker)) {
            let unclean = self.unclean_election(topic);
            let Some(partition) = self.partition_mut(topic, index) else { continue };
            if partition.leader < 0 {
                if partition.isr.contains(&broker) || unclean {
                    self.lead(now, topic, index, broker);
                }
            } else {
                partition.catch_up_one(broker);
                if partition.leader == broker {
                    // Nobody could copy from it meanwhile, whoever came back.
                    self.copy_rest(now, topic, index);
                }
                self.follow(topic, index);
            }
            // What followers would have copied while their leader was paused.
            self.replicate(now, topic, index);
            self.finish_reassignment(now, topic, index);
            self.parked.wake(topic, index);
        }
        self.topics_changed();
    }

    /// Finds a leader for a partition whose own is gone: the first live replica in sync, or any where that is allowed.
    pub(crate) fn elect(&mut self, now: Instant, topic: Uuid, index: i32) {
        let unclean = self.unclean_election(topic);
        let Some(partition) = self.topics.by_id(topic).and_then(|topic| topic.partition(index)) else {
            return;
        };
        let live = |id: &&i32| **id != partition.leader && self.brokers.is_live(**id);
        let in_sync = partition.replicas.iter().find(|id| live(id) && partition.isr.contains(id));
        let any = || partition.replicas.iter().find(live).filter(|_| unclean);
        match in_sync.or_else(any).copied() {
            Some(leader) => self.lead(now, topic, index, leader),
            None => {
                if let Some(partition) = self.partition_mut(topic, index) {
                    partition.orphan();
                }
                self.led_anew(now, topic, index);
            }
        }
    }

    /// Makes a replica the leader.
    pub(crate) fn lead(&mut self, now: Instant, topic: Uuid, index: i32, leader: i32) {
        let Some(partition) = self.partition_mut(topic, index) else { return };
        partition.lead(leader);
        // What the others lacked of the old leader's log they copy from the new one, if it has that.
        self.copy_rest(now, topic, index);
        self.follow(topic, index);
        self.led_anew(now, topic, index);
    }

    /// Those that were back before their leader had nobody to copy from; now they may have.
    pub(super) fn follow(&mut self, topic: Uuid, index: i32) {
        let live: Vec<i32> = self.brokers.live().map(|broker| broker.id).collect();
        let Some(partition) = self.partition_mut(topic, index) else { return };
        live.into_iter().for_each(|broker| partition.joined(broker));
    }

    fn led_anew(&mut self, now: Instant, topic: Uuid, index: i32) {
        self.parked.wake(topic, index);
        self.coordinators_moved(now, topic, index);
    }

    /// Whether a replica that is out of sync may lead.
    pub(super) fn unclean_election(&self, topic: Uuid) -> bool {
        let Some(topic) = self.topics.by_id(topic) else { return false };
        let broker = self.brokers.common_configs();
        configs::topic_value("unclean.leader.election.enable", &topic.configs, &broker) == "true"
    }

    fn partitions_where(&self, wanted: impl Fn(&Partition) -> bool) -> Vec<(Uuid, i32)> {
        let of_topic = |topic: &super::Topic| {
            let found = (0..).zip(&topic.partitions).filter(|(_, partition)| wanted(partition));
            found.map(|(index, _)| (topic.id, index)).collect::<Vec<_>>()
        };
        self.topics.iter().flat_map(of_topic).collect()
    }
}
