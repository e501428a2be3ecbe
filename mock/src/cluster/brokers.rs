//! The brokers: addresses, racks, whether they run.

use std::collections::BTreeMap;

use crate::configs::Values;
use crate::fetch_session::FetchSessions;

/// How a broker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerState {
    /// It serves.
    Running,
    /// It accepts connections and requests and does nothing about them, as a process that was stopped with a signal.
    Paused,
    /// It is gone, and its port with it.
    Down,
}

/// A broker.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) rack: Option<String>,
    pub(crate) state: BrokerState,
    /// Whether the controller has given up on it: it leads nothing and is in no metadata.
    pub(crate) fenced: bool,
    pub(crate) sessions: FetchSessions,
    /// What was set on this broker while it runs.
    pub(crate) configs: Values,
}

/// All brokers, and what was set on all of them.
#[derive(Debug)]
pub(crate) struct Brokers {
    all: BTreeMap<i32, Broker>,
    /// What the brokers were started with.
    pub(crate) static_configs: Values,
    /// What was set on all brokers while they run.
    pub(crate) default_configs: Values,
}

impl Brokers {
    pub(crate) fn new(count: i32, racks: &[String], static_configs: Values) -> Brokers {
        let broker = |id: i32| Broker {
            id,
            host: format!("mock-{id}"),
            port: 9092,
            rack: (!racks.is_empty()).then(|| racks[(id as usize - 1) % racks.len()].clone()),
            state: BrokerState::Running,
            fenced: false,
            sessions: FetchSessions::default(),
            configs: Values::new(),
        };
        Brokers {
            all: (1..=count).map(|id| (id, broker(id))).collect(),
            static_configs,
            default_configs: Values::new(),
        }
    }

    pub(crate) fn get(&self, id: i32) -> Option<&Broker> {
        self.all.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: i32) -> Option<&mut Broker> {
        self.all.get_mut(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Broker> {
        self.all.values()
    }

    /// Those that the controller counts on.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Broker> {
        self.all.values().filter(|broker| !broker.fenced)
    }

    pub(crate) fn is_live(&self, id: i32) -> bool {
        self.all.get(&id).is_some_and(|broker| !broker.fenced)
    }

    /// Whether a broker serves.
    pub(crate) fn runs(&self, id: i32) -> bool {
        self.all.get(&id).is_some_and(|broker| broker.state == BrokerState::Running)
    }

    /// The broker that clients take for the controller.
    pub(crate) fn controller(&self) -> Option<i32> {
        self.live().next().map(|broker| broker.id)
    }

    /// What counts on all brokers alike.
    pub(crate) fn common_configs(&self) -> Values {
        let mut values = self.static_configs.clone();
        values.extend(self.default_configs.clone());
        values
    }

    /// A broker's setting as text.
    pub(crate) fn setting(&self, name: &str) -> &str {
        let value = self.default_configs.get(name).or_else(|| self.static_configs.get(name));
        value.map_or_else(|| crate::configs::broker_value(name, &self.static_configs), String::as_str)
    }

    /// A broker's setting as a number.
    pub(crate) fn number(&self, name: &str) -> i64 {
        crate::configs::number(self.setting(name))
    }

    /// A broker's setting as a truth value.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.setting(name).eq_ignore_ascii_case("true")
    }
}
