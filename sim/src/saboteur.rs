//! Does harm when it is time, and mends it.

use std::sync::Arc;
use std::time::Duration;

use ottla_client::Target;
use ottla_mock::history::{Event, Place};
use ottla_mock::{BrokerState, HarmError};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use tokio::sync::watch;

use crate::faults::{Act, Harm};
use crate::world::World;

/// Does all harm in its order, leaves the cluster whole, and says so.
pub(crate) async fn sabotage(world: World, acts: Vec<Act>, calm: watch::Sender<bool>) {
    // What was broken comes back at its time, whatever else is broken meanwhile.
    let mut repairs: Vec<(Duration, i32)> = Vec::new();
    let mut acts = acts.into_iter().peekable();
    let is_disturbing = acts.peek().is_some();
    let recorder = world.recorder();
    loop {
        let next_repair = repairs.iter().map(|(at, _)| *at).min();
        let next_act = acts.peek().map(|act| act.at);
        let Some(next) = next_act.into_iter().chain(next_repair).min() else { break };
        tokio::time::sleep(next.saturating_sub(recorder.elapsed())).await;
        if next_repair == Some(next) {
            let due = repairs.iter().position(|(at, _)| *at == next).unwrap_or(0);
            let (_, broker) = repairs.remove(due);
            recorder.note(Event::Disturbed { what: format!("broker {broker} comes back") });
            mend(&world, broker);
        } else if let Some(act) = acts.next() {
            recorder.note(Event::Disturbed { what: format!("{:?}", act.harm) });
            if let Some((broker, away)) = harm(&world, act.harm) {
                repairs.push((recorder.elapsed() + away, broker));
            }
        }
    }
    world.mock().cluster().forget_faults();
    if is_disturbing {
        recorder.note(Event::Calmed);
    }
    calm.send_replace(true);
}

/// Does harm; says which broker comes back after how long.
fn harm(world: &World, harm: Harm) -> Option<(i32, Duration)> {
    let mock = world.mock();
    // Harm to what is down already, or that is no replica, is none.
    let (done, repair) = match harm {
        Harm::Requests { key, skip, times, fault } => {
            mock.cluster().on(key).skip(skip).times(times, fault);
            return None;
        }
        Harm::Flaky { key, probability, fault } => {
            let mut cluster = mock.cluster();
            let rule = match key {
                Some(key) => cluster.on(key),
                None => cluster.on_any(),
            };
            rule.with_probability(probability, fault);
            return None;
        }
        Harm::Kill(broker, away) => {
            endanger(world, |place| mock.cluster().leader(&place.topic, place.partition) == Some(broker));
            (mock.kill_broker(broker), Some((broker, away)))
        }
        Harm::Stop(broker, away) => (mock.stop_broker(broker), Some((broker, away))),
        Harm::Pause(broker, away) => {
            endanger(world, |place| mock.cluster().leader(&place.topic, place.partition) == Some(broker));
            (mock.pause_broker(broker), Some((broker, away)))
        }
        Harm::Freeze(group, away) => {
            let coordinator = mock.cluster().group_coordinator(&group)?;
            endanger(world, |place| {
                mock.cluster().leader(&place.topic, place.partition) == Some(coordinator)
            });
            (mock.pause_broker(coordinator), Some((coordinator, away)))
        }
        Harm::Cut(broker) => (mock.cluster().cut_connections(broker), None),
        Harm::MoveLeader(place, to) => {
            endanger(world, |other| *other == place);
            (mock.move_leader(&place.topic, place.partition, to), None)
        }
        Harm::MoveCoordinator(group, to) => (mock.move_group_coordinator(&group, to), None),
        Harm::MoveTransactions(id, to) => (mock.move_transaction_coordinator(&id, to), None),
        Harm::Fence(id) => {
            let mut cluster = mock.cluster();
            let now = cluster.now();
            cluster.fence_producer(now, &id);
            return None;
        }
        Harm::Expire(group, member) => {
            let mut cluster = mock.cluster();
            let now = cluster.now();
            let members = cluster.group_members(&group);
            match member {
                Some(_) if members.is_empty() => {}
                Some(number) => {
                    cluster.expire_session(now, &group, Some(&members[number % members.len()]));
                }
                None => {
                    cluster.expire_session(now, &group, None);
                }
            }
            return None;
        }
        Harm::Rebalance(group) => {
            let mut cluster = mock.cluster();
            let now = cluster.now();
            cluster.force_rebalance(now, &group);
            return None;
        }
        Harm::Recreate(topic, gap) => {
            tokio::spawn(recreate(world.clone(), topic, gap));
            return None;
        }
        Harm::Grow(topic, count) => {
            tokio::spawn(grow(world.clone(), topic, count));
            return None;
        }
    };
    done.is_ok().then_some(repair).flatten()
}

/// Notes that what some leaders have alone may be lost.
fn endanger(world: &World, is_in_danger: impl Fn(&Place) -> bool) {
    for place in world.places().into_iter().filter(is_in_danger) {
        world.recorder().note(Event::Endangered { place });
    }
}

/// Deletes a topic, and makes it anew.
async fn recreate(world: World, topic: String, gap: Duration) {
    let mock = world.mock();
    let places = world.places_of(&topic.as_str().into());
    let note =
        || places.iter().for_each(|place| world.recorder().note(Event::Recreated { place: place.clone() }));
    note();
    {
        let mut cluster = mock.cluster();
        let now = cluster.now();
        cluster.delete_topic(now, &topic);
    }
    tokio::time::sleep(gap).await;
    let count = i32::try_from(places.len()).unwrap_or(1);
    // While too many brokers are down, there is no room for it.
    while mock.cluster().create_topic(&topic, count, world.replication).is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    note();
}

/// Asks for more partitions until they are there, or were refused.
async fn grow(world: World, topic: String, count: i32) {
    let Ok(client) = world.client() else { return };
    let wanted =
        CreatePartitionsTopic { name: topic.clone(), count, assignments: None, ..Default::default() };
    let request = CreatePartitionsRequest { topics: vec![wanted], timeout_ms: 2_000, ..Default::default() };
    let name: Arc<str> = topic.into();
    let deadline = tokio::time::Instant::now().into_std() + Duration::from_secs(60);
    while i32::try_from(world.places_of(&name).len()).is_ok_and(|found| found < count) {
        let refused = match client.call(Target::Controller, &request, deadline).await {
            Ok(response) => response.results.iter().any(|result| {
                result.error_code == ErrorCode::INVALID_PARTITIONS
                    || result.error_code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            }),
            Err(error) => !error.is_retriable(),
        };
        if refused || tokio::time::Instant::now().into_std() >= deadline {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Brings a broker back, whatever has become of it.
fn mend(world: &World, broker: i32) {
    let mock = world.mock();
    let state = mock.cluster().broker_state(broker);
    let mended: Result<(), HarmError> = match state {
        Some(BrokerState::Down) => mock.restart_broker(broker),
        Some(BrokerState::Paused) => mock.resume_broker(broker),
        Some(BrokerState::Running) | None => Ok(()),
    };
    // It is there, and was found in this state: nothing is in the way.
    debug_assert_eq!(mended, Ok(()));
}
