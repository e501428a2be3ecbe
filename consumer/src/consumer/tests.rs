//! The consumer against scripted brokers that hold logs, under tokio's paused clock.

#![allow(clippy::disallowed_methods, reason = "tests drive the clock and draw random numbers")]

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use ottla_client::test_support::{Answer, Dialled, Received, ScriptedDialer, metadata};
use ottla_client::{Client, ClientOptions, ErrorKind};
use ottla_protocol::compression::Compressor;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData};
use ottla_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use ottla_protocol::messages::metadata::MetadataRequest;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use ottla_protocol::records::{BatchBuilder, NO_HEADERS, SealOptions};
use ottla_protocol::uuid::Uuid;

use super::*;
use crate::group::GroupEvent;
use crate::{ConsumerOptions, ListenerFuture, RebalanceContext, Record, Start, TopicPartition};

mod reading;
mod sessions;

const TOPIC: &str = "t";
const LONG: Duration = Duration::from_secs(60);

/// Brokers 1 and 2 with one topic.
struct Brokers {
    /// The leader and its epoch by partition.
    leaders: Vec<(i32, i32)>,
    /// Records by partition; record `n` says `n`.
    logs: Vec<i64>,
    /// Records of a batch.
    batch: i64,
    /// Batches of an answer.
    batches: i64,
    sessions: HashMap<i32, (i32, HashMap<i32, i64>)>,
    next_session: i32,
    /// The next so many Fetch requests are answered with this error of the session.
    session_errors: Vec<ErrorCode>,
    /// Brokers that never answer a Fetch.
    hung: Vec<i32>,
    fetches: usize,
    full_fetches: usize,
    /// Offsets in batches that arrive damaged.
    damage: Vec<i64>,
    /// The offsets of partition 0 that were committed.
    commits: Vec<i64>,
}

impl Brokers {
    fn new(logs: &[i64]) -> Arc<Mutex<Brokers>> {
        Arc::new(Mutex::new(Brokers {
            leaders: (0..logs.len()).map(|partition| (1 + partition as i32 % 2, 0)).collect(),
            logs: logs.to_vec(),
            batch: 7,
            batches: 3,
            sessions: HashMap::new(),
            next_session: 100,
            session_errors: Vec::new(),
            hung: Vec::new(),
            fetches: 0,
            full_fetches: 0,
            damage: Vec::new(),
            commits: Vec::new(),
        }))
    }

    fn answer(&mut self, received: &Received) -> Answer {
        if received.decode::<MetadataRequest>().is_some() {
            let leaders: Vec<i32> = self.leaders.iter().map(|(leader, _)| *leader).collect();
            let mut response = metadata(&[1, 2], &[(TOPIC, &leaders)]);
            for (partition, (_, epoch)) in response.topics[0].partitions.iter_mut().zip(&self.leaders) {
                partition.leader_epoch = *epoch;
            }
            return received.reply::<MetadataRequest>(&response);
        }
        if let Some(request) = received.decode::<ListOffsetsRequest>() {
            return received.reply::<ListOffsetsRequest>(&self.list_offsets(&request));
        }
        if let Some(request) = received.decode::<OffsetForLeaderEpochRequest>() {
            return received.reply::<OffsetForLeaderEpochRequest>(&self.epoch_ends(&request));
        }
        if let Some(request) = received.decode::<FindCoordinatorRequest>() {
            let found = |key: &String| Coordinator {
                key: key.clone(),
                node_id: 1,
                host: "node-1".into(),
                port: 9092,
                ..Default::default()
            };
            let coordinators = request.coordinator_keys.iter().map(found).collect();
            return received.reply::<FindCoordinatorRequest>(&FindCoordinatorResponse {
                coordinators,
                ..Default::default()
            });
        }
        if let Some(request) = received.decode::<OffsetCommitRequest>() {
            return received.reply::<OffsetCommitRequest>(&self.commit(&request));
        }
        match (received.decode::<FetchRequest>(), received.node) {
            (Some(_), Some(node)) if self.hung.contains(&node) => Answer::Nothing,
            (Some(request), Some(node)) => {
                let (response, idle) = self.fetch(node, &request);
                let answer = received.reply::<FetchRequest>(&response);
                if idle { answer.after(Duration::from_millis(500)) } else { answer }
            }
            _ => Answer::Default,
        }
    }

    fn commit(&mut self, request: &OffsetCommitRequest) -> OffsetCommitResponse {
        let topics = request.topics.iter().map(|topic| {
            let rows = topic.partitions.iter();
            let first = rows.clone().filter(|row| row.partition_index == 0);
            self.commits.extend(first.map(|row| row.committed_offset));
            let done =
                |partition_index| OffsetCommitResponsePartition { partition_index, ..Default::default() };
            OffsetCommitResponseTopic {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partitions: rows.map(|row| done(row.partition_index)).collect(),
                ..Default::default()
            }
        });
        OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
    }

    /// Every epoch ends with the log.
    fn epoch_ends(&self, request: &OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
        let rows = request.topics[0].partitions.iter().map(|asked| EpochEndOffset {
            partition: asked.partition,
            leader_epoch: asked.leader_epoch,
            end_offset: self.logs[asked.partition as usize],
            ..Default::default()
        });
        let topic = OffsetForLeaderTopicResult {
            topic: TOPIC.into(),
            partitions: rows.collect(),
            ..Default::default()
        };
        OffsetForLeaderEpochResponse { topics: vec![topic], ..Default::default() }
    }

    fn list_offsets(&self, request: &ListOffsetsRequest) -> ListOffsetsResponse {
        let row = |partition: i32, timestamp: i64| ListOffsetsPartitionResponse {
            partition_index: partition,
            offset: if timestamp == -2 { 0 } else { self.logs[partition as usize] },
            ..Default::default()
        };
        let rows =
            request.topics[0].partitions.iter().map(|asked| row(asked.partition_index, asked.timestamp));
        let topic =
            ListOffsetsTopicResponse { name: TOPIC.into(), partitions: rows.collect(), ..Default::default() };
        ListOffsetsResponse { topics: vec![topic], ..Default::default() }
    }

    fn fetch(&mut self, node: i32, request: &FetchRequest) -> (FetchResponse, bool) {
        self.fetches += 1;
        if let Some(error_code) = self.session_errors.pop() {
            self.sessions.remove(&request.session_id);
            return (FetchResponse { error_code, ..Default::default() }, false);
        }
        if request.session_epoch == -1 {
            self.sessions.remove(&request.session_id);
            return (FetchResponse::default(), false);
        }
        if request.session_epoch == 0 {
            self.full_fetches += 1;
            self.sessions.remove(&request.session_id);
            self.next_session += 1;
            self.sessions.insert(self.next_session, (0, HashMap::new()));
        }
        let id = if request.session_epoch == 0 { self.next_session } else { request.session_id };
        let Some((epoch, partitions)) = self.sessions.get_mut(&id) else {
            return (
                FetchResponse { error_code: ErrorCode::FETCH_SESSION_ID_NOT_FOUND, ..Default::default() },
                false,
            );
        };
        assert_eq!(*epoch, request.session_epoch, "a gap in the session's epochs");
        *epoch += 1;
        for gone in request.forgotten_topics_data.iter().flat_map(|topic| &topic.partitions) {
            partitions.remove(gone);
        }
        for row in request.topics.iter().flat_map(|topic| &topic.partitions) {
            partitions.insert(row.partition, row.fetch_offset);
        }
        let mut rows: Vec<PartitionData> = Vec::new();
        let mut asked: Vec<(i32, i64)> =
            partitions.iter().map(|(partition, offset)| (*partition, *offset)).collect();
        asked.sort_unstable();
        for (partition_index, offset) in asked {
            let end = self.logs[partition_index as usize];
            let error_code = match self.leaders[partition_index as usize].0 {
                leader if leader != node => ErrorCode::NOT_LEADER_OR_FOLLOWER,
                _ if offset > end => ErrorCode::OFFSET_OUT_OF_RANGE,
                _ if offset == end => continue,
                _ => ErrorCode::NONE,
            };
            let records = (error_code == ErrorCode::NONE).then(|| self.records(offset, end));
            rows.push(PartitionData {
                partition_index,
                error_code,
                high_watermark: end,
                records,
                ..Default::default()
            });
        }
        let idle = rows.is_empty();
        let mut topic_id = [0xff; 16];
        topic_id[0] = TOPIC.as_bytes()[0];
        let topic = FetchableTopicResponse {
            topic: TOPIC.into(),
            topic_id: Uuid(topic_id),
            partitions: rows,
            ..Default::default()
        };
        (FetchResponse { session_id: id, responses: vec![topic], ..Default::default() }, idle)
    }

    /// Whole batches from the one that holds `offset`.
    fn records(&self, offset: i64, end: i64) -> Bytes {
        let mut bytes = BytesMut::new();
        let mut base = offset - offset % self.batch;
        for _ in 0..self.batches {
            let last = (base + self.batch).min(end);
            if base >= last {
                break;
            }
            let mut builder = BatchBuilder::new(4096);
            for offset in base..last {
                builder.try_append(1, None, Some(offset.to_string().as_bytes()), NO_HEADERS).unwrap();
            }
            let batch = builder.seal(&SealOptions::default(), &mut Compressor::none()).unwrap();
            bytes.extend_from_slice(batch.into_batch().rebased(base, 0).bytes());
            if self.damage.iter().any(|damaged| (base..last).contains(damaged)) {
                let end = bytes.len() - 1;
                bytes[end] ^= 1;
            }
            base = last;
        }
        bytes.freeze()
    }
}

fn client(brokers: &Arc<Mutex<Brokers>>) -> Client {
    let brokers = Arc::clone(brokers);
    let dialer = ScriptedDialer::new(move |received| brokers.lock().unwrap().answer(received));
    Client::with_dialer(ClientOptions::new().bootstrap_servers("a:9092"), Arc::new(dialer)).unwrap()
}

fn consumer(brokers: &Arc<Mutex<Brokers>>, options: ConsumerOptions) -> Consumer {
    Consumer::new(client(brokers), options).unwrap()
}

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, partition)
}

fn check(record: &Record) -> (i32, i64) {
    assert_eq!(record.value(), Some(record.offset().to_string().as_bytes()));
    (record.partition(), record.offset())
}

/// Polls until `count` records came.
async fn read(consumer: &mut Consumer, count: usize) -> Vec<(i32, i64)> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let records = consumer.poll(LONG).await.unwrap();
        assert!(!records.is_empty(), "nothing came after {} of {count} records", seen.len());
        seen.extend(records.iter().map(check));
    }
    seen
}

fn offsets(seen: &[(i32, i64)], partition: i32) -> Vec<i64> {
    seen.iter().filter(|(of, _)| *of == partition).map(|(_, offset)| *offset).collect()
}

#[tokio::test(start_paused = true)]
async fn assigned_partitions_are_read_from_where_they_are_told_each_record_once_and_in_order() {
    let brokers = Brokers::new(&[100, 50, 30]);
    let mut consumer = consumer(&brokers, ConsumerOptions::new().max_poll_records(8usize));
    consumer.assign([(tp(0), Start::Earliest), (tp(1), Start::Offset(45)), (tp(2), Start::Latest)]).unwrap();
    let seen = read(&mut consumer, 105).await;
    assert_eq!(offsets(&seen, 0), (0..100).collect::<Vec<_>>());
    assert_eq!(offsets(&seen, 1), (45..50).collect::<Vec<_>>());
    assert_eq!(consumer.position(&tp(2)).await.unwrap(), 30);
    assert_eq!(consumer.position(&tp(0)).await.unwrap(), 100);
    brokers.lock().unwrap().logs[2] = 33;
    assert_eq!(read(&mut consumer, 3).await, [(2, 30), (2, 31), (2, 32)]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_without_records_ends_at_its_timeout() {
    let brokers = Brokers::new(&[5]);
    let mut consumer = consumer(&brokers, ConsumerOptions::new());
    consumer.assign([(tp(0), Start::Latest)]).unwrap();
    let started = tokio::time::Instant::now();
    assert!(consumer.poll(Duration::from_millis(1234)).await.unwrap().is_empty());
    assert_eq!(started.elapsed(), Duration::from_millis(1234));
    assert!(consumer.poll(Duration::ZERO).await.unwrap().is_empty());
    assert!(brokers.lock().unwrap().fetches <= 4, "no busy loop");
}

#[tokio::test(start_paused = true)]
async fn polls_that_are_dropped_anywhere_lose_and_repeat_nothing() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let brokers = Brokers::new(&[300, 200, 100]);
        let mut consumer = consumer(&brokers, ConsumerOptions::new().max_poll_records(random.usize(1..40)));
        consumer.assign((0..3).map(|partition| (tp(partition), Start::Earliest))).unwrap();
        let mut seen = Vec::new();
        while seen.len() < 600 {
            let mut wakes = random.usize(0..3);
            let use_next = random.bool();
            if use_next {
                let mut next = Box::pin(consumer.next());
                let record = poll_fn(|cx| match next.as_mut().poll(cx) {
                    Poll::Ready(record) => Poll::Ready(Some(record)),
                    Poll::Pending if wakes == 0 => Poll::Ready(None),
                    Poll::Pending => {
                        wakes -= 1;
                        Poll::Pending
                    }
                })
                .await;
                seen.extend(record.map(|record| check(&record.unwrap())));
            } else {
                let mut poll = Box::pin(consumer.poll(LONG));
                let records = poll_fn(|cx| match poll.as_mut().poll(cx) {
                    Poll::Ready(records) => Poll::Ready(Some(records)),
                    Poll::Pending if wakes == 0 => Poll::Ready(None),
                    Poll::Pending => {
                        wakes -= 1;
                        Poll::Pending
                    }
                })
                .await;
                seen.extend(
                    records
                        .into_iter()
                        .flat_map(|records| records.unwrap().iter().map(check).collect::<Vec<_>>()),
                );
            }
            tokio::time::sleep(Duration::from_millis(random.u64(0..3))).await;
        }
        for (partition, count) in [(0, 300), (1, 200), (2, 100)] {
            assert_eq!(offsets(&seen, partition), (0..count).collect::<Vec<_>>(), "seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_seek_forgets_what_was_fetched_and_reads_on_from_there() {
    let brokers = Brokers::new(&[100, 100]);
    let mut consumer = consumer(&brokers, ConsumerOptions::new().max_poll_records(5usize));
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    assert_eq!(read(&mut consumer, 5).await, [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)]);
    consumer.seek(&tp(0), Start::Offset(90)).unwrap();
    assert_eq!(consumer.position(&tp(0)).await.unwrap(), 90);
    assert_eq!(read(&mut consumer, 5).await, [(0, 90), (0, 91), (0, 92), (0, 93), (0, 94)]);
    consumer.seek(&tp(0), Start::Earliest).unwrap();
    assert_eq!(read(&mut consumer, 5).await[0], (0, 0));
    assert_eq!(consumer.seek(&tp(1), Start::Offset(0)).unwrap_err().kind(), ErrorKind::InvalidState);
}

#[tokio::test(start_paused = true)]
async fn a_paused_partition_gives_nothing_and_keeps_its_place_and_what_is_buffered() {
    let brokers = Brokers::new(&[21, 40]);
    let mut consumer = consumer(&brokers, ConsumerOptions::new().max_poll_records(4usize));
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    assert_eq!(read(&mut consumer, 4).await.len(), 4);
    consumer.pause(&[tp(0)]).unwrap();
    assert_eq!(consumer.paused(), [tp(0)]);
    assert!(consumer.poll(Duration::from_secs(5)).await.unwrap().is_empty());
    brokers.lock().unwrap().hung = vec![1, 2];
    consumer.resume(&[tp(0)]).unwrap();
    assert_eq!(offsets(&read(&mut consumer, 17).await, 0), (4..21).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_hung_broker_does_not_delay_another_ones_records() {
    let brokers = Brokers::new(&[100, 100]);
    brokers.lock().unwrap().hung = vec![2];
    let mut consumer = consumer(&brokers, ConsumerOptions::new());
    consumer.assign([(tp(0), Start::Offset(0)), (tp(1), Start::Offset(0))]).unwrap();
    let started = tokio::time::Instant::now();
    let seen = read(&mut consumer, 100).await;
    assert_eq!(offsets(&seen, 0), (0..100).collect::<Vec<_>>());
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    brokers.lock().unwrap().hung.clear();
    assert_eq!(offsets(&read(&mut consumer, 100).await, 1), (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn consumers_on_one_client_do_not_wait_for_each_others_long_fetches() {
    let brokers = Brokers::new(&[100, 0, 0]);
    let client = client(&brokers);
    let mut quiet = Consumer::new(client.clone(), ConsumerOptions::new()).unwrap();
    quiet.assign([(tp(2), Start::Offset(0))]).unwrap();
    assert!(quiet.poll(Duration::from_millis(100)).await.unwrap().is_empty());
    let mut busy = Consumer::new(client, ConsumerOptions::new()).unwrap();
    busy.assign([(tp(0), Start::Offset(0))]).unwrap();
    let started = tokio::time::Instant::now();
    assert_eq!(read(&mut busy, 100).await.len(), 100);
    assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_error_of_one_partition_is_not_hidden_by_the_records_of_another() {
    let brokers = Brokers::new(&[100, 0]);
    let mut consumer = consumer(&brokers, ConsumerOptions::new().max_poll_records(5usize));
    consumer.assign([(tp(0), Start::Earliest), (tp(1), Start::Offset(0))]).unwrap();
    assert_eq!(read(&mut consumer, 5).await.last(), Some(&(0, 4)));
    {
        let mut state = consumer.shared.state();
        let generation = state.subscription.partition(&tp(1)).unwrap().generation;
        state.report(&tp(1), generation, Error::new(ErrorKind::Authorization, "not for you"));
    }
    assert_eq!(consumer.poll(LONG).await.unwrap_err().kind(), ErrorKind::Authorization);
    assert_eq!(read(&mut consumer, 5).await[0], (0, 5));
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_session_cost_a_request_and_no_record() {
    let brokers = Brokers::new(&[200]);
    let mut consumer = consumer(&brokers, ConsumerOptions::new().max_poll_records(10usize));
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    let mut seen = read(&mut consumer, 20).await;
    brokers.lock().unwrap().session_errors =
        vec![ErrorCode::FETCH_SESSION_ID_NOT_FOUND, ErrorCode::INVALID_FETCH_SESSION_EPOCH];
    seen.extend(read(&mut consumer, 180).await);
    assert_eq!(offsets(&seen, 0), (0..200).collect::<Vec<_>>());
    let brokers = brokers.lock().unwrap();
    assert!(brokers.session_errors.is_empty());
    assert!(brokers.full_fetches < brokers.fetches, "sessions are incremental");
}

#[tokio::test(start_paused = true)]
async fn reading_follows_a_leader_that_moves() {
    let brokers = Brokers::new(&[100]);
    let mut consumer = consumer(&brokers, ConsumerOptions::new().max_poll_records(10usize));
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    let mut seen = read(&mut consumer, 10).await;
    brokers.lock().unwrap().leaders[0] = (2, 1);
    seen.extend(read(&mut consumer, 90).await);
    assert_eq!(offsets(&seen, 0), (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_offset_out_of_range_is_reset_or_returned_once_per_poll() {
    let brokers = Brokers::new(&[10]);
    let mut lenient =
        consumer(&brokers, ConsumerOptions::new().auto_offset_reset(crate::OffsetReset::Earliest));
    lenient.assign([(tp(0), Start::Offset(1000))]).unwrap();
    assert_eq!(read(&mut lenient, 10).await[0], (0, 0));

    let mut strict = consumer(&brokers, ConsumerOptions::new().auto_offset_reset(crate::OffsetReset::None));
    strict.assign([(tp(0), Start::Offset(1000))]).unwrap();
    for _ in 0..2 {
        assert_eq!(strict.poll(LONG).await.unwrap_err().kind(), ErrorKind::OffsetOutOfRange);
    }
    strict.seek(&tp(0), Start::Offset(9)).unwrap();
    assert_eq!(read(&mut strict, 1).await, [(0, 9)]);
}

#[tokio::test(start_paused = true)]
async fn the_stream_goes_on_where_polls_ended_and_polls_where_it_was_dropped() {
    let brokers = Brokers::new(&[50]);
    let mut consumer = consumer(&brokers, ConsumerOptions::new().max_poll_records(5usize));
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    let mut seen = read(&mut consumer, 5).await;
    let streamed: Vec<_> = consumer.stream().take(23).map(|record| check(&record.unwrap())).collect().await;
    seen.extend(streamed);
    seen.extend(read(&mut consumer, 22).await);
    assert_eq!(offsets(&seen, 0), (0..50).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_does_not_exist_is_an_error_of_poll() {
    let brokers = Brokers::new(&[5]);
    let mut consumer = consumer(&brokers, ConsumerOptions::new());
    consumer.assign([(tp(7), Start::Earliest)]).unwrap();
    let error = consumer.poll(LONG).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTopic);
    assert!(error.to_string().contains("t-7"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn brokers_that_cannot_be_reached_are_an_error_of_poll_in_time() {
    for subscribed in [false, true] {
        let dialer = ScriptedDialer::new(|_| Answer::Close);
        dialer.on_dial(|_, _, _| Dialled::Refuse);
        let client =
            Client::with_dialer(ClientOptions::new().bootstrap_servers("a:9092"), Arc::new(dialer)).unwrap();
        let options = ConsumerOptions::new().group_id("g").default_api_timeout(Duration::from_secs(5));
        let mut consumer = Consumer::new(client, options).unwrap();
        match subscribed {
            true => consumer.subscribe([TOPIC]).unwrap(),
            false => consumer.assign([(tp(0), Start::Earliest)]).unwrap(),
        }
        let started = tokio::time::Instant::now();
        let error = consumer.poll(LONG).await.unwrap_err();
        assert!(started.elapsed() <= Duration::from_secs(6), "{error} after {:?}", started.elapsed());
        assert!(error.to_string().contains("cannot connect to a:9092"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_no_broker_answers_say_at_which_stage_connecting_failed() {
    let dialer = ScriptedDialer::new(|_| Answer::Close);
    dialer.on_dial(|_, _, _| Dialled::Refuse);
    let client =
        Client::with_dialer(ClientOptions::new().bootstrap_servers("a:9092"), Arc::new(dialer)).unwrap();
    let options = ConsumerOptions::new().group_id("g").default_api_timeout(Duration::from_secs(5));
    let mut consumer = Consumer::new(client, options).unwrap();
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    let started = tokio::time::Instant::now();
    let position = consumer.position(&tp(0)).await.unwrap_err();
    let committed = consumer.committed(&[tp(0)]).await.unwrap_err();
    let commit = consumer.commit_offsets([(tp(0), 1.into())]).await.unwrap_err();
    assert!(started.elapsed() <= Duration::from_secs(16), "{:?}", started.elapsed());
    for error in [position, committed, commit] {
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        assert!(error.to_string().contains("within 5") && error.is_retriable(), "{error}");
        assert!(error.to_string().contains("cannot connect to a:9092"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_do_not_fit_the_state_say_so() {
    let brokers = Brokers::new(&[5]);
    let mut consumer = consumer(&brokers, ConsumerOptions::new());
    let kind = |result: Result<(), Error>| result.unwrap_err().kind();
    assert_eq!(kind(consumer.subscribe([TOPIC])), ErrorKind::Config);
    assert_eq!(kind(consumer.assign([(tp(0), Start::Committed)])), ErrorKind::Config);
    assert_eq!(kind(consumer.assign([(tp(0), Start::Offset(-1))])), ErrorKind::InvalidState);
    assert_eq!(kind(consumer.pause(&[tp(0)])), ErrorKind::InvalidState);
    assert_eq!(kind(consumer.commit().await), ErrorKind::Config);
    assert_eq!(consumer.position(&tp(0)).await.unwrap_err().kind(), ErrorKind::InvalidState);
    consumer.close(LONG).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_assignment_that_is_replaced_keeps_what_is_named_again() {
    let brokers = Brokers::new(&[100, 100]);
    let mut consumer = consumer(&brokers, ConsumerOptions::new().max_poll_records(5usize));
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    read(&mut consumer, 5).await;
    consumer.assign([(tp(0), Start::Earliest), (tp(1), Start::Latest)]).unwrap();
    assert_eq!(read(&mut consumer, 5).await[0], (0, 5));
    consumer.assign([(tp(1), Start::Latest)]).unwrap();
    assert!(consumer.poll(Duration::from_secs(3)).await.unwrap().is_empty());
    assert_eq!(consumer.assignment(), [tp(1)]);
}

#[tokio::test(start_paused = true)]
async fn an_automatic_commit_names_what_earlier_polls_returned_and_the_last_one_everything() {
    let brokers = Brokers::new(&[100]);
    let options = ConsumerOptions::new().group_id("g").max_poll_records(5usize);
    let mut consumer = consumer(&brokers, options.auto_commit_interval(Duration::from_millis(100)));
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    read(&mut consumer, 5).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    read(&mut consumer, 5).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(brokers.lock().unwrap().commits, [5]);
    consumer.commit().await.unwrap();
    assert_eq!(brokers.lock().unwrap().commits, [5, 10]);
    read(&mut consumer, 5).await;
    consumer.close(LONG).await.unwrap();
    assert_eq!(brokers.lock().unwrap().commits, [5, 10, 15]);
}

#[tokio::test(start_paused = true)]
async fn what_was_returned_is_committed_while_the_next_record_is_waited_for() {
    let brokers = Brokers::new(&[5]);
    let options = ConsumerOptions::new().group_id("g").auto_commit_interval(Duration::from_secs(5));
    let mut consumer = consumer(&brokers, options);
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    read(&mut consumer, 5).await;
    assert!(tokio::time::timeout(Duration::from_secs(6), consumer.next()).await.is_err());
    assert_eq!(brokers.lock().unwrap().commits, [5]);
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_future_is_dropped_takes_effect_before_later_ones() {
    let brokers = Brokers::new(&[100]);
    let options = ConsumerOptions::new().group_id("g").max_poll_records(5usize).enable_auto_commit(false);
    let mut consumer = consumer(&brokers, options);
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    for _ in 0..3 {
        read(&mut consumer, 5).await;
        let mut commit = Box::pin(consumer.commit());
        assert!(poll_fn(|cx| Poll::Ready(commit.as_mut().poll(cx).is_pending())).await);
    }
    consumer.commit_offsets([(tp(0), 3.into())]).await.unwrap();
    assert_eq!(brokers.lock().unwrap().commits, [5, 10, 15, 3]);
    consumer.close(LONG).await.unwrap();
    assert_eq!(brokers.lock().unwrap().commits.len(), 4, "nothing is committed that nobody asked for");
}

/// Waits in every call, seeks to 3 what comes, and notes what it is told.
struct Slow(Arc<Mutex<Vec<String>>>);

impl Slow {
    fn tell(&self, what: &str, partitions: &[TopicPartition]) {
        self.0.lock().unwrap().push(format!("{what} {}", partitions[0]));
    }
}

impl crate::RebalanceListener for Slow {
    fn assigned<'a>(
        &'a mut self,
        context: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        Box::pin(async move {
            self.tell("assigned", partitions);
            tokio::time::sleep(Duration::from_millis(50)).await;
            context.seek(&partitions[0], 3)
        })
    }

    fn revoked<'a>(
        &'a mut self,
        context: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        Box::pin(async move {
            self.tell(&format!("revoked at {:?}", context.position(&partitions[0])), partitions);
            tokio::time::sleep(Duration::from_millis(50)).await;
            context.commit().await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_goes_on_where_a_dropped_poll_left_it_and_nothing_comes_after_a_revocation() {
    let brokers = Brokers::new(&[100]);
    let options = ConsumerOptions::new().group_id("g").max_poll_records(5usize).enable_auto_commit(false);
    let mut consumer = consumer(&brokers, options);
    let told = Arc::new(Mutex::new(Vec::new()));
    consumer.committer().unwrap();
    consumer.listener = Some(Box::new(Slow(Arc::clone(&told))));
    consumer.begin_event(GroupEvent::Assigned { id: 1, added: vec![tp(0)], all: vec![tp(0)] }).unwrap();
    for _ in 0..4 {
        assert!(consumer.poll(Duration::from_millis(10)).await.unwrap().is_empty());
    }
    assert_eq!(read(&mut consumer, 5).await, [(0, 3), (0, 4), (0, 5), (0, 6), (0, 7)]);
    consumer.begin_event(GroupEvent::Revoke { id: 2, partitions: vec![tp(0)] }).unwrap();
    for _ in 0..20 {
        assert!(consumer.poll(Duration::from_millis(10)).await.unwrap().is_empty());
    }
    assert_eq!(consumer.assignment(), []);
    assert_eq!(*told.lock().unwrap(), ["assigned t-0", "revoked at Some(8) t-0"]);
    assert_eq!(brokers.lock().unwrap().commits, [8]);
}

#[test]
fn consumers_and_their_futures_can_move_between_threads() {
    fn sendable<T: Send>(_: Option<T>) {}
    sendable::<Consumer>(None);
    sendable::<Record>(None);
    sendable::<crate::Records>(None);
    sendable(None::<RecordStream<'static>>);
    fn future_of<'a, F: Future + Send>(_: impl Fn(&'a mut Consumer) -> F) {}
    future_of(|consumer| consumer.poll(LONG));
    future_of(|consumer| consumer.next());
    future_of(|consumer| consumer.commit());
    future_of(|consumer| consumer.position(Box::leak(Box::new(tp(0)))));
    sendable::<crate::Shutdown>(None);
    sendable::<crate::Acknowledger>(None);
    sendable::<crate::PartitionStreams>(None);
    sendable::<crate::PartitionStream>(None);
    sendable::<crate::Scanning>(None);
}
