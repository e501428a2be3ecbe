//! What consumers hand out.

use super::super::Limits;
use super::super::event::{ConsumerId, Place, RecordId};
use super::super::index::{Circle, Index, Tenure};
use super::super::log::Logged;
use super::super::violation::{Findings, Rule, Subject};
use super::progress::Progress;

/// A record is handed out: by whom it may be, as it is in the log, after the one before it.
pub(super) fn handed_out<'a>(
    index: &Index<'a>,
    progress: &mut Progress<'a>,
    (at, consumer, place, offset, record): (usize, ConsumerId, &'a Place, i64, RecordId),
    findings: &mut Findings<'_>,
) {
    let subject = || Subject::place(place).and_record(record);
    let log = index.log(place);
    if index.is_recreated(place) {
        handed_out_anew(index, progress, (at, consumer, place, offset, record), findings);
        return;
    }
    if let Some(log) = log.filter(|log| offset >= log.start_offset)
        && log.at(offset).map(|logged| logged.record) != Some(record)
    {
        let held = log.at(offset).map_or("nothing".to_owned(), |logged| logged.record.to_string());
        let what =
            format!("{consumer} handed out {record} at {place} offset {offset}, where the log holds {held}");
        findings.add(Rule::Altered, at, &subject(), what);
    }
    let circle = index.circle(consumer);
    let committed_only = index.committed_only(consumer);
    let mut passed = None;
    match index.tenure_at(consumer, place, at) {
        None => {
            let what = format!(
                "{consumer} handed out {record} at {place} offset {offset} without having the partition"
            );
            findings.add(Rule::Unowned, at, &subject(), what);
        }
        Some(tenure) => {
            let before = progress.last_read.insert(tenure, offset);
            if let Some(before) = before.filter(|before| *before >= offset) {
                let what = format!("{consumer} handed out offset {offset} of {place} after offset {before}");
                findings.add(Rule::ReadTwice, at, &subject(), what);
            }
            let Tenure { from, start, .. } = index.tenures[tenure];
            if let Some(start) = start.filter(|start| before.is_none() && offset < *start) {
                let what =
                    format!("{consumer} handed out offset {offset} of {place} and was to go on at {start}");
                findings.add(Rule::ReadTwice, at, &subject(), what);
            }
            let next = before.map(|before| before + 1).or(start);
            passed = next
                .zip(log)
                .and_then(|(next, log)| log.visible_from(next, committed_only))
                .filter(|missing| missing.offset < offset);
            let commits = progress.committed.get(&(circle, place)).map_or(&[][..], Vec::as_slice);
            let told = commits.iter().filter(|(told, _)| *told < from).map(|(_, offset)| *offset).max();
            let begins = before.is_none() && start.is_none();
            if let Some(told) = told.filter(|told| begins && offset < *told) {
                let what = format!(
                    "{consumer} began {place} at offset {offset}, though its group had committed {told}"
                );
                findings.add(Rule::ReadTwice, at, &subject(), what);
            }
        }
    }
    let seen = progress.seen(circle, place);
    if let Some(missing) = passed {
        let what = format!(
            "{consumer} handed out offset {offset} of {place} without {} at offset {}",
            missing.record, missing.offset
        );
        findings.add(Rule::Skipped, at, &subject().and_record(missing.record), what);
    } else if let Some(log) = log
        && let Some(missing) = seen.missing_below(offset, log, committed_only)
    {
        let what = format!(
            "{consumer} handed out offset {offset} of {place}, and nobody was handed {} at offset {}",
            missing.record, missing.offset
        );
        findings.add(Rule::Skipped, at, &subject().and_record(missing.record), what);
        seen.excuse_below(offset, log);
    }
    seen.handed.entry(offset).or_insert(at);
}

/// A record of a partition whose log was replaced. Offsets that were committed before may leave out some of what is new, so
/// that only this is sure: whoever hands something out has the partition, and what is new comes as it is in the new log.
fn handed_out_anew<'a>(
    index: &Index<'a>,
    progress: &mut Progress<'a>,
    (at, consumer, place, offset, record): (usize, ConsumerId, &'a Place, i64, RecordId),
    findings: &mut Findings<'_>,
) {
    let subject = || Subject::place(place).and_record(record);
    let Some(tenure) = index.tenure_at(consumer, place, at) else {
        let what =
            format!("{consumer} handed out {record} at {place} offset {offset} without having the partition");
        findings.add(Rule::Unowned, at, &subject(), what);
        return;
    };
    let log = index.log(place).filter(|log| log.at(offset).is_some_and(|logged| logged.record == record));
    let sent = index.records.get(&record).and_then(|course| course.sent);
    if let Some(log) = log {
        // What was written to both logs may have the same offset in both. Who has read it in the old one goes back, once, and
        // not after anything that only the new one has.
        let may_be_old = |read: Option<&Logged>| {
            let course = read.and_then(|read| index.records.get(&read.record));
            course.and_then(|course| course.sent).is_some_and(|(sent, _)| index.is_replaced(place, sent))
        };
        if !index.is_replaced(place, at) {
            let before = progress.last_read.insert(tenure, offset);
            if let Some(before) = before.filter(|before| *before >= offset)
                && !(may_be_old(log.at(before)) && progress.reads_anew.insert(tenure))
            {
                let what = format!("{consumer} handed out offset {offset} of {place} after offset {before}");
                findings.add(Rule::ReadTwice, at, &subject(), what);
            }
            if !may_be_old(log.at(offset)) {
                progress.reads_anew.insert(tenure);
            }
        }
        progress.seen(index.circle(consumer), place).handed.entry(offset).or_insert(at);
    } else if !sent.is_some_and(|(sent, _)| index.is_replaced(place, sent)) {
        let what = format!("{consumer} handed out {record} at {place} offset {offset}, where it is not");
        findings.add(Rule::Altered, at, &subject(), what);
    }
}

/// Everything was handed out to everybody, and in time.
pub(super) fn finish<'a>(
    index: &Index<'a>,
    limits: &Limits,
    progress: &mut Progress<'a>,
    findings: &mut Findings<'_>,
) {
    let Some(finish) = index.finish() else { return };
    let mut circles: Vec<Circle<'a>> = index.readers.values().map(|reader| reader.circle).collect();
    circles.sort();
    circles.dedup();
    for circle in circles {
        let readers = || index.readers.values().filter(|reader| reader.circle == circle);
        let name = match circle {
            Circle::Group(group) => format!("group {group}"),
            Circle::Alone(consumer) => consumer.to_string(),
        };
        let committed_only = readers().any(|reader| reader.committed_only);
        let opened = readers().map(|reader| reader.opened).min().unwrap_or(0);
        for (place, log) in index.history.logs() {
            if !readers().any(|reader| reader.topics.contains(&&*place.topic)) {
                continue;
            }
            let sought = progress.gone_to(circle, place).unwrap_or(-1);
            let seen = progress.seen(circle, place);
            if index.is_recreated(place) {
                // Reading goes on, wherever it began; who went to an offset of the old log, and was handed nothing there, may have
                // passed over all of the new.
                let last = log.last_visible(committed_only).filter(|last| sought <= last.offset);
                if let Some(last) = last.filter(|last| !seen.handed.contains_key(&last.offset)) {
                    let what = format!(
                        "{} at {place} offset {}, the last of the new log, was never handed to {name}",
                        last.record, last.offset
                    );
                    let subject = Subject::place(place).and_record(last.record);
                    findings.add(Rule::Undelivered, finish, &subject, what);
                }
                continue;
            }
            while let Some(missing) = seen.missing_below(log.end_offset, log, committed_only) {
                let what = format!(
                    "{} at {place} offset {} was never handed to {name}",
                    missing.record, missing.offset
                );
                findings.add(
                    Rule::Undelivered,
                    finish,
                    &Subject::place(place).and_record(missing.record),
                    what,
                );
                seen.excuse_below(missing.offset + 1, log);
            }
            let late =
                log.records.iter().filter(|logged| logged.is_visible(committed_only)).find_map(|logged| {
                    let handed = *seen.handed.get(&logged.offset)?;
                    let course = index.records.get(&logged.record)?;
                    let told = index.time(*course.outcomes.last()?);
                    let ended = course.transaction.and_then(|id| index.transactions.get(&id)?.ended);
                    let ended = ended.map_or(told, |(at, _)| index.time(at));
                    let due =
                        told.max(ended).max(index.calm_from()).max(index.time(opened)) + limits.delivery;
                    (index.time(handed) > due).then_some((logged, handed))
                });
            if let Some((logged, handed)) = late {
                let what = format!(
                    "{} at {place} offset {} was handed to {name} only at {:.3}s",
                    logged.record,
                    logged.offset,
                    index.time(handed).as_secs_f64()
                );
                findings.add(Rule::Late, handed, &Subject::place(place).and_record(logged.record), what);
            }
        }
    }
}
