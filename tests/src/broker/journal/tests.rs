use super::*;

fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: "t".into(), partition }
}

fn assigned(member: u32) -> Entry {
    Entry::Assigned { member, partitions: vec![at(0)] }
}

fn revoked(member: u32) -> Entry {
    Entry::Revoked { member, partitions: vec![at(0)] }
}

fn lost(member: u32) -> Entry {
    Entry::Lost { member, partitions: vec![at(0)] }
}

fn settled(member: u32, committed: bool) -> Entry {
    Entry::Settled { member, committed }
}

fn got(member: u32, offset: i64) -> Entry {
    Entry::HandedOut { member, partition: at(0), offset }
}

fn done(member: u32, offset: i64) -> Entry {
    Entry::Processed { member, partition: at(0), offset }
}

fn committed(member: u32, offset: i64) -> Entry {
    Entry::Committed { member, offsets: [(at(0), offset)].into() }
}

fn observed(offset: i64) -> Entry {
    Entry::Observed { partition: at(0), offset }
}

/// The first words of what is wrong.
fn wrong(entries: &[Entry]) -> Vec<String> {
    let audit = audit(entries);
    audit.wrong.iter().map(|what| what.split(": ").nth(1).unwrap_or(what).to_owned()).collect()
}

fn repeated(entries: &[Entry]) -> BTreeMap<Reason, u64> {
    let audit = audit(entries);
    assert_eq!(audit.wrong, [""; 0]);
    audit.repeated
}

#[test]
fn a_partition_that_changes_hands_in_order_is_faultless() {
    let entries = [
        vec![assigned(1), got(1, 0), got(1, 1), done(1, 0), done(1, 1), revoked(1), committed(1, 2)],
        vec![settled(1, true), observed(2), assigned(2), got(2, 2), done(2, 2), committed(2, 3)],
        vec![revoked(2), settled(2, true), observed(3)],
    ];
    assert_eq!(audit(&entries.concat()), Audit::default());
}

#[test]
fn nothing_may_be_handed_out_of_a_partition_that_was_revoked_or_never_given() {
    assert_eq!(wrong(&[assigned(1), revoked(1), got(1, 0)]), ["revoked"]);
    assert_eq!(wrong(&[assigned(1), lost(1), got(1, 0)]), ["revoked"]);
    assert_eq!(wrong(&[assigned(1), got(2, 0)]), ["revoked"]);
}

#[test]
fn offsets_follow_each_other_and_a_successor_begins_at_what_was_processed_or_before() {
    assert_eq!(wrong(&[assigned(1), got(1, 1)]), ["skipped"]);
    assert_eq!(wrong(&[assigned(1), got(1, 0), got(1, 2)]), ["skipped"]);
    assert_eq!(wrong(&[assigned(1), got(1, 0), got(1, 1), got(1, 0)]), ["reordered", "repeated"]);
    let unprocessed = [assigned(1), got(1, 0), lost(1), assigned(2), got(2, 1)];
    assert_eq!(wrong(&unprocessed), ["skipped"]);
}

#[test]
fn commits_neither_run_ahead_nor_backwards() {
    let begun = [assigned(1), got(1, 0), got(1, 1), done(1, 0)];
    assert_eq!(wrong(&[&begun[..], &[committed(1, 2)]].concat()), ["ahead"]);
    assert_eq!(wrong(&[&begun[..], &[observed(2)]].concat()), ["ahead"]);
    assert_eq!(wrong(&[&begun[..], &[observed(1), observed(0)]].concat()), ["backwards"]);
}

#[test]
fn repetitions_are_counted_by_their_reasons_and_wrong_without_one() {
    let read = [assigned(1), got(1, 0), done(1, 0)];
    let again = [assigned(2), got(2, 0), done(2, 0), committed(2, 1), revoked(2), settled(2, true)];
    let between = |ends: &[Entry]| [&read[..], ends, &again[..]].concat();
    assert_eq!(repeated(&between(&[lost(1)])), [(Reason::Lost, 1)].into());
    assert_eq!(repeated(&between(&[Entry::Vanished { member: 1 }])), [(Reason::Vanished, 1)].into());
    let failed = [Entry::NotCommitted { member: 1 }, revoked(1), settled(1, false)];
    assert_eq!(repeated(&between(&failed)), [(Reason::CommitFailed, 1)].into());
    assert_eq!(wrong(&between(&[committed(1, 1), lost(1)])), ["repeated"]);
    assert_eq!(wrong(&between(&[revoked(1), settled(1, true)])), ["repeated"]);
}

#[test]
fn two_members_have_a_partition_at_a_time_only_while_one_does_not_know_that_it_is_lost() {
    let both = [assigned(1), got(1, 0), assigned(2), got(2, 0), done(2, 0), got(1, 1), got(2, 1)];
    let ends = [revoked(2), settled(2, true)];
    let unaware = [&both[..], &[lost(1)], &ends].concat();
    assert_eq!(repeated(&unaware), [(Reason::Unaware, 2)].into());
    let orderly = [&both[..], &[revoked(1), settled(1, true)], &ends].concat();
    assert_eq!(wrong(&orderly), ["shared"]);
}
