//! What followers may copy, who is in sync by it, and how far the high watermark moves.

use std::time::Duration;

use ottla_mock::{ClusterOptions, HarmError};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::records::ProducerState;

use crate::wire::{Wire, batch, sequenced};

const LAG: Duration = Duration::from_millis(100);

/// Three brokers whose followers copy after a while.
fn slow() -> Wire {
    Wire::new(ClusterOptions::new().brokers(3).topic("t", 1, 3).replication_lag(LAG))
}

fn in_sync(wire: &mut Wire, asked: i32) -> Vec<i32> {
    let mut nodes = wire.metadata(asked).isr_nodes.to_vec();
    nodes.sort_unstable();
    nodes
}

#[test]
fn nobody_copies_from_a_dead_leader_who_is_back_before_its_session_is_over() {
    let mut wire = slow();
    let (leader, [first, second]) = (wire.leader(), wire.followers());
    wire.produce(1, batch(&["a"]));
    wire.pass(LAG);
    wire.cluster.kill_broker(wire.now, second).unwrap();
    wire.produce(1, batch(&["b"]));
    wire.cluster.kill_broker(wire.now, leader).unwrap();
    wire.cluster.restart_broker(wire.now, second).unwrap();
    assert!(!in_sync(&mut wire, first).contains(&second));
    wire.pass(Duration::from_secs(10));
    // Whoever was back early is in sync with the new leader.
    assert_eq!((wire.leader(), in_sync(&mut wire, first)), (first, vec![first, second]));
    assert_eq!(wire.read(0), ["a"]);
}

#[test]
fn those_that_are_back_before_their_paused_leader_copy_once_it_goes_on() {
    let mut wire = slow();
    let (leader, [first, _]) = (wire.leader(), wire.followers());
    wire.produce(1, batch(&["a"]));
    wire.cluster.pause_broker(wire.now, leader).unwrap();
    wire.cluster.kill_broker(wire.now, first).unwrap();
    wire.cluster.restart_broker(wire.now, first).unwrap();
    assert!(!in_sync(&mut wire, first).contains(&first));
    wire.cluster.resume_broker(wire.now, leader).unwrap();
    wire.pass(LAG);
    assert_eq!((wire.leader(), in_sync(&mut wire, leader)), (leader, vec![1, 2, 3]));
    assert_eq!(wire.read(0), ["a"]);
}

#[test]
fn a_follower_that_goes_on_before_its_leader_has_nothing_to_copy_until_that_does() {
    let mut wire = slow();
    let (leader, [first, second]) = (wire.leader(), wire.followers());
    wire.cluster.pause_broker(wire.now, first).unwrap();
    wire.produce(1, batch(&["a"]));
    wire.pass(LAG);
    wire.cluster.pause_broker(wire.now, leader).unwrap();
    wire.cluster.resume_broker(wire.now, first).unwrap();
    wire.pass(LAG);
    let end = |wire: &Wire| wire.cluster.log("t", 0).unwrap().high_watermark();
    assert_eq!((end(&wire), in_sync(&mut wire, second)), (0, vec![1, 2, 3]));
    wire.cluster.resume_broker(wire.now, leader).unwrap();
    wire.pass(LAG);
    assert_eq!((wire.leader(), end(&wire)), (leader, 1));
}

#[test]
fn who_lacks_what_was_acknowledged_is_not_made_the_leader() {
    let mut wire = slow();
    let (leader, [first, second]) = (wire.leader(), wire.followers());
    wire.cluster.kill_broker(wire.now, second).unwrap();
    wire.pass(Duration::from_secs(9));
    // All that are in sync have it: it is acknowledged.
    wire.produce(1, batch(&["a"]));
    wire.pass(LAG);
    wire.cluster.pause_broker(wire.now, leader).unwrap();
    wire.cluster.restart_broker(wire.now, second).unwrap();
    let out_of_sync = HarmError::OutOfSync { broker: second, topic: "t".to_owned(), partition: 0 };
    assert_eq!(wire.cluster.move_leader(wire.now, "t", 0, second), Err(out_of_sync));
    wire.cluster.move_leader(wire.now, "t", 0, first).unwrap();
    wire.collect();
    assert_eq!((wire.read(0), in_sync(&mut wire, first).contains(&second)), (vec!["a".to_owned()], true));
}

#[test]
fn a_dead_leader_moves_no_high_watermark_when_the_controller_gives_its_followers_up() {
    let mut wire = slow();
    let (leader, followers) = (wire.leader(), wire.followers());
    wire.produce(1, batch(&["a"]));
    wire.cluster.kill_broker(wire.now, leader).unwrap();
    for follower in followers {
        wire.cluster.kill_broker(wire.now, follower).unwrap();
        wire.cluster.restart_broker(wire.now, follower).unwrap();
    }
    assert_eq!(in_sync(&mut wire, followers[0]), [leader]);
    wire.pass(Duration::from_secs(9));
    assert_eq!(wire.cluster.leader("t", 0), None);
    assert_eq!(wire.cluster.log("t", 0).unwrap().high_watermark(), 0);
    wire.cluster.restart_broker(wire.now, leader).unwrap();
    wire.pass(LAG);
    assert_eq!((wire.leader(), in_sync(&mut wire, leader)), (leader, vec![1, 2, 3]));
    assert_eq!(wire.read(0), ["a"]);
}

#[test]
fn who_is_kept_from_copying_stays_out_of_sync_over_a_restart_until_that_ends() {
    let mut wire = Wire::three();
    let (leader, [first, _]) = (wire.leader(), wire.followers());
    wire.cluster.hold_replication("t", 0, first).unwrap();
    wire.cluster.kill_broker(wire.now, first).unwrap();
    wire.cluster.restart_broker(wire.now, first).unwrap();
    assert!(!in_sync(&mut wire, leader).contains(&first));
    wire.cluster.resume_replication(wire.now, "t", 0).unwrap();
    assert_eq!(in_sync(&mut wire, leader), [1, 2, 3]);
}

#[test]
fn new_replicas_copy_nothing_from_a_leader_that_is_silent() {
    let mut wire = Wire::new(ClusterOptions::new().brokers(4).topic("t", 1, 1).replication_lag(LAG));
    wire.produce(1, batch(&["a"]));
    let leader = wire.leader();
    let others: Vec<i32> = (1..=4).filter(|id| *id != leader).collect();
    wire.cluster.pause_broker(wire.now, leader).unwrap();
    let partition = ReassignablePartition { replicas: Some(others[..2].to_vec()), ..Default::default() };
    let topic = ReassignableTopic { name: "t".to_owned(), partitions: vec![partition], ..Default::default() };
    let request = AlterPartitionReassignmentsRequest { topics: vec![topic], ..Default::default() };
    let answer = wire.ask(others[2], 1, &request);
    assert_eq!(answer.responses[0].partitions[0].error_code, ErrorCode::NONE);
    assert_eq!(in_sync(&mut wire, others[2]), [leader]);
    wire.cluster.resume_broker(wire.now, leader).unwrap();
    wire.collect();
    assert_eq!(in_sync(&mut wire, others[2]), others[..2]);
    assert_eq!(wire.read(0), ["a"]);
}

#[test]
fn a_broker_that_was_stopped_knows_the_last_batch_of_a_producer_and_one_that_crashed_five() {
    for (stopped, first) in
        [(true, (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1)), (false, (ErrorCode::NONE, 0))]
    {
        let mut wire = Wire::new(ClusterOptions::new().topic("t", 1, 1));
        let producer = |base_sequence| ProducerState { producer_id: 5, producer_epoch: 0, base_sequence };
        let batches = [("a", 0), ("b", 1), ("c", 2)].map(|(value, at)| sequenced(producer(at), &[value]));
        let produce = |wire: &mut Wire, at: usize| {
            let answer = wire.produce(-1, batches[at].clone());
            (answer.error_code, answer.base_offset)
        };
        assert_eq!(
            (produce(&mut wire, 0), produce(&mut wire, 1)),
            ((ErrorCode::NONE, 0), (ErrorCode::NONE, 1))
        );
        let leader = wire.leader();
        match stopped {
            true => wire.cluster.stop_broker(wire.now, leader).unwrap(),
            false => wire.cluster.kill_broker(wire.now, leader).unwrap(),
        }
        wire.cluster.restart_broker(wire.now, leader).unwrap();
        wire.collect();
        assert_eq!(produce(&mut wire, 0), first, "stopped: {stopped}");
        assert_eq!(
            (produce(&mut wire, 1), produce(&mut wire, 2)),
            ((ErrorCode::NONE, 1), (ErrorCode::NONE, 2))
        );
        // What it has seen since, it knows as well.
        assert_eq!(
            (produce(&mut wire, 1), produce(&mut wire, 2)),
            ((ErrorCode::NONE, 1), (ErrorCode::NONE, 2))
        );
    }
}

#[test]
fn a_replica_that_was_not_stopped_knows_five_batches_when_it_leads() {
    let mut wire = Wire::three();
    let producer = |base_sequence| ProducerState { producer_id: 5, producer_epoch: 0, base_sequence };
    let first = sequenced(producer(0), &["a"]);
    wire.produce(-1, first.clone());
    wire.produce(-1, sequenced(producer(1), &["b"]));
    let leader = wire.leader();
    wire.cluster.stop_broker(wire.now, leader).unwrap();
    wire.collect();
    assert_eq!(wire.produce(-1, first.clone()).base_offset, 0);
    wire.cluster.restart_broker(wire.now, leader).unwrap();
    wire.cluster.move_leader(wire.now, "t", 0, leader).unwrap();
    wire.collect();
    assert_eq!(wire.produce(-1, first).error_code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
}

#[test]
fn who_led_before_a_dead_leader_has_what_it_had() {
    let mut wire = Wire::three();
    let (leader, [first, _]) = (wire.leader(), wire.followers());
    wire.produce(-1, batch(&["a"]));
    wire.cluster.kill_broker(wire.now, first).unwrap();
    // Nobody has noticed yet that it is dead.
    wire.cluster.move_leader(wire.now, "t", 0, first).unwrap();
    wire.pass(Duration::from_secs(9));
    assert_eq!(wire.read(0), ["a"]);
    assert_ne!(wire.leader(), first);
    assert!(in_sync(&mut wire, leader).contains(&leader));
}
