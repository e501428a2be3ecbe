use std::time::Duration;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_describe as describe;
use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};

use super::{Script, assigned, claims, enter, hold, shelf, stay, topic_id};
use crate::groups::{GroupOptions, ServerAssignor};

fn script() -> Script {
    Script::new(GroupOptions::default())
}

/// Two members in epoch 3, `m1` with the partitions 0 and 1 of `a` and `m2` with 2 and 3.
fn pair() -> Script {
    let mut script = script();
    script.heartbeat(&enter("m1", &["a"]));
    script.heartbeat(&enter("m2", &["a"]));
    script.seconds(1);
    script.heartbeat(&stay("m1", 2));
    script.heartbeat(&hold("m1", 2, &[("a", &[0, 1])]));
    let second = script.heartbeat(&stay("m2", 2));
    assert_eq!((second.member_epoch, assigned(&second)), (3, Some(claims(&[("a", &[2, 3])]))));
    script
}

#[test]
fn the_first_member_gets_everything_at_once() {
    let mut script = script();
    let first = script.heartbeat(&enter("m1", &["a", "b", "none"]));
    assert_eq!(assigned(&first), Some(claims(&[("a", &[0, 1, 2, 3]), ("b", &[0, 1])])));
    let rest = ConsumerGroupHeartbeatResponse { assignment: None, ..first };
    let expected = ConsumerGroupHeartbeatResponse {
        member_id: Some("m1".into()),
        member_epoch: 2,
        heartbeat_interval_ms: 5_000,
        ..Default::default()
    };
    assert_eq!(rest, expected);
    let next = script.heartbeat(&stay("m1", 2));
    assert_eq!((next.member_epoch, assigned(&next)), (2, None), "nothing is new");
    let full = ConsumerGroupHeartbeatRequest {
        member_epoch: 2,
        topic_partitions: Some(claims(&[("a", &[0, 1, 2, 3]), ("b", &[0, 1])])),
        ..enter("m1", &["a", "b", "none"])
    };
    assert!(assigned(&script.heartbeat(&full)).is_some(), "who says everything is told everything");
}

#[test]
fn in_version_0_the_coordinator_makes_the_id() {
    let mut script = script();
    let response =
        script.groups.handle_consumer_heartbeat(script.now, 0, &super::caller(), &enter("", &["a"]));
    assert_eq!(response.member_id.map(|id| id.len()), Some(22));
    let refused = script.heartbeat(&enter("", &["a"]));
    assert_eq!(refused.error_code, ErrorCode::INVALID_REQUEST);
}

#[test]
fn partitions_change_hands_only_after_they_were_given_up() {
    let mut script = script();
    script.heartbeat(&enter("m1", &["a"]));
    let second = script.heartbeat(&enter("m2", &["a"]));
    assert_eq!((second.member_epoch, assigned(&second)), (2, Some(vec![])), "too early for another target");
    assert_eq!(script.state(), "Assigning");
    script.seconds(1);
    let second = script.heartbeat(&stay("m2", 2));
    assert_eq!(
        (second.member_epoch, assigned(&second)),
        (3, None),
        "both of its partitions are with the first"
    );
    let first = script.heartbeat(&stay("m1", 2));
    assert_eq!((first.member_epoch, assigned(&first)), (2, Some(claims(&[("a", &[0, 1])]))));
    assert_eq!(script.state(), "Reconciling");
    // A heartbeat that doesn't say what it holds, or holds too much, gives nothing up.
    assert_eq!(script.heartbeat(&stay("m1", 2)).member_epoch, 2);
    assert_eq!(script.heartbeat(&hold("m1", 2, &[("a", &[0, 1, 2])])).member_epoch, 2);
    assert_eq!(assigned(&script.heartbeat(&stay("m2", 3))), None);
    assert_eq!(script.heartbeat(&hold("m1", 2, &[("a", &[0, 1])])).member_epoch, 3);
    let second = script.heartbeat(&stay("m2", 3));
    assert_eq!(assigned(&second), Some(claims(&[("a", &[2, 3])])));
    assert_eq!(script.state(), "Stable");
}

#[test]
fn who_does_not_give_partitions_up_in_time_is_out() {
    let mut script = script();
    script.heartbeat(&enter("m1", &["a"]));
    script.heartbeat(&enter("m2", &["a"]));
    script.seconds(1);
    script.heartbeat(&stay("m1", 2));
    script.pass(Duration::from_millis(14_999));
    assert_eq!(script.heartbeat(&stay("m1", 2)).error_code, ErrorCode::NONE);
    script.pass(Duration::from_millis(1));
    assert_eq!(script.heartbeat(&stay("m1", 2)).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    let second = script.heartbeat(&stay("m2", 2));
    assert_eq!(assigned(&second), Some(claims(&[("a", &[0, 1, 2, 3])])));
}

#[test]
fn silence_ends_a_session() {
    let mut script = pair();
    script.seconds(44);
    script.heartbeat(&stay("m2", 3));
    script.seconds(1);
    assert_eq!(script.groups.member_ids("g"), ["m2"]);
    let second = script.heartbeat(&stay("m2", 3));
    assert_eq!((second.member_epoch, assigned(&second)), (4, Some(claims(&[("a", &[0, 1, 2, 3])]))));
    script.seconds(45);
    assert_eq!(script.state(), "Empty");
    assert_eq!(script.groups.poll_deadline(), None);
}

#[test]
fn leaving_frees_partitions_at_once() {
    let mut script = pair();
    script.seconds(1);
    let left = script.heartbeat(&stay("m1", -1));
    assert_eq!((left.error_code, left.member_epoch), (ErrorCode::NONE, -1));
    let second = script.heartbeat(&stay("m2", 3));
    assert_eq!((second.member_epoch, assigned(&second)), (4, Some(claims(&[("a", &[0, 1, 2, 3])]))));
    assert_eq!(script.heartbeat(&stay("m1", 3)).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(script.heartbeat(&stay("m1", -1)).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_wrong_epoch_is_fenced_but_for_the_last_one_with_nothing_too_much() {
    let mut script = pair();
    assert_eq!(script.heartbeat(&stay("m1", 4)).error_code, ErrorCode::FENCED_MEMBER_EPOCH);
    assert_eq!(script.heartbeat(&stay("m1", 1)).error_code, ErrorCode::FENCED_MEMBER_EPOCH);
    assert_eq!(
        script.heartbeat(&stay("m1", 2)).error_code,
        ErrorCode::FENCED_MEMBER_EPOCH,
        "what does it hold?"
    );
    let too_much = script.heartbeat(&hold("m1", 2, &[("a", &[0, 2])]));
    assert_eq!(too_much.error_code, ErrorCode::FENCED_MEMBER_EPOCH);
    let lost = script.heartbeat(&hold("m1", 2, &[("a", &[0, 1])]));
    assert_eq!((lost.error_code, lost.member_epoch), (ErrorCode::NONE, 3));
    let anew = script.heartbeat(&enter("m1", &["a"]));
    assert_eq!((anew.member_epoch, assigned(&anew)), (3, Some(claims(&[("a", &[0, 1])]))));
}

#[test]
fn requests_that_make_no_sense_are_refused_with_a_reason() {
    let mut script = script();
    let good = enter("m1", &["a"]);
    let some = |text: &str| Some(text.to_owned());
    let cases = [
        (
            ConsumerGroupHeartbeatRequest { group_id: String::new(), ..good.clone() },
            ErrorCode::INVALID_REQUEST,
        ),
        (ConsumerGroupHeartbeatRequest { instance_id: some(""), ..good.clone() }, ErrorCode::INVALID_REQUEST),
        (ConsumerGroupHeartbeatRequest { rack_id: some(""), ..good.clone() }, ErrorCode::INVALID_REQUEST),
        (
            ConsumerGroupHeartbeatRequest { rebalance_timeout_ms: -1, ..good.clone() },
            ErrorCode::INVALID_REQUEST,
        ),
        (
            ConsumerGroupHeartbeatRequest { topic_partitions: None, ..good.clone() },
            ErrorCode::INVALID_REQUEST,
        ),
        (
            ConsumerGroupHeartbeatRequest { topic_partitions: Some(claims(&[("a", &[0])])), ..good.clone() },
            ErrorCode::INVALID_REQUEST,
        ),
        (
            ConsumerGroupHeartbeatRequest { subscribed_topic_names: None, ..good.clone() },
            ErrorCode::INVALID_REQUEST,
        ),
        (
            ConsumerGroupHeartbeatRequest { server_assignor: some("sticky"), ..good },
            ErrorCode::UNSUPPORTED_ASSIGNOR,
        ),
        (stay("m1", -2), ErrorCode::INVALID_REQUEST),
        (stay("m1", -3), ErrorCode::INVALID_REQUEST),
        (stay("m1", 1), ErrorCode::GROUP_ID_NOT_FOUND),
        (stay("m1", -1), ErrorCode::GROUP_ID_NOT_FOUND),
    ];
    for (request, expected) in cases {
        let response = script.heartbeat(&request);
        assert_eq!(response.error_code, expected, "{request:?}");
        assert!(response.error_message.is_some());
    }
    assert_eq!(script.state(), "", "no group has come of it");
}

#[test]
fn a_full_group_takes_nobody_else() {
    let mut script = Script::new(GroupOptions { consumer_max_size: 1, ..GroupOptions::default() });
    script.heartbeat(&enter("m1", &["a"]));
    assert_eq!(script.heartbeat(&enter("m2", &["a"])).error_code, ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(script.heartbeat(&stay("m1", 2)).error_code, ErrorCode::NONE);
}

#[test]
fn a_static_member_keeps_its_partitions_while_it_is_away_and_gets_them_back() {
    let mut script = pair();
    let fixed = |request: ConsumerGroupHeartbeatRequest| ConsumerGroupHeartbeatRequest {
        instance_id: Some("one".into()),
        ..request
    };
    // The first leaves for good, a static one takes its place.
    script.seconds(1);
    script.heartbeat(&stay("m1", -1));
    let fixed_member = script.heartbeat(&fixed(enter("s1", &["a"])));
    script.heartbeat(&stay("m2", 3));
    let (epoch, share) = (fixed_member.member_epoch, claims(&[("a", &[0, 1])]));
    assert_eq!(assigned(&fixed_member), Some(share.clone()));

    assert_eq!(script.heartbeat(&fixed(enter("s2", &["a"]))).error_code, ErrorCode::UNRELEASED_INSTANCE_ID);
    assert_eq!(script.heartbeat(&fixed(stay("s2", epoch))).error_code, ErrorCode::FENCED_INSTANCE_ID);
    let away = script.heartbeat(&fixed(stay("s1", -2)));
    assert_eq!((away.error_code, away.member_epoch), (ErrorCode::NONE, -2));
    assert_eq!(script.heartbeat(&fixed(stay("s1", epoch))).error_code, ErrorCode::FENCED_MEMBER_EPOCH);
    let other = script.heartbeat(&stay("m2", epoch));
    assert_eq!((other.member_epoch, assigned(&other)), (epoch, None), "nothing moves meanwhile");
    let back = script.heartbeat(&fixed(enter("s2", &["a"])));
    assert_eq!((back.member_epoch, assigned(&back)), (epoch, Some(share)));
    assert_eq!(script.heartbeat(&fixed(stay("s1", epoch))).error_code, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(script.groups.member_ids("g"), ["m2", "s2"]);
}

#[test]
fn a_static_member_that_stays_away_loses_its_place_with_its_session() {
    let mut script = script();
    let fixed = |request: ConsumerGroupHeartbeatRequest| ConsumerGroupHeartbeatRequest {
        instance_id: Some("one".into()),
        ..request
    };
    script.heartbeat(&fixed(enter("s1", &["a"])));
    script.heartbeat(&fixed(stay("s1", -2)));
    script.seconds(44);
    assert_eq!(script.state(), "Reconciling");
    script.seconds(1);
    assert_eq!(script.state(), "Empty");
}

#[test]
fn a_member_that_changes_its_topics_gives_the_old_ones_up_first() {
    let mut script = script();
    script.heartbeat(&enter("m1", &["a"]));
    script.seconds(1);
    let changed = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(vec!["b".into()]),
        topic_partitions: Some(claims(&[("a", &[0, 1, 2, 3])])),
        ..stay("m1", 2)
    };
    let response = script.heartbeat(&changed);
    assert_eq!((response.member_epoch, assigned(&response)), (2, Some(vec![])));
    let response = script.heartbeat(&hold("m1", 2, &[]));
    assert_eq!((response.member_epoch, assigned(&response)), (3, Some(claims(&[("b", &[0, 1])]))));
}

#[test]
fn topics_that_are_dropped_are_withdrawn_even_before_the_next_target() {
    let mut script = script();
    script.heartbeat(&enter("m1", &["a", "b"]));
    let changed = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(vec!["b".into()]),
        topic_partitions: Some(claims(&[("a", &[0, 1, 2, 3]), ("b", &[0, 1])])),
        ..stay("m1", 2)
    };
    let response = script.heartbeat(&changed);
    assert_eq!((response.member_epoch, assigned(&response)), (2, Some(claims(&[("b", &[0, 1])]))));
}

#[test]
fn new_partitions_are_dealt_out_by_the_next_heartbeat() {
    let mut script = script();
    script.heartbeat(&enter("m1", &["a"]));
    script.seconds(1);
    script.groups.handle_topics(&shelf(&[("a", 5), ("b", 2), ("c", 1)]));
    let response = script.heartbeat(&stay("m1", 2));
    assert_eq!((response.member_epoch, assigned(&response)), (3, Some(claims(&[("a", &[0, 1, 2, 3, 4])]))));
    script.seconds(1);
    script.groups.handle_topics(&shelf(&[("a", 5), ("b", 3), ("c", 1)]));
    let response = script.heartbeat(&stay("m1", 3));
    assert_eq!((response.member_epoch, assigned(&response)), (3, None), "that topic is not theirs");
}

#[test]
fn partitions_of_a_topic_that_is_gone_are_taken_away() {
    let mut script = script();
    script.heartbeat(&enter("m1", &["a", "b"]));
    script.seconds(1);
    script.groups.handle_topics(&shelf(&[("b", 2)]));
    let response = script.heartbeat(&hold("m1", 2, &[("a", &[0, 1, 2, 3]), ("b", &[0, 1])]));
    assert_eq!((response.member_epoch, assigned(&response)), (2, Some(claims(&[("b", &[0, 1])]))));
    assert_eq!(script.heartbeat(&hold("m1", 2, &[("b", &[0, 1])])).member_epoch, 3);
}

#[test]
fn the_assignor_is_the_one_that_most_wish_for() {
    let mut script = script();
    let wish = |member_id: &str| ConsumerGroupHeartbeatRequest {
        server_assignor: Some("range".into()),
        ..enter(member_id, &["a", "b"])
    };
    script.heartbeat(&wish("m1"));
    script.heartbeat(&wish("m2"));
    script.heartbeat(&enter("m3", &["a", "b"]));
    script.seconds(1);
    script.heartbeat(&stay("m1", 2));
    let group = script.groups.describe_consumer_group(script.now, "g");
    assert_eq!(group.assignor_name, ServerAssignor::Range.name());
    let targets: Vec<_> = group
        .members
        .iter()
        .map(|member| {
            let topics = member.target_assignment.topic_partitions.iter();
            topics.map(|topic| (topic.topic_name.as_str(), topic.partitions.as_slice())).collect::<Vec<_>>()
        })
        .collect();
    let expected: [&[(&str, &[i32])]; 3] =
        [&[("a", &[0, 1]), ("b", &[0])], &[("a", &[2]), ("b", &[1])], &[("a", &[3])]];
    assert_eq!(targets, expected);
}

#[test]
fn a_group_is_described_with_what_its_members_hold_and_shall_hold() {
    let mut script = script();
    script.heartbeat(&enter("m1", &["a"]));
    script.heartbeat(&enter("m2", &["a"]));
    script.seconds(1);
    script.heartbeat(&stay("m1", 2));
    let part = |partitions: &[i32]| describe::Assignment {
        topic_partitions: vec![describe::TopicPartitions {
            topic_id: topic_id("a", 1),
            topic_name: "a".into(),
            partitions: partitions.into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let first = describe::Member {
        member_id: "m1".into(),
        member_epoch: 2,
        client_id: "me".into(),
        client_host: "/127.0.0.1".into(),
        subscribed_topic_names: vec!["a".into()],
        subscribed_topic_regex: Some(String::new()),
        assignment: part(&[0, 1, 2, 3]),
        target_assignment: part(&[0, 1]),
        member_type: 1,
        ..Default::default()
    };
    let second = describe::Member {
        member_id: "m2".into(),
        assignment: describe::Assignment::default(),
        target_assignment: part(&[2, 3]),
        ..first.clone()
    };
    let expected = describe::DescribedGroup {
        group_id: "g".into(),
        group_state: "Reconciling".into(),
        group_epoch: 3,
        assignment_epoch: 3,
        assignor_name: "uniform".into(),
        members: vec![first, second],
        ..Default::default()
    };
    assert_eq!(script.groups.describe_consumer_group(script.now, "g"), expected);
    assert_eq!(
        script.groups.describe(6, "g").error_code,
        ErrorCode::GROUP_ID_NOT_FOUND,
        "it is no classic one"
    );
    let none = script.groups.describe_consumer_group(script.now, "other");
    assert_eq!(none.error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    let blank = script.groups.describe_consumer_group(script.now, "");
    assert_eq!(blank.error_code, ErrorCode::INVALID_GROUP_ID);
}

#[test]
fn an_empty_consumer_group_can_be_deleted() {
    let mut script = pair();
    assert_eq!(script.groups.delete("g").error_code, ErrorCode::NON_EMPTY_GROUP);
    script.heartbeat(&stay("m1", -1));
    script.heartbeat(&stay("m2", -1));
    assert_eq!(script.groups.delete("g").error_code, ErrorCode::NONE);
    assert_eq!(script.heartbeat(&stay("m1", 3)).error_code, ErrorCode::GROUP_ID_NOT_FOUND);
}
