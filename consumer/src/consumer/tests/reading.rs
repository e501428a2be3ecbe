//! Batches, damage, and what `next` looks after beside records.

use super::*;
use crate::RecordBatch;

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
