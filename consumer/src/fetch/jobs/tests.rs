use std::time::Duration;

use ottla_client::Backoff;
use ottla_protocol::uuid::Uuid;

use super::*;
use crate::fetch::plan::{Route, Routes};
use crate::fetch::state::Rules;
use crate::options::{ConsumerValues, IsolationLevel, OffsetReset};
use crate::subscription::Start;

struct OneLeader;

impl Routes for OneLeader {
    fn route(&self, _: &TopicPartition) -> Option<Route> {
        Some(Route { leader: 1, epoch: 1, topic_id: Uuid([7; 16]) })
    }

    fn knows(&self, _: NodeId) -> bool {
        true
    }
}

fn state(start: Start) -> FetchState {
    let rules = Rules {
        isolation: IsolationLevel::ReadUncommitted,
        check_crcs: true,
        reset: OffsetReset::Earliest,
        backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(1)).with_shape(2.0, 0.0),
        replica_lease: Duration::from_secs(300),
    };
    let mut state = FetchState::new(&ConsumerValues::default(), rules);
    state.subscription.add(TopicPartition::new("t", 0), start, false);
    state
}

/// What is due, as jobs.
fn due(state: &mut FetchState, now: Instant) -> Vec<Job> {
    state.note_leaders(1, &OneLeader);
    let checks = state.begin_checks(now, &OneLeader);
    let ready = state.outlook(now, &OneLeader).ready;
    ready.iter().for_each(|node| state.plan.begin(*node));
    let lookups = state.begin_lookups(now, &OneLeader);
    let committed = state.begin_committed(now, |_| true);
    let committed = (!committed.is_empty()).then_some(Job::Committed(committed));
    let jobs = ready.into_iter().map(Job::Fetch).chain(checks.into_iter().map(Job::Check));
    jobs.chain(lookups.into_iter().map(Job::LookUp)).chain(committed).collect()
}

#[test]
fn what_a_lost_job_was_for_is_due_again_after_a_backoff() {
    for start in [Start::Offset(0), Start::Earliest, Start::Committed] {
        let (mut state, now) = (state(start), Instant::now());
        let jobs = due(&mut state, now);
        assert_eq!(jobs.len(), 1, "{start:?}");
        assert!(due(&mut state, now).is_empty(), "it is under way");
        state.give_up(&jobs[0], now, 0.5);
        assert!(due(&mut state, now).is_empty(), "not at once");
        let again = due(&mut state, now + Duration::from_millis(100));
        assert_eq!(format!("{again:?}"), format!("{jobs:?}"));
    }
}

#[test]
fn a_lost_question_about_a_truncated_log_is_asked_again() {
    let (mut state, now) = (state(Start::Offset(5)), Instant::now());
    let position = crate::subscription::Position { offset: 5, leader_epoch: Some(0) };
    state.subscription.seek_to(&TopicPartition::new("t", 0), position);
    let jobs = due(&mut state, now);
    assert!(matches!(&jobs[..], [Job::Check(_)]), "{jobs:?}");
    state.give_up(&jobs[0], now, 0.5);
    let again = due(&mut state, now + Duration::from_millis(100));
    assert_eq!(format!("{again:?}"), format!("{jobs:?}"));
}

#[tokio::test]
async fn jobs_that_end_are_forgotten_and_one_that_panics_is_told() {
    let mut jobs = Jobs::default();
    jobs.start(Job::Fetch(1), |_| async {});
    assert!(jobs.ended().await.is_none());
    jobs.start(Job::Fetch(2), |_| async { panic!("on purpose") });
    assert!(matches!(jobs.ended().await.as_deref(), Some(Job::Fetch(2))));
    for _ in 0..2 {
        jobs.start(Job::Await("t".into()), |_| async { panic!("on purpose") });
        jobs.start(Job::Await("t".into()), |_| std::future::ready(()));
        assert!(matches!(jobs.ended().await.as_deref(), Some(Job::Await(_))), "the first alone, and again");
    }
    assert!(jobs.under_way.is_empty() && jobs.awaited.is_empty());
}
