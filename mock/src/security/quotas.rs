//! How fast clients may be, and for how long those are held back that were faster.
//!
//! A client may have sent or received ten seconds' worth at once; what is more has to wait until it would have been
//! within the rate. Of quotas on bytes alone: the time that a request takes is nothing here.
//!
//! Sources: KIP-13 (quotas), KIP-55 (users), KIP-219 (throttling after the answer), KIP-546 (the RPCs).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ottla_protocol::api::ApiKey;

use crate::call::Caller;

/// Seconds whose worth may come at once: Kafka's ten whole windows of one second.
const BURST_S: f64 = 10.0;

/// The longest that a client is held back: Kafka's window.
const LONGEST: Duration = Duration::from_secs(10);

pub(crate) const PRODUCER_BYTE_RATE: &str = "producer_byte_rate";
pub(crate) const CONSUMER_BYTE_RATE: &str = "consumer_byte_rate";
pub(crate) const CONNECTION_CREATION_RATE: &str = "connection_creation_rate";

/// Every quota by Kafka's name, whether it has an effect here or not.
pub(crate) const KEYS: [&str; 5] = [
    PRODUCER_BYTE_RATE,
    CONSUMER_BYTE_RATE,
    "request_percentage",
    "controller_mutation_rate",
    CONNECTION_CREATION_RATE,
];

/// Whom a quota concerns: `Some(None)` is the default for all that have none of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entity {
    pub(crate) user: Option<Option<String>>,
    pub(crate) client_id: Option<Option<String>>,
    pub(crate) ip: Option<Option<String>>,
}

/// A quota of somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct Quota {
    entity: Entity,
    values: BTreeMap<String, f64>,
}

impl Quota {
    /// Of clients with this `client.id`, all together.
    pub fn of_client(client_id: impl Into<String>) -> Quota {
        let entity = Entity { client_id: Some(Some(client_id.into())), ..Default::default() };
        Quota { entity, values: BTreeMap::new() }
    }

    /// Of a user, such as `alice`, by all their clients together.
    pub fn of_user(user: impl Into<String>) -> Quota {
        let entity = Entity { user: Some(Some(user.into())), ..Default::default() };
        Quota { entity, values: BTreeMap::new() }
    }

    /// Of every `client.id` that has none of its own.
    pub fn of_any_client() -> Quota {
        Quota { entity: Entity { client_id: Some(None), ..Default::default() }, values: BTreeMap::new() }
    }

    /// Bytes that may be produced in a second.
    #[must_use]
    pub fn producer_byte_rate(mut self, bytes: f64) -> Quota {
        self.values.insert(PRODUCER_BYTE_RATE.to_owned(), bytes);
        self
    }

    /// Bytes that may be consumed in a second.
    #[must_use]
    pub fn consumer_byte_rate(mut self, bytes: f64) -> Quota {
        self.values.insert(CONSUMER_BYTE_RATE.to_owned(), bytes);
        self
    }
}

/// All quotas, and how much everybody has used.
#[derive(Debug, Clone, Default)]
pub(crate) struct Quotas {
    set: BTreeMap<Entity, BTreeMap<String, f64>>,
    used: BTreeMap<(String, String, &'static str), (Instant, f64)>,
}

impl Quotas {
    pub(super) fn add(&mut self, quota: Quota) {
        self.set.entry(quota.entity).or_default().extend(quota.values);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Entity, &BTreeMap<String, f64>)> {
        self.set.iter()
    }

    /// Sets or removes one value.
    pub(crate) fn alter(&mut self, entity: &Entity, key: &str, value: Option<f64>) {
        let values = self.set.entry(entity.clone()).or_default();
        match value {
            Some(value) => values.insert(key.to_owned(), value),
            None => values.remove(key),
        };
        if values.is_empty() {
            self.set.remove(entity);
        }
    }

    /// Counts a request, and says for how long its client is held back.
    pub(crate) fn throttle(&mut self, now: Instant, who: &Caller, key: ApiKey, received: usize) -> Duration {
        match key {
            ApiKey::PRODUCE => self.count(now, who, PRODUCER_BYTE_RATE, received),
            // The answer is counted once it is known; what was sent before it may be too much already.
            ApiKey::FETCH => self.count(now, who, CONSUMER_BYTE_RATE, 0),
            _ => Duration::ZERO,
        }
    }

    /// Counts an answer.
    pub(crate) fn sent(&mut self, now: Instant, who: &Caller, key: ApiKey, bytes: usize) {
        if key == ApiKey::FETCH {
            self.count(now, who, CONSUMER_BYTE_RATE, bytes);
        }
    }

    fn count(&mut self, now: Instant, who: &Caller, key: &'static str, bytes: usize) -> Duration {
        if self.set.is_empty() {
            return Duration::ZERO;
        }
        let Some((rate, user, client_id)) = self.rate(who, key) else { return Duration::ZERO };
        let (since, used) = self.used.entry((user, client_id, key)).or_insert((now, 0.0));
        let passed = now.saturating_duration_since(*since).as_secs_f64();
        *used = (*used - passed * rate).max(0.0) + bytes as f64;
        *since = now;
        let over = *used - rate * BURST_S;
        if over <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(over / rate).unwrap_or(LONGEST).min(LONGEST)
    }

    /// The rate that counts for a client, and the user and client id that share it: the more specific one counts.
    fn rate(&self, who: &Caller, key: &str) -> Option<(f64, String, String)> {
        let user = who.principal.strip_prefix("User:").unwrap_or(&who.principal);
        let client = who.client_id.as_str();
        let users = [Some(Some(user)), Some(None), None];
        let clients = [Some(Some(client)), Some(None), None];
        let candidates =
            users.into_iter().flat_map(|user| clients.into_iter().map(move |client| (user, client)));
        let own = |name: Option<Option<&str>>| name.map(|name| name.map(str::to_owned));
        candidates.filter(|(user, client)| user.is_some() || client.is_some()).find_map(
            |(by_user, by_client)| {
                let entity = Entity { user: own(by_user), client_id: own(by_client), ip: None };
                let rate = *self.set.get(&entity)?.get(key)?;
                let shared =
                    |by: Option<Option<&str>>, name: &str| by.map_or(String::new(), |_| name.to_owned());
                (rate > 0.0).then(|| (rate, shared(by_user, user), shared(by_client, client)))
            },
        )
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a script begins now")]
mod tests;
