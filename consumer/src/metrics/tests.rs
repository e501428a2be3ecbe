#![allow(clippy::disallowed_methods, reason = "a script needs some instant to start from")]

use std::collections::BTreeSet;

use ottla_client::{Error, ErrorKind};

use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn meter() -> (Arc<Meter>, Instant) {
    (Arc::default(), Instant::now())
}

#[test]
fn traffic_is_counted_by_topic_and_in_sum() {
    let (meter, now) = meter();
    meter.received(&"a".into(), 10, 700);
    meter.received(&"b".into(), 1, 80);
    meter.received(&"a".into(), 5, 300);
    let metrics = meter.snapshot(now);
    let (a, b) = (Traffic { records: 15, bytes: 1_000 }, Traffic { records: 1, bytes: 80 });
    assert_eq!(metrics.topics, BTreeMap::from([("a".into(), a), ("b".into(), b)]));
    assert_eq!(
        (metrics.total, metrics.other_topics),
        (Traffic { records: 16, bytes: 1_080 }, Traffic::default())
    );
}

#[test]
fn topics_beyond_a_thousand_are_counted_together() {
    let (meter, now) = meter();
    (0..1_002).for_each(|topic| meter.received(&format!("t{topic}").into(), 1, 70));
    meter.received(&"t0".into(), 1, 70);
    let metrics = meter.snapshot(now);
    assert_eq!((metrics.topics.len(), metrics.topics["t0"].records), (1_000, 2));
    assert_eq!((metrics.other_topics.records, metrics.total.records), (2, 1_003));
}

#[test]
fn fetches_are_in_flight_until_they_are_over() {
    let (meter, now) = meter();
    (0..3).for_each(|_| meter.fetch_sent());
    meter.fetch_over(MS(40), Some(MS(7)));
    meter.fetch_over(MS(900), None);
    meter.fetch_unsent();
    let fetches = meter.snapshot(now).fetches;
    assert_eq!((fetches.sent, fetches.answered, fetches.failed, fetches.in_flight), (3, 1, 2, 1));
    assert_eq!((fetches.latency.count(), fetches.latency.max(), fetches.throttled), (1, MS(40), MS(7)));
}

#[test]
fn commits_are_counted_with_their_errors_and_timed_when_they_succeed() {
    let (meter, now) = meter();
    meter.committed(MS(3), &Ok(()));
    meter.committed(MS(60_000), &Err(Error::new(ErrorKind::Timeout, "late")));
    meter.committed(MS(5), &Err(Error::from_code(ErrorCode::UNKNOWN_MEMBER_ID, "committing")));
    let commits = meter.snapshot(now).commits;
    assert_eq!((commits.succeeded, commits.failed, commits.latency.max()), (1, 2, MS(3)));
    assert_eq!(commits.errors, BTreeMap::from([(ErrorCode::UNKNOWN_MEMBER_ID, 1)]));
}

#[test]
fn polls_are_timed_from_one_to_the_next() {
    let (meter, now) = meter();
    assert_eq!(meter.snapshot(now).polls, PollMetrics::default());
    [0, 10, 30].into_iter().for_each(|at| meter.polled(now + MS(at)));
    let polls = meter.snapshot(now + MS(35)).polls;
    assert_eq!((polls.interval.count(), polls.interval.sum(), polls.since_last), (2, MS(30), Some(MS(5))));
}

#[test]
fn the_application_is_inside_of_a_poll_as_long_as_any_of_its_waits_goes_on() {
    let (meter, _) = meter();
    let outer = meter.inside();
    let inner = meter.inside();
    drop(outer);
    assert_eq!(meter.polling().inside, 1);
    drop(inner);
    assert_eq!(meter.polling().inside, 0);
}

#[test]
fn a_rebalance_lasts_from_its_first_sign_to_the_assignment_and_has_the_strongest_reason() {
    let (meter, now) = meter();
    let topics = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<BTreeSet<Arc<str>>>();
    let (one, two) = (topics(&["a"]), topics(&["a", "b"]));
    meter.joining(now);
    meter.rebalancing(now + MS(5));
    meter.assigned(now + MS(30), 4, Some(&one));
    meter.rebalancing(now + MS(100));
    meter.gave_up(4, false);
    assert_eq!(meter.snapshot(now + MS(150)).rebalances.under_way, Some(MS(50)));
    meter.assigned(now + MS(200), 3, Some(&one));
    meter.rebalancing(now + MS(300));
    meter.assigned(now + MS(310), 2, Some(&two));
    meter.polled(now + MS(400));
    meter.lost(now + MS(410), MS(500));
    meter.gave_up(5, true);
    meter.assigned(now + MS(420), 5, Some(&two));
    meter.polled(now + MS(1_000));
    meter.lost(now + MS(1_000), MS(500));
    meter.assigned(now + MS(1_001), 1, Some(&two));
    let rebalances = meter.snapshot(now + MS(2_000)).rebalances;
    let reasons = [
        (RebalanceReason::Joined, 1),
        (RebalanceReason::Subscription, 1),
        (RebalanceReason::Group, 1),
        (RebalanceReason::Lost, 1),
        (RebalanceReason::PollInterval, 1),
    ];
    assert_eq!((rebalances.completed, rebalances.reasons), (5, BTreeMap::from(reasons)));
    assert_eq!((rebalances.assigned, rebalances.revoked, rebalances.lost), (15, 4, 5));
    assert_eq!((rebalances.latency.sum(), rebalances.under_way), (MS(30 + 100 + 10 + 10 + 1), None));
}

#[test]
fn lag_is_known_where_position_and_end_are_and_never_negative() {
    assert_eq!(
        (lag(Some(3), Some(10)), lag(Some(10), Some(3)), lag(Some(3), None)),
        (Some(7), Some(0), None)
    );
    let partition = |lag| PartitionMetrics { lag, ..PartitionMetrics::default() };
    let name = |at| TopicPartition::new("a", at);
    let partitions =
        [(name(0), partition(Some(4))), (name(1), partition(None)), (name(2), partition(Some(9)))];
    let metrics = ConsumerMetrics { partitions: partitions.into(), ..ConsumerMetrics::default() };
    assert_eq!((metrics.lag(), metrics.max_lag(), ConsumerMetrics::default().max_lag()), (13, Some(9), None));
}

#[cfg(feature = "metrics")]
mod facade {
    use std::sync::{Arc, Mutex};

    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
        SharedString, Unit,
    };

    use super::*;

    /// Notes every change as text.
    #[derive(Clone, Default)]
    struct Notes(Arc<Mutex<Vec<String>>>);

    struct Number(Notes, String);

    impl Number {
        fn note(&self, change: &str) {
            self.0.0.lock().unwrap().push(format!("{} {change}", self.1));
        }
    }

    impl CounterFn for Number {
        fn increment(&self, by: u64) {
            self.note(&format!("+{by}"));
        }
        fn absolute(&self, to: u64) {
            self.note(&format!("={to}"));
        }
    }

    impl GaugeFn for Number {
        fn increment(&self, by: f64) {
            self.note(&format!("+{by}"));
        }
        fn decrement(&self, by: f64) {
            self.note(&format!("-{by}"));
        }
        fn set(&self, to: f64) {
            self.note(&format!("={to}"));
        }
    }

    impl HistogramFn for Number {
        fn record(&self, value: f64) {
            self.note(&format!("<-{value}"));
        }
    }

    impl Notes {
        fn number(&self, key: &Key) -> Arc<Number> {
            let labels = key.labels().map(|label| format!("{}={}", label.key(), label.value()));
            let labels = labels.collect::<Vec<_>>().join(",");
            Arc::new(Number(self.clone(), format!("{}{{{labels}}}", key.name())))
        }
    }

    impl Recorder for Notes {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.number(key))
        }
        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.number(key))
        }
        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(self.number(key))
        }
    }

    #[test]
    fn the_facade_gets_kafkas_names_with_client_topic_and_partition() {
        let notes = Notes::default();
        let (meter, now) = meter();
        metrics::with_local_recorder(&notes, || {
            meter.name("me");
            meter.received(&"a".into(), 10, 700);
            meter.fetch_sent();
            meter.fetch_over(MS(500), Some(Duration::ZERO));
            meter.joining(now);
            meter.polled(now + MS(250));
            meter.assigned(now + MS(750), 1, None);
            meter.committed(MS(125), &Ok(()));
            meter.committed(MS(125), &Err(Error::from_code(ErrorCode::UNKNOWN_MEMBER_ID, "committing")));
            meter.gave_up(3, true);
            meter.stuck("paused");
            let mut levels = meter.snapshot(now + MS(1_250));
            (levels.buffer.bytes, levels.buffer.held) = (30, 40);
            let partition = PartitionMetrics { lag: Some(4), ..PartitionMetrics::default() };
            levels.partitions.insert(TopicPartition::new("a", 2), partition);
            meter.publish(&levels, &[TopicPartition::new("a", 1)]);
        });
        let expected = [
            "records_consumed_total{client_id=me,topic=a} +10",
            "bytes_consumed_total{client_id=me,topic=a} +700",
            "fetch_total{client_id=me} +1",
            "fetch_response_total{client_id=me} +1",
            "fetch_latency{client_id=me} <-0.5",
            "time_between_poll{client_id=me} <-0.25",
            "rebalance_total{client_id=me,reason=joined} +1",
            "rebalance_latency{client_id=me} <-0.75",
            "commit_total{client_id=me} +1",
            "commit_latency{client_id=me} <-0.125",
            "commit_error_total{client_id=me,error=UNKNOWN_MEMBER_ID} +1",
            "partitions_lost_total{client_id=me} +3",
            "stuck_total{client_id=me,reason=paused} +1",
            "fetches_in_flight{client_id=me} =0",
            "buffered_bytes{client_id=me} =30",
            "held_bytes{client_id=me} =40",
            "assigned_partitions{client_id=me} =1",
            "last_poll_seconds_ago{client_id=me} =1",
            "records_lag_max{client_id=me} =4",
            "records_lag{client_id=me,topic=a,partition=2} =4",
            "records_lag{client_id=me,topic=a,partition=1} =NaN",
        ];
        let noted = std::mem::take(&mut *notes.0.lock().unwrap());
        assert_eq!(noted, expected.map(|text| format!("kafka_consumer_{text}")));
    }
}
