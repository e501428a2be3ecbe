#![allow(clippy::disallowed_methods, reason = "a script needs some instant to start from")]

use std::time::Duration;

use super::*;

fn a() -> TopicPartition {
    TopicPartition::new("a", 0)
}

fn generation(subscription: &Subscription) -> Generation {
    subscription.partition(&a()).unwrap().generation
}

fn position(subscription: &Subscription) -> Option<i64> {
    subscription.partition(&a())?.fetching().map(|fetching| fetching.position.offset)
}

#[test]
fn a_partition_that_is_there_already_keeps_its_position() {
    let mut subscription = Subscription::default();
    assert!(subscription.add(a(), Start::Offset(5), false));
    assert!(!subscription.add(a(), Start::Committed, false));
    assert_eq!(position(&subscription), Some(5));
}

#[test]
fn what_was_asked_for_before_a_seek_is_of_an_older_generation() {
    let mut subscription = Subscription::default();
    subscription.add(a(), Start::Offset(5), false);
    let before = generation(&subscription);
    subscription.seek(&a(), Start::Offset(2));
    assert!(subscription.current_mut(&a(), before).is_none());
    subscription.advance(&a(), before, 9, 1);
    assert_eq!(position(&subscription), Some(2));
    subscription.advance(&a(), generation(&subscription), 9, 1);
    assert_eq!(position(&subscription), Some(9));
}

#[test]
fn an_assignment_that_comes_back_is_another_generation() {
    let mut subscription = Subscription::default();
    subscription.add(a(), Start::Offset(5), false);
    let before = generation(&subscription);
    assert!(subscription.remove(&a()));
    assert!(!subscription.remove(&a()));
    subscription.add(a(), Start::Committed, false);
    assert!(subscription.current_mut(&a(), before).is_none());
    subscription.found(&a(), before, Position { offset: 1, leader_epoch: None }, Origin::Unknown);
    assert_eq!(position(&subscription), None);
}

#[test]
fn a_lookup_that_comes_after_a_seek_changes_nothing() {
    let mut subscription = Subscription::default();
    subscription.add(a(), Start::Earliest, false);
    let asked = generation(&subscription);
    subscription.seek(&a(), Start::Offset(7));
    subscription.found(&a(), asked, Position { offset: 0, leader_epoch: None }, Origin::Unknown);
    assert_eq!(position(&subscription), Some(7));
}

#[test]
fn a_seek_keeps_the_pause_and_the_hold() {
    let mut subscription = Subscription::default();
    subscription.add(a(), Start::Committed, true);
    subscription.set_paused(&a(), true);
    subscription.seek(&a(), Start::Offset(7));
    let assigned = subscription.partition(&a()).unwrap();
    assert!(assigned.paused && assigned.held && !assigned.may_deliver());
    subscription.set_paused(&a(), false);
    subscription.release([&a()]);
    assert!(subscription.partition(&a()).unwrap().may_deliver());
}

#[test]
fn a_position_never_moves_back_by_handing_out() {
    let mut subscription = Subscription::default();
    subscription.add(a(), Start::Offset(5), false);
    subscription.advance(&a(), generation(&subscription), 3, 1);
    assert_eq!(position(&subscription), Some(5));
}

#[test]
fn what_failed_waits_for_its_time() {
    let now = std::time::Instant::now();
    let mut subscription = Subscription::default();
    subscription.add(a(), Start::Earliest, false);
    let later = now + Duration::from_millis(100);
    subscription.put_off(&a(), generation(&subscription), later);
    let assigned = subscription.partition(&a()).unwrap();
    assert!(!assigned.may_ask(now) && assigned.may_ask(later));
    assert_eq!(assigned.failures, 1);
}

#[test]
fn offsets_that_the_application_has_are_of_the_topic_that_it_was_handed_last() {
    let [former, now] = [Uuid([1; 16]), Uuid([2; 16])];
    let leader = |topic_id| Origin::Leader(Route { leader: 1, epoch: 0, topic_id });
    let mut subscription = Subscription::default();
    subscription.add(a(), Start::Committed, false);
    assert_eq!(subscription.handed_of(&a()), None);
    let found = |subscription: &mut Subscription, offset, origin| {
        let (generation, position) = (generation(subscription), Position { offset, leader_epoch: None });
        subscription.found(&a(), generation, position, origin);
    };
    found(&mut subscription, 5, Origin::of(Some(former)));
    assert_eq!(subscription.handed_of(&a()), Some(former), "the position is what it has");
    subscription.advance(&a(), generation(&subscription), 9, 0);

    subscription.reset(&a(), ResetTo::Earliest);
    assert_eq!(subscription.handed_of(&a()), Some(former));
    found(&mut subscription, 0, leader(now));
    assert_eq!(subscription.origin(&a()).topic_id(), Some(now));
    assert_eq!(subscription.handed_of(&a()), Some(former), "of the new one it has nothing yet");
    subscription.advance(&a(), generation(&subscription), 1, 0);
    assert_eq!(subscription.handed_of(&a()), Some(now));

    subscription.reset(&a(), ResetTo::Earliest);
    subscription.seek(&a(), Start::Offset(3));
    assert_eq!(subscription.handed_of(&a()), None, "it names an offset itself");
}
