//! Configurations of topics and brokers by Kafka's names: types, defaults, which value counts.
//!
//! A topic's value comes from the topic, else from the broker's setting that stands for it (`log.retention.ms` for
//! `retention.ms`), else from the default. Only what changes how the cluster behaves, or what tools like to see, is here.
//!
//! Sources: KIP-226 (sources and synonyms), TopicConfig and ServerTopicConfigSynonyms of Kafka 4.3.

use std::collections::BTreeMap;

pub(crate) use table::{BROKER, Setting, TOPIC, Type};

pub(crate) mod alter;
pub(crate) mod describe;
mod table;

/// Names and values that somebody set.
pub(crate) type Values = BTreeMap<String, String>;

/// Where a value comes from, with the numbers of DescribeConfigs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The topic itself.
    Topic = 1,
    /// The broker, changed while it runs.
    Broker = 2,
    /// All brokers, changed while they run.
    DefaultBroker = 3,
    /// The brokers' files.
    StaticBroker = 4,
    /// Kafka.
    Default = 5,
}

/// A topic's setting of this name, if there is one.
pub(crate) fn topic_setting(name: &str) -> Option<&'static Setting> {
    TOPIC.iter().find(|setting| setting.name == name)
}

/// A broker's setting of this name, which may be the one that stands for a topic's.
pub(crate) fn broker_setting(name: &str) -> Option<(&'static str, &'static Setting)> {
    if let Some(setting) = BROKER.iter().find(|setting| setting.name == name) {
        return Some((setting.name, setting));
    }
    TOPIC
        .iter()
        .find(|setting| setting.synonym == Some(name))
        .and_then(|setting| Some((setting.synonym?, setting)))
}

/// Why `value` doesn't fit a topic's setting.
pub(crate) fn check_topic(name: &str, value: &str) -> Result<(), String> {
    match topic_setting(name) {
        Some(setting) => setting.check(value),
        None => Err(format!("Unknown topic config name: {name}")),
    }
}

/// Why `value` doesn't fit a broker's setting. A name that isn't known is kept, as brokers keep those of plugins.
pub(crate) fn check_broker(name: &str, value: &str) -> Result<(), String> {
    match broker_setting(name) {
        Some((_, setting)) => setting.check(value),
        None => Ok(()),
    }
}

/// The value of a topic's setting.
pub(crate) fn topic_value<'a>(name: &str, topic: &'a Values, broker: &'a Values) -> &'a str {
    let Some(setting) = topic_setting(name) else { return "" };
    let inherited = || setting.synonym.and_then(|synonym| broker.get(synonym));
    topic.get(name).or_else(inherited).map_or(setting.default, String::as_str)
}

/// The value of a broker's setting.
pub(crate) fn broker_value<'a>(name: &str, broker: &'a Values) -> &'a str {
    let default = || broker_setting(name).map_or("", |(_, setting)| setting.default);
    broker.get(name).map_or_else(default, String::as_str)
}

/// A whole number; `check` has seen to it that there is one.
pub(crate) fn number(value: &str) -> i64 {
    value.trim().parse().unwrap_or_default()
}

/// The elements of a list.
pub(crate) fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_topics_value_counts_before_the_brokers_and_that_before_kafkas() {
        let (none, broker) = (Values::new(), values(&[("log.retention.ms", "5")]));
        assert_eq!(topic_value("retention.ms", &values(&[("retention.ms", "7")]), &broker), "7");
        assert_eq!(topic_value("retention.ms", &none, &broker), "5");
        assert_eq!(topic_value("retention.ms", &none, &none), "604800000");
        assert_eq!(broker_value("num.partitions", &none), "1");
        assert_eq!(broker_value("log.retention.ms", &broker), "5");
    }

    #[test]
    fn a_value_must_be_of_its_settings_type_and_range() {
        assert!(check_topic("retention.ms", "-1").is_ok());
        assert!(check_topic("retention.ms", "-2").is_err());
        assert!(check_topic("retention.ms", "soon").is_err());
        assert!(check_topic("cleanup.policy", "compact,delete").is_ok());
        assert!(check_topic("cleanup.policy", "compress").is_err());
        assert!(check_topic("min.cleanable.dirty.ratio", "0.25").is_ok());
        assert!(check_topic("preallocate", "yes").is_err());
        assert_eq!(check_topic("reach", "1"), Err("Unknown topic config name: reach".to_owned()));
        assert!(check_broker("num.partitions", "0").is_err());
        assert!(check_broker("my.plugin.setting", "anything").is_ok());
    }

    #[test]
    fn every_default_fits_its_own_setting() {
        let wrong: Vec<&str> = TOPIC
            .iter()
            .chain(BROKER)
            .filter(|setting| setting.check(setting.default).is_err())
            .map(|setting| setting.name)
            .collect();
        assert_eq!(wrong, Vec::<&str>::new());
    }
}
