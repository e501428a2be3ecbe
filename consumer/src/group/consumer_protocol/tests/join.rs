//! Joining and staying.

use super::*;

#[test]
fn a_member_joins_with_an_id_of_its_own_and_says_everything() {
    let config = GroupConfig {
        client_rack: Some("r".into()),
        remote_assignor: Some("uniform".into()),
        ..static_config()
    };
    let mut script = Script::new(config, topics(&["b", "a", "b"]));
    script.found(1);
    let (_, request) = script.heartbeat();
    assert_eq!(request.member_id.len(), 22);
    let id: Uuid = request.member_id.parse().unwrap();
    assert_eq!((id.0[6] >> 4, id.0[8] >> 6), (4, 0b10), "a random UUID");
    let expected = ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: request.member_id.clone(),
        member_epoch: 0,
        instance_id: Some("i".into()),
        rack_id: Some("r".into()),
        rebalance_timeout_ms: 300_000,
        subscribed_topic_names: Some(vec!["a".into(), "b".into()]),
        subscribed_topic_regex: None,
        server_assignor: Some("uniform".into()),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    assert_eq!(request, expected);
    script.nothing_to_send();
}

#[test]
fn ids_differ_from_member_to_member() {
    let now = Instant::now();
    let ids: std::collections::BTreeSet<String> = (0..100)
        .map(|seed| ConsumerMember::new(Arc::new(config()), topics(&["a"]), now, seed).identity.member_id)
        .collect();
    assert_eq!(ids.len(), 100);
    assert!(ids.iter().all(|id| !id.starts_with('-')));
}

#[test]
fn a_member_without_partitions_is_told_so_once() {
    let script = Script::stable(config(), "");
    assert!(script.member.poll_event().is_none());
    assert!(script.member.membership().is_member());
    assert_eq!(script.member.membership().generation_id, 1);
}

#[test]
fn heartbeats_come_as_often_as_the_coordinator_wants_and_say_only_what_is_new() {
    let mut script = Script::stable(config(), "a-0");
    let before = script.now;
    script.advance_to_deadline();
    assert_eq!(script.now - before, seconds(5));
    let (id, request) = script.heartbeat();
    let expected = ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: script.member.identity.member_id.clone(),
        member_epoch: 1,
        ..Default::default()
    };
    assert_eq!(request, expected);
    let next = ConsumerGroupHeartbeatResponse {
        member_epoch: 2,
        heartbeat_interval_ms: 1_000,
        ..Default::default()
    };
    script.member.handle_heartbeat(script.now, id, Ok(next));
    let before = script.now;
    script.advance_to_deadline();
    assert_eq!(script.now - before, seconds(1));
    assert_eq!(script.heartbeat().1.member_epoch, 2);
}

#[test]
fn a_coordinator_that_wants_heartbeats_all_the_time_does_not_get_them() {
    let mut script = Script::stable(config(), "a-0");
    script.advance(seconds(5));
    let (id, _) = script.heartbeat();
    let hurried =
        ConsumerGroupHeartbeatResponse { member_epoch: 1, heartbeat_interval_ms: -1, ..Default::default() };
    script.member.handle_heartbeat(script.now, id, Ok(hurried));
    script.nothing_to_send();
    script.advance_to_deadline();
    script.heartbeat();
}

#[test]
fn an_id_of_the_coordinators_choice_is_taken() {
    let mut script = Script::new(config(), topics(&["a"]));
    script.found(1);
    let (id, _) = script.heartbeat();
    let response = ConsumerGroupHeartbeatResponse {
        member_id: Some("theirs".into()),
        member_epoch: 1,
        heartbeat_interval_ms: 5_000,
        ..Default::default()
    };
    script.member.handle_heartbeat(script.now, id, Ok(response));
    assert_eq!(script.member.membership().member_id, "theirs");
}

#[test]
fn a_pattern_is_sent_as_it_is_and_taken_back_for_names() {
    let mut script = Script::new(config(), Interest::Pattern("a.*".into()));
    script.found(1);
    let (id, request) = script.heartbeat();
    assert_eq!(request.subscribed_topic_regex.as_deref(), Some("a.*"));
    assert_eq!(request.subscribed_topic_names, Some(Vec::new()));
    script.answered(id, 1, Some("ax-0"));
    script.knows_all();
    script.acknowledge_assigned("ax-0", "ax-0");
    let (id, _) = script.heartbeat();
    script.answered(id, 1, None);

    script.member.set_interest(script.now, topics(&["ax"]));
    let (id, request) = script.heartbeat();
    assert_eq!(request.subscribed_topic_regex.as_deref(), Some(""));
    assert_eq!(request.subscribed_topic_names, Some(vec!["ax".to_owned()]));
    assert_eq!(request.topic_partitions, Some(by_id("ax-0")));
    script.answered(id, 2, Some("ax-0"));
    assert!(script.member.poll_event().is_none());
}

#[test]
fn a_coordinator_that_moved_is_looked_for_with_id_and_epoch_kept_and_is_told_everything() {
    let mut script = Script::stable(config(), "a-0 b-1");
    for (moved, node) in [(refused(ErrorCode::NOT_COORDINATOR), 2), (Err(disconnected()), 1)] {
        script.advance(seconds(5));
        let (id, _) = script.heartbeat();
        script.member.handle_heartbeat(script.now, id, moved);
        script.advance_to_deadline();
        let Some(Ask { id, body: AskBody::FindCoordinator { instead_of } }) = script.request() else {
            panic!("a look-up is due")
        };
        assert_eq!(instead_of, Some(3 - node));
        script.member.handle_coordinator(script.now, id, Ok(node));
        let (id, request) = script.heartbeat();
        assert_eq!((request.member_epoch, request.rebalance_timeout_ms), (1, 300_000));
        assert_eq!(request.member_id, script.member.membership().member_id);
        assert_eq!(request.topic_partitions, Some(by_id("a-0 b-1")));
        script.answered(id, 1, Some("a-0 b-1"));
        script.nothing_to_send();
        assert!(script.member.poll_event().is_none());
    }
}

#[test]
fn a_coordinator_that_loads_its_group_is_asked_again_after_a_pause_that_grows() {
    let mut script = Script::stable(config(), "a-0");
    script.advance(seconds(5));
    let mut waits = Vec::new();
    for _ in 0..6 {
        let (id, _) = script.heartbeat();
        script.refuse(id, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
        script.nothing_to_send();
        let before = script.now;
        script.advance_to_deadline();
        waits.push(script.now - before);
    }
    assert!(waits[0] < Duration::from_millis(200) && waits[5] > Duration::from_millis(700), "{waits:?}");
    let (id, request) = script.heartbeat();
    assert_eq!(request.topic_partitions, Some(by_id("a-0")));
    script.answered(id, 1, Some("a-0"));
    assert!(script.member.poll_event().is_none());
}
