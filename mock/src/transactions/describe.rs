//! DescribeTransactions and ListTransactions: what the coordinator knows.

use std::collections::BTreeMap;
use std::time::Instant;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_transactions::{TopicData, TransactionState};
use ottla_protocol::messages::list_transactions::{self, ListTransactionsRequest, ListTransactionsResponse};

use super::Transactions;
use super::state::{State, Target, Transaction};

/// The names that are no error in a filter, though nothing here is ever in the last two.
const STATES: [&str; 8] = [
    State::Empty.name(),
    State::Ongoing.name(),
    State::PrepareCommit.name(),
    State::PrepareAbort.name(),
    State::CompleteCommit.name(),
    State::CompleteAbort.name(),
    "Dead",
    "PrepareEpochFence",
];

impl Transactions {
    /// One id, as DescribeTransactions answers it; `place_of_group` says which partition of which topic keeps
    /// a group's offsets.
    pub fn describe(
        &self,
        transactional_id: &str,
        mut place_of_group: impl FnMut(&str) -> (&'static str, i32),
    ) -> TransactionState {
        let mut answer =
            TransactionState { transactional_id: transactional_id.to_owned(), ..Default::default() };
        if transactional_id.is_empty() {
            answer.error_code = ErrorCode::INVALID_REQUEST;
            return answer;
        }
        let Some(known) = self.transactions.get(transactional_id) else {
            answer.error_code = ErrorCode::TRANSACTIONAL_ID_NOT_FOUND;
            return answer;
        };
        answer.transaction_state = known.state.name().to_owned();
        answer.transaction_timeout_ms = known.timeout_ms;
        answer.transaction_start_time_ms = known.started_ms;
        answer.producer_id = known.producer_id;
        answer.producer_epoch = known.epoch;
        answer.topics = topics_of(known, &mut place_of_group);
        answer
    }

    /// The ids that pass the request's filters: of those that `is_listed`, which says where the coordinator is and what
    /// the request's pattern fits.
    pub fn handle_list(
        &self,
        now: Instant,
        request: &ListTransactionsRequest,
        is_listed: impl Fn(&str) -> bool,
    ) -> ListTransactionsResponse {
        let now_ms = self.now_ms(now);
        let is_unknown = |name: &&String| !STATES.contains(&name.as_str());
        let passes = |(id, known): &(&String, &Transaction)| {
            let states = &request.state_filters;
            let ids = &request.producer_id_filters;
            let is_long = now_ms.saturating_sub(known.started_ms) > request.duration_filter;
            is_listed(id)
                && (states.is_empty() || states.iter().any(|name| name == known.state.name()))
                && (ids.is_empty() || ids.contains(&known.producer_id))
                && (request.duration_filter < 0 || is_long)
        };
        let listed = |(id, known): (&String, &Transaction)| list_transactions::TransactionState {
            transactional_id: id.clone(),
            producer_id: known.producer_id,
            transaction_state: known.state.name().to_owned(),
            ..Default::default()
        };
        ListTransactionsResponse {
            unknown_state_filters: request.state_filters.iter().filter(is_unknown).cloned().collect(),
            transaction_states: self.transactions.iter().filter(passes).map(listed).collect(),
            ..Default::default()
        }
    }

    /// Every id that is known.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.transactions.keys().map(String::as_str)
    }

    /// What an id's transaction consists of and is not marked yet.
    pub fn targets(&self, transactional_id: &str) -> impl Iterator<Item = &Target> {
        self.transactions.get(transactional_id).into_iter().flat_map(|known| &known.targets)
    }

    /// The state of an id, if it is known.
    pub fn state(&self, transactional_id: &str) -> Option<State> {
        self.transactions.get(transactional_id).map(|known| known.state)
    }
}

/// The targets as partitions of topics.
fn topics_of(
    known: &Transaction,
    place_of_group: &mut impl FnMut(&str) -> (&'static str, i32),
) -> Vec<TopicData> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for target in &known.targets {
        let (topic, partition) = match target {
            Target::Partition { topic, partition } => (topic.as_str(), *partition),
            Target::Group(group) => place_of_group(group),
        };
        let partitions = topics.entry(topic).or_default();
        if !partitions.contains(&partition) {
            partitions.push(partition);
        }
    }
    let data = |(topic, partitions): (&str, Vec<i32>)| TopicData {
        topic: topic.to_owned(),
        partitions,
        ..Default::default()
    };
    topics.into_iter().map(data).collect()
}
