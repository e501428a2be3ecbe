//! What a member asks its group for, and how a pattern becomes topics where the client has to match.
//!
//! Guarantee: a pattern matches whole names, as brokers match theirs, in time linear in the name.

use std::sync::Arc;

use ottla_client::{Error, ErrorKind};
use ottla_protocol::messages::metadata::MetadataResponse;
use regex_lite::Regex;

/// The topics of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Interest {
    /// By name.
    Topics(Vec<String>),
    /// By a regular expression: all that match, whenever they are created.
    Pattern(Arc<str>),
}

impl Interest {
    /// The names, sorted and each once; none for a pattern.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Interest::Topics(topics) => {
                let mut topics = topics.clone();
                topics.sort_unstable();
                topics.dedup();
                topics
            }
            Interest::Pattern(_) => Vec::new(),
        }
    }
}

/// An expression that the client matches itself.
#[derive(Debug)]
pub(super) struct TopicPattern {
    regex: Regex,
    exclude_internal: bool,
}

impl TopicPattern {
    /// # Errors
    /// Kind `Config` if it is no regular expression.
    pub(super) fn new(text: &str, exclude_internal: bool) -> Result<TopicPattern, Error> {
        let regex = Regex::new(&format!("^(?:{text})$")).map_err(|error| {
            Error::new(ErrorKind::Config, format!("`{text}` is no regular expression: {error}"))
        })?;
        Ok(TopicPattern { regex, exclude_internal })
    }

    /// The topics of an answer about all topics that match, in order.
    pub(super) fn matches(&self, all: &MetadataResponse) -> Vec<String> {
        let wanted = all.topics.iter().filter(|topic| !(self.exclude_internal && topic.is_internal));
        let names = wanted.filter_map(|topic| topic.name.as_deref());
        let mut names: Vec<String> =
            names.filter(|name| self.regex.is_match(name)).map(str::to_owned).collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::metadata::MetadataResponseTopic;

    use super::*;

    fn all(topics: &[(&str, bool)]) -> MetadataResponse {
        let topic = |&(name, is_internal): &(&str, bool)| MetadataResponseTopic {
            name: Some(name.to_owned()),
            is_internal,
            ..Default::default()
        };
        MetadataResponse { topics: topics.iter().map(topic).collect(), ..Default::default() }
    }

    #[test]
    fn a_pattern_matches_whole_names() {
        let topics = all(&[("orders", false), ("orders-2", false), ("my-orders", false), ("returns", false)]);
        let matches = |text: &str| TopicPattern::new(text, true).unwrap().matches(&topics);
        assert_eq!(matches("orders"), ["orders"]);
        assert_eq!(matches("orders.*|returns"), ["orders", "orders-2", "returns"]);
        assert_eq!(matches("^.*orders$"), ["my-orders", "orders"]);
        assert_eq!(matches("x"), [""; 0]);
    }

    #[test]
    fn internal_topics_match_only_where_they_are_not_excluded() {
        let topics = all(&[("__consumer_offsets", true), ("__own", false)]);
        assert_eq!(TopicPattern::new("__.*", true).unwrap().matches(&topics), ["__own"]);
        let every = TopicPattern::new("__.*", false).unwrap().matches(&topics);
        assert_eq!(every, ["__consumer_offsets", "__own"]);
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_text() {
        let error = TopicPattern::new("a(", true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("`a(`"), "{error}");
    }
}
