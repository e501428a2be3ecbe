//! Fetch sessions, from the first request to the last.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_consumer_that_ends_leaves_no_fetch_session_and_nobody_waits_for_that() {
    for closes in [true, false] {
        let brokers = Brokers::new(&[10, 10]);
        let mut consumer = consumer(&brokers, ConsumerOptions::new());
        consumer.assign([(tp(0), Start::Offset(0)), (tp(1), Start::Offset(0))]).unwrap();
        read(&mut consumer, 20).await;
        // Both brokers hold a request by now.
        assert!(consumer.poll(Duration::from_millis(100)).await.unwrap().is_empty());
        assert_eq!(brokers.lock().unwrap().sessions.len(), 2);
        let started = tokio::time::Instant::now();
        if closes {
            consumer.close(LONG).await.unwrap();
        } else {
            drop(consumer);
        }
        assert_eq!(started.elapsed(), Duration::ZERO);
        tokio::time::sleep(LONG).await;
        assert_eq!(brokers.lock().unwrap().sessions.len(), 0, "closed: {closes}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_went_and_came_back_has_its_lag_although_the_broker_says_nothing_of_it() {
    let brokers = Brokers::new(&[10]);
    let mut consumer = consumer(&brokers, ConsumerOptions::new());
    let start = [(tp(0), Start::Offset(0))];
    consumer.assign(start).unwrap();
    read(&mut consumer, 10).await;
    assert_eq!(consumer.lag(&tp(0)), Some(0));
    consumer.assign([]).unwrap();
    assert!(consumer.poll(Duration::from_secs(2)).await.unwrap().is_empty());
    consumer.assign([(tp(0), Start::Offset(10))]).unwrap();
    assert_eq!(consumer.lag(&tp(0)), None);
    assert!(consumer.poll(Duration::from_secs(2)).await.unwrap().is_empty());
    assert_eq!(consumer.lag(&tp(0)), Some(0));
    assert_eq!(brokers.lock().unwrap().full_fetches, 1);
}
