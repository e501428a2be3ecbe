//! Batches, damage, and what `next` looks after beside records.

use futures_util::FutureExt;
use tokio::sync::Notify;

use super::*;
use crate::{ConsumerEvent, PartitionStream, RebalanceListener, RecordBatch};

fn read_batch(mut batch: RecordBatch) -> (i32, Vec<i64>) {
    let partition = batch.partition();
    let mut offsets = Vec::new();
    while let Some(record) = batch.next_record().unwrap() {
        assert_eq!(record.value, Some(record.offset.to_string().as_bytes()));
        offsets.push(record.offset);
    }
    (partition, offsets)
}

#[tokio::test(start_paused = true)]
async fn batches_and_records_can_be_polled_in_turn_and_each_record_comes_once() {
    let brokers = Brokers::new(&[300, 200]);
    let mut consumer = consumer(&brokers, ConsumerOptions::new().max_poll_records(10usize));
    consumer.assign([(tp(0), Start::Offset(3)), (tp(1), Start::Earliest)]).unwrap();
    let (mut seen, mut random) = (Vec::new(), fastrand::Rng::with_seed(1));
    while seen.len() < 497 {
        match random.usize(0..3) {
            0 => seen.extend(consumer.poll(LONG).await.unwrap().iter().map(check)),
            1 => seen.push(check(&consumer.next().await.unwrap())),
            _ => {
                let batches = consumer.poll_batches(LONG).await.unwrap();
                assert!(batches.len() <= 3, "a poll of {} batches", batches.len());
                for batch in batches {
                    let position = consumer.position(batch.topic_partition()).await.unwrap();
                    assert!(position >= batch.next_offset(), "{position} is within {batch:?}");
                    // On another task, to which it can be moved.
                    let (partition, offsets) = tokio::spawn(async { read_batch(batch) }).await.unwrap();
                    seen.extend(offsets.into_iter().map(|offset| (partition, offset)));
                }
            }
        }
    }
    assert_eq!(offsets(&seen, 0), (3..300).collect::<Vec<_>>());
    assert_eq!(offsets(&seen, 1), (0..200).collect::<Vec<_>>());
    assert!(consumer.poll_batches(Duration::from_millis(10)).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_cannot_be_read_is_named_again_and_again_until_it_is_skipped() {
    let brokers = Brokers::new(&[30]);
    brokers.lock().unwrap().damage = vec![8];
    let mut consumer = consumer(&brokers, ConsumerOptions::new());
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    assert_eq!(read(&mut consumer, 7).await.len(), 7);
    assert!(consumer.damaged().is_empty());
    assert_eq!(consumer.skip(&tp(0)).unwrap_err().kind(), ErrorKind::InvalidState);
    for _ in 0..3 {
        let error = consumer.poll(LONG).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CorruptRecord);
        let text = error.to_string();
        assert!(
            text.starts_with("cannot read t-0 at offset 7; `skip` passes over the batch, to offset 14"),
            "{text}"
        );
        assert_eq!(consumer.damaged(), [tp(0)]);
    }
    assert_eq!(consumer.skip(&tp(0)).unwrap(), 14);
    assert!(consumer.damaged().is_empty());
    assert_eq!(offsets(&read(&mut consumer, 16).await, 0), (14..30).collect::<Vec<_>>());
    assert_eq!(consumer.skip(&tp(0)).unwrap_err().kind(), ErrorKind::InvalidState);
}

#[tokio::test(start_paused = true)]
async fn damage_that_happened_on_the_way_is_gone_at_the_next_try() {
    let brokers = Brokers::new(&[30]);
    brokers.lock().unwrap().damage = vec![8];
    let mut consumer = consumer(&brokers, ConsumerOptions::new());
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    assert_eq!(read(&mut consumer, 7).await.len(), 7);
    assert_eq!(consumer.next().await.unwrap_err().kind(), ErrorKind::CorruptRecord);
    brokers.lock().unwrap().damage.clear();
    assert_eq!(offsets(&read(&mut consumer, 23).await, 0), (7..30).collect::<Vec<_>>());
    assert!(consumer.damaged().is_empty());
}

#[tokio::test(start_paused = true)]
async fn next_commits_in_the_background_although_a_record_is_always_at_hand() {
    let brokers = Brokers::new(&[3000]);
    brokers.lock().unwrap().batches = 1000;
    let options = ConsumerOptions::new().group_id("g").auto_commit_interval(Duration::from_millis(100));
    let mut consumer = consumer(&brokers, options);
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    for _ in 0..1000 {
        check(&consumer.next().await.unwrap());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let commits = brokers.lock().unwrap().commits.clone();
    assert!(commits.len() >= 7 && commits.is_sorted() && commits[0] <= 220, "{commits:?}");
}

#[tokio::test(start_paused = true)]
async fn partitions_that_rest_with_records_do_not_stand_before_others() {
    let brokers = Brokers::new(&[100, 100, 100, 100]);
    let mut consumer = consumer(&brokers, ConsumerOptions::new().max_poll_records(1usize));
    consumer.assign((0..4).map(|partition| (tp(partition), Start::Earliest))).unwrap();
    let mut seen = read(&mut consumer, 4).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    for round in 0..40 {
        let active = round % 4;
        let resting: Vec<_> = (0..4).filter(|partition| *partition != active).map(tp).collect();
        consumer.pause(&resting).unwrap();
        consumer.resume(&[tp(active)]).unwrap();
        let read = read(&mut consumer, 5).await;
        assert!(read.iter().all(|(partition, _)| *partition == active), "{read:?} in round {round}");
        seen.extend(read);
    }
    for partition in 0..4 {
        let offsets = offsets(&seen, partition);
        assert_eq!(offsets, (0..offsets.len() as i64).collect::<Vec<_>>());
    }
}

/// One answer holds them all.
fn many() -> Arc<Mutex<Brokers>> {
    let brokers = Brokers::new(&[20_000]);
    {
        let mut brokers = brokers.lock().unwrap();
        (brokers.batch, brokers.batches) = (100, 200);
    }
    brokers
}

/// The next record of a stream.
async fn of(stream: &mut PartitionStream) -> (i32, i64) {
    check(&stream.next().await.unwrap().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_loop_over_records_that_never_waits_lets_other_tasks_have_their_turn() {
    let brokers = many();
    let mut consumer = consumer(&brokers, ConsumerOptions::new());
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    let mut seen = vec![check(&consumer.next().await.unwrap())];
    let mut others = 0;
    while seen.len() < 20_000 {
        match consumer.next().now_or_never() {
            Some(record) => seen.push(check(&record.unwrap())),
            None => others += 1,
        }
    }
    assert_eq!(offsets(&seen, 0), (0..20_000).collect::<Vec<_>>());
    assert!((4..10).contains(&others), "{others} turns of others");
}

#[tokio::test(start_paused = true)]
async fn a_task_over_a_stream_that_never_waits_lets_other_tasks_have_their_turn() {
    let brokers = many();
    let mut consumer = consumer(&brokers, ConsumerOptions::new());
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    let mut streams = consumer.partition_streams();
    let mut stream = streams.next().await.unwrap();
    let mut seen = vec![of(&mut stream).await];
    let mut others = 0;
    while seen.len() < 20_000 {
        match stream.next().now_or_never() {
            Some(record) => seen.push(check(&record.unwrap().unwrap())),
            None => others += 1,
        }
    }
    assert_eq!(offsets(&seen, 0), (0..20_000).collect::<Vec<_>>());
    assert!((4..10).contains(&others), "{others} turns of others");
}

#[tokio::test(start_paused = true)]
async fn a_loop_of_polls_lets_other_tasks_have_their_turn_after_some_milliseconds() {
    let brokers = many();
    let mut consumer = consumer(&brokers, ConsumerOptions::new().max_poll_records(10usize));
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    let mut seen = read(&mut consumer, 10).await;
    for round in 0..5 {
        // The work on what was polled takes time, and waits for nothing.
        tokio::time::advance(Duration::from_millis(if round == 0 { 0 } else { 10 })).await;
        let mut others = 0;
        while offsets(&seen, 0).len() < 110 + 100 * round {
            match consumer.poll(LONG).now_or_never() {
                Some(records) => seen.extend(records.unwrap().iter().map(check)),
                None => others += 1,
            }
        }
        assert_eq!(others, usize::from(round > 0), "in round {round}");
    }
    assert_eq!(offsets(&seen, 0), (0..510).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_stream_can_pass_over_a_batch_that_cannot_be_read() {
    let brokers = Brokers::new(&[30]);
    brokers.lock().unwrap().damage = vec![8, 22];
    let mut consumer = consumer(&brokers, ConsumerOptions::new());
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    let mut streams = consumer.partition_streams();
    let mut stream = streams.next().await.unwrap();
    assert_eq!(stream.skip_damaged().unwrap_err().kind(), ErrorKind::InvalidState);
    for offset in 0..7 {
        assert_eq!(of(&mut stream).await, (0, offset));
    }
    for _ in 0..2 {
        let error = stream.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CorruptRecord, "{error}");
    }
    assert_eq!(stream.skip_damaged().unwrap(), 14);
    assert_eq!(stream.skip_damaged().unwrap_err().kind(), ErrorKind::InvalidState, "once");
    assert_eq!(of(&mut stream).await, (0, 14));
    assert_eq!(stream.skip_damaged().unwrap_err().kind(), ErrorKind::InvalidState, "it was read on");
    for offset in 15..21 {
        assert_eq!(of(&mut stream).await, (0, offset));
    }
    assert_eq!(stream.next().await.unwrap().unwrap_err().kind(), ErrorKind::CorruptRecord);
    drop(streams);
    let error = stream.skip_damaged().unwrap_err();
    assert!(error.to_string().contains("its stream has come to its end"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_one_partition_does_not_come_out_of_anothers_position() {
    let brokers = Brokers::new(&[10, 10]);
    let mut consumer = consumer(&brokers, ConsumerOptions::new());
    consumer.assign([(tp(0), Start::Earliest), (tp(1), Start::Earliest)]).unwrap();
    {
        let mut state = consumer.shared.state();
        for partition in [1, 0] {
            let generation = state.subscription.partition(&tp(partition)).unwrap().generation;
            let error = Error::new(ErrorKind::Authorization, format!("not for you: {partition}"));
            state.report(&tp(partition), generation, error);
        }
    }
    let error = consumer.position(&tp(0)).await.unwrap_err();
    assert!(error.to_string().contains("not for you: 0"), "{error}");
    let error = consumer.poll(LONG).await.unwrap_err();
    assert!(error.to_string().contains("not for you: 1"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn nothing_more_of_a_topic_is_read_once_it_is_known_to_have_been_created_anew() {
    let brokers = Brokers::new(&[30]);
    let options = ConsumerOptions::new().max_poll_records(5usize);
    let mut consumer = consumer(&brokers, options.auto_offset_reset(crate::OffsetReset::Earliest));
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    assert_eq!(offsets(&read(&mut consumer, 5).await, 0), [0, 1, 2, 3, 4]);
    {
        let mut state = consumer.shared.state();
        let generation = state.subscription.partition(&tp(0)).unwrap().generation;
        state.recreated(&tp(0), generation);
    }
    consumer.shared.work.notify_one();
    assert_eq!(offsets(&read(&mut consumer, 30).await, 0), (0..30).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn all_lookups_of_a_scan_together_have_one_deadline() {
    let scan = |limit: u64| {
        let brokers = Brokers::new(&[30, 30]);
        let dialer = ScriptedDialer::new(move |received| {
            let answer = brokers.lock().unwrap().answer(received);
            match received.decode::<ListOffsetsRequest>() {
                Some(_) => answer.after(Duration::from_secs(4)),
                None => answer,
            }
        });
        let client = ClientOptions::new().bootstrap_servers("a:9092");
        let client = Client::with_dialer(client, Arc::new(dialer)).unwrap();
        let options = ConsumerOptions::new().default_api_timeout(Duration::from_secs(limit));
        crate::Scan::topic(client, TOPIC).options(options).read()
    };
    let started = tokio::time::Instant::now();
    let error = scan(5).next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    assert_eq!(scan(9).map(|record| check(&record.unwrap())).count().await, 60);
}

/// Has its word about lost partitions only when it may.
struct Waits(Arc<Notify>);

impl RebalanceListener for Waits {
    fn lost<'a>(
        &'a mut self,
        _: &'a mut dyn RebalanceContext,
        _: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        Box::pin(async move {
            self.0.notified().await;
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn the_streams_of_lost_partitions_end_before_the_listener_has_its_word() {
    let brokers = Brokers::new(&[100, 100]);
    let mut consumer = consumer(&brokers, ConsumerOptions::new().group_id("g").enable_auto_commit(false));
    let released = Arc::new(Notify::new());
    consumer.listener = Some(Box::new(Waits(Arc::clone(&released))));
    {
        let mut state = consumer.shared.state();
        state.streams.handover = Some(LONG);
        state.streams.look_again();
        state.subscription.streamed = true;
    }
    consumer.assign([(tp(0), Start::Earliest), (tp(1), Start::Earliest)]).unwrap();
    let mut streams = [(); 2].map(|()| consumer.next_stream().unwrap());
    for stream in &mut streams {
        assert_eq!(of(stream).await.1, 0);
    }
    let lost = vec![streams[0].partition().clone()];
    consumer.begin_event(GroupEvent::Lost { id: 1, partitions: lost.clone() }).unwrap();
    assert!(streams[0].next().await.is_none());
    assert_eq!(of(&mut streams[1]).await.1, 1, "the others go on");
    assert!(!consumer.rebalance(Some(crate::fetch::driver::now() + LONG)).await.unwrap());
    assert!(consumer.assignment().contains(&lost[0]), "the listener still has its word");
    released.notify_one();
    consumer.finish_step(None).await.unwrap().unwrap();
    assert!(!consumer.assignment().contains(&lost[0]));
}

#[tokio::test(start_paused = true)]
async fn what_a_streams_holder_has_processed_counts_as_progress_without_any_commit() {
    let brokers = Brokers::new(&[150]);
    brokers.lock().unwrap().batches = 1000;
    let options = ConsumerOptions::new().enable_auto_commit(false).stuck_after(Duration::from_secs(2));
    let mut consumer = consumer(&brokers, options);
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    let mut events = consumer.events();
    let mut streams = consumer.partition_streams();
    let mut stream = streams.next().await.unwrap();
    for offset in 0..150 {
        assert_eq!(of(&mut stream).await.1, offset);
        if offset == 100 {
            let partition = streams.metrics().partitions[&tp(0)];
            assert_eq!((partition.position, partition.lag), (Some(100), Some(50)));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let told = std::iter::from_fn(|| events.try_next());
    let stuck: Vec<_> = told.filter(|event| matches!(event, ConsumerEvent::Stuck(_))).collect();
    assert!(stuck.is_empty(), "{stuck:?}");
}
