//! What the coordinator's refusals lead to.

use super::*;

fn refused_by(config: GroupConfig, code: ErrorCode) -> Script {
    let mut script = Script::stable(config, "a-0");
    script.advance(seconds(5));
    let (id, _) = script.heartbeat();
    script.refuse(id, code);
    script
}

#[test]
fn a_fenced_member_loses_all_and_joins_anew_under_its_old_id_once_the_application_knows() {
    // Without the group there is no member; a join makes it.
    for code in [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::FENCED_MEMBER_EPOCH, ErrorCode::GROUP_ID_NOT_FOUND]
    {
        let mut script = refused_by(config(), code);
        let old = script.member.identity.member_id.clone();
        assert!(!script.member.membership().is_member());
        script.nothing_to_send();
        script.acknowledge_lost("a-0");
        let (id, request) = script.heartbeat();
        assert_eq!((request.member_id, request.member_epoch), (old, 0));
        assert_eq!(request.topic_partitions, Some(Vec::new()));
        script.answered(id, 7, Some("b-0"));
        script.knows_all();
        script.acknowledge_assigned("b-0", "b-0");
        assert_eq!(script.member.membership().generation_id, 7);
    }
}

#[test]
fn a_member_that_is_fenced_again_and_again_waits_longer_each_time() {
    let mut script = refused_by(config(), ErrorCode::UNKNOWN_MEMBER_ID);
    script.acknowledge_lost("a-0");
    let (id, _) = script.heartbeat();
    script.refuse(id, ErrorCode::UNKNOWN_MEMBER_ID);
    script.nothing_to_send();
    script.advance_to_deadline();
    script.heartbeat();
}

#[test]
fn a_loss_during_a_step_comes_after_it() {
    let mut script = Script::stable(config(), "a-0");
    script.advance(seconds(5));
    let (id, _) = script.heartbeat();
    script.answered(id, 2, Some("a-0 a-1"));
    script.advance(seconds(5));
    let (id, _) = script.heartbeat();
    script.refuse(id, ErrorCode::UNKNOWN_MEMBER_ID);
    script.acknowledge_assigned("a-1", "a-0 a-1");
    script.nothing_to_send();
    script.acknowledge_lost("a-0 a-1");
    assert_eq!(script.heartbeat().1.member_epoch, 0);
}

#[test]
fn a_static_member_that_is_fenced_by_its_epoch_lets_go_of_its_instance_id_before_it_joins() {
    let mut script = refused_by(static_config(), ErrorCode::FENCED_MEMBER_EPOCH);
    let (id, request) = script.leave();
    assert_eq!((request.member_epoch, request.instance_id.as_deref()), (-2, Some("i")));
    script.acknowledge_lost("a-0");
    script.nothing_to_send();
    script.member.handle_leave(script.now, id, &refused(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(script.heartbeat().1.member_epoch, 0);
}

#[test]
fn a_static_member_whose_join_was_not_answered_lets_go_of_its_instance_id_before_the_next() {
    let mut script = Script::new(static_config(), topics(&["a"]));
    script.found(1);
    let (id, _) = script.heartbeat();
    let lost = disconnected().with_possibly_written(true);
    script.member.handle_heartbeat(script.now, id, Err(lost));
    script.advance_to_deadline();
    script.found(1);
    let (id, request) = script.leave();
    assert_eq!(request.member_epoch, -2);
    script.member.handle_leave(script.now, id, &answer(-2, None));
    let (id, request) = script.heartbeat();
    assert_eq!(request.member_epoch, 0);
    // One that never left needs no such thing.
    script.member.handle_heartbeat(script.now, id, Err(disconnected().with_possibly_written(false)));
    script.advance_to_deadline();
    script.found(1);
    assert_eq!(script.heartbeat().1.member_epoch, 0);
}

#[test]
fn what_a_repetition_does_not_cure_is_reported_for_good() {
    for code in [
        ErrorCode::FENCED_INSTANCE_ID,
        ErrorCode::UNSUPPORTED_ASSIGNOR,
        ErrorCode::INVALID_REGULAR_EXPRESSION,
        ErrorCode::UNSUPPORTED_VERSION,
        ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ErrorCode::INVALID_REQUEST,
    ] {
        let mut script = refused_by(config(), code);
        script.acknowledge_lost("a-0");
        let (error, lasting) = script.failure();
        assert!(lasting && error.to_string().contains("`g`"), "{code}: {error}");
        script.acknowledge();
        assert!(script.failure().1, "it stays");
        // The coordinator is told, so that others get the partitions; then all is quiet.
        let (id, request) = script.leave();
        assert_eq!(request.member_epoch, -1);
        script.member.handle_leave(script.now, id, &answer(-1, None));
        script.nothing_to_send();
        assert_eq!(script.member.poll_deadline(), None);
    }
}

#[test]
fn what_may_pass_is_reported_and_tried_again_when_the_application_knows() {
    for code in [
        ErrorCode::UNRELEASED_INSTANCE_ID,
        ErrorCode::GROUP_MAX_SIZE_REACHED,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
    ] {
        let mut script = Script::new(config(), topics(&["a"]));
        script.found(1);
        let (id, _) = script.heartbeat();
        script.refuse(id, code);
        let (error, lasting) = script.failure();
        assert!(!lasting);
        assert_eq!(error.is_retriable(), code != ErrorCode::TOPIC_AUTHORIZATION_FAILED, "{error}");
        script.nothing_to_send();
        script.acknowledge();
        script.nothing_to_send();
        script.advance_to_deadline();
        assert_eq!(script.heartbeat().1.member_epoch, 0);
    }
}

#[test]
fn brokers_without_the_protocol_are_told_from_others_by_name() {
    let mut script = Script::new(config(), topics(&["a"]));
    script.found(1);
    let (id, _) = script.heartbeat();
    let error = Error::new(ErrorKind::UnsupportedVersion, "no ConsumerGroupHeartbeat");
    script.member.handle_heartbeat(script.now, id, Err(error));
    let (error, lasting) = script.failure();
    assert_eq!((error.kind(), lasting), (ErrorKind::UnsupportedVersion, true));
    assert!(error.to_string().contains("group.protocol=classic"), "{error}");
}

#[test]
fn an_answer_without_an_epoch_is_no_membership() {
    let mut script = Script::new(config(), topics(&["a"]));
    script.found(1);
    let (id, _) = script.heartbeat();
    script.answered(id, 0, Some("a-0"));
    assert_eq!(script.failure().0.kind(), ErrorKind::Protocol);
    assert!(!script.member.membership().is_member());
}

#[test]
fn the_coordinators_own_words_are_in_the_error() {
    let mut script = Script::new(config(), topics(&["a"]));
    script.found(1);
    let (id, _) = script.heartbeat();
    let response = ConsumerGroupHeartbeatResponse {
        error_code: ErrorCode::INVALID_REGULAR_EXPRESSION,
        error_message: Some("a missing bracket".into()),
        ..Default::default()
    };
    script.member.handle_heartbeat(script.now, id, Ok(response));
    let error = script.failure().0;
    assert!(error.to_string().contains("a missing bracket"), "{error}");
}

#[test]
fn a_group_that_cannot_be_made_by_joining_is_reported_for_good() {
    let mut script = Script::new(config(), topics(&["a"]));
    script.found(1);
    let (id, _) = script.heartbeat();
    script.refuse(id, ErrorCode::GROUP_ID_NOT_FOUND);
    let (error, lasting) = script.failure();
    assert!(lasting && error.to_string().contains("group.protocol=classic"), "{error}");
}

#[test]
fn a_commit_that_finds_no_group_has_the_next_heartbeat_ask() {
    let mut script = Script::stable(config(), "a-0");
    let current = script.member.membership();
    script.member.handle_commit_refused(script.now, ErrorCode::GROUP_ID_NOT_FOUND, &current);
    let (id, _) = script.heartbeat();
    script.refuse(id, ErrorCode::GROUP_ID_NOT_FOUND);
    script.acknowledge_lost("a-0");
    assert_eq!(script.heartbeat().1.member_epoch, 0);
}
