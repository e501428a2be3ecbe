//! Which topics are in use, counted. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use ottla_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};

use super::cluster::Cluster;
use super::refresh::Scope;

/// Topics by how many use them.
#[derive(Debug, Default)]
pub(super) struct InUse(HashMap<Arc<str>, Users>);

#[derive(Debug, Default, Clone, Copy)]
struct Users {
    all: usize,
    /// Those that let a broker create the topic.
    creating: usize,
}

impl InUse {
    pub(super) fn add(&mut self, topic: &Arc<str>, creating: bool) {
        let users = self.0.entry(Arc::clone(topic)).or_default();
        users.all += 1;
        users.creating += usize::from(creating);
    }

    pub(super) fn remove(&mut self, topic: &str, creating: bool) {
        if let Some(users) = self.0.get_mut(topic) {
            users.all -= 1;
            users.creating -= usize::from(creating);
            if users.all == 0 {
                self.0.remove(topic);
            }
        }
    }

    pub(super) fn contains(&self, topic: &str) -> bool {
        self.0.contains_key(topic)
    }

    /// Whether something is still to be learned about a topic in use.
    pub(super) fn is_unsettled(&self, cluster: &Cluster) -> bool {
        self.0.keys().any(|name| !cluster.is_settled(name))
    }

    /// The requests of a refresh. Topics that may be created are asked about apart from those that may not, since one
    /// request can say only one of the two.
    pub(super) fn requests(&self, scope: Scope, cluster: &Cluster) -> Vec<MetadataRequest> {
        let wanted = |name: &str| match scope {
            Scope::All => true,
            Scope::New => cluster.topic(name).is_none() || !cluster.is_settled(name),
        };
        let mut requests = [(true, Vec::new()), (false, Vec::new())];
        for (name, users) in self.0.iter().filter(|(name, _)| wanted(name)) {
            let creating = users.creating > 0;
            requests[usize::from(!creating)].1.push(name.to_string());
        }
        let mut requests: Vec<MetadataRequest> = requests
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(creating, names)| request(creating, names))
            .collect();
        if requests.is_empty() {
            requests.push(request(false, Vec::new()));
        }
        requests
    }
}

fn request(allow_auto_topic_creation: bool, mut names: Vec<String>) -> MetadataRequest {
    names.sort_unstable();
    let topics = names
        .into_iter()
        .map(|name| MetadataRequestTopic { name: Some(name), ..Default::default() })
        .collect();
    MetadataRequest { topics: Some(topics), allow_auto_topic_creation, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(requests: &[MetadataRequest]) -> Vec<(bool, Vec<&str>)> {
        fn names(request: &MetadataRequest) -> Vec<&str> {
            request.topics.iter().flatten().filter_map(|topic| topic.name.as_deref()).collect()
        }
        requests.iter().map(|request| (request.allow_auto_topic_creation, names(request))).collect()
    }

    #[test]
    fn topics_stay_in_use_until_their_last_user_leaves() {
        let (mut in_use, a) = (InUse::default(), Arc::from("a"));
        in_use.add(&a, true);
        in_use.add(&a, false);
        in_use.remove("a", true);
        in_use.remove("b", true);
        assert!(in_use.contains("a"));
        assert_eq!(asked(&in_use.requests(Scope::All, &Cluster::default())), [(false, vec!["a"])]);
        in_use.remove("a", false);
        assert!(!in_use.contains("a"));
    }

    #[test]
    fn a_refresh_parts_those_that_may_be_created_from_those_that_may_not() {
        let mut in_use = InUse::default();
        for (name, creating) in [("b", true), ("a", false), ("c", true)] {
            in_use.add(&Arc::from(name), creating);
        }
        let requests = in_use.requests(Scope::New, &Cluster::default());
        assert_eq!(asked(&requests), [(true, vec!["b", "c"]), (false, vec!["a"])]);
    }

    #[test]
    fn without_topics_only_brokers_are_asked_for() {
        assert_eq!(asked(&InUse::default().requests(Scope::All, &Cluster::default())), [(false, vec![])]);
    }
}
