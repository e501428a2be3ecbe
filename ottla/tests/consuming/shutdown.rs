use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use ottla::consumer::{ListenerFuture, Record};
use ottla::mock::ApiKey;
use ottla::{ErrorKind, RebalanceContext, RebalanceListener, RunError, Shutdown, Start, TopicPartition};
use tokio::time::{Instant, timeout};

use crate::{LONG, cluster, committed, options, tp, write_numbers};

#[tokio::test(start_paused = true)]
async fn fifty_consumers_that_wait_for_records_are_gone_within_a_second() {
    let (mock, kafka) = cluster(50);
    write_numbers(&kafka, 50, 2).await;
    let (shutdown, read) = (Shutdown::new(), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    for _ in 0..50 {
        let mut consumer = kafka.consumer(options()).unwrap();
        consumer.subscribe(["t"]).unwrap();
        let read = Arc::clone(&read);
        let shutdown = shutdown.clone();
        tasks.push(tokio::spawn(async move {
            let work = |_: Record| {
                read.fetch_add(1, Ordering::Relaxed);
                async { Ok::<(), RunError<()>>(()) }
            };
            consumer.run(&shutdown, Duration::from_secs(10), work).await
        }));
    }
    while read.load(Ordering::Relaxed) < 100 || shutdown.attached() < 50 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(shutdown.attached(), 50);
    let triggered = Instant::now();
    shutdown.trigger();
    shutdown.finished(Duration::from_secs(10)).await.unwrap();
    assert!(triggered.elapsed() < Duration::from_secs(1), "{:?}", triggered.elapsed());
    for task in tasks {
        assert!(matches!(task.await.unwrap(), Ok(())));
    }
    assert_eq!(mock.cluster().requests(ApiKey::LEAVE_GROUP), 50);
    for partition in 0..50 {
        assert_eq!(committed(&kafka, partition).await, Some(2));
    }
}

#[tokio::test(start_paused = true)]
async fn polls_end_with_a_kind_of_their_own_and_streams_without_an_error() {
    let (_mock, kafka) = cluster(1);
    let mut consumer = kafka.consumer(options()).unwrap();
    consumer.subscribe(["t"]).unwrap();
    let shutdown = Shutdown::new();
    consumer.stop_with(&shutdown);
    let trigger = shutdown.clone();
    tokio::spawn(async move {
        tokio::time::sleep(LONG).await;
        trigger.trigger();
    });
    let started = Instant::now();
    assert!(timeout(2 * LONG, consumer.stream().next()).await.expect("it ends").is_none());
    assert_eq!(started.elapsed(), LONG);
    assert_eq!(consumer.next().await.unwrap_err().kind(), ErrorKind::Shutdown);
    let error = consumer.poll(LONG).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retriable(), error.is_fatal()), (ErrorKind::Shutdown, false, false));
    assert_eq!(started.elapsed(), LONG);
    consumer.close(LONG).await.unwrap();
    shutdown.finished(Duration::ZERO).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_consumer_attached_to_a_shutdown_that_was_triggered_does_not_begin() {
    let (_mock, kafka) = cluster(1);
    let shutdown = Shutdown::new();
    shutdown.trigger();
    let mut consumer = kafka.consumer(options()).unwrap();
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    consumer.stop_with(&shutdown);
    assert_eq!(consumer.poll(LONG).await.unwrap_err().kind(), ErrorKind::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn the_record_in_work_is_finished_and_committed_and_no_other_begun() {
    let (_mock, kafka) = cluster(1);
    write_numbers(&kafka, 1, 10).await;
    let mut consumer = kafka.consumer(options()).unwrap();
    consumer.subscribe(["t"]).unwrap();
    let (shutdown, trigger) = (Shutdown::new(), Shutdown::new());
    let stop = shutdown.clone();
    let begin = trigger.clone();
    tokio::spawn(async move {
        begin.triggered().await;
        stop.trigger();
    });
    let mut worked = Vec::new();
    let outcome = consumer
        .run(&shutdown, Duration::from_secs(8), |record| {
            worked.push(record.offset());
            let trigger = trigger.clone();
            async move {
                if record.offset() == 3 {
                    trigger.trigger();
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
                Ok::<(), ()>(())
            }
        })
        .await;
    assert!(matches!(outcome, Ok(())), "{outcome:?}");
    assert_eq!(worked, [0, 1, 2, 3]);
    assert_eq!(committed(&kafka, 0).await, Some(4));
}

#[tokio::test(start_paused = true)]
async fn work_that_fails_or_is_not_done_in_time_is_not_committed() {
    for hangs in [false, true] {
        let (_mock, kafka) = cluster(1);
        write_numbers(&kafka, 1, 10).await;
        let mut consumer = kafka.consumer(options()).unwrap();
        consumer.subscribe(["t"]).unwrap();
        let shutdown = Shutdown::new();
        let started = Instant::now();
        let outcome = consumer
            .run(&shutdown, Duration::from_secs(8), |record| {
                let shutdown = shutdown.clone();
                async move {
                    match record.offset() {
                        6 if hangs => {
                            shutdown.trigger();
                            pending().await
                        }
                        6 => Err("six"),
                        _ => Ok(()),
                    }
                }
            })
            .await;
        match outcome {
            Err(RunError::Consumer(error)) if hangs => {
                assert_eq!(error.kind(), ErrorKind::Timeout);
                assert!(error.to_string().contains("offset 6 of t-0"), "{error}");
            }
            Err(RunError::Work("six")) if !hangs => {}
            other => panic!("{other:?}"),
        }
        assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
        assert_eq!(committed(&kafka, 0).await, Some(6), "hangs: {hangs}");
    }
}

/// Never comes to an end with what it is told.
struct Stuck;

impl RebalanceListener for Stuck {
    fn assigned<'a>(
        &'a mut self,
        _: &'a mut dyn RebalanceContext,
        _: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        Box::pin(pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_hangs_holds_nobody_up() {
    let (_mock, kafka) = cluster(1);
    let mut consumer = kafka.consumer(options()).unwrap();
    consumer.subscribe_with(["t"], Stuck).unwrap();
    let shutdown = Shutdown::new();
    consumer.stop_with(&shutdown);
    let trigger = shutdown.clone();
    tokio::spawn(async move {
        tokio::time::sleep(LONG).await;
        trigger.trigger();
    });
    let started = Instant::now();
    assert_eq!(consumer.next().await.unwrap_err().kind(), ErrorKind::Shutdown);
    assert_eq!(started.elapsed(), LONG);
    let late = consumer.close(Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout);
    assert!(started.elapsed() < LONG + Duration::from_secs(6), "{:?}", started.elapsed());
}
