use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
use ottla_protocol::messages::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition, decode_assignment,
    encode_assignment, encode_subscription,
};
use ottla_protocol::messages::join_group::JoinGroupRequest;
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use super::{Script, assigned, claims, enter, hold, join, join_static, protocol, stay, sync};
use crate::groups::{GroupOptions, Migration};

fn share(partitions: &[i32]) -> Bytes {
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: TopicPartition::group(partitions.iter().map(|partition| ("a", *partition))),
        ..Default::default()
    };
    encode_assignment(&assignment, 1).expect("it is short")
}

fn owning(member_id: &str, owned: &[i32]) -> JoinGroupRequest {
    let subscription = ConsumerProtocolSubscription {
        topics: vec!["a".into()],
        owned_partitions: TopicPartition::group(owned.iter().map(|partition| ("a", *partition))),
        ..Default::default()
    };
    let metadata = encode_subscription(&subscription, 1).expect("it is short");
    JoinGroupRequest { protocols: vec![protocol("range", metadata)], ..join(member_id) }
}

/// A stable classic group of one member that reads everything; its id and generation.
fn classic(script: &mut Script) -> (String, i32) {
    let id = script.new_id();
    let joining = script.send_join(9, &join(&id));
    script.seconds(3);
    let generation = script.joined(joining).generation_id;
    let assignments = vec![SyncGroupRequestAssignment {
        member_id: id.clone(),
        assignment: share(&[0, 1, 2, 3]),
        ..Default::default()
    }];
    let synced = script.send_sync(&SyncGroupRequest { assignments, ..sync(&id, generation, &[]) });
    assert_eq!(script.synced(synced).error_code, ErrorCode::NONE);
    (id, generation)
}

fn partitions(blob: &Bytes) -> Vec<i32> {
    let (assignment, _) = decode_assignment(blob).expect("it is the coordinator's");
    assignment.assigned_partitions.into_iter().flat_map(|topic| topic.partitions).collect()
}

#[test]
fn members_move_from_the_classic_to_the_consumer_protocol_one_by_one() {
    let mut script = Script::new(GroupOptions::default());
    let (old, generation) = classic(&mut script);
    let new = script.heartbeat(&enter("m1", &["a"]));
    assert_eq!((new.member_epoch, assigned(&new)), (generation + 1, Some(vec![])));
    assert_eq!(script.groups.list(&Default::default())[0].group_type, "consumer");
    let members = script.groups.describe_consumer_group(script.now, "g").members;
    let mut types: Vec<(String, i8)> =
        members.into_iter().map(|member| (member.member_id, member.member_type)).collect();
    types.sort();
    assert_eq!(types, [("m1".to_owned(), 1), (old.clone(), 0)]);

    // The classic member is told to join, gives up what it must, and joins again for the rest.
    assert_eq!(script.beat(&old, generation), ErrorCode::REBALANCE_IN_PROGRESS);
    let first = script.send_join(9, &owning(&old, &[0, 1, 2, 3]));
    let first = script.joined(first);
    assert_eq!((first.generation_id, first.leader.as_str()), (generation, ""));
    let synced = script.send_sync(&sync(&old, generation, &[]));
    assert_eq!(partitions(&script.synced(synced).assignment).len(), 2);
    assert_eq!(assigned(&script.heartbeat(&stay("m1", generation + 1))), None, "it hasn't given them up");
    assert_eq!(script.beat(&old, generation), ErrorCode::REBALANCE_IN_PROGRESS);
    let second = script.send_join(9, &owning(&old, &[0, 1]));
    assert_eq!(script.joined(second).generation_id, generation + 1);
    let synced = script.send_sync(&sync(&old, generation + 1, &[]));
    let kept = partitions(&script.synced(synced).assignment);
    assert_eq!(script.beat(&old, generation + 1), ErrorCode::NONE);
    let rest = assigned(&script.heartbeat(&stay("m1", generation + 1))).expect("they are free");
    let mut all: Vec<i32> = rest[0].partitions.iter().copied().chain(kept).collect();
    all.sort();
    assert_eq!(all, [0, 1, 2, 3]);

    script.seconds(1);
    assert_eq!(script.leave(&[(&old, None)]), [ErrorCode::NONE]);
    let everything = script.heartbeat(&stay("m1", generation + 1));
    assert_eq!(assigned(&everything), Some(claims(&[("a", &[0, 1, 2, 3])])));
}

#[test]
fn a_join_that_waits_is_sent_back_when_its_group_changes_its_protocol() {
    let mut script = Script::new(GroupOptions::default());
    let (old, _) = classic(&mut script);
    let newcomer = script.new_id();
    let waiting = script.send_join(9, &join(&newcomer));
    script.heartbeat(&enter("m1", &["a"]));
    assert_eq!(script.joined(waiting).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(script.groups.member_ids("g").len(), 3);
    let again = script.send_join(9, &owning(&old, &[]));
    assert_eq!(script.joined(again).error_code, ErrorCode::NONE);
}

#[test]
fn a_classic_member_that_does_not_rejoin_or_sync_in_time_is_out() {
    let mut script = Script::new(GroupOptions::default());
    let (old, generation) = classic(&mut script);
    script.heartbeat(&enter("m1", &["a"]));
    for _ in 0..2 {
        assert_eq!(script.beat(&old, generation), ErrorCode::REBALANCE_IN_PROGRESS);
        script.seconds(7);
    }
    script.beat(&old, generation);
    script.seconds(1);
    assert_eq!(script.beat(&old, generation), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(script.groups.member_ids("g"), ["m1"]);
}

#[test]
fn the_last_consumer_members_leaving_makes_the_group_classic_again() {
    let mut script = Script::new(GroupOptions::default());
    let (old, generation) = classic(&mut script);
    script.heartbeat(&enter("m1", &["a"]));
    assert_eq!(script.heartbeat(&stay("m1", -1)).error_code, ErrorCode::NONE);
    assert_eq!(script.groups.list(&Default::default())[0].group_type, "classic");
    assert_eq!(script.state(), "PreparingRebalance");
    let again = script.send_join(9, &owning(&old, &[0, 1, 2, 3]));
    let answer = script.joined(again);
    assert_eq!((answer.leader.as_str(), answer.members.len()), (old.as_str(), 1));
    assert!(answer.generation_id > generation);
    assert_eq!(script.heartbeat(&hold("m1", 2, &[])).error_code, ErrorCode::GROUP_ID_NOT_FOUND);
}

#[test]
fn a_static_member_comes_back_with_the_other_protocol() {
    let mut script = Script::new(GroupOptions::default());
    let fixed = ConsumerGroupHeartbeatRequest { instance_id: Some("one".into()), ..enter("s1", &["a"]) };
    let epoch = script.heartbeat(&fixed).member_epoch;
    script.seconds(1);
    let back = script.send_join(9, &join_static("", "one"));
    let answer = script.joined(back);
    assert_eq!((answer.error_code, answer.generation_id), (ErrorCode::NONE, epoch));
    assert_eq!(
        script.groups.list(&Default::default())[0].group_type,
        "classic",
        "it was the last of its kind"
    );
    let synced = script.send_sync(&SyncGroupRequest {
        group_instance_id: Some("one".into()),
        ..sync(&answer.member_id, epoch, &[])
    });
    assert_eq!(partitions(&script.synced(synced).assignment), [0, 1, 2, 3]);
}

#[test]
fn groups_stay_what_they_are_where_the_policy_says_so() {
    let migration = Migration { upgrade: false, downgrade: false };
    let mut script = Script::new(GroupOptions { migration, ..GroupOptions::default() });
    let (old, generation) = classic(&mut script);
    assert_eq!(script.heartbeat(&enter("m1", &["a"])).error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(script.beat(&old, generation), ErrorCode::NONE);
}

#[test]
fn a_group_that_is_not_of_consumers_stays_classic() {
    let mut script = Script::new(GroupOptions::default());
    let alien = JoinGroupRequest { protocol_type: "connect".into(), ..join("") };
    let joining = script.send_join(3, &alien);
    assert_eq!(script.heartbeat(&enter("m1", &["a"])).error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    script.seconds(3);
    assert_eq!(script.joined(joining).error_code, ErrorCode::NONE);
    let refused = script.heartbeat(&enter("m1", &["a"]));
    assert_eq!(refused.error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(script.state(), "CompletingRebalance");
}

#[test]
fn a_bad_heartbeat_leaves_the_classic_group_as_it_was() {
    let mut script = Script::new(GroupOptions::default());
    let (old, generation) = classic(&mut script);
    let bad = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some("(".into()),
        ..enter("m1", &[])
    };
    assert_eq!(script.heartbeat(&bad).error_code, ErrorCode::INVALID_REGULAR_EXPRESSION);
    assert_eq!(script.beat(&old, generation), ErrorCode::NONE);
    script.seconds(10);
    assert_eq!(script.state(), "Empty", "its session is still watched");
}
