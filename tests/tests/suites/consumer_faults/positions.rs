//! Partitions that rest for long, and logs that hold little but aborted records.

use std::time::Instant;

use futures_util::future::join_all;
use ottla::consumer::{IsolationLevel, Start};
use ottla::{ConsumerOptions, TopicPartition};
use ottla_tests::broker::{Entry, Id, Transactions, end_offsets, topic, within};

use super::{MS, PATIENT, PROMPT, SECONDS, SHORT_SESSION, WORLD, options, with_crews};

#[test]
fn partitions_that_rest_for_long_stay_with_their_member_and_go_on_where_they_were() {
    WORLD.peace(SECONDS(90), async |kafka, nodes| {
        let repeated = with_crews(&kafka, nodes, "resting", 4, async |stage| {
            let (crew, session) = (&stage.crew, stage.crew.protocol.session(SHORT_SESSION));
            let member = || {
                let options = options(crew.protocol, &crew.group, SHORT_SESSION);
                // Far less than what comes meanwhile.
                let options = options.max_poll_interval(SECONDS(4)).queued_max_bytes(100_000usize);
                crew.member(stage.kafka, options.max_partition_fetch_bytes(10_000usize), crew.habits())
            };
            let members = [member(), member()];
            crew.balanced(PROMPT, &members.each_ref()).await;
            crew.going_on(PROMPT, &members.each_ref()).await;
            let [rests, reads] = &members;
            rests.pause(true);
            crew.until("it rests", PROMPT, &members.each_ref(), || rests.view().paused).await;
            let (before, changes) = (rests.view(), crew.journal.changes());
            // Longer than it might do without polling, and than its session.
            let until = Instant::now() + (SECONDS(4) + MS(500)).max(session + MS(500));
            while Instant::now() < until {
                crew.going_on(PROMPT, &[reads]).await;
            }
            let after = rests.view();
            assert_eq!((after.processed, after.assigned), (before.processed, before.assigned));
            rests.pause(false);
            crew.going_on(PROMPT, &members.each_ref()).await;
            assert_eq!(crew.journal.changes(), changes, "a rebalance");
            assert!(!crew.journal.any(|entry| matches!(entry, Entry::NotCommitted { .. })));
            Vec::from(members)
        });
        for repeated in repeated.await {
            assert!(repeated.is_empty(), "{repeated:?}");
        }
    });
}

/// Transactions that are aborted before and after the one that is not.
const ABORTED: u64 = 25;

/// Records of each.
const EACH: u64 = 80;

#[test]
fn long_aborted_ranges_are_passed_by_without_a_record_and_leave_no_lag() {
    WORLD.peace(SECONDS(120), async |kafka, _| {
        let name = topic(&kafka, "aborted", 2).await;
        let at = |partition| TopicPartition { topic: name.as_str().into(), partition };
        let write = async |partition: i32| {
            let mut transactions = Transactions::begin(&kafka, &at(partition)).await;
            let values = |round: u64| -> Vec<Vec<u8>> {
                let ids = (0..EACH).map(|n| Id { producer: partition as u32, sequence: round * EACH + n });
                ids.map(|id| id.payload(200)).collect()
            };
            for round in 0..=2 * ABORTED {
                transactions.send(&values(round)).await;
                transactions.end(round == ABORTED).await;
            }
        };
        let began = Instant::now();
        join_all([write(0), write(1)]).await;
        let wrote = began.elapsed();

        let options = ConsumerOptions::default()
            .isolation_level(IsolationLevel::ReadCommitted)
            .max_partition_fetch_bytes(20_000usize)
            .fetch_max_wait(MS(100));
        let mut consumer = kafka.consumer(options).unwrap();
        consumer.assign([0, 1].map(|partition| (at(partition), Start::Earliest))).unwrap();
        // Each transaction ends with a marker; the last one may be on its way to the replicas.
        let end = ((2 * ABORTED + 1) * (EACH + 1)) as i64;
        let ended = async {
            while !end_offsets(&kafka, &name).await.values().all(|now| *now == end) {
                tokio::time::sleep(MS(20)).await;
            }
        };
        within(PROMPT, "writing the last markers", ended).await;
        let (began, mut found) = (Instant::now(), Vec::new());
        for partition in [at(0), at(1)] {
            while consumer.lag(&partition) != Some(0) || consumer.position(&partition).await.unwrap() < end {
                let lag = consumer.lag(&partition);
                assert!(began.elapsed() < PATIENT, "{partition}: {lag:?} behind");
                for record in consumer.poll(MS(100)).await.unwrap() {
                    found.push(Id::parse(record.value().unwrap()).unwrap());
                }
            }
            assert_eq!(consumer.position(&partition).await.unwrap(), end);
        }
        println!("written in {wrote:?}, read in {:?}", began.elapsed());
        found.sort();
        let kept =
            |partition: u32| (0..EACH).map(move |n| Id { producer: partition, sequence: ABORTED * EACH + n });
        assert_eq!(found, kept(0).chain(kept(1)).collect::<Vec<_>>());
    });
}
