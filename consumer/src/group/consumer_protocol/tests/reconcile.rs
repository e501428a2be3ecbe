//! Following the target.

use super::*;

/// The next heartbeat that goes out without a wait says that exactly this is held.
fn tells_at_once(script: &mut Script, holds: &str) -> u64 {
    let (id, request) = script.heartbeat();
    assert_eq!(request.topic_partitions, Some(by_id(holds)));
    id
}

fn told(script: &mut Script, epoch: i32, assignment: &str) {
    script.advance(seconds(5));
    let (id, _) = script.heartbeat();
    script.answered(id, epoch, Some(assignment));
    script.knows_all();
}

#[test]
fn what_goes_is_held_until_it_was_given_up_and_what_comes_is_not_before_it_was_taken_over() {
    let mut script = Script::stable(config(), "a-0 a-1");
    told(&mut script, 1, "a-1 b-0");
    script.nothing_to_send();
    script.advance(seconds(5));
    let (id, request) = script.heartbeat();
    assert_eq!(request.topic_partitions, None, "as before");
    script.answered(id, 1, None);

    script.acknowledge_revoked("a-0");
    let id = tells_at_once(&mut script, "a-1");
    script.answered(id, 1, None);
    script.nothing_to_send();
    script.acknowledge_assigned("b-0", "a-1 b-0");
    let id = tells_at_once(&mut script, "a-1 b-0");
    script.answered(id, 2, None);
    script.nothing_to_send();
    assert!(script.member.poll_event().is_none());
    assert_eq!(script.member.membership().generation_id, 2);
}

#[test]
fn a_step_that_is_taken_while_a_heartbeat_is_under_way_is_told_after_it() {
    let mut script = Script::stable(config(), "a-0 a-1");
    told(&mut script, 1, "a-1");
    script.advance(seconds(5));
    let (id, _) = script.heartbeat();
    script.acknowledge_revoked("a-0");
    script.nothing_to_send();
    script.answered(id, 1, None);
    tells_at_once(&mut script, "a-1");
}

#[test]
fn a_newer_target_takes_the_place_of_an_older_one_within_a_revocation() {
    let mut script = Script::stable(config(), "a-0 a-1");
    told(&mut script, 1, "a-0");
    told(&mut script, 1, "a-0 b-3");
    script.acknowledge_revoked("a-1");
    let id = tells_at_once(&mut script, "a-0");
    script.answered(id, 2, None);
    script.acknowledge_assigned("b-3", "a-0 b-3");
    tells_at_once(&mut script, "a-0 b-3");
}

#[test]
fn a_partition_that_is_given_back_while_it_is_revoked_comes_again_after_it_went() {
    let mut script = Script::stable(config(), "a-0 a-1");
    told(&mut script, 1, "a-0");
    told(&mut script, 2, "a-0 a-1");
    script.acknowledge_revoked("a-1");
    let id = tells_at_once(&mut script, "a-0");
    script.answered(id, 2, None);
    script.acknowledge_assigned("a-1", "a-0 a-1");
}

#[test]
fn a_newer_target_waits_for_an_assignment_that_the_application_takes_over() {
    let mut script = Script::stable(config(), "a-0");
    told(&mut script, 2, "a-0 a-1");
    told(&mut script, 2, "a-0");
    script.acknowledge_assigned("a-1", "a-0 a-1");
    script.acknowledge_revoked("a-1");
    // Between the two the application had both, and nobody was told: the coordinator hears where it led.
    let id = tells_at_once(&mut script, "a-0");
    script.answered(id, 3, None);
    script.acknowledge_assigned("", "a-0");
    assert!(script.member.poll_event().is_none());
}

#[test]
fn a_target_that_changes_nothing_is_acknowledged() {
    let mut script = Script::stable(config(), "");
    script.advance(seconds(5));
    let (id, _) = script.heartbeat();
    script.answered(id, 2, Some("a-0"));
    // Its name is not known, so nothing of it was ever held.
    let Some(Ask { body: AskBody::TopicNames(_), .. }) = script.request() else { panic!("a look-up is due") };
    let id = tells_at_once(&mut script, "");
    script.answered(id, 2, Some(""));
    tells_at_once(&mut script, "");
    assert!(script.member.poll_event().is_none());
}

#[test]
fn topics_whose_names_are_not_known_wait_and_do_not_hold_up_the_others() {
    let mut script = Script::stable(config(), "a-0");
    script.advance(seconds(5));
    let (id, _) = script.heartbeat();
    script.answered(id, 2, Some("a-0 a-1 b-0"));
    script.acknowledge_assigned("a-1", "a-0 a-1");
    let Some(Ask { id: lookup, body: AskBody::TopicNames(ids) }) = script.request() else {
        panic!("a look-up is due")
    };
    assert_eq!(ids, [super::id("b")]);
    let told = tells_at_once(&mut script, "a-0 a-1");
    script.answered(told, 2, None);

    // Metadata lags: it is asked again, with pauses.
    script.member.handle_names(script.now, lookup, Ok(Vec::new()));
    script.nothing_to_send();
    script.advance_to_deadline();
    let Some(Ask { id: lookup, body: AskBody::TopicNames(_) }) = script.request() else {
        panic!("a look-up is due")
    };
    script.member.handle_names(script.now, lookup, Ok(vec![(super::id("b"), "b".into())]));
    script.acknowledge_assigned("b-0", "a-0 a-1 b-0");
    tells_at_once(&mut script, "a-0 a-1 b-0");
}

#[test]
fn a_topic_that_was_created_again_is_another_one() {
    let mut script = Script::stable(config(), "a-0 a-1");
    told(&mut script, 2, "a'-0");
    script.acknowledge_revoked("a-0 a-1");
    let id = tells_at_once(&mut script, "");
    script.answered(id, 2, None);
    script.acknowledge_assigned("a-0", "a-0");
    tells_at_once(&mut script, "a'-0");
}

#[test]
fn topics_that_are_no_longer_subscribed_to_go_at_once_and_come_back_by_the_coordinators_word_only() {
    let mut script = Script::stable(config(), "a-0 b-0");
    script.member.set_interest(script.now, topics(&["a"]));
    let (id, request) = script.heartbeat();
    assert_eq!(request.subscribed_topic_names, Some(vec!["a".to_owned()]));
    assert_eq!(request.topic_partitions, Some(by_id("a-0 b-0")), "still held");
    script.answered(id, 1, Some("a-0"));
    script.acknowledge_revoked("b-0");
    let id = tells_at_once(&mut script, "a-0");
    script.answered(id, 2, None);
    script.acknowledge_assigned("", "a-0");

    script.member.set_interest(script.now, topics(&["a", "b"]));
    assert!(script.member.poll_event().is_none());
    let (id, _) = script.heartbeat();
    script.answered(id, 3, Some("a-0 b-0"));
    script.knows_all();
    script.acknowledge_assigned("b-0", "a-0 b-0");
}

#[test]
fn the_tenure_lasts_as_long_as_nothing_was_given_up() {
    let mut script = Script::stable(config(), "a-0 a-1");
    let first = script.member.membership();
    told(&mut script, 2, "a-0 a-1 b-0");
    script.acknowledge_assigned("b-0", "a-0 a-1 b-0");
    assert_eq!(script.member.membership().tenure, first.tenure);
    let id = tells_at_once(&mut script, "a-0 a-1 b-0");
    script.answered(id, 2, Some("a-0"));
    assert_eq!(script.member.membership().tenure, first.tenure, "a commit of what is to go is still good");
    script.acknowledge_revoked("a-1 b-0");
    assert!(script.member.membership().tenure > first.tenure);
}

#[test]
fn a_stale_epoch_in_a_commit_brings_the_next_heartbeat_forward() {
    let mut script = Script::stable(config(), "a-0");
    let membership = script.member.membership();
    script.nothing_to_send();
    script.member.handle_commit_refused(script.now, ErrorCode::STALE_MEMBER_EPOCH, &membership);
    let (id, _) = script.heartbeat();
    script.answered(id, 2, None);
    script.member.handle_commit_refused(script.now, ErrorCode::UNKNOWN_MEMBER_ID, &membership);
    assert!(script.member.poll_event().is_none(), "it was about an older epoch");
    let membership = script.member.membership();
    script.member.handle_commit_refused(script.now, ErrorCode::UNKNOWN_MEMBER_ID, &membership);
    script.acknowledge_lost("a-0");
}
