//! Room, flush, close, dropped handles, dropped futures.

#![allow(
    clippy::disallowed_methods,
    reason = "a test plays the application, with clock and tasks of its own"
)]

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use super::*;

#[tokio::test(start_paused = true)]
async fn send_waits_for_room_and_gives_up_after_max_block() {
    let cluster = Cluster::new(&[1]);
    cluster.on_produce(|_, _| Some(Answer::Nothing));
    let options = ProducerOptions::new().buffer_memory(2_000usize).batch_size(1_000usize).max_block(MS(500));
    let producer = Producer::new(cluster.client(), options).unwrap();
    let value = [0; 900];
    let _held = [
        producer.send(Record::new("t").value(&value)).await.unwrap(),
        producer.send(Record::new("t").value(&value)).await.unwrap(),
    ];
    let refused = producer.try_send(Record::new("t").value(&value)).unwrap_err();
    assert_eq!((refused.error.kind(), refused.record.topic()), (ErrorKind::BufferFull, "t"));
    let start = tokio::time::Instant::now();
    let error = producer.send(Record::new("t").value(&value)).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_millis() / 10), (ErrorKind::BufferFull, 50));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_times_the_memory_passes_through_it() {
    let cluster = Cluster::new(&[1, 2]);
    let options = ProducerOptions::new().buffer_memory(4_000usize).batch_size(1_000usize).linger(MS(60_000));
    let options = options.delivery_timeout(MS(200_000));
    let producer = Producer::new(cluster.client(), options).unwrap();
    let start = tokio::time::Instant::now();
    for value in 0..4_000 {
        drop(send(&producer, (value % 2) as i32, value).await);
    }
    producer.flush().await.unwrap();
    assert_eq!(cluster.log(0).len() + cluster.log(1).len(), 4_000);
    assert!(start.elapsed() < MS(5_000), "linger does not matter when room is short");
}

#[tokio::test(start_paused = true)]
async fn flush_skips_linger_and_waits_for_what_was_sent_before() {
    let cluster = Cluster::new(&[1, 2]);
    let options = ProducerOptions::new().linger(MS(10_000));
    let producer = Producer::new(cluster.client(), options).unwrap();
    let mut before = send_all(&producer, 0, 0..5).await;
    before.extend(send_all(&producer, 1, 5..9).await);
    let start = tokio::time::Instant::now();
    producer.flush().await.unwrap();
    assert!(start.elapsed() < MS(100));
    assert!(before.iter_mut().all(|delivery| delivery.outcome().is_some()));
    producer.flush().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn close_finishes_what_was_accepted_and_takes_no_more() {
    let cluster = Cluster::new(&[1]);
    let producer = Producer::new(cluster.client(), ProducerOptions::new().linger(MS(10_000))).unwrap();
    let deliveries = send_all(&producer, 0, 0..10).await;
    producer.close(MS(5_000)).await.unwrap();
    assert!(join_all(deliveries).await.iter().all(Result::is_ok));
    let error = producer.send(Record::new("t").value("late")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    producer.close(MS(5_000)).await.unwrap();
    assert_eq!(producer.flush().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(cluster.log(0).len(), 10);
}

#[tokio::test(start_paused = true)]
async fn close_fails_the_rest_at_its_deadline() {
    let cluster = Cluster::new(&[1]);
    cluster.on_produce(|_, _| Some(Answer::Nothing));
    let producer = Producer::new(cluster.client(), ProducerOptions::new()).unwrap();
    let delivery = send(&producer, 0, 1).await;
    let start = tokio::time::Instant::now();
    let error = producer.close(MS(700)).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_millis() / 10), (ErrorKind::Timeout, 70));
    let error = delivery.await.unwrap_err();
    assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::Closed, true));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_loses_nothing() {
    let cluster = Cluster::new(&[1]);
    let producer = Producer::new(cluster.client(), ProducerOptions::new().linger(MS(10_000))).unwrap();
    let deliveries = send_all(&producer, 0, 0..10).await;
    drop(producer);
    assert!(join_all(deliveries).await.iter().all(Result::is_ok));
    assert_eq!(cluster.log(0).len(), 10);
}

#[tokio::test(start_paused = true)]
async fn records_of_a_dropped_producer_find_a_leader_that_moved() {
    let cluster = Cluster::new(&[1]);
    let producer = Producer::new(cluster.client(), ProducerOptions::new().linger(MS(10_000))).unwrap();
    let deliveries = send_all(&producer, 0, 0..10).await;
    cluster.with(|state| state.leaders = vec![2]);
    drop(producer);
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    assert_eq!(cluster.log(0).len(), 10);
}

#[test]
fn a_runtime_that_ends_tells_the_records_that_were_on_their_way() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cluster = Cluster::new(&[1]);
    cluster.on_produce(|_, _| Some(Answer::Nothing));
    let (producer, sent, open) = runtime.block_on(async {
        let producer = Producer::new(cluster.client(), ProducerOptions::new()).unwrap();
        let sent = send(&producer, 0, 1).await;
        tokio::time::sleep(MS(50)).await;
        let open = send(&producer, 0, 2).await;
        (producer, sent, open)
    });
    drop(runtime);
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (sent, open) = (other.block_on(sent).unwrap_err(), other.block_on(open).unwrap_err());
    assert_eq!((sent.kind(), sent.possibly_written()), (ErrorKind::Closed, true));
    assert_eq!((open.kind(), open.possibly_written()), (ErrorKind::Closed, false));
    let error = other.block_on(producer.send(Record::new("t").value("v"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[test]
fn outside_of_a_runtime_there_is_no_producer() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = runtime.block_on(async { Cluster::new(&[1]).client() });
    let error = Producer::new(client, ProducerOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

/// Polls `future` a few times at most; `None` if it was dropped before it was ready.
async fn poll_at_most<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn sends_dropped_at_random_polls_are_accepted_wholly_or_not_at_all() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let cluster = Cluster::new(&[1, 2]);
        let mut requests = 0;
        cluster.on_produce(move |state, received| {
            requests += 1;
            (requests % 7 == 3).then(|| {
                state.take(received);
                Answer::Close
            })
        });
        let options = ProducerOptions::new().buffer_memory(1_500usize).batch_size(400usize);
        let producer = Producer::new(cluster.client(), options).unwrap();
        let mut accepted = [Vec::new(), Vec::new()];
        let mut deliveries = Vec::new();
        for value in 0..300u32 {
            let partition = random.usize(0..2);
            let payload = value.to_be_bytes();
            let record = Record::new("t").partition(partition as i32).value(&payload);
            match poll_at_most(producer.send(record), random.usize(1..4)).await {
                Some(delivery) => {
                    accepted[partition].push(value);
                    deliveries.push(delivery.unwrap());
                }
                None => tokio::time::sleep(MS(random.u64(0..3))).await,
            }
            if random.u8(0..20) == 0 {
                let _ = poll_at_most(producer.flush(), random.usize(1..3)).await;
            }
        }
        producer.close(MS(60_000)).await.unwrap();
        assert!(join_all(deliveries).await.iter().all(Result::is_ok));
        assert_eq!([cluster.log(0), cluster.log(1)], accepted, "seed {seed}");
        assert!(!accepted[0].is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn later_records_do_not_prolong_a_flush() {
    let cluster = Cluster::new(&[1, 2]);
    let mut requests = 0;
    cluster.on_produce(move |_, _| {
        requests += 1;
        (requests > 2).then_some(Answer::Nothing)
    });
    let options = ProducerOptions::new().linger(MS(10_000)).delivery_timeout(MS(60_000));
    let producer = Producer::new(cluster.client(), options).unwrap();
    let mut before = send_all(&producer, 0, 0..5).await;
    before.extend(send_all(&producer, 1, 5..9).await);
    let flush = producer.flush();
    let mut flush = pin!(flush);
    assert!(futures_util::poll!(&mut flush).is_pending());
    // Once the task has seen the flush, what comes is not part of it.
    tokio::task::yield_now().await;
    let mut after = send_all(&producer, 0, 9..12).await;
    after.extend(send_all(&producer, 1, 12..15).await);
    let start = tokio::time::Instant::now();
    flush.await.unwrap();
    assert!(start.elapsed() < MS(100), "{:?}", start.elapsed());
    assert!(before.iter_mut().all(|delivery| matches!(delivery.outcome(), Some(Ok(_)))));
    assert!(after.iter_mut().all(|delivery| delivery.outcome().is_none()));
}

#[tokio::test(start_paused = true)]
async fn giving_up_fails_what_is_under_way_and_the_producer_goes_on() {
    let cluster = Cluster::new(&[1]);
    let mut requests = 0;
    cluster.on_produce(move |state, received| {
        requests += 1;
        (requests == 1).then(|| {
            state.take(received);
            Answer::Nothing
        })
    });
    let options = ProducerOptions::new().request_timeout(MS(1_000)).delivery_timeout(MS(5_000));
    let producer = Producer::new(cluster.client(), options).unwrap();
    let sent = send(&producer, 0, 1).await;
    tokio::time::sleep(MS(50)).await;
    let open = send(&producer, 0, 2).await;
    let start = tokio::time::Instant::now();
    producer.abort().await.unwrap();
    let (sent, open) = (sent.await.unwrap_err(), open.await.unwrap_err());
    assert!(start.elapsed() < MS(10));
    assert_eq!((sent.kind(), sent.possibly_written()), (ErrorKind::Aborted, true));
    assert_eq!((open.kind(), open.possibly_written()), (ErrorKind::Aborted, false));
    assert!(!open.is_fatal());
    send(&producer, 0, 3).await.await.unwrap();
    assert_eq!(cluster.log(0), [1, 3]);
    producer.flush().await.unwrap();
    producer.close(MS(1_000)).await.unwrap();
    assert_eq!(producer.abort().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn closing_with_no_time_fails_everything_at_once() {
    let cluster = Cluster::new(&[1]);
    let producer = Producer::new(cluster.client(), ProducerOptions::new().linger(MS(10_000))).unwrap();
    let delivery = send(&producer, 0, 1).await;
    let start = tokio::time::Instant::now();
    assert_eq!(producer.close(Duration::ZERO).await.unwrap_err().kind(), ErrorKind::Timeout);
    let error = delivery.await.unwrap_err();
    assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::Closed, false));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[test]
fn dropping_the_last_handle_on_a_multi_thread_runtime_neither_blocks_nor_loses() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let cluster = Cluster::new(&[1, 2]);
        // No answer before the handles are gone.
        let (gone, held) = std::sync::mpsc::channel::<()>();
        let held = std::sync::Mutex::new(held);
        cluster.on_produce(move |_, _| {
            let _ = held.lock().unwrap().recv();
            None
        });
        let producer = Producer::new(cluster.client(), ProducerOptions::new().linger(MS(60_000))).unwrap();
        let deliveries = send_all(&producer, 0, 0..10).await;
        let clones: Vec<_> = (0..4).map(|_| producer.clone()).collect();
        drop(producer);
        for clone in clones {
            tokio::spawn(async move { drop(clone) }).await.unwrap();
        }
        drop(gone);
        assert!(join_all(deliveries).await.iter().all(Result::is_ok));
        assert_eq!(cluster.log(0), (0..10).collect::<Vec<_>>());
    });
}

#[tokio::test(start_paused = true)]
async fn many_records_wait_for_room_and_those_with_a_delivery_are_the_accepted_ones() {
    let cluster = Cluster::new(&[1, 2]);
    let options = ProducerOptions::new().buffer_memory(3_000usize).batch_size(400usize);
    let producer = Producer::new(cluster.client(), options).unwrap();
    let values: Vec<_> = (0..2_000u32).map(|value| [&value.to_be_bytes()[..], &[0; 60]].concat()).collect();
    let records: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(at, value)| Record::new("t").partition((at / 50 % 2) as i32).value(value))
        .collect();
    let mut random = fastrand::Rng::with_seed(9);
    let (mut deliveries, mut dropped) = (Vec::new(), 0);
    while deliveries.len() < records.len() {
        let sending = producer.send_all(&records[deliveries.len()..], &mut deliveries);
        match poll_at_most(sending, random.usize(1..4)).await {
            Some(sent) => sent.unwrap(),
            None => {
                dropped += 1;
                tokio::time::sleep(MS(1)).await;
            }
        }
    }
    assert!(dropped > 10);
    assert!(join_all(deliveries).await.iter().all(Result::is_ok));
    let expected = |partition: u32| (0..2_000).filter(|at| at / 50 % 2 == partition).collect::<Vec<_>>();
    assert_eq!([cluster.log(0), cluster.log(1)], [expected(0), expected(1)]);

    let too_large = vec![0; 4_000];
    let mixed = [records[0], Record::new("t").value(&too_large), records[1]];
    let mut deliveries = Vec::new();
    let error = producer.send_all(&mixed, &mut deliveries).await.unwrap_err();
    assert_eq!((error.kind(), deliveries.len()), (ErrorKind::RecordTooLarge, 1));
}

#[tokio::test(start_paused = true)]
async fn a_partitioners_mistake_fails_its_record_alone() {
    struct Beyond;
    impl Partitioner for Beyond {
        fn partition(&self, record: &Record<'_>, topic: &Partitions) -> Choice {
            match record.key_bytes() {
                Some(_) => Choice::Partition(topic.count() as i32),
                None => Choice::Sticky,
            }
        }
    }
    let cluster = Cluster::new(&[1]);
    let options = ProducerOptions::new().partitioner(PartitionerClass::custom(Beyond));
    let producer = Producer::new(cluster.client(), options).unwrap();
    let error = producer.send(Record::new("t").key("k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidState);
    assert!(error.to_string().contains("chose partition 1 of topic t, which has 1"), "{error}");
    let refused = producer.try_send(Record::new("t").key("k")).unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::InvalidState);
    producer.send(Record::new("t").value(&7u32.to_be_bytes())).await.unwrap().await.unwrap();
    assert_eq!(cluster.log(0), [7]);
}

#[cfg(feature = "lz4")]
#[test]
fn closing_with_no_time_tells_records_that_wait_for_the_codec_that_no_request_had_them() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        // The only thread for codecs is busy until the end.
        let (release, held) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || held.recv());
        let cluster = Cluster::new(&[1]);
        let options = ProducerOptions::new().compression(CompressionType::Lz4).batch_size(64_000usize);
        let producer = Producer::new(cluster.client(), options.linger(Duration::ZERO)).unwrap();
        let delivery = producer.send(Record::new("t").value(&[0; 20_000])).await.unwrap();
        let called = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let calls = std::sync::Arc::clone(&called);
        let record = Record::new("t").value(&[0; 20_000]);
        producer.send_with(record, move |_| calls.store(true, std::sync::atomic::Ordering::Relaxed)).await;
        tokio::time::sleep(MS(50)).await;
        assert_eq!(producer.close(Duration::ZERO).await.unwrap_err().kind(), ErrorKind::Timeout);
        let mut delivery = delivery;
        let error = delivery.outcome().expect("told before `close` returned").unwrap_err();
        assert_eq!((error.kind(), error.possibly_written(), error.tries()), (ErrorKind::Closed, false, 0));
        assert!(called.load(std::sync::atomic::Ordering::Relaxed));
        drop(release);
    });
}

#[test]
fn many_handles_that_close_at_once_all_see_the_end() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        for round in 0..100 {
            let cluster = Cluster::new(&[1]);
            let producer = Producer::new(cluster.client(), ProducerOptions::new()).unwrap();
            let tasks = (0..8).map(|task| {
                let producer = producer.clone();
                tokio::spawn(async move {
                    match task % 4 {
                        0 => drop(producer.flush().await),
                        1 => drop(producer.abort().await),
                        _ => producer.close(MS(5_000)).await.unwrap(),
                    }
                })
            });
            let all = join_all(tasks.collect::<Vec<_>>());
            let ended = tokio::time::timeout(MS(20_000), all).await;
            assert!(ended.unwrap_or_else(|_| panic!("round {round} hangs")).iter().all(Result::is_ok));
        }
    });
}

#[test]
fn a_callback_that_blocks_the_task_keeps_close_little_longer_than_its_deadline() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let cluster = Cluster::new(&[1]);
        let producer = Producer::new(cluster.client(), ProducerOptions::new()).unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        producer
            .send_with(Record::new("t").value(&[0; 4]), move |_| {
                let _ = held.recv();
            })
            .await;
        tokio::time::sleep(MS(50)).await;
        let start = std::time::Instant::now();
        let error = producer.close(MS(100)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains("callback"), "{error}");
        assert!(start.elapsed() < MS(10_000), "{:?}", start.elapsed());
        drop(release);
        producer.close(MS(5_000)).await.unwrap();
    });
}
