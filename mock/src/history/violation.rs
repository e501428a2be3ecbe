//! A finding, and the part of the history that shows it.

use std::fmt;

use super::event::{ConsumerId, Entry, Event, Place, RecordId, TransactionId};

/// Entries shown before the one at which a violation was found, and after it.
const BEFORE: usize = 12;
const AFTER: usize = 4;

/// What a history may not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A record was acknowledged and is not in the log.
    Lost,
    /// A record was acknowledged at another offset than it has.
    Misplaced,
    /// A record is in the logs more than once.
    Duplicated,
    /// A producer's records are in a partition in another order than they were sent in.
    Reordered,
    /// A record is in a log though it was refused, said not to be written, or never sent.
    Unexpected,
    /// What was handed out is not what the log holds there.
    Altered,
    /// A consumer handed out what it had handed out before, or what was committed before it got the partition.
    ReadTwice,
    /// A consumer went past a record that nobody in its group has handed out.
    Skipped,
    /// A record was never handed out to a group that wants its topic.
    Undelivered,
    /// A consumer handed out a record of a partition that it did not have.
    Unowned,
    /// Two members of a group had a partition at one time.
    TwoOwners,
    /// A commit names what nobody in the group was handed.
    CommitAhead,
    /// A consumer committed an offset before the one that it had committed last.
    CommitBackwards,
    /// A commit counted although the partition belonged to somebody else by then.
    StaleCommit,
    /// A commit was acknowledged, and the coordinator does not hold it.
    CommitLost,
    /// A reader of committed records saw a record of an aborted transaction.
    AbortedRead,
    /// A reader of committed records saw a record before anybody asked for its transaction to be committed.
    EarlyRead,
    /// A transaction's records do not share one fate, or not the one that was told.
    Torn,
    /// A transaction was committed that nobody asked to commit, or only a producer that had been fenced by then.
    Usurped,
    /// A transaction is still open long after its beginning, and holds up all readers of committed records.
    LeftOpen,
    /// What was made from a record is committed more than once.
    ProcessedTwice,
    /// A group's offset is past a record from which nothing is committed, or the other way round.
    Unprocessed,
    /// A record's or commit's outcome was told more than once.
    ToldTwice,
    /// A record's or commit's outcome was never told.
    Untold,
    /// A record failed after it had waited for long in a calm cluster.
    GivenUp,
    /// Something took longer than it may.
    Late,
}

/// Something that is wrong in a history. It prints as the rule, what happened, and the entries around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What was violated.
    pub rule: Rule,
    /// By what, in one line.
    pub what: String,
    /// The entries that concern it.
    pub around: Vec<Entry>,
}

/// What a violation is about, by which entries are picked for it.
#[derive(Debug, Default)]
pub(super) struct Subject<'a> {
    pub(super) records: Vec<RecordId>,
    pub(super) place: Option<&'a Place>,
    pub(super) transaction: Option<TransactionId>,
}

/// The violations that were found so far, and where.
#[derive(Debug)]
pub(super) struct Findings<'a> {
    entries: &'a [Entry],
    found: Vec<(usize, Violation)>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(entries: &'a [Entry]) -> Self {
        Findings { entries, found: Vec::new() }
    }

    /// Notes a violation that shows at the entry `at`.
    pub(super) fn add(&mut self, rule: Rule, at: usize, subject: &Subject<'_>, what: String) {
        let place_of = |record: &RecordId| {
            self.entries.iter().find_map(|entry| match &entry.event {
                Event::Sent { record: sent, place, .. } if sent == record => Some(place),
                _ => None,
            })
        };
        let place = subject.place.or_else(|| subject.records.first().and_then(place_of));
        let owners: Vec<ConsumerId> = self
            .entries
            .iter()
            .filter(|entry| entry.event.place() == place && place.is_some())
            .filter_map(|entry| entry.event.consumer())
            .collect();
        let concerned = |(_, entry): &(usize, &'a Entry)| match &entry.event {
            Event::Disturbed { .. } | Event::Calmed | Event::Finished => true,
            event => {
                event.record().is_some_and(|record| subject.records.contains(&record))
                    || subject.transaction.is_some() && event.transaction() == subject.transaction
                    || subject.place.is_some() && event.place() == subject.place && event.consumer().is_some()
                    || subject.place.is_some()
                        && event.place().is_none()
                        && event.consumer().is_some_and(|consumer| owners.contains(&consumer))
            }
        };
        let entries = || self.entries.iter().enumerate();
        let mut around: Vec<&Entry> = entries()
            .rev()
            .filter(|(index, _)| *index <= at)
            .filter(concerned)
            .take(BEFORE)
            .map(|(_, e)| e)
            .collect();
        around.reverse();
        around
            .extend(entries().filter(|(index, _)| *index > at).filter(concerned).take(AFTER).map(|(_, e)| e));
        let around = around.into_iter().cloned().collect();
        self.found.push((at, Violation { rule, what, around }));
    }

    /// All of them in the order of the history.
    pub(super) fn finish(mut self) -> Vec<Violation> {
        self.found.sort_by_key(|(at, violation)| (*at, violation.rule));
        self.found.into_iter().map(|(_, violation)| violation).collect()
    }
}

impl<'a> Subject<'a> {
    pub(super) fn record(record: RecordId) -> Self {
        Subject { records: vec![record], ..Subject::default() }
    }

    pub(super) fn place(place: &'a Place) -> Self {
        Subject { place: Some(place), ..Subject::default() }
    }

    pub(super) fn transaction(transaction: TransactionId) -> Self {
        Subject { transaction: Some(transaction), ..Subject::default() }
    }

    pub(super) fn and_record(mut self, record: RecordId) -> Self {
        self.records.push(record);
        self
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::Lost => "lost",
            Rule::Misplaced => "misplaced",
            Rule::Duplicated => "duplicated",
            Rule::Reordered => "reordered",
            Rule::Unexpected => "unexpected",
            Rule::Altered => "altered",
            Rule::ReadTwice => "read twice",
            Rule::Skipped => "skipped",
            Rule::Undelivered => "undelivered",
            Rule::Unowned => "unowned",
            Rule::TwoOwners => "two owners",
            Rule::CommitAhead => "commit ahead of delivery",
            Rule::CommitBackwards => "commit backwards",
            Rule::StaleCommit => "stale commit",
            Rule::CommitLost => "commit lost",
            Rule::AbortedRead => "aborted read",
            Rule::EarlyRead => "early read",
            Rule::Torn => "torn transaction",
            Rule::Usurped => "commit usurped",
            Rule::LeftOpen => "left open",
            Rule::ProcessedTwice => "processed twice",
            Rule::Unprocessed => "unprocessed",
            Rule::ToldTwice => "told twice",
            Rule::Untold => "untold",
            Rule::GivenUp => "given up",
            Rule::Late => "late",
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)?;
        for entry in &self.around {
            write!(f, "\n  {entry}")?;
        }
        Ok(())
    }
}
