//! That transactions happen wholly or not at all, and that readers of committed records see no others.

use std::collections::BTreeMap;

use super::super::event::{Event, TransactionId};
use super::super::index::Index;
use super::super::log::{Fate, Logged};
use super::super::violation::{Findings, Rule, Subject};

pub(super) fn check(index: &Index<'_>, findings: &mut Findings<'_>) {
    reads(index, findings);
    fates(index, findings);
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

fn fates(index: &Index<'_>, findings: &mut Findings<'_>) {
    let mut by_transaction: BTreeMap<TransactionId, Vec<&Logged>> = BTreeMap::new();
    for (record, places) in &index.logged {
        if let Some(id) = index.records.get(record).and_then(|course| course.transaction) {
            by_transaction.entry(id).or_default().extend(places.iter().map(|(_, logged)| *logged));
        }
    }
    for (id, records) in by_transaction {
        let Some(transaction) = index.transactions.get(&id) else { continue };
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

fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::Plain => "written outside of it",
        Fate::Open => "left open",
        Fate::Committed => "committed",
        Fate::Aborted => "aborted",
    }
}
