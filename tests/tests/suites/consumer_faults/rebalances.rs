//! Members that come, go, stall, and are cut off.

use std::sync::Arc;
use std::time::Instant;

use ottla_tests::broker::{Entry, OutageDialer, Reason};

use super::member::Member;
use super::{LONG_SESSION, MS, PROMPT, SECONDS, SHORT_SESSION, WORLD, lasting, options, with_crews};

const PARTITIONS: i32 = 6;

fn all(members: &[Member]) -> Vec<&Member> {
    members.iter().collect()
}

#[test]
fn members_that_come_and_go_at_random_lose_nothing_and_repeat_only_what_could_not_be_committed() {
    WORLD.peace(SECONDS(200), async |kafka, nodes| {
        let duration = lasting(6);
        let repeated = with_crews(&kafka, nodes, "random", PARTITIONS, async |stage| {
            let mut members = vec![stage.member(stage.kafka, LONG_SESSION)];
            let (began, mut vanished, mut moves) = (Instant::now(), 0, 0);
            while began.elapsed() < duration {
                let victim = stage.dice.below(members.len() as u64) as usize;
                match stage.dice.below(8) {
                    0..=3 if members.len() < 5 => {
                        // On the handle that all share, or on one of its own.
                        let own = stage.nodes.kafka();
                        let kafka = if stage.dice.below(2) == 0 { stage.kafka } else { &own };
                        members.push(stage.member(kafka, LONG_SESSION));
                    }
                    4 | 5 if members.len() > 1 => members.swap_remove(victim).close().await,
                    6 if members.len() > 1 => {
                        members.swap_remove(victim).vanish().await;
                        vanished += 1;
                    }
                    _ => members[victim].stall(MS(stage.dice.below(800))),
                }
                moves += 1;
                tokio::time::sleep(MS(stage.dice.below(700))).await;
            }
            println!("{:?}: {moves} moves, of which {vanished} without a word", stage.crew.protocol);
            // Some have vanished while they had been asked to give partitions up.
            stage.crew.balanced(PROMPT, &all(&members)).await;
            assert!(!stage.crew.journal.any(|entry| matches!(entry, Entry::Lost { .. })), "nobody was late");
            members
        });
        for repeated in repeated.await {
            assert!(repeated.keys().all(|reason| *reason == Reason::Vanished), "{repeated:?}");
        }
    });
}

#[test]
fn two_members_on_one_handle_do_not_hold_each_other_up() {
    WORLD.peace(SECONDS(90), async |kafka, nodes| {
        let repeated = with_crews(&kafka, nodes, "one-handle", PARTITIONS, async |stage| {
            let first = stage.member(stage.kafka, SHORT_SESSION);
            stage.crew.balanced(PROMPT, &[&first]).await;
            // The second one's joining waits for the first, which must be heard of meanwhile.
            first.stall(SHORT_SESSION + SECONDS(1));
            let second = stage.member(stage.kafka, SHORT_SESSION);
            let took = stage.crew.balanced(SHORT_SESSION + PROMPT, &[&first, &second]).await;
            println!("{:?}: shared after {took:?}", stage.crew.protocol);
            stage.crew.going_on(PROMPT, &[&first, &second]).await;
            assert!(
                !stage.crew.journal.any(|entry| matches!(entry, Entry::Lost { .. })),
                "a member was lost"
            );
            vec![first, second]
        });
        for repeated in repeated.await {
            assert!(repeated.is_empty(), "{repeated:?}");
        }
    });
}

#[test]
fn a_member_that_stalls_loses_its_partitions_in_time_and_returns() {
    WORLD.peace(SECONDS(90), async |kafka, nodes| {
        let repeated = with_crews(&kafka, nodes, "stalled", PARTITIONS, async |stage| {
            let (interval, crew) = (SECONDS(4), &stage.crew);
            let member = || {
                let options = options(crew.protocol, &crew.group, SHORT_SESSION);
                crew.member(stage.kafka, options.max_poll_interval(interval), crew.habits())
            };
            let members = [member(), member(), member()];
            crew.balanced(PROMPT, &members.each_ref()).await;
            let [stalls, others @ ..] = &members;
            crew.going_on(PROMPT, &members.each_ref()).await;
            let stalled = stalls.stall_until_dropped().await;
            let took = crew.balanced(interval + PROMPT, &others.iter().collect::<Vec<_>>()).await;
            println!("{:?}: the others have all after {took:?}", crew.protocol);
            drop(stalled);
            crew.balanced(PROMPT, &members.each_ref()).await;
            let lost = |entry: &Entry| matches!(entry, Entry::Lost { member: 1, .. });
            assert!(crew.journal.any(lost), "it was not told");
            crew.going_on(PROMPT, &members.each_ref()).await;
            Vec::from(members)
        });
        for repeated in repeated.await {
            let known = [Reason::Lost, Reason::Unaware, Reason::CommitFailed];
            assert!(repeated.keys().all(|reason| known.contains(reason)), "{repeated:?}");
        }
    });
}

#[test]
fn a_member_that_is_cut_off_is_replaced_when_its_session_ends_and_returns_when_it_can() {
    WORLD.peace(SECONDS(90), async |kafka, nodes| {
        with_crews(&kafka, nodes, "cut-off", PARTITIONS, async |stage| {
            let network = Arc::new(OutageDialer::new(stage.nodes.dialer()));
            let client = stage.nodes.options().request_timeout(SECONDS(2)).reconnect_backoff_max(MS(200));
            let alone = ottla::Kafka::with_dialer(client, Arc::clone(&network) as Arc<_>).unwrap();
            let members = [
                stage.member(stage.kafka, SHORT_SESSION),
                stage.member(&alone, SHORT_SESSION),
                stage.member(stage.kafka, SHORT_SESSION),
            ];
            stage.crew.balanced(PROMPT, &members.each_ref()).await;
            stage.crew.going_on(PROMPT, &members.each_ref()).await;
            network.silence();
            let session = stage.crew.protocol.session(SHORT_SESSION);
            let took = stage.crew.balanced(session + PROMPT, &[&members[0], &members[2]]).await;
            println!("{:?}: replaced after {took:?}", stage.crew.protocol);
            network.restore();
            stage.crew.balanced(PROMPT, &members.each_ref()).await;
            stage.crew.going_on(PROMPT, &members.each_ref()).await;
            let others_lost = |entry: &Entry| matches!(entry, Entry::Lost { member: 1 | 3, .. });
            assert!(!stage.crew.journal.any(others_lost), "only one was cut off");
            Vec::from(members)
        })
        .await;
    });
}
