//! Which brokers were asked what any broker can answer, and did not. Pure.
//!
//! Guarantee: a broker counts as silent until it answers, or until all that it left unanswered has timed out: by then its
//! old connection is closed, and whoever gets a new one got an answer for it.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::metadata::NodeId;

/// Silent brokers, each with the time until when it counts as such.
#[derive(Debug, Default)]
pub(crate) struct Silent(BTreeMap<NodeId, Instant>);

impl Silent {
    /// A broker did not answer.
    pub(crate) fn add(&mut self, node: NodeId, now: Instant, until: Instant) {
        self.0.retain(|_, until| *until > now);
        self.0.insert(node, until);
    }

    /// A broker answered.
    pub(crate) fn remove(&mut self, node: NodeId) {
        self.0.remove(&node);
    }

    /// The brokers that are silent now, those first that may speak again soonest.
    pub(crate) fn at(&self, now: Instant) -> Vec<NodeId> {
        let mut silent: Vec<_> = self.0.iter().filter(|(_, until)| **until > now).collect();
        silent.sort_by_key(|(_, until)| **until);
        silent.into_iter().map(|(node, _)| *node).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_broker_is_silent_until_it_answers_or_time_is_over() {
        let (mut silent, start) = (Silent::default(), crate::runtime::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        silent.add(2, start, after(30));
        silent.add(1, after(10), after(40));
        assert_eq!(silent.at(after(29)), [2, 1]);
        assert_eq!(silent.at(after(30)), [1]);
        silent.add(3, after(30), after(60));
        silent.remove(1);
        assert_eq!(silent.at(start), [3], "what is over is forgotten");
    }
}
