//! The rules. Those of one kind stand in one file.

use super::index::Index;
use super::violation::{Findings, Violation};
use super::{Event, History, Limits};
use progress::Progress;

mod commits;
mod log;
mod outcomes;
mod owners;
mod processing;
mod progress;
mod reading;
mod transactions;

pub(super) fn check(history: &History, limits: &Limits) -> Vec<Violation> {
    let index = Index::new(history);
    let mut findings = Findings::new(&history.entries);
    log::check(&index, &mut findings);
    outcomes::check(&index, limits, &mut findings);
    owners::check(&index, limits, &mut findings);
    transactions::check(&index, limits, &mut findings);
    processing::check(&index, &mut findings);
    let mut progress = Progress::default();
    for (at, entry) in history.entries.iter().enumerate() {
        match &entry.event {
            Event::HandedOut { consumer, place, offset, record } => {
                progress.arrived(index.circle(*consumer), *consumer, place);
                reading::handed_out(
                    &index,
                    &mut progress,
                    (at, *consumer, place, *offset, *record),
                    &mut findings,
                );
            }
            Event::Sought { consumer, place, offset } => {
                progress.sought(at, (index.circle(*consumer), *consumer), place, *offset);
            }
            Event::CommitAsked { consumer, place, offset } => {
                commits::asked(&index, &mut progress, (at, *consumer, place, *offset), &mut findings);
            }
            Event::CommitAnswered { consumer, place, offset, done } => {
                let answered = progress.commit_answered(*consumer, place, *offset, *done);
                if *done {
                    let commit = (at, *consumer, place, *offset);
                    commits::done(&index, &mut progress, commit, &answered, &mut findings);
                }
            }
            Event::Stored { group, place, offset } => {
                commits::stored(&index, &mut progress, (at, group, place, *offset), &mut findings);
            }
            _ => {}
        }
    }
    reading::finish(&index, limits, &mut progress, &mut findings);
    findings.finish()
}
