//! That everything has an outcome, one, and in time.

use std::collections::BTreeMap;

use super::super::Limits;
use super::super::event::{ConsumerId, Event, Place, RecordId};
use super::super::index::Index;
use super::super::violation::{Findings, Rule, Subject};

pub(super) fn check(index: &Index<'_>, limits: &Limits, findings: &mut Findings<'_>) {
    records(index, limits, findings);
    commits(index, limits, findings);
}

fn records(index: &Index<'_>, limits: &Limits, findings: &mut Findings<'_>) {
    for (record, course) in &index.records {
        let subject = Subject::record(*record);
        if let [_, second, ..] = course.outcomes[..] {
            let what = format!("{record} has {} outcomes", course.outcomes.len());
            findings.add(Rule::ToldTwice, second, &subject, what);
        }
        let Some((sent, place)) = course.sent else { continue };
        given_up(index, limits, (*record, sent, place), &course.outcomes, findings);
        match (course.outcomes.first(), index.finish()) {
            (Some(&told), _) if index.time(told).saturating_sub(index.time(sent)) > limits.outcome => {
                let took = index.time(told).saturating_sub(index.time(sent));
                let what = format!("{record} to {place} had its outcome after {:.3}s", took.as_secs_f64());
                findings.add(Rule::Late, told, &subject, what);
            }
            (None, Some(finish)) => {
                findings.add(
                    Rule::Untold,
                    finish,
                    &subject,
                    format!("{record} to {place} never had an outcome"),
                );
            }
            _ => {}
        }
    }
}

/// Nothing that was accepted fails because of what is long over. (What is refused for good, is so at once.)
fn given_up(
    index: &Index<'_>,
    limits: &Limits,
    (record, sent, place): (RecordId, usize, &Place),
    outcomes: &[usize],
    findings: &mut Findings<'_>,
) {
    let since = index.time(sent).max(index.calm_from());
    for &told in outcomes {
        let waited = index.time(told).saturating_sub(since);
        if matches!(index.entries()[told].event, Event::Failed { .. }) && waited > limits.expulsion {
            let what = format!(
                "{record} to {place} failed after {:.3}s in which nothing was in its way",
                waited.as_secs_f64()
            );
            findings.add(Rule::GivenUp, told, &Subject::record(record), what);
        }
    }
}

/// The commits that were asked for and not answered, by who asked for what.
type Asked<'a> = BTreeMap<(ConsumerId, &'a Place, i64), Vec<usize>>;

fn commits(index: &Index<'_>, limits: &Limits, findings: &mut Findings<'_>) {
    let mut asked: Asked<'_> = BTreeMap::new();
    for (at, entry) in index.entries().iter().enumerate() {
        match &entry.event {
            Event::CommitAsked { consumer, place, offset } => {
                asked.entry((*consumer, place, *offset)).or_default().push(at);
            }
            Event::CommitAnswered { consumer, place, offset, .. } => {
                let open = asked
                    .get_mut(&(*consumer, place, *offset))
                    .and_then(|open| (!open.is_empty()).then(|| open.remove(0)));
                let subject = Subject::place(place);
                match open.map(|from| entry.at.saturating_sub(index.time(from))) {
                    None => {
                        let what = format!(
                            "{consumer} was answered a commit of {offset} of {place} that nobody asked for"
                        );
                        findings.add(Rule::ToldTwice, at, &subject, what);
                    }
                    Some(took) if took > limits.commit => {
                        let what = format!(
                            "{consumer} was answered its commit of {offset} of {place} after {:.3}s",
                            took.as_secs_f64()
                        );
                        findings.add(Rule::Late, at, &subject, what);
                    }
                    Some(_) => {}
                }
            }
            // Nobody waits any more.
            Event::Gone { consumer } => asked.retain(|(by, _, _), _| by != consumer),
            _ => {}
        }
    }
    let Some(finish) = index.finish() else { return };
    for ((consumer, place, offset), open) in asked {
        if !open.is_empty() {
            let what = format!("{consumer} was never answered its commit of {offset} of {place}");
            findings.add(Rule::Untold, finish, &Subject::place(place), what);
        }
    }
}
