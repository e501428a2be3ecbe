#![allow(
    clippy::disallowed_methods,
    reason = "a test plays the application, with clock and tasks of its own"
)]

use std::time::Duration;

use super::*;

fn accumulator(batch_size: usize, memory: usize, partitions: usize) -> Accumulator {
    let accumulator = Accumulator::new(batch_size, 1 << 20, memory, false);
    accumulator.update_topic(&"t".into(), partitions, (0..partitions as u32).collect());
    accumulator
}

fn append(accumulator: &Accumulator, record: &Record<'_>, random: u64) -> Result<Delivery, Reason> {
    let now = Instant::now;
    accumulator
        .append(record, 0, &mut None, now, || random)
        .map(|accepted| accepted.delivery)
        .map_err(|refusal| refusal.reason)
}

#[test]
fn keys_decide_the_partition_and_records_without_stay_until_a_batch_is_full() {
    let accumulator = accumulator(16_384, 1 << 20, 6);
    let keyed =
        |key: &str| append(&accumulator, &Record::new("t").key(key).value("v"), 0).expect("room").partition();
    assert_eq!([keyed(""), keyed("21"), keyed("foobar")], [3, 0, 0]);

    let mut random = fastrand::Rng::with_seed(1);
    let mut runs = Vec::new();
    let mut counts = [0; 6];
    for _ in 0..60_000 {
        let partition = append(&accumulator, &Record::new("t").value(&[0; 100]), random.u64(..));
        let Ok(partition) = partition.map(|delivery| delivery.partition()) else {
            // What a task would do: send, so that there is room again.
            for buffer in accumulator.partitions_from(0) {
                while let (Some(batch), _) = buffer.take(true) {
                    batch.drop_empty(&accumulator.memory);
                }
            }
            continue;
        };
        counts[partition as usize] += 1;
        match runs.last_mut() {
            Some((last, run)) if *last == partition => *run += 1,
            _ => runs.push((partition, 1)),
        }
    }
    let mean = 60_000 / runs.len();
    assert!((120..=310).contains(&mean), "a batch holds about 150 records, a turn had {mean}");
    assert!(counts.iter().all(|count| (5_000..16_000).contains(count)), "uneven: {counts:?}");
}

#[test]
fn leaderless_partitions_are_passed_over_while_others_live() {
    let accumulator = accumulator(200, 1 << 20, 4);
    accumulator.update_topic(&"t".into(), 4, vec![1, 3]);
    let mut random = fastrand::Rng::with_seed(2);
    for _ in 0..100 {
        let delivery =
            append(&accumulator, &Record::new("t").value(&[0; 100]), random.u64(..)).expect("room");
        assert!([1, 3].contains(&delivery.partition()));
    }
}

#[test]
fn memory_is_bounded_however_many_partitions_are_touched() {
    let accumulator = accumulator(1 << 20, 1 << 20, 10_000);
    let mut taken = 0;
    for partition in 0..10_000 {
        match append(&accumulator, &Record::new("t").partition(partition).value("v"), 0) {
            Ok(_) => taken += 1,
            Err(reason) => assert_eq!(reason, Reason::NoRoom { bytes: 16 << 10 }),
        }
    }
    assert_eq!(taken, 64, "a partition's first buffer takes 16 KiB, not the megabyte of a batch");
}

#[test]
fn buffers_grow_with_the_traffic_and_shrink_without() {
    let accumulator = accumulator(1 << 20, 64 << 20, 1);
    let buffer = Arc::clone(&accumulator.partitions_from(0)[0]);
    let mut sizes = Vec::new();
    while sizes.len() < 5 {
        drop(append(&accumulator, &Record::new("t").value(&[0; 1_000]), 0).expect("room"));
        if let (Some(batch), _) = buffer.take(false) {
            sizes.push(batch.charged >> 10);
        }
    }
    assert_eq!(sizes, [16, 64, 256, 1_024, 1_024]);
    drop(buffer.take(true));
    drop(append(&accumulator, &Record::new("t").value("v"), 0).expect("room"));
    assert_eq!(buffer.take(true).0.expect("open").charged >> 10, 512);
}

#[test]
fn the_inbox_names_a_partition_once_for_its_open_and_once_for_its_full_batch() {
    let accumulator = accumulator(200, 1 << 20, 2);
    let wakes: Vec<bool> = (0..6)
        .map(|_| {
            let record = Record::new("t").partition(1).value(&[0; 100]);
            accumulator.append(&record, 0, &mut None, Instant::now, || 0).expect("room").wake
        })
        .collect();
    assert_eq!(wakes, [true, true, false, false, false, false]);
    let mut inbox = Vec::new();
    accumulator.inbox.take(&mut inbox);
    assert_eq!(inbox, [1, 1]);
    let buffer = Arc::clone(&accumulator.partitions_from(0)[1]);
    assert_eq!(buffer.glance().full, 5);
    let oldest = buffer.glance().oldest.expect("batches");
    assert!(oldest.elapsed() < Duration::from_secs(60));
}

#[test]
fn what_cannot_be_taken_is_refused_before_it_takes_room() {
    let accumulator = accumulator(16_384, 40_000, 2);
    assert_eq!(append(&accumulator, &Record::new("u").value("v"), 0).unwrap_err(), Reason::UnknownTopic);
    let beyond = Record::new("t").partition(2).value("v");
    assert_eq!(append(&accumulator, &beyond, 0).unwrap_err(), Reason::NoSuchPartition { partitions: 2 });
    let large = append(&accumulator, &Record::new("t").value(&[0; 40_000]), 0).unwrap_err();
    assert!(matches!(large, Reason::TooLarge { limit: 40_000, .. }), "it can never fit into the memory");
    assert!(accumulator.memory.try_take(40_000).is_some(), "nothing was taken");
    accumulator.close();
    assert_eq!(append(&accumulator, &Record::new("t").value("v"), 0).unwrap_err(), Reason::Closed);
}

#[test]
fn batches_as_large_as_they_may_be_fit_into_a_memory_smaller_than_that() {
    let accumulator = accumulator(1 << 20, 20_000, 1);
    for round in 0..5 {
        let taken =
            (0..1_000).take_while(|_| append(&accumulator, &Record::new("t").value(&[0; 100]), 0).is_ok());
        assert!(taken.count() > 100, "round {round}");
        let mut all = accumulator.partitions_from(0).into_iter();
        let buffer = all.next().expect("one");
        while let (Some(batch), _) = buffer.take(true) {
            batch.drop_empty(&accumulator.memory);
        }
    }
}
