//! The topics.

use std::collections::{BTreeMap, HashMap};

use ottla_protocol::uuid::Uuid;

use super::partition::Partition;
use crate::configs::Values;

/// A topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<Partition>,
    /// What was set on the topic.
    pub(crate) configs: Values,
}

impl Topic {
    /// Whether Kafka owns it.
    pub(crate) fn is_internal(&self) -> bool {
        is_internal(&self.name)
    }

    pub(crate) fn partition(&self, index: i32) -> Option<&Partition> {
        usize::try_from(index).ok().and_then(|index| self.partitions.get(index))
    }

    pub(crate) fn partition_mut(&mut self, index: i32) -> Option<&mut Partition> {
        usize::try_from(index).ok().and_then(|index| self.partitions.get_mut(index))
    }
}

/// All topics by name and by id.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    by_name: BTreeMap<String, Topic>,
    names: HashMap<Uuid, String>,
}

impl Topics {
    pub(crate) fn insert(&mut self, topic: Topic) {
        self.names.insert(topic.id, topic.name.clone());
        self.by_name.insert(topic.name.clone(), topic);
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Topic> {
        let topic = self.by_name.remove(name)?;
        self.names.remove(&topic.id);
        Some(topic)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Topic> {
        self.by_name.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Topic> {
        self.by_name.get_mut(name)
    }

    pub(crate) fn name_of(&self, id: Uuid) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    pub(crate) fn by_id(&self, id: Uuid) -> Option<&Topic> {
        self.names.get(&id).and_then(|name| self.by_name.get(name))
    }

    pub(crate) fn by_id_mut(&mut self, id: Uuid) -> Option<&mut Topic> {
        self.names.get(&id).and_then(|name| self.by_name.get_mut(name))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.by_name.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Topic> {
        self.by_name.values_mut()
    }
}

/// Whether a topic of this name is Kafka's own.
pub(crate) fn is_internal(name: &str) -> bool {
    ["__consumer_offsets", "__transaction_state", "__share_group_state"].contains(&name)
}

/// Why no topic can have this name.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c);
    match name {
        "" => Err("Topic name is invalid: the empty string is not allowed".to_owned()),
        "." | ".." => Err(format!("Topic name is invalid: '{name}' is not allowed")),
        name if name.len() > 249 => Err(format!(
            "Topic name is invalid: the length of '{name}' is longer than the max allowed length 249"
        )),
        name if !name.chars().all(legal) => Err(format!(
            "Topic name is invalid: '{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' \
             and '-'"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topics_name_is_of_kafkas_characters_and_length() {
        assert_eq!(check_name("a.B_c-9"), Ok(()));
        assert_eq!(check_name(&"x".repeat(249)), Ok(()));
        for name in ["", ".", "..", "a b", "a/b", "ä", &"x".repeat(250)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
