use ottla_protocol::error_code::ErrorCode;

use super::{Script, assigned, claims, enter, hold, join, stay, sync};
use crate::groups::GroupOptions;

#[test]
fn a_session_can_be_ended_at_once() {
    let mut script = Script::new(GroupOptions::default());
    let (ids, generation) = script.stable(2);
    assert!(script.groups.expire_session(script.now, "g", &ids[1]));
    assert!(!script.groups.expire_session(script.now, "g", &ids[1]));
    assert_eq!(script.beat(&ids[1], generation), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(script.beat(&ids[0], generation), ErrorCode::REBALANCE_IN_PROGRESS);
    assert!(!script.groups.expire_session(script.now, "other", &ids[0]));
}

#[test]
fn a_session_can_be_ended_while_its_member_waits() {
    let mut script = Script::new(GroupOptions::default());
    let (ids, _) = script.stable(2);
    let waiting = script.send_join(9, &join(&ids[0]));
    assert!(script.groups.expire_session(script.now, "g", &ids[0]));
    script.collect();
    assert_eq!(script.joined(waiting).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_rebalance_can_be_forced() {
    let mut script = Script::new(GroupOptions::default());
    let (ids, generation) = script.stable(1);
    assert!(script.groups.force_rebalance(script.now, "g"));
    assert_eq!(script.beat(&ids[0], generation), ErrorCode::REBALANCE_IN_PROGRESS);
    let again = script.send_join(9, &join(&ids[0]));
    assert_eq!(script.joined(again).generation_id, generation + 1);
    assert!(!script.groups.force_rebalance(script.now, "other"));
}

#[test]
fn a_consumer_groups_epoch_can_be_raised_and_its_members_ended() {
    let mut script = Script::new(GroupOptions::default());
    script.heartbeat(&enter("m1", &["a"]));
    script.seconds(1);
    assert!(script.groups.force_rebalance(script.now, "g"));
    let response = script.heartbeat(&stay("m1", 2));
    assert_eq!((response.member_epoch, assigned(&response)), (3, None));
    assert!(script.groups.expire_session(script.now, "g", "m1"));
    assert_eq!(script.heartbeat(&stay("m1", 3)).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_new_coordinator_refuses_what_waits_and_knows_the_last_stable_generation() {
    let mut script = Script::new(GroupOptions::default());
    let (ids, generation) = script.stable(2);
    let newcomer = script.new_id();
    let waiting = [script.send_join(9, &join(&newcomer)), script.send_join(9, &join(&ids[0]))];
    script.seconds(8);
    script.groups.handle_coordinator_moved(script.now, "g");
    script.collect();
    for ticket in waiting {
        assert_eq!(script.joined(ticket).error_code, ErrorCode::NOT_COORDINATOR);
    }
    assert_eq!(script.state(), "Stable");
    script.seconds(9);
    let mut known = ids.clone();
    known.sort();
    assert_eq!(
        script.groups.member_ids("g"),
        known,
        "the newcomer is not in the log, and sessions begin anew"
    );
    for id in &ids {
        assert_eq!(script.beat(id, generation), ErrorCode::NONE);
        let synced = script.send_sync(&sync(id, generation, &[]));
        assert_eq!(script.synced(synced).assignment, *id);
    }
    let unknown = script.send_join(9, &join(&newcomer));
    assert_eq!(script.joined(unknown).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_sync_that_waits_is_refused_as_well_and_its_generation_has_never_been() {
    let mut script = Script::new(GroupOptions::default());
    let (ids, generation) = script.stable(2);
    let joins = [script.send_join(9, &join(&ids[0])), script.send_join(9, &join(&ids[1]))];
    for ticket in joins {
        assert_eq!(script.joined(ticket).generation_id, generation + 1);
    }
    let waiting = script.send_sync(&sync(&ids[1], generation + 1, &[]));
    script.groups.handle_coordinator_moved(script.now, "g");
    script.collect();
    assert_eq!(script.synced(waiting).error_code, ErrorCode::NOT_COORDINATOR);
    assert_eq!(script.beat(&ids[1], generation + 1), ErrorCode::ILLEGAL_GENERATION);
}

#[test]
fn a_consumer_group_survives_its_coordinator_whole() {
    let mut script = Script::new(GroupOptions::default());
    script.heartbeat(&enter("m1", &["a"]));
    script.heartbeat(&enter("m2", &["a"]));
    script.seconds(1);
    script.heartbeat(&stay("m1", 2));
    script.seconds(10);
    script.groups.handle_coordinator_moved(script.now, "g");
    script.seconds(14);
    assert_eq!(script.heartbeat(&hold("m1", 2, &[("a", &[0, 1])])).member_epoch, 3, "its time began anew");
    let second = script.heartbeat(&stay("m2", 2));
    assert_eq!(assigned(&second), Some(claims(&[("a", &[2, 3])])));
}

#[test]
fn nobody_is_answered_whose_connection_is_gone_but_the_group_goes_on_counting_its_join() {
    let mut script = Script::new(GroupOptions::default());
    let (ids, generation) = script.stable(2);
    let gone = script.send_join(9, &join(&ids[0]));
    script.groups.drop_tickets(&[gone]);
    let second = script.send_join(9, &join(&ids[1]));
    assert_eq!(script.joined(second).generation_id, generation + 1);
    assert_eq!(script.answer(gone), None);
    assert_eq!(script.beat(&ids[0], generation + 1), ErrorCode::NONE, "it is a member all the same");
}
