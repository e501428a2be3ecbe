use std::time::Duration;

use ottla::consumer::{OffsetAndMetadata, Record};
use ottla::mock::ApiKey;
use ottla::{CommitMode, Consumer, ConsumerOptions, ErrorKind, Kafka, Start};

use crate::{LONG, cluster, committed, options, tp, write_numbers};

fn acked() -> ConsumerOptions {
    options().commit_mode(CommitMode::Acked)
}

fn reader(kafka: &Kafka, options: ConsumerOptions) -> Consumer {
    let mut consumer = kafka.consumer(options).unwrap();
    consumer.subscribe(["t"]).unwrap();
    consumer
}

async fn take(consumer: &mut Consumer, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        records.push(consumer.next().await.unwrap());
    }
    records
}

#[tokio::test(start_paused = true)]
async fn commits_go_as_far_as_there_is_no_gap_whoever_acknowledges() {
    let (_mock, kafka) = cluster(1);
    write_numbers(&kafka, 1, 10).await;
    let mut consumer = reader(&kafka, acked().enable_auto_commit(false));
    let records = take(&mut consumer, 8).await;
    let acknowledger = consumer.acknowledger().unwrap();
    let elsewhere = {
        let (acknowledger, records) = (acknowledger.clone(), records.clone());
        tokio::spawn(async move { [4, 1, 0].map(|at| acknowledger.ack(&records[at])) })
    };
    assert_eq!(elsewhere.await.unwrap(), [true; 3]);
    consumer.commit().await.unwrap();
    assert_eq!(committed(&kafka, 0).await, Some(2));
    assert!(consumer.ack(&records[2]).unwrap());
    assert!(!consumer.ack(&records[2]).unwrap(), "only once");
    consumer.commit().await.unwrap();
    assert_eq!(committed(&kafka, 0).await, Some(3));
    assert!(acknowledger.ack_up_to(&records[7]));
    assert_eq!(acknowledger.outstanding(), 0);
    consumer.commit().await.unwrap();
    assert_eq!(committed(&kafka, 0).await, Some(8));
    consumer.close(LONG).await.unwrap();
    assert!(!acknowledger.ack(&records[3]), "the consumer is gone");
}

#[tokio::test(start_paused = true)]
async fn the_background_and_closing_commit_what_is_acknowledged_and_nothing_twice() {
    let (mock, kafka) = cluster(1);
    write_numbers(&kafka, 1, 10).await;
    let mut consumer = reader(&kafka, acked().auto_commit_interval(Duration::from_secs(1)));
    let records = take(&mut consumer, 10).await;
    for record in &records[..4] {
        consumer.ack(record).unwrap();
    }
    assert!(consumer.poll(LONG).await.unwrap().is_empty());
    assert_eq!(committed(&kafka, 0).await, Some(4));
    let commits = mock.cluster().requests(ApiKey::OFFSET_COMMIT);
    assert!(consumer.poll(LONG).await.unwrap().is_empty());
    assert_eq!(mock.cluster().requests(ApiKey::OFFSET_COMMIT), commits, "nothing changed");
    for record in &records[5..] {
        consumer.ack(record).unwrap();
    }
    consumer.ack(&records[4]).unwrap();
    consumer.close(LONG).await.unwrap();
    assert_eq!(committed(&kafka, 0).await, Some(10));
}

#[tokio::test(start_paused = true)]
async fn an_idle_member_commits_nothing_when_it_is_closed() {
    let (mock, kafka) = cluster(1);
    write_numbers(&kafka, 1, 10).await;
    let mut consumer = reader(&kafka, options().auto_commit_interval(Duration::from_secs(1)));
    take(&mut consumer, 10).await;
    assert!(consumer.poll(LONG).await.unwrap().is_empty());
    let commits = mock.cluster().requests(ApiKey::OFFSET_COMMIT);
    consumer.close(LONG).await.unwrap();
    assert_eq!(mock.cluster().requests(ApiKey::OFFSET_COMMIT), commits);
    assert_eq!(committed(&kafka, 0).await, Some(10));
}

#[tokio::test(start_paused = true)]
async fn what_is_outstanding_at_a_revocation_is_dropped_and_comes_again() {
    let (_mock, kafka) = cluster(2);
    write_numbers(&kafka, 2, 10).await;
    let mut first = reader(&kafka, acked());
    let records = take(&mut first, 20).await;
    let acknowledger = first.acknowledger().unwrap();
    for record in &records {
        // Of each partition, all but one.
        if record.offset() != 6 {
            assert!(acknowledger.ack(record));
        }
    }
    let mut second = reader(&kafka, acked());
    let mut again: Vec<(i32, i64)> = Vec::new();
    while again.len() < 8 {
        for consumer in [&mut first, &mut second] {
            let records = consumer.poll(Duration::from_millis(100)).await.unwrap();
            again.extend(records.iter().map(|record| (record.partition(), record.offset())));
        }
    }
    again.sort_unstable();
    let expected: Vec<(i32, i64)> =
        (0..2).flat_map(|partition| (6..10).map(move |offset| (partition, offset))).collect();
    assert_eq!(again, expected, "from the gap on");
    for partition in 0..2 {
        assert_eq!(committed(&kafka, partition).await, Some(6));
    }
    assert_eq!(acknowledger.outstanding(), 4, "those of the one partition that came back");
}

#[tokio::test(start_paused = true)]
async fn a_seek_forward_leaves_what_is_outstanding_to_be_acknowledged() {
    let (_mock, kafka) = cluster(1);
    write_numbers(&kafka, 1, 10).await;
    let mut consumer = kafka.consumer(acked().enable_auto_commit(false)).unwrap();
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    let records = take(&mut consumer, 5).await;
    consumer.seek(&tp(0), Start::Offset(8)).unwrap();
    assert!(consumer.ack(&records[0]).unwrap());
    consumer.commit().await.unwrap();
    assert_eq!(committed(&kafka, 0).await, Some(1));
    assert!(consumer.acknowledger().unwrap().ack_up_to(&records[4]));
    consumer.commit().await.unwrap();
    assert_eq!(committed(&kafka, 0).await, Some(8));
}

#[tokio::test(start_paused = true)]
async fn a_seek_back_has_what_comes_again_acknowledged_again_and_the_rest_once() {
    let (_mock, kafka) = cluster(1);
    write_numbers(&kafka, 1, 20).await;
    for epoch in [None, Some(0)] {
        let mut consumer = kafka.consumer(acked().enable_auto_commit(false)).unwrap();
        consumer.assign([(tp(0), Start::Earliest)]).unwrap();
        let records = take(&mut consumer, 10).await;
        assert!(consumer.ack(&records[7]).unwrap());
        match epoch {
            None => consumer.seek(&tp(0), Start::Offset(5)).unwrap(),
            Some(epoch) => {
                let to = OffsetAndMetadata { leader_epoch: Some(epoch), ..5.into() };
                consumer.seek_to_offset(&tp(0), &to).unwrap();
            }
        }
        consumer.commit().await.unwrap();
        assert_eq!(committed(&kafka, 0).await, Some(0));
        for record in &records[..5] {
            assert!(consumer.ack(record).unwrap());
        }
        consumer.commit().await.unwrap();
        assert_eq!(committed(&kafka, 0).await, Some(5));
        let again = take(&mut consumer, 5).await;
        assert!(!consumer.ack(&records[5]).unwrap(), "it was handed out once more");
        consumer.commit().await.unwrap();
        assert_eq!(committed(&kafka, 0).await, Some(5));
        assert!(consumer.ack(&again[0]).unwrap());
        assert!(consumer.acknowledger().unwrap().ack_offset(&tp(0), 6), "whichever it was");
        consumer.commit().await.unwrap();
        assert_eq!(committed(&kafka, 0).await, Some(7));
    }
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_need_their_commit_mode() {
    let (_mock, kafka) = cluster(1);
    let consumer = kafka.consumer(options()).unwrap();
    assert_eq!(consumer.acknowledger().unwrap_err().kind(), ErrorKind::InvalidState);
}

#[tokio::test(start_paused = true)]
async fn one_record_is_committed_with_the_epoch_of_its_leader() {
    let (_mock, kafka) = cluster(1);
    write_numbers(&kafka, 1, 10).await;
    let mut consumer = reader(&kafka, options().enable_auto_commit(false));
    let records = take(&mut consumer, 5).await;
    consumer.commit_record(&records[2]).await.unwrap();
    let found = consumer.committed(&[tp(0)]).await.unwrap().remove(&tp(0)).flatten().unwrap();
    assert_eq!((found.offset, found.leader_epoch), (3, records[2].leader_epoch()));
    let (one, other) = (consumer.commit_in_background().unwrap(), consumer.commit_record(&records[0]));
    other.await.unwrap();
    one.await.unwrap();
    assert_eq!(committed(&kafka, 0).await, Some(1), "in the order in which they began");
}
