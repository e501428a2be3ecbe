//! Good histories stay clean, and every planted bug is found by its rule.

use super::*;
use toy::{Bug, play};

mod toy;

const SEEDS: u64 = 60;

fn rules(history: &History) -> Vec<Rule> {
    let mut rules: Vec<Rule> =
        history.check(&Limits::default()).iter().map(|violation| violation.rule).collect();
    rules.sort();
    rules.dedup();
    rules
}

#[test]
fn good_histories_are_clean() {
    for seed in 0..SEEDS * 4 {
        let history = play(seed, None);
        let violations = history.check(&Limits::default());
        assert!(violations.is_empty(), "seed {seed}: {}\n{history}", violations[0]);
    }
}

#[test]
fn good_histories_have_everything_in_them_that_the_rules_look_at() {
    let histories: Vec<History> = (0..SEEDS).map(|seed| play(seed, None)).collect();
    let has = |wanted: fn(&Event) -> bool| {
        let events = || histories.iter().flat_map(|history| history.entries()).map(|entry| &entry.event);
        assert!(events().filter(|event| wanted(event)).count() > 10);
    };
    has(|event| matches!(event, Event::Acknowledged { .. }));
    has(|event| matches!(event, Event::Refused { .. }));
    has(|event| matches!(event, Event::Failed { possibly_written: true, .. }));
    has(|event| matches!(event, Event::Failed { possibly_written: false, .. }));
    has(|event| matches!(event, Event::Revoked { .. }));
    has(|event| matches!(event, Event::Lost { .. }));
    has(|event| matches!(event, Event::CommitAnswered { done: false, .. }));
    has(|event| matches!(event, Event::Ended { committed: Some(true), .. }));
    has(|event| matches!(event, Event::Ended { committed: Some(false), .. }));
    let aborted = |history: &&History| {
        history.logs().values().any(|log| log.records.iter().any(|logged| logged.fate == Fate::Aborted))
    };
    assert!(histories.iter().filter(aborted).count() > 10);
}

#[test]
fn every_planted_bug_is_found_by_its_rule() {
    let mut missed = Vec::new();
    for (bug, expected) in Bug::ALL {
        let found = (0..SEEDS).filter(|seed| rules(&play(*seed, Some(*bug))).contains(expected)).count();
        // Most of them need chance to show, but not much of it.
        if found < 6 {
            missed.push(format!("{bug:?} was found as {expected} by {found} of {SEEDS} seeds"));
        }
    }
    assert!(Bug::ALL.len() >= 20);
    assert_eq!(missed, Vec::<String>::new());
}

#[test]
fn a_history_is_judged_the_same_every_time() {
    for (bug, _) in Bug::ALL {
        let history = play(3, Some(*bug));
        assert_eq!(play(3, Some(*bug)), history);
        assert_eq!(history.check(&Limits::default()), history.check(&Limits::default()));
    }
}

#[test]
fn a_violation_shows_its_rule_and_the_entries_that_concern_it() {
    let mut history = History::new();
    let (lost, other) = (RecordId { producer: 1, sequence: 0 }, RecordId { producer: 1, sequence: 1 });
    let place = Place::new("t", 0);
    for record in [lost, other] {
        history.note(Duration::ZERO, Event::Sent { record, place: place.clone(), transaction: None });
    }
    history.note(Duration::from_millis(20), Event::Disturbed { what: "broker 1 crashes".to_owned() });
    history.note(Duration::from_millis(1500), Event::Acknowledged { record: lost, offset: Some(0) });
    history.note(Duration::from_millis(1500), Event::Acknowledged { record: other, offset: Some(0) });
    history.keep(place, FinalLog::new([Logged::plain(0, other)]));
    let violations = history.check(&Limits::default());
    assert_eq!(violations.len(), 1);
    assert_eq!(
        violations[0].to_string(),
        "lost: 1#0 was acknowledged at t-0 offset 0 and is not there\n      \
             0.000s  1#0 sent to t-0\n      \
             0.020s  -- broker 1 crashes\n      \
             1.500s  1#0 acknowledged at 0"
    );
}

#[test]
fn ids_are_found_in_the_values_that_hold_them() {
    let id = RecordId { producer: 4, sequence: 17 };
    assert_eq!(id.value(0), b"4#17 ");
    assert_eq!(id.value(8), b"4#17 ...");
    assert_eq!(RecordId::of_value(&id.value(100)), Some(id));
    assert_eq!(RecordId::of_value(b"4#17"), Some(id));
    for wrong in [&b""[..], b"17", b"#", b"4#", b"x#1 ", b"\xff#1"] {
        assert_eq!(RecordId::of_value(wrong), None, "{wrong:?}");
    }
}

fn two_owners(disturbed: bool, generations: [i32; 2]) -> Vec<Rule> {
    let mut history = History::new();
    let place = Place::new("t", 0);
    let mut note = |event| history.note(Duration::from_secs(1), event);
    for number in 0..2 {
        let topics = vec!["t".into()];
        note(Event::Opened {
            consumer: ConsumerId(number),
            group: Some("g".into()),
            topics,
            committed_only: false,
        });
    }
    if disturbed {
        note(Event::Disturbed { what: "a session expires".to_owned() });
    }
    for (number, generation) in (0..2).zip(generations) {
        note(Event::Assigned { consumer: ConsumerId(number), place: place.clone() });
        note(Event::Generation { consumer: ConsumerId(number), generation });
    }
    rules(&history)
}

/// Records of producer 1 at the offsets that are their numbers, with these fates, and what was noted.
fn told(fates: &[Fate], events: impl IntoIterator<Item = Event>) -> Vec<Rule> {
    let mut history = History::new();
    let logged = fates.iter().zip(0_u32..).map(|(fate, sequence)| Logged {
        offset: i64::from(sequence),
        record: id(u64::from(sequence)),
        fate: *fate,
    });
    let log = FinalLog::new(logged);
    for logged in &log.records {
        let transaction = (logged.fate != Fate::Plain).then_some(TRANSACTION);
        let (record, place) = (logged.record, Place::new("t", 0));
        history.note(Duration::ZERO, Event::Sent { record, place, transaction });
        history.note(Duration::ZERO, Event::Acknowledged { record, offset: Some(logged.offset) });
    }
    for event in events {
        history.note(Duration::from_secs(1), event);
    }
    history.keep(Place::new("t", 0), log);
    rules(&history)
}

fn id(sequence: u64) -> RecordId {
    RecordId { producer: 1, sequence }
}

const TRANSACTION: TransactionId = TransactionId { producer: 1, number: 0 };
const READER: ConsumerId = ConsumerId(0);

/// A reader of the partition hands out these offsets, after each of which it may go on elsewhere.
fn read(steps: &[(i64, Option<i64>)]) -> Vec<Rule> {
    let place = || Place::new("t", 0);
    let topics = vec!["t".into()];
    let mut events = vec![
        Event::Opened { consumer: READER, group: None, topics, committed_only: false },
        Event::Assigned { consumer: READER, place: place() },
    ];
    for (offset, sought) in steps {
        let record = id(offset.unsigned_abs());
        events.push(Event::HandedOut { consumer: READER, place: place(), offset: *offset, record });
        if let Some(offset) = *sought {
            events.push(Event::Sought { consumer: READER, place: place(), offset });
        }
    }
    told(&[Fate::Plain; 4], events)
}

#[test]
fn who_goes_on_elsewhere_reads_from_there_and_leaves_nothing_out() {
    let all = [(0, None), (1, None), (2, None)];
    assert_eq!(read(&[&all[..], &[(3, Some(1)), (1, None), (2, None)]].concat()), []);
    assert_eq!(read(&[&all[..], &[(3, Some(1)), (2, None)]].concat()), [Rule::Skipped]);
    assert_eq!(read(&[&all[..], &[(3, Some(2)), (1, None)]].concat()), [Rule::ReadTwice]);
    assert_eq!(read(&[&all[..], &[(3, Some(0)), (0, None), (2, None)]].concat()), [Rule::Skipped]);
}

#[test]
fn only_a_producer_that_is_not_fenced_commits() {
    let end = |commit| Event::Ending { transaction: TRANSACTION, commit };
    let ended = |committed| Event::Ended { transaction: TRANSACTION, committed };
    let begun = Event::Begun { transaction: TRANSACTION };
    let fenced = Event::Fenced { producer: 1 };
    let of = |fate, events: &[Event]| told(&[fate], [std::slice::from_ref(&begun), events].concat());
    assert_eq!(of(Fate::Committed, &[end(true), fenced.clone(), ended(None)]), []);
    assert_eq!(of(Fate::Aborted, &[fenced.clone(), end(true), ended(None)]), []);
    assert_eq!(of(Fate::Committed, &[fenced, end(true), ended(None)]), [Rule::Usurped]);
    assert_eq!(of(Fate::Committed, &[]), [Rule::Usurped]);
    assert_eq!(of(Fate::Committed, &[end(false), ended(None)]), [Rule::Usurped]);
}

#[test]
fn a_transaction_may_be_open_for_a_while_and_not_for_ever() {
    let open = |seconds| {
        let mut history = History::new();
        let place = Place::new("t", 0);
        let record = id(0);
        history.note(Duration::ZERO, Event::Begun { transaction: TRANSACTION });
        let sent = Event::Sent { record, place: place.clone(), transaction: Some(TRANSACTION) };
        history.note(Duration::ZERO, sent);
        history.note(Duration::ZERO, Event::Acknowledged { record, offset: Some(0) });
        history.note(Duration::from_secs(seconds), Event::Finished);
        history.keep(place, FinalLog::new([Logged { offset: 0, record, fate: Fate::Open }]));
        rules(&history)
    };
    assert_eq!(open(20), []);
    assert_eq!(open(200), [Rule::LeftOpen]);
}

#[test]
fn what_is_made_from_a_record_counts_once_and_with_the_offset() {
    let (input, output) = (Place::new("in", 0), Place::new("out", 0));
    let judged = |fates: &[Fate], stored: Option<i64>| {
        let mut history = History::new();
        let mut note = |event| history.note(Duration::from_secs(1), event);
        let from = RecordId { producer: 7, sequence: 0 };
        note(Event::Sent { record: from, place: input.clone(), transaction: None });
        note(Event::Acknowledged { record: from, offset: Some(0) });
        let (group, topics): (std::sync::Arc<str>, _) = ("g".into(), vec!["in".into()]);
        note(Event::Opened { consumer: READER, group: Some(group.clone()), topics, committed_only: true });
        note(Event::Assigned { consumer: READER, place: input.clone() });
        note(Event::HandedOut { consumer: READER, place: input.clone(), offset: 0, record: from });
        let mut made = Vec::new();
        for (fate, sequence) in fates.iter().zip(0_u32..) {
            let transaction = TransactionId { producer: 1, number: sequence };
            let record = id(u64::from(sequence));
            note(Event::Begun { transaction });
            note(Event::Derived { record, from, group: group.clone() });
            note(Event::Sent { record, place: output.clone(), transaction: Some(transaction) });
            note(Event::Acknowledged { record, offset: Some(i64::from(sequence)) });
            note(Event::Ending { transaction, commit: *fate == Fate::Committed });
            made.push(Logged { offset: i64::from(sequence), record, fate: *fate });
        }
        if let Some(offset) = stored {
            note(Event::Stored { group, place: input.clone(), offset });
        }
        note(Event::Finished);
        history.keep(input.clone(), FinalLog::new([Logged::plain(0, from)]));
        history.keep(output.clone(), FinalLog::new(made));
        rules(&history)
    };
    assert_eq!(judged(&[Fate::Aborted, Fate::Committed], Some(1)), []);
    assert_eq!(judged(&[Fate::Committed], None), []);
    assert_eq!(judged(&[Fate::Committed, Fate::Committed], Some(1)), [Rule::ProcessedTwice]);
    assert_eq!(judged(&[Fate::Aborted], Some(1)), [Rule::Unprocessed]);
    assert_eq!(judged(&[Fate::Aborted], None), [Rule::Unprocessed]);
    assert_eq!(judged(&[Fate::Committed], Some(0)), [Rule::Unprocessed]);
}

#[test]
fn nothing_fails_that_had_time_enough_in_a_calm_cluster() {
    let failed = |calm: Option<u64>, told: u64| {
        let mut history = History::new();
        let (record, place) = (id(0), Place::new("t", 0));
        history.note(Duration::ZERO, Event::Sent { record, place, transaction: None });
        if let Some(calm) = calm {
            history.note(Duration::from_secs(1), Event::Disturbed { what: "all brokers crash".to_owned() });
            history.note(Duration::from_secs(calm), Event::Calmed);
        }
        history.note(Duration::from_secs(told), Event::Failed { record, possibly_written: false });
        let limits = Limits { expulsion: Duration::from_secs(60), ..Limits::default() };
        history.check(&limits).iter().map(|violation| violation.rule).collect::<Vec<_>>()
    };
    assert_eq!(failed(None, 4), []);
    assert_eq!(failed(Some(80), 120), []);
    assert_eq!(failed(Some(20), 120), [Rule::GivenUp]);
    assert_eq!(failed(None, 120), [Rule::GivenUp]);
}

#[test]
fn the_careless_lose_records_with_a_leader_and_only_then() {
    let (place, record) = (Place::new("t", 0), id(9));
    let lost = |events: &[Event]| {
        let sent = Event::Sent { record, place: place.clone(), transaction: None };
        let acknowledged = Event::Acknowledged { record, offset: Some(0) };
        told(&[], [&[sent, acknowledged], events].concat())
    };
    let careless = Event::Careless { producer: 1 };
    let endangered = Event::Endangered { place: place.clone() };
    assert_eq!(lost(&[careless.clone(), endangered.clone()]), []);
    assert_eq!(lost(&[careless]), [Rule::Lost]);
    assert_eq!(lost(&[endangered]), [Rule::Lost]);
}

#[test]
fn who_was_given_up_may_not_know_it_yet_but_nobody_shares_a_generation() {
    assert_eq!(two_owners(true, [1, 2]), []);
    assert_eq!(two_owners(true, [2, 2]), [Rule::TwoOwners]);
    assert_eq!(two_owners(false, [1, 2]), [Rule::TwoOwners]);
}

#[test]
fn of_several_commits_of_an_offset_any_may_be_the_one_that_an_answer_is_for() {
    // The first was asked for by the partition's owner, the second when it was another's; which of them was refused, the
    // answers don't tell.
    let judged = |answers: &[bool]| {
        let mut history = History::new();
        let mut note = |event| history.note(Duration::from_secs(1), event);
        let (place, record) = (Place::new("t", 0), id(0));
        note(Event::Sent { record, place: place.clone(), transaction: None });
        note(Event::Acknowledged { record, offset: Some(0) });
        let (first, second) = (ConsumerId(1), ConsumerId(2));
        for consumer in [first, second] {
            let (group, topics): (std::sync::Arc<str>, _) = ("g".into(), vec!["t".into()]);
            note(Event::Opened { consumer, group: Some(group), topics, committed_only: false });
        }
        note(Event::Assigned { consumer: first, place: place.clone() });
        note(Event::Generation { consumer: first, generation: 1 });
        note(Event::HandedOut { consumer: first, place: place.clone(), offset: 0, record });
        note(Event::CommitAsked { consumer: first, place: place.clone(), offset: 1 });
        note(Event::Assigned { consumer: second, place: place.clone() });
        note(Event::Generation { consumer: second, generation: 2 });
        note(Event::CommitAsked { consumer: first, place: place.clone(), offset: 1 });
        for done in answers {
            note(Event::CommitAnswered { consumer: first, place: place.clone(), offset: 1, done: *done });
        }
        history.keep(place, FinalLog::new([Logged { offset: 0, record, fate: Fate::Committed }]));
        rules(&history).contains(&Rule::StaleCommit)
    };
    assert!(!judged(&[false, true]));
    assert!(!judged(&[true, false]));
    assert!(!judged(&[true]));
    assert!(judged(&[true, true]), "one of them was another's");
}

/// A group of two with one partition of two records, which the first member had and committed; and what happens then.
fn after_a_commit(events: &[Event]) -> Vec<Rule> {
    let mut history = History::new();
    let mut note = |event| history.note(Duration::from_secs(1), event);
    let place = Place::new("t", 0);
    for (record, offset) in [(id(0), 0), (id(1), 1)] {
        note(Event::Sent { record, place: place.clone(), transaction: None });
        note(Event::Acknowledged { record, offset: Some(offset) });
    }
    for consumer in [ConsumerId(1), ConsumerId(2)] {
        let (group, topics): (std::sync::Arc<str>, _) = ("g".into(), vec!["t".into()]);
        note(Event::Opened { consumer, group: Some(group), topics, committed_only: false });
    }
    let consumer = ConsumerId(1);
    note(Event::Assigned { consumer, place: place.clone() });
    note(Event::Generation { consumer, generation: 1 });
    for (record, offset) in [(id(0), 0), (id(1), 1)] {
        note(Event::HandedOut { consumer, place: place.clone(), offset, record });
    }
    note(Event::CommitAsked { consumer, place: place.clone(), offset: 2 });
    note(Event::CommitAnswered { consumer, place: place.clone(), offset: 2, done: true });
    events.iter().cloned().for_each(note);
    history.keep(place, FinalLog::new([Logged::plain(0, id(0)), Logged::plain(1, id(1))]));
    rules(&history)
}

#[test]
fn who_overslept_hands_nothing_out_before_it_has_the_partition_again() {
    let (consumer, place) = (ConsumerId(1), Place::new("t", 0));
    let again = Event::HandedOut { consumer, place: place.clone(), offset: 1, record: id(1) };
    let got = Event::Assigned { consumer, place: place.clone() };
    let sought = Event::Sought { consumer, place, offset: 1 };
    let overslept = Event::Overslept { consumer };
    assert_eq!(after_a_commit(&[sought.clone(), again.clone()]), []);
    assert_eq!(after_a_commit(&[overslept.clone(), again.clone()]), [Rule::Unowned]);
    assert_eq!(after_a_commit(&[sought, overslept, got, again]), []);
}

#[test]
fn members_of_one_name_may_share_a_generation() {
    let (before, consumer, place) = (ConsumerId(1), ConsumerId(2), Place::new("t", 0));
    let got = [Event::Assigned { consumer, place }, Event::Generation { consumer, generation: 1 }];
    assert_eq!(after_a_commit(&got), [Rule::TwoOwners]);
    assert_eq!(after_a_commit(&[&[Event::Succeeds { consumer, before }], &got[..]].concat()), []);
}

#[test]
fn a_groups_offset_goes_back_only_where_a_member_does() {
    let (consumer, place) = (ConsumerId(1), Place::new("t", 0));
    let stored = |offset| Event::Stored { group: "g".into(), place: place.clone(), offset };
    assert_eq!(after_a_commit(&[stored(2)]), []);
    assert_eq!(after_a_commit(&[stored(1), stored(2)]), [Rule::CommitLost]);
    assert_eq!(after_a_commit(&[Event::Sought { consumer, place: place.clone(), offset: 0 }, stored(1)]), []);
}

#[test]
fn of_a_log_that_was_replaced_the_new_one_counts() {
    let place = Place::new("t", 0);
    let judged = |sent_before: bool, handed: &[(i64, u64)]| {
        let mut history = History::new();
        let mut note = |event| history.note(Duration::from_secs(1), event);
        let topics = vec!["t".into()];
        note(Event::Opened { consumer: READER, group: None, topics, committed_only: false });
        note(Event::Assigned { consumer: READER, place: place.clone() });
        let sent = |sequence| Event::Sent { record: id(sequence), place: place.clone(), transaction: None };
        let told = |sequence, offset| Event::Acknowledged { record: id(sequence), offset: Some(offset) };
        let recreated = Event::Recreated { place: place.clone() };
        match sent_before {
            true => [sent(0), told(0, 4), recreated].into_iter().for_each(&mut note),
            false => [recreated, sent(0), told(0, 4)].into_iter().for_each(&mut note),
        }
        [sent(1), told(1, 0)].into_iter().for_each(&mut note);
        for (offset, sequence) in handed {
            let (offset, record) = (*offset, id(*sequence));
            note(Event::HandedOut { consumer: READER, place: place.clone(), offset, record });
        }
        note(Event::Finished);
        history.keep(place.clone(), FinalLog::new([Logged::plain(0, id(1))]));
        rules(&history)
    };
    assert_eq!(judged(true, &[(4, 0), (0, 1)]), []);
    assert_eq!(judged(true, &[(4, 0)]), [Rule::Undelivered]);
    assert_eq!(judged(true, &[(0, 1), (0, 1)]), [Rule::ReadTwice]);
    assert_eq!(judged(false, &[(0, 1)]), [Rule::Lost]);
    assert_eq!(judged(true, &[(4, 0), (7, 1), (0, 1)]), [Rule::Altered]);
}

#[test]
fn who_goes_behind_all_of_a_new_log_need_not_be_handed_its_last_record() {
    let place = Place::new("t", 0);
    let judged_after = |handed: Option<i64>, sought: &[i64]| {
        let mut history = History::new();
        let mut note = |event| history.note(Duration::from_secs(1), event);
        let topics = vec!["t".into()];
        note(Event::Opened { consumer: READER, group: None, topics, committed_only: false });
        note(Event::Assigned { consumer: READER, place: place.clone() });
        if let Some(offset) = handed {
            note(Event::Sent { record: id(1), place: place.clone(), transaction: None });
            note(Event::Acknowledged { record: id(1), offset: Some(offset) });
            note(Event::Sought { consumer: READER, place: place.clone(), offset });
            note(Event::HandedOut { consumer: READER, place: place.clone(), offset, record: id(1) });
        }
        note(Event::Recreated { place: place.clone() });
        note(Event::Sent { record: id(0), place: place.clone(), transaction: None });
        note(Event::Acknowledged { record: id(0), offset: Some(0) });
        for offset in sought {
            note(Event::Sought { consumer: READER, place: place.clone(), offset: *offset });
        }
        note(Event::Finished);
        history.keep(place.clone(), FinalLog::new([Logged::plain(0, id(0))]));
        rules(&history)
    };
    let judged = |sought: &[i64]| judged_after(None, sought);
    assert_eq!(judged(&[1]), []);
    assert_eq!(judged(&[0]), [Rule::Undelivered]);
    assert_eq!(judged(&[1, 0]), [Rule::Undelivered], "it went back");
    assert_eq!(judged_after(Some(4), &[]), [Rule::Undelivered], "that was in the old log");
}

/// A record that is in the log twice, of which this copy was acknowledged, after a leader forgot all below an offset; and
/// another one between the copies.
fn written_twice(acknowledged: Option<i64>, forgotten_to: i64) -> Vec<Rule> {
    let (mut history, place) = (History::new(), Place::new("t", 0));
    let mut note = |event| history.note(Duration::ZERO, event);
    for sequence in 0..2 {
        note(Event::Sent { record: id(sequence), place: place.clone(), transaction: None });
    }
    if let Some(offset) = acknowledged {
        note(Event::Acknowledged { record: id(0), offset: Some(offset) });
    }
    note(Event::Acknowledged { record: id(1), offset: Some(1) });
    let logged = [Logged::plain(0, id(0)), Logged::plain(1, id(1)), Logged::plain(2, id(0))];
    history.keep(place, FinalLog { forgotten_to, ..FinalLog::new(logged) });
    rules(&history)
}

#[test]
fn what_was_not_acknowledged_may_be_written_again_to_a_leader_that_forgot_it() {
    let twice = [Rule::Duplicated, Rule::Reordered];
    assert_eq!(written_twice(Some(2), 0), twice, "nobody forgot anything");
    assert_eq!(written_twice(Some(2), 1), []);
    assert_eq!(written_twice(None, 1), []);
    assert_eq!(written_twice(Some(0), 1), twice, "the producer had no reason to send it again");
}

#[test]
fn a_commit_of_a_topic_that_is_gone_takes_nothing_from_the_owner_of_the_new_one() {
    let place = || Place::new("t", 0);
    let judged = |recreated: bool| {
        let mut history = History::new();
        let mut note = |event| history.note(Duration::ZERO, event);
        let of = |number| Event::Assigned { consumer: ConsumerId(number), place: place() };
        for number in 0..2 {
            let (group, topics) = (Some("g".into()), vec!["t".into()]);
            note(Event::Opened { consumer: ConsumerId(number), group, topics, committed_only: false });
        }
        note(Event::Disturbed { what: "the topic goes".to_owned() });
        note(of(0));
        note(Event::Generation { consumer: ConsumerId(0), generation: 1 });
        if recreated {
            note(Event::Recreated { place: place() });
        }
        note(of(1));
        note(Event::Generation { consumer: ConsumerId(1), generation: 2 });
        note(Event::CommitAsked { consumer: ConsumerId(0), place: place(), offset: 0 });
        note(Event::CommitAnswered { consumer: ConsumerId(0), place: place(), offset: 0, done: true });
        history.keep(place(), FinalLog::new([]));
        rules(&history)
    };
    assert_eq!(judged(true), []);
    assert_eq!(judged(false), [Rule::StaleCommit]);
}

/// What a reader hands out before and after its log is replaced, if record 1 is at offset 1 of both and record 2 is new.
fn read_anew(before: &[(i64, u64)], after: &[(i64, u64)]) -> Vec<Rule> {
    let (mut history, place) = (History::new(), Place::new("t", 0));
    let mut note = |event| history.note(Duration::from_secs(1), event);
    let topics = vec!["t".into()];
    note(Event::Opened { consumer: READER, group: None, topics, committed_only: false });
    note(Event::Assigned { consumer: READER, place: place.clone() });
    let sent = |sequence| Event::Sent { record: id(sequence), place: place.clone(), transaction: None };
    let read = |&(offset, sequence): &(i64, u64)| {
        let record = id(sequence);
        Event::HandedOut { consumer: READER, place: place.clone(), offset, record }
    };
    note(sent(1));
    before.iter().map(read).for_each(&mut note);
    note(Event::Recreated { place: place.clone() });
    note(sent(2));
    after.iter().map(read).for_each(&mut note);
    history.keep(place, FinalLog::new([Logged::plain(0, id(2)), Logged::plain(1, id(1))]));
    rules(&history)
}

#[test]
fn what_is_at_one_offset_of_an_old_and_a_new_log_is_read_in_both() {
    assert_eq!(read_anew(&[(1, 1)], &[(0, 2), (1, 1)]), []);
    assert_eq!(read_anew(&[], &[(1, 1), (0, 2), (1, 1)]), [], "the old one was still at hand");
    assert_eq!(read_anew(&[(1, 1)], &[(0, 2), (1, 1), (0, 2)]), [Rule::ReadTwice]);
    assert_eq!(read_anew(&[(1, 1)], &[(0, 2), (0, 2)]), [Rule::ReadTwice]);
}
