#![allow(clippy::disallowed_methods, reason = "a script needs some instant to start from")]

use std::cell::OnceCell;
use std::time::Instant;

use ottla_client::{Backoff, ErrorKind};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::uuid::Uuid;

use super::detector::Detector;
use super::heard::Cause;
use super::why::{InGroup, Scene};
use super::*;
use crate::fetch::completed::CompletedFetch;
use crate::fetch::plan::{Route, Routes};
use crate::fetch::state::{FetchState, Rules};
use crate::metrics::Polling;
use crate::options::{ConsumerValues, IsolationLevel, OffsetReset};
use crate::subscription::{Generation, Start};

const S: fn(u64) -> Duration = Duration::from_secs;
const AFTER: Duration = Duration::from_secs(60);

/// All partitions have the same leader, or none.
struct Leader(Option<NodeId>);

impl Routes for Leader {
    fn route(&self, _: &TopicPartition) -> Option<Route> {
        self.0.map(|leader| Route { leader, epoch: 1, topic_id: Uuid([7; 16]) })
    }

    fn knows(&self, node: NodeId) -> bool {
        self.0 == Some(node)
    }
}

struct Script {
    start: Instant,
    now: Instant,
    state: FetchState,
    leader: Leader,
    polling: Polling,
    group: Option<InGroup>,
    detector: Detector,
}

impl Script {
    /// Partitions of `t` at offset 5, led by broker 1; the application waits in a poll.
    fn new(partitions: i32) -> Script {
        let rules = Rules {
            isolation: IsolationLevel::ReadCommitted,
            check_crcs: true,
            reset: OffsetReset::Latest,
            backoff: Backoff::new(S(1), S(1)),
            replica_lease: S(300),
        };
        let start = Instant::now();
        let mut script = Script {
            start,
            now: start,
            state: FetchState::new(&ConsumerValues::default(), rules),
            leader: Leader(Some(1)),
            polling: Polling { last: Some(start), inside: 1, ..Polling::default() },
            group: None,
            detector: Detector::new(AFTER, S(300)),
        };
        (0..partitions).for_each(|at| script.add(at, Start::Offset(5)));
        script
    }

    fn add(&mut self, partition: i32, start: Start) {
        self.state.subscription.add(name(partition), start, false);
    }

    fn generation(&self, partition: i32) -> Generation {
        self.state.subscription.partition(&name(partition)).unwrap().generation
    }

    /// The leader says where the log ends.
    fn ends(&mut self, partition: i32, end: i64) {
        let generation = self.generation(partition);
        let assigned = self.state.subscription.current_mut(&name(partition), generation).unwrap();
        assigned.fetching_mut().unwrap().end_offset = Some(end);
    }

    fn reads(&mut self, partition: i32, offset: i64) {
        let generation = self.generation(partition);
        self.state.subscription.advance(&name(partition), generation, offset, 1);
    }

    fn buffer(&mut self, partition: i32, bytes: usize) {
        let fetch =
            CompletedFetch::new(vec![0; bytes].into(), 5, IsolationLevel::ReadUncommitted, Vec::new());
        let generation = self.generation(partition);
        self.state.buffer.push(&name(partition), generation, fetch);
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            state: &self.state,
            routes: &self.leader,
            polling: self.polling,
            group: self.group,
            partition_bytes: 100,
            queued_bytes: 1_000,
            fullest: OnceCell::new(),
        }
    }

    /// Looks so many seconds after the start.
    fn at(&mut self, seconds: u64) -> Vec<String> {
        self.now = self.start + S(seconds);
        let mut detector = std::mem::replace(&mut self.detector, Detector::new(AFTER, S(300)));
        let events = detector.look(self.now, &self.scene());
        self.detector = detector;
        events.iter().map(short).collect()
    }

    /// What is said a minute from the start on.
    fn in_a_minute(mut self) -> Vec<String> {
        assert_eq!(self.at(0), Vec::<String>::new());
        assert_eq!(self.at(59), Vec::<String>::new());
        self.at(60)
    }
}

fn name(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn short(event: &ConsumerEvent) -> String {
    match event {
        ConsumerEvent::Stuck(stuck) => format!("lag {}, {stuck}", stuck.lag),
        ConsumerEvent::Unstuck { partitions, after } => {
            format!("unstuck {} after {} s", FirstOf(partitions), after.as_secs())
        }
        ConsumerEvent::PollIntervalNear { idle, limit } => {
            format!("near {} of {}", idle.as_secs(), limit.as_secs())
        }
        ConsumerEvent::PollIntervalExceeded { idle, limit } => {
            format!("exceeded {} of {}", idle.as_secs(), limit.as_secs())
        }
        ConsumerEvent::PollsAgain { after } => format!("again after {}", after.as_secs()),
    }
}

#[test]
fn an_obstacle_is_told_once_and_its_end_once() {
    let mut script = Script::new(1);
    script.ends(0, 9);
    let none = Vec::<String>::new();
    assert_eq!((script.at(0), script.at(59)), (none.clone(), none.clone()));
    assert_eq!(script.at(60), ["lag 4, no progress in t-0 for 60000 ms: broker 1 has not answered yet"]);
    assert_eq!((script.at(61), script.at(500)), (none.clone(), none.clone()));
    script.reads(0, 6);
    assert_eq!(script.at(501), ["unstuck t-0 after 501 s"]);
    assert_eq!(script.at(560), none);
    assert_eq!(script.at(561), ["lag 3, no progress in t-0 for 60000 ms: broker 1 has not answered yet"]);
}

#[test]
fn a_partition_at_its_end_is_never_stuck_and_is_watched_from_when_it_is_behind() {
    let mut script = Script::new(1);
    script.ends(0, 5);
    for seconds in [0, 100, 1_000] {
        assert_eq!(script.at(seconds), Vec::<String>::new());
    }
    script.ends(0, 6);
    assert_eq!(script.at(1_059), Vec::<String>::new());
    assert_eq!(script.at(1_060).len(), 1);
}

#[test]
fn a_partition_at_its_end_is_stuck_when_nobody_can_say_that_it_still_is() {
    let mut script = Script::new(1);
    script.ends(0, 5);
    script.state.heard.unreachable(1, &Error::new(ErrorKind::Connect, "refused"));
    script.state.heard.unreachable(1, &Error::new(ErrorKind::Connect, "refused"));
    let said = "lag 0, no progress in t-0 for 60000 ms: fetching from broker 1 has failed 2 times in a row; last failure: \
                refused";
    assert_eq!(script.in_a_minute(), [said]);
    let mut script = Script::new(1);
    script.ends(0, 5);
    script.leader = Leader(None);
    let said = "lag 0, no progress in t-0 for 60000 ms: the partition has no known leader";
    assert_eq!(script.in_a_minute(), [said]);
}

#[test]
fn records_at_hand_wait_for_the_application() {
    let mut script = Script::new(1);
    script.ends(0, 9);
    script.buffer(0, 10);
    script.polling.inside = 0;
    let said = "lag 4, no progress in t-0 for 60000 ms: the application has not polled for 60000 ms";
    assert_eq!(script.in_a_minute(), [said]);
    let mut script = Script::new(1);
    script.ends(0, 9);
    script.buffer(0, 10);
    let said = "lag 4, no progress in t-0 for 60000 ms: 10 bytes are at hand and polls don't take them";
    assert_eq!(script.in_a_minute(), [said]);
}

#[test]
fn what_the_application_keeps_back_is_its_own_doing() {
    let mut script = Script::new(1);
    script.ends(0, 9);
    script.buffer(0, 10);
    script.state.subscription.set_paused(&name(0), true);
    assert_eq!(script.in_a_minute(), ["lag 4, no progress in t-0 for 60000 ms: paused by the application"]);
    let mut script = Script::new(0);
    script.state.subscription.add(name(0), Start::Committed, true);
    script.polling.listener_since = Some(script.start);
    let said = "lag 0, no progress in t-0 for 60000 ms: the rebalance listener has not returned for 60000 ms";
    assert_eq!(script.in_a_minute(), [said]);
}

#[test]
fn offsets_that_are_not_known_come_with_the_last_failure() {
    let mut script = Script::new(0);
    script.add(0, Start::Committed);
    script.add(1, Start::Earliest);
    let (committed, earliest) = (script.generation(0), script.generation(1));
    let cause = Error::new(ErrorKind::Timeout, "no coordinator");
    script.state.heard.failed(&name(0), committed, Cause::Error(cause));
    script.state.heard.refused(&name(1), earliest, ErrorCode::OFFSET_NOT_AVAILABLE);
    let said = script.in_a_minute();
    assert_eq!(
        said[0],
        "lag 0, no progress in t-0 for 60000 ms: the committed offset is not known yet; last failure: no coordinator"
    );
    let begin = "lag 0, no progress in t-1 for 60000 ms: the offset to begin at is not known yet; last failure: \
                 cannot look up an offset of t-1";
    assert!(said[1].starts_with(begin), "{}", said[1]);
    assert!(said[1].contains("OFFSET_NOT_AVAILABLE"), "{}", said[1]);
}

#[test]
fn refusals_count_until_the_partition_is_served_and_only_for_its_position() {
    let mut script = Script::new(2);
    (0..2).for_each(|partition| script.ends(partition, 9));
    for _ in 0..3 {
        let generation = script.generation(0);
        script.state.heard.refused(&name(0), generation, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    let generation = script.generation(1);
    script.state.heard.refused(&name(1), generation, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    script.state.heard.served(&name(1), None);
    let said = script.in_a_minute();
    assert!(
        said[0].starts_with("lag 4, no progress in t-0 for 60000 ms: reading has failed 3 times"),
        "{said:?}"
    );
    assert_eq!(said[1], "lag 4, no progress in t-1 for 60000 ms: broker 1 has not answered yet");

    let mut script = Script::new(1);
    let generation = script.generation(0);
    script.state.heard.refused(&name(0), generation, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    script.state.seek(&name(0), Start::Offset(7));
    assert_eq!(
        script.in_a_minute(),
        ["lag 0, no progress in t-0 for 60000 ms: broker 1 has not answered yet"]
    );
}

#[test]
fn of_a_refusal_and_a_broker_out_of_reach_the_later_is_the_reason() {
    let mut script = Script::new(2);
    (0..2).for_each(|partition| script.ends(partition, 9));
    let refuse = |script: &mut Script, partition| {
        let generation = script.generation(partition);
        script.state.heard.refused(&name(partition), generation, ErrorCode::FENCED_LEADER_EPOCH);
    };
    refuse(&mut script, 0);
    script.state.heard.unreachable(1, &Error::new(ErrorKind::Connect, "refused"));
    refuse(&mut script, 1);
    let said = script.in_a_minute();
    let unreachable =
        "lag 4, no progress in t-0 for 60000 ms: fetching from broker 1 has failed 1 times in a row";
    assert!(said[0].starts_with(unreachable), "{said:?}");
    assert!(said[1].contains("t-1 for 60000 ms: reading has failed 1 times in a row"), "{said:?}");
}

#[test]
fn damage_stays_the_reason_when_it_is_fetched_again_until_the_position_is_elsewhere() {
    let mut script = Script::new(1);
    script.ends(0, 9);
    let error = Error::new(ErrorKind::CorruptRecord, "broken");
    for _ in 0..2 {
        let generation = script.generation(0);
        script.state.heard.damaged(&name(0), generation, 5, &error);
        script.state.heard.served(&name(0), None);
    }
    script.at(0);
    let said =
        "lag 4, no progress in t-0 for 60000 ms: reading has failed 2 times in a row; last failure: broken";
    assert_eq!(script.at(60), [said]);
    script.reads(0, 9);
    assert_eq!(script.at(61), ["unstuck t-0 after 61 s"]);
    assert_eq!(script.at(500), Vec::<String>::new());
}

#[test]
fn a_paused_partition_at_its_end_waits_for_nothing() {
    let mut script = Script::new(1);
    script.ends(0, 5);
    script.state.subscription.set_paused(&name(0), true);
    script.state.heard.unreachable(1, &Error::new(ErrorKind::Connect, "refused"));
    assert_eq!(script.in_a_minute(), Vec::<String>::new());
}

#[test]
fn an_open_transaction_is_named_with_what_waits_behind_it() {
    let mut script = Script::new(1);
    script.ends(0, 5);
    script.state.heard.served(&name(0), Some(20));
    let said = "lag 0, no progress in t-0 for 60000 ms: a transaction has been open since offset 5, with records up to 20";
    assert_eq!(script.in_a_minute(), [said]);
}

#[test]
fn a_partition_behind_a_full_buffer_names_the_one_that_fills_it() {
    let mut script = Script::new(3);
    (0..3).for_each(|partition| script.ends(partition, 9));
    script.buffer(0, 100);
    script.buffer(1, 20);
    script.state.subscription.set_paused(&name(0), true);
    let said = script.in_a_minute();
    assert_eq!(said[2], "lag 4, no progress in t-2 for 60000 ms: 100 unread bytes of t-0 fill the buffer");
    assert_eq!(said.len(), 3);
}

#[test]
fn another_reason_is_told_after_as_long_again() {
    let mut script = Script::new(1);
    script.ends(0, 9);
    script.at(0);
    assert_eq!(script.at(60).len(), 1);
    script.leader = Leader(None);
    assert_eq!(script.at(119), Vec::<String>::new());
    assert_eq!(
        script.at(120),
        ["lag 4, no progress in t-0 for 120000 ms: the partition has no known leader"]
    );
    let stuck = script.detector.stuck(script.now, &script.scene());
    assert_eq!((stuck.len(), stuck[0].reason.name(), stuck[0].lag), (1, "no_leader", 4));
}

#[test]
fn partitions_with_the_same_reason_are_told_together_and_end_together() {
    let mut script = Script::new(1_000);
    (0..1_000).for_each(|partition| script.ends(partition, 9));
    script.leader = Leader(None);
    script.at(0);
    let said = "lag 4000, no progress in t-0, t-1, t-2, t-3, t-4 and 995 more for 60000 ms: the partition has no known leader";
    assert_eq!(script.at(60), [said]);
    (0..3).for_each(|partition| script.reads(partition, 6));
    (3..1_000).for_each(|partition| script.state.remove(&name(partition)));
    assert_eq!(script.at(61), ["unstuck t-0, t-1, t-2, t-3, t-4 and 995 more after 61 s"]);
    assert!(script.detector.stuck(script.now, &script.scene()).is_empty());
}

#[test]
fn a_consumer_outside_of_its_group_is_stuck_without_partitions() {
    let mut script = Script::new(0);
    script.group = Some(InGroup::Outside);
    script.at(0);
    assert_eq!(
        script.at(60),
        ["lag 0, no progress for 60000 ms: the group's coordinator has not let the consumer in"]
    );
    script.group = Some(InGroup::Rebalancing);
    assert_eq!(
        script.at(120),
        ["lag 0, no progress for 120000 ms: the group is rebalancing, other members are awaited"]
    );
    script.group = Some(InGroup::Stable);
    assert_eq!(script.at(130), ["unstuck  after 130 s"]);
    assert_eq!(script.at(200), Vec::<String>::new());
}

#[test]
fn a_late_poll_is_told_before_it_costs_the_membership_when_it_does_and_when_it_is_over() {
    let mut script = Script::new(0);
    script.group = Some(InGroup::Stable);
    script.polling.inside = 0;
    let deadline =
        |script: &Script| script.detector.poll_deadline(&script.scene()).map(|at| at - script.start);
    assert_eq!((script.at(239), deadline(&script)), (vec![], Some(S(240))));
    assert_eq!((script.at(240), deadline(&script)), (vec!["near 240 of 300".to_owned()], Some(S(300))));
    assert_eq!((script.at(299), script.at(300)), (vec![], vec!["exceeded 300 of 300".to_owned()]));
    assert_eq!((script.at(400), deadline(&script)), (vec![], None));
    script.polling.last = Some(script.start + S(401));
    assert_eq!((script.at(402), deadline(&script)), (vec!["again after 401".to_owned()], Some(S(641))));
    script.group = None;
    assert_eq!((script.at(5_000), deadline(&script)), (vec![], None));
}

#[test]
fn zero_tells_of_nothing_but_late_polls() {
    let mut script = Script::new(1);
    script.ends(0, 9);
    script.group = Some(InGroup::Rebalancing);
    let mut detector = Detector::new(Duration::ZERO, S(300));
    let look = |detector: &mut Detector, seconds| {
        let events = detector.look(script.start + S(seconds), &script.scene());
        events.iter().map(short).collect::<Vec<_>>()
    };
    assert_eq!((look(&mut detector, 0), look(&mut detector, 239)), (vec![], vec![]));
    assert_eq!(look(&mut detector, 240), ["near 240 of 300"]);
}
