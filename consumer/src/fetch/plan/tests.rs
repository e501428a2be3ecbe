#![allow(clippy::disallowed_methods, reason = "a script needs some instant to start from")]

use bytes::Bytes;

use super::*;
use crate::fetch::completed::CompletedFetch;
use crate::options::IsolationLevel;
use crate::subscription::{PreferredReplica, Start};

/// Partition `n` of topic `t` is led by broker `of[n]`; those that are gone may still be named.
struct Leaders {
    of: Vec<Option<NodeId>>,
    gone: Vec<NodeId>,
}

impl Routes for Leaders {
    fn route(&self, partition: &TopicPartition) -> Option<Route> {
        let leader = self.of[partition.partition as usize]?;
        Some(Route { leader, epoch: 1, topic_id: Uuid([7; 16]) })
    }

    fn knows(&self, node: NodeId) -> bool {
        self.of.contains(&Some(node)) && !self.gone.contains(&node)
    }
}

struct Bench {
    now: Instant,
    subscription: Subscription,
    buffer: Buffer,
    leaders: Leaders,
    plan: FetchPlan,
}

impl Bench {
    /// One partition for each leader; 10 bytes fill a partition, 20 an answer, 100 the consumer.
    fn new(leaders: &[i32]) -> Bench {
        let limits = Limits { fetch_max_bytes: 20, partition_max_bytes: 10, queued_max_bytes: 100 };
        let mut subscription = Subscription::default();
        for partition in 0..leaders.len() {
            subscription.add(name(partition), Start::Offset(5), false);
        }
        Bench {
            now: Instant::now(),
            subscription,
            buffer: Buffer::default(),
            leaders: Leaders {
                of: leaders.iter().map(|leader| Some(*leader).filter(|leader| *leader >= 0)).collect(),
                gone: Vec::new(),
            },
            plan: FetchPlan::new(limits),
        }
    }

    fn outlook(&mut self) -> Outlook {
        self.plan.reroute();
        self.plan.outlook(self.now, &mut self.subscription, &mut self.buffer, &self.leaders)
    }

    fn request(&mut self, node: NodeId) -> Option<PlannedFetch> {
        self.plan.begin(node);
        self.plan.request(node, true, self.now, &mut self.subscription, &mut self.buffer, &self.leaders)
    }

    fn buffer(&mut self, partition: usize, bytes: usize) {
        let node = self.leaders.of[partition].unwrap_or(0);
        self.answer(node, vec![0; bytes].into(), &[(partition, bytes)]);
    }

    /// An answer that brought so many bytes of each of these.
    fn answer(&mut self, node: NodeId, mut bytes: Bytes, brought: &[(usize, usize)]) {
        let frame = self.buffer.frames.hold(node, bytes.len());
        for (partition, size) in brought {
            let generation = self.subscription.partition(&name(*partition)).unwrap().generation;
            let slice = bytes.split_to(*size);
            let fetch = CompletedFetch::new(slice, 5, IsolationLevel::ReadUncommitted, Vec::new());
            self.buffer.push(&name(*partition), generation, fetch.within(frame.clone()));
        }
    }

    fn read_all(&mut self) {
        let Bench { buffer, subscription, .. } = self;
        while let Some(reading) = buffer.take(|name| !subscription.partition(name).unwrap().paused) {
            buffer.finish(&reading);
        }
    }
}

/// Memory that is counted for as long as any of it is held.
struct Counted(Vec<u8>, std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl Counted {
    fn bytes(size: usize, total: &std::sync::Arc<std::sync::atomic::AtomicUsize>) -> Bytes {
        total.fetch_add(size, std::sync::atomic::Ordering::Relaxed);
        Bytes::from_owner(Counted(vec![0; size], total.clone()))
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(self.0.len(), std::sync::atomic::Ordering::Relaxed);
    }
}

fn name(partition: usize) -> TopicPartition {
    TopicPartition::new("t", partition as i32)
}

fn partitions(planned: &PlannedFetch) -> Vec<i32> {
    let mut all: Vec<i32> = planned
        .session
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|row| row.partition))
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn each_broker_is_asked_for_its_partitions_and_once_at_a_time() {
    let mut bench = Bench::new(&[1, 2, 1]);
    assert_eq!(bench.outlook().ready, [1, 2]);
    assert_eq!(partitions(&bench.request(1).unwrap()), [0, 2]);
    assert_eq!(bench.outlook().ready, [2]);
    assert_eq!(partitions(&bench.request(2).unwrap()), [1]);
    assert!(bench.outlook().ready.is_empty());
    bench.plan.finish(1, bench.now, Duration::ZERO);
    assert_eq!(bench.outlook().ready, [1]);
}

#[test]
fn a_partition_without_a_leader_is_named_and_the_others_go_on() {
    let mut bench = Bench::new(&[1, -1]);
    let outlook = bench.outlook();
    assert_eq!(
        (outlook.ready, outlook.leaderless),
        (vec![1], std::collections::BTreeSet::from(["t".into()]))
    );
}

#[test]
fn a_broker_with_a_full_partition_is_left_alone_but_for_paused_ones() {
    let mut bench = Bench::new(&[1, 1, 2]);
    bench.buffer(0, 19);
    assert_eq!(bench.outlook().ready, [1, 2]);
    bench.buffer(0, 1);
    assert_eq!(bench.outlook().ready, [2]);
    bench.subscription.set_paused(&name(0), true);
    assert_eq!(bench.outlook().ready, [1, 2]);
    assert_eq!(partitions(&bench.request(1).unwrap()), [1]);
}

#[test]
fn what_is_asked_for_and_what_is_buffered_stays_within_a_brokers_share() {
    let mut bench = Bench::new(&[1, 1, 1, 1, 1, 1, 2]);
    assert_eq!(bench.request(1).unwrap().max_bytes, 20);
    bench.plan.finish(1, bench.now, Duration::ZERO);
    for partition in 0..4 {
        bench.buffer(partition, 9);
    }
    // 50 are the broker's share and 36 are taken.
    assert_eq!(bench.request(1).unwrap().max_bytes, 14);
    bench.plan.finish(1, bench.now, Duration::ZERO);
    bench.buffer(4, 9);
    assert_eq!(bench.outlook().ready, [2]);
}

#[test]
fn paused_partitions_that_fill_a_share_do_not_starve_the_others_as_long_as_the_bound_allows_it() {
    let mut bench = Bench::new(&[1, 1, 2]);
    bench.buffer(0, 45);
    bench.subscription.set_paused(&name(0), true);
    assert_eq!(bench.outlook().ready, [1, 2]);
    assert_eq!(bench.request(1).unwrap().max_bytes, 10);
    bench.plan.finish(1, bench.now, Duration::ZERO);
    bench.buffer(0, 45);
    // There is room for one, and the other has waited longer.
    assert_eq!(bench.outlook().ready, [2]);
    assert_eq!(bench.request(2).unwrap().max_bytes, 10);
    assert!(bench.outlook().ready.is_empty());
    bench.plan.finish(2, bench.now, Duration::ZERO);
    assert_eq!(bench.outlook().ready, [1]);
    bench.buffer(0, 1);
    assert!(bench.outlook().ready.is_empty());
    assert_eq!(bench.request(1), None);
    bench.plan.finish(1, bench.now, Duration::ZERO);
    bench.subscription.remove(&name(0));
    bench.buffer.discard(&name(0));
    assert_eq!(bench.outlook().ready, [1, 2]);
}

#[test]
fn what_is_asked_of_one_broker_is_not_promised_to_another() {
    let mut bench = Bench::new(&[1, 1, 2, 2]);
    bench.buffer(0, 85);
    bench.subscription.set_paused(&name(0), true);
    assert_eq!(bench.request(1).unwrap().max_bytes, 10);
    assert!(bench.outlook().ready.is_empty());
    bench.plan.finish(1, bench.now, Duration::ZERO);
    assert_eq!(bench.outlook().ready, [2]);
}

#[test]
fn a_quiet_broker_that_is_asked_again_and_again_leaves_enough_for_one_whose_share_rests() {
    for quiet in [1, 12] {
        let mut bench = Bench::new(&[vec![2, 2], vec![1; quiet]].concat());
        bench.plan.limits.fetch_max_bytes = 100;
        bench.buffer(0, 70);
        bench.subscription.set_paused(&name(0), true);
        for _ in 0..5 {
            // Both are found ready, but the quiet one comes first.
            assert_eq!(bench.outlook().ready, [1, 2]);
            bench.plan.begin(2);
            assert!(bench.request(1).is_some());
            assert_eq!(bench.request(2).unwrap().max_bytes, 10);
            bench.plan.finish(1, bench.now, Duration::ZERO);
            bench.plan.finish(2, bench.now, Duration::ZERO);
        }
    }
}

#[test]
fn what_is_unread_of_answers_that_are_read_takes_no_more_than_it_is() {
    let total = std::sync::Arc::default();
    let mut bench = Bench::new(&[1; 31]);
    for resting in 1..31 {
        let max_bytes = bench.request(1).unwrap().max_bytes.min(20);
        bench.plan.finish(1, bench.now, Duration::ZERO);
        bench.answer(1, Counted::bytes(max_bytes, &total), &[(resting, 2), (0, max_bytes - 2)]);
        bench.subscription.set_paused(&name(resting), true);
        bench.read_all();
        let held = total.load(std::sync::atomic::Ordering::Relaxed);
        assert!(held <= 100, "{held} bytes are held for {} that are unread", 2 * resting);
    }
    assert_eq!(bench.outlook().ready, [1]);
    let unread: usize = (1..31).map(|partition| bench.buffer.bytes_of(&name(partition))).sum();
    assert_eq!(unread, 60);
}

#[test]
fn readers_that_stand_still_hold_up_nobody_who_reads_apart() {
    // All on one broker, or most of them on another.
    for leaders in [vec![1; 10], [vec![2; 9], vec![1]].concat(), [vec![1; 4], vec![2; 5], vec![1]].concat()] {
        let mut bench = Bench::new(&leaders);
        bench.subscription.streamed = true;
        for round in 0..30 {
            let mut answers = Vec::new();
            for node in bench.outlook().ready {
                let room = bench.request(node).unwrap().max_bytes;
                answers.push((node, room, bench.plan.rows.wanted(node)));
            }
            let mut got = false;
            for (node, mut room, wanted) in answers {
                // Those that nobody reads first.
                for (name, want) in wanted {
                    let size = room.min(want.max_bytes as usize);
                    room -= size;
                    if size > 0 {
                        bench.answer(node, vec![0; size].into(), &[(name.partition as usize, size)]);
                        got |= name.partition == 9;
                    }
                }
                bench.plan.finish(node, bench.now, Duration::ZERO);
            }
            assert!(bench.plan.rows.buffered <= 100 && bench.buffer.frames.total() <= 100);
            assert!(got || round < 20, "{leaders:?}, round {round}");
            while let Some(reading) = bench.buffer.take_of(&name(9)) {
                bench.buffer.finish(&reading);
            }
        }
    }
}

#[test]
fn a_slow_reader_apart_takes_no_other_partition_of_its_broker_away() {
    let mut bench = Bench::new(&[1, 1, 1, 1, 1, 1, 2]);
    bench.subscription.streamed = true;
    bench.buffer(0, 25);
    bench.buffer(1, 25);
    assert_eq!(bench.outlook().ready, [1, 2]);
    assert_eq!(partitions(&bench.request(1).unwrap()), [2, 3, 4, 5]);
}

#[test]
fn a_broker_that_never_answers_takes_nothing_from_the_others() {
    let mut bench = Bench::new(&[1, 1, 2, 2]);
    bench.request(1);
    for _ in 0..5 {
        assert_eq!(bench.outlook().ready, [2]);
        assert_eq!(bench.request(2).unwrap().max_bytes, 20);
        bench.plan.finish(2, bench.now, Duration::ZERO);
    }
}

#[test]
fn partitions_that_move_away_from_a_broker_that_never_answers_are_asked_for_at_once() {
    let mut bench = Bench::new(&[1; 12]);
    bench.plan.limits.fetch_max_bytes = 100;
    assert_eq!(bench.request(1).unwrap().max_bytes, 50);
    bench.leaders.of[1..7].fill(Some(2));
    assert_eq!(bench.outlook().ready, [2]);
    assert_eq!(bench.request(2).unwrap().max_bytes, 25);
}

#[test]
fn once_a_session_is_open_only_what_changed_is_looked_at_and_asked_for() {
    let mut bench = Bench::new(&[1, 1, 1]);
    assert_eq!(partitions(&bench.request(1).unwrap()), [0, 1, 2]);
    bench.plan.session_mut(1).handle_response(7, ottla_protocol::error_code::ErrorCode::NONE);
    bench.plan.finish(1, bench.now, Duration::ZERO);
    // The metadata say something else, but nobody has been told.
    bench.leaders.of = vec![None, None, None];
    bench.leaders.of[1] = Some(1);
    let generation = bench.subscription.partition(&name(1)).unwrap().generation;
    bench.subscription.advance(&name(1), generation, 9, 1);
    let planned = bench.request(1).unwrap();
    assert_eq!((planned.session.session_epoch, partitions(&planned)), (1, vec![1]));
    assert!(planned.session.forgotten.is_empty());
    bench.plan.session_mut(1).handle_response(7, ottla_protocol::error_code::ErrorCode::NONE);
    bench.plan.finish(1, bench.now, Duration::ZERO);
    bench.plan.reroute();
    let planned = bench.request(1).unwrap();
    assert_eq!(planned.session.forgotten[0].partitions, [0, 2]);
    assert!(partitions(&planned).is_empty());
}

#[test]
fn the_sums_are_those_of_the_partitions_whatever_happened() {
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..50 {
        let mut bench = Bench::new(&[1, 2, 1, 3, 2, 1]);
        for _ in 0..200 {
            let partition = random.usize(0..6);
            let generation = bench.subscription.partition(&name(partition)).map(|one| one.generation);
            match (random.usize(0..9), generation) {
                (0, _) => drop(bench.subscription.set_paused(&name(partition), random.bool())),
                (1, Some(_)) => bench.buffer(partition, random.usize(0..15)),
                (2, _) => bench.buffer.discard(&name(partition)),
                (3, Some(generation)) => {
                    let at = bench.now + Duration::from_millis(random.u64(0..10));
                    bench.subscription.put_off(&name(partition), generation, at);
                }
                (4, _) => drop(bench.subscription.seek(&name(partition), Start::Offset(random.i64(0..99)))),
                (5, _) => {
                    bench.buffer.discard(&name(partition));
                    bench.subscription.remove(&name(partition));
                }
                (6, _) => drop(bench.subscription.add(name(partition), Start::Offset(1), random.bool())),
                (7, _) => bench.now += Duration::from_millis(random.u64(0..5)),
                _ => {
                    let node = random.i32(1..4);
                    drop(bench.request(node));
                    if random.bool() {
                        bench.plan.finish(node, bench.now, Duration::ZERO);
                    }
                }
            }
            let Bench { now, subscription, buffer, leaders, plan } = &mut bench;
            let by_changes = plan.outlook(*now, subscription, buffer, leaders);
            plan.rows = Rows::default();
            plan.reroute();
            assert_eq!(plan.outlook(*now, subscription, buffer, leaders), by_changes);
        }
    }
}

#[test]
fn what_failed_waits_and_says_until_when() {
    let mut bench = Bench::new(&[1, 2]);
    bench.request(1);
    bench.plan.fail(1, bench.now, |failures| Duration::from_millis(100 + u64::from(failures)));
    let later = bench.now + Duration::from_millis(100);
    let outlook = bench.outlook();
    assert_eq!((outlook.ready, outlook.wake_at), (vec![2], Some(later)));
    let generation = bench.subscription.partition(&name(1)).unwrap().generation;
    bench.subscription.put_off(&name(1), generation, later);
    assert_eq!(bench.outlook(), Outlook { wake_at: Some(later), ..Outlook::default() });
    bench.now = later;
    assert_eq!(bench.outlook().ready, [1, 2]);
}

#[test]
fn a_leader_that_the_metadata_have_no_address_of_is_put_off_ever_longer_too() {
    let mut bench = Bench::new(&[1]);
    bench.leaders.gone.push(1);
    for wait in [100, 101, 102].map(Duration::from_millis) {
        assert_eq!(bench.outlook().ready, [1]);
        bench.plan.begin(1);
        bench.plan.retain(bench.now, &bench.leaders);
        bench.plan.fail(1, bench.now, |failures| Duration::from_millis(100 + u64::from(failures)));
        bench.plan.retain(bench.now, &bench.leaders);
        let later = bench.now + wait;
        assert_eq!(bench.outlook(), Outlook { wake_at: Some(later), ..Outlook::default() });
        bench.now = later;
    }
    bench.plan.retain(bench.now, &bench.leaders);
    assert!(bench.plan.nodes.is_empty());
}

#[test]
fn a_throttled_broker_is_left_alone_for_as_long_as_it_says() {
    let mut bench = Bench::new(&[1]);
    bench.request(1);
    bench.plan.finish(1, bench.now, Duration::from_millis(50));
    let outlook = bench.outlook();
    assert_eq!((outlook.ready, outlook.wake_at), (vec![], Some(bench.now + Duration::from_millis(50))));
}

#[test]
fn a_preferred_replica_is_asked_until_its_time_is_over() {
    let mut bench = Bench::new(&[1]);
    let until = bench.now + Duration::from_secs(1);
    let generation = bench.subscription.partition(&name(0)).unwrap().generation;
    let assigned = bench.subscription.current_mut(&name(0), generation).unwrap();
    assigned.fetching_mut().unwrap().preferred = Some(PreferredReplica { node: 3, until });
    assert_eq!(bench.outlook().ready, [3]);
    bench.now = until;
    assert_eq!(bench.outlook().ready, [1]);
}

#[test]
fn held_halted_and_reporting_partitions_are_not_asked_for() {
    for set in [
        |assigned: &mut Assigned| assigned.held = true,
        |assigned: &mut Assigned| assigned.halted = true,
        |assigned: &mut Assigned| assigned.reporting = true,
    ] {
        let mut bench = Bench::new(&[1]);
        let generation = bench.subscription.partition(&name(0)).unwrap().generation;
        set(bench.subscription.current_mut(&name(0), generation).unwrap());
        assert_eq!(bench.outlook(), Outlook::default());
        assert_eq!(bench.request(1), None);
    }
}

/// Counts what is asked of the metadata.
struct Lookups(std::cell::Cell<usize>);

impl Routes for Lookups {
    fn route(&self, _: &TopicPartition) -> Option<Route> {
        self.0.set(self.0.get() + 1);
        Some(Route { leader: 1, epoch: 1, topic_id: Uuid([7; 16]) })
    }

    fn knows(&self, _: NodeId) -> bool {
        true
    }
}

#[test]
fn a_round_over_ten_thousand_partitions_looks_at_those_with_news_alone() {
    let mut bench = Bench::new(&[1; 10_000]);
    let Bench { now, subscription, buffer, plan, .. } = &mut bench;
    let counted = Lookups(std::cell::Cell::new(0));
    plan.begin(1);
    plan.request(1, true, *now, subscription, buffer, &counted).unwrap();
    assert_eq!(counted.0.take(), 10_000);
    for round in 1..100 {
        plan.session_mut(1).handle_response(9, ottla_protocol::error_code::ErrorCode::NONE);
        plan.finish(1, *now, Duration::ZERO);
        for partition in [round as usize, 5000] {
            let generation = subscription.partition(&name(partition)).unwrap().generation;
            let fetch =
                CompletedFetch::new(vec![0; 3].into(), 5, IsolationLevel::ReadUncommitted, Vec::new());
            buffer.push(&name(partition), generation, fetch);
            subscription
                .current_mut(&name(partition), generation)
                .unwrap()
                .fetching_mut()
                .unwrap()
                .fetch_offset += 1;
        }
        while let Some(reading) = buffer.take(|_| true) {
            buffer.finish(&reading);
        }
        assert_eq!(plan.outlook(*now, subscription, buffer, &counted).ready, [1]);
        let planned = plan.request(1, true, *now, subscription, buffer, &counted).unwrap();
        assert_eq!(partitions(&planned), [round, 5000]);
        assert!(counted.0.take() <= 4);
    }
}
