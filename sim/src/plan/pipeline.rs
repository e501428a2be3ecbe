//! What those do who read, write, and commit both as one.

use std::time::Duration;

use fastrand::Rng;
use ottla_mock::Release;

use super::member::{Life, departure};
use crate::faults::pick;

const MS: fn(u64) -> Duration = Duration::from_millis;

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
    /// The probability with which it waits for seconds between its offsets and the transaction's end, before the calm.
    pub dawdles: f64,
    /// `transaction.timeout.ms`.
    pub timeout: Duration,
    /// Its lives, of which the last goes on until the end, and begins anew where it fails. They have one transactional id, so
    /// that each of them fences those before it.
    pub lives: Vec<Life>,
}

pub(super) fn pipelines(rng: &mut Rng, release: Release) -> Vec<PipelinePlan> {
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
