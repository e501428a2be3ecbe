//! Leaving on command, by oversleeping, and what is still on its way then.

use super::*;

#[test]
fn a_dynamic_member_leaves_with_a_reason() {
    let mut script = Script::stable(config(range()), &["a"], "a-0");
    script.member.leave();
    assert!(!script.member.has_left());
    script.is("", -1);
    let (id, request) = script.leave();
    let expected =
        LeaveRequest { group_id: "g".into(), member_id: "m".into(), reason: "the consumer is closed".into() };
    assert_eq!(request, expected);
    assert_eq!(script.member.poll_deadline(), None);
    script.left(id);
    assert!(script.member.has_left());
    script.advance(seconds(1000));
    script.nothing_to_send();
}

#[test]
fn the_leave_request_has_the_form_of_its_version() {
    let request = LeaveRequest { group_id: "g".into(), member_id: "m".into(), reason: "why".into() };
    let old = request.to_message(2);
    assert_eq!((old.member_id.as_str(), old.members.len()), ("m", 0));
    let new = request.to_message(3);
    assert_eq!((new.member_id.as_str(), new.members[0].member_id.as_str()), ("", "m"));
    assert_eq!(new.members[0].reason.as_deref(), Some("why"));
}

#[test]
fn a_static_member_stays_in_the_group() {
    let config = GroupConfig { group_instance_id: Some("i".into()), ..config(range()) };
    let mut script = Script::stable(config, &["a"], "a-0");
    script.member.leave();
    assert!(script.member.has_left());
    script.nothing_to_send();
}

#[test]
fn leaving_follows_the_coordinator() {
    let mut script = Script::stable(config(range()), &["a"], "a-0");
    script.member.leave();
    let (id, _) = script.leave();
    let response = LeaveGroupResponse { error_code: ErrorCode::NOT_COORDINATOR, ..Default::default() };
    script.member.handle_leave(script.now, id, &Ok(response));
    assert!(!script.member.has_left());
    script.advance_to_deadline();
    script.found(2);
    let (id, request) = script.leave();
    assert_eq!(request.member_id, "m");
    let response = LeaveGroupResponse { error_code: ErrorCode::UNKNOWN_MEMBER_ID, ..Default::default() };
    script.member.handle_leave(script.now, id, &Ok(response));
    assert!(script.member.has_left());
}

#[test]
fn a_member_that_never_joined_has_left_at_once() {
    let mut script = Script::new(config(range()), &["a"]);
    script.found(1);
    script.member.leave();
    assert!(script.member.has_left());
}

#[test]
fn a_held_first_joingroup_is_undone_when_its_answer_brings_an_id() {
    for code in [ErrorCode::NONE, ErrorCode::MEMBER_ID_REQUIRED] {
        let mut script = Script::new(config(range()), &["a"]);
        script.found(1);
        let (id, _) = script.join();
        script.member.leave();
        assert!(!script.member.has_left());
        let response = JoinGroupResponse {
            error_code: code,
            member_id: "m".into(),
            generation_id: 1,
            ..Default::default()
        };
        script.member.handle_join(script.now, id, Ok(response));
        let (id, request) = script.leave();
        assert_eq!(request.member_id, "m");
        script.left(id);
        assert!(script.member.has_left());
    }
}

#[test]
fn leaving_during_a_rebalance_does_not_wait_for_it() {
    let mut script = Script::stable(config(cooperative()), &["a"], "a-0");
    script.member.request_rejoin("test");
    script.join();
    script.member.leave();
    let (id, request) = script.leave();
    assert_eq!(request.member_id, "m");
    script.left(id);
    assert!(script.member.has_left());
}

/// Lets the application not poll for as long as it may, while heartbeats are answered.
fn oversleep(script: &mut Script) {
    for _ in 0..99 {
        script.beat(ErrorCode::NONE);
    }
    script.advance(seconds(3));
}

#[test]
fn an_application_that_does_not_poll_leaves_and_joins_anew_when_it_polls_again() {
    let mut script = Script::stable(config(range()), &["a"], "a-0");
    oversleep(&mut script);
    assert!(script.member.awaits_poll());
    script.is("", -1);
    let (id, request) = script.leave();
    assert_eq!(request.member_id, "m");
    assert_eq!(request.reason, "the application has not polled for max.poll.interval.ms");
    script.left(id);
    assert_eq!(script.member.poll_deadline(), None);

    script.member.polled(script.now);
    script.nothing_to_send();
    script.acknowledge("lost a-0");
    assert_eq!(script.join().1.member_id, "");
}

#[test]
fn an_application_that_polls_in_time_stays() {
    let mut script = Script::stable(config(range()), &["a"], "a-0");
    for _ in 0..3 {
        for _ in 0..99 {
            script.beat(ErrorCode::NONE);
        }
        script.member.polled(script.now);
    }
    script.is("m", 1);
    assert_eq!(script.event(), "nothing");
}

#[test]
fn a_loss_by_oversleeping_that_is_not_known_yet_keeps_the_member_out() {
    let mut script = Script::stable(config(cooperative()), &["a"], "a-0");
    oversleep(&mut script);
    let (id, _) = script.leave();
    script.left(id);
    assert_eq!(script.event(), "lost a-0");
    script.advance(seconds(100));
    script.nothing_to_send();
}

#[test]
fn a_static_member_that_oversleeps_stops_its_heartbeats_but_does_not_leave() {
    let config = GroupConfig { group_instance_id: Some("i".into()), ..config(range()) };
    let mut script = Script::stable(config, &["a"], "a-0");
    oversleep(&mut script);
    script.nothing_to_send();
    script.member.polled(script.now);
    script.acknowledge("lost a-0");
    let (_, request) = script.join();
    assert_eq!((request.member_id.as_str(), request.group_instance_id.as_deref()), ("", Some("i")));
}

#[test]
fn a_joingroup_held_beyond_the_oversleeping_is_undone_and_blocks_the_next_until_it_is_answered() {
    let mut script = Script::new(config(range()), &["a"]);
    script.found(1);
    let (held, _) = script.join();
    script.advance(seconds(300));
    assert!(script.member.awaits_poll());
    script.advance(seconds(1));
    script.member.polled(script.now);
    script.nothing_to_send();
    script.joined(held, 1, "other");
    let requests: Vec<_> = std::iter::from_fn(|| script.request()).map(|request| request.body).collect();
    assert!(
        matches!(&requests[..], [RequestBody::Leave(leave), RequestBody::Join(join)] if leave.member_id == "m" && join.member_id.is_empty()),
        "{requests:?}"
    );
}

#[test]
fn a_sleeper_remembers_the_rebalance_that_it_owes_its_generation() {
    let config = GroupConfig { group_instance_id: Some("i".into()), ..config(cooperative()) };
    let mut script = Script::stable(config, &["a"], "a-0");
    assert!(script.member.request_rejoin("partitions were added"));
    script.member.oversleep();
    assert_eq!(script.member.identity.owed, Some((1, "partitions were added".to_owned())));
}

/// The leaving is told to a node that is not the coordinator, and then nobody says who is.
fn refused_look_up(script: &mut Script) {
    let (id, _) = script.leave();
    let response = LeaveGroupResponse { error_code: ErrorCode::NOT_COORDINATOR, ..Default::default() };
    script.member.handle_leave(script.now, id, &Ok(response));
    script.advance_to_deadline();
    let (id, _) = script.find();
    let error = Error::from_code(ErrorCode::GROUP_AUTHORIZATION_FAILED, "cannot find the coordinator");
    script.member.handle_coordinator(script.now, id, Err(error));
}

#[test]
fn a_look_up_that_is_refused_ends_a_leaving_and_is_not_repeated() {
    let mut script = Script::stable(config(range()), &["a"], "a-0");
    script.member.leave();
    refused_look_up(&mut script);
    assert!(script.member.has_left());
    assert_eq!((script.request(), script.member.poll_deadline()), (None, None));

    let mut script = Script::stable(config(range()), &["a"], "a-0");
    oversleep(&mut script);
    refused_look_up(&mut script);
    assert!(script.member.awaits_poll());
    assert_eq!((script.request(), script.member.poll_deadline()), (None, None));
    script.member.polled(script.now);
    script.acknowledge("lost a-0");
    script.find();
}

#[test]
fn a_member_whose_look_up_is_refused_fails_and_leaves_nobody_to_be_told() {
    let mut script = Script::stable(config(range()), &["a"], "a-0");
    script.beat(ErrorCode::NOT_COORDINATOR);
    script.advance_to_deadline();
    let (id, _) = script.find();
    let error = Error::from_code(ErrorCode::GROUP_AUTHORIZATION_FAILED, "cannot find the coordinator");
    script.member.handle_coordinator(script.now, id, Err(error));
    script.acknowledge("lost a-0");
    assert_eq!(script.event(), "failed for good Authorization");
    assert_eq!((script.request(), script.member.poll_deadline()), (None, None));
    script.member.leave();
    assert!(script.member.has_left());
}

#[test]
fn a_member_that_fails_for_good_leaves_so_that_nobody_waits_for_it() {
    let mut script = Script::new(config(range()), &["a"]);
    script.found(1);
    let (id, _) = script.join();
    script.joined(id, 1, "m");
    let task = script.member.poll_assignment().expect("a task");
    let panicked = Error::new(ErrorKind::InvalidState, "the assignor panicked");
    script.member.handle_assignment(task.id, Err(panicked), &Layout::new());
    assert_eq!(script.event(), "failed for good InvalidState");
    let (id, request) = script.leave();
    assert_eq!((request.member_id.as_str(), request.reason.as_str()), ("m", "the consumer failed"));
    script.left(id);
    script.nothing_to_send();
    assert_eq!(script.member.poll_deadline(), None);
}

#[test]
fn a_member_that_fails_with_the_answer_that_brings_its_id_leaves_under_it() {
    let mut script = Script::new(config(range()), &["a"]);
    script.found(1);
    let (id, _) = script.join();
    let response = JoinGroupResponse {
        generation_id: 1,
        protocol_name: Some("mine".into()),
        leader: "other".into(),
        member_id: "m".into(),
        ..Default::default()
    };
    script.member.handle_join(script.now, id, Ok(response));
    assert_eq!(script.event(), "failed for good Protocol");
    assert_eq!(script.leave().1.member_id, "m");
}
