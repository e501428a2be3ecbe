//! What goes wrong in a run, and when.

use std::time::Duration;

use fastrand::Rng;
use ottla_mock::Fault;
use ottla_mock::history::Place;
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Which harm is done, how often, and within which time. What exactly follows from the run's seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    theme: Theme,
    acts: usize,
    within: Duration,
}

/// What most of the harm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Of everything a little.
    Mixed,
    /// Produce requests that are refused, and answers to them that get lost.
    Producing,
    /// Fetches, metadata and offsets that fail.
    Fetching,
    /// Groups that rebalance again and again, and lose members and coordinators.
    Groups,
    /// Transaction coordinators that move, refuse and fall silent.
    Transactions,
    /// Brokers that crash, pause and come back, and leaders that move.
    Brokers,
}

impl Theme {
    /// Every theme.
    pub const ALL: [Theme; 6] =
        [Theme::Mixed, Theme::Producing, Theme::Fetching, Theme::Groups, Theme::Transactions, Theme::Brokers];
}

impl Default for Faults {
    /// Up to six acts of all kinds within six seconds.
    fn default() -> Faults {
        Faults { theme: Theme::Mixed, acts: 6, within: MS(6_000) }
    }
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
    Flaky {
        /// The API; `None` for all of them.
        key: Option<ApiKey>,
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
    /// A group gets another coordinator.
    MoveCoordinator(String, i32),
    /// A group's coordinator stands still for a while.
    Freeze(String, Duration),
    /// A member of a group, counted from the first, is taken for dead; or all of them.
    Expire(String, Option<usize>),
    /// A group rebalances.
    Rebalance(String),
    /// A transactional id gets another coordinator.
    MoveTransactions(String, i32),
    /// The producer of a transactional id is fenced.
    Fence(String),
    /// A topic gets as many partitions as this.
    Grow(String, i32),
    /// A topic is deleted, and made anew after a while, with as many partitions.
    Recreate(String, Duration),
}

/// What harm can be done to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ground {
    pub(crate) brokers: i32,
    pub(crate) places: Vec<Place>,
    pub(crate) groups: Vec<String>,
    pub(crate) transactional_ids: Vec<String>,
    /// Whether a leader may be the only one that has what it acknowledges: one replica, or `acks=1`.
    pub(crate) lone_leaders: bool,
}

impl Faults {
    /// Nothing goes wrong.
    pub fn none() -> Faults {
        Faults { acts: 0, ..Faults::default() }
    }

    /// Much of one theme.
    pub fn about(theme: Theme) -> Faults {
        Faults { theme, ..Faults::default() }
    }

    /// How many acts there are at most.
    #[must_use]
    pub fn acts(mut self, acts: usize) -> Faults {
        self.acts = acts;
        self
    }

    /// The time in which they are done, from the start.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Faults {
        self.within = within;
        self
    }

    /// Decides what is done when.
    pub(crate) fn draw(&self, rng: &mut Rng, ground: &Ground) -> Vec<Act> {
        if self.acts == 0 {
            return Vec::new();
        }
        let count = rng.usize(self.acts.div_ceil(2)..=self.acts);
        let mut acts: Vec<Act> = (0..count)
            .map(|_| {
                // Some of the rest is part of every theme.
                let theme = if rng.u8(..4) == 0 { Theme::Mixed } else { self.theme };
                // The most is going on at the start.
                let at = self.within.mul_f64(rng.f64() * rng.f64());
                Act { at, harm: harm(rng, theme, ground) }
            })
            .collect();
        acts.sort_by_key(|act| act.at);
        acts
    }
}

/// What is unreliable almost from the start, until the calm: some APIs that decide on what counts.
pub(crate) fn weather(rng: &mut Rng, has_transactions: bool) -> Vec<Act> {
    let mut keys = vec![
        (ApiKey::PRODUCE, 170),
        (ApiKey::OFFSET_COMMIT, 110),
        (ApiKey::OFFSET_FETCH, 90),
        (ApiKey::FETCH, 50),
        (ApiKey::JOIN_GROUP, 20),
    ];
    if has_transactions {
        keys.extend([(ApiKey::TXN_OFFSET_COMMIT, 90), (ApiKey::END_TXN, 90)]);
    }
    let mut acts = Vec::new();
    for (key, chance) in keys {
        if rng.u8(..) < chance {
            let probability = *pick(rng, &[0.1, 0.2, 0.4]);
            // Of two faults, the one that was made first comes first, and the other only when that doesn't.
            for _ in 0..rng.usize(1..=2) {
                let harm = Harm::Flaky { key: Some(key), probability, fault: fault(rng, key) };
                acts.push(Act { at: MS(rng.u64(..300)), harm });
            }
        }
    }
    acts
}

/// Produce requests that get lost now and then, with all that is sent behind them, and others whose answers do.
pub(crate) fn silence(rng: &mut Rng) -> Vec<Act> {
    let flaky = |probability, fault| Act {
        at: Duration::ZERO,
        harm: Harm::Flaky { key: Some(ApiKey::PRODUCE), probability, fault },
    };
    vec![
        flaky(*pick(rng, &[0.1, 0.2]), Fault::drop_request()),
        flaky(*pick(rng, &[0.0, 0.1]), Fault::drop_answer()),
        flaky(*pick(rng, &[0.0, 0.1]), Fault::delay(MS(rng.u64(500..3_000)))),
    ]
}

/// A group that comes to no rest for a while.
pub(crate) fn unrest(rng: &mut Rng, group: &str) -> Vec<Act> {
    let act = |rng: &mut Rng| {
        let harm = match rng.u8(..5) {
            0 | 1 => Harm::Rebalance(group.to_owned()),
            2 | 3 => Harm::Expire(group.to_owned(), Some(rng.usize(..3))),
            _ => Harm::Expire(group.to_owned(), None),
        };
        Act { at: MS(rng.u64(200..6_000)), harm }
    };
    (0..rng.usize(3..=8)).map(|_| act(rng)).collect()
}

/// A group whose members are given up again and again, whatever they are doing.
pub(crate) fn purge(rng: &mut Rng, group: &str) -> Vec<Act> {
    let act = |rng: &mut Rng| {
        let harm = Harm::Expire(group.to_owned(), Some(rng.usize(..3)));
        Act { at: MS(rng.u64(200..6_000)), harm }
    };
    (0..rng.usize(10..=25)).map(|_| act(rng)).collect()
}

/// What a group has to live through besides: its coordinator stands still or moves again and again, connections break all
/// the time, its topics grow.
pub(crate) fn trouble(rng: &mut Rng, group: &str, ground: &Ground) -> Vec<Act> {
    let kind = rng.u8(..4);
    let times = match kind {
        0 | 1 => 1,
        2 => rng.usize(3..=6),
        _ => rng.usize(10..=40),
    };
    let act = |_| {
        let broker = rng.i32(1..=ground.brokers.max(1));
        let harm = match kind {
            0 => Harm::Freeze(group.to_owned(), MS(*pick(rng, &[3_000, 12_000, 20_000]))),
            1 => grow(rng, ground),
            2 => Harm::MoveCoordinator(group.to_owned(), broker),
            _ => Harm::Cut(broker),
        };
        Act { at: MS(rng.u64(200..6_000)), harm }
    };
    (0..times).map(act).collect()
}

pub(crate) fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(..from.len())]
}

fn harm(rng: &mut Rng, theme: Theme, ground: &Ground) -> Harm {
    const PRODUCING: &[ApiKey] =
        &[ApiKey::PRODUCE, ApiKey::PRODUCE, ApiKey::PRODUCE, ApiKey::INIT_PRODUCER_ID];
    const FETCHING: &[ApiKey] = &[
        ApiKey::FETCH,
        ApiKey::FETCH,
        ApiKey::FETCH,
        ApiKey::LIST_OFFSETS,
        ApiKey::OFFSET_FOR_LEADER_EPOCH,
        ApiKey::OFFSET_FETCH,
        ApiKey::METADATA,
    ];
    const GROUPS: &[ApiKey] = &[
        ApiKey::JOIN_GROUP,
        ApiKey::SYNC_GROUP,
        ApiKey::HEARTBEAT,
        ApiKey::LEAVE_GROUP,
        ApiKey::OFFSET_COMMIT,
        ApiKey::OFFSET_COMMIT,
        ApiKey::OFFSET_FETCH,
        ApiKey::FIND_COORDINATOR,
    ];
    const TRANSACTIONS: &[ApiKey] = &[
        ApiKey::INIT_PRODUCER_ID,
        ApiKey::ADD_PARTITIONS_TO_TXN,
        ApiKey::ADD_OFFSETS_TO_TXN,
        ApiKey::TXN_OFFSET_COMMIT,
        ApiKey::TXN_OFFSET_COMMIT,
        ApiKey::END_TXN,
        ApiKey::END_TXN,
        ApiKey::PRODUCE,
    ];
    let keys = match theme {
        Theme::Producing => PRODUCING,
        Theme::Fetching => FETCHING,
        Theme::Groups => GROUPS,
        Theme::Transactions => TRANSACTIONS,
        Theme::Mixed | Theme::Brokers => *pick(rng, &[PRODUCING, PRODUCING, FETCHING, GROUPS]),
    };
    match (theme, rng.u8(..20)) {
        (Theme::Brokers, 0..=11) => of_brokers(rng, ground),
        (Theme::Groups, 0..=9) => of_groups(rng, ground),
        (Theme::Transactions, 0..=4) => of_transactions(rng, ground),
        (Theme::Transactions, 5 | 6) => of_groups(rng, ground),
        (Theme::Producing | Theme::Fetching | Theme::Groups | Theme::Transactions, 10..=14) => {
            let key = *pick(rng, keys);
            let probability = *pick(rng, &[0.1, 0.3, 0.5]);
            Harm::Flaky { key: Some(key), probability, fault: fault(rng, key) }
        }
        (Theme::Mixed, 0..=5) => of_brokers(rng, ground),
        (Theme::Mixed, 6 | 7) => of_groups(rng, ground),
        (Theme::Mixed, 8) => {
            let may_hold = ground.transactional_ids.is_empty() && ground.groups.is_empty();
            Harm::Flaky { key: None, probability: *pick(rng, &[0.02, 0.1]), fault: any_fault(rng, may_hold) }
        }
        (Theme::Mixed, 9) => grow(rng, ground),
        _ => {
            let key = *pick(rng, keys);
            Harm::Requests { key, skip: rng.u64(..8), times: rng.u64(1..=4), fault: fault(rng, key) }
        }
    }
}

fn of_brokers(rng: &mut Rng, ground: &Ground) -> Harm {
    let broker = rng.i32(1..=ground.brokers.max(1));
    let away = MS(*pick(rng, &[50, 500, 3_000, 12_000]));
    match rng.u8(..8) {
        0..=2 => Harm::Kill(broker, away),
        // Over an orderly stop, a broker forgets all but a producer's last batch. Where nobody else has the batches, what was
        // written and not answered is written again then, and no client can tell.
        3 if ground.lone_leaders => Harm::Kill(broker, away),
        3 => Harm::Stop(broker, away),
        4 => Harm::Pause(broker, away),
        5 => Harm::Cut(broker),
        _ if ground.places.is_empty() => Harm::Cut(broker),
        _ => Harm::MoveLeader(pick(rng, &ground.places).clone(), broker),
    }
}

fn of_groups(rng: &mut Rng, ground: &Ground) -> Harm {
    if ground.groups.is_empty() {
        return of_brokers(rng, ground);
    }
    let group = pick(rng, &ground.groups).clone();
    match rng.u8(..6) {
        0 => Harm::MoveCoordinator(group, rng.i32(1..=ground.brokers.max(1))),
        1 | 2 => Harm::Expire(group, Some(rng.usize(..3))),
        3 => Harm::Expire(group, None),
        _ => Harm::Rebalance(group),
    }
}

fn of_transactions(rng: &mut Rng, ground: &Ground) -> Harm {
    if ground.transactional_ids.is_empty() {
        return of_brokers(rng, ground);
    }
    let id = pick(rng, &ground.transactional_ids).clone();
    match rng.u8(..4) {
        0 => Harm::Fence(id),
        _ => Harm::MoveTransactions(id, rng.i32(1..=ground.brokers.max(1))),
    }
}

fn grow(rng: &mut Rng, ground: &Ground) -> Harm {
    if ground.places.is_empty() {
        return of_brokers(rng, ground);
    }
    let place = pick(rng, &ground.places);
    let count = ground.places.iter().filter(|other| other.topic == place.topic).count();
    Harm::Grow(place.topic.to_string(), i32::try_from(count).unwrap_or(1) + rng.i32(1..=2))
}

/// What happens to a request of this API.
fn fault(rng: &mut Rng, key: ApiKey) -> Fault {
    let is_write = key == ApiKey::PRODUCE;
    match rng.u8(..6) {
        0 | 1 => Fault::error(*pick(rng, refusals(key))),
        2 if is_write => Fault::error_although_done(*pick(
            rng,
            &[ErrorCode::REQUEST_TIMED_OUT, ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND],
        )),
        2 | 3 => Fault::drop_answer(),
        4 if is_write => Fault::close(),
        _ => any_fault(rng, !NEVER_HELD.contains(&key)),
    }
}

/// Requests that no broker can tell from younger ones when they are served late, after the client has sent them again on
/// another connection and gone on: they end the next transaction, or overwrite later offsets by older ones. Nothing tells
/// one transaction from the next before those of Kafka 4 (KIP-890), nor one commit of a member from its next, and no client
/// can help that. Their answers are held up instead.
const NEVER_HELD: [ApiKey; 3] = [ApiKey::END_TXN, ApiKey::TXN_OFFSET_COMMIT, ApiKey::OFFSET_COMMIT];

/// Where requests may not be held up (`may_hold`), their answers are instead.
fn any_fault(rng: &mut Rng, may_hold: bool) -> Fault {
    let delay = if may_hold { Fault::delay } else { Fault::delay_answer };
    match rng.u8(..12) {
        0 => delay(MS(rng.u64(1..3_000))),
        1 => Fault::delay_answer(MS(rng.u64(1..3_000))),
        2 => Fault::drop_request(),
        3 | 4 => Fault::drop_answer(),
        5 => Fault::close(),
        6 | 7 => Fault::cut_answer_at(rng.usize(..60)),
        8 => Fault::shorten_frame(rng.usize(1..12)),
        9 => Fault::garbage(garbage(rng)),
        10 => Fault::throttle(MS(rng.u64(1..1_000))),
        _ => delay(MS(rng.u64(1..30))),
    }
}

/// Bytes that are no answer: no frame at all, or a frame of noise.
fn garbage(rng: &mut Rng) -> Vec<u8> {
    let noise: Vec<u8> = (0..rng.usize(8..40)).map(|_| rng.u8(..)).collect();
    if rng.bool() {
        return noise;
    }
    let length = u32::try_from(noise.len()).unwrap_or(0);
    [&length.to_be_bytes()[..], &noise].concat()
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
        ApiKey::FETCH | ApiKey::LIST_OFFSETS | ApiKey::OFFSET_FOR_LEADER_EPOCH => &[
            ErrorCode::NOT_LEADER_OR_FOLLOWER,
            ErrorCode::UNKNOWN_LEADER_EPOCH,
            ErrorCode::REPLICA_NOT_AVAILABLE,
        ],
        ApiKey::INIT_PRODUCER_ID => {
            &[ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, ErrorCode::COORDINATOR_NOT_AVAILABLE]
        }
        ApiKey::ADD_PARTITIONS_TO_TXN | ApiKey::ADD_OFFSETS_TO_TXN | ApiKey::END_TXN => &[
            ErrorCode::NOT_COORDINATOR,
            ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            ErrorCode::CONCURRENT_TRANSACTIONS,
        ],
        ApiKey::METADATA => &[ErrorCode::LEADER_NOT_AVAILABLE],
        _ => &[
            ErrorCode::NOT_COORDINATOR,
            ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ],
    }
}
