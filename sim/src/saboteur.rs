//! Does harm when the plan says so, and mends it.

use std::time::Duration;

use ottla_mock::history::Event;
use ottla_mock::{BrokerState, HarmError, Mock};

use crate::plan::{Act, GROUP, Harm};
use crate::recorder::Recorder;

/// Does all harm in its order, and leaves the cluster whole.
pub(crate) async fn sabotage(mock: Mock, recorder: Recorder, acts: Vec<Act>) {
    // What was broken comes back at its time, whatever else is broken meanwhile.
    let mut repairs: Vec<(Duration, i32)> = Vec::new();
    let mut acts = acts.into_iter().peekable();
    let is_disturbing = acts.peek().is_some();
    loop {
        let next_repair = repairs.iter().map(|(at, _)| *at).min();
        let next_act = acts.peek().map(|act| act.at);
        let Some(next) = next_act.into_iter().chain(next_repair).min() else { break };
        tokio::time::sleep(next.saturating_sub(recorder.elapsed())).await;
        if next_repair == Some(next) {
            let due = repairs.iter().position(|(at, _)| *at == next).unwrap_or(0);
            let (_, broker) = repairs.remove(due);
            recorder.note(Event::Disturbed { what: format!("broker {broker} comes back") });
            mend(&mock, broker);
        } else if let Some(act) = acts.next() {
            recorder.note(Event::Disturbed { what: format!("{:?}", act.harm) });
            if let Some((broker, away)) = harm(&mock, act.harm) {
                repairs.push((recorder.elapsed() + away, broker));
            }
        }
    }
    mock.cluster().forget_faults();
    if is_disturbing {
        recorder.note(Event::Calmed);
    }
}

/// Does harm; says which broker comes back after how long.
fn harm(mock: &Mock, harm: Harm) -> Option<(i32, Duration)> {
    // Harm to what is down already, or that is no replica, is none.
    let (done, repair) = match harm {
        Harm::Requests { key, skip, times, fault } => {
            mock.cluster().on(key).skip(skip).times(times, fault);
            return None;
        }
        Harm::Any { probability, fault } => {
            mock.cluster().on_any().with_probability(probability, fault);
            return None;
        }
        Harm::Kill(broker, away) => (mock.kill_broker(broker), Some((broker, away))),
        Harm::Stop(broker, away) => (mock.stop_broker(broker), Some((broker, away))),
        Harm::Pause(broker, away) => (mock.pause_broker(broker), Some((broker, away))),
        Harm::Cut(broker) => (mock.cluster().cut_connections(broker), None),
        Harm::MoveLeader(place, to) => (mock.move_leader(&place.topic, place.partition, to), None),
        Harm::MoveCoordinator(to) => (mock.move_group_coordinator(GROUP, to), None),
        Harm::Expire(member) => {
            let mut cluster = mock.cluster();
            let now = cluster.now();
            let members = cluster.group_members(GROUP);
            match member {
                Some(_) if members.is_empty() => {}
                Some(number) => {
                    cluster.expire_session(now, GROUP, Some(&members[number % members.len()]));
                }
                None => {
                    cluster.expire_session(now, GROUP, None);
                }
            }
            return None;
        }
        Harm::Rebalance => {
            let mut cluster = mock.cluster();
            let now = cluster.now();
            cluster.force_rebalance(now, GROUP);
            return None;
        }
    };
    done.is_ok().then_some(repair).flatten()
}

/// Brings a broker back, whatever has become of it.
fn mend(mock: &Mock, broker: i32) {
    let state = mock.cluster().broker_state(broker);
    let mended: Result<(), HarmError> = match state {
        Some(BrokerState::Down) => mock.restart_broker(broker),
        Some(BrokerState::Paused) => mock.resume_broker(broker),
        Some(BrokerState::Running) | None => Ok(()),
    };
    // It is there, and was found in this state: nothing is in the way.
    debug_assert_eq!(mended, Ok(()));
}
