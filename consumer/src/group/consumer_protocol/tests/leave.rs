//! Leaving, and being left alone by the application.

use super::*;

#[test]
fn a_member_leaves_with_its_id_and_has_left_when_that_is_answered() {
    for (config, epoch) in [(config(), -1), (static_config(), -2)] {
        let mut script = Script::stable(config, "a-0");
        let member_id = script.member.membership().member_id;
        script.member.leave();
        assert!(!script.member.has_left());
        let (id, request) = script.leave();
        assert_eq!((request.member_epoch, request.member_id), (epoch, member_id));
        script.member.handle_leave(script.now, id, &answer(epoch, None));
        assert!(script.member.has_left());
        script.nothing_to_send();
        assert_eq!(script.member.poll_deadline(), None);
    }
}

#[test]
fn a_member_that_was_never_in_has_left_at_once() {
    let mut script = Script::new(config(), topics(&["a"]));
    script.member.leave();
    assert!(script.member.has_left());
    script.nothing_to_send();
}

#[test]
fn leaving_waits_for_the_answer_to_a_join_that_would_undo_it() {
    let mut script = Script::new(config(), topics(&["a"]));
    script.found(1);
    let (id, _) = script.heartbeat();
    script.member.leave();
    script.nothing_to_send();
    script.answered(id, 1, Some("a-0"));
    assert!(!script.member.has_left() && script.member.poll_event().is_none());
    let (id, request) = script.leave();
    assert_eq!(request.member_epoch, -1);
    script.member.handle_leave(script.now, id, &answer(-1, None));
    assert!(script.member.has_left());
}

#[test]
fn leaving_does_not_wait_for_a_heartbeat() {
    let mut script = Script::stable(config(), "a-0");
    script.advance(seconds(5));
    let (beat, _) = script.heartbeat();
    script.member.leave();
    let (id, _) = script.leave();
    script.answered(beat, 2, Some("a-0 a-1"));
    script.member.handle_leave(script.now, id, &answer(-1, None));
    assert!(script.member.has_left() && script.member.poll_event().is_none());
}

#[test]
fn leaving_follows_the_coordinator() {
    let mut script = Script::stable(config(), "a-0");
    script.member.leave();
    let (id, _) = script.leave();
    script.member.handle_leave(script.now, id, &refused(ErrorCode::NOT_COORDINATOR));
    script.advance_to_deadline();
    script.found(2);
    let (id, _) = script.leave();
    script.member.handle_leave(script.now, id, &Err(Error::new(ErrorKind::Closed, "the client is gone")));
    assert!(script.member.has_left());
}

#[test]
fn an_application_that_does_not_poll_loses_all_and_joins_again_when_it_does() {
    for (config, epoch) in [(config(), -1), (static_config(), -2)] {
        let mut script = Script::stable(config, "a-0");
        let member_id = script.member.membership().member_id;
        script.advance(seconds(299));
        assert!(script.member.poll_event().is_none());
        script.advance(seconds(1));
        let (id, request) = script.leave();
        assert_eq!(request.member_epoch, epoch);
        assert!(script.member.awaits_poll() && !script.member.membership().is_member());
        script.acknowledge_lost("a-0");
        script.nothing_to_send();

        script.now += seconds(1);
        script.member.polled(script.now);
        script.nothing_to_send();
        script.member.handle_leave(script.now, id, &answer(epoch, None));
        let (_, request) = script.heartbeat();
        assert_eq!((request.member_epoch, request.member_id), (0, member_id));
    }
}

#[test]
fn a_join_that_the_application_slept_through_is_undone_before_the_next() {
    let mut script = Script::new(config(), topics(&["a"]));
    script.found(1);
    let (join, _) = script.heartbeat();
    script.advance(seconds(300));
    script.now += seconds(1);
    script.member.polled(script.now);
    script.answered(join, 1, Some("a-0"));
    assert!(script.member.poll_event().is_none());
    let (id, _) = script.leave();
    script.member.handle_leave(script.now, id, &answer(-1, None));
    assert_eq!(script.heartbeat().1.member_epoch, 0);
}

#[test]
fn a_join_that_may_have_been_heard_is_left_even_if_the_next_one_was_not_sent() {
    let mut script = Script::new(config(), topics(&["a"]));
    script.found(1);
    for written in [true, false] {
        let (join, _) = script.heartbeat();
        let lost = disconnected().with_possibly_written(written);
        script.member.handle_heartbeat(script.now, join, Err(lost));
        script.advance_to_deadline();
        script.found(1);
    }
    script.member.leave();
    assert!(!script.member.has_left());
    let (id, request) = script.leave();
    assert_eq!(request.member_epoch, -1);
    script.member.handle_leave(script.now, id, &answer(-1, None));
    assert!(script.member.has_left());
}
