use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use ottla_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use ottla_protocol::messages::list_groups::ListGroupsRequest;
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

use super::{Script, join, protocol, subscription, sync};
use crate::groups::GroupOptions;

fn script() -> Script {
    Script::new(GroupOptions::default())
}

#[test]
fn a_new_member_is_told_an_id_first_from_version_4_on() {
    let mut script = script();
    let asked = script.send_join(4, &join(""));
    let told = script.joined(asked);
    assert_eq!(told.error_code, ErrorCode::MEMBER_ID_REQUIRED);
    assert!(told.member_id.starts_with("me-") && told.member_id.len() == 39, "{}", told.member_id);
    assert_eq!(told.protocol_name, Some(String::new()), "null is for version 7 and newer");
    let old = script.send_join(3, &join(""));
    assert!(script.waits(old), "older members are let in at once");
}

#[test]
fn ids_repeat_with_the_seed_and_differ_from_each_other() {
    let (mut one, mut two) = (script(), script());
    let first = one.new_id();
    assert_eq!(two.new_id(), first);
    assert_ne!(one.new_id(), first);
}

#[test]
fn an_empty_groups_first_rebalance_waits_for_more_as_long_as_more_come() {
    let mut script = script();
    let ids = [script.new_id(), script.new_id(), script.new_id()];
    let first = script.send_join(9, &join(&ids[0]));
    script.pass(Duration::from_millis(2_900));
    let second = script.send_join(9, &join(&ids[1]));
    let third = script.send_join(9, &join(&ids[2]));
    script.pass(Duration::from_millis(3_099));
    assert!(script.waits(first), "a member came in the first three seconds, so there are three more");
    script.pass(Duration::from_millis(1));
    let answers = [first, second, third].map(|ticket| script.joined(ticket));
    let leader = JoinGroupResponse {
        generation_id: 1,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        leader: ids[0].clone(),
        member_id: ids[0].clone(),
        members: {
            let mut sorted = ids.clone();
            sorted.sort();
            let member = |id: String| JoinGroupResponseMember {
                member_id: id,
                metadata: subscription(&["a"]),
                ..Default::default()
            };
            sorted.into_iter().map(member).collect()
        },
        ..Default::default()
    };
    assert_eq!(answers[0], leader);
    assert_eq!(
        answers[1],
        JoinGroupResponse { member_id: ids[1].clone(), members: vec![], ..leader.clone() }
    );
    assert_eq!(answers[2], JoinGroupResponse { member_id: ids[2].clone(), members: vec![], ..leader });
    assert_eq!(script.state(), "CompletingRebalance");
}

#[test]
fn the_initial_delay_ends_with_the_rebalance_timeout_however_many_come() {
    let mut script = script();
    let mut tickets = Vec::new();
    for _ in 0..20 {
        let request = JoinGroupRequest { rebalance_timeout_ms: 7_000, ..join("") };
        tickets.push(script.send_join(3, &request));
        script.seconds(1);
        if !script.waits(tickets[0]) {
            break;
        }
    }
    // Three seconds, three more, and what is left of the seven.
    assert_eq!(tickets.len(), 7);
}

#[test]
fn syncs_wait_for_the_leader_and_bring_everybody_its_share() {
    let mut script = script();
    let (ids, generation) = script.stable(3);
    for id in &ids {
        let again = script.send_sync(&sync(id, generation, &[]));
        let expected = SyncGroupResponse {
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignment: Bytes::from(id.clone()),
            ..Default::default()
        };
        assert_eq!(script.synced(again), expected);
    }
    assert_eq!(script.state(), "Stable");
}

#[test]
fn whom_the_leader_leaves_out_gets_nothing() {
    let mut script = script();
    let ids = [script.new_id(), script.new_id()];
    let joins = [script.send_join(9, &join(&ids[0])), script.send_join(9, &join(&ids[1]))];
    script.seconds(7);
    let answers = joins.map(|ticket| script.joined(ticket));
    let waiting = script.send_sync(&sync(&ids[1], 1, &[]));
    script.send_sync(&sync(&answers[0].leader, 1, &[]));
    let synced = script.synced(waiting);
    assert_eq!((synced.error_code, synced.assignment), (ErrorCode::NONE, Bytes::new()));
}

#[test]
fn a_sync_of_another_generation_or_protocol_is_refused() {
    let mut script = script();
    let (ids, generation) = script.stable(1);
    let good = sync(&ids[0], generation, &[]);
    let cases = [
        (SyncGroupRequest { generation_id: generation - 1, ..good.clone() }, ErrorCode::ILLEGAL_GENERATION),
        (SyncGroupRequest { member_id: "who".into(), ..good.clone() }, ErrorCode::UNKNOWN_MEMBER_ID),
        (SyncGroupRequest { group_id: "other".into(), ..good.clone() }, ErrorCode::UNKNOWN_MEMBER_ID),
        (SyncGroupRequest { group_id: String::new(), ..good.clone() }, ErrorCode::INVALID_GROUP_ID),
        (
            SyncGroupRequest { protocol_name: Some("sticky".into()), ..good.clone() },
            ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
        ),
        (
            SyncGroupRequest { protocol_type: Some("connect".into()), ..good.clone() },
            ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
        ),
        (SyncGroupRequest { protocol_type: None, protocol_name: None, ..good }, ErrorCode::NONE),
    ];
    for (request, expected) in cases {
        let ticket = script.send_sync(&request);
        assert_eq!(script.synced(ticket).error_code, expected, "{request:?}");
    }
}

#[test]
fn a_join_into_a_stable_group_makes_everybody_rejoin() {
    let mut script = script();
    let (ids, generation) = script.stable(2);
    let newcomer = script.new_id();
    let waiting = script.send_join(9, &join(&newcomer));
    assert_eq!(script.state(), "PreparingRebalance");
    assert_eq!(script.beat(&ids[0], generation), ErrorCode::REBALANCE_IN_PROGRESS);
    let refused = script.send_sync(&sync(&ids[0], generation, &[]));
    assert_eq!(script.synced(refused).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    let first = script.send_join(9, &join(&ids[0]));
    assert!(script.waits(first));
    let second = script.send_join(9, &join(&ids[1]));
    for ticket in [waiting, first, second] {
        let answer = script.joined(ticket);
        assert_eq!((answer.generation_id, answer.leader.as_str()), (generation + 1, ids[0].as_str()));
    }
    assert_eq!(script.beat(&ids[0], generation), ErrorCode::ILLEGAL_GENERATION);
}

#[test]
fn who_does_not_rejoin_within_the_rebalance_timeout_is_out() {
    let mut script = script();
    let (ids, generation) = script.stable(3);
    let rejoin = script.send_join(9, &join(&ids[0]));
    // The third is alive, but doesn't join.
    for _ in 0..3 {
        script.seconds(4);
        assert_eq!(script.beat(&ids[2], generation), ErrorCode::REBALANCE_IN_PROGRESS);
        assert_eq!(script.beat(&ids[1], generation), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    let second = script.send_join(9, &join(&ids[1]));
    assert!(script.waits(rejoin));
    script.seconds(3);
    assert_eq!(script.joined(rejoin).generation_id, generation + 1);
    assert_eq!(script.joined(second).generation_id, generation + 1);
    assert_eq!(script.beat(&ids[2], generation), ErrorCode::UNKNOWN_MEMBER_ID);
    let mut left = vec![ids[0].clone(), ids[1].clone()];
    left.sort();
    assert_eq!(script.groups.member_ids("g"), left);
}

#[test]
fn who_does_not_sync_within_the_rebalance_timeout_is_out() {
    let mut script = script();
    let (ids, generation) = script.stable(2);
    let joins = [script.send_join(9, &join(&ids[0])), script.send_join(9, &join(&ids[1]))];
    let answers = joins.map(|ticket| script.joined(ticket));
    assert_eq!(answers[1].generation_id, generation + 1);
    let waiting = script.send_sync(&sync(&ids[1], generation + 1, &[]));
    // The leader is alive, but doesn't sync.
    for _ in 0..3 {
        script.seconds(4);
        assert_eq!(script.beat(&ids[0], generation + 1), ErrorCode::NONE);
    }
    script.seconds(3);
    assert_eq!(script.synced(waiting).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(script.beat(&ids[0], generation + 1), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(script.groups.member_ids("g"), [ids[1].clone()]);
    let rejoin = script.send_join(9, &join(&ids[1]));
    assert_eq!(script.joined(rejoin).leader, ids[1]);
}

#[test]
fn silence_ends_a_session_and_its_end_rebalances_the_others() {
    let mut script = script();
    let (ids, generation) = script.stable(2);
    script.seconds(9);
    assert_eq!(script.beat(&ids[0], generation), ErrorCode::NONE);
    script.seconds(1);
    assert_eq!(script.beat(&ids[0], generation), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(script.groups.member_ids("g"), [ids[0].clone()]);
    script.seconds(60);
    assert_eq!(script.state(), "Empty");
    assert_eq!(script.beat(&ids[0], generation), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_member_that_waits_in_its_join_or_sync_is_not_taken_for_silent() {
    let mut script = script();
    let (ids, generation) = script.stable(2);
    let long = |id: &str| JoinGroupRequest { rebalance_timeout_ms: 40_000, ..join(id) };
    let waiting = script.send_join(9, &long(&ids[0]));
    for _ in 0..4 {
        script.seconds(8);
        assert_eq!(script.beat(&ids[1], generation), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    assert!(script.waits(waiting));
    script.seconds(8);
    assert_eq!(script.joined(waiting).generation_id, generation + 1);
}

#[test]
fn a_new_member_cannot_wait_in_its_join_forever() {
    let mut script = script();
    let (ids, generation) = script.stable(1);
    let long = JoinGroupRequest { rebalance_timeout_ms: 600_000, ..join(&ids[0]) };
    let rejoin = script.send_join(9, &long);
    assert_eq!(script.joined(rejoin).generation_id, generation + 1);
    script.sync_all(&ids, &ids[0], generation + 1);
    let newcomer = script.new_id();
    let waiting = script.send_join(9, &join(&newcomer));
    for _ in 0..42 {
        script.seconds(7);
        script.beat(&ids[0], generation + 1);
    }
    assert!(script.waits(waiting));
    script.seconds(7);
    let answer = script.joined(waiting);
    assert_eq!((answer.error_code, answer.member_id.as_str()), (ErrorCode::UNKNOWN_MEMBER_ID, ""));
}

#[test]
fn an_id_that_was_given_out_holds_a_rebalance_up_until_its_session_ends() {
    let mut script = script();
    let (ids, generation) = script.stable(1);
    let long = JoinGroupRequest { rebalance_timeout_ms: 60_000, ..join(&ids[0]) };
    let given = script.new_id();
    let rejoin = script.send_join(9, &long);
    script.pass(Duration::from_millis(9_999));
    assert!(script.waits(rejoin));
    script.pass(Duration::from_millis(1));
    assert_eq!(script.joined(rejoin).generation_id, generation + 1);
    let late = script.send_join(9, &join(&given));
    assert_eq!(script.joined(late).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_follower_that_joins_again_unchanged_learns_the_generation_and_a_leader_starts_another() {
    let mut script = script();
    let (ids, generation) = script.stable(2);
    let again = script.send_join(9, &join(&ids[1]));
    let answer = script.joined(again);
    assert_eq!((answer.generation_id, answer.members.len()), (generation, 0));
    let changed =
        JoinGroupRequest { protocols: vec![protocol("range", subscription(&["b"]))], ..join(&ids[1]) };
    let changed = script.send_join(9, &changed);
    assert!(script.waits(changed), "new metadata is a cause for a rebalance");
    let leader = script.send_join(9, &join(&ids[0]));
    assert_eq!(script.joined(changed).generation_id, generation + 1);
    let answer = script.joined(leader);
    assert_eq!((answer.generation_id, answer.members.len()), (generation + 1, 2));
    let repeated = script.send_join(9, &join(&ids[0]));
    assert_eq!(script.joined(repeated), answer, "the answer may have got lost");
}

#[test]
fn the_protocol_is_the_one_that_most_members_prefer_among_those_that_all_have() {
    let mut script = script();
    let with = |names: &[&str]| JoinGroupRequest {
        protocols: names.iter().map(|name| protocol(name, Bytes::new())).collect(),
        ..join("")
    };
    let tickets = [
        script.send_join(3, &with(&["own", "range", "sticky"])),
        script.send_join(3, &with(&["sticky", "range"])),
        script.send_join(3, &with(&["sticky", "range", "own"])),
    ];
    let odd = script.send_join(3, &with(&["odd"]));
    assert_eq!(script.joined(odd).error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let alien =
        script.send_join(3, &JoinGroupRequest { protocol_type: "connect".into(), ..with(&["range"]) });
    assert_eq!(script.joined(alien).error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    script.seconds(7);
    for ticket in tickets {
        assert_eq!(script.joined(ticket).protocol_name.as_deref(), Some("sticky"));
    }
}

#[test]
fn joins_that_make_no_sense_are_refused() {
    let mut script = script();
    let cases = [
        (JoinGroupRequest { group_id: String::new(), ..join("") }, ErrorCode::INVALID_GROUP_ID),
        (JoinGroupRequest { session_timeout_ms: 5_999, ..join("") }, ErrorCode::INVALID_SESSION_TIMEOUT),
        (JoinGroupRequest { session_timeout_ms: 1_800_001, ..join("") }, ErrorCode::INVALID_SESSION_TIMEOUT),
        (JoinGroupRequest { session_timeout_ms: -1, ..join("") }, ErrorCode::INVALID_SESSION_TIMEOUT),
        (join("nobody"), ErrorCode::UNKNOWN_MEMBER_ID),
        (
            JoinGroupRequest { protocol_type: String::new(), ..join("") },
            ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
        ),
        (JoinGroupRequest { protocols: vec![], ..join("") }, ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
    ];
    for (request, expected) in cases {
        let ticket = script.send_join(9, &request);
        assert_eq!(script.joined(ticket).error_code, expected, "{request:?}");
    }
}

#[test]
fn a_full_group_takes_its_members_but_nobody_else() {
    let mut script = Script::new(GroupOptions { max_size: 2, ..GroupOptions::default() });
    let (ids, generation) = script.stable(2);
    let refused = script.send_join(9, &join(""));
    let answer = script.joined(refused);
    assert_eq!((answer.error_code, answer.member_id.as_str()), (ErrorCode::GROUP_MAX_SIZE_REACHED, ""));
    let rejoins = [script.send_join(9, &join(&ids[0])), script.send_join(9, &join(&ids[1]))];
    for ticket in rejoins {
        assert_eq!(script.joined(ticket).generation_id, generation + 1);
    }
}

#[test]
fn leaving_is_answered_member_by_member_and_rebalances_the_others() {
    let mut script = script();
    let (ids, generation) = script.stable(3);
    let given = script.new_id();
    let outcomes = script.leave(&[(&ids[1], None), ("nobody", None), (&given, None)]);
    assert_eq!(outcomes, [ErrorCode::NONE, ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::NONE]);
    assert_eq!(script.beat(&ids[2], generation), ErrorCode::REBALANCE_IN_PROGRESS);
    let rejoins = [script.send_join(9, &join(&ids[0])), script.send_join(9, &join(&ids[2]))];
    for ticket in rejoins {
        assert_eq!(script.joined(ticket).generation_id, generation + 1);
    }
    assert_eq!(script.leave(&[(&ids[0], None), (&ids[2], None)]), [ErrorCode::NONE, ErrorCode::NONE]);
    assert_eq!(script.state(), "Empty");
}

#[test]
fn up_to_version_2_a_leave_has_one_member_and_its_error_stands_on_top() {
    let mut script = script();
    let (ids, _) = script.stable(1);
    let request = |member_id: &str| LeaveGroupRequest {
        group_id: "g".into(),
        member_id: member_id.into(),
        ..Default::default()
    };
    let gone = LeaveGroupResponse { error_code: ErrorCode::UNKNOWN_MEMBER_ID, ..Default::default() };
    assert_eq!(script.groups.handle_leave(script.now, 2, &request("nobody")), gone);
    assert_eq!(script.groups.handle_leave(script.now, 2, &request(&ids[0])), LeaveGroupResponse::default());
    assert_eq!(script.state(), "Empty");
}

#[test]
fn groups_are_described_with_what_members_told_only_while_stable() {
    let mut script = script();
    let (ids, _) = script.stable(1);
    let group = script.groups.describe(6, "g");
    assert_eq!((group.group_state.as_str(), group.protocol_data.as_str()), ("Stable", "range"));
    assert_eq!(group.members[0].client_host, "/127.0.0.1");
    assert_eq!(group.members[0].member_metadata, subscription(&["a"]));
    assert_eq!(group.members[0].member_assignment, Bytes::from(ids[0].clone()));
    script.new_id();
    script.send_join(9, &join(&ids[0]));
    let group = script.groups.describe(6, "g");
    assert_eq!((group.group_state.as_str(), group.protocol_data.as_str()), ("PreparingRebalance", ""));
    assert_eq!(group.members[0].member_metadata, Bytes::new());
    assert_eq!(group.members[0].member_assignment, Bytes::from(ids[0].clone()));
    assert_eq!(script.groups.describe(5, "other").group_state, "Dead");
    assert_eq!(script.groups.describe(5, "other").error_code, ErrorCode::NONE);
    assert_eq!(script.groups.describe(6, "other").error_code, ErrorCode::GROUP_ID_NOT_FOUND);
}

#[test]
fn listing_filters_by_state_and_type_whatever_their_case() {
    let mut script = script();
    script.stable(1);
    let found = |states: &[&str], types: &[&str]| {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let request =
            ListGroupsRequest { states_filter: own(states), types_filter: own(types), ..Default::default() };
        script.groups.list(&request).len()
    };
    assert_eq!([found(&[], &[]), found(&["STABLE"], &["Classic"])], [1, 1]);
    assert_eq!([found(&["Empty"], &[]), found(&[], &["consumer"]), found(&["nonsense"], &[])], [0, 0, 0]);
}

#[test]
fn only_groups_without_members_can_be_deleted() {
    let mut script = script();
    let (ids, _) = script.stable(1);
    assert_eq!(script.groups.delete("g").error_code, ErrorCode::NON_EMPTY_GROUP);
    script.leave(&[(&ids[0], None)]);
    assert_eq!(script.groups.delete("g").error_code, ErrorCode::NONE);
    assert_eq!(script.groups.delete("g").error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(script.groups.poll_deadline(), None);
}
