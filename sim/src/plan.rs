//! What a seed decides.

use std::time::Duration;

use fastrand::Rng;
use ottla_consumer::Strategy;
use ottla_mock::history::Place;
use ottla_mock::{Fault, Release};
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// The topics' names, of which a run has the first one or two.
const TOPICS: [&str; 2] = ["orders", "payments"];

/// The group's name.
pub(crate) const GROUP: &str = "readers";

/// A run before it happens. All of it follows from the seed; fields may be changed for a run of one's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// How many brokers there are.
    pub brokers: i32,
    /// The release that they imitate.
    pub release: Release,
    /// The partitions of each topic.
    pub partitions: Vec<i32>,
    /// On how many brokers each partition is.
    pub replication: i16,
    /// How long followers take to copy.
    pub lag: Duration,
    /// Whether everybody uses one client, or each their own.
    pub shared_client: bool,
    /// Who sends.
    pub producers: Vec<ProducerPlan>,
    /// Who reads in the group. The first stays until the end.
    pub members: Vec<MemberPlan>,
    /// Whether somebody reads on his own as well, and sees committed records only.
    pub lone_reader: bool,
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
    /// How long `close` may take in the end.
    pub close: Duration,
}

/// What a member of the group does.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberPlan {
    /// What its own choices follow from.
    pub seed: u64,
    /// When it joins.
    pub joins: Duration,
    /// When and how it leaves, if before the end.
    pub leaves: Option<(Duration, Departure)>,
    /// `partition.assignment.strategy`; all members have the same.
    pub strategies: Vec<Strategy>,
    /// `enable.auto.commit`, and how often; otherwise it commits by itself.
    pub auto_commit: Option<Duration>,
    /// `max.poll.records`.
    pub batch: usize,
    /// How long it works on what a poll gave, at most.
    pub work: Duration,
    /// Whether it commits in the listener when partitions are revoked.
    pub commits_when_revoked: bool,
    /// `group.instance.id`.
    pub instance: Option<String>,
}

/// How a member leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// It closes.
    Close,
    /// It is dropped.
    Drop,
}

/// Harm, and when it is done.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// When, since the run's start.
    pub at: Duration,
    /// What.
    pub harm: Harm,
}

/// Harm that can be done to a cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum Harm {
    /// Something happens to some requests of an API, after some others.
    Requests {
        /// The API.
        key: ApiKey,
        /// How many pass before.
        skip: u64,
        /// How many it happens to.
        times: u64,
        /// What happens.
        fault: Fault,
    },
    /// Something happens to each request with a probability, until the calm.
    Any {
        /// The probability.
        probability: f64,
        /// What happens.
        fault: Fault,
    },
    /// A broker crashes, and comes back after a while.
    Kill(i32, Duration),
    /// A broker shuts down, and comes back after a while.
    Stop(i32, Duration),
    /// A broker stands still for a while.
    Pause(i32, Duration),
    /// All connections of a broker break.
    Cut(i32),
    /// A partition gets another leader.
    MoveLeader(Place, i32),
    /// The group gets another coordinator.
    MoveCoordinator(i32),
    /// A member of the group, counted from the first, is taken for dead; or all of them.
    Expire(Option<usize>),
    /// The group rebalances.
    Rebalance,
}

impl Plan {
    /// What a seed decides.
    pub fn of(seed: u64) -> Plan {
        let rng = &mut Rng::with_seed(seed);
        let brokers = *pick(rng, &[1, 2, 3, 3, 3]);
        let topics = rng.usize(1..=2);
        let mut plan = Plan {
            seed,
            brokers,
            release: *pick(
                rng,
                &[
                    Release::V4_3,
                    Release::V4_3,
                    Release::V4_3,
                    Release::V4_0,
                    Release::V3_9,
                    Release::V2_8,
                    Release::V2_1,
                ],
            ),
            partitions: (0..topics).map(|_| rng.i32(1..=4)).collect(),
            replication: rng.i16(1..=3).min(i16::try_from(brokers).unwrap_or(1)),
            lag: if rng.bool() { Duration::ZERO } else { MS(rng.u64(1..=40)) },
            shared_client: rng.bool(),
            producers: Vec::new(),
            members: Vec::new(),
            lone_reader: rng.u8(..) < 80,
            acts: Vec::new(),
        };
        plan.producers = (0..rng.usize(1..=3)).map(|_| producer(rng)).collect();
        let strategies = strategies(rng);
        plan.members = (0..rng.usize(1..=3)).map(|number| member(rng, number, &strategies)).collect();
        if plan.release == Release::V2_1 {
            // Static members came with 2.3.
            plan.members.iter_mut().for_each(|member| member.instance = None);
        }
        let acts = *pick(rng, &[0, 1, 2, 3, 4, 6, 9]);
        plan.acts = (0..acts).map(|_| act(rng, &plan)).collect();
        plan.acts.sort_by_key(|act| act.at);
        plan
    }

    /// All partitions of all topics.
    pub fn places(&self) -> Vec<Place> {
        let of_topic = |(topic, partitions): (&&str, &i32)| {
            let topic: std::sync::Arc<str> = (*topic).into();
            (0..*partitions)
                .map(move |partition| Place::new(std::sync::Arc::clone(&topic), partition))
                .collect::<Vec<_>>()
        };
        TOPICS.iter().zip(&self.partitions).flat_map(of_topic).collect()
    }

    /// The topics' names.
    pub fn topics(&self) -> &'static [&'static str] {
        &TOPICS[..self.partitions.len()]
    }
}

fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(..from.len())]
}

fn producer(rng: &mut Rng) -> ProducerPlan {
    ProducerPlan {
        seed: rng.u64(..),
        records: rng.u64(5..=50),
        pause: *pick(rng, &[MS(0), MS(2), MS(20), MS(200)]),
        impatience: *pick(rng, &[0.0, 0.0, 0.2]),
        linger: MS(*pick(rng, &[0, 5, 30])),
        batch_size: *pick(rng, &[200, 1_000, 16_384]),
        memory: *pick(rng, &[2_000, 32 << 20, 32 << 20]),
        in_flight: rng.usize(1..=5),
        delivery_timeout: *pick(rng, &[MS(4_000), MS(120_000), MS(120_000)]),
        close: *pick(rng, &[MS(500), MS(130_000), MS(130_000), MS(130_000)]),
    }
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
    let leaves = (number > 0 && rng.bool()).then(|| {
        let how = if rng.bool() { Departure::Close } else { Departure::Drop };
        (joins + MS(rng.u64(100..8_000)), how)
    });
    MemberPlan {
        seed: rng.u64(..),
        joins,
        leaves,
        strategies: strategies.to_vec(),
        auto_commit: rng.bool().then(|| MS(*pick(rng, &[0, 100, 1_000]))),
        batch: *pick(rng, &[1, 5, 500]),
        work: MS(*pick(rng, &[0, 0, 5, 100])),
        commits_when_revoked: rng.bool(),
        instance: (rng.u8(..) < 40).then(|| format!("instance-{number}")),
    }
}

fn act(rng: &mut Rng, plan: &Plan) -> Act {
    let broker = rng.i32(1..=plan.brokers);
    let away = MS(*pick(rng, &[50, 500, 3_000, 12_000]));
    let harm = match rng.u8(..20) {
        0..=8 => requests(rng),
        9 => Harm::Any { probability: *pick(rng, &[0.02, 0.1]), fault: any_fault(rng) },
        10 | 11 => Harm::Kill(broker, away),
        12 => Harm::Stop(broker, away),
        13 => Harm::Pause(broker, away),
        14 => Harm::Cut(broker),
        15 | 16 => Harm::MoveLeader(pick(rng, &plan.places()).clone(), broker),
        17 => Harm::MoveCoordinator(broker),
        18 => Harm::Expire(if rng.bool() { Some(rng.usize(..3)) } else { None }),
        _ => Harm::Rebalance,
    };
    Act { at: MS(rng.u64(0..6_000)), harm }
}

fn requests(rng: &mut Rng) -> Harm {
    const KEYS: [ApiKey; 14] = [
        ApiKey::PRODUCE,
        ApiKey::PRODUCE,
        ApiKey::PRODUCE,
        ApiKey::FETCH,
        ApiKey::FETCH,
        ApiKey::METADATA,
        ApiKey::INIT_PRODUCER_ID,
        ApiKey::FIND_COORDINATOR,
        ApiKey::JOIN_GROUP,
        ApiKey::SYNC_GROUP,
        ApiKey::HEARTBEAT,
        ApiKey::OFFSET_COMMIT,
        ApiKey::OFFSET_FETCH,
        ApiKey::LIST_OFFSETS,
    ];
    let key = *pick(rng, &KEYS);
    let fault = match rng.u8(..3) {
        0 => Fault::error(*pick(rng, refusals(key))),
        1 if key == ApiKey::PRODUCE => Fault::error_although_done(*pick(
            rng,
            &[ErrorCode::REQUEST_TIMED_OUT, ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND],
        )),
        _ => any_fault(rng),
    };
    Harm::Requests { key, skip: rng.u64(..8), times: rng.u64(1..=4), fault }
}

fn any_fault(rng: &mut Rng) -> Fault {
    match rng.u8(..8) {
        0 => Fault::delay(MS(rng.u64(1..3_000))),
        1 => Fault::delay_answer(MS(rng.u64(1..3_000))),
        2 => Fault::drop_request(),
        3 => Fault::drop_answer(),
        4 => Fault::close(),
        5 => Fault::cut_answer_at(rng.usize(..60)),
        6 => Fault::throttle(MS(rng.u64(1..1_000))),
        _ => Fault::delay(MS(rng.u64(1..30))),
    }
}

/// Errors with which brokers refuse such requests for a while.
fn refusals(key: ApiKey) -> &'static [ErrorCode] {
    match key {
        ApiKey::PRODUCE => &[
            ErrorCode::NOT_LEADER_OR_FOLLOWER,
            ErrorCode::NOT_ENOUGH_REPLICAS,
            ErrorCode::REQUEST_TIMED_OUT,
            ErrorCode::KAFKA_STORAGE_ERROR,
        ],
        ApiKey::FETCH | ApiKey::LIST_OFFSETS => &[
            ErrorCode::NOT_LEADER_OR_FOLLOWER,
            ErrorCode::UNKNOWN_LEADER_EPOCH,
            ErrorCode::REPLICA_NOT_AVAILABLE,
        ],
        ApiKey::INIT_PRODUCER_ID => {
            &[ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, ErrorCode::COORDINATOR_NOT_AVAILABLE]
        }
        ApiKey::METADATA => &[ErrorCode::LEADER_NOT_AVAILABLE],
        _ => &[
            ErrorCode::NOT_COORDINATOR,
            ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ],
    }
}
