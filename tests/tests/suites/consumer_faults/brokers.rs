//! Brokers that restart and freeze, and connections that break.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ottla::consumer::GroupMetadata;
use ottla::{ConsumerOptions, Kafka};
use ottla_client::CoordinatorKey;
use ottla_tests::broker::{CuttingDialer, Dice, Entry, Fate, Load, Nodes};

use super::member::{Crew, Member};
use super::{
    LONG_SESSION, MS, PATIENT, PROTOCOLS, Protocol, SECONDS, WORLD, lasting, load, options, with_crews,
};

/// As many as the largest group has members.
const PARTITIONS: i32 = 20;

/// Members that share a handle.
const TOGETHER: usize = 5;

/// A group whose members must not notice anything.
struct Group {
    crew: Crew,
    members: Vec<Member>,
    identities: Vec<GroupMetadata>,
    changes: usize,
}

impl Group {
    async fn start(nodes: &Nodes, options: Options, handles: &[Kafka], topic: &str, seed: u64) -> Group {
        let Options { protocol, size, is_static } = options;
        let crew = Crew::start(nodes, protocol, topic, PARTITIONS, seed).await;
        let member = |number: usize| {
            let options = super::options(protocol, &crew.group, LONG_SESSION);
            let options = named(options, is_static.then(|| format!("{}-{number}", crew.group)));
            crew.member(&handles[number / TOGETHER % handles.len()], options, crew.habits())
        };
        let members: Vec<Member> = (0..size).map(member).collect();
        Group { crew, members, identities: Vec::new(), changes: 0 }
    }

    fn all(&self) -> Vec<&Member> {
        self.members.iter().collect()
    }

    fn identities(&self) -> Vec<GroupMetadata> {
        self.members.iter().map(|member| member.view().metadata.unwrap()).collect()
    }

    async fn balanced(&mut self) {
        self.crew.balanced(PATIENT, &self.all()).await;
        (self.identities, self.changes) = (self.identities(), self.crew.journal.changes());
        let ids: BTreeSet<&str> = self.identities.iter().map(|metadata| &*metadata.member_id).collect();
        assert_eq!(ids.len(), self.members.len());
    }

    /// Nobody has joined again, and no partition changed hands.
    fn assert_unmoved(&self) {
        assert_eq!(self.identities(), self.identities, "{:?}: a member joined again", self.crew.protocol);
        assert_eq!(self.crew.journal.changes(), self.changes, "{:?}: a rebalance", self.crew.protocol);
    }
}

/// What kind of group.
#[derive(Clone, Copy, Debug)]
struct Options {
    protocol: Protocol,
    size: usize,
    is_static: bool,
}

fn named(options: ConsumerOptions, name: Option<String>) -> ConsumerOptions {
    match name {
        Some(name) => options.group_instance_id(name),
        None => options,
    }
}

/// Groups of one, three and twenty members and one of static members, of each protocol; strategies take turns.
fn kinds(dice: &mut Dice) -> Vec<Options> {
    let classic: Vec<Protocol> =
        PROTOCOLS.iter().copied().filter(|protocol| *protocol != Protocol::Consumer).collect();
    let turn = dice.below(2) as usize;
    let mut kinds = Vec::new();
    for (at, (size, is_static)) in [(1, false), (3, true), (3, false), (20, false)].into_iter().enumerate() {
        let protocol = classic[(at + turn) % classic.len()];
        kinds.push(Options { protocol, size, is_static });
        if PROTOCOLS.contains(&Protocol::Consumer) {
            kinds.push(Options { protocol: Protocol::Consumer, size, is_static });
        }
    }
    kinds
}

async fn groups(
    nodes: &Nodes,
    handles: &[Kafka],
    kinds: &[Options],
    topic: &str,
    dice: &mut Dice,
) -> Vec<Group> {
    let mut groups = Vec::new();
    for kind in kinds {
        groups.push(Group::start(nodes, *kind, handles, topic, dice.next()).await);
    }
    for group in &mut groups {
        group.balanced().await;
    }
    groups
}

/// Waits until every group has processed all that is acknowledged by now.
async fn going_on(load: &Load, groups: &[Group]) {
    load.advance(5, PATIENT).await;
    let (ledger, goal) = (load.ledger(), load.ledger().acknowledged());
    let reached = groups.iter().map(|group| {
        let reached = || group.crew.journal.processed() >= goal.min(ledger.acknowledged());
        group.crew.until_all(PATIENT, &group.members, reached)
    });
    join_all(reached).await;
}

async fn settle(load: Load, groups: Vec<Group>) {
    let (ledger, failures) = load.finish(PATIENT).await;
    assert!(failures.is_empty(), "{} records failed, the first with {}", failures.len(), failures[0].1);
    for group in &groups {
        group.assert_unmoved();
    }
    let ends = groups.into_iter().map(|group| group.crew.settle(Arc::clone(&ledger), group.members));
    for repeated in join_all(ends).await {
        assert!(repeated.is_empty(), "{repeated:?}");
    }
}

#[test]
fn a_rolling_restart_goes_unnoticed_by_groups_of_any_size() {
    WORLD.harm(SECONDS(240), async |kafka, harm| {
        let mut dice = Dice::new("rolling restart");
        let (load, topic) = load(&kafka, "rolling", PARTITIONS, &mut dice).await;
        let handles: Vec<Kafka> = (0..4).map(|_| harm.nodes().kafka()).collect();
        let kinds = kinds(&mut dice);
        let groups = groups(harm.nodes(), &handles, &kinds, &topic, &mut dice).await;
        for node in harm.nodes().ids() {
            harm.in_sync(&kafka, &topic).await;
            let began = Instant::now();
            harm.restart(node).await;
            let restarted = began.elapsed();
            going_on(&load, &groups).await;
            println!("node {node} restarted in {restarted:?}, all went on after {:?}", began.elapsed());
        }
        settle(load, groups).await;
    });
}

#[test]
fn a_coordinator_that_freezes_and_thaws_costs_no_member_its_membership() {
    WORLD.harm(SECONDS(200), async |kafka, harm| {
        let mut dice = Dice::new("frozen coordinator");
        let nodes = harm.nodes();
        // Other handles: their timeouts are for the frozen broker, not for the test's own requests.
        let hasty = || nodes.kafka_with(nodes.options().request_timeout(SECONDS(2)));
        let handles: Vec<Kafka> = (0..2).map(|_| hasty()).collect();
        let (load, topic) = load(&handles[0], "frozen", PARTITIONS, &mut dice).await;
        let kinds: Vec<Options> =
            PROTOCOLS.iter().map(|&protocol| Options { protocol, size: 3, is_static: false }).collect();
        let groups = groups(nodes, &handles, &kinds, &topic, &mut dice).await;
        let key = CoordinatorKey::Group(groups[0].crew.group.as_str().into());
        let coordinator = kafka.client().coordinator(&key, Instant::now() + PATIENT).await.unwrap();
        harm.pause(coordinator).await;
        let began = Instant::now();
        going_on(&load, &groups).await;
        println!("node {coordinator} frozen; all went on after {:?}", began.elapsed());
        tokio::time::sleep(lasting(5).saturating_sub(began.elapsed())).await;
        // What lay in its sockets is carried out now, by a coordinator that is none any more.
        harm.resume(coordinator).await;
        going_on(&load, &groups).await;
        settle(load, groups).await;
    });
}

/// How long a member holds up a rebalance.
const HELD: Duration = Duration::from_secs(6);

#[test]
fn a_coordinator_that_freezes_in_a_rebalance_holds_up_nobody_and_costs_no_member_its_id() {
    WORLD.harm(SECONDS(240), async |kafka, harm| {
        let mut dice = Dice::new("frozen in a rebalance");
        let nodes = harm.nodes();
        let hasty = nodes.kafka_with(nodes.options().request_timeout(SECONDS(2)));
        let (load, topic) = load(&hasty, "frozen-join", PARTITIONS, &mut dice).await;
        let mut crews = Vec::new();
        for protocol in PROTOCOLS.iter().copied().filter(|protocol| *protocol != Protocol::Consumer) {
            let crew = Crew::start(nodes, protocol, &topic, PARTITIONS, dice.next()).await;
            let member = || crew.member(&hasty, options(protocol, &crew.group, LONG_SESSION), crew.habits());
            let (first, second) = (member(), member());
            crew.balanced(PATIENT, &[&first, &second]).await;
            crew.going_on(PATIENT, &[&first, &second]).await;
            let id = |member: &Member| member.view().metadata.unwrap().member_id;
            let (ids, share) = ([id(&first), id(&second)], first.view().assigned.len());
            let key = CoordinatorKey::Group(crew.group.as_str().into());
            let coordinator = kafka.client().coordinator(&key, Instant::now() + PATIENT).await.unwrap();

            // All that have joined wait for the one that has not given up what goes.
            second.stall(HELD);
            let third = member();
            let gives_up = || first.view().assigned.len() < share;
            crew.until("the first gives partitions up", PATIENT, &[&first, &third], gives_up).await;
            tokio::time::sleep(SECONDS(1)).await;
            harm.pause(coordinator).await;
            let took = crew.balanced(PATIENT, &[&first, &second, &third]).await;
            println!("{protocol:?}: node {coordinator} frozen; shared after {took:?}");
            harm.resume(coordinator).await;
            let members = vec![first, second, third];
            crew.going_on(PATIENT, &members.iter().collect::<Vec<_>>()).await;
            assert_eq!([id(&members[0]), id(&members[1])], ids, "{protocol:?}: a member joined anew");
            let lost = |entry: &Entry| matches!(entry, Entry::Lost { .. });
            assert!(!crew.journal.any(lost), "{protocol:?}: a member was lost");
            crews.push((crew, members));
            harm.in_sync(&kafka, &topic).await;
        }
        let (ledger, failures) = load.finish(PATIENT).await;
        assert!(failures.is_empty(), "{} records failed, the first with {}", failures.len(), failures[0].1);
        let ends = crews.into_iter().map(|(crew, members)| crew.settle(Arc::clone(&ledger), members));
        for repeated in join_all(ends).await {
            assert!(repeated.is_empty(), "{repeated:?}");
        }
    });
}

/// Mostly an answer is lost; sometimes half of a request or of an answer.
fn often_cut(dice: &mut Dice) -> Fate {
    match dice.below(6) {
        0 => Fate::Write(200 + dice.below(4_000)),
        1 => Fate::Read(500 + dice.below(20_000)),
        // The first answer is that to ApiVersions.
        _ => Fate::Answer(2 + dice.below(20)),
    }
}

/// How often members are cut off that are in the group.
const AT_LEAST: u64 = 100;

/// Far more than heartbeats need of which many are lost. A coordinator that has given out a member id whose owner never
/// hears of it lets nobody pass until that id's session has ended, so that joining may take as long.
const CUT_SESSION: Duration = Duration::from_secs(12);

#[test]
fn five_hundred_cut_connections_lose_and_reorder_nothing_and_cost_no_member_its_membership() {
    WORLD.peace(SECONDS(400), async |kafka, nodes| {
        let goal = 500 / PROTOCOLS.len() as u64 + 1;
        let repeated = with_crews(&kafka, nodes, "cut", 6, async |stage| {
            let dice = Dice::seeded(stage.dice.next());
            let dialer = Arc::new(CuttingDialer::new(stage.nodes.dialer(), dice, often_cut));
            let client = stage.nodes.options();
            let client = client.reconnect_backoff(MS(1)).reconnect_backoff_max(MS(20));
            let client = client.retry_backoff(MS(1)).retry_backoff_max(MS(20));
            let cut = Kafka::with_dialer(client, Arc::clone(&dialer) as Arc<_>).unwrap();
            let crew = &stage.crew;
            let member = || {
                let options = options(crew.protocol, &crew.group, CUT_SESSION);
                crew.member(&cut, options.max_poll_records(50usize).fetch_max_wait(MS(20)), crew.habits())
            };
            let members = [member(), member(), member()];
            let joined = crew.balanced(CUT_SESSION + PATIENT, &members.each_ref()).await;
            println!("{:?}: {} cuts before all had joined after {joined:?}", crew.protocol, dialer.cuts());
            let identities = || members.each_ref().map(|member| member.view().metadata);
            let (before, began) = (identities(), Instant::now());
            // Joining may have used most of them up; what counts is what members do that are in the group.
            let goal = goal.max(dialer.cuts() + AT_LEAST);
            while dialer.cuts() < goal {
                crew.going_on(PATIENT, &members.each_ref()).await;
            }
            println!("{:?}: {} cuts in {:?}", crew.protocol, dialer.cuts(), began.elapsed());
            assert_eq!(identities(), before, "a member joined again");
            Vec::from(members)
        });
        for repeated in repeated.await {
            assert!(repeated.is_empty(), "{repeated:?}");
        }
    });
}
