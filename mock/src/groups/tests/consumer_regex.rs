use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;

use super::{Script, assigned, claims, enter, hold, shelf, stay};
use crate::groups::GroupOptions;

fn match_all(member_id: &str, regex: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(regex.into()),
        ..enter(member_id, &[])
    }
}

fn script() -> Script {
    let mut script = Script::new(GroupOptions::default());
    script.groups.handle_topics(&shelf(&[("logs-1", 1), ("logs-2", 1), ("old-logs-1", 1)]));
    script
}

#[test]
fn the_topics_of_an_expression_are_there_by_the_second_heartbeat_and_match_as_a_whole() {
    let mut script = script();
    let first = script.heartbeat(&match_all("m1", "logs-.|other"));
    assert_eq!((first.member_epoch, assigned(&first)), (1, Some(vec![])));
    let second = script.heartbeat(&stay("m1", 1));
    assert_eq!(
        (second.member_epoch, assigned(&second)),
        (2, Some(claims(&[("logs-1", &[0]), ("logs-2", &[0])])))
    );
}

#[test]
fn an_expression_that_is_none_is_refused_and_leaves_no_group() {
    let mut script = script();
    let refused = script.heartbeat(&match_all("m1", "logs-("));
    assert_eq!(refused.error_code, ErrorCode::INVALID_REGULAR_EXPRESSION);
    assert_eq!(script.state(), "");
}

#[test]
fn new_topics_that_match_are_found() {
    let mut script = script();
    script.heartbeat(&match_all("m1", "logs-.*"));
    script.heartbeat(&stay("m1", 1));
    script.groups.handle_topics(&shelf(&[("logs-1", 1), ("logs-2", 1), ("logs-3", 1)]));
    script.seconds(10);
    script.heartbeat(&stay("m1", 2));
    let early = script.heartbeat(&stay("m1", 2));
    assert_eq!(early.member_epoch, 2, "lookups are ten seconds apart");
    script.seconds(1);
    script.heartbeat(&stay("m1", 2));
    let found = script.heartbeat(&stay("m1", 2));
    let all = claims(&[("logs-1", &[0]), ("logs-2", &[0]), ("logs-3", &[0])]);
    assert_eq!((found.member_epoch, assigned(&found)), (3, Some(all)));
}

#[test]
fn an_expression_that_others_use_already_needs_no_lookup() {
    let mut script = script();
    script.heartbeat(&match_all("m1", "logs-.*"));
    script.heartbeat(&stay("m1", 1));
    script.seconds(1);
    script.heartbeat(&match_all("m2", "logs-.*"));
    let first = script.heartbeat(&stay("m1", 2));
    assert_eq!(assigned(&first), Some(claims(&[("logs-1", &[0])])));
    script.heartbeat(&hold("m1", 2, &[("logs-1", &[0])]));
    let second = script.heartbeat(&stay("m2", 3));
    assert_eq!(assigned(&second), Some(claims(&[("logs-2", &[0])])));
}

#[test]
fn names_and_an_expression_add_up() {
    let mut script = script();
    let both = ConsumerGroupHeartbeatRequest {
        subscribed_topic_regex: Some("logs-1".into()),
        ..enter("m1", &["old-logs-1"])
    };
    let first = script.heartbeat(&both);
    assert_eq!(assigned(&first), Some(claims(&[("old-logs-1", &[0])])));
    script.seconds(1);
    let second = script.heartbeat(&stay("m1", first.member_epoch));
    assert_eq!(assigned(&second), Some(claims(&[("logs-1", &[0]), ("old-logs-1", &[0])])));
}

#[test]
fn a_member_that_turns_from_an_expression_to_names_gives_the_rest_up() {
    let mut script = script();
    script.heartbeat(&match_all("m1", "logs-.*"));
    script.heartbeat(&stay("m1", 1));
    script.seconds(1);
    let names = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(vec!["logs-2".into()]),
        subscribed_topic_regex: Some(String::new()),
        topic_partitions: Some(claims(&[("logs-1", &[0]), ("logs-2", &[0])])),
        ..stay("m1", 2)
    };
    let response = script.heartbeat(&names);
    assert_eq!(assigned(&response), Some(claims(&[("logs-2", &[0])])));
    assert_eq!(script.heartbeat(&hold("m1", 2, &[("logs-2", &[0])])).member_epoch, 3);
}
