//! What those do who read: members of the group, and a reader without one.

use std::time::Duration;

use fastrand::Rng;
use ottla_consumer::Strategy;

use crate::faults::pick;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Whether members fall asleep as well that keep their partitions through a rebalance, or their place for a while.
const CLINGING_SLEEPERS: bool = true;

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

pub(super) fn strategies(rng: &mut Rng) -> Vec<Strategy> {
    match rng.u8(..5) {
        0 => vec![Strategy::Range],
        1 => vec![Strategy::RoundRobin],
        2 => vec![Strategy::Sticky],
        3 => vec![Strategy::CooperativeSticky],
        _ => vec![Strategy::Range, Strategy::CooperativeSticky],
    }
}

pub(super) fn member(rng: &mut Rng, number: usize, strategies: &[Strategy]) -> MemberPlan {
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
pub(super) fn disquiet(rng: &mut Rng, number: usize, member: &mut MemberPlan, much: bool) {
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

pub(super) fn departure(rng: &mut Rng, joins: Duration, within: u64) -> (Duration, Departure) {
    let how = if rng.bool() { Departure::Close } else { Departure::Drop };
    (joins + MS(rng.u64(100..within)), how)
}

pub(super) fn lone(rng: &mut Rng) -> LonePlan {
    LonePlan { seed: rng.u64(..), batch: *pick(rng, &[1, 3, 500]), seeks: *pick(rng, &[0, 5, 20]) }
}
