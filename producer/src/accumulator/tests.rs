#![allow(
    clippy::disallowed_methods,
    reason = "a test plays the application, with clock and tasks of its own"
)]

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::Duration;

use super::*;
use crate::record::Header;

fn accumulator(batch_size: usize, memory: usize, partitions: usize) -> Accumulator {
    by(PartitionerClass::Default, batch_size, memory, partitions)
}

fn by(partitioner: PartitionerClass, batch_size: usize, memory: usize, partitions: usize) -> Accumulator {
    let accumulator = Accumulator::new(batch_size, 1 << 20, memory, partitioner, false);
    accumulator.update_topic(&"t".into(), vec![Some(1); partitions]);
    accumulator
}

fn append(accumulator: &Accumulator, record: &Record<'_>, random: u64) -> Result<Delivery, Reason> {
    if let Some(place) = accumulator.append_quickly(record, 0, || random) {
        return Ok(place.delivery(0));
    }
    let now = Instant::now;
    accumulator
        .append(record, 0, &mut Attempt::default(), now, || random)
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
            for buffer in accumulator.partitions_of("t") {
                while let (Some(batch), _) = buffer.take(true) {
                    batch.drop_empty();
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
    accumulator.update_topic(&"t".into(), vec![None, Some(1), None, Some(1)]);
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
    let buffer = Arc::clone(&accumulator.partitions_of("t")[0]);
    let mut sizes = Vec::new();
    while sizes.len() < 5 {
        drop(append(&accumulator, &Record::new("t").value(&[0; 1_000]), 0).expect("room"));
        if let (Some(batch), _) = buffer.take(false) {
            sizes.push(batch.charged() >> 10);
        }
    }
    assert_eq!(sizes, [16, 64, 256, 1_024, 1_024]);
    drop(buffer.take(true));
    drop(append(&accumulator, &Record::new("t").value("v"), 0).expect("room"));
    assert_eq!(buffer.take(true).0.expect("open").charged() >> 10, 512);
}

#[test]
fn the_inbox_names_a_partition_once_for_its_open_and_once_for_its_full_batch() {
    let accumulator = accumulator(200, 1 << 20, 2);
    let wakes: Vec<bool> = (0..6)
        .map(|_| {
            let record = Record::new("t").partition(1).value(&[0; 100]);
            accumulator.append(&record, 0, &mut Attempt::default(), Instant::now, || 0).expect("room").wake
        })
        .collect();
    assert_eq!(wakes, [true, true, false, false, false, false]);
    let mut inbox = Vec::new();
    accumulator.inbox.take(&mut inbox);
    assert_eq!(inbox, [1, 1]);
    let buffer = Arc::clone(&accumulator.partitions_of("t")[1]);
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
        let mut all = accumulator.partitions_of("t").into_iter();
        let buffer = all.next().expect("one");
        while let (Some(batch), _) = buffer.take(true) {
            batch.drop_empty();
        }
    }
}

type Clock = fn() -> Instant;

fn around(wakes: &Cell<u32>) -> Surroundings<Clock, fn() -> u64, impl Fn()> {
    Surroundings { timestamp: 7, now: Instant::now, random: || 0, wake: || wakes.set(wakes.get() + 1) }
}

#[test]
fn many_records_at_once_go_where_they_would_go_one_by_one() {
    let keys: Vec<String> = (0..2_000).map(|number| format!("key {}", number / 7)).collect();
    let records: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(at, key)| match at % 3 {
            0 => Record::new("t").key(key).value(key),
            1 => Record::new("t").partition(at as i32 % 6).value(key),
            _ => Record::new("t").value(key),
        })
        .collect();
    let (single, many) = (accumulator(1_000, 1 << 22, 6), accumulator(1_000, 1 << 22, 6));
    let mut one_by_one = Vec::new();
    for record in &records {
        one_by_one.push(append(&single, record, 0).expect("room").partition());
    }
    let (mut deliveries, wakes) = (Vec::new(), Cell::new(0));
    many.append_all(&records, &mut Attempt::default(), &around(&wakes), &mut deliveries).expect("room");
    let at_once: Vec<_> = deliveries.iter().map(Delivery::partition).collect();
    for (at, (single, many)) in one_by_one.iter().zip(&at_once).enumerate().filter(|(at, _)| at % 3 < 2) {
        assert_eq!(single, many, "record {at}");
    }
    assert_eq!(at_once.len(), records.len());
    assert!((1..=12).contains(&wakes.get()), "an open and a full batch of each partition: {}", wakes.get());
}

#[test]
fn many_records_into_one_partition_are_taken_until_one_is_not() {
    let accumulator = accumulator(16_384, 40_000, 3);
    let (small, large) = ([0; 100], [0; 50_000]);
    let mut records = vec![Record::new("t").partition(1).value(&small); 150];
    records.push(Record::new("t").partition(1).value(&large));
    records.push(Record::new("t").partition(1).value(&small));
    let (mut deliveries, wakes) = (Vec::new(), Cell::new(0));
    let mut attempt = Attempt::default();
    let refused = accumulator.append_all(&records, &mut attempt, &around(&wakes), &mut deliveries);
    assert!(matches!(refused, Err(Reason::TooLarge { limit: 40_000, .. })));
    assert_eq!(deliveries.len(), 150);
    let buffer = Arc::clone(&accumulator.partitions_of("t")[1]);
    let counts: Vec<_> = std::iter::from_fn(|| buffer.take(true).0).map(|batch| batch.count).collect();
    assert_eq!(counts.iter().sum::<i32>(), 150, "{counts:?}");
}

#[test]
fn a_sticky_run_ends_with_its_batch() {
    let accumulator = accumulator(16_384, 1 << 20, 4);
    let value = [0; 100];
    let records = vec![Record::new("t").value(&value); 600];
    let (mut deliveries, wakes) = (Vec::new(), Cell::new(0));
    accumulator
        .append_all(&records, &mut Attempt::default(), &around(&wakes), &mut deliveries)
        .expect("room");
    let runs: Vec<_> = deliveries.chunk_by(|a, b| a.partition() == b.partition()).map(<[_]>::len).collect();
    assert!(runs.len() > 2 && runs[..runs.len() - 1].iter().all(|run| (120..=310).contains(run)), "{runs:?}");
}

#[test]
fn records_take_turns_and_one_that_waited_for_room_keeps_its_turn() {
    let accumulator = by(PartitionerClass::RoundRobin, 16_384, 3 * 16_384, 4);
    accumulator.update_topic(&"t".into(), vec![Some(1), None, Some(1), Some(2)]);
    let record = Record::new("t").key("k").value("v");
    let mut turns: Vec<_> =
        (0..5).map(|_| append(&accumulator, &record, 0).expect("room").partition()).collect();
    assert_eq!(turns, [0, 2, 3, 0, 2]);
    let _held = accumulator.partitions_of("t")[3].take(true);
    let mut attempt = Attempt::default();
    let mut again = || accumulator.append(&record, 0, &mut attempt, Instant::now, || 0);
    assert_eq!(
        again().expect_err("the memory of the batch is still charged").reason,
        Reason::NoRoom { bytes: 16_384 }
    );
    let (batch, _) = accumulator.partitions_of("t")[0].take(true);
    batch.expect("open").drop_empty();
    turns.push(again().expect("room").delivery.partition());
    turns.push(append(&accumulator, &record, 0).map_or(-1, |delivery| delivery.partition()));
    assert_eq!(turns[5..], [3, -1], "its turn, and then that of 0, for which there is no room");
}

#[derive(Default)]
struct Own(OnceLock<Arc<Accumulator>>);

impl Partitioner for Own {
    fn partition(&self, record: &Record<'_>, topic: &Partitions) -> Choice {
        // Would wait for ever if a lock were held.
        self.0.get().expect("set").evict("another");
        match record.header_slice() {
            [] => Choice::Sticky,
            [header] if header.key() == "last" => Choice::Partition(topic.count() as i32 - 1),
            _ => Choice::Partition(record.value_bytes().map_or(-1, |value| value.len() as i32)),
        }
    }
}

#[test]
fn an_own_partitioner_sees_the_record_holds_no_lock_and_is_not_believed_blindly() {
    let own = Arc::new(Own::default());
    let class = PartitionerClass::Custom(Arc::clone(&own) as Arc<dyn Partitioner>);
    let accumulator = Arc::new(by(class, 16_384, 1 << 20, 3));
    own.0.set(Arc::clone(&accumulator)).map_err(drop).expect("once");
    let (last, length) = ([Header::new("last", "")], [Header::null("length")]);
    let partition =
        |record: Record<'_>| append(&accumulator, &record, 1).map(|delivery| delivery.partition());
    assert_eq!(partition(Record::new("t").headers(&last)), Ok(2));
    assert_eq!(partition(Record::new("t").headers(&length).value("v")), Ok(1));
    assert_eq!(partition(Record::new("t")), Ok(1), "sticky");
    assert_eq!(
        partition(Record::new("t").partition(0).headers(&last)),
        Ok(0),
        "its own beats the partitioner"
    );
    for (value, partition_chosen) in [(Some("four"), 4), (None, -1)] {
        let record = Record::new("t").headers(&length).maybe_value(value.map(str::as_bytes));
        let misplaced = Reason::Misplaced { partition: partition_chosen, partitions: 3 };
        assert_eq!(partition(record), Err(misplaced));
    }
    assert_eq!(accumulator.memory.charged(), 3 * 16_384, "none was taken for the misplaced ones");
}

#[test]
fn a_topic_is_forgotten_when_nothing_waits_in_it_and_its_indices_are_given_to_others() {
    let accumulator = accumulator(16_384, 1 << 20, 3);
    assert_eq!(accumulator.take_unmet().len(), 3);
    drop(append(&accumulator, &Record::new("t").partition(1).value("v"), 0).expect("room"));
    assert!(!accumulator.evict("t"), "a record waits");
    let (batch, _) = accumulator.partitions_of("t")[1].take(true);
    batch.expect("open").drop_empty();
    assert!(accumulator.evict("t") && accumulator.evict("t"));
    assert_eq!(append(&accumulator, &Record::new("t").value("v"), 0).unwrap_err(), Reason::UnknownTopic);
    accumulator.update_topic(&"u".into(), vec![Some(1); 4]);
    let indices: Vec<_> = accumulator.take_unmet().iter().map(|buffer| buffer.index).collect();
    assert_eq!(indices, [0, 1, 2, 3]);
    assert!(accumulator.evict("u") && accumulator.take_unmet().is_empty());
}

#[test]
fn a_topic_made_anew_with_fewer_partitions_gets_nothing_into_those_that_are_gone() {
    let accumulator = accumulator(200, 1 << 20, 6);
    accumulator.update_topic(&"t".into(), vec![Some(1); 2]);
    let mut random = fastrand::Rng::with_seed(3);
    for number in 0..100u32 {
        let key = number.to_be_bytes();
        let keyed = append(&accumulator, &Record::new("t").key(&key), 0).expect("room").partition();
        let sticky = append(&accumulator, &Record::new("t").value(&[0; 100]), random.u64(..));
        assert!(keyed < 2 && sticky.expect("room").partition() < 2);
    }
    let beyond = append(&accumulator, &Record::new("t").partition(2), 0);
    assert_eq!(beyond.unwrap_err(), Reason::NoSuchPartition { partitions: 2 });
}

#[test]
fn a_thread_goes_on_with_another_partition_while_one_is_held_and_comes_back_after_its_turn() {
    let accumulator = accumulator(1_000, 1 << 20, 4);
    let value = [0; 100];
    let append =
        |random| append(&accumulator, &Record::new("t").value(&value), random).expect("room").partition();
    assert_eq!(append(2), 2);
    let buffer = Arc::clone(&accumulator.partitions_of("t")[2]);
    let held = buffer.lock();
    let (first, second) = std::thread::scope(|scope| {
        let (done, first) = std::sync::mpsc::channel();
        let (go, free) = std::sync::mpsc::channel::<()>();
        let thread = scope.spawn(move || {
            done.send((0..4).map(|_| append(2)).collect::<Vec<_>>()).expect("the test waits");
            free.recv().ok();
            (0..10).map(|_| append(1)).collect::<Vec<_>>()
        });
        let first = first.recv_timeout(Duration::from_secs(20));
        drop(held);
        drop(go);
        (first.expect("it waited for the partition that somebody holds"), thread.join().expect("no panic"))
    });
    assert_eq!(first, [3; 4]);
    let runs: Vec<_> = second.chunk_by(|a, b| a == b).map(|run| run[0]).collect();
    assert_eq!(runs, [3, 2], "its turn ends, and then it is where all are");
    assert_eq!(append(1), 2);
}

#[test]
fn a_thread_that_is_late_with_older_metadata_brings_nobody_to_a_partition_that_has_no_leader_or_is_gone() {
    let accumulator = accumulator(200, 1 << 20, 3);
    let sticky =
        |random| append(&accumulator, &Record::new("t").value(&[0; 10]), random).expect("room").partition();
    assert_eq!(sticky(0), 0);
    let late = Arc::clone(accumulator.topics().get("t").expect("known"));
    accumulator.update_topic(&"t".into(), vec![Some(1), None, Some(1)]);
    accumulator.end_turn(&late, 0, 0);
    assert_eq!(sticky(0), 0, "1 has lost its leader");
    let late = Arc::clone(accumulator.topics().get("t").expect("known"));
    accumulator.update_topic(&"t".into(), vec![Some(1), Some(1)]);
    accumulator.end_turn(&late, 0, 0);
    let full = &[0; 190];
    for random in 0..4 {
        let partition =
            append(&accumulator, &Record::new("t").value(full), random).expect("room").partition();
        assert!(partition < 2, "{partition} is gone");
    }
}

#[test]
fn a_record_for_a_partition_of_its_own_waits_for_it() {
    let accumulator = accumulator(1_000, 1 << 20, 1);
    let record = Record::new("t").value("v");
    drop(append(&accumulator, &record, 0).expect("room"));
    let buffer = Arc::clone(&accumulator.partitions_of("t")[0]);
    let held = buffer.lock();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| append(&accumulator, &record, 0).expect("room").partition());
        drop(held);
        assert_eq!(waiting.join().expect("no panic"), 0, "there is no other");
    });
}

#[test]
fn a_thread_forgets_what_it_knew_of_a_topic_as_soon_as_that_changes() {
    let accumulator = accumulator(16_384, 1 << 20, 1);
    let quickly = |partition| accumulator.append_quickly(&Record::new("t").partition(partition), 0, || 0);
    drop(append(&accumulator, &Record::new("t").partition(0), 0).expect("room"));
    assert!(quickly(0).is_some() && quickly(1).is_none());
    accumulator.update_topic(&"t".into(), vec![Some(1); 2]);
    drop(append(&accumulator, &Record::new("t").partition(1), 0).expect("a new partition"));
    assert!(quickly(0).is_some() && quickly(1).is_some());
    let old = accumulator.partitions_of("t");
    for buffer in &old {
        buffer.take(true).0.expect("open").drop_empty();
    }
    assert!(accumulator.evict("t"));
    assert!(quickly(0).is_none());
    accumulator.update_topic(&"t".into(), vec![Some(1); 2]);
    drop(append(&accumulator, &Record::new("t").partition(1), 0).expect("room"));
    assert!(quickly(1).is_some());
    assert!(old.iter().all(|buffer| buffer.is_empty()), "nothing gets into buffers that nobody empties");
}

#[test]
fn what_many_threads_append_comes_out_once_while_the_topic_changes_and_is_forgotten() {
    const EACH: usize = 20_000;
    let accumulator = accumulator(2_000, 1 << 20, 3);
    let sender = |thread: usize| {
        let mut random = fastrand::Rng::with_seed(thread as u64);
        let mut taken = 0;
        while taken < EACH {
            let record = Record::new("t").value(&[0; 50]);
            let record = if random.bool() { record } else { record.partition(0) };
            match append(&accumulator, &record, random.u64(..)) {
                Ok(_) => taken += 1,
                Err(Reason::NoRoom { .. } | Reason::UnknownTopic) => std::thread::yield_now(),
                Err(other) => panic!("{other:?}"),
            }
        }
    };
    let (mut drained, mut forgotten, mut is_left_behind) = (0, 0, false);
    let mut drain = |buffers: &[Arc<PartitionBuffer>]| {
        for buffer in buffers {
            while let (Some(batch), _) = buffer.take(true) {
                drained += batch.count as usize;
                batch.drop_empty();
            }
        }
    };
    let mut buffers = Vec::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || sender(thread))).collect();
        for round in 0.. {
            let is_over = threads.iter().all(std::thread::ScopedJoinHandle::is_finished);
            buffers.extend(accumulator.take_unmet());
            drain(&buffers);
            if is_over {
                break;
            }
            if accumulator.evict("t") {
                forgotten += 1;
                is_left_behind |= buffers.iter().any(|buffer| !buffer.is_empty());
                buffers.retain(|buffer| Arc::strong_count(buffer) > 1);
            }
            accumulator.update_topic(&"t".into(), vec![Some(1); 1 + round % 3]);
        }
    });
    assert!(!is_left_behind, "a topic was forgotten while records waited in its buffers");
    assert_eq!((drained, accumulator.memory.charged()), (4 * EACH, 0), "forgotten {forgotten} times");
}

#[test]
fn topics_and_producers_are_kept_apart_in_what_a_thread_remembers() {
    // Names that have one place, as they are equally long and end alike.
    let names = ["at", "bt", "ct"];
    let all: Vec<Accumulator> = (0..2)
        .map(|_| {
            let accumulator = accumulator(16_384, 1 << 20, 1);
            names.iter().for_each(|name| accumulator.update_topic(&(*name).into(), vec![Some(1); 1]));
            accumulator
        })
        .collect();
    for round in 1..=5 {
        for (accumulator, name) in all.iter().flat_map(|all| names.iter().map(move |name| (all, name))) {
            for _ in 0..round {
                let delivery = append(accumulator, &Record::new(name), 0).expect("room");
                assert_eq!(delivery.topic(), *name);
            }
        }
    }
    for (accumulator, name) in all.iter().flat_map(|all| names.iter().map(move |name| (all, name))) {
        let (batch, _) = accumulator.partitions_of(name)[0].take(true);
        let batch = batch.expect("open");
        assert_eq!(batch.count, 15, "{name}");
        batch.drop_empty();
    }
}
