//! Topics and their logs: creating, growing, changing, and what replication does to them.

use std::collections::BTreeSet;
use std::time::Instant;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::uuid::Uuid;

use super::alarms::Alarm;
use super::{Cluster, Partition, Topic};
use crate::configs::{self, Values};
use crate::log::{LogConfig, PartitionLog};

/// Why a topic can't be made or changed: the code and the broker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into() }
    }
}

impl Cluster {
    /// Creates a topic, spread over the brokers.
    ///
    /// # Errors
    /// What CreateTopics would answer, as text.
    pub fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        replication_factor: i16,
    ) -> Result<(), String> {
        let replicas = self.place(partitions, replication_factor).map_err(|refusal| refusal.to_string())?;
        super::check_name(name)?;
        if self.topics.get(name).is_some() {
            return Err(format!("Topic '{name}' already exists."));
        }
        self.add_topic(name, replicas, Values::new());
        Ok(())
    }

    /// Deletes a topic; `false` where there was none.
    pub fn delete_topic(&mut self, now: Instant, name: &str) -> bool {
        let found = self.remove_topic(name);
        self.settle(now);
        found
    }

    /// Creates a topic that somebody asked for, and gives the code with which Kafka answers meanwhile.
    pub(crate) fn auto_create(&mut self, name: &str) -> ErrorCode {
        let partitions = i32::try_from(self.brokers.number("num.partitions")).unwrap_or(1);
        let factor = i16::try_from(self.brokers.number("default.replication.factor")).unwrap_or(1);
        match self.place(partitions, factor) {
            Ok(replicas) => {
                self.add_topic(name, replicas, Values::new());
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            }
            Err(refusal) => refusal.code,
        }
    }

    /// A partition's log, as its leader has it.
    pub fn log(&self, topic: &str, partition: i32) -> Option<&PartitionLog> {
        self.topics.get(topic)?.partition(partition).map(|partition| &partition.log)
    }

    /// Replicas for so many new partitions: brokers of different racks one after the other.
    pub(crate) fn place(
        &mut self,
        partitions: i32,
        replication_factor: i16,
    ) -> Result<Vec<Vec<i32>>, Refusal> {
        let Ok(count) =
            usize::try_from(partitions).map_err(drop).and_then(|n| if n > 0 { Ok(n) } else { Err(()) })
        else {
            let text = "Number of partitions was set to an invalid non-positive value.";
            return Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, text));
        };
        // Kafka refuses this many at once, too, and memory for more may not be there.
        if count > 10_000 {
            let text = "Excessively large number of partitions per request.";
            return Err(Refusal::new(ErrorCode::POLICY_VIOLATION, text));
        }
        let brokers = self.by_rack();
        let Some(factor) = usize::try_from(replication_factor).ok().filter(|factor| *factor > 0) else {
            let text = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(Refusal::new(ErrorCode::INVALID_REPLICATION_FACTOR, text));
        };
        if factor > brokers.len() {
            let text = format!(
                "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} cannot be \
                 reached because only {} broker(s) are registered.",
                brokers.len()
            );
            return Err(Refusal::new(ErrorCode::INVALID_REPLICATION_FACTOR, text));
        }
        let start = self.rng.usize(..brokers.len());
        let replicas = |partition: usize| {
            (0..factor).map(|copy| brokers[(start + partition + copy) % brokers.len()]).collect()
        };
        Ok((0..count).map(replicas).collect())
    }

    /// Adds a topic that was checked before.
    pub(crate) fn add_topic(&mut self, name: &str, replicas: Vec<Vec<i32>>, configs: Values) -> Uuid {
        let id = self.new_uuid();
        self.topics.insert(Topic { name: name.to_owned(), id, partitions: Vec::new(), configs });
        self.add_partitions(name, replicas);
        id
    }

    /// Adds partitions to a topic.
    pub(crate) fn add_partitions(&mut self, name: &str, replicas: Vec<Vec<i32>>) {
        let Some(topic) = self.topics.get(name) else { return };
        let (config, min_isr) = self.log_config(&topic.configs);
        let brokers = &self.brokers;
        let silent: BTreeSet<i32> =
            brokers.iter().map(|broker| broker.id).filter(|id| !brokers.runs(*id)).collect();
        let Some(topic) = self.topics.get_mut(name) else { return };
        for replicas in replicas {
            let log = PartitionLog::new(config.clone());
            topic.partitions.push(Partition::new(
                log,
                replicas,
                min_isr,
                |id| brokers.is_live(id),
                silent.clone(),
            ));
        }
        self.topics_changed();
    }

    /// Removes a topic; whoever waits for it is told.
    pub(crate) fn remove_topic(&mut self, name: &str) -> bool {
        let Some(topic) = self.topics.remove(name) else { return false };
        for index in (0..).take(topic.partitions.len()) {
            self.parked.wake(topic.id, index);
        }
        self.topics_changed();
        true
    }

    /// Sets all of a topic's settings.
    pub(crate) fn configure_topic(&mut self, name: &str, configs: Values) {
        let (config, min_isr) = self.log_config(&configs);
        let Some(topic) = self.topics.get_mut(name) else { return };
        topic.configs = configs;
        for partition in &mut topic.partitions {
            partition.log.set_config(config.clone());
            partition.min_isr = min_isr;
        }
    }

    /// Brokers' settings changed, on which those of topics may stand.
    pub(crate) fn reconfigure_topics(&mut self) {
        let all: Vec<(String, Values)> =
            self.topics.iter().map(|t| (t.name.clone(), t.configs.clone())).collect();
        for (name, configs) in all {
            self.configure_topic(&name, configs);
        }
    }

    /// A partition's log has grown.
    pub(crate) fn grown(&mut self, now: Instant, topic: Uuid, index: i32) {
        self.copy_rest(now, topic, index);
        self.parked.wake(topic, index);
    }

    /// Has those in sync copy what they lack.
    pub(super) fn copy_rest(&mut self, now: Instant, topic: Uuid, index: i32) {
        let copied_at = self.copied_at(now);
        let Some(partition) = self.partition_mut(topic, index) else { return };
        partition.appended(copied_at);
        if let Some(at) = copied_at {
            self.alarms.set(at, Alarm::Replicate(topic, index));
        }
    }

    /// Followers have copied what was due.
    pub(super) fn replicate(&mut self, now: Instant, topic: Uuid, index: i32) {
        if self.partition_mut(topic, index).is_some_and(|partition| partition.replicate(now)) {
            self.parked.wake(topic, index);
        }
    }

    /// Deletes what retention no longer keeps, and removes what compaction does, in all logs: what brokers do every few
    /// minutes.
    pub fn clean_logs(&mut self, now: Instant) {
        let now_ms = self.wall_ms(now);
        let mut changed = Vec::new();
        for topic in self.topics.iter_mut() {
            for (index, partition) in (0..).zip(&mut topic.partitions) {
                partition.log.retain(now_ms);
                partition.log.compact(now_ms);
                partition.log.expire_producers(now_ms);
                changed.push((topic.id, index));
            }
        }
        changed.into_iter().for_each(|(id, index)| self.parked.wake(id, index));
        self.settle(now);
    }

    fn log_config(&self, topic: &Values) -> (LogConfig, usize) {
        let broker = self.brokers.common_configs();
        let mut config = LogConfig::default();
        for setting in configs::TOPIC {
            // Every value was checked when it was set; the log's own idea of a range may be narrower, its default then stays.
            let _ = config.set(setting.name, configs::topic_value(setting.name, topic, &broker));
        }
        let min_isr = configs::number(configs::topic_value("min.insync.replicas", topic, &broker));
        (config, usize::try_from(min_isr).unwrap_or(1))
    }

    /// Live brokers, so that neighbours are of different racks as far as that can be.
    fn by_rack(&self) -> Vec<i32> {
        let mut racks: std::collections::BTreeMap<Option<&str>, std::collections::VecDeque<i32>> =
            Default::default();
        for broker in self.brokers.live() {
            racks.entry(broker.rack.as_deref()).or_default().push_back(broker.id);
        }
        let mut order = Vec::new();
        while racks.values().any(|rack| !rack.is_empty()) {
            order.extend(racks.values_mut().filter_map(std::collections::VecDeque::pop_front));
        }
        order
    }
}
