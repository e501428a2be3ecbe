//! What consumers commit.

use super::super::event::{ConsumerId, Place};
use super::super::index::{Circle, Index};
use super::super::violation::{Findings, Rule, Subject};
use super::progress::Progress;

type Commit<'a> = (usize, ConsumerId, &'a Place, i64);

/// A commit names nothing that was not handed out, and does not go back.
pub(super) fn asked<'a>(
    index: &Index<'a>,
    progress: &mut Progress<'a>,
    (at, consumer, place, offset): Commit<'a>,
    findings: &mut Findings<'_>,
) {
    let committed_only = index.committed_only(consumer);
    progress.commit_asked(at, consumer, place, offset);
    // The consumer may not know yet whose offset it is.
    if index.is_recreated(place) {
        return;
    }
    let by = consumer.to_string();
    not_ahead(index, progress, index.circle(consumer), committed_only, (at, &by, place, offset), findings);
    if let Some(tenure) = index.tenure_at(consumer, place, at)
        && let Some(before) = progress.last_commit.insert(tenure, offset)
        && before > offset
    {
        let what = format!("{consumer} commits offset {offset} of {place} after offset {before}");
        findings.add(Rule::CommitBackwards, at, &Subject::place(place), what);
    }
}

/// Only a partition's owner can commit. Known are the times at which it may have been asked for, and how many of those
/// commits are done by now.
pub(super) fn done<'a>(
    index: &Index<'a>,
    progress: &mut Progress<'a>,
    (at, consumer, place, offset): Commit<'a>,
    (asked, done): &(Vec<usize>, usize),
    findings: &mut Findings<'_>,
) {
    let circle = index.circle(consumer);
    progress.told(at, circle, place, offset, asked);
    let owner_by_then = |asked: usize| {
        let own = index.tenure_at(consumer, place, asked).map(|tenure| &index.tenures[tenure])?;
        // By topic id, the partition of a topic that is gone is another one, and can have another owner.
        if index.is_replaced(place, own.from) {
            return None;
        }
        index.tenures.iter().find(|other| {
            other.consumer != consumer
                && other.place == place
                && index.circle(other.consumer) == circle
                && other.covers(asked)
                && own
                    .generations
                    .last()
                    .zip(other.generations.first())
                    .is_some_and(|(own, other)| own < other)
        })
    };
    let stale: Vec<_> = asked.iter().filter_map(|asked| owner_by_then(*asked)).collect();
    if asked.len() - stale.len() < *done
        && let Some(later) = stale.last()
    {
        let what = format!(
            "{consumer} committed offset {offset} of {place}, which was {}'s by then",
            later.consumer
        );
        findings.add(Rule::StaleCommit, at, &Subject::place(place), what);
    }
}

/// What the coordinator holds was handed out, and is not less than what it acknowledged.
pub(super) fn stored<'a>(
    index: &Index<'a>,
    progress: &mut Progress<'a>,
    (at, group, place, offset): (usize, &'a str, &'a Place, i64),
    findings: &mut Findings<'_>,
) {
    let circle = Circle::Group(group);
    if index.is_recreated(place) {
        return;
    }
    let members = || index.readers.values().filter(|reader| reader.circle == circle);
    let committed_only = members().any(|reader| reader.committed_only);
    not_ahead(index, progress, circle, committed_only, (at, group, place, offset), findings);
    let told = progress
        .committed
        .get(&(circle, place))
        .and_then(|told| told.iter().map(|(_, offset)| *offset).max());
    if let Some(told) = told.filter(|told| *told > offset) {
        let what =
            format!("{group} was told that it committed offset {told} of {place} and stands at {offset}");
        findings.add(Rule::CommitLost, at, &Subject::place(place), what);
    }
}

fn not_ahead<'a>(
    index: &Index<'a>,
    progress: &mut Progress<'a>,
    circle: Circle<'a>,
    committed_only: bool,
    (at, by, place, offset): (usize, &str, &'a Place, i64),
    findings: &mut Findings<'_>,
) {
    let Some(log) = index.log(place) else { return };
    let seen = progress.seen(circle, place);
    if let Some(missing) = seen.missing_below(offset, log, committed_only) {
        let what = format!(
            "{by} commits offset {offset} of {place}, and nobody was handed {} at offset {}",
            missing.record, missing.offset
        );
        findings.add(Rule::CommitAhead, at, &Subject::place(place).and_record(missing.record), what);
        seen.excuse_below(offset, log);
    } else if offset > log.end_offset {
        let what = format!("{by} commits offset {offset} of {place}, which ends at {}", log.end_offset);
        findings.add(Rule::CommitAhead, at, &Subject::place(place), what);
    }
}
