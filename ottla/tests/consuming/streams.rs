use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use ottla::{CommitMode, ConsumerOptions, ErrorKind, Kafka, PartitionStream, PartitionStreams, Shutdown};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::{LONG, cluster, committed, options, tp, write, write_numbers};

fn streams(kafka: &Kafka, options: ConsumerOptions) -> PartitionStreams {
    let mut consumer = kafka.consumer(options).unwrap();
    consumer.subscribe(["t"]).unwrap();
    consumer.partition_streams()
}

/// The offsets of the next records.
async fn take(stream: &mut PartitionStream, count: usize) -> Vec<i64> {
    let taken = stream.take(count).map(|record| record.unwrap().offset()).collect();
    timeout(LONG, taken).await.expect("the records come")
}

/// Streams of all partitions, by partition.
async fn all(streams: &mut PartitionStreams, count: usize) -> BTreeMap<i32, PartitionStream> {
    let mut found = BTreeMap::new();
    while found.len() < count {
        let stream = streams.next().await.unwrap();
        assert!(found.insert(stream.partition().partition, stream).is_none(), "one stream at a time");
    }
    found
}

/// Keeps the consumer going; streams that come go to the channel. The shutdown ends it.
fn drive(
    mut streams: PartitionStreams,
    shutdown: &Shutdown,
) -> (tokio::task::JoinHandle<PartitionStreams>, mpsc::UnboundedReceiver<PartitionStream>) {
    let (offers, offered) = mpsc::unbounded_channel();
    streams.stop_with(shutdown);
    let driver = tokio::spawn(async move {
        loop {
            match streams.next().await {
                Ok(stream) => drop(offers.send(stream)),
                Err(error) if error.kind() == ErrorKind::Shutdown => return streams,
                Err(error) => panic!("{error}"),
            }
        }
    });
    (driver, offered)
}

#[tokio::test(start_paused = true)]
async fn a_task_per_partition_reads_each_record_once_and_in_order_and_commits() {
    let (_mock, kafka) = cluster(6);
    write_numbers(&kafka, 6, 200).await;
    let (shutdown, read) = (Shutdown::new(), Arc::new(Mutex::new(BTreeMap::<i32, Vec<i64>>::new())));
    let work = {
        let read = Arc::clone(&read);
        move |mut stream: PartitionStream| {
            let read = Arc::clone(&read);
            async move {
                while let Some(record) = stream.next().await {
                    let record = record.unwrap();
                    read.lock().unwrap().entry(record.partition()).or_default().push(record.offset());
                }
            }
        }
    };
    let (stop, done) = (shutdown.clone(), Arc::clone(&read));
    tokio::spawn(async move {
        while done.lock().unwrap().values().map(Vec::len).sum::<usize>() < 1200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.trigger();
    });
    streams(&kafka, options()).run(&shutdown, Duration::from_secs(5), work).await.unwrap();
    let expected: Vec<i64> = (0..200).collect();
    let read = std::mem::take(&mut *read.lock().unwrap());
    assert_eq!(read.len(), 6);
    assert!(read.values().all(|offsets| *offsets == expected), "{read:?}");
    for partition in 0..6 {
        assert_eq!(committed(&kafka, partition).await, Some(200));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_is_fetched_ahead_up_to_its_bound_and_holds_no_other_up() {
    let (mock, kafka) = cluster(1);
    drop((mock, kafka));
    // One broker leads both partitions.
    let mock = ottla::mock::Mock::start(
        ottla::mock::ClusterOptions::new()
            .brokers(1)
            .topic("t", 2, 1)
            .config("group.initial.rebalance.delay.ms", "0"),
    )
    .unwrap();
    let kafka = Kafka::embedded(&mock).unwrap();
    for partition in 0..2 {
        write(&kafka, partition, (0..400).map(|_| "x".repeat(1000))).await;
    }
    let options = options().max_partition_fetch_bytes(10_000usize);
    let mut streams = streams(&kafka, options);
    let mut of = all(&mut streams, 2).await;
    let mut busy = of.remove(&1).unwrap();
    let driver = tokio::spawn(async move { streams.next().await });
    let started = Instant::now();
    assert_eq!(take(&mut busy, 400).await, (0..400).collect::<Vec<_>>());
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    let mut slow = of.remove(&0).unwrap();
    assert_eq!(take(&mut slow, 400).await, (0..400).collect::<Vec<_>>());
    driver.abort();
}

#[tokio::test(start_paused = true)]
async fn a_revocation_waits_for_the_record_in_work_and_commits_it() {
    let (_mock, kafka) = cluster(1);
    write_numbers(&kafka, 1, 10).await;
    let shutdown = Shutdown::new();
    let (driver, mut offered) = drive(streams(&kafka, options()), &shutdown);
    let mut stream = offered.recv().await.unwrap();
    assert_eq!(take(&mut stream, 4).await, [0, 1, 2, 3]);
    // Record 3 is in work while the consumer is closed.
    shutdown.trigger();
    let streams = driver.await.unwrap();
    let (begun, begins) = oneshot::channel();
    let closing = tokio::spawn(async move {
        begun.send(()).unwrap();
        streams.close(Duration::from_secs(20)).await
    });
    begins.await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!closing.is_finished(), "it waits for the record in work");
    assert!(stream.next().await.is_none(), "record 4 is not handed out any more");
    closing.await.unwrap().unwrap();
    assert_eq!(committed(&kafka, 0).await, Some(4));
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_is_not_done_in_time_is_cut_off_and_its_record_is_not_committed() {
    let (_mock, kafka) = cluster(1);
    write_numbers(&kafka, 1, 10).await;
    let mut streams = streams(&kafka, options());
    let mut stream = streams.next().await.unwrap();
    assert_eq!(take(&mut stream, 4).await, [0, 1, 2, 3]);
    let started = Instant::now();
    streams.close(Duration::from_secs(8)).await.unwrap();
    assert!(started.elapsed() <= Duration::from_secs(7), "{:?}", started.elapsed());
    assert!(stream.next().await.is_none());
    assert_eq!(committed(&kafka, 0).await, Some(3));
}

#[tokio::test(start_paused = true)]
async fn partitions_change_hands_without_a_record_lost_or_read_twice() {
    let (_mock, kafka) = cluster(4);
    let cooperative =
        || options().partition_assignment_strategy(vec![ottla::consumer::Strategy::CooperativeSticky]);
    let of_brokers = || {
        let options = ConsumerOptions::new().auto_offset_reset(ottla::OffsetReset::Earliest);
        options.group_protocol(ottla::consumer::GroupProtocol::Consumer)
    };
    let protocols = [options as fn() -> ConsumerOptions, cooperative, of_brokers];
    for (group, protocol) in ["eager", "cooperative", "of brokers"].into_iter().zip(protocols) {
        let read = Arc::new(Mutex::new(BTreeMap::<i32, Vec<i64>>::new()));
        let work = || {
            let read = Arc::clone(&read);
            move |mut stream: PartitionStream| {
                let read = Arc::clone(&read);
                async move {
                    while let Some(record) = stream.next().await {
                        let record = record.unwrap();
                        tokio::time::sleep(Duration::from_millis(3)).await;
                        read.lock().unwrap().entry(record.partition()).or_default().push(record.offset());
                    }
                }
            }
        };
        let before = committed_ends(&kafka).await;
        let writer = {
            let kafka = kafka.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    write_numbers(&kafka, 4, 20).await;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            })
        };
        let mut members = Vec::new();
        for _ in 0..3 {
            let shutdown = Shutdown::new();
            let running = streams(&kafka, protocol().group_id(group));
            let (stop, work) = (shutdown.clone(), work());
            let task = tokio::spawn(async move { running.run(&stop, Duration::from_secs(5), work).await });
            members.push((shutdown, task));
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        // The first leaves in the midst.
        let (shutdown, task) = members.remove(0);
        shutdown.trigger();
        task.await.unwrap().unwrap();
        writer.await.unwrap();
        let wanted = 4 * 400 + before.iter().sum::<i64>();
        let started = Instant::now();
        while (read.lock().unwrap().values().map(Vec::len).sum::<usize>() as i64) < wanted {
            assert!(started.elapsed() < LONG, "{:?}", read.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for (shutdown, task) in members {
            shutdown.trigger();
            task.await.unwrap().unwrap();
        }
        for (partition, offsets) in read.lock().unwrap().iter() {
            let end = 400 + before[*partition as usize];
            assert_eq!(*offsets, (0..end).collect::<Vec<_>>(), "partition {partition} of {group}");
        }
    }
}

/// How many records the partitions have.
async fn committed_ends(kafka: &Kafka) -> Vec<i64> {
    let mut consumer = kafka.consumer(ConsumerOptions::new()).unwrap();
    consumer.assign((0..4).map(|partition| (tp(partition), ottla::Start::Latest))).unwrap();
    let mut ends = Vec::new();
    for partition in 0..4 {
        ends.push(consumer.position(&tp(partition)).await.unwrap());
    }
    ends
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_comes_again_from_the_record_that_was_not_processed() {
    let (_mock, kafka) = cluster(1);
    write_numbers(&kafka, 1, 10).await;
    let mut streams = streams(&kafka, options());
    for expected in [[0, 1, 2], [2, 3, 4], [4, 5, 6]] {
        let mut stream = streams.next().await.unwrap();
        assert_eq!(take(&mut stream, 3).await, expected);
    }
    streams.commit().await.unwrap();
    assert_eq!(committed(&kafka, 0).await, Some(6));
    let mut stream = streams.next().await.unwrap();
    assert_eq!(take(&mut stream, 4).await, [6, 7, 8, 9]);
    assert!(timeout(LONG, streams.next()).await.is_err(), "there is one stream of it");
    drop(streams);
    assert!(stream.next().await.is_none(), "it ends with the consumer");
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_count_until_the_stream_is_dropped() {
    let (_mock, kafka) = cluster(1);
    write_numbers(&kafka, 1, 10).await;
    let mut streams = streams(&kafka, options().commit_mode(CommitMode::Acked));
    let acknowledger = streams.acknowledger().unwrap();
    let mut stream = streams.next().await.unwrap();
    let records: Vec<_> = stream.by_ref().take(6).map(Result::unwrap).collect().await;
    assert!(acknowledger.ack(&records[0]));
    let closing = tokio::spawn(streams.close(Duration::from_secs(20)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(stream.next().await.is_none());
    tokio::time::sleep(Duration::from_secs(5)).await;
    for record in [&records[4], &records[2], &records[1]] {
        assert!(acknowledger.ack(record));
    }
    drop(stream);
    closing.await.unwrap().unwrap();
    assert_eq!(committed(&kafka, 0).await, Some(3));
}

#[tokio::test(start_paused = true)]
async fn tasks_that_hang_are_aborted_when_the_grace_is_over() {
    let (_mock, kafka) = cluster(2);
    write_numbers(&kafka, 2, 10).await;
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    let started = Instant::now();
    let work = move |mut stream: PartitionStream| {
        let stop = stop.clone();
        async move {
            take(&mut stream, 5).await;
            stop.trigger();
            pending().await
        }
    };
    streams(&kafka, options()).run(&shutdown, Duration::from_secs(8), work).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
    assert_eq!(committed(&kafka, 0).await.max(committed(&kafka, 1).await), Some(4));
}
