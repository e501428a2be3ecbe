//! Settings as the RPCs tell them: value, source, and all places that set it.

use super::{BROKER, Setting, Source, TOPIC, Values};
use crate::cluster::brokers::Brokers;

/// Settings of brokers that nobody sets: the ones in other units (`log.retention.hours`) have the default.
const UNSET: [&str; 4] = ["log.retention.ms", "log.roll.ms", "log.roll.jitter.ms", "log.flush.interval.ms"];

/// A setting with the value that counts.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub(crate) name: &'static str,
    pub(crate) setting: &'static Setting,
    /// `None` for what is derived from a setting in another unit.
    pub(crate) value: Option<String>,
    pub(crate) source: Source,
    /// Name, value and source of every place that sets it, the one that counts first.
    pub(crate) synonyms: Vec<(&'static str, String, Source)>,
}

/// All settings of a topic.
///
/// In Kafka a default of nothing is no synonym.
pub(crate) fn of_topic(topic: &Values, brokers: &Brokers) -> Vec<Described> {
    let described = |setting: &'static Setting| {
        let own = topic.get(setting.name).map(|value| (setting.name, value.clone(), Source::Topic));
        let inherited = setting.synonym.into_iter().flat_map(|synonym| of_all_brokers(synonym, brokers));
        let default = (setting.synonym.unwrap_or(setting.name), setting.default.to_owned(), Source::Default);
        describe(setting.name, setting, own.into_iter().chain(inherited).collect(), default)
    };
    TOPIC.iter().map(described).collect()
}

/// All settings of a broker.
pub(crate) fn of_broker(id: i32, brokers: &Brokers) -> Vec<Described> {
    let described = |(name, setting): (&'static str, &'static Setting)| {
        let own = brokers.get(id).and_then(|broker| broker.configs.get(name));
        let own = own.map(|value| (name, value.clone(), Source::Broker));
        let places = own.into_iter().chain(of_all_brokers(name, brokers)).collect();
        describe(name, setting, places, (name, setting.default.to_owned(), Source::Default))
    };
    broker_settings().map(described).collect()
}

/// What was set on all brokers while they run.
pub(crate) fn of_default_broker(brokers: &Brokers) -> Vec<Described> {
    let dynamic = |(name, setting): (&'static str, &'static Setting)| {
        let value = brokers.default_configs.get(name)?.clone();
        let place = (name, value, Source::DefaultBroker);
        Some(describe(name, setting, vec![place.clone()], place))
    };
    broker_settings().filter_map(dynamic).collect()
}

fn is_broker(setting: &Setting) -> bool {
    BROKER.iter().any(|known| known.name == setting.name)
}

fn broker_settings() -> impl Iterator<Item = (&'static str, &'static Setting)> {
    let inherited = TOPIC.iter().filter_map(|setting| setting.synonym.map(|synonym| (synonym, setting)));
    BROKER.iter().map(|setting| (setting.name, setting)).chain(inherited)
}

fn of_all_brokers(
    name: &'static str,
    brokers: &Brokers,
) -> impl Iterator<Item = (&'static str, String, Source)> {
    let default = brokers.default_configs.get(name).map(|value| (name, value.clone(), Source::DefaultBroker));
    let fixed = brokers.static_configs.get(name).map(|value| (name, value.clone(), Source::StaticBroker));
    default.into_iter().chain(fixed)
}

fn describe(
    name: &'static str,
    setting: &'static Setting,
    mut synonyms: Vec<(&'static str, String, Source)>,
    default: (&'static str, String, Source),
) -> Described {
    let has_default = !UNSET.contains(&default.0) && (setting.synonym.is_some() || is_broker(setting));
    if has_default && synonyms.last() != Some(&default) {
        synonyms.push(default.clone());
    }
    let value = match synonyms.first() {
        Some((_, value, source)) => (Some(value.clone()), *source),
        None if name == default.0 && UNSET.contains(&name) => (None, Source::Default),
        None => (Some(default.1), Source::Default),
    };
    Described { name, setting, value: value.0, source: value.1, synonyms }
}
