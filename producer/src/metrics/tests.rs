use ottla_client::{Error, ErrorKind};
use ottla_protocol::records::{BatchBuilder, NO_HEADERS};

use super::*;
use crate::batch::Batch;
use crate::completion::Teller;

#[allow(clippy::disallowed_methods, reason = "a test needs some instant")]
fn batch(topic: &str, records: usize) -> Batch {
    let mut builder = BatchBuilder::new(10_000);
    for _ in 0..records {
        builder.try_append(0, None, Some(&[0; 93]), NO_HEADERS).expect("room");
    }
    let ratio = std::sync::Arc::new(crate::accumulator::Ratio::new());
    Batch::new(
        Teller::new(topic.into(), 0),
        builder,
        std::time::Instant::now(),
        crate::memory::Charge::nothing(),
        ratio,
    )
}

const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn traffic_is_counted_by_topic_and_in_sum() {
    let meter = Meter::default();
    let (a, b) = (batch("a", 10), batch("b", 1));
    let bytes = a.size() as u64;
    meter.sent(&a, MS(3));
    meter.retried(&a);
    meter.acknowledged(&a);
    meter.failed(&b, &Error::new(ErrorKind::Timeout, "late"));
    let metrics = meter.snapshot();
    let traffic_a = Traffic {
        records_sent: 10,
        bytes_sent: bytes,
        records_acknowledged: 10,
        bytes_acknowledged: bytes,
        records_retried: 10,
        ..Traffic::default()
    };
    let traffic_b = Traffic { records_failed: 1, bytes_failed: b.size() as u64, ..Traffic::default() };
    assert_eq!(metrics.topics, BTreeMap::from([("a".into(), traffic_a), ("b".into(), traffic_b)]));
    let total = Traffic { records_failed: 1, bytes_failed: b.size() as u64, ..traffic_a };
    assert_eq!((metrics.total, metrics.other_topics), (total, Traffic::default()));
    assert_eq!((metrics.batches.sent, metrics.batches.retried, metrics.batches.records), (1, 1, 10));
}

#[test]
fn topics_beyond_a_thousand_are_counted_together() {
    let meter = Meter::default();
    for topic in 0..1_002 {
        meter.acknowledged(&batch(&format!("t{topic}"), 1));
    }
    meter.acknowledged(&batch("t0", 1));
    let metrics = meter.snapshot();
    assert_eq!((metrics.topics.len(), metrics.topics["t0"].records_acknowledged), (1_000, 2));
    assert_eq!((metrics.other_topics.records_acknowledged, metrics.total.records_acknowledged), (2, 1_003));
}

#[test]
fn requests_are_in_flight_until_they_are_over() {
    let meter = Meter::default();
    (0..3).for_each(|_| meter.request_sent());
    meter.request_over(true, MS(40), MS(7));
    meter.request_over(false, MS(900), Duration::ZERO);
    let requests = meter.snapshot().requests;
    assert_eq!((requests.sent, requests.answered, requests.failed, requests.in_flight), (3, 1, 1, 1));
    assert_eq!((requests.latency.count(), requests.latency.max(), requests.throttled), (1, MS(40), MS(7)));
}

#[test]
fn averages_are_zero_before_the_first_batch() {
    let none = BatchMetrics { target_bytes: 100, ..BatchMetrics::default() };
    assert_eq!(
        (none.average_bytes(), none.average_records(), none.average_fill(), none.compression_ratio()),
        (0.0, 0.0, 0.0, 0.0)
    );
    let two = BatchMetrics {
        sent: 2,
        records: 5,
        bytes: 30,
        uncompressed_bytes: 120,
        target_bytes: 100,
        ..BatchMetrics::default()
    };
    assert_eq!(
        (two.average_bytes(), two.average_records(), two.average_fill(), two.compression_ratio()),
        (60.0, 2.5, 0.6, 0.25)
    );
}

#[cfg(feature = "metrics")]
mod facade {
    use std::sync::{Arc, Mutex};

    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
        SharedString, Unit,
    };
    use ottla_protocol::error_code::ErrorCode;

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
    fn the_facade_gets_kafkas_names_with_client_and_topic() {
        let notes = Notes::default();
        let meter = Meter::default();
        metrics::with_local_recorder(&notes, || {
            meter.name("me");
            let batch = batch("a", 10);
            meter.sent(&batch, MS(250));
            meter.retried(&batch);
            meter.refused(ErrorCode::NOT_ENOUGH_REPLICAS);
            meter.request_sent();
            meter.request_over(true, MS(500), Duration::ZERO);
            meter.failed(&batch, &Error::new(ErrorKind::Timeout, "late"));
            meter.publish(30, 100, 2);
        });
        let size = batch("a", 10).size();
        let expected = [
            "record_send_total{client_id=me,topic=a} +10".to_owned(),
            format!("byte_total{{client_id=me,topic=a}} +{size}"),
            format!("batch_size{{client_id=me}} <-{size}"),
            "compression_rate{client_id=me} <-1".to_owned(),
            "record_queue_time{client_id=me} <-0.25".to_owned(),
            "record_retry_total{client_id=me,topic=a} +10".to_owned(),
            "batch_error_total{client_id=me,error=NOT_ENOUGH_REPLICAS} +1".to_owned(),
            "request_total{client_id=me} +1".to_owned(),
            "response_total{client_id=me} +1".to_owned(),
            "request_latency{client_id=me} <-0.5".to_owned(),
            "record_error_total{client_id=me,topic=a,error=Timeout} +10".to_owned(),
            "requests_in_flight{client_id=me} =0".to_owned(),
            "buffer_available_bytes{client_id=me} =70".to_owned(),
            "buffer_total_bytes{client_id=me} =100".to_owned(),
            "waiting_sends{client_id=me} =2".to_owned(),
        ];
        let noted = std::mem::take(&mut *notes.0.lock().unwrap());
        assert_eq!(noted, expected.map(|text| format!("kafka_producer_{text}")));
    }
}
