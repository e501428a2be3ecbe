#![allow(clippy::disallowed_methods, reason = "a script needs some instant to start from")]

use ottla_protocol::messages::list_offsets::ListOffsetsTopicResponse;
use ottla_protocol::uuid::Uuid;

use super::*;
use crate::fetch::plan::Route;

const SOON: Duration = Duration::from_millis(100);

/// Partition `n` is led by broker `n % 2`; partition 9 by nobody.
struct Leaders;

impl Routes for Leaders {
    fn route(&self, partition: &TopicPartition) -> Option<Route> {
        let partition = partition.partition;
        (partition != 9).then_some(Route { leader: partition % 2, epoch: 4, topic_id: Uuid::ZERO })
    }

    fn knows(&self, _: NodeId) -> bool {
        true
    }
}

fn name(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn query(partitions: &[i32]) -> (OffsetQuery, Instant) {
    let backoff = Backoff::new(SOON, Duration::from_secs(1)).with_shape(2.0, 0.0);
    let asked = partitions.iter().map(|partition| (name(*partition), 77));
    (OffsetQuery::new(asked.collect(), backoff), Instant::now())
}

fn answer(rows: &[(i32, ErrorCode, i64)]) -> ListOffsetsResponse {
    let partitions = rows.iter().map(|(partition_index, error_code, offset)| ListOffsetsPartitionResponse {
        partition_index: *partition_index,
        error_code: *error_code,
        timestamp: 80,
        offset: *offset,
        leader_epoch: 3,
        ..Default::default()
    });
    let topic =
        ListOffsetsTopicResponse { name: "t".into(), partitions: partitions.collect(), ..Default::default() };
    ListOffsetsResponse { topics: vec![topic], ..Default::default() }
}

fn found(offset: i64) -> OffsetAndTimestamp {
    OffsetAndTimestamp { offset, timestamp: 80, leader_epoch: Some(3) }
}

#[test]
fn each_leader_is_asked_once_and_each_partition_has_its_own_answer() {
    let (mut query, now) = query(&[0, 1, 2, 4]);
    let batches = query.begin(now, &Leaders);
    let shape: Vec<_> = batches.iter().map(|batch| (batch.leader, batch.partitions())).collect();
    assert_eq!(shape, [(0, vec![name(0), name(2), name(4)]), (1, vec![name(1)])]);
    let request = batches[0].request(IsolationLevel::ReadCommitted, 30);
    assert_eq!((request.replica_id, request.isolation_level, request.timeout_ms), (-1, 1, 30));
    let row = &request.topics[0].partitions[1];
    assert_eq!((row.partition_index, row.current_leader_epoch, row.timestamp), (2, 4, 77));
    assert_eq!(query.begin(now, &Leaders), [], "they are under way");

    let rows =
        [(0, ErrorCode::NONE, 11), (2, ErrorCode::TOPIC_AUTHORIZATION_FAILED, -1), (4, ErrorCode::NONE, -1)];
    assert!(!query.handle_response(&batches[0], now, 0.5, &answer(&rows)));
    assert!(!query.is_done());
    query.handle_response(&batches[1], now, 0.5, &answer(&[(1, ErrorCode::NONE, 12)]));
    assert!(query.is_done());
    let mut answers = query.finish(SOON);
    assert_eq!(answers.remove(&name(2)).unwrap().unwrap_err().kind(), ErrorKind::Authorization);
    let offsets: BTreeMap<_, _> = answers.into_iter().map(|(name, found)| (name, found.unwrap())).collect();
    assert_eq!(offsets, [(name(0), Some(found(11))), (name(1), Some(found(12))), (name(4), None)].into());
}

#[test]
fn what_may_pass_is_asked_again_later_and_keeps_its_obstacle_as_the_cause_of_the_timeout() {
    let (mut query, now) = query(&[0, 1, 2]);
    let batches = query.begin(now, &Leaders);
    assert!(query.handle_response(
        &batches[0],
        now,
        0.5,
        &answer(&[(0, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1)])
    ));
    query.handle_failure(&batches[1], now, 0.5, &Error::new(ErrorKind::Disconnected, "gone"));
    assert_eq!(query.begin(now, &Leaders), []);
    assert_eq!(query.next_due(now), Some(now + SOON));
    let again = query.begin(now + SOON, &Leaders);
    assert_eq!(again.iter().map(|batch| batch.rows.len()).collect::<Vec<_>>(), [2, 1]);
    let answers = query.finish(Duration::from_secs(5));
    let kinds: Vec<_> = (0..3).map(|partition| answers[&name(partition)].clone().unwrap_err()).collect();
    assert!(kinds.iter().all(|error| error.kind() == ErrorKind::Timeout && error.tries() == 2), "{kinds:?}");
    assert_eq!(kinds[0].code(), Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    assert!(kinds[1].to_string().contains("t-1 is not known within 5000 ms") && kinds[1].cause().is_some());
}

#[test]
fn an_error_that_will_not_pass_is_the_answer_of_all_who_were_asked_about() {
    let (mut query, now) = query(&[0, 1]);
    let batches = query.begin(now, &Leaders);
    query.handle_failure(&batches[0], now, 0.5, &Error::new(ErrorKind::UnsupportedVersion, "too old"));
    let answers = query.finish(SOON);
    assert_eq!(answers[&name(0)].clone().unwrap_err().kind(), ErrorKind::UnsupportedVersion);
    assert_eq!(answers[&name(1)].clone().unwrap_err().kind(), ErrorKind::Timeout);
}

#[test]
fn a_partition_that_the_topic_does_not_have_is_an_error_once_fresh_metadata_say_so_too() {
    let (mut query, now) = query(&[9]);
    assert_eq!(query.begin(now, &Leaders), []);
    assert_eq!(query.leaderless(&Leaders), [Arc::from("t")].into());
    let topic = || {
        let (id, partitions) = (Uuid::ZERO, Vec::new());
        Ok(Some(Arc::new(Topic { name: "t".into(), id, internal: false, partitions })))
    };
    query.handle_topic("t", &topic());
    assert!(!query.is_done());
    query.handle_topic("t", &topic());
    assert!(query.is_done());
    let error = query.finish(SOON).remove(&name(9)).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTopic);
    assert!(error.to_string().contains("there is no partition t-9"), "{error}");
}

#[test]
fn a_topic_that_cannot_be_known_is_the_answer_of_its_partitions() {
    let (mut query, _) = query(&[9]);
    query.handle_topic("other", &Err(Error::new(ErrorKind::UnknownTopic, "no")));
    assert!(!query.is_done());
    query.handle_topic("t", &Err(Error::new(ErrorKind::Authorization, "no")));
    let error = query.finish(SOON).remove(&name(9)).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authorization);
}
