//! Callbacks, interceptors and metrics, over everything that can become of a record.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use ottla_client::Error;
use ottla_client::test_support::Received;
use ottla_protocol::messages::produce::ProduceRequest;

use super::*;
use crate::interceptor::{Acknowledgement, Interceptor, SendId, Sending};
use crate::{Callback, Delivered};

type Outcome = Result<Delivered, Error>;

/// What callbacks were told, in the order of the calls.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(u32, Outcome)>>>);

impl Told {
    fn callback(&self, value: u32) -> impl FnOnce(Outcome) + Send + 'static {
        let told = self.clone();
        move |outcome| told.0.lock().unwrap().push((value, outcome))
    }

    /// Values and offsets or kinds of errors so far.
    fn take(&self) -> Vec<(u32, Result<Option<i64>, ErrorKind>)> {
        let told = std::mem::take(&mut *self.0.lock().unwrap());
        told.into_iter()
            .map(|(value, outcome)| {
                (value, outcome.map(|delivered| delivered.offset).map_err(|error| error.kind()))
            })
            .collect()
    }
}

async fn send_with(producer: &Producer, partition: i32, value: u32, told: &Told) {
    let payload = value.to_be_bytes();
    let record = Record::new("t").partition(partition).value(&payload);
    producer.send_with(record, told.callback(value)).await;
}

/// An interceptor that checks its pairs.
#[derive(Default)]
struct Pairs(Mutex<BTreeMap<SendId, Vec<Result<i32, ErrorKind>>>>);

impl Interceptor for Pairs {
    fn on_send(&self, sending: &mut Sending<'_>) {
        assert!(self.0.lock().unwrap().insert(sending.id(), Vec::new()).is_none());
        sending.add_header("id", Some(&sending.id().number().to_be_bytes()));
    }

    fn on_acknowledgement(&self, acknowledgement: &Acknowledgement<'_>) {
        let outcome = acknowledgement.outcome();
        let outcome = outcome.map(|delivered| delivered.partition).map_err(Error::kind);
        self.0.lock().unwrap().get_mut(&acknowledgement.id()).unwrap().push(outcome);
    }
}

impl Pairs {
    /// All outcomes in the order of the records, each of which has exactly one.
    fn outcomes(&self) -> Vec<Result<i32, ErrorKind>> {
        let pairs = self.0.lock().unwrap();
        pairs
            .iter()
            .map(|(id, outcomes)| match outcomes[..] {
                [outcome] => outcome,
                _ => panic!("{id:?} has {outcomes:?}"),
            })
            .collect()
    }
}

fn watched(cluster: &Cluster, options: ProducerOptions) -> (Producer, Arc<Pairs>) {
    let pairs = Arc::new(Pairs::default());
    let builder = Producer::builder(cluster.client(), options).interceptor(Arc::clone(&pairs));
    (builder.build().unwrap(), pairs)
}

#[tokio::test(start_paused = true)]
async fn callbacks_come_in_the_order_of_records_and_before_flush_returns() {
    let cluster = Cluster::new(&[1, 2]);
    let mut requests = 0;
    cluster.on_produce(move |state, received| {
        requests += 1;
        (requests % 4 == 1).then(|| {
            state.take(received);
            Answer::Close
        })
    });
    let options = ProducerOptions::new().batch_size(200usize).linger(Duration::ZERO);
    let producer = Producer::new(cluster.client(), options).unwrap();
    let told = [Told::default(), Told::default()];
    for value in 0..200 {
        let partition = value as usize % 2;
        send_with(&producer, partition as i32, value, &told[partition]).await;
        if value % 3 == 0 {
            drop(send(&producer, partition as i32, 1_000 + value).await);
        }
    }
    producer.flush().await.unwrap();
    for (partition, told) in told.iter().enumerate() {
        let log = cluster.log(partition as i32);
        let offset_of = |value| log.iter().position(|logged| *logged == value).map(|offset| offset as i64);
        let values = (0..200).filter(|value| *value as usize % 2 == partition);
        assert_eq!(told.take(), values.map(|value| (value, Ok(offset_of(value)))).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_callback_does_not_end_the_producer_and_one_may_send() {
    let cluster = Cluster::new(&[1]);
    let producer = Producer::new(cluster.client(), ProducerOptions::new()).unwrap();
    let told = Told::default();
    let panics: Callback = Box::new(|_| panic!("as it should"));
    producer.send_with(Record::new("t").value(&0u32.to_be_bytes()), panics).await;
    let (again, late) = (producer.clone(), told.callback(2));
    let sends = move |_| {
        let payload = 2u32.to_be_bytes();
        assert!(again.try_send_with(Record::new("t").value(&payload), late).is_ok());
    };
    producer.send_with(Record::new("t").value(&1u32.to_be_bytes()), sends).await;
    producer.flush().await.unwrap();
    producer.flush().await.unwrap();
    assert_eq!((told.take(), cluster.log(0)), (vec![(2, Ok(Some(2)))], vec![0, 1, 2]));
    producer.close(MS(1_000)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_not_accepted_tells_its_callback_at_once_or_gives_it_back() {
    let cluster = Cluster::new(&[1]);
    let options = ProducerOptions::new().max_request_size(1_000usize).max_block(MS(100));
    let producer = Producer::new(cluster.client(), options).unwrap();
    let told = Told::default();
    producer.send_with(Record::new("t").value(&[0; 2_000]), told.callback(1)).await;
    producer.send_with(Record::new("nowhere").value("v"), told.callback(2)).await;
    let too_large = Err(ErrorKind::RecordTooLarge);
    assert_eq!(told.take(), [(1, too_large), (2, Err(ErrorKind::UnknownTopic))]);
    let large = [0; 2_000];
    let Err((refused, callback)) = producer.try_send_with(Record::new("t").value(&large), told.callback(3))
    else {
        panic!("it is too large")
    };
    assert_eq!((refused.error.kind(), told.take()), (ErrorKind::RecordTooLarge, vec![]));
    producer.send_with(Record::new("t").value(&3u32.to_be_bytes()), callback).await;
    producer.close(MS(1_000)).await.unwrap();
    assert_eq!(told.take(), [(3, Ok(Some(0)))], "close waits for callbacks too");
    producer.send_with(Record::new("t").value("late"), told.callback(4)).await;
    assert_eq!(told.take(), [(4, Err(ErrorKind::Closed))]);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped_is_acknowledged_as_given_up() {
    let cluster = Cluster::new(&[1]);
    cluster.on_produce(|_, _| Some(Answer::Nothing));
    let options = ProducerOptions::new().buffer_memory(1_000usize).batch_size(1_000usize);
    let (producer, pairs) = watched(&cluster, options);
    let told = Told::default();
    let value = [0; 900];
    let held = producer.send(Record::new("t").value(&value)).await.unwrap();
    {
        let mut waits = pin!(producer.send_with(Record::new("t").value(&value), told.callback(1)));
        assert_eq!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
        assert_eq!(told.take(), []);
    }
    assert_eq!(told.take(), [(1, Err(ErrorKind::Aborted))]);
    let refused = producer.try_send(Record::new("t").value(&value)).unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::BufferFull);
    assert_eq!(producer.close(MS(10)).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(held.await.unwrap_err().kind(), ErrorKind::Closed);
    let expected = [Err(ErrorKind::Closed), Err(ErrorKind::Aborted), Err(ErrorKind::BufferFull)];
    assert_eq!(pairs.outcomes(), expected);
}

#[tokio::test(start_paused = true)]
async fn records_that_expire_are_acknowledged_once_although_their_answer_comes_later() {
    let cluster = Cluster::new(&[1]);
    cluster.on_produce(|_, _| Some(Answer::Nothing));
    let options = ProducerOptions::new()
        .request_timeout(MS(1_000))
        .delivery_timeout(MS(3_000))
        .batch_size(100usize)
        .linger(Duration::ZERO);
    let (producer, pairs) = watched(&cluster, options);
    let deliveries = send_all(&producer, 0, 0..20).await;
    assert!(join_all(deliveries).await.iter().all(Result::is_err));
    producer.flush().await.unwrap();
    assert_eq!(pairs.outcomes(), [Err(ErrorKind::Timeout); 20]);
    let metrics = producer.metrics();
    assert_eq!((metrics.total.records_failed, metrics.total.records_acknowledged), (20, 0));
    assert!(metrics.requests.failed > 0, "{metrics:?}");
}

#[tokio::test(start_paused = true)]
async fn records_of_split_batches_are_acknowledged_once_and_the_one_too_large_alone_fails() {
    let cluster = Cluster::new(&[1]);
    // Batches beyond 400 bytes are too large, and so is one record.
    cluster.on_produce(|_, received| {
        let request = received.decode::<ProduceRequest>().unwrap();
        let records = request.topic_data[0].partition_data[0].records.as_ref().unwrap().len();
        (records > 400).then(|| refuse(received, ErrorCode::MESSAGE_TOO_LARGE, None))
    });
    let options = ProducerOptions::new().batch_size(4_000usize).linger(MS(100));
    let (producer, pairs) = watched(&cluster, options);
    let told = Told::default();
    for value in 0..40u32 {
        let mut payload = value.to_be_bytes().to_vec();
        payload.resize(if value == 13 { 1_000 } else { 20 }, 0);
        producer.send_with(Record::new("t").value(&payload), told.callback(value)).await;
    }
    producer.flush().await.unwrap();
    let outcomes = told.take();
    assert_eq!(outcomes.iter().map(|(value, _)| *value).collect::<Vec<_>>(), (0..40).collect::<Vec<_>>());
    let failed: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).collect();
    assert_eq!(failed, [&(13, Err(ErrorKind::RecordTooLarge))]);
    assert_eq!(pairs.outcomes().iter().filter(|outcome| outcome.is_ok()).count(), 39);
    assert_eq!(cluster.log(0), (0..40).filter(|value| *value != 13).collect::<Vec<_>>());
    let metrics = producer.metrics();
    assert!(metrics.batches.split > 3 && metrics.batches.epochs_raised > 0, "{:?}", metrics.batches);
    assert_eq!((metrics.total.records_acknowledged, metrics.total.records_failed), (39, 1));
    assert_eq!(metrics.errors[&ErrorCode::MESSAGE_TOO_LARGE], metrics.batches.split + 1);
}

#[tokio::test]
async fn sends_with_callbacks_can_be_spawned() {
    fn spawnable<F: Future<Output: Send> + Send>(future: F) -> F {
        future
    }
    let cluster = Cluster::new(&[1]);
    let producer = Producer::new(cluster.client(), ProducerOptions::new()).unwrap();
    let told = Told::default();
    spawnable(producer.send_with(Record::new("t").value(&0u32.to_be_bytes()), told.callback(0))).await;
    let typed = producer.typed::<str, u32>(crate::serialize::Text, crate::serialize::BigEndian);
    spawnable(typed.send_with(crate::TypedRecord::new("t").value(&1), told.callback(1))).await;
    spawnable(typed.send(crate::TypedRecord::new("t").value(&2))).await.unwrap().await.unwrap();
    producer.flush().await.unwrap();
    assert_eq!(told.take(), [(0, Ok(Some(0))), (1, Ok(Some(1)))]);
}

#[tokio::test(start_paused = true)]
async fn a_fatal_error_acknowledges_everything() {
    let cluster = Cluster::new(&[1, 1]);
    cluster.on_produce(|_, received| Some(refuse(received, ErrorCode::CLUSTER_AUTHORIZATION_FAILED, None)));
    let (producer, pairs) = watched(&cluster, ProducerOptions::new());
    let mut deliveries = send_all(&producer, 0, 0..3).await;
    deliveries.extend(send_all(&producer, 1, 0..3).await);
    assert!(join_all(deliveries).await.iter().all(Result::is_err));
    producer.close(MS(1_000)).await.unwrap();
    assert!(producer.send(Record::new("t").value("v")).await.is_err());
    assert_eq!(pairs.outcomes(), [Err(ErrorKind::Authorization); 7]);
}

#[test]
fn a_runtime_that_ends_acknowledges_everything() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cluster = Cluster::new(&[1]);
    cluster.on_produce(|_, _| Some(Answer::Nothing));
    let (producer, pairs) = runtime.block_on(async {
        let options = ProducerOptions::new().compression(CompressionType::Gzip).batch_size(64_000usize);
        let (producer, pairs) = watched(&cluster, options);
        drop(send(&producer, 0, 1).await);
        tokio::time::sleep(MS(50)).await;
        for _ in 0..2_000 {
            drop(producer.send(Record::new("t").value(&[7; 100])).await.unwrap());
        }
        tokio::task::yield_now().await;
        (producer, pairs)
    });
    drop(runtime);
    assert_eq!(pairs.outcomes(), vec![Err(ErrorKind::Closed); 2_001]);
    drop(producer);
}

#[tokio::test(start_paused = true)]
async fn headers_of_interceptors_stand_behind_the_records_own() {
    let cluster = Cluster::new(&[1]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    cluster.on_produce(move |_, received| {
        let mut request = received.decode::<ProduceRequest>().unwrap();
        let bytes = request.topic_data[0].partition_data[0].records.take().unwrap();
        let batch = ottla_protocol::records::Batches::new(bytes).next().unwrap().unwrap();
        let mut cursor = batch.cursor(&Default::default()).unwrap();
        while let Some(record) = cursor.next_ref().unwrap() {
            let headers = record.headers.iter();
            let headers =
                headers.map(|header| (header.key_str().into_owned(), header.value.map(<[u8]>::to_vec)));
            noted.lock().unwrap().push(headers.collect::<Vec<_>>());
        }
        None
    });
    let (producer, _) = watched(&cluster, ProducerOptions::new());
    let own = [crate::Header::new("own", "x")];
    for value in 0..2u32 {
        let payload = value.to_be_bytes();
        let record = Record::new("t").value(&payload).headers(&own);
        producer.send(record).await.unwrap().await.unwrap();
    }
    let expected = |id: u64| {
        vec![("own".to_owned(), Some(b"x".to_vec())), ("id".to_owned(), Some(id.to_be_bytes().to_vec()))]
    };
    assert_eq!(*seen.lock().unwrap(), [expected(0), expected(1)]);
}

#[tokio::test(start_paused = true)]
async fn metrics_tell_what_was_sent_and_what_is_on_its_way() {
    let cluster = Cluster::new(&[1]);
    let mut requests = 0;
    cluster.on_produce(move |_, received| {
        requests += 1;
        match requests {
            1 => Some(refuse(received, ErrorCode::NOT_ENOUGH_REPLICAS, None)),
            4 => Some(Answer::Nothing),
            _ => None,
        }
    });
    let options = ProducerOptions::new().linger(MS(20)).batch_size(1_000usize).buffer_memory(5_000usize);
    let producer = Producer::new(cluster.client(), options).unwrap();
    for value in 0..2 {
        send(&producer, 0, value).await.await.unwrap();
    }
    let metrics = producer.metrics();
    let total = metrics.total;
    assert_eq!((total.records_sent, total.records_acknowledged, total.records_retried), (2, 2, 1));
    assert!(total.bytes_sent > 2 * 61 && total.bytes_sent == total.bytes_acknowledged);
    assert_eq!((metrics.topics.len(), metrics.topics["t"]), (1, total));
    assert_eq!(metrics.errors, BTreeMap::from([(ErrorCode::NOT_ENOUGH_REPLICAS, 1)]));
    let batches = &metrics.batches;
    assert_eq!((batches.sent, batches.retried, batches.target_bytes), (2, 1, 1_000));
    assert_eq!((batches.compression_ratio(), batches.average_records()), (1.0, 1.0));
    assert!(batches.queue_time.max() >= MS(20) && batches.queue_time.count() == 2, "{batches:?}");
    let requests = &metrics.requests;
    assert_eq!((requests.sent, requests.answered, requests.failed, requests.in_flight), (3, 3, 0, 0));
    assert_eq!((metrics.buffer.in_use, metrics.buffer.limit, metrics.buffer.waiting), (0, 5_000, 0));

    let hanging = send(&producer, 0, 2).await;
    tokio::time::sleep(MS(100)).await;
    let metrics = producer.metrics();
    assert_eq!((metrics.requests.in_flight, metrics.buffer.in_use), (1, 1_000));
    drop(hanging);
}

/// Refuses, cuts and swallows requests at random, and finds large batches too large.
fn at_random(seed: u64) -> impl FnMut(&mut cluster::State, &Received) -> Option<Answer> + Send + 'static {
    let mut random = fastrand::Rng::with_seed(seed);
    move |state, received| {
        let request = received.decode::<ProduceRequest>().unwrap();
        let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
        let largest =
            partitions.filter_map(|partition| partition.records.as_ref()).map(|records| records.len());
        if largest.max() > Some(700) {
            return Some(refuse(received, ErrorCode::MESSAGE_TOO_LARGE, None));
        }
        match random.u8(0..20) {
            0 | 1 => Some(refuse(received, ErrorCode::NOT_ENOUGH_REPLICAS, None)),
            2 => Some(refuse(received, ErrorCode::TOPIC_AUTHORIZATION_FAILED, None)),
            3 => Some(Answer::Nothing),
            4 => Some(Answer::Close),
            5 => {
                state.take(received);
                Some(Answer::Close)
            }
            _ => None,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_to_records_each_is_acknowledged_once_and_in_order() {
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let cluster = Cluster::new(&[1, 2]);
        cluster.on_produce(at_random(seed));
        let options = ProducerOptions::new()
            .buffer_memory(4_000usize)
            .batch_size(1_000usize)
            .linger(MS(1))
            .request_timeout(MS(200))
            .delivery_timeout(MS(1_000))
            .compression(if seed % 2 == 0 { CompressionType::None } else { CompressionType::Lz4 });
        let (producer, pairs) = watched(&cluster, options);
        let told = [Told::default(), Told::default()];
        for value in 0..400u32 {
            let partition = random.usize(0..2);
            let mut payload = value.to_be_bytes().to_vec();
            payload.resize(random.usize(4..80), 0);
            let record = Record::new("t").partition(partition as i32).value(&payload);
            let callback = told[partition].callback(value);
            match random.u8(0..8) {
                0 => {
                    let mut waits = pin!(producer.send_with(record, callback));
                    let _ = waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                }
                1 => {
                    if let Err((_, callback)) = producer.try_send_with(record, callback) {
                        callback(Err(Error::new(ErrorKind::BufferFull, "given back")));
                    }
                }
                _ => producer.send_with(record, callback).await,
            }
            if random.u8(0..10) == 0 {
                tokio::time::sleep(MS(random.u64(0..100))).await;
            }
        }
        match random.bool() {
            true => producer.flush().await.unwrap(),
            false => drop(producer.close(MS(random.u64(0..50))).await),
        }
        let refused = |outcome| matches!(outcome, Err(ErrorKind::Aborted | ErrorKind::BufferFull));
        let mut calls = 0;
        let mut accepted = 0;
        for told in told.map(|told| told.take()) {
            calls += told.len();
            let values: Vec<u32> =
                told.iter().filter(|(_, outcome)| !refused(*outcome)).map(|(value, _)| *value).collect();
            assert!(values.is_sorted(), "seed {seed}: {values:?}");
            accepted += values.len();
        }
        assert_eq!((calls, pairs.outcomes().len()), (400, 400), "seed {seed}");
        let total = producer.metrics().total;
        let counted = total.records_acknowledged + total.records_failed;
        assert_eq!(counted, accepted as u64, "seed {seed}: {total:?}");
        assert!(total.records_acknowledged > 0 && total.records_retried > 0, "seed {seed}: {total:?}");
    }
}
