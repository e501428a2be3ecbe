#![allow(clippy::disallowed_methods, reason = "a script needs some instant to start from")]

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

    fn outlook(&self) -> Outlook {
        self.plan.outlook(self.now, &self.subscription, &self.buffer, &self.leaders)
    }

    fn request(&mut self, node: NodeId) -> Option<PlannedFetch> {
        self.plan.begin(node);
        self.plan.request(node, true, self.now, &self.subscription, &self.buffer, &self.leaders)
    }

    fn buffer(&mut self, partition: usize, bytes: usize) {
        let generation = self.subscription.partition(&name(partition)).unwrap().generation;
        let fetch =
            CompletedFetch::new(vec![0; bytes].into(), 5, IsolationLevel::ReadUncommitted, Vec::new());
        self.buffer.push(&name(partition), generation, fetch);
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
    let bench = Bench::new(&[1, -1]);
    let outlook = bench.outlook();
    assert_eq!(
        (outlook.ready, outlook.leaderless),
        (vec![1], std::collections::BTreeSet::from(["t".into()]))
    );
}

#[test]
fn a_broker_with_a_full_partition_is_left_alone_but_for_paused_ones() {
    let mut bench = Bench::new(&[1, 1, 2]);
    bench.buffer(0, 9);
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
fn paused_partitions_that_fill_the_buffer_do_not_starve_the_others() {
    let mut bench = Bench::new(&[1, 1]);
    bench.buffer(0, 500);
    bench.subscription.set_paused(&name(0), true);
    assert_eq!(bench.outlook().ready, [1]);
    assert_eq!(bench.request(1).unwrap().max_bytes, 10);
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
