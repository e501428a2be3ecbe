//! What a seed decides.

use std::time::Duration;

use fastrand::Rng;
use ottla_consumer::Strategy;
use ottla_mock::Release;
use ottla_mock::history::Place;
use ottla_producer::CompressionType;

use crate::faults::{Act, Faults, Ground, Harm, Theme, pick, purge, silence, trouble, unrest, weather};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// How many of the runs whose brokers have it have a group of `group.protocol=consumer`: 0 for none, 1 for all.
const CONSUMER_PROTOCOL: f64 = 0.3;

/// Whether members fall asleep as well that keep their partitions through a rebalance, or their place for a while.
const CLINGING_SLEEPERS: bool = true;

/// In how many of the runs with two topics the second is deleted and made anew: 0 for none, 1 for all. None as long as
/// `Rule::Undelivered` is not kept there: brokers before 4.1 take commits by the topic's name, and one that was on its way
/// when the topic went can end up with its successor.
const RECREATIONS: f64 = 0.0;

/// The topics' names, of which a run has the first one or two.
const TOPICS: [&str; 2] = ["orders", "payments"];

/// The topic that pipelines read.
pub(crate) const INPUT: &str = TOPICS[0];

/// The topic that pipelines write.
pub(crate) const OUTPUT: &str = "bills";

/// The group of those who only read.
pub(crate) const READERS: &str = "readers";

/// The group of the pipelines.
pub(crate) const PIPELINES: &str = "pipelines";

/// A run before it happens. All of it follows from the seed; fields may be changed for a run of one's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// How many brokers there are.
    pub brokers: i32,
    /// The release that they imitate.
    pub release: Release,
    /// The partitions of each topic that producers send to.
    pub partitions: Vec<i32>,
    /// On how many brokers each partition is.
    pub replication: i16,
    /// How long followers take to copy.
    pub lag: Duration,
    /// Whether everybody uses one client, or each their own.
    pub shared_client: bool,
    /// `group.protocol` of those who only read.
    pub protocol: Protocol,
    /// Whether those who only read in the group see committed records only.
    pub committed_only: bool,
    /// Who sends.
    pub producers: Vec<ProducerPlan>,
    /// Who reads in the group. The first stays until the end.
    pub members: Vec<MemberPlan>,
    /// Who reads on his own as well, and sees committed records only.
    pub lone_reader: Option<LonePlan>,
    /// Who reads and writes in transactions, if anybody.
    pub pipelines: Vec<PipelinePlan>,
    /// What is done to the cluster, in this order.
    pub acts: Vec<Act>,
}

/// What a producer does.
#[derive(Debug, Clone, PartialEq)]
pub struct ProducerPlan {
    /// What its own choices follow from.
    pub seed: u64,
    /// How many records it sends.
    pub records: u64,
    /// The longest pause between two records.
    pub pause: Duration,
    /// The probability with which it gives a `send` up that does not return at once.
    pub impatience: f64,
    /// `linger.ms`.
    pub linger: Duration,
    /// `batch.size`.
    pub batch_size: usize,
    /// `buffer.memory`.
    pub memory: usize,
    /// `max.in.flight.requests.per.connection`.
    pub in_flight: usize,
    /// `delivery.timeout.ms`.
    pub delivery_timeout: Duration,
    /// `compression.type`. Codecs work on threads, which no seed rules.
    pub compression: CompressionType,
    /// Whether it is content with its leaders' word: `acks=1`.
    pub careless: bool,
    /// How long `close` may take in the end.
    pub close: Duration,
}

/// What a member of the group does.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberPlan {
    /// What its own choices follow from.
    pub seed: u64,
    /// Its lives. Those of a static member have one name, and the next may begin before the last is over.
    pub lives: Vec<Life>,
    /// `partition.assignment.strategy`; all members have the same.
    pub strategies: Vec<Strategy>,
    /// `enable.auto.commit`, and how often; otherwise it commits by itself.
    pub auto_commit: Option<Duration>,
    /// `max.poll.records`.
    pub batch: usize,
    /// How long it works on what a poll gave, at most.
    pub work: Duration,
    /// Whether it lets partitions rest now and then.
    pub rests: bool,
    /// Whether it commits in the listener when partitions are revoked.
    pub commits_when_revoked: bool,
    /// `group.instance.id`.
    pub instance: Option<String>,
    /// `max.poll.interval.ms`.
    pub max_poll_interval: Duration,
    /// When it stops polling, and for how long.
    pub stalls: Vec<(Duration, Duration)>,
    /// The probability with which it gives a `poll` up that does not return at once.
    pub impatience: f64,
    /// How many times it goes back to an offset that it is past.
    pub seeks: usize,
    /// Whether it asks for one record after the other, by `next`.
    pub one_by_one: bool,
}

/// `group.protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A member assigns the partitions.
    Classic,
    /// The coordinator does (KIP-848).
    Consumer,
}

/// What a reader without a group does.
#[derive(Debug, Clone, PartialEq)]
pub struct LonePlan {
    /// What its own choices follow from.
    pub seed: u64,
    /// `max.poll.records`.
    pub batch: usize,
    /// How many times it goes back to an offset that it is past.
    pub seeks: usize,
}

/// A pipeline: it reads one topic, writes another, and commits both as one. All of a run's pipelines are one group, or there
/// is one that assigns the partitions to itself.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelinePlan {
    /// What its own choices follow from.
    pub seed: u64,
    /// Its transactional id.
    pub id: String,
    /// Whether it is a member of the group, which hands out the partitions; otherwise it takes all of them.
    pub in_group: bool,
    /// Whether it speaks the transactions of Kafka 4, which need no announcements and count an epoch for each.
    pub second_kind: bool,
    /// `max.poll.records`: what one transaction reads at most.
    pub batch: usize,
    /// How long it works between two steps, at most.
    pub work: Duration,
    /// The probability with which it aborts what it could commit.
    pub doubt: f64,
    /// The probability with which it waits for seconds between its offsets and the transaction's end.
    pub dawdles: f64,
    /// `transaction.timeout.ms`.
    pub timeout: Duration,
    /// Its lives, of which the last goes on until the end, and begins anew where it fails. They have one transactional id, so
    /// that each of them fences those before it.
    pub lives: Vec<Life>,
}

/// One life of a member or a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Life {
    /// When it begins.
    pub begins: Duration,
    /// When and how it ends, if before the run's end.
    pub ends: Option<(Duration, Departure)>,
}

/// How a member leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// It closes.
    Close,
    /// It is dropped.
    Drop,
    /// Its process is killed, whatever it is doing: it says nothing any more.
    Kill,
}

impl Plan {
    /// What a seed decides.
    pub fn of(seed: u64) -> Plan {
        let rng = &mut Rng::with_seed(seed);
        let brokers = *pick(rng, &[1, 2, 3, 3, 3]);
        let topics = rng.usize(1..=2);
        let releases = [
            Release::V4_3,
            Release::V4_3,
            Release::V4_3,
            Release::V4_0,
            Release::V3_9,
            Release::V2_8,
            Release::V2_1,
        ];
        let mut plan = Plan {
            seed,
            brokers,
            release: *pick(rng, &releases),
            partitions: (0..topics).map(|_| rng.i32(1..=4)).collect(),
            replication: rng.i16(1..=3).min(i16::try_from(brokers).unwrap_or(1)),
            lag: if rng.bool() { Duration::ZERO } else { MS(rng.u64(1..=40)) },
            shared_client: rng.bool(),
            protocol: Protocol::Classic,
            committed_only: false,
            producers: Vec::new(),
            members: Vec::new(),
            lone_reader: None,
            pipelines: Vec::new(),
            acts: Vec::new(),
        };
        let mut theme = *pick(rng, &Theme::ALL);
        // Those who write in transactions make a run three times as long.
        if theme == Theme::Transactions || rng.u8(..) < 70 {
            plan.pipelines = pipelines(rng, plan.release);
        }
        if theme == Theme::Transactions && plan.pipelines.is_empty() {
            theme = Theme::Mixed;
        }
        plan.producers = (0..rng.usize(1..=3)).map(|_| producer(rng, theme)).collect();
        let strategies = strategies(rng);
        let members = if theme == Theme::Groups { 3 } else { rng.usize(1..=3) };
        plan.members = (0..members).map(|number| member(rng, number, &strategies)).collect();
        if plan.release == Release::V2_1 {
            // Static members came with 2.3.
            plan.members.iter_mut().for_each(|member| member.instance = None);
        }
        let more = &mut Rng::with_seed(!seed);
        if plan.release >= Release::V4_0 && more.f64() < CONSUMER_PROTOCOL {
            plan.protocol = Protocol::Consumer;
        }
        plan.committed_only = !plan.pipelines.is_empty() && more.bool();
        for pipeline in &mut plan.pipelines {
            pipeline.dawdles = *pick(more, &[0.0, 0.1, 0.3]);
        }
        if more.u8(..) < if theme == Theme::Producing { 60 } else { 15 } {
            plan.partitions.fill(1);
            plan.producers.iter_mut().for_each(|producer| harry(more, producer));
            plan.acts.extend(silence(more));
        }
        for (number, member) in plan.members.iter_mut().enumerate() {
            disquiet(more, number, member, theme == Theme::Groups);
        }
        if !plan.pipelines.is_empty() || theme == Theme::Fetching || rng.u8(..) < 100 {
            plan.lone_reader = Some(lone(rng));
        }
        let acts = if theme == Theme::Mixed { *pick(rng, &[0, 1, 3, 6, 9]) } else { *pick(rng, &[3, 6, 9]) };
        let ground = plan.ground();
        plan.acts.extend(Faults::about(theme).acts(acts).draw(rng, &ground));
        if rng.u8(..) < 220 {
            plan.acts.extend(weather(rng, !plan.pipelines.is_empty()));
        }
        // Without ids nobody can tell the new topic's first epochs from the old one's past.
        if topics == 2 && plan.release >= Release::V2_8 && more.f64() < RECREATIONS {
            let harm = Harm::Recreate(TOPICS[1].to_owned(), MS(*pick(more, &[0, 50, 500, 2_000])));
            plan.acts.push(Act { at: MS(more.u64(500..6_000)), harm });
        }
        for group in &ground.groups {
            if theme == Theme::Groups || rng.u8(..) < 120 {
                plan.acts.extend(unrest(rng, group));
            }
            if group == PIPELINES && more.u8(..) < 100 {
                plan.acts.extend(purge(more, group));
            }
            if more.u8(..) < if theme == Theme::Groups { 120 } else { 30 } {
                plan.acts.extend(trouble(more, group, &ground));
            }
        }
        plan.acts.sort_by_key(|act| act.at);
        plan
    }

    /// All partitions that producers send to at the start.
    pub fn places(&self) -> Vec<Place> {
        let of_topic = |(topic, partitions): (&&str, &i32)| {
            let topic: std::sync::Arc<str> = (*topic).into();
            (0..*partitions)
                .map(move |partition| Place::new(std::sync::Arc::clone(&topic), partition))
                .collect::<Vec<_>>()
        };
        TOPICS.iter().zip(&self.partitions).flat_map(of_topic).collect()
    }

    /// The names of all topics.
    pub fn topics(&self) -> Vec<&'static str> {
        let mut topics = TOPICS[..self.partitions.len()].to_vec();
        if !self.pipelines.is_empty() {
            topics.push(OUTPUT);
        }
        topics
    }

    /// How many partitions the topics have at the start, in their order.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = i32> {
        self.partitions.iter().copied().chain([2])
    }

    fn ground(&self) -> Ground {
        let mut groups = vec![READERS.to_owned()];
        if self.pipelines.iter().any(|pipeline| pipeline.in_group) {
            groups.push(PIPELINES.to_owned());
        }
        let transactional_ids = self.pipelines.iter().map(|pipeline| pipeline.id.clone()).collect();
        Ground { brokers: self.brokers, places: self.places(), groups, transactional_ids }
    }
}

fn producer(rng: &mut Rng, theme: Theme) -> ProducerPlan {
    // What is given up soon, in the middle of retries, is where numbers and outcomes go wrong.
    let hasty = rng.u8(..) < if theme == Theme::Producing { 160 } else { 80 };
    let compression = match rng.u8(..60) {
        0 => CompressionType::Gzip,
        1 => CompressionType::Snappy,
        2 => CompressionType::Lz4,
        _ => CompressionType::None,
    };
    ProducerPlan {
        seed: rng.u64(..),
        records: rng.u64(10..=70),
        pause: *pick(rng, &[MS(2), MS(20), MS(100), MS(300)]),
        impatience: *pick(rng, &[0.0, 0.0, 0.2]),
        linger: MS(*pick(rng, &[0, 5, 30])),
        batch_size: *pick(rng, &[200, 200, 1_000, 16_384]),
        memory: *pick(rng, &[2_000, 32 << 20, 32 << 20]),
        in_flight: rng.usize(1..=5),
        delivery_timeout: if hasty { MS(*pick(rng, &[2_100, 4_000])) } else { MS(120_000) },
        compression,
        careless: rng.u8(..) < 20,
        close: *pick(rng, &[MS(500), MS(130_000), MS(130_000), MS(130_000)]),
    }
}

/// Has a producer send one small batch after the other and give each of them up soon, while others are under way.
fn harry(rng: &mut Rng, producer: &mut ProducerPlan) {
    producer.records = producer.records.max(40);
    producer.pause = *pick(rng, &[MS(100), MS(200), MS(400)]);
    (producer.linger, producer.batch_size, producer.in_flight) = (MS(0), 200, 5);
    producer.delivery_timeout = MS(*pick(rng, &[2_100, 2_100, 3_000]));
}

fn strategies(rng: &mut Rng) -> Vec<Strategy> {
    match rng.u8(..5) {
        0 => vec![Strategy::Range],
        1 => vec![Strategy::RoundRobin],
        2 => vec![Strategy::Sticky],
        3 => vec![Strategy::CooperativeSticky],
        _ => vec![Strategy::Range, Strategy::CooperativeSticky],
    }
}

fn member(rng: &mut Rng, number: usize, strategies: &[Strategy]) -> MemberPlan {
    let joins = if number == 0 { MS(0) } else { MS(*pick(rng, &[0, 0, 500, 3_000])) };
    MemberPlan {
        seed: rng.u64(..),
        lives: vec![Life {
            begins: joins,
            ends: (number > 0 && rng.bool()).then(|| departure(rng, joins, 8_000)),
        }],
        strategies: strategies.to_vec(),
        auto_commit: rng.bool().then(|| MS(*pick(rng, &[0, 50, 300]))),
        batch: *pick(rng, &[1, 3, 20, 500]),
        work: MS(*pick(rng, &[0, 5, 50, 200])),
        rests: rng.u8(..) < 60,
        commits_when_revoked: rng.bool(),
        instance: (rng.u8(..) < 40).then(|| format!("instance-{number}")),
        max_poll_interval: MS(30_000),
        stalls: Vec::new(),
        impatience: 0.0,
        seeks: 0,
        one_by_one: false,
    }
}

/// What members do that is hard on their group: they come back, are killed, and fall asleep.
fn disquiet(rng: &mut Rng, number: usize, member: &mut MemberPlan, much: bool) {
    let chance = if much { 140 } else { 50 };
    if let Some(first) = member.lives.first_mut().filter(|_| number > 0 && rng.u8(..) < chance) {
        let mut end = departure(rng, first.begins, 4_000);
        first.ends = Some(end);
        for _ in 0..rng.usize(1..=3) {
            // Who has the name of one that is still there takes its place.
            let begins = match member.instance {
                Some(_) if rng.bool() => end.0.saturating_sub(MS(rng.u64(..800))),
                _ => end.0 + MS(rng.u64(..2_500)),
            };
            end = departure(rng, begins, 4_000);
            member.lives.push(Life { begins, ends: Some(end) });
        }
        if let Some(last) = member.lives.last_mut().filter(|_| rng.bool()) {
            last.ends = None;
        }
    }
    for (_, how) in member.lives.iter_mut().filter_map(|life| life.ends.as_mut()) {
        if rng.u8(..) < 90 {
            *how = Departure::Kill;
        }
    }
    let clings = member.strategies == [Strategy::CooperativeSticky] || member.instance.is_some();
    let may_sleep = CLINGING_SLEEPERS || !clings;
    if rng.u8(..) < chance / 2 && may_sleep {
        member.max_poll_interval = MS(3_000);
        member.stalls =
            (0..rng.usize(1..=2)).map(|_| (MS(rng.u64(500..6_000)), MS(rng.u64(3_600..7_000)))).collect();
        member.stalls.sort();
    }
    member.impatience = *pick(rng, &[0.0, 0.0, 0.3]);
    member.seeks = *pick(rng, &[0, 0, 0, 4]);
    member.one_by_one = rng.u8(..5) == 0;
}

fn departure(rng: &mut Rng, joins: Duration, within: u64) -> (Duration, Departure) {
    let how = if rng.bool() { Departure::Close } else { Departure::Drop };
    (joins + MS(rng.u64(100..within)), how)
}

fn lone(rng: &mut Rng) -> LonePlan {
    LonePlan { seed: rng.u64(..), batch: *pick(rng, &[1, 3, 500]), seeks: *pick(rng, &[0, 5, 20]) }
}

fn pipelines(rng: &mut Rng, release: Release) -> Vec<PipelinePlan> {
    // Membership is checked from TxnOffsetCommit 3 on, which came with 2.5.
    let in_group = release > Release::V2_1 && rng.bool();
    let count = if in_group { rng.usize(2..=3) } else { 1 };
    (0..count).map(|number| pipeline(rng, number, in_group, release)).collect()
}

fn pipeline(rng: &mut Rng, number: usize, in_group: bool, release: Release) -> PipelinePlan {
    let mut lives = Vec::new();
    let mut begins = MS(rng.u64(..500));
    for _ in 0..rng.usize(..3) {
        let ends = departure(rng, begins, 6_000);
        lives.push(Life { begins, ends: Some(ends) });
        // Before the end of the one before: that one is a zombie from then on.
        begins += MS(rng.u64(200..4_000));
    }
    lives.push(Life { begins, ends: None });
    PipelinePlan {
        seed: rng.u64(..),
        id: format!("pipeline-{number}"),
        in_group,
        second_kind: release >= Release::V4_0 && rng.u8(..4) > 0,
        batch: *pick(rng, &[2, 10, 500]),
        work: MS(*pick(rng, &[0, 20, 100, 400])),
        doubt: *pick(rng, &[0.0, 0.1, 0.3]),
        dawdles: 0.0,
        timeout: *pick(rng, &[MS(3_000), MS(15_000), MS(15_000), MS(60_000)]),
        lives,
    }
}
