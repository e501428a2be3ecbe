//! Who has a partition.
//!
//! A member that a coordinator gave up doesn't know it at once, and goes on while somebody else has its partitions. That is
//! no violation as long as it can come from a disturbance; two members of one generation never share a partition.

use super::super::Limits;
use super::super::index::{Circle, Index};
use super::super::violation::{Findings, Rule, Subject};

pub(super) fn check(index: &Index<'_>, limits: &Limits, findings: &mut Findings<'_>) {
    for (number, newer) in index.tenures.iter().enumerate() {
        let circle = index.circle(newer.consumer);
        if matches!(circle, Circle::Alone(_)) {
            continue;
        }
        let together = index.tenures[..number].iter().filter(|older| {
            older.place == newer.place
                && older.consumer != newer.consumer
                && older.covers(newer.from)
                && index.circle(older.consumer) == circle
                // One has the other's place in the same generation, and the other is told when it asks for something.
                && !index.are_namesakes(older.consumer, newer.consumer)
        });
        for older in together {
            let shared = older.generations.intersection(&newer.generations).next();
            let what = match shared {
                Some(generation) => format!(
                    "{} and {} both had {} in generation {generation}",
                    older.consumer, newer.consumer, newer.place
                ),
                None if index.is_calm(newer.from, limits.expulsion) => format!(
                    "{} got {} while {} had it, and nothing disturbed the group",
                    newer.consumer, newer.place, older.consumer
                ),
                None => continue,
            };
            findings.add(Rule::TwoOwners, newer.from, &Subject::place(newer.place), what);
        }
    }
}
