//! What a member notices while its JoinGroup is held: a coordinator that froze or moved, and nothing else.

use super::*;

fn timed_out() -> Error {
    Error::new(ErrorKind::Timeout, "no answer")
}

/// A member that has `a-0` and waits in the next rebalance at node 1; the number of its JoinGroup.
fn waiting() -> (Script, u64) {
    let mut script = Script::stable(config(cooperative()), &["a"], "a-0");
    script.member.request_rejoin("test");
    let (held, _) = script.join();
    (script, held)
}

#[test]
fn a_coordinator_that_freezes_in_a_rebalance_is_left_when_another_has_taken_its_place() {
    let (mut script, held) = waiting();
    script.advance(seconds(2));
    script.nothing_to_send();
    script.advance(seconds(1));
    let (probe, request) = script.heartbeat();
    assert_eq!((request.member_id.as_str(), request.generation_id), ("m", 1));
    script.member.handle_heartbeat(script.now, probe, Err(timed_out()));
    script.advance_to_deadline();
    assert_eq!(script.found(1), Some(1));
    // It may be slow; then the place in its rebalance is worth waiting for.
    let (probe, _) = script.heartbeat();
    script.member.handle_heartbeat(script.now, probe, Err(timed_out()));
    script.advance_to_deadline();
    assert_eq!(script.found(2), Some(1));
    let request = script.request().expect("JoinGroup");
    let MemberRequest { id, node: 2, body: RequestBody::Join(join) } = request else { panic!("{request:?}") };
    assert_eq!((join.member_id.as_str(), told(&join)), ("m", (vec!["a".into()], "a-0".into(), 1)));
    script.is("m", 1);
    assert_eq!(script.event(), "nothing");

    script.joined(held, 7, "other");
    script.nothing_to_send();
    script.is("m", 1);
    script.joined(id, 2, "other");
    script.is("m", 2);
}

#[test]
fn a_coordinator_that_moves_in_a_rebalance_is_followed() {
    for code in [ErrorCode::NOT_COORDINATOR, ErrorCode::COORDINATOR_NOT_AVAILABLE] {
        let (mut script, _) = waiting();
        script.beat(code);
        script.nothing_to_send();
        script.advance_to_deadline();
        script.found(2);
        assert_eq!(script.join().1.member_id, "m");
        script.is("m", 1);
    }
}

#[test]
fn a_first_joingroup_is_not_waited_for_where_the_coordinator_is_no_more() {
    let mut script = Script::new(config(range()), &["a"]);
    script.found(1);
    let (held, _) = script.join();
    let request = script.beat(ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!((request.member_id.as_str(), request.generation_id), ("", -1));
    script.nothing_to_send();
    script.beat(ErrorCode::NOT_COORDINATOR);
    script.advance_to_deadline();
    script.found(2);
    let (id, _) = script.join();
    script.joined(held, 1, "other");
    script.nothing_to_send();
    script.joined(id, 1, "other");
    script.sync();
}

#[test]
fn a_place_in_a_slow_rebalance_is_kept_whatever_heartbeats_say_of_the_membership() {
    let codes = [
        ErrorCode::REBALANCE_IN_PROGRESS,
        ErrorCode::NONE,
        ErrorCode::ILLEGAL_GENERATION,
        ErrorCode::UNKNOWN_MEMBER_ID,
        ErrorCode::FENCED_INSTANCE_ID,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
    ];
    let (mut script, held) = waiting();
    for code in codes.into_iter().cycle().take(90) {
        script.beat(code);
        script.nothing_to_send();
    }
    script.is("m", 1);
    script.joined(held, 2, "other");
    let (id, _) = script.sync();
    script.synced(id, "a-0");
    script.acknowledge_assigned("", "a-0");
}

#[test]
fn a_heartbeat_from_before_the_answer_to_joingroup_says_nothing_of_what_came_after() {
    let (mut script, held) = waiting();
    script.advance(seconds(3));
    let (probe, _) = script.heartbeat();
    script.joined(held, 2, "other");
    let (id, _) = script.sync();
    script.synced(id, "a-0");
    script.acknowledge_assigned("", "a-0");
    script.member.handle_heartbeat(script.now, probe, heartbeat(ErrorCode::ILLEGAL_GENERATION));
    assert_eq!(script.event(), "nothing");
    script.is("m", 2);

    let mut script = Script::new(config(range()), &["a"]);
    script.found(1);
    let (id, _) = script.join();
    script.advance(seconds(3));
    let (probe, _) = script.heartbeat();
    let required = JoinGroupResponse {
        error_code: ErrorCode::MEMBER_ID_REQUIRED,
        member_id: "m".into(),
        ..Default::default()
    };
    script.member.handle_join(script.now, id, Ok(required));
    script.member.handle_heartbeat(script.now, probe, heartbeat(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(script.join().1.member_id, "m");
}

#[test]
fn a_joingroup_from_before_a_sleep_does_not_hold_up_the_next_where_the_coordinator_is_no_more() {
    let mut script = Script::new(config(range()), &["a"]);
    script.found(1);
    script.join();
    script.advance(seconds(300));
    script.advance(seconds(1000));
    script.member.polled(script.now);
    script.nothing_to_send();
    script.advance(seconds(3));
    let (probe, _) = script.heartbeat();
    script.member.handle_heartbeat(script.now, probe, Err(timed_out()));
    script.advance_to_deadline();
    script.found(2);
    script.join();
}

#[test]
fn leaving_does_not_wait_for_a_member_id_from_a_coordinator_that_is_none_any_more() {
    let mut script = Script::stable(config(range()), &["a"], "a-0");
    script.member.oversleep();
    let (leave, _) = script.leave();
    script.advance(seconds(1));
    script.member.polled(script.now);
    script.acknowledge("lost a-0");
    script.join();
    script.member.leave();
    let response = LeaveGroupResponse { error_code: ErrorCode::NOT_COORDINATOR, ..Default::default() };
    script.member.handle_leave(script.now, leave, &Ok(response));
    script.advance_to_deadline();
    script.found(2);
    let (leave, _) = script.leave();
    script.left(leave);
    assert!(script.member.has_left());
}

#[test]
fn a_joingroup_that_was_given_up_takes_the_member_id_along_that_it_brings() {
    let (mut script, held) = waiting();
    script.advance(seconds(3));
    let (probe, _) = script.heartbeat();
    let strange = Error::new(ErrorKind::Protocol, "unreadable");
    script.member.handle_heartbeat(script.now, probe, Err(strange));
    script.acknowledge("lost a-0");
    script.acknowledge("failed Protocol");
    script.joined(held, 2, "other");
    let (id, request) = script.leave();
    assert_eq!(request.member_id, "m");
    script.left(id);
    script.advance_to_deadline();
    assert_eq!(script.join().1.member_id, "");
}
