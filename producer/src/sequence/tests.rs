//! Scripts of the hard cases.

#![allow(
    clippy::disallowed_methods,
    reason = "a test plays the application, with clock and tasks of its own"
)]

use std::sync::Arc;

use ottla_protocol::compression::Compressor;
use ottla_protocol::records::BatchBuilder;

use super::*;
use crate::accumulator::Ratio;
use crate::completion::Teller;

const FIRST: Identity = Identity { producer_id: 7, epoch: 0 };

/// A batch of `count` records, recognised by its count.
fn batch(count: i32) -> Batch {
    batch_opened(count, Instant::now())
}

fn batch_opened(count: i32, opened: Instant) -> Batch {
    let mut builder = BatchBuilder::new(4096);
    for _ in 0..count {
        builder.try_append(0, None, Some(b"v"), ottla_protocol::records::NO_HEADERS).expect("room");
    }
    Batch::new(Teller::new("t".into(), 0), builder, opened, Charge::nothing(), Arc::new(Ratio::new()))
}

fn idempotent() -> Sequences {
    let mut sequences = Sequences::new(true, 5);
    assert!(sequences.identify(FIRST));
    sequences
}

/// Sends a new batch and says what it was numbered.
fn send(sequences: &mut Sequences, mut batch: Batch) -> (Ticket, i16, i32) {
    assert_eq!(sequences.next(), Next::New);
    let state = sequences.upcoming();
    batch.seal(state, &mut Compressor::none()).expect("no codec");
    (sequences.send_new(batch), state.producer_epoch, state.base_sequence)
}

/// Five batches of 1 to 5 records in flight, behind one that was acknowledged.
fn five_in_flight() -> (Sequences, Vec<Ticket>) {
    let mut sequences = idempotent();
    let (first, ..) = send(&mut sequences, batch(1));
    assert!(sequences.acknowledged(first).is_some());
    let mut next = 1;
    let tickets = (1..=5)
        .map(|count| {
            let (ticket, epoch, sequence) = send(&mut sequences, batch(count));
            assert_eq!((epoch, sequence), (0, next));
            next += count;
            ticket
        })
        .collect();
    assert_eq!(sequences.next(), Next::Wait);
    (sequences, tickets)
}

fn counts(batches: &[Batch]) -> Vec<i32> {
    batches.iter().map(|batch| batch.count).collect()
}

#[test]
fn a_first_batch_is_acknowledged_before_a_second_one_is_sent() {
    let mut sequences = Sequences::new(true, 5);
    assert_eq!(sequences.next(), Next::NeedsIdentity);
    sequences.identify(FIRST);
    let (first, epoch, sequence) = send(&mut sequences, batch(3));
    assert_eq!((epoch, sequence), (0, 0));
    assert_eq!(sequences.next(), Next::Wait);
    sequences.acknowledged(first);
    assert_eq!(send(&mut sequences, batch(2)).2, 3);
    assert_eq!(send(&mut sequences, batch(2)).2, 5);
}

#[test]
fn after_a_failure_batches_are_repeated_one_by_one_in_order_and_nothing_new_overtakes() {
    let (mut sequences, tickets) = five_in_flight();
    // The answers of a broken connection come in any order.
    for at in [2, 0, 4, 1, 3] {
        sequences.retry(tickets[at], true);
    }
    for &ticket in &tickets {
        assert!(sequences.settle().is_empty());
        assert_eq!(sequences.next(), Next::Retry(ticket));
        assert!(sequences.resend(ticket).is_some());
        let last = ticket == tickets[4];
        assert_eq!(
            sequences.next(),
            if last { Next::New } else { Next::Wait },
            "one repeated batch at a time"
        );
        assert!(sequences.acknowledged(ticket).is_some());
    }
    assert_eq!(send(&mut sequences, batch(1)).2, 16, "the same epoch goes on");
}

#[test]
fn a_failed_head_is_repeated_while_later_ones_are_still_in_flight() {
    let (mut sequences, tickets) = five_in_flight();
    sequences.retry(tickets[0], false);
    assert_eq!(sequences.next(), Next::Retry(tickets[0]));
    sequences.resend(tickets[0]);
    // Those behind it bounced off the gap; that proves nothing.
    for &ticket in &tickets[1..] {
        sequences.out_of_order(ticket);
    }
    assert!(sequences.settle().is_empty());
    assert_eq!(sequences.next(), Next::Wait);
    sequences.acknowledged(tickets[0]);
    assert_eq!(sequences.next(), Next::Retry(tickets[1]));
    assert_eq!(sequences.upcoming().producer_epoch, 0);
}

#[test]
fn out_of_order_for_the_head_raises_the_epoch_once_nothing_is_in_flight() {
    let (mut sequences, tickets) = five_in_flight();
    sequences.out_of_order(tickets[0]);
    assert!(sequences.settle().is_empty(), "four are in flight");
    assert_eq!(sequences.next(), Next::Wait);
    for &ticket in &tickets[1..] {
        sequences.out_of_order(ticket);
    }
    let again = sequences.settle();
    assert_eq!(counts(&again), [1, 2, 3, 4, 5]);
    let mut again = again.into_iter();
    let (first, epoch, sequence) = send(&mut sequences, again.next().expect("five"));
    assert_eq!((epoch, sequence), (1, 0));
    assert_eq!(sequences.next(), Next::Wait, "the new epoch needs an anchor");
    sequences.acknowledged(first);
    let (_, epoch, sequence) = send(&mut sequences, again.next().expect("five"));
    assert_eq!((epoch, sequence), (1, 1));
}

#[test]
fn a_refused_batch_leaves_a_gap_and_those_behind_it_are_numbered_anew() {
    let (mut sequences, tickets) = five_in_flight();
    sequences.acknowledged(tickets[0]);
    let refused = sequences.refused(tickets[1]).expect("its records are told");
    assert_eq!(refused.count, 2);
    for &ticket in &tickets[2..] {
        sequences.out_of_order(ticket);
    }
    assert_eq!(counts(&sequences.settle()), [3, 4, 5]);
    assert_eq!((sequences.upcoming().producer_epoch, sequences.upcoming().base_sequence), (1, 0));
}

#[test]
fn batches_before_a_gap_are_settled_by_their_old_numbers_first() {
    let (mut sequences, tickets) = five_in_flight();
    sequences.retry(tickets[0], true);
    drop(sequences.refused(tickets[1]));
    for &ticket in &tickets[2..] {
        sequences.out_of_order(ticket);
    }
    assert!(sequences.settle().is_empty(), "the first may be written: a new number could duplicate it");
    assert_eq!(sequences.next(), Next::Retry(tickets[0]));
    sequences.resend(tickets[0]);
    sequences.acknowledged(tickets[0]);
    assert_eq!(counts(&sequences.settle()), [3, 4, 5]);
}

#[test]
fn parts_of_a_split_batch_take_its_place_in_order() {
    let (mut sequences, tickets) = five_in_flight();
    let whole = sequences.refused(tickets[1]).expect("not told");
    let parts = whole.split().expect("two records");
    sequences.replace(tickets[1], parts);
    sequences.acknowledged(tickets[0]);
    for &ticket in &tickets[2..] {
        sequences.out_of_order(ticket);
    }
    assert_eq!(counts(&sequences.settle()), [1, 1, 3, 4, 5]);
}

#[test]
fn an_expired_batch_that_was_written_is_proven_by_the_next_one() {
    let (mut sequences, tickets) = five_in_flight();
    for &ticket in &tickets {
        sequences.retry(ticket, true);
    }
    assert_eq!(sequences.give_up(tickets[0]).expect("not told").count, 1);
    assert_eq!(sequences.next(), Next::Retry(tickets[1]), "by its old number");
    sequences.resend(tickets[1]);
    sequences.acknowledged(tickets[1]);
    for &ticket in &tickets[2..] {
        assert_eq!(sequences.next(), Next::Retry(ticket));
        sequences.resend(ticket);
        sequences.acknowledged(ticket);
    }
    assert!(sequences.is_empty() && sequences.settle().is_empty());
    assert_eq!(sequences.upcoming().producer_epoch, 0, "no gap, no new epoch");
}

#[test]
fn an_expired_batch_that_was_not_written_is_a_gap_proven_by_the_next_one() {
    let (mut sequences, tickets) = five_in_flight();
    for &ticket in &tickets {
        sequences.retry(ticket, true);
    }
    drop(sequences.give_up(tickets[0]));
    sequences.resend(tickets[1]);
    sequences.out_of_order(tickets[1]);
    let again = sequences.settle();
    assert_eq!(counts(&again), [2, 3, 4, 5]);
    assert!(again.iter().all(|batch| !batch.possibly_written));
    assert_eq!(sequences.upcoming().producer_epoch, 1);
}

#[test]
fn an_expired_batch_with_nothing_behind_it_raises_the_epoch_before_anything_new() {
    let mut sequences = idempotent();
    let (first, ..) = send(&mut sequences, batch(1));
    sequences.acknowledged(first);
    let (last, ..) = send(&mut sequences, batch(2));
    let told = sequences.give_up(last).expect("in flight");
    assert!(told.possibly_written);
    assert!(sequences.settle().is_empty(), "its request may still be answered");
    assert_eq!(sequences.next(), Next::New, "while it is in flight, order is not in doubt");
    sequences.retry(last, true);
    assert_eq!(sequences.next(), Next::Wait);
    assert!(sequences.settle().is_empty());
    assert_eq!(sequences.next(), Next::New);
    assert_eq!((sequences.upcoming().producer_epoch, sequences.upcoming().base_sequence), (1, 0));
}

#[test]
fn a_late_answer_to_an_expired_batch_clears_the_doubt() {
    let mut sequences = idempotent();
    let (only, ..) = send(&mut sequences, batch(2));
    drop(sequences.give_up(only));
    assert!(sequences.acknowledged(only).is_none(), "its records were told before");
    assert_eq!((sequences.next(), sequences.upcoming().base_sequence), (Next::New, 2));
}

#[test]
fn a_spent_producer_id_is_replaced_before_anything_is_sent() {
    let mut sequences = idempotent();
    let (only, ..) = send(&mut sequences, batch(2));
    sequences.spent(only);
    assert_eq!(counts(&sequences.settle()), [2]);
    assert_eq!(sequences.next(), Next::NeedsIdentity);
    assert!(!sequences.identify(FIRST), "the same id won't do");
    assert!(sequences.identify(Identity { producer_id: 8, epoch: 0 }));
    assert_eq!(sequences.upcoming(), ProducerState { producer_id: 8, producer_epoch: 0, base_sequence: 0 });
}

#[test]
fn the_last_epoch_of_an_id_is_followed_by_another_id() {
    let mut sequences = Sequences::new(true, 5);
    sequences.identify(Identity { producer_id: 7, epoch: i16::MAX });
    let (only, ..) = send(&mut sequences, batch(2));
    sequences.out_of_order(only);
    assert_eq!(counts(&sequences.settle()), [2]);
    assert_eq!(sequences.next(), Next::NeedsIdentity);
}

#[test]
fn expiry_takes_only_what_is_old() {
    let start = Instant::now();
    let late = start + Duration::from_secs(10);
    let mut sequences = idempotent();
    let (first, ..) = send(&mut sequences, batch(1));
    sequences.acknowledged(first);
    send(&mut sequences, batch_opened(2, start));
    send(&mut sequences, batch_opened(3, late));
    let expired = sequences.expire(start + Duration::from_secs(5), Duration::from_secs(5));
    assert_eq!(counts(&expired), [2]);
    assert!(expired[0].possibly_written);
}

#[test]
fn numbers_wrap_to_zero_after_the_largest() {
    let mut sequences = idempotent();
    let (first, ..) = send(&mut sequences, batch(1));
    sequences.acknowledged(first);
    sequences.numbers.take(i32::MAX - 2);
    assert_eq!(send(&mut sequences, batch(3)).2, i32::MAX - 1);
    assert_eq!(sequences.upcoming().base_sequence, 1);
}

#[test]
fn the_window_counts_what_the_broker_remembers_and_not_only_what_is_open() {
    let (mut sequences, tickets) = five_in_flight();
    sequences.retry(tickets[0], true);
    for &ticket in &tickets[1..] {
        sequences.acknowledged(ticket);
    }
    sequences.resend(tickets[0]);
    // A sixth batch would make the broker forget the first, whose repeat it could not tell from a gap then.
    assert_eq!(sequences.next(), Next::Wait);
    sequences.acknowledged(tickets[0]);
    assert_eq!(sequences.next(), Next::New);
}

#[test]
fn a_log_that_may_have_forgotten_the_producer_gets_one_batch_until_it_acknowledged_it() {
    let mut sequences = idempotent();
    let (first, ..) = send(&mut sequences, batch(1));
    sequences.acknowledged(first);
    let (before, ..) = send(&mut sequences, batch(2));
    let (also, ..) = send(&mut sequences, batch(3));
    sequences.unanchor();
    assert_eq!(sequences.next(), Next::Wait);
    sequences.acknowledged(before);
    assert_eq!(sequences.next(), Next::Wait, "the old log took it, which says nothing about the new one");
    sequences.retry(also, false);
    sequences.resend(also);
    assert_eq!(sequences.next(), Next::Wait);
    sequences.acknowledged(also);
    assert_eq!(send(&mut sequences, batch(1)).2, 6);
    assert_eq!(send(&mut sequences, batch(1)).2, 7, "it took a batch sent since");
}

#[test]
fn without_idempotence_failures_go_first_and_nothing_is_numbered() {
    let mut sequences = Sequences::new(false, 2);
    let (first, epoch, sequence) = send(&mut sequences, batch(1));
    assert_eq!((epoch, sequence), (-1, -1));
    let (second, ..) = send(&mut sequences, batch(2));
    assert_eq!(sequences.next(), Next::Wait);
    sequences.retry(second, true);
    assert_eq!(sequences.next(), Next::Retry(second));
    sequences.resend(second);
    sequences.acknowledged(first);
    assert_eq!(sequences.next(), Next::New);
    drop(sequences.refused(second));
    assert!(sequences.settle().is_empty() && sequences.is_empty());
}

#[test]
fn a_sequence_that_was_kept_goes_on_behind_its_last_number() {
    let mut sequences = idempotent();
    assert_eq!(Sequences::new(true, 5).keep(), None, "it has not begun");
    let (first, ..) = send(&mut sequences, batch(3));
    sequences.acknowledged(first);
    let kept = sequences.keep().expect("begun");
    let mut restored = Sequences::restored(5, kept);
    let (second, epoch, sequence) = send(&mut restored, batch(2));
    assert_eq!((epoch, sequence), (0, 3));
    assert_eq!(restored.next(), Next::Wait, "it has no anchor");
    restored.acknowledged(second);
    assert_eq!(restored.next(), Next::New);
}

#[test]
fn a_spent_id_is_kept_as_spent() {
    let mut sequences = idempotent();
    let (ticket, ..) = send(&mut sequences, batch(1));
    sequences.spent(ticket);
    drop(sequences.settle());
    let mut restored = Sequences::restored(5, sequences.keep().expect("begun"));
    assert_eq!(restored.next(), Next::NeedsIdentity);
    assert!(!restored.identify(FIRST) && restored.identify(Identity { producer_id: 8, epoch: 0 }));
}
