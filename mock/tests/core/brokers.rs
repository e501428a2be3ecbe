//! Brokers that die, pause and return; leaders that move; what is lost by that.

use std::time::Duration;

use ottla_mock::{BrokerState, ClusterOptions, HarmError};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla_protocol::messages::metadata::MetadataRequest;
use ottla_protocol::messages::produce::ProduceRequest;

use crate::wire::{PRODUCE, Wire, batch, produce_request};

#[test]
fn a_dead_leader_is_replaced_once_its_session_is_over() {
    let mut wire = Wire::three();
    wire.produce(-1, batch(&["a"]));
    let (leader, [other, _]) = (wire.leader(), wire.followers());
    wire.cluster.kill_broker(wire.now, leader).unwrap();
    wire.pass(Duration::from_millis(8999));
    let seen = wire.metadata(other);
    assert_eq!((seen.leader_id, seen.leader_epoch, seen.isr_nodes.len()), (leader, 0, 3));
    wire.pass(Duration::from_millis(1));
    let seen = wire.metadata(other);
    assert_ne!(seen.leader_id, leader);
    assert_eq!((seen.leader_epoch, seen.isr_nodes.len(), seen.offline_replicas), (1, 2, [leader].into()));
    assert_eq!(wire.read(0), ["a"]);
    wire.cluster.restart_broker(wire.now, leader).unwrap();
    assert_eq!(wire.metadata(leader).isr_nodes.len(), 3);
}

#[test]
fn what_nobody_had_copied_is_lost_with_a_leader_that_crashes_and_kept_by_one_that_stops() {
    for (crashes, left) in [(true, vec!["a"]), (false, vec!["a", "b"])] {
        let mut wire = Wire::new(
            ClusterOptions::new().brokers(3).topic("t", 1, 3).replication_lag(Duration::from_millis(100)),
        );
        wire.produce(1, batch(&["a"]));
        wire.pass(Duration::from_millis(100));
        wire.produce(1, batch(&["b"]));
        let leader = wire.leader();
        match crashes {
            true => wire.cluster.kill_broker(wire.now, leader).unwrap(),
            false => wire.cluster.stop_broker(wire.now, leader).unwrap(),
        }
        wire.pass(Duration::from_secs(10));
        assert_ne!(wire.leader(), leader);
        assert_eq!(wire.read(0), left, "crashes: {crashes}");
    }
}

#[test]
fn a_partition_whose_only_replica_is_gone_waits_for_it_and_loses_nothing() {
    let mut wire = Wire::new(ClusterOptions::new().brokers(2).topic("t", 1, 1));
    wire.produce(1, batch(&["a"]));
    let leader = wire.leader();
    let other = 3 - leader;
    wire.cluster.kill_broker(wire.now, leader).unwrap();
    wire.pass(Duration::from_secs(9));
    let seen = wire.metadata(other);
    assert_eq!((seen.error_code, seen.leader_id), (ErrorCode::LEADER_NOT_AVAILABLE, -1));
    wire.cluster.restart_broker(wire.now, leader).unwrap();
    wire.collect();
    assert_eq!((wire.leader(), wire.read(0)), (leader, vec!["a".to_owned()]));
}

#[test]
fn a_paused_broker_answers_nothing_until_it_goes_on_and_then_knows_its_place() {
    let mut wire = Wire::three();
    let (leader, [other, _]) = (wire.leader(), wire.followers());
    wire.cluster.pause_broker(wire.now, leader).unwrap();
    let sent = wire.send(leader, PRODUCE, &produce_request(-1, batch(&["a"])));
    wire.pass(Duration::from_secs(9));
    assert_eq!(wire.bytes(sent.connection), None);
    assert_ne!(wire.metadata(other).leader_id, leader);
    wire.cluster.resume_broker(wire.now, leader).unwrap();
    wire.collect();
    let response = wire.answer::<ProduceRequest>(sent).unwrap();
    assert_eq!(crate::wire::only_result(response.responses).error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(wire.cluster.broker_state(leader), Some(BrokerState::Running));
    assert_eq!(wire.metadata(other).isr_nodes.len(), 3);
}

#[test]
fn an_answer_that_was_due_during_the_pause_comes_after_it() {
    let mut wire = Wire::new(
        ClusterOptions::new().brokers(3).topic("t", 1, 3).replication_lag(Duration::from_millis(10)),
    );
    let leader = wire.leader();
    let sent = wire.send(leader, PRODUCE, &produce_request(-1, batch(&["a"])));
    wire.cluster.pause_broker(wire.now, leader).unwrap();
    wire.pass(Duration::from_secs(2));
    assert_eq!(wire.bytes(sent.connection), None);
    wire.cluster.resume_broker(wire.now, leader).unwrap();
    wire.collect();
    assert!(wire.answer::<ProduceRequest>(sent).is_some());
}

#[test]
fn a_moved_coordinator_is_found_at_its_new_place() {
    let mut wire = Wire::three();
    let find = FindCoordinatorRequest { coordinator_keys: vec!["g".to_owned()], ..Default::default() };
    let before = wire.ask(1, 6, &find).coordinators.remove(0).node_id;
    let to = before % 3 + 1;
    wire.cluster.move_group_coordinator(wire.now, "g", to).unwrap();
    assert_eq!(wire.ask(1, 6, &find).coordinators.remove(0).node_id, to);
}

#[test]
fn harm_to_what_is_not_there_is_an_error() {
    let mut wire = Wire::new(ClusterOptions::new().brokers(2).topic("t", 1, 1));
    let follower = 3 - wire.leader();
    assert_eq!(wire.cluster.kill_broker(wire.now, 9), Err(HarmError::NoSuchBroker(9)));
    let no_replica = HarmError::NoReplica { broker: follower, topic: "t".to_owned(), partition: 0 };
    assert_eq!(wire.cluster.move_leader(wire.now, "t", 0, follower), Err(no_replica));
    let missing = HarmError::NoSuchPartition("t".to_owned(), 3);
    assert_eq!(wire.cluster.move_leader(wire.now, "t", 3, 1), Err(missing));
}

#[test]
fn a_topic_that_is_asked_for_comes_to_be_where_that_is_allowed() {
    for (flag, created) in [("true", true), ("false", false)] {
        let mut wire = Wire::new(ClusterOptions::new().config("auto.create.topics.enable", flag));
        let topic = ottla_protocol::messages::metadata::MetadataRequestTopic {
            name: Some("new".to_owned()),
            ..Default::default()
        };
        let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
        assert_eq!(wire.ask(1, 12, &request).topics[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        assert_eq!(wire.ask(1, 12, &request).topics[0].error_code.is_ok(), created);
    }
}

#[test]
fn a_dead_follower_holds_up_acknowledgements_until_it_is_given_up() {
    let mut wire = Wire::three();
    let (leader, [follower, _]) = (wire.leader(), wire.followers());
    wire.cluster.kill_broker(wire.now, follower).unwrap();
    let mut patient = produce_request(-1, batch(&["a"]));
    patient.timeout_ms = 30_000;
    let sent = wire.send(leader, PRODUCE, &patient);
    wire.pass(Duration::from_millis(8999));
    assert_eq!(wire.bytes(sent.connection), None);
    wire.pass(Duration::from_millis(1));
    let response = wire.answer::<ProduceRequest>(sent).unwrap();
    assert_eq!(crate::wire::only_result(response.responses).error_code, ErrorCode::NONE);
}

#[test]
fn nobody_copies_from_a_paused_leader() {
    let mut wire = Wire::new(
        ClusterOptions::new().brokers(3).topic("t", 1, 3).replication_lag(Duration::from_millis(10)),
    );
    let leader = wire.leader();
    wire.produce(1, batch(&["a"]));
    wire.cluster.pause_broker(wire.now, leader).unwrap();
    wire.pass(Duration::from_secs(9));
    assert_ne!(wire.leader(), leader);
    assert_eq!(wire.read(0), Vec::<String>::new());
}

#[test]
fn a_replica_out_of_sync_leads_only_where_losing_records_is_allowed() {
    for (unclean, left) in [("false", None), ("true", Some(vec!["a"]))] {
        let options = ClusterOptions::new().brokers(3).topic("t", 1, 3);
        let mut wire = Wire::new(options.config("unclean.leader.election.enable", unclean));
        wire.produce(-1, batch(&["a"]));
        let (leader, followers) = (wire.leader(), wire.followers());
        followers.iter().for_each(|id| wire.cluster.kill_broker(wire.now, *id).unwrap());
        wire.pass(Duration::from_secs(9));
        wire.produce(-1, batch(&["b"]));
        wire.cluster.kill_broker(wire.now, leader).unwrap();
        wire.pass(Duration::from_secs(9));
        wire.cluster.restart_broker(wire.now, followers[0]).unwrap();
        wire.collect();
        assert_eq!(wire.cluster.leader("t", 0), left.is_some().then_some(followers[0]), "unclean: {unclean}");
        match left {
            Some(left) => assert_eq!(wire.read(0), left),
            None => {
                wire.cluster.restart_broker(wire.now, leader).unwrap();
                wire.collect();
                assert_eq!(wire.read(0), ["a", "b"]);
            }
        }
    }
}

#[test]
fn after_an_outage_of_all_brokers_those_that_return_before_the_leader_are_in_sync_again_with_it() {
    let mut wire = Wire::three();
    wire.produce(-1, batch(&["a"]));
    (1..=3).for_each(|broker| wire.cluster.kill_broker(wire.now, broker).unwrap());
    wire.pass(Duration::from_secs(9));
    for broker in 1..=3 {
        wire.cluster.restart_broker(wire.now, broker).unwrap();
    }
    wire.collect();
    let leader = wire.leader();
    assert_eq!((wire.metadata(leader).isr_nodes.len(), wire.read(0)), (3, vec!["a".to_owned()]));
}

#[test]
fn followers_copy_from_a_new_leader_what_they_lacked_of_the_old_one() {
    let lag = Duration::from_millis(10);
    let mut wire = Wire::new(ClusterOptions::new().brokers(3).topic("t", 1, 3).replication_lag(lag));
    let (leader, [first, _]) = (wire.leader(), wire.followers());
    wire.cluster.kill_broker(wire.now, first).unwrap();
    wire.pass(Duration::from_secs(10));
    wire.produce(1, batch(&["a"]));
    // It comes back with a copy of everything, which the other follower has not.
    wire.cluster.restart_broker(wire.now, first).unwrap();
    wire.cluster.kill_broker(wire.now, leader).unwrap();
    wire.pass(Duration::from_secs(10));
    assert_eq!(wire.leader(), first);
    assert_eq!(wire.read(0), ["a"]);
}

#[test]
fn a_silent_follower_leaves_the_in_sync_replicas_once_it_lags_for_too_long() {
    let options = ClusterOptions::new().brokers(3).topic("t", 1, 3);
    let mut wire = Wire::new(
        options.config("broker.session.timeout.ms", "600000").config("replica.lag.time.max.ms", "30000"),
    );
    let (leader, [follower, _]) = (wire.leader(), wire.followers());
    wire.cluster.pause_broker(wire.now, follower).unwrap();
    // It lacks nothing yet.
    wire.pass(Duration::from_secs(60));
    assert_eq!(wire.metadata(leader).isr_nodes.len(), 3);
    let mut patient = produce_request(-1, batch(&["a"]));
    patient.timeout_ms = 60_000;
    let sent = wire.send(leader, PRODUCE, &patient);
    assert_eq!(wire.bytes(sent.connection), None);
    wire.pass(Duration::from_secs(16));
    let response = wire.answer::<ProduceRequest>(sent).unwrap();
    assert_eq!(crate::wire::only_result(response.responses).error_code, ErrorCode::NONE);
    assert_eq!(wire.metadata(leader).isr_nodes.len(), 2);
    wire.cluster.resume_broker(wire.now, follower).unwrap();
    wire.collect();
    assert_eq!(wire.metadata(leader).isr_nodes.len(), 3);
}
