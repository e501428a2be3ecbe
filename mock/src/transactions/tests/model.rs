//! Random clients of one transactional id: whatever they do, outcomes stay as they were recorded.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Init { client: usize, again: bool },
    Write { client: usize, partition: i32 },
    End { client: usize, commit: bool },
    Mark,
    Move,
    Pass,
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..2usize;
    prop_oneof![
        1 => (client.clone(), any::<bool>()).prop_map(|(client, again)| Step::Init { client, again }),
        4 => (client.clone(), 0..3i32).prop_map(|(client, partition)| Step::Write { client, partition }),
        3 => (client, any::<bool>()).prop_map(|(client, commit)| Step::End { client, commit }),
        4 => Just(Step::Mark),
        1 => Just(Step::Move),
        1 => Just(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_outcome_reaches_every_target_once_and_only_the_newest_producer_acts(
        steps in proptest::collection::vec(step(), 1..80),
        version in 0..3i8,
    ) {
        let mut script = with(TransactionOptions { transaction_version: version, ..TransactionOptions::default() });
        let is_v2 = version == 2;
        let mut clients: [Identity; 2] = [(-1, -1); 2];
        // The outcome that was promised, and what has not got it yet.
        let mut promised: Option<bool> = None;
        let mut open: Vec<i32> = Vec::new();
        let mut pending: Vec<Marker> = Vec::new();
        let mut newest: Identity = (-1, -1);
        for step in steps {
            match step {
                Step::Init { client, again } => {
                    let known = if again { clients[client] } else { (-1, -1) };
                    if let Ok(identity) = script.init_as(5, "a", known) {
                        prop_assert!(open.is_empty() && promised.is_none());
                        prop_assert!(identity >= newest);
                        clients[client] = identity;
                        newest = identity;
                    } else if !open.is_empty() && promised.is_none() && script.state("a") == Some(State::PrepareAbort) {
                        promised = Some(false);
                    }
                }
                Step::Write { client, partition } => {
                    let who = clients[client];
                    let written = if is_v2 {
                        script.write("a", who, partition).is_ok()
                    } else {
                        script.add("a", who, &[partition]) == OK
                    };
                    if written {
                        prop_assert_eq!(who, newest);
                        prop_assert_eq!(promised, None);
                        if !open.contains(&partition) {
                            open.push(partition);
                        }
                    }
                }
                Step::End { client, commit } => {
                    let who = clients[client];
                    let ended = script.end_as(if is_v2 { 5 } else { 4 }, "a", who, commit);
                    if let Ok(next) = ended {
                        if !open.is_empty() && promised.is_none() {
                            prop_assert_eq!(who, newest);
                            promised = Some(commit);
                        }
                        if is_v2 {
                            prop_assert!(next >= newest, "{next:?} after {newest:?}");
                            clients[client] = next;
                            newest = next;
                        }
                    }
                }
                Step::Mark => {
                    pending.extend(std::iter::from_fn(|| script.coordinator.poll_marker()));
                    let Some(marker) = pending.pop() else { continue };
                    prop_assert_eq!(Some(marker.commit), promised);
                    script.wrote(&marker);
                    let mut marked: Vec<i32> = marker.targets.iter().map(|target| match target {
                        Target::Partition { partition, .. } => *partition,
                        Target::Group(_) => -1,
                    }).collect();
                    marked.sort_unstable();
                    open.sort_unstable();
                    prop_assert_eq!(&marked, &open);
                    open.clear();
                    promised = None;
                }
                Step::Move => {
                    pending.clear();
                    script.coordinator.handle_coordinator_moved(|_| true);
                }
                Step::Pass => {
                    let is_ongoing = script.state("a") == Some(State::Ongoing);
                    script.pass(60_000);
                    if is_ongoing && script.state("a") == Some(State::PrepareAbort) {
                        promised = Some(false);
                    }
                }
            }
            let is_preparing = script.state("a").is_some_and(State::is_preparing);
            prop_assert_eq!(is_preparing, promised.is_some());
        }
    }
}
