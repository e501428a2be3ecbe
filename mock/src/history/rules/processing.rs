//! That what is made from a group's records counts once for each, and exactly where the group's offset says so.

use std::collections::{BTreeMap, BTreeSet};

use super::super::event::{Event, Place, RecordId};
use super::super::index::{Circle, Index};
use super::super::log::Fate;
use super::super::violation::{Findings, Rule, Subject};

/// What was made, by group and by what it was made from.
type Made<'a> = BTreeMap<(&'a str, RecordId), Vec<RecordId>>;

pub(super) fn check(index: &Index<'_>, findings: &mut Findings<'_>) {
    let Some(finish) = index.finish() else { return };
    let mut made = Made::new();
    let mut stored: BTreeMap<(&str, &Place), i64> = BTreeMap::new();
    for entry in index.entries() {
        match &entry.event {
            Event::Derived { record, from, group } if counts(index, *record) => {
                made.entry((group, *from)).or_default().push(*record);
            }
            Event::Derived { from, group, .. } => {
                made.entry((group, *from)).or_default();
            }
            Event::Stored { group, place, offset } => {
                stored.insert((group, place), *offset);
            }
            _ => {}
        }
    }
    for ((group, from), records) in &made {
        // What is there twice itself, may have two.
        let is_double = index.is_careless(from.producer) || index.is_rewritten(*from);
        if let [one, other, ..] = records[..]
            && !is_double
        {
            let what = format!("{one} and {other}, both made from {from} for {group}, count");
            findings.add(Rule::ProcessedTwice, finish, &Subject::record(one).and_record(other), what);
        }
    }
    let groups: BTreeSet<&str> = made.keys().map(|(group, _)| *group).collect();
    for group in groups {
        let readers = || index.readers.values().filter(|reader| reader.circle == Circle::Group(group));
        let committed_only = readers().any(|reader| reader.committed_only);
        let tells = stored.keys().any(|(of, _)| *of == group);
        for (place, log) in index.history.logs() {
            if !readers().any(|reader| reader.topics.contains(&&*place.topic)) {
                continue;
            }
            let offset = stored.get(&(group, place)).copied().unwrap_or(0);
            for logged in log.records.iter().filter(|logged| logged.is_visible(committed_only)) {
                let is_made = made.get(&(group, logged.record)).is_some_and(|made| !made.is_empty());
                let is_stored = logged.offset < offset;
                let (record, at) = (logged.record, logged.offset);
                let what = match (is_made, is_stored) {
                    (true, true) => continue,
                    (true, false) if !tells => continue,
                    (true, false) => format!(
                        "{group} stands at {offset} of {place}, and what was made from {record} at offset {at} counts"
                    ),
                    (false, true) => format!(
                        "{group} stands at {offset} of {place}, and nothing made from {record} at offset {at} counts"
                    ),
                    (false, false) => {
                        format!("nothing that {group} made from {record} at {place} offset {at} counts")
                    }
                };
                let subject = Subject::record(record);
                findings.add(Rule::Unprocessed, finish, &subject, what);
            }
        }
    }
}

/// Whether a record is in a log for good.
fn counts(index: &Index<'_>, record: RecordId) -> bool {
    let places = index.logged.get(&record).map_or(&[][..], Vec::as_slice);
    places.iter().any(|(_, logged)| matches!(logged.fate, Fate::Plain | Fate::Committed))
}
