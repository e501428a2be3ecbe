use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn at(offset: i64, leader_epoch: Option<i32>) -> Position {
    Position { offset, leader_epoch }
}

fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// Acknowledgements for a partition of which these offsets were handed out.
fn handed_out(offsets: impl IntoIterator<Item = i64>) -> Acks {
    let mut acks = Acks::default();
    let outstanding = acks.partitions.entry(partition()).or_default();
    offsets.into_iter().for_each(|offset| outstanding.add(one(offset), Some(3)));
    acks
}

#[test]
fn a_commit_goes_up_to_the_first_record_that_is_not_acknowledged() {
    let mut acks = handed_out(0..10);
    let end = at(10, Some(3));
    assert_eq!(acks.committable(&partition(), end), at(0, None));
    for offset in [0, 1, 2, 5, 9] {
        assert!(acks.acknowledge(&partition(), offset));
    }
    assert_eq!(acks.committable(&partition(), end), at(3, Some(3)));
    assert_eq!(acks.outstanding(), 5);
    for offset in [8, 4, 3, 7] {
        assert!(acks.acknowledge(&partition(), offset));
    }
    assert_eq!(acks.committable(&partition(), end), at(6, Some(3)));
    assert!(acks.acknowledge(&partition(), 6));
    assert_eq!(acks.committable(&partition(), end), end);
}

#[test]
fn offsets_that_were_never_handed_out_hold_nothing_up() {
    let mut acks = handed_out([0, 1, 7, 20]);
    for offset in [0, 1, 7] {
        assert!(acks.acknowledge(&partition(), offset));
    }
    // Two control records follow the last record.
    let end = at(23, Some(3));
    assert_eq!(acks.committable(&partition(), end), at(20, Some(3)));
    assert!(acks.acknowledge(&partition(), 20));
    assert_eq!(acks.committable(&partition(), end), end);
}

#[test]
fn what_was_given_away_or_acknowledged_before_counts_no_more() {
    let mut acks = handed_out(0..3);
    assert!(acks.acknowledge(&partition(), 1));
    assert!(!acks.acknowledge(&partition(), 1));
    assert!(!acks.acknowledge(&partition(), 3));
    assert!(!acks.acknowledge(&TopicPartition::new("t", 1), 1));
    acks.forget(&partition());
    assert!(!acks.acknowledge(&partition(), 0));
    assert_eq!(acks.committable(&partition(), at(17, None)), at(17, None));
}

#[test]
fn all_before_a_record_can_be_acknowledged_with_it() {
    let mut acks = handed_out([0, 1, 2, 5, 6, 9]);
    assert!(acks.acknowledge_up_to(&partition(), 5));
    assert_eq!(acks.committable(&partition(), at(10, Some(3))), at(6, Some(3)));
    assert!(!acks.acknowledge_up_to(&partition(), 5));
}

#[test]
fn a_million_records_acknowledged_in_a_window_take_a_few_runs() {
    let mut outstanding = Outstanding::default();
    for offset in 0..1_000_000 {
        outstanding.add(one(offset), None);
        // Acknowledged in pairs, the second first.
        if offset % 2 == 1 && offset > 10 {
            assert!(outstanding.remove(one(offset - 10)));
            assert!(outstanding.remove(one(offset - 11)));
        }
        assert!(outstanding.runs().len() <= 2, "{:?}", outstanding.runs());
    }
}

#[test]
fn the_epoch_of_a_commit_is_that_of_the_record_before() {
    let mut acks = Acks::default();
    let outstanding = acks.partitions.entry(partition()).or_default();
    for (offset, epoch) in [(0, 1), (1, 1), (2, 4), (3, 4), (4, 6)] {
        outstanding.add(one(offset), Some(epoch));
    }
    let mut committed = Vec::new();
    for offset in 0..5 {
        acks.acknowledge(&partition(), offset);
        committed.push(acks.committable(&partition(), at(5, Some(6))));
    }
    let expected = [at(1, Some(1)), at(2, Some(1)), at(3, Some(4)), at(4, Some(4)), at(5, Some(6))];
    assert_eq!(committed, expected);
}

#[test]
fn a_batch_is_outstanding_until_it_is_acknowledged_whole() {
    let mut outstanding = Outstanding::default();
    outstanding.add(10..20, Some(1));
    outstanding.add(20..30, Some(1));
    assert!(outstanding.remove(20..30));
    assert_eq!(outstanding.runs(), [(10, 20)]);
    assert!(outstanding.remove(12..15) && !outstanding.remove(12..15));
    assert_eq!(outstanding.runs(), [(10, 12), (15, 20)]);
    outstanding.add(11..17, Some(1));
    assert_eq!(outstanding.runs(), [(10, 20)]);
    assert!(outstanding.remove(0..40));
    assert_eq!(outstanding.count(), 0);
}

proptest! {
    #[test]
    fn runs_are_the_set_that_they_stand_for(steps in prop::collection::vec((0..3u8, 0..40i64), 0..200)) {
        let (mut outstanding, mut model) = (Outstanding::default(), BTreeSet::new());
        for (what, offset) in steps {
            match what {
                0 => {
                    outstanding.add(one(offset), None);
                    model.insert(offset);
                }
                1 => prop_assert_eq!(outstanding.remove(one(offset)), model.remove(&offset)),
                _ => {
                    let before = model.len();
                    model.retain(|other| *other > offset);
                    prop_assert_eq!(outstanding.remove_up_to(offset), model.len() < before);
                }
            }
            let runs = outstanding.runs();
            let offsets: Vec<i64> = runs.iter().flat_map(|(start, end)| *start..*end).collect();
            prop_assert_eq!(&offsets, &model.iter().copied().collect::<Vec<_>>());
            prop_assert!(runs.is_sorted_by(|one, next| one.1 < next.0), "{:?}", runs);
            prop_assert_eq!(outstanding.first().map(|first| first.offset), model.first().copied());
            prop_assert_eq!(outstanding.count(), model.len() as u64);
        }
    }
}
