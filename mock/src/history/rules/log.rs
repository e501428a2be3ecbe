//! What the logs hold against what producers sent and were told.

use std::collections::BTreeMap;

use super::super::event::{Event, Place, RecordId};
use super::super::index::Index;
use super::super::log::{FinalLog, Logged};
use super::super::violation::{Findings, Rule, Subject};

pub(super) fn check(index: &Index<'_>, findings: &mut Findings<'_>) {
    present(index, findings);
    once_and_as_told(index, findings);
    for (place, log) in index.history.logs() {
        in_order(index, place, log, findings);
    }
}

/// Acknowledged records are where they were said to be.
fn present(index: &Index<'_>, findings: &mut Findings<'_>) {
    for (record, course) in &index.records {
        let Some((sent, place)) = course.sent else { continue };
        let Some(log) = index.log(place) else { continue };
        for &at in &course.outcomes {
            let Event::Acknowledged { offset, .. } = index.entries()[at].event else { continue };
            let is_gone = offset.is_some_and(|offset| offset < log.start_offset);
            let is_gone = is_gone || index.is_replaced(place, sent);
            if is_gone || index.may_be_lost(record.producer, place, sent) {
                continue;
            }
            let told = offset.map_or_else(|| place.to_string(), |offset| format!("{place} offset {offset}"));
            let found: Vec<i64> =
                found(index, *record).filter(|(at, _)| *at == place).map(|(_, offset)| offset).collect();
            let subject = Subject::record(*record);
            match found.first() {
                None => {
                    findings.add(
                        Rule::Lost,
                        at,
                        &subject,
                        format!("{record} was acknowledged at {told} and is not there"),
                    );
                }
                Some(other) if offset.is_some_and(|offset| !found.contains(&offset)) => {
                    let what = format!("{record} was acknowledged at {told} and is at offset {other}");
                    findings.add(Rule::Misplaced, at, &subject, what);
                }
                Some(_) => {}
            }
        }
    }
}

fn found<'a>(index: &Index<'a>, record: RecordId) -> impl Iterator<Item = (&'a Place, i64)> {
    let found = index.logged.get(&record).map_or(&[][..], Vec::as_slice);
    found.iter().map(|(place, logged)| (*place, logged.offset)).collect::<Vec<_>>().into_iter()
}

/// No record is in the logs twice, and none that should not be.
fn once_and_as_told(index: &Index<'_>, findings: &mut Findings<'_>) {
    let end = index.entries().len();
    for (record, places) in &index.logged {
        let at: Vec<String> =
            places.iter().map(|(place, logged)| format!("{place} offset {}", logged.offset)).collect();
        let at = at.join(", ");
        let subject = Subject::record(*record);
        let course = index.records.get(record);
        let last = course.and_then(|course| course.outcomes.last().copied()).unwrap_or(end);
        if places.len() > 1 && !index.is_careless(record.producer) && !index.is_rewritten(*record) {
            findings.add(Rule::Duplicated, last, &subject, format!("{record} is at {at}"));
        }
        if course.is_none_or(|course| course.sent.is_none()) {
            let what = format!("{record} is at {at} and was never accepted");
            findings.add(Rule::Unexpected, last, &subject, what);
            continue;
        }
        for &at_entry in course.map_or(&[][..], |course| &course.outcomes) {
            if let Event::Failed { possibly_written: false, .. } = index.entries()[at_entry].event {
                let what = format!("{record} is at {at} and was said not to be written");
                findings.add(Rule::Unexpected, at_entry, &subject, what);
            }
        }
    }
}

/// A producer's records are in a log in the order of sending.
fn in_order(index: &Index<'_>, place: &Place, log: &FinalLog, findings: &mut Findings<'_>) {
    let mut last: BTreeMap<u32, (RecordId, i64)> = BTreeMap::new();
    // A new log takes what was under way to the old one as it comes: it knows of nothing that should be before it.
    let is_stray = |record: RecordId| {
        let sent = index.records.get(&record).and_then(|course| course.sent);
        sent.is_some_and(|(sent, _)| index.is_replaced(place, sent))
    };
    let ordered = |logged: &&Logged| {
        let record = logged.record;
        !index.is_careless(record.producer) && !is_stray(record) && !index.is_rewritten(record)
    };
    for logged in log.records.iter().filter(ordered) {
        let record = logged.record;
        if let Some((before, offset)) = last.insert(record.producer, (record, logged.offset))
            && before.sequence > record.sequence
        {
            let at = index.records.get(&record).and_then(|course| course.outcomes.last().copied());
            let what = format!(
                "{place} has {before} at offset {offset}, before {record} at offset {}, which was sent earlier",
                logged.offset
            );
            let subject = Subject::record(before).and_record(record);
            findings.add(Rule::Reordered, at.unwrap_or(index.entries().len()), &subject, what);
        }
    }
}
