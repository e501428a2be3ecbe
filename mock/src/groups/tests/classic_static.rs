use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::heartbeat::HeartbeatRequest;
use ottla_protocol::messages::join_group::JoinGroupRequest;
use ottla_protocol::messages::sync_group::SyncGroupRequest;

use super::{Script, join, join_static, protocol, subscription, sync};
use crate::groups::GroupOptions;

/// A stable group of two static members, `one` and `two`; their ids, the leader's first, and the generation.
fn stable(script: &mut Script) -> (Vec<String>, i32) {
    let joins = ["one", "two"].map(|name| script.send_join(9, &join_static("", name)));
    script.seconds(7);
    let answers = joins.map(|ticket| script.joined(ticket));
    let ids: Vec<String> = answers.iter().map(|answer| answer.member_id.clone()).collect();
    assert!(ids[0].starts_with("one-"), "{}", ids[0]);
    assert_eq!(answers[0].leader, ids[0]);
    script.sync_all(&ids, &ids[0], 1);
    (ids, 1)
}

#[test]
fn a_static_member_that_comes_back_gets_its_place_without_a_rebalance() {
    let mut script = Script::new(GroupOptions::default());
    let (ids, generation) = stable(&mut script);
    let back = script.send_join(9, &join_static("", "two"));
    let answer = script.joined(back);
    assert_eq!((answer.error_code, answer.generation_id), (ErrorCode::NONE, generation));
    assert_ne!(answer.member_id, ids[1]);
    assert_eq!((answer.skip_assignment, answer.members.len()), (false, 0));
    let synced = script.send_sync(&sync(&answer.member_id, generation, &[]));
    assert_eq!(script.synced(synced).assignment, ids[1], "it has the assignment of the one it was");
    assert_eq!(script.state(), "Stable");

    let old = HeartbeatRequest {
        group_id: "g".into(),
        generation_id: generation,
        member_id: ids[1].clone(),
        group_instance_id: Some("two".into()),
        ..Default::default()
    };
    assert_eq!(script.groups.handle_heartbeat(script.now, &old), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(script.beat(&ids[1], generation), ErrorCode::UNKNOWN_MEMBER_ID);
    let fenced = SyncGroupRequest { group_instance_id: Some("two".into()), ..sync(&ids[1], generation, &[]) };
    let fenced = script.send_sync(&fenced);
    assert_eq!(script.synced(fenced).error_code, ErrorCode::FENCED_INSTANCE_ID);
    let fenced = script.send_join(9, &join_static(&ids[1], "two"));
    let refused = script.joined(fenced);
    assert_eq!((refused.error_code, refused.protocol_name), (ErrorCode::FENCED_INSTANCE_ID, None));
    assert_eq!(script.leave(&[(&ids[1], Some("two"))]), [ErrorCode::FENCED_INSTANCE_ID]);
}

#[test]
fn a_static_leader_that_comes_back_is_told_to_skip_the_assignment() {
    let mut script = Script::new(GroupOptions::default());
    let (_, generation) = stable(&mut script);
    let back = script.send_join(9, &join_static("", "one"));
    let answer = script.joined(back);
    assert_eq!((answer.generation_id, answer.skip_assignment), (generation, true));
    assert_eq!((answer.leader.as_str(), answer.members.len()), (answer.member_id.as_str(), 2));
}

#[test]
fn before_version_9_a_static_leader_that_comes_back_is_not_told_that_it_leads() {
    let mut script = Script::new(GroupOptions::default());
    let (ids, generation) = stable(&mut script);
    let back = script.send_join(8, &join_static("", "one"));
    let answer = script.joined(back);
    assert_eq!((answer.generation_id, answer.leader.as_str()), (generation, ids[0].as_str()));
    assert!(answer.member_id != ids[0] && answer.members.is_empty());
}

#[test]
fn a_static_member_that_comes_back_changed_in_its_choice_of_protocol_rebalances_the_group() {
    let mut script = Script::new(GroupOptions::default());
    let two = vec![protocol("range", subscription(&["a"])), protocol("sticky", subscription(&["a"]))];
    let request = |name: &str| JoinGroupRequest { protocols: two.clone(), ..join_static("", name) };
    let joins = ["one", "two"].map(|name| script.send_join(9, &request(name)));
    script.seconds(7);
    let ids = joins.map(|ticket| script.joined(ticket).member_id);
    script.sync_all(&ids, &ids[0], 1);
    let changed =
        JoinGroupRequest { protocols: vec![protocol("sticky", subscription(&["a"]))], ..request("two") };
    let changed = script.send_join(9, &changed);
    assert!(script.waits(changed));
    assert_eq!(script.beat(&ids[0], 1), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_static_member_that_comes_back_while_it_joins_or_syncs_fences_what_waits() {
    let mut script = Script::new(GroupOptions::default());
    let first = script.send_join(9, &join_static("", "one"));
    let second = script.send_join(9, &join_static("", "one"));
    assert_eq!(script.joined(first).error_code, ErrorCode::FENCED_INSTANCE_ID);
    let other = script.send_join(9, &join_static("", "two"));
    script.seconds(7);
    let (one, two) = (script.joined(second), script.joined(other));
    let waiting = script.send_sync(&sync(&two.member_id, one.generation_id, &[]));
    let back = script.send_join(9, &join_static("", "two"));
    assert_eq!(script.synced(waiting).error_code, ErrorCode::FENCED_INSTANCE_ID);
    assert!(script.waits(back), "the leader may be assigning to the old id");
    assert_eq!(script.state(), "PreparingRebalance");
    let leader = script.send_join(9, &join_static(&one.member_id, "one"));
    assert_eq!(script.joined(leader).generation_id, one.generation_id + 1);
    assert_eq!(script.joined(back).error_code, ErrorCode::NONE);
}

#[test]
fn a_static_member_that_misses_a_rebalance_stays_until_its_session_ends() {
    let mut script = Script::new(GroupOptions::default());
    let (ids, generation) = stable(&mut script);
    let newcomer = script.new_id();
    let short = |request: JoinGroupRequest| JoinGroupRequest { rebalance_timeout_ms: 5_000, ..request };
    let waiting = script.send_join(9, &short(join(&newcomer)));
    let leader = script.send_join(9, &short(join_static(&ids[0], "one")));
    for _ in 0..2 {
        script.seconds(7);
        script.beat(&ids[1], generation);
    }
    script.seconds(1);
    assert_eq!(script.joined(leader).generation_id, generation + 1);
    assert_eq!(script.joined(waiting).generation_id, generation + 1);
    assert_eq!(script.groups.member_ids("g").len(), 3);
    assert_eq!(script.beat(&ids[1], generation), ErrorCode::ILLEGAL_GENERATION);
}

#[test]
fn a_leader_that_misses_a_rebalance_hands_the_lead_over() {
    let mut script = Script::new(GroupOptions::default());
    let (ids, generation) = stable(&mut script);
    let changed = JoinGroupRequest {
        protocols: vec![protocol("range", subscription(&["b"]))],
        ..join_static(&ids[1], "two")
    };
    let waiting = script.send_join(9, &changed);
    for _ in 0..2 {
        script.seconds(7);
        script.beat(&ids[0], generation);
    }
    script.seconds(1);
    let answer = script.joined(waiting);
    assert_eq!((answer.leader.as_str(), answer.members.len()), (ids[1].as_str(), 2));
}

#[test]
fn an_administrator_removes_static_members_by_name_alone() {
    let mut script = Script::new(GroupOptions::default());
    let (ids, generation) = stable(&mut script);
    let outcomes = script.leave(&[("", Some("two")), ("", Some("three")), ("", None)]);
    assert_eq!(outcomes, [ErrorCode::NONE, ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::UNKNOWN_MEMBER_ID]);
    assert_eq!(script.groups.member_ids("g"), [ids[0].clone()]);
    assert_eq!(script.beat(&ids[0], generation), ErrorCode::REBALANCE_IN_PROGRESS);
}
