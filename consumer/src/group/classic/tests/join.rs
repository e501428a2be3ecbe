//! From the first look-up to the first assignment.

use std::collections::BTreeSet;

use bytes::Bytes;
use ottla_protocol::messages::join_group::JoinGroupRequestProtocol;
use ottla_protocol::messages::sync_group::SyncGroupRequestAssignment;

use super::*;
use crate::assignor::Assignments;
use crate::group::leader::Noted;

#[test]
fn a_new_member_joins_again_with_the_id_that_it_is_given() {
    let mut script = Script::new(config(range()), &["b", "a", "b"]);
    assert_eq!(script.found(1), None);
    let (id, first) = script.join();
    let expected = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 300_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: subscription(&["a", "b"]),
            ..Default::default()
        }],
        reason: Some("the consumer subscribes".into()),
        ..Default::default()
    };
    assert_eq!(first, expected);

    let required = JoinGroupResponse {
        error_code: ErrorCode::MEMBER_ID_REQUIRED,
        member_id: "m".into(),
        ..Default::default()
    };
    script.member.handle_join(script.now, id, Ok(required));
    let (_, second) = script.join();
    let reason = Some("the coordinator gave a member id".into());
    assert_eq!(second, JoinGroupRequest { member_id: "m".into(), reason, ..expected });
}

#[test]
fn a_follower_syncs_without_assignments_and_gets_its_share() {
    let mut script = Script::new(config(range()), &["a"]);
    script.found(1);
    let (id, _) = script.join();
    script.joined(id, 5, "other");
    assert!(script.member.poll_assignment().is_none());
    let (id, request) = script.sync();
    let expected = SyncGroupRequest {
        group_id: "g".into(),
        generation_id: 5,
        member_id: "m".into(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        ..Default::default()
    };
    assert_eq!(request, expected);
    assert!(script.member.membership().rebalancing);
    script.synced(id, "a-1 a-0");
    script.acknowledge_assigned("a-0 a-1", "a-0 a-1");
    assert_eq!(script.event(), "nothing");
    script.is("m", 5);
    assert!(!script.member.membership().rebalancing);
    assert_eq!(script.member.stable_topics(), Some(&[][..]));
}

#[test]
fn the_leader_has_the_assignor_run_on_everybodys_subscription() {
    let mut script = Script::new(config(range()), &["a"]);
    script.found(1);
    let (id, _) = script.join();
    script.joined(id, 1, "m");
    script.nothing_to_send();
    let task = script.member.poll_assignment().expect("a task");
    assert!(script.member.poll_assignment().is_none());
    assert_eq!((task.assignor.name(), &task.topics[..]), ("range", &["a".to_owned(), "b".to_owned()][..]));
    assert_eq!(task.members.iter().map(|member| member.topics.len()).collect::<Vec<_>>(), [1, 2]);

    let outcome = Assignments::from([("m".into(), partitions("a-0")), ("n".into(), partitions("a-1 b-0"))]);
    script.member.handle_assignment(task.id + 1, Ok(outcome.clone()), &Layout::new());
    script.nothing_to_send();
    script.member.handle_assignment(task.id, Ok(outcome), &Layout::new());
    let (id, request) = script.sync();
    let entry = |member_id: &str, assigned: &str| SyncGroupRequestAssignment {
        member_id: member_id.into(),
        assignment: share(assigned),
        ..Default::default()
    };
    assert_eq!(request.assignments, [entry("m", "a-0"), entry("n", "a-1 b-0")]);
    script.synced(id, "a-0");
    assert_eq!(script.member.stable_topics(), Some(&["a".to_owned(), "b".to_owned()][..]));
}

#[test]
fn a_static_leader_that_need_not_assign_still_watches_the_groups_topics() {
    let config = GroupConfig { group_instance_id: Some("i".into()), ..config(range()) };
    let mut script = Script::new(config, &["a"]);
    script.found(1);
    let (id, request) = script.join();
    assert_eq!(request.group_instance_id.as_deref(), Some("i"));
    script.joined_with(id, 4, "m", true);
    assert!(script.member.poll_assignment().is_none());
    let (id, request) = script.sync();
    assert_eq!((request.assignments.len(), request.group_instance_id.as_deref()), (0, Some("i")));
    script.synced(id, "a-0");
    assert_eq!(script.member.stable_topics(), Some(&["a".to_owned(), "b".to_owned()][..]));
}

#[test]
fn a_static_leader_writes_down_what_its_assignment_rests_on_and_reads_it_when_it_comes_back() {
    let layout = |count| Layout::from([("a".to_owned(), vec![BTreeSet::new(); count])]);
    let noted = |count| Noted::from([("a".to_owned(), count)]);
    let config = || GroupConfig { group_instance_id: Some("i".into()), ..config(range()) };
    let mut script = Script::new(config(), &["a"]);
    script.found(1);
    let (id, _) = script.join();
    script.joined(id, 1, "m");
    let task = script.member.poll_assignment().expect("a task");
    let outcome = Assignments::from([("m".into(), partitions("a-0")), ("n".into(), partitions("a-1"))]);
    script.member.handle_assignment(task.id, Ok(outcome), &layout(2));
    let (id, request) = script.sync();
    let [own, other] = &request.assignments[..] else { panic!("{:?}", request.assignments) };
    assert_eq!((own.member_id.as_str(), &other.assignment), ("m", &share("a-1")));
    let answer = || SyncGroupResponse { assignment: own.assignment.clone(), ..Default::default() };
    script.member.handle_sync(script.now, id, Ok(answer()));
    script.acknowledge_assigned("a-0", "a-0");
    assert_eq!(script.member.take_noted(), None, "it has just seen to it");

    let mut again = Script::new(config(), &["a"]);
    again.found(1);
    let (id, _) = again.join();
    again.joined_with(id, 1, "m", true);
    let (id, _) = again.sync();
    again.member.handle_sync(again.now, id, Ok(answer()));
    again.acknowledge_assigned("a-0", "a-0");
    assert_eq!((again.member.take_noted(), again.member.take_noted()), (Some(noted(2)), None));

    let mut follower = Script::new(config(), &["a"]);
    follower.found(1);
    let (id, _) = follower.join();
    follower.joined(id, 2, "n");
    let (id, _) = follower.sync();
    follower.synced(id, "a-0");
    follower.acknowledge_assigned("a-0", "a-0");
    assert_eq!(follower.member.take_noted(), None, "others watch the topics");
    assert_eq!(follower.member.stable_topics(), Some(&[][..]));

    // Before JoinGroup v9 the coordinator names the leader by its former id.
    let mut told_otherwise = Script::new(config(), &["a"]);
    told_otherwise.found(1);
    let (id, _) = told_otherwise.join();
    told_otherwise.joined(id, 1, "m, before it went");
    let (id, _) = told_otherwise.sync();
    told_otherwise.member.handle_sync(told_otherwise.now, id, Ok(answer()));
    told_otherwise.acknowledge_assigned("a-0", "a-0");
    assert_eq!(told_otherwise.member.take_noted(), Some(noted(2)));
    assert_eq!(told_otherwise.member.stable_topics(), Some(&["a".to_owned()][..]));
}

/// A leader, static or not, of the first generation, in which it gives `m` nothing but `a-0`, and leaves out `a-1` if `n` still
/// has that. What it wrote for itself is returned as well.
fn leader_of_two(instance: Option<&str>, owned: &[(&str, i32)]) -> (Script, Bytes) {
    let config = GroupConfig { group_instance_id: instance.map(Into::into), ..config(cooperative()) };
    let mut script = Script::new(config, &["a"]);
    script.found(1);
    let share = leads_two(&mut script, 1, owned);
    script.acknowledge_assigned("a-0", "a-0");
    (script, share)
}

/// A generation of that kind, from JoinGroup to SyncGroup's answer.
fn leads_two(script: &mut Script, generation_id: i32, owned: &[(&str, i32)]) -> Bytes {
    let (id, _) = script.join();
    let topics = vec!["a".to_owned()];
    let owned_partitions = Grouped::group(owned.iter().copied());
    let has = ConsumerProtocolSubscription { topics, owned_partitions, ..Default::default() };
    let member = |member_id: &str, metadata| JoinGroupResponseMember {
        member_id: member_id.into(),
        metadata,
        ..Default::default()
    };
    let response = JoinGroupResponse {
        generation_id,
        protocol_name: Some("cooperative-sticky".into()),
        leader: "m".into(),
        member_id: "m".into(),
        members: vec![
            member("m", subscription(&["a"])),
            member("n", encode_subscription(&has, 3).expect("fits")),
        ],
        ..Default::default()
    };
    script.member.handle_join(script.now, id, Ok(response));
    let task = script.member.poll_assignment().expect("a task");
    let outcome = Assignments::from([("m".into(), partitions("a-0")), ("n".into(), Vec::new())]);
    let layout = Layout::from([("a".to_owned(), vec![BTreeSet::new(); 2])]);
    script.member.handle_assignment(task.id, Ok(outcome), &layout);
    let (id, request) = script.sync();
    let assignment = request.assignments[0].assignment.clone();
    let response = SyncGroupResponse { assignment: assignment.clone(), ..Default::default() };
    script.member.handle_sync(script.now, id, Ok(response));
    assignment
}

/// So many seconds in the generation, with a heartbeat every three.
fn rests(script: &mut Script, seconds: u64) {
    for _ in 0..seconds / 3 {
        script.member.polled(script.now);
        script.beat(ErrorCode::NONE);
    }
}

#[test]
fn a_leader_that_leaves_out_what_somebody_is_to_give_up_has_the_group_rebalance_if_nobody_else_does() {
    for instance in [None, Some("i")] {
        let (mut script, _) = leader_of_two(instance, &[("a", 1)]);
        assert_eq!(script.member.take_noted(), None);
        rests(&mut script, 42);
        script.advance(seconds(2));
        script.nothing_to_send();
        script.advance(seconds(1));
        // A heartbeat is due as well.
        let requests = [script.request(), script.request()].into_iter().flatten().map(|request| request.body);
        let joins = |body| if let RequestBody::Join(request) = body { Some(request) } else { None };
        let request = { requests }.find_map(joins).expect("a JoinGroup");
        assert_eq!(request.reason.as_deref(), Some("partitions that somebody was to give up are nobody's"));
    }

    let (mut script, _) = leader_of_two(None, &[("a", 1)]);
    script.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    let (id, _) = script.join();
    script.joined(id, 2, "n");
    let (id, _) = script.sync();
    script.synced(id, "a-0");
    rests(&mut script, 90);
    script.nothing_to_send();

    let (mut script, _) = leader_of_two(None, &[]);
    rests(&mut script, 90);
    script.nothing_to_send();
}

#[test]
fn a_static_leader_does_not_write_down_what_it_left_out() {
    for (owned, given_out) in [(&[("a", 1)][..], 1), (&[], 2)] {
        let (_, assignment) = leader_of_two(Some("i"), owned);
        let config = GroupConfig { group_instance_id: Some("i".into()), ..config(range()) };
        let mut again = Script::new(config, &["a"]);
        again.found(1);
        let (id, _) = again.join();
        again.joined_with(id, 1, "m", true);
        let (id, _) = again.sync();
        let response = SyncGroupResponse { assignment, ..Default::default() };
        again.member.handle_sync(again.now, id, Ok(response));
        assert_eq!(again.member.take_noted(), Some(Noted::from([("a".to_owned(), given_out)])));
    }
}

#[test]
fn all_assignors_are_offered_and_the_chosen_one_is_named_in_sync() {
    let both = range().into_iter().chain(cooperative()).collect();
    let mut script = Script::new(config(both), &["a"]);
    script.found(1);
    let (id, request) = script.join();
    let names: Vec<_> = request.protocols.iter().map(|protocol| protocol.name.as_str()).collect();
    assert_eq!(names, ["range", "cooperative-sticky"]);
    let response = JoinGroupResponse {
        generation_id: 1,
        protocol_name: Some("cooperative-sticky".into()),
        leader: "other".into(),
        member_id: "m".into(),
        ..Default::default()
    };
    script.member.handle_join(script.now, id, Ok(response));
    assert_eq!(script.sync().1.protocol_name.as_deref(), Some("cooperative-sticky"));
}

#[test]
fn an_eager_assignor_on_offer_makes_the_member_eager() {
    let both = range().into_iter().chain(cooperative()).collect();
    let mut script = Script::stable(config(both), &["a"], "a-0");
    script.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    script.acknowledge("revoke a-0");
    assert_eq!(told(&script.join().1), (vec!["a".into()], String::new(), 1));
}

/// What the machine does after JoinGroup or SyncGroup was refused.
#[derive(Debug, PartialEq)]
enum Then {
    /// Joins at once, as this member.
    Joins(&'static str),
    /// Joins after a pause, as this member.
    Waits(&'static str),
    /// Looks for the coordinator after a pause, then joins as this member.
    Searches(&'static str),
    Fails(&'static str),
}

fn outcome(script: &mut Script) -> Then {
    let member = |request: JoinGroupRequest| if request.member_id == "m" { "m" } else { "" };
    match script.event().as_str() {
        "failed Broker" => return Then::Fails("failed Broker"),
        "nothing" => {}
        other => return Then::Fails(String::leak(other.to_owned())),
    }
    match script.request() {
        Some(MemberRequest { body: RequestBody::Join(request), .. }) => return Then::Joins(member(request)),
        Some(other) => panic!("{other:?}"),
        None => {}
    }
    let before = script.now;
    script.advance_to_deadline();
    assert!(script.now - before <= seconds(1));
    match script.request() {
        Some(MemberRequest { body: RequestBody::Join(request), .. }) => Then::Waits(member(request)),
        Some(MemberRequest { id, body: RequestBody::FindCoordinator { instead_of }, .. }) => {
            assert_eq!(instead_of, Some(1));
            script.member.handle_coordinator(script.now, id, Ok(2));
            Then::Searches(member(script.join().1))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_refusal_of_joingroup_has_its_consequence() {
    let table = [
        (ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, Then::Waits("m")),
        (ErrorCode::REBALANCE_IN_PROGRESS, Then::Waits("m")),
        (ErrorCode::MEMBER_ID_REQUIRED, Then::Waits("m")),
        (ErrorCode::NOT_COORDINATOR, Then::Searches("m")),
        (ErrorCode::COORDINATOR_NOT_AVAILABLE, Then::Searches("m")),
        (ErrorCode::UNKNOWN_MEMBER_ID, Then::Joins("")),
        (ErrorCode::GROUP_MAX_SIZE_REACHED, Then::Fails("failed Broker")),
        (ErrorCode::UNKNOWN_SERVER_ERROR, Then::Fails("failed Broker")),
        (ErrorCode::FENCED_INSTANCE_ID, Then::Fails("failed for good Fenced")),
        (ErrorCode::GROUP_AUTHORIZATION_FAILED, Then::Fails("failed for good Authorization")),
        (ErrorCode::INCONSISTENT_GROUP_PROTOCOL, Then::Fails("failed for good Broker")),
        (ErrorCode::INVALID_SESSION_TIMEOUT, Then::Fails("failed for good Broker")),
        (ErrorCode::INVALID_GROUP_ID, Then::Fails("failed for good Broker")),
    ];
    for (code, expected) in table {
        let mut script = Script::stable(config(range()), &["a"], "");
        script.member.request_rejoin("test");
        let (id, _) = script.join();
        script.member.handle_join(script.now, id, join_refused(code));
        assert_eq!(outcome(&mut script), expected, "{code}");
    }
}

#[test]
fn each_refusal_of_syncgroup_has_its_consequence() {
    let table = [
        (ErrorCode::REBALANCE_IN_PROGRESS, Then::Joins("m")),
        (ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, Then::Waits("m")),
        (ErrorCode::NOT_COORDINATOR, Then::Searches("m")),
        (ErrorCode::COORDINATOR_NOT_AVAILABLE, Then::Searches("m")),
        (ErrorCode::UNKNOWN_MEMBER_ID, Then::Joins("")),
        (ErrorCode::ILLEGAL_GENERATION, Then::Joins("m")),
        (ErrorCode::UNKNOWN_SERVER_ERROR, Then::Fails("failed Broker")),
        (ErrorCode::FENCED_INSTANCE_ID, Then::Fails("failed for good Fenced")),
        (ErrorCode::GROUP_AUTHORIZATION_FAILED, Then::Fails("failed for good Authorization")),
        (ErrorCode::INCONSISTENT_GROUP_PROTOCOL, Then::Fails("failed for good Broker")),
    ];
    for (code, expected) in table {
        let mut script = Script::stable(config(range()), &["a"], "");
        script.member.request_rejoin("test");
        let (id, _) = script.join();
        script.joined(id, 2, "other");
        let (id, _) = script.sync();
        script.member.handle_sync(script.now, id, sync_refused(code));
        assert_eq!(outcome(&mut script), expected, "{code}");
    }
}

#[test]
fn a_connection_that_breaks_while_joining_costs_no_member_id() {
    let mut script = Script::stable(config(cooperative()), &["a"], "a-0");
    script.member.request_rejoin("test");
    let (id, _) = script.join();
    script.member.handle_join(script.now, id, Err(disconnected()));
    script.advance_to_deadline();
    assert_eq!(script.found(2), Some(1));
    let (_, request) = script.join();
    assert_eq!((request.member_id.as_str(), told(&request)), ("m", (vec!["a".into()], "a-0".into(), 1)));
    assert_eq!(script.event(), "nothing");
}

#[test]
fn pauses_between_attempts_grow() {
    let mut script = Script::new(config(range()), &["a"]);
    script.found(1);
    let mut pauses = Vec::new();
    for _ in 0..5 {
        let (id, _) = script.join();
        script.member.handle_join(script.now, id, join_refused(ErrorCode::UNKNOWN_MEMBER_ID));
        let before = script.now;
        script.advance_to_deadline();
        pauses.push((script.now - before).as_millis());
    }
    assert!(pauses.is_sorted() && pauses[0] >= 80 && pauses[4] > 600, "{pauses:?}");
}

#[test]
fn a_coordinator_that_cannot_be_found_is_looked_for_again() {
    let mut script = Script::new(config(range()), &["a"]);
    let (id, _) = script.find();
    script.member.handle_coordinator(script.now, id, Err(Error::new(ErrorKind::Timeout, "nobody answers")));
    script.nothing_to_send();
    script.advance_to_deadline();
    let (id, _) = script.find();
    script.member.handle_coordinator(
        script.now,
        id,
        Err(Error::from_code(ErrorCode::GROUP_AUTHORIZATION_FAILED, "cannot find the coordinator")),
    );
    assert_eq!(script.event(), "failed for good Authorization");
}

#[test]
fn a_failure_that_may_pass_is_tried_again_once_the_application_knows() {
    let mut script = Script::new(config(range()), &["a"]);
    script.found(1);
    let (id, _) = script.join();
    script.member.handle_join(script.now, id, join_refused(ErrorCode::GROUP_MAX_SIZE_REACHED));
    script.nothing_to_send();
    assert_eq!(script.member.poll_deadline(), None);
    match script.member.poll_event() {
        Some(GroupEvent::Failed { error, .. }) => assert!(error.is_retriable(), "it is worth another poll"),
        other => panic!("{other:?}"),
    }
    script.acknowledge("failed Broker");
    script.advance_to_deadline();
    script.join();
}

#[test]
fn a_failure_for_good_stays_when_it_is_acknowledged() {
    let mut script = Script::new(config(range()), &["a"]);
    script.found(1);
    let (id, _) = script.join();
    script.member.handle_join(script.now, id, join_refused(ErrorCode::GROUP_AUTHORIZATION_FAILED));
    script.acknowledge("failed for good Authorization");
    assert_eq!(script.event(), "failed for good Authorization");
    assert_eq!((script.request(), script.member.poll_deadline()), (None, None));
}

#[test]
fn answers_that_make_no_sense_are_failures_and_not_loops() {
    let odd = |change: fn(&mut JoinGroupResponse)| {
        let mut script = Script::new(config(range()), &["a"]);
        script.found(1);
        let (id, _) = script.join();
        let mut response = JoinGroupResponse {
            generation_id: 1,
            protocol_name: Some("range".into()),
            leader: "other".into(),
            member_id: "m".into(),
            ..Default::default()
        };
        change(&mut response);
        script.member.handle_join(script.now, id, Ok(response));
        script.event()
    };
    assert_eq!(odd(|response| response.protocol_name = Some("mine".into())), "failed for good Protocol");
    assert_eq!(odd(|response| response.protocol_type = Some("connect".into())), "failed for good Protocol");
    assert_eq!(odd(|response| response.member_id.clear()), "failed Protocol");
    assert_eq!(odd(|response| response.generation_id = -1), "failed Protocol");
    assert_eq!(odd(|_| {}), "nothing");
}

#[test]
fn an_unreadable_share_is_a_failure_and_a_missing_one_is_empty() {
    for (assignment, event) in
        [(Bytes::from_static(&[0]), "failed Protocol"), (Bytes::new(), "assigned  of ")]
    {
        let mut script = Script::new(config(range()), &["a"]);
        script.found(1);
        let (id, _) = script.join();
        script.joined(id, 1, "other");
        let (id, _) = script.sync();
        let response = SyncGroupResponse { assignment, ..Default::default() };
        script.member.handle_sync(script.now, id, Ok(response));
        assert_eq!(script.event(), event);
    }
}

#[test]
fn a_member_with_an_unreadable_subscription_gets_nothing_and_stops_nobody() {
    let joined =
        [("m", subscription(&["a"])), ("broken", Bytes::from_static(&[0xff]))].map(|(id, metadata)| {
            JoinGroupResponseMember { member_id: id.into(), metadata, ..Default::default() }
        });
    let members = crate::group::leader::members(&joined);
    assert_eq!(members[0].topics, ["a"]);
    assert_eq!((members[1].member_id.as_str(), members[1].topics.len()), ("broken", 0));
}

#[test]
fn a_long_reason_is_cut_to_what_brokers_take() {
    let mut script = Script::stable(config(cooperative()), &["a"], "a-0");
    assert!(script.member.request_rejoin(&"ä".repeat(400)));
    assert_eq!(script.join().1.reason.map(|reason| reason.chars().count()), Some(255));
}

#[test]
fn an_answer_to_another_request_changes_nothing() {
    let mut script = Script::new(config(range()), &["a"]);
    script.found(1);
    let (id, _) = script.join();
    script.joined(id + 1, 1, "other");
    script.synced(id, "a-0");
    script.nothing_to_send();
    script.is("", -1);
    assert_eq!(script.event(), "nothing");
}
