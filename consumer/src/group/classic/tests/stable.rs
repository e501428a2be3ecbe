//! Heartbeats, rebalances, losses and coordinator moves.

use super::*;

#[test]
fn heartbeats_go_on_while_the_application_has_something_to_do() {
    let mut script = Script::stable(config(range()), &["a"], "a-0");
    let expected = HeartbeatRequest {
        group_id: "g".into(),
        generation_id: 1,
        member_id: "m".into(),
        ..Default::default()
    };
    assert_eq!(script.beat(ErrorCode::REBALANCE_IN_PROGRESS), expected);
    for _ in 0..90 {
        assert_eq!(script.event(), "revoke a-0");
        assert_eq!(script.beat(ErrorCode::REBALANCE_IN_PROGRESS), expected);
    }
    script.acknowledge("revoke a-0");
    let (_, request) = script.join();
    assert_eq!(request.reason.as_deref(), Some("the group is rebalancing"));
    assert_eq!(script.beat(ErrorCode::REBALANCE_IN_PROGRESS), expected);
}

#[test]
fn heartbeats_go_on_between_join_and_sync() {
    let mut script = Script::new(config(range()), &["a"]);
    script.found(1);
    let (id, _) = script.join();
    script.joined(id, 1, "m");
    script.beat(ErrorCode::NONE);
    let task = script.member.poll_assignment().expect("a task");
    script.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    script.member.handle_assignment(task.id, Ok([("m".into(), partitions("a-0"))].into()), &Layout::new());
    let (id, _) = script.sync();
    script.beat(ErrorCode::ILLEGAL_GENERATION);
    script.synced(id, "a-0");
    script.acknowledge_assigned("a-0", "a-0");
    script.nothing_to_send();
}

#[test]
fn one_heartbeat_waits_for_its_answer_at_a_time() {
    let mut script = Script::stable(config(range()), &["a"], "a-0");
    script.advance(seconds(3));
    let (id, _) = script.heartbeat();
    script.advance(seconds(3));
    script.nothing_to_send();
    script.member.handle_heartbeat(script.now, id, heartbeat(ErrorCode::NONE));
    script.heartbeat();
}

#[test]
fn a_heartbeats_word_of_a_rebalance_that_is_complete_by_now_is_passed_over() {
    let mut script = Script::new(config(range()), &["a"]);
    script.found(1);
    let (id, _) = script.join();
    script.joined(id, 1, "other");
    let (sync, _) = script.sync();
    script.advance(seconds(3));
    let (beat, _) = script.heartbeat();
    script.synced(sync, "a-0");
    script.acknowledge_assigned("a-0", "a-0");
    script.member.handle_heartbeat(script.now, beat, heartbeat(ErrorCode::REBALANCE_IN_PROGRESS));
    assert_eq!(script.event(), "nothing");
    script.nothing_to_send();
}

#[test]
fn a_cooperative_member_rejoins_with_what_it_has_and_gives_up_only_what_goes() {
    let mut script = Script::stable(config(cooperative()), &["a"], "a-0 a-1");
    script.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    let (id, request) = script.join();
    assert_eq!(told(&request), (vec!["a".into()], "a-0 a-1".into(), 1));
    script.joined(id, 2, "other");
    let (id, _) = script.sync();
    let tenure = script.member.membership().tenure;
    script.synced(id, "a-0 a-2");
    assert_eq!(script.member.membership().tenure, tenure, "a commit of a-1 is still good");
    script.nothing_to_send();
    script.acknowledge("revoke a-1");
    assert_eq!(script.member.membership().tenure, tenure + 1);
    script.nothing_to_send();
    script.acknowledge_assigned("a-2", "a-0 a-2");
    let (_, request) = script.join();
    assert_eq!(told(&request), (vec!["a".into()], "a-0 a-2".into(), 2));
    assert_eq!(request.reason.as_deref(), Some("partitions were revoked, for others to take"));
}

#[test]
fn a_cooperative_member_that_missed_a_sync_claims_what_it_has_since_the_last_complete_generation() {
    let mut script = Script::stable(config(cooperative()), &["a"], "a-0");
    script.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    let (id, _) = script.join();
    script.joined(id, 2, "other");
    let (id, _) = script.sync();
    script.member.handle_sync(script.now, id, sync_refused(ErrorCode::REBALANCE_IN_PROGRESS));
    assert_eq!(told(&script.join().1), (vec!["a".into()], "a-0".into(), 1));
}

#[test]
fn a_commit_from_before_or_during_a_revocation_does_not_pass_for_one_of_the_next_generation() {
    let mut script = Script::stable(config(range()), &["a"], "a-0");
    script.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    let during = script.member.membership().tenure;
    script.acknowledge("revoke a-0");
    let after = script.member.membership().tenure;
    let (id, _) = script.join();
    script.joined(id, 2, "other");
    let (id, _) = script.sync();
    script.synced(id, "a-1");
    let next = script.member.membership().tenure;
    assert!(during < after && after < next, "{during}, {after}, {next}");
}

#[test]
fn an_unchanged_assignment_is_announced_without_additions() {
    let mut script = Script::stable(config(cooperative()), &["a"], "a-0");
    script.member.request_rejoin("test");
    let (id, _) = script.join();
    script.joined(id, 2, "other");
    let (id, _) = script.sync();
    script.synced(id, "a-0");
    script.acknowledge_assigned("", "a-0");
    assert_eq!(script.event(), "nothing");
    script.nothing_to_send();
}

#[test]
fn an_unknown_member_loses_everything_and_joins_as_a_new_one_after_the_application_knows() {
    let mut script = Script::stable(config(range()), &["a"], "a-0 a-1");
    script.beat(ErrorCode::UNKNOWN_MEMBER_ID);
    script.is("", -1);
    script.nothing_to_send();
    script.advance(seconds(100));
    script.nothing_to_send();
    script.acknowledge("lost a-0 a-1");
    let (_, request) = script.join();
    assert_eq!((request.member_id.as_str(), told(&request).1.as_str(), told(&request).2), ("", "", -1));
}

#[test]
fn a_member_of_a_past_generation_loses_everything_but_its_id() {
    let mut script = Script::stable(config(cooperative()), &["a"], "a-0");
    script.beat(ErrorCode::ILLEGAL_GENERATION);
    script.is("m", -1);
    script.acknowledge("lost a-0");
    assert_eq!(script.join().1.member_id, "m");
}

#[test]
fn a_fenced_member_loses_everything_and_fails_for_good() {
    let config = GroupConfig { group_instance_id: Some("i".into()), ..config(range()) };
    let mut script = Script::stable(config, &["a"], "a-0");
    assert_eq!(script.beat(ErrorCode::FENCED_INSTANCE_ID).group_instance_id.as_deref(), Some("i"));
    script.acknowledge("lost a-0");
    script.acknowledge("failed for good Fenced");
    assert_eq!(script.event(), "failed for good Fenced");
    script.advance(seconds(1000));
    script.nothing_to_send();
}

#[test]
fn what_is_lost_while_a_step_is_not_acknowledged_is_told_after_it() {
    let mut script = Script::stable(config(cooperative()), &["a"], "a-0 a-1");
    script.member.request_rejoin("test");
    let (id, _) = script.join();
    script.joined(id, 2, "other");
    let (id, _) = script.sync();
    script.synced(id, "a-0 a-2");
    script.beat(ErrorCode::UNKNOWN_MEMBER_ID);
    script.acknowledge("revoke a-1");
    script.acknowledge("lost a-0");
    assert_eq!(script.event(), "nothing");
    assert_eq!(script.join().1.member_id, "");
}

#[test]
fn a_coordinator_that_moves_costs_neither_id_nor_generation_nor_a_rebalance() {
    for code in [ErrorCode::NOT_COORDINATOR, ErrorCode::COORDINATOR_NOT_AVAILABLE] {
        let mut script = Script::stable(config(range()), &["a"], "a-0");
        script.beat(code);
        script.nothing_to_send();
        script.advance_to_deadline();
        assert_eq!(script.found(2), Some(1));
        let request = script.request().expect("a heartbeat at once");
        assert_eq!(request.node, 2);
        assert!(
            matches!(request.body, RequestBody::Heartbeat(beat) if beat.generation_id == 1 && beat.member_id == "m")
        );
        script.member.handle_heartbeat(script.now, request.id, heartbeat(ErrorCode::NONE));
        script.beat(ErrorCode::NONE);
        assert_eq!(script.event(), "nothing");
        script.is("m", 1);
    }
}

#[test]
fn a_broken_connection_costs_neither_id_nor_generation_nor_a_rebalance() {
    let mut script = Script::stable(config(range()), &["a"], "a-0");
    script.advance(seconds(3));
    let (id, _) = script.heartbeat();
    script.member.handle_heartbeat(script.now, id, Err(disconnected()));
    script.advance_to_deadline();
    assert_eq!(script.found(1), Some(1));
    script.heartbeat();
    script.is("m", 1);
    assert_eq!(script.event(), "nothing");
}

#[test]
fn a_loading_coordinator_is_asked_again_soon() {
    let mut script = Script::stable(config(range()), &["a"], "a-0");
    script.beat(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    let before = script.now;
    script.advance_to_deadline();
    assert!(script.now - before < seconds(1));
    script.heartbeat();
}

#[test]
fn a_session_without_answers_sends_the_member_looking_but_does_not_end_the_membership() {
    let mut script = Script::stable(config(range()), &["a"], "a-0");
    script.advance(seconds(3));
    let (stale, _) = script.heartbeat();
    script.advance(seconds(42));
    script.nothing_to_send();
    script.advance_to_deadline();
    assert_eq!(script.found(2), Some(1));
    let (id, request) = script.heartbeat();
    assert_eq!((request.member_id.as_str(), request.generation_id), ("m", 1));
    script.member.handle_heartbeat(script.now, stale, heartbeat(ErrorCode::UNKNOWN_MEMBER_ID));
    script.is("m", 1);
    script.member.handle_heartbeat(script.now, id, heartbeat(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(script.event(), "lost a-0");
}

#[test]
fn a_coordinator_that_moves_during_a_rebalance_is_joined_again_with_the_same_id() {
    let mut script = Script::stable(config(cooperative()), &["a"], "a-0");
    script.member.request_rejoin("test");
    let (id, _) = script.join();
    script.joined(id, 2, "other");
    let (sync, _) = script.sync();
    script.beat(ErrorCode::NOT_COORDINATOR);
    script.advance_to_deadline();
    script.found(2);
    let (id, request) = script.join();
    assert_eq!((request.member_id.as_str(), told(&request).1.as_str(), told(&request).2), ("m", "a-0", 1));
    script.synced(sync, "a-0 a-1");
    assert_eq!(script.event(), "nothing");
    script.joined(id, 2, "other");
    script.sync();
}

#[test]
fn a_lookup_that_finds_the_same_coordinator_leaves_the_rebalance_alone() {
    let mut script = Script::stable(config(cooperative()), &["a"], "a-0");
    script.member.request_rejoin("test");
    let (id, _) = script.join();
    script.joined(id, 2, "other");
    let (sync, _) = script.sync();
    script.advance(seconds(3));
    let (id, _) = script.heartbeat();
    script.member.handle_heartbeat(script.now, id, Err(disconnected()));
    script.advance_to_deadline();
    script.found(1);
    script.heartbeat();
    script.synced(sync, "a-0 a-1");
    script.acknowledge_assigned("a-1", "a-0 a-1");
}

#[test]
fn another_subscription_rejoins_eagerly_without_anything() {
    let mut script = Script::stable(config(range()), &["a", "b"], "a-0 b-0");
    script.member.set_topics(vec!["b".into(), "a".into()]);
    assert_eq!(script.event(), "nothing");
    script.member.set_topics(vec!["b".into()]);
    script.nothing_to_send();
    script.acknowledge("revoke a-0 b-0");
    let (_, request) = script.join();
    assert_eq!(request.reason.as_deref(), Some("the subscription changed"));
    assert_eq!(told(&request), (vec!["b".into()], String::new(), 1));
}

#[test]
fn another_subscription_rejoins_cooperatively_without_the_topics_that_are_gone() {
    let mut script = Script::stable(config(cooperative()), &["a", "b"], "a-0 b-0");
    script.member.set_topics(vec!["b".into(), "c".into()]);
    script.nothing_to_send();
    script.acknowledge("revoke a-0");
    assert_eq!(told(&script.join().1), (vec!["b".into(), "c".into()], "b-0".into(), 1));
}

#[test]
fn a_subscription_that_changes_during_a_rebalance_takes_another_one() {
    let mut script = Script::stable(config(cooperative()), &["a", "b"], "a-0");
    script.member.request_rejoin("test");
    let (id, _) = script.join();
    script.member.set_topics(vec!["b".into()]);
    script.joined(id, 2, "other");
    let (id, _) = script.sync();
    script.synced(id, "a-0 a-1 b-0");
    script.acknowledge("revoke a-0");
    script.acknowledge_assigned("b-0", "b-0");
    assert_eq!(told(&script.join().1), (vec!["b".into()], "b-0".into(), 2));
}

#[test]
fn a_rebalance_under_way_serves_a_request_to_rejoin() {
    let mut script = Script::stable(config(cooperative()), &["a"], "a-0");
    assert!(script.member.request_rejoin("first"));
    assert!(script.member.request_rejoin("second"));
    let (_, request) = script.join();
    assert_eq!(request.reason.as_deref(), Some("first"));
    assert!(!script.member.request_rejoin("third"));
}

#[test]
fn what_a_refused_commit_says_of_the_membership_counts_only_if_that_is_still_the_same() {
    let mut script = Script::stable(config(range()), &["a"], "a-0");
    let current = script.member.membership();
    let past = crate::group::Membership { generation_id: 0, ..current.clone() };
    script.member.handle_commit_refused(script.now, ErrorCode::ILLEGAL_GENERATION, &past);
    assert_eq!(script.event(), "nothing");
    script.member.handle_commit_refused(script.now, ErrorCode::REBALANCE_IN_PROGRESS, &current);
    assert_eq!(script.event(), "nothing");
    script.heartbeat();
    script.member.handle_commit_refused(script.now, ErrorCode::UNKNOWN_MEMBER_ID, &current);
    assert_eq!(script.event(), "lost a-0");
}

#[test]
fn a_later_look_at_all_topics_that_fails_is_reported_and_costs_nothing() {
    let mut script = Script::stable(config(cooperative()), &["a"], "a-0");
    let error = Error::from_code(ErrorCode::CLUSTER_AUTHORIZATION_FAILED, "cannot list topics");
    script.member.handle_topics_unknown(&error, true);
    script.is("m", 1);
    assert_eq!(script.beat(ErrorCode::NONE).generation_id, 1);
    script.acknowledge("failed Authorization");
    assert_eq!(script.event(), "nothing");
    assert_eq!(script.beat(ErrorCode::NONE).generation_id, 1);
}

#[test]
fn a_first_look_at_all_topics_that_fails_is_a_failure_to_join() {
    let mut script = Script::new(config(range()), &[]);
    let error = Error::from_code(ErrorCode::CLUSTER_AUTHORIZATION_FAILED, "cannot list topics");
    script.member.handle_topics_unknown(&error, false);
    script.nothing_to_send();
    script.acknowledge("failed Authorization");
    script.found(1);
    script.nothing_to_send();
    script.advance_to_deadline();
    script.join();
}

#[test]
fn a_commit_that_finds_no_group_has_the_next_heartbeat_ask() {
    let mut script = Script::stable(config(range()), &["a"], "a-0");
    let current = script.member.membership();
    script.member.handle_commit_refused(script.now, ErrorCode::GROUP_ID_NOT_FOUND, &current);
    let (id, _) = script.heartbeat();
    script.member.handle_heartbeat(script.now, id, heartbeat(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(script.event(), "lost a-0");
}
