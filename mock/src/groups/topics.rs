//! What the coordinator knows of the cluster's topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::uuid::Uuid;

use super::assignor::Partitions;

/// A topic, as far as groups care.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TopicFacts {
    /// Its name.
    pub(crate) name: String,
    /// Its id.
    pub(crate) id: Uuid,
    /// The racks of each partition's replicas, sorted; as many entries as there are partitions.
    pub(crate) racks: Vec<Vec<String>>,
}

/// Where the coordinator learns of topics.
pub(crate) trait TopicsView {
    /// All topics of the cluster.
    fn topics(&self) -> Vec<TopicFacts>;
}

/// The topics as of the latest change.
#[derive(Debug, Default)]
pub(super) struct Topics {
    by_name: BTreeMap<String, Arc<TopicFacts>>,
    names: BTreeMap<Uuid, String>,
    /// Grows with every change.
    pub(super) version: u64,
    /// The version that last brought topics which had not been there.
    pub(super) last_created: u64,
}

impl Topics {
    /// Takes over a new state of affairs; the topics that are gone, by name and id.
    pub(super) fn replace(&mut self, view: &dyn TopicsView) -> Vec<(String, Uuid)> {
        self.version += 1;
        let old_names = std::mem::take(&mut self.names);
        self.by_name.clear();
        for topic in view.topics() {
            self.names.insert(topic.id, topic.name.clone());
            self.by_name.insert(topic.name.clone(), Arc::new(topic));
        }
        if self.names.keys().any(|id| !old_names.contains_key(id)) {
            self.last_created = self.version;
        }
        old_names
            .into_iter()
            .filter(|(id, _)| !self.names.contains_key(id))
            .map(|(id, name)| (name, id))
            .collect()
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&Arc<TopicFacts>> {
        self.by_name.get(name)
    }

    pub(super) fn name(&self, id: Uuid) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// How many partitions a topic has; none if it doesn't exist.
    pub(super) fn partitions(&self, id: Uuid) -> i32 {
        let topic = self.name(id).and_then(|name| self.by_name.get(name));
        topic.map_or(0, |topic| i32::try_from(topic.racks.len()).unwrap_or(i32::MAX))
    }

    pub(super) fn exists(&self, name: &str, partition: i32) -> bool {
        self.by_name(name).is_some_and(|topic| partition >= 0 && self.partitions(topic.id) > partition)
    }

    /// Partitions with names for ids; those of topics that are gone are left out.
    pub(super) fn named<'a>(&'a self, partitions: &'a Partitions) -> impl Iterator<Item = (&'a str, i32)> {
        let named = partitions.iter().filter_map(|(id, numbers)| Some((self.name(*id)?, numbers)));
        named.flat_map(|(name, numbers)| numbers.iter().map(move |number| (name, *number)))
    }
}
