//! Groups whose members come, go, vanish, dawdle and lose their coordinator: every record is seen, in order, and no more
//! often than uncommitted positions explain.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the clock and panic where they fail"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla::consumer::{OffsetReset, Strategy};
use ottla::{ConsumerOptions, Kafka, ProducerOptions, TopicPartition};
use ottla_tests::broker::{Dice, Ledger, Load, Mix, partitions_of, topic, unique};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::WORLD;
use member::{Event, Habits, Member, Team, assert_nothing_after_revocation};

#[path = "groups/consumer_protocol.rs"]
mod consumer_protocol;
#[path = "groups/member.rs"]
mod member;

const MS: fn(u64) -> Duration = Duration::from_millis;
const SECONDS: fn(u64) -> Duration = Duration::from_secs;

/// Far more than a rebalance takes on a busy machine, and far less than the default session timeout of 45 seconds.
const PROMPT: Duration = Duration::from_secs(20);

/// How long a coordinator that moves, or a member that vanished, may hold things up on a busy machine.
const PATIENT: Duration = Duration::from_secs(40);

const PARTITIONS: i32 = 6;

const STRATEGIES: [Strategy; 2] = [Strategy::Range, Strategy::CooperativeSticky];

fn member_of(group: &str, strategy: Strategy) -> ConsumerOptions {
    ConsumerOptions::default()
        .group_id(group)
        .auto_offset_reset(OffsetReset::Earliest)
        .partition_assignment_strategy(vec![strategy])
        .heartbeat_interval(MS(300))
        .auto_commit_interval(MS(200))
        .fetch_max_wait(MS(100))
}

async fn load(kafka: &Kafka, name: &str, dice: &mut Dice) -> (Load, Team) {
    let mix =
        Mix { topic: topic(kafka, name, PARTITIONS).await, partitions: PARTITIONS, tasks: 2, largest: 200 };
    let load = Load::start(kafka, &ProducerOptions::default(), &mix, dice);
    let team = Team::new(&mix.topic, Arc::clone(load.ledger()));
    (load, team)
}

/// Ends the load, lets the members read all of it, and closes them; gives back what happened to each.
async fn settle(load: Load, team: &Team, members: Vec<Member>) -> BTreeMap<u32, Vec<Event>> {
    let (ledger, failures) = load.finish(PATIENT).await;
    assert!(failures.is_empty(), "{} records failed, the first with {}", failures.len(), failures[0].1);
    read_to_the_end(team, &ledger, &members.iter().collect::<Vec<_>>()).await;
    let mut events = BTreeMap::new();
    for member in members {
        let number = member.number;
        events.insert(number, member.close().await);
        assert_nothing_after_revocation(number, &events[&number]);
    }
    events
}

async fn read_to_the_end(team: &Team, ledger: &Ledger, members: &[&Member]) {
    let all_read = || ledger.distinct_reads() >= ledger.acknowledged();
    team.until("every record is read", PATIENT, members, all_read).await;
}

fn assert_clean(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} faults: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
}

/// Asks for the group's commits all the time, and fails when one moves backwards.
struct Observer {
    stop: watch::Sender<bool>,
    task: JoinHandle<BTreeMap<TopicPartition, i64>>,
}

impl Observer {
    async fn start(kafka: &Kafka, group: &str, topic: &str) -> Observer {
        let partitions = partitions_of(kafka, topic).await;
        let mut consumer = kafka.consumer(member_of(group, Strategy::Range)).unwrap();
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut last: BTreeMap<TopicPartition, i64> = BTreeMap::new();
            let mut pace = tokio::time::interval(MS(20));
            while !*stopped.borrow() {
                pace.tick().await;
                for (partition, committed) in consumer.committed(&partitions).await.unwrap() {
                    let before = last.get(&partition).copied();
                    match committed.map(|committed| committed.offset) {
                        Some(offset) if before.is_none_or(|before| before <= offset) => {
                            last.insert(partition, offset);
                        }
                        now if now == before => {}
                        now => panic!("the commit of {partition} moved from {before:?} back to {now:?}"),
                    }
                }
            }
            last
        });
        Observer { stop, task }
    }

    /// Ends; the last commits.
    async fn finish(self) -> BTreeMap<TopicPartition, i64> {
        self.stop.send_replace(true);
        self.task.await.unwrap()
    }
}

#[test]
fn members_on_one_handle_rebalance_promptly() {
    WORLD.peace(SECONDS(60), async |kafka, _| {
        for strategy in STRATEGIES {
            let group = unique("one-handle");
            let name = topic(&kafka, "one-handle", PARTITIONS).await;
            let team = Team::new(&name, Arc::default());
            let join = |number| team.member(&kafka, number, member_of(&group, strategy), Habits::default());
            let first = join(1);
            let alone = team.balanced(PROMPT, 6, &[&first]).await;
            let second = join(2);
            let both = team.balanced(PROMPT, 6, &[&first, &second]).await;
            let third = join(3);
            let three = team.balanced(PROMPT, 6, &[&first, &second, &third]).await;
            second.close().await;
            let left = team.balanced(PROMPT, 6, &[&first, &third]).await;
            // Not closed: it leaves all the same, on its way out.
            drop(first);
            let dropped = team.balanced(PROMPT, 6, &[&third]).await;
            println!("{strategy:?}: {alone:?}, {both:?}, {three:?}, left {left:?}, dropped {dropped:?}");
            assert!(!third.lost_any());
            third.close().await;
        }
    });
}

#[test]
fn while_members_join_and_leave_every_record_is_seen_once_and_commits_never_move_backwards() {
    WORLD.peace(SECONDS(100), async |kafka, nodes| {
        let mut dice = Dice::new("joining and leaving");
        for strategy in STRATEGIES {
            let group = unique("comings-and-goings");
            let (load, team) = load(&kafka, "comings-and-goings", &mut dice).await;
            let observer = Observer::start(&kafka, &group, &team.topic).await;
            let join = |kafka: &Kafka, number| {
                team.member(kafka, number, member_of(&group, strategy), Habits::default())
            };
            let first = join(&kafka, 1);
            team.balanced(PROMPT, 6, &[&first]).await;
            for round in 0..3 {
                // Once on the same handle, then on others.
                let other = nodes.kafka();
                let second = join(if round == 0 { &kafka } else { &other }, 2 + round);
                team.balanced(PROMPT, 6, &[&first, &second]).await;
                let goal = second.view().records + 50;
                let got_some = || second.view().records >= goal;
                team.until("the second member reads", PROMPT, &[&first, &second], got_some).await;
                second.close().await;
                team.balanced(PROMPT, 6, &[&first]).await;
            }
            let ledger = Arc::clone(load.ledger());
            settle(load, &team, vec![first]).await;
            let committed = observer.finish().await;
            println!("{strategy:?}: {} records", ledger.acknowledged());
            // Whoever gives partitions up commits first what it was handed out.
            assert_clean(&ledger.exactly_once());
            let sum: i64 = committed.values().sum();
            assert!(sum as usize <= ledger.acknowledged(), "{sum} were committed");
        }
    });
}

#[test]
fn what_a_revocation_commits_is_not_read_again_and_nothing_is_handed_out_after_it() {
    WORLD.peace(SECONDS(80), async |kafka, _| {
        let mut dice = Dice::new("revocation");
        for strategy in STRATEGIES {
            let group = unique("revocation");
            let (load, team) = load(&kafka, "revocation", &mut dice).await;
            // Longer than a poll waits, so that polls end while the listener goes on.
            let habits = Habits { commits: false, commits_when_revoked: Some(MS(250)) };
            let options = member_of(&group, strategy).enable_auto_commit(false).max_poll_records(20usize);
            let join = |number| team.member(&kafka, number, options.clone(), habits.clone());
            let mut members = vec![join(1)];
            team.balanced(PROMPT, 6, &members.iter().collect::<Vec<_>>()).await;
            for number in 2..=4 {
                members.push(join(number));
                let all: Vec<&Member> = members.iter().collect();
                team.balanced(PROMPT, 6, &all).await;
                let newest = members.last().unwrap();
                let reads = || newest.view().records > 30;
                team.until("the newest member reads", PROMPT, &all, reads).await;
                if number == 3 {
                    let gone = members.remove(0);
                    let (number, events) = (gone.number, gone.close().await);
                    assert_nothing_after_revocation(number, &events);
                    assert!(events.iter().any(|event| matches!(event, Event::Revoked(_))), "{events:#?}");
                }
            }
            let ledger = Arc::clone(load.ledger());
            settle(load, &team, members).await;
            assert_clean(&ledger.exactly_once());
        }
    });
}

#[test]
fn the_partitions_of_a_member_that_vanishes_go_to_the_others_when_its_session_ends() {
    WORLD.peace(SECONDS(80), async |kafka, nodes| {
        let mut dice = Dice::new("vanishing");
        for strategy in STRATEGIES {
            let group = unique("vanishing");
            let (load, team) = load(&kafka, "vanishing", &mut dice).await;
            let join = |kafka: &Kafka, number| {
                let options = member_of(&group, strategy).session_timeout(SECONDS(3));
                team.member(kafka, number, options, Habits::default())
            };
            let stays = join(&kafka, 1);
            team.balanced(PROMPT, 6, &[&stays]).await;
            // A runtime that ends takes the member's tasks with it, so nobody is left to say that it leaves.
            let doomed =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let vanishes = {
                let _guard = doomed.enter();
                join(&nodes.kafka(), 2)
            };
            team.balanced(PROMPT, 6, &[&stays, &vanishes]).await;
            let records = || vanishes.view().records > 0;
            team.until("both read", PROMPT, &[&stays, &vanishes], records).await;
            doomed.shutdown_background();
            let took = team.balanced(SECONDS(3) + PROMPT, 6, &[&stays]).await;
            println!("{strategy:?}: a session of 3 s ended after {took:?}");
            let ledger = Arc::clone(load.ledger());
            assert!(!stays.lost_any());
            settle(load, &team, vec![stays]).await;
            // What it had been handed out and not committed is read again by the other.
            assert_clean(&ledger.at_least_once());
        }
    });
}

#[test]
fn a_slow_application_stays_in_its_group_and_one_that_oversleeps_returns_to_it() {
    WORLD.peace(SECONDS(80), async |kafka, _| {
        let mut dice = Dice::new("slow application");
        let group = unique("slow");
        let (load, team) = load(&kafka, "slow", &mut dice).await;
        let base = member_of(&group, Strategy::CooperativeSticky).session_timeout(SECONDS(2));
        let slow = team.member(&kafka, 1, base.clone().max_poll_interval(SECONDS(7)), Habits::default());
        let quick = team.member(&kafka, 2, base, Habits::default());
        team.balanced(PROMPT, 6, &[&slow, &quick]).await;
        let before = slow.view();

        // Two sessions without a poll, but with heartbeats.
        let busy = slow.be_busy().await;
        let records = slow.view().records;
        tokio::time::sleep(SECONDS(4)).await;
        drop(busy);
        let reads = || slow.view().records > records;
        team.until("the slow member polls again", PROMPT, &[&slow, &quick], reads).await;
        assert_eq!(slow.view().metadata, before.metadata);
        assert_eq!(quick.view().generation(), before.generation());
        assert!(!slow.lost_any());

        // Longer than it may: the other member gets everything, and gives its half back at the next poll.
        let busy = slow.be_busy().await;
        let took_over = team.balanced(SECONDS(7) + PROMPT, 6, &[&quick]).await;
        assert!(took_over > SECONDS(4), "the partitions moved already after {took_over:?}");
        drop(busy);
        team.balanced(PROMPT, 6, &[&slow, &quick]).await;
        assert!(slow.lost_any(), "{:#?}", slow.events());
        assert!(!quick.lost_any());
        let records = slow.view().records;
        let reads = || slow.view().records > records;
        team.until("the slow member reads again", PROMPT, &[&slow, &quick], reads).await;

        let ledger = Arc::clone(load.ledger());
        settle(load, &team, vec![slow, quick]).await;
        assert_clean(&ledger.at_least_once());
    });
}

#[test]
fn a_rolling_restart_costs_no_member_its_membership_and_repeats_no_record() {
    WORLD.harm(SECONDS(200), async |kafka, harm| {
        let mut dice = Dice::new("rolling restart");
        let group = unique("rolling");
        let (load, team) = load(&kafka, "rolling", &mut dice).await;
        let habits = Habits { commits: true, ..Habits::default() };
        let strategy = STRATEGIES[dice.below(2) as usize];
        let options = member_of(&group, strategy).enable_auto_commit(false).session_timeout(SECONDS(20));
        let members: Vec<Member> =
            (1..=3).map(|number| team.member(&kafka, number, options.clone(), habits.clone())).collect();
        let all: Vec<&Member> = members.iter().collect();
        team.balanced(PATIENT, 6, &all).await;
        let identities = || -> Vec<_> { all.iter().map(|member| member.view().metadata.unwrap()).collect() };
        let before = identities();

        for node in harm.nodes().ids() {
            harm.in_sync(&kafka, &team.topic).await;
            let started = Instant::now();
            harm.restart(node).await;
            load.advance(10, PATIENT).await;
            let goals: Vec<usize> = all.iter().map(|member| member.view().records + 10).collect();
            let all_read = || all.iter().zip(&goals).all(|(member, goal)| member.view().records >= *goal);
            team.until("every member reads on", PATIENT, &all, all_read).await;
            println!("{strategy:?}: node {node} restarted, and all went on after {:?}", started.elapsed());
        }

        assert_eq!(identities(), before, "a member joined again");
        let ids: BTreeSet<&str> = before.iter().map(|metadata| metadata.member_id.as_str()).collect();
        assert_eq!(ids.len(), 3);
        assert!(members.iter().all(|member| !member.lost_any()));
        let ledger = Arc::clone(load.ledger());
        settle(load, &team, members).await;
        assert_clean(&ledger.exactly_once());
    });
}
