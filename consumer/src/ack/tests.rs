use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn at(offset: i64, leader_epoch: Option<i32>) -> Position {
    Position { offset, leader_epoch }
}

fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// The first generation.
fn first() -> Generation {
    Generation::of(1)
}

/// Says that one record of the first generation was processed.
fn ack(acks: &mut Acks, partition: &TopicPartition, offset: i64) -> bool {
    acks.acknowledge(partition, one(offset), Some(first()))
}

/// Acknowledgements for a partition of which these offsets were handed out.
fn handed_out(offsets: impl IntoIterator<Item = i64>) -> Acks {
    let mut acks = Acks::default();
    let outstanding = acks.partitions.entry(partition()).or_default();
    offsets.into_iter().for_each(|offset| outstanding.add(one(offset), Some(3), first()));
    acks
}

#[test]
fn a_commit_goes_up_to_the_first_record_that_is_not_acknowledged() {
    let mut acks = handed_out(0..10);
    let end = at(10, Some(3));
    assert_eq!(acks.committable(&partition(), end), at(0, None));
    for offset in [0, 1, 2, 5, 9] {
        assert!(ack(&mut acks, &partition(), offset));
    }
    assert_eq!(acks.committable(&partition(), end), at(3, Some(3)));
    assert_eq!(acks.outstanding(), 5);
    for offset in [8, 4, 3, 7] {
        assert!(ack(&mut acks, &partition(), offset));
    }
    assert_eq!(acks.committable(&partition(), end), at(6, Some(3)));
    assert!(ack(&mut acks, &partition(), 6));
    assert_eq!(acks.committable(&partition(), end), end);
}

#[test]
fn offsets_that_were_never_handed_out_hold_nothing_up() {
    let mut acks = handed_out([0, 1, 7, 20]);
    for offset in [0, 1, 7] {
        assert!(ack(&mut acks, &partition(), offset));
    }
    // Two control records follow the last record.
    let end = at(23, Some(3));
    assert_eq!(acks.committable(&partition(), end), at(20, Some(3)));
    assert!(ack(&mut acks, &partition(), 20));
    assert_eq!(acks.committable(&partition(), end), end);
}

#[test]
fn what_was_given_away_or_acknowledged_before_counts_no_more() {
    let mut acks = handed_out(0..3);
    assert!(ack(&mut acks, &partition(), 1));
    assert!(!ack(&mut acks, &partition(), 1));
    assert!(!ack(&mut acks, &partition(), 3));
    assert!(!ack(&mut acks, &TopicPartition::new("t", 1), 1));
    acks.forget(&partition());
    assert!(!ack(&mut acks, &partition(), 0));
    assert_eq!(acks.committable(&partition(), at(17, None)), at(17, None));
}

#[test]
fn all_before_a_record_can_be_acknowledged_with_it() {
    let mut acks = handed_out([0, 1, 2, 5, 6, 9]);
    assert!(acks.acknowledge_up_to(&partition(), 5, first()));
    assert_eq!(acks.committable(&partition(), at(10, Some(3))), at(6, Some(3)));
    assert!(!acks.acknowledge_up_to(&partition(), 5, first()));
}

#[test]
fn a_million_records_acknowledged_in_a_window_take_a_few_runs() {
    let mut outstanding = Outstanding::default();
    for offset in 0..1_000_000 {
        outstanding.add(one(offset), None, first());
        // Acknowledged in pairs, the second first.
        if offset % 2 == 1 && offset > 10 {
            assert!(outstanding.remove(one(offset - 10), Some(first())));
            assert!(outstanding.remove(one(offset - 11), Some(first())));
        }
        assert!(outstanding.runs().len() <= 2, "{:?}", outstanding.runs());
    }
}

#[test]
fn the_epoch_of_a_commit_is_that_of_the_record_before() {
    let mut acks = Acks::default();
    let outstanding = acks.partitions.entry(partition()).or_default();
    for (offset, epoch) in [(0, 1), (1, 1), (2, 4), (3, 4), (4, 6)] {
        outstanding.add(one(offset), Some(epoch), first());
    }
    let mut committed = Vec::new();
    for offset in 0..5 {
        ack(&mut acks, &partition(), offset);
        committed.push(acks.committable(&partition(), at(5, Some(6))));
    }
    let expected = [at(1, Some(1)), at(2, Some(1)), at(3, Some(4)), at(4, Some(4)), at(5, Some(6))];
    assert_eq!(committed, expected);
}

#[test]
fn a_batch_is_outstanding_until_it_is_acknowledged_whole() {
    let mut outstanding = Outstanding::default();
    outstanding.add(10..20, Some(1), first());
    outstanding.add(20..30, Some(1), first());
    assert!(outstanding.remove(20..30, Some(first())));
    assert_eq!(outstanding.runs(), [(10, 20)]);
    assert!(outstanding.remove(12..15, Some(first())) && !outstanding.remove(12..15, Some(first())));
    assert_eq!(outstanding.runs(), [(10, 12), (15, 20)]);
    outstanding.add(11..17, Some(1), first());
    assert_eq!(outstanding.runs(), [(10, 20)]);
    assert!(outstanding.remove(0..40, Some(first())));
    assert_eq!(outstanding.count(), 0);
}

#[test]
fn what_lies_before_a_new_position_is_waited_for_and_what_comes_again_is_not() {
    let mut acks = handed_out(0..10);
    acks.begin(&partition(), Generation::of(2));
    acks.comes_again(&partition(), 5);
    assert_eq!(acks.committable(&partition(), at(5, Some(3))), at(0, None));
    assert!(!ack(&mut acks, &partition(), 7), "it comes again");
    for offset in 0..5 {
        assert!(ack(&mut acks, &partition(), offset));
    }
    assert_eq!(acks.committable(&partition(), at(5, Some(3))), at(5, Some(3)));
}

#[test]
fn an_acknowledgement_counts_for_the_record_that_was_handed_out_in_its_generation_only() {
    let mut acks = handed_out(0..10);
    acks.begin(&partition(), Generation::of(2));
    acks.comes_again(&partition(), 5);
    let outstanding = acks.partitions.get_mut(&partition()).unwrap();
    outstanding.add(20..21, Some(3), first());
    assert_eq!(outstanding.runs(), [(0, 5)], "what is left of the generation before is not noted");
    outstanding.add(5..8, Some(4), Generation::of(2));
    assert!(!ack(&mut acks, &partition(), 6), "that was another record");
    assert!(acks.acknowledge(&partition(), one(6), Some(Generation::of(2))));
    assert!(acks.acknowledge(&partition(), one(7), None), "whichever it was");
    assert!(acks.acknowledge_up_to(&partition(), 9, first()), "those before the seek");
    assert_eq!(acks.committable(&partition(), at(8, Some(4))), at(5, Some(3)));
    assert!(!acks.acknowledge_up_to(&partition(), 9, first()));
    assert!(acks.acknowledge_up_to(&partition(), 7, Generation::of(2)));
    assert_eq!(acks.outstanding(), 0);
}

proptest! {
    /// Offsets with the generations in which they were handed out.
    #[test]
    fn runs_are_the_set_that_they_stand_for(steps in prop::collection::vec((0..6u8, 0..40i64, 0..3u64), 0..200)) {
        let (mut outstanding, mut model) = (Outstanding::default(), BTreeMap::new());
        let (mut current, mut floor) = (1, 0);
        outstanding.begin(Generation::of(current));
        for (what, offset, ago) in steps {
            let generation = Generation::of(1.max(current - ago.min(current)));
            match what {
                0 | 1 => {
                    // An older generation's records come to nothing.
                    let (generation, offset) = (Generation::of(current - ago / 2), floor.max(offset));
                    outstanding.add(one(offset), None, generation);
                    if generation == Generation::of(current) {
                        model.entry(offset).or_insert(generation);
                    }
                }
                2 => {
                    let is_there = model.get(&offset) == Some(&generation);
                    prop_assert_eq!(outstanding.remove(one(offset), Some(generation)), is_there);
                    model.retain(|other, of| (*other, *of) != (offset, generation));
                }
                3 => prop_assert_eq!(outstanding.remove(one(offset), None), model.remove(&offset).is_some()),
                4 => {
                    let before = model.len();
                    model.retain(|other, of| *other > offset || *of > generation);
                    let removed = outstanding.remove_up_to(offset, generation);
                    prop_assert_eq!(removed, model.len() < before);
                }
                _ => {
                    (current, floor) = (current + 1, offset);
                    outstanding.begin(Generation::of(current));
                    outstanding.drop_from(offset);
                    model.retain(|other, _| *other < offset);
                }
            }
            let runs = outstanding.runs();
            let offsets: Vec<i64> = runs.iter().flat_map(|(start, end)| *start..*end).collect();
            prop_assert_eq!(&offsets, &model.keys().copied().collect::<Vec<_>>());
            prop_assert!(runs.is_sorted_by(|one, next| one.1 < next.0), "{:?}", runs);
            prop_assert_eq!(outstanding.first().map(|first| first.offset), model.keys().next().copied());
            prop_assert_eq!(outstanding.count(), model.len() as u64);
        }
    }
}
