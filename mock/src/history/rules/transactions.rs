//! That transactions happen wholly or not at all, and that readers of committed records see no others.

use std::collections::BTreeMap;

use super::super::Limits;
use super::super::event::{Event, TransactionId};
use super::super::index::{Index, Transaction};
use super::super::log::{Fate, Logged};
use super::super::violation::{Findings, Rule, Subject};

pub(super) fn check(index: &Index<'_>, limits: &Limits, findings: &mut Findings<'_>) {
    reads(index, findings);
    fates(index, limits, findings);
}

fn reads(index: &Index<'_>, findings: &mut Findings<'_>) {
    for (at, entry) in index.entries().iter().enumerate() {
        let Event::HandedOut { consumer, place, offset, record } = &entry.event else { continue };
        if !index.committed_only(*consumer) {
            continue;
        }
        let id = index.records.get(record).and_then(|course| course.transaction);
        let transaction = id.and_then(|id| index.transactions.get(&id));
        let fate = index.log(place).and_then(|log| log.at(*offset)).map(|logged| logged.fate);
        let subject = || Subject { transaction: id, ..Subject::record(*record) };
        let was_aborted = transaction.is_some_and(|it| matches!(it.ended, Some((_, Some(false)))));
        if was_aborted || matches!(fate, Some(Fate::Aborted)) {
            let what =
                format!("{consumer} handed out {record} at {place} offset {offset}, which was aborted");
            findings.add(Rule::AbortedRead, at, &subject(), what);
        } else if transaction.is_some_and(|it| it.ending.is_none_or(|(asked, commit)| asked > at || !commit))
        {
            let what = format!("{consumer} handed out {record} at {place} offset {offset} before its commit");
            findings.add(Rule::EarlyRead, at, &subject(), what);
        }
    }
}

fn fates(index: &Index<'_>, limits: &Limits, findings: &mut Findings<'_>) {
    let mut by_transaction: BTreeMap<TransactionId, Vec<&Logged>> = BTreeMap::new();
    for (record, places) in &index.logged {
        if let Some(id) = index.records.get(record).and_then(|course| course.transaction) {
            by_transaction.entry(id).or_default().extend(places.iter().map(|(_, logged)| *logged));
        }
    }
    for (id, records) in by_transaction {
        let Some(transaction) = index.transactions.get(&id) else { continue };
        asked_for(index, id, transaction, &records, findings);
        not_left_open(index, limits, (id, transaction), &records, findings);
        let told = match transaction.ended {
            Some((_, Some(true))) => Some(Fate::Committed),
            Some((_, Some(false))) => Some(Fate::Aborted),
            _ => None,
        };
        let expected = told.unwrap_or(records[0].fate);
        let Some(other) = records.iter().find(|logged| logged.fate != expected) else { continue };
        let at = transaction.ended.map_or(transaction.begun, |(at, _)| at);
        let what = match told {
            Some(_) => format!("{id} was {}, and {} was {}", word(expected), other.record, word(other.fate)),
            None => {
                format!(
                    "of {id}, {} was {} and {} was {}",
                    records[0].record,
                    word(expected),
                    other.record,
                    word(other.fate)
                )
            }
        };
        let subject = Subject { records: vec![other.record], ..Subject::transaction(id) };
        findings.add(Rule::Torn, at, &subject, what);
    }
}

/// What is committed, its producer asked for, while it was the one.
fn asked_for(
    index: &Index<'_>,
    id: TransactionId,
    transaction: &Transaction,
    records: &[&Logged],
    findings: &mut Findings<'_>,
) {
    if !records.iter().any(|logged| logged.fate == Fate::Committed) {
        return;
    }
    let (at, what) = match (transaction.ending, index.fenced.get(&id.producer)) {
        (Some((asked, true)), Some(fenced)) if *fenced < asked => {
            (asked, format!("{id} was committed after its producer had been fenced"))
        }
        (Some((_, true)), _) => return,
        _ => (transaction.begun, format!("{id} was committed, and nobody asked for that")),
    };
    findings.add(Rule::Usurped, at, &Subject::transaction(id), what);
}

/// Transactions come to their end.
fn not_left_open(
    index: &Index<'_>,
    limits: &Limits,
    (id, transaction): (TransactionId, &Transaction),
    records: &[&Logged],
    findings: &mut Findings<'_>,
) {
    let Some(finish) = index.finish() else { return };
    let since = index.time(transaction.begun).max(index.calm_from());
    let age = index.time(finish).saturating_sub(since);
    let Some(open) = records.iter().find(|logged| logged.fate == Fate::Open) else { return };
    if age > limits.outcome {
        let what = format!("{id} is still open after {:.3}s, with {}", age.as_secs_f64(), open.record);
        findings.add(Rule::LeftOpen, finish, &Subject::transaction(id), what);
    }
}

fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::Plain => "written outside of it",
        Fate::Open => "left open",
        Fate::Committed => "committed",
        Fate::Aborted => "aborted",
    }
}
