//! Subscriptions by regular expression: which topics match, and when that is looked up again.
//!
//! Kafka looks topics up in the background, after the heartbeat that asked for it was answered; the member
//! hears of the result by its next one. So here the lookup comes after the answer, too.
//!
//! Kafka's expressions are RE2's and must match the whole name. The ones here are read by `regex-lite`, which
//! knows the same syntax but for `\Q…\E`, `\C` and classes by Unicode property.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ottla_protocol::error_code::ErrorCode;
use regex_lite::{Regex, RegexBuilder};

use super::{ConsumerGroup, Member, next};
use crate::groups::context::{Context, Refusal};

/// A lookup of all expressions of a group happens at most this often.
const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// How much memory an expression may take once compiled.
const SIZE_LIMIT: usize = 1 << 20;

/// The expressions of a group.
#[derive(Debug, Default)]
pub(super) struct Regexes {
    /// The topics that each of them matched when it was last looked up.
    resolved: BTreeMap<String, BTreeSet<String>>,
    looked_up_at: Option<Instant>,
    /// The version of the cluster's topics at that time.
    topics_version: u64,
}

impl Regexes {
    /// The topics behind an expression; none as long as it hasn't been looked up.
    pub(super) fn topics(&self, regex: &str) -> Option<&BTreeSet<String>> {
        self.resolved.get(regex)
    }
}

/// What a heartbeat does to the expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RegexChange {
    /// The member subscribes by the same one as before, or by none.
    Unchanged,
    /// It subscribes by one that has to be looked up first.
    Pending,
    /// It subscribes by one whose topics are known, or no longer by any.
    Resolved,
}

impl ConsumerGroup {
    /// What a change of `member`'s expression means.
    ///
    /// # Errors
    /// An expression that nobody uses yet and that is none.
    pub(super) fn regex_change(&self, old: &Member, member: &Member) -> Result<RegexChange, Refusal> {
        if old.regex == member.regex {
            return Ok(RegexChange::Unchanged);
        }
        let Some(regex) = member.active_regex() else {
            return Ok(RegexChange::Resolved);
        };
        if self.regex_users(regex) == 0 {
            compile(regex, regex)?;
            return Ok(RegexChange::Pending);
        }
        let resolved = self.regexes.resolved.contains_key(regex);
        Ok(if resolved { RegexChange::Resolved } else { RegexChange::Pending })
    }

    /// Looks the expressions up if something calls for it: a new one, new topics, or much time.
    pub(super) fn refresh_regexes(&mut self, cx: &Context<'_>) {
        self.forget_unused_regexes();
        let used: BTreeSet<String> =
            self.members.values().filter_map(Member::active_regex).map(str::to_owned).collect();
        let age = self.regexes.looked_up_at.map(|at| cx.now.saturating_duration_since(at));
        if used.is_empty() || age.is_some_and(|age| age <= MIN_INTERVAL) {
            return;
        }
        let called_for = used.len() != self.regexes.resolved.len()
            || self.regexes.topics_version < cx.topics.last_created
            || age.is_none_or(|age| age > cx.options.consumer_regex_refresh_interval);
        if !called_for {
            return;
        }
        let resolved: BTreeMap<_, _> =
            used.into_iter().map(|regex| (regex.clone(), matching(cx, &regex))).collect();
        let changed = resolved.iter().any(|(regex, topics)| {
            self.regexes.resolved.get(regex).map_or(!topics.is_empty(), |known| known != topics)
        });
        self.regexes = Regexes { resolved, looked_up_at: Some(cx.now), topics_version: cx.topics.version };
        let metadata = self.subscribed_metadata(cx);
        if changed || metadata != self.metadata {
            self.metadata = metadata;
            self.epoch = next(self.epoch);
        }
    }

    /// Drops what is known of expressions that no member uses any more.
    pub(super) fn forget_unused_regexes(&mut self) {
        let used: BTreeSet<&str> = self.members.values().filter_map(Member::active_regex).collect();
        self.regexes.resolved.retain(|regex, _| used.contains(regex.as_str()));
    }

    fn regex_users(&self, regex: &str) -> usize {
        self.members.values().filter(|member| member.active_regex() == Some(regex)).count()
    }
}

fn matching(cx: &Context<'_>, regex: &str) -> BTreeSet<String> {
    let Ok(whole) = compile(&format!("^(?:{regex})$"), regex) else { return BTreeSet::new() };
    cx.topics.names().filter(|name| whole.is_match(name)).map(str::to_owned).collect()
}

fn compile(pattern: &str, regex: &str) -> Result<Regex, Refusal> {
    RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build().map_err(|error| {
        let message = format!("The expression {regex} is not valid: {error}.");
        Refusal::new(ErrorCode::INVALID_REGULAR_EXPRESSION, message)
    })
}
