//! What a seed decides.
//!
//! - `producer`, `member`, `pipeline`: what those do who take part, and how it is drawn;
//! - [`crate::faults`]: what goes wrong meanwhile.

use std::time::Duration;

use fastrand::Rng;
use ottla_mock::Release;
use ottla_mock::history::Place;

use crate::faults::{Act, Faults, Ground, Harm, Theme, pick, purge, silence, trouble, unrest, weather};
use member::{disquiet, lone, member, strategies};
use pipeline::pipelines;
use producer::{harry, producer};

pub use member::{Departure, Life, LonePlan, MemberPlan, Protocol};
pub use pipeline::PipelinePlan;
pub use producer::ProducerPlan;

mod member;
mod pipeline;
mod producer;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// How many of the runs whose brokers have it have a group of `group.protocol=consumer`: 0 for none, 1 for all.
const CONSUMER_PROTOCOL: f64 = 0.3;

/// In how many of the runs with two topics the second is deleted and made anew: 0 for none, 1 for all. Only brokers that take
/// commits by the topic's id (4.1) keep one that was on its way when the topic went from ending up with its successor, and
/// `Rule::Undelivered` with it: see [`Plan::of`].
const RECREATIONS: f64 = 0.05;

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
        // Without ids nobody can tell the new topic's first epochs from the old one's past, nor whose offset is committed.
        let recreates = topics == 2 && plan.release >= Release::V2_8 && more.f64() < RECREATIONS;
        if recreates && plan.release >= Release::V4_3 {
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
        let lone_leaders = self.replication == 1 || self.producers.iter().any(|producer| producer.careless);
        Ground { brokers: self.brokers, places: self.places(), groups, transactional_ids, lone_leaders }
    }
}
