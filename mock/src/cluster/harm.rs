//! What a test does to brokers and partitions from outside.

use std::time::{Duration, Instant};

use ottla_protocol::uuid::Uuid;

use super::Cluster;
use super::alarms::Alarm;
use super::brokers::BrokerState;
use super::connections::Output;

/// Something was to be done to what isn't there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HarmError {
    /// The cluster has no broker of this id.
    #[error("there is no broker {0}")]
    NoSuchBroker(i32),
    /// The broker is down.
    #[error("broker {0} is down")]
    BrokerDown(i32),
    /// The cluster has no such partition.
    #[error("there is no partition {0}-{1}")]
    NoSuchPartition(String, i32),
    /// The broker holds no copy of the partition.
    #[error("broker {broker} is no replica of {topic}-{partition}")]
    NoReplica {
        /// The broker.
        broker: i32,
        /// The partition's topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// The broker's copy lacks what others have, and losing records is not allowed (`unclean.leader.election.enable`).
    #[error("broker {broker} is not in sync for {topic}-{partition}, and may not lead it")]
    OutOfSync {
        /// The broker.
        broker: i32,
        /// The partition's topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
}

impl Cluster {
    /// A broker crashes: its connections break, and what followers have not copied of the partitions it leads is lost.
    /// As long as the controller waits for its heartbeats (`broker.session.timeout.ms`), it is still named as leader.
    ///
    /// # Errors
    /// Where there is no such broker.
    pub fn kill_broker(&mut self, now: Instant, broker: i32) -> Result<(), HarmError> {
        // A follower counts as in sync for as long as the controller believes in it.
        self.go_down(broker)?;
        self.all_partitions()
            .filter(|partition| partition.leader == broker)
            .for_each(|partition| partition.stop_copying());
        self.await_silence(now, broker);
        self.settle(now);
        Ok(())
    }

    /// A broker shuts down in good order: others lead first, and nothing is lost. Of each producer it will know one batch
    /// when it starts again, not five, as that is what brokers write down.
    ///
    /// # Errors
    /// Where there is no such broker.
    pub fn stop_broker(&mut self, now: Instant, broker: i32) -> Result<(), HarmError> {
        for (topic, index) in self.led_by(broker) {
            if let Some(partition) = self.partition_mut(topic, index) {
                partition.catch_up();
            }
        }
        self.fence(now, broker);
        self.settle(now);
        if self.brokers.runs(broker) {
            self.all_partitions().for_each(|partition| partition.note_producers(broker));
        }
        self.go_down(broker)?;
        self.settle(now);
        Ok(())
    }

    /// A broker stops doing anything, as a stopped process or one in a long pause: connections stay, nobody answers. The
    /// controller gives it up as it does a dead one.
    ///
    /// # Errors
    /// Where there is no such broker, or it is down.
    pub fn pause_broker(&mut self, now: Instant, broker: i32) -> Result<(), HarmError> {
        let found = self.brokers.get_mut(broker).ok_or(HarmError::NoSuchBroker(broker))?;
        match found.state {
            BrokerState::Down => return Err(HarmError::BrokerDown(broker)),
            BrokerState::Paused => return Ok(()),
            BrokerState::Running => found.state = BrokerState::Paused,
        }
        self.all_partitions().for_each(|partition| partition.fell_silent(broker));
        self.await_silence(now, broker);
        Ok(())
    }

    /// A paused broker goes on: it answers what it had not sent yet, serves what came meanwhile, and is in sync again.
    ///
    /// # Errors
    /// Where there is no such broker, or it is down.
    pub fn resume_broker(&mut self, now: Instant, broker: i32) -> Result<(), HarmError> {
        let found = self.brokers.get_mut(broker).ok_or(HarmError::NoSuchBroker(broker))?;
        match found.state {
            BrokerState::Down => return Err(HarmError::BrokerDown(broker)),
            BrokerState::Running => return Ok(()),
            BrokerState::Paused => found.state = BrokerState::Running,
        }
        self.come_back(now, broker);
        self.thaw(broker);
        self.settle(now);
        Ok(())
    }

    /// A broker that was killed or stopped starts again, and copies what it missed.
    ///
    /// # Errors
    /// Where there is no such broker.
    pub fn restart_broker(&mut self, now: Instant, broker: i32) -> Result<(), HarmError> {
        let found = self.brokers.get(broker).ok_or(HarmError::NoSuchBroker(broker))?;
        if found.state != BrokerState::Down {
            self.go_down(broker)?;
        }
        // Its former life ends for good, whether or not the controller had noticed.
        self.fence(now, broker);
        if let Some(found) = self.brokers.get_mut(broker) {
            found.state = BrokerState::Running;
        }
        self.come_back(now, broker);
        self.output(Output::Listen { broker, open: true });
        self.settle(now);
        Ok(())
    }

    /// Sets what follows when a broker says nothing any more.
    fn await_silence(&mut self, now: Instant, broker: i32) {
        let millis = |name| Duration::from_millis(u64::try_from(self.brokers.number(name)).unwrap_or(0));
        let (session, lag) = (millis("broker.session.timeout.ms"), millis("replica.lag.time.max.ms"));
        self.alarms.set(now + session, Alarm::Fence(broker));
        self.alarms.set(now + lag, Alarm::Lag(broker));
    }

    /// How a broker is; `None` where there is none such.
    pub fn broker_state(&self, broker: i32) -> Option<BrokerState> {
        self.brokers.get(broker).map(|broker| broker.state)
    }

    /// The broker that leads a partition, if any does.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let found = self.topics.get(topic)?.partition(partition)?;
        (found.leader >= 0).then_some(found.leader)
    }

    /// Another replica leads from now on. What it has not copied is lost, which is nothing that was acknowledged by
    /// `acks=all`, unless `unclean.leader.election.enable` lets replicas lead that are out of sync.
    ///
    /// # Errors
    /// Where there is no such partition, or the broker is no live replica of it, or one that may not lead.
    pub fn move_leader(
        &mut self,
        now: Instant,
        topic: &str,
        partition: i32,
        to: i32,
    ) -> Result<(), HarmError> {
        let id = self.check_replica(topic, partition, to)?;
        if !self.brokers.is_live(to) {
            return Err(HarmError::BrokerDown(to));
        }
        let may_lead = self.unclean_election(id);
        if !self.partition_mut(id, partition).is_some_and(|found| may_lead || found.isr.contains(&to)) {
            return Err(HarmError::OutOfSync { broker: to, topic: topic.to_owned(), partition });
        }
        self.lead(now, id, partition, to);
        self.settle(now);
        Ok(())
    }

    /// The coordinator of a group moves to another broker.
    ///
    /// # Errors
    /// Where there is no such broker, or it holds no copy of the group's offsets.
    pub fn move_group_coordinator(&mut self, now: Instant, group: &str, to: i32) -> Result<(), HarmError> {
        let (topic, partition) = self.group_partition(group);
        self.move_leader(now, topic, partition, to)
    }

    /// The coordinator of a transactional id moves to another broker.
    ///
    /// # Errors
    /// Where there is no such broker, or it holds no copy of the transactions' state.
    pub fn move_transaction_coordinator(&mut self, now: Instant, id: &str, to: i32) -> Result<(), HarmError> {
        let (topic, partition) = self.transaction_partition(id);
        self.move_leader(now, topic, partition, to)
    }

    /// A follower stops copying a partition, and so holds up its high watermark, until [`Cluster::resume_replication`].
    ///
    /// # Errors
    /// Where there is no such partition, or the broker is no replica of it.
    pub fn hold_replication(&mut self, topic: &str, partition: i32, follower: i32) -> Result<(), HarmError> {
        let id = self.check_replica(topic, partition, follower)?;
        if let Some(found) = self.partition_mut(id, partition) {
            found.hold(follower);
        }
        Ok(())
    }

    /// All followers of a partition copy again, and everything at once.
    ///
    /// # Errors
    /// Where there is no such partition.
    pub fn resume_replication(&mut self, now: Instant, topic: &str, partition: i32) -> Result<(), HarmError> {
        let missing = || HarmError::NoSuchPartition(topic.to_owned(), partition);
        let id = self.topics.get(topic).ok_or_else(missing)?.id;
        let found = self.partition_mut(id, partition).ok_or_else(missing)?;
        found.release_all();
        found.catch_up();
        self.follow(id, partition);
        self.parked.wake(id, partition);
        self.settle(now);
        Ok(())
    }

    /// A follower falls out of sync and copies nothing, or copies again and comes back.
    ///
    /// # Errors
    /// Where there is no such partition, or the broker is no replica of it.
    pub fn set_in_sync(
        &mut self,
        now: Instant,
        topic: &str,
        partition: i32,
        follower: i32,
        in_sync: bool,
    ) -> Result<(), HarmError> {
        let id = self.check_replica(topic, partition, follower)?;
        if let Some(found) = self.partition_mut(id, partition).filter(|found| found.leader != follower) {
            match in_sync {
                true => {
                    found.release(follower);
                    found.joined(follower);
                }
                false => {
                    found.hold(follower);
                    found.left(follower);
                }
            }
        }
        self.parked.wake(id, partition);
        self.settle(now);
        Ok(())
    }

    /// Ends the session of a group's member, as if nothing had been heard of it for too long; `false` where there is none
    /// such. Without a `member_id` those of all members end.
    pub fn expire_session(&mut self, now: Instant, group: &str, member_id: Option<&str>) -> bool {
        let members = match member_id {
            Some(member_id) => vec![member_id.to_owned()],
            None => self.groups.member_ids(group),
        };
        let expired = members.iter().filter(|id| self.groups.expire_session(now, group, id)).count();
        self.settle(now);
        expired > 0
    }

    /// Makes a group rebalance without a cause; `false` where there is no such group, or nobody in it.
    pub fn force_rebalance(&mut self, now: Instant, group: &str) -> bool {
        let forced = self.groups.force_rebalance(now, group);
        self.settle(now);
        forced
    }

    /// The member ids of a group.
    pub fn group_members(&self, group: &str) -> Vec<String> {
        self.groups.member_ids(group)
    }

    /// The offset that a group has committed.
    pub fn committed_offset(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        self.groups.committed_offset(group, topic, partition)
    }

    /// Fences the producer of a transactional id, as another one with the same id would; `false` where the id is unknown.
    pub fn fence_producer(&mut self, now: Instant, transactional_id: &str) -> bool {
        let fenced = self.transactions.fence(now, transactional_id);
        self.settle(now);
        fenced
    }

    fn go_down(&mut self, broker: i32) -> Result<(), HarmError> {
        let found = self.brokers.get_mut(broker).ok_or(HarmError::NoSuchBroker(broker))?;
        found.state = BrokerState::Down;
        found.sessions = Default::default();
        self.all_partitions().for_each(|partition| partition.fell_silent(broker));
        self.output(Output::Listen { broker, open: false });
        self.cut_connections(broker)
    }

    fn check_replica(&self, topic: &str, partition: i32, broker: i32) -> Result<Uuid, HarmError> {
        self.brokers.get(broker).ok_or(HarmError::NoSuchBroker(broker))?;
        let missing = || HarmError::NoSuchPartition(topic.to_owned(), partition);
        let found = self.topics.get(topic).ok_or_else(missing)?;
        match found.partition(partition).ok_or_else(missing)?.replicas.contains(&broker) {
            true => Ok(found.id),
            false => Err(HarmError::NoReplica { broker, topic: topic.to_owned(), partition }),
        }
    }
}
