//! What a producer does.

use std::time::Duration;

use fastrand::Rng;
use ottla_producer::CompressionType;

use crate::faults::{Theme, pick};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// What a producer does.
#[derive(Debug, Clone, PartialEq)]
pub struct ProducerPlan {
    /// What its own choices follow from.
    pub seed: u64,
    /// How many records it sends.
    pub records: u64,
    /// The longest pause between two records.
    pub pause: Duration,
    /// The probability with which it gives a `send` up that does not return at once.
    pub impatience: f64,
    /// `linger.ms`.
    pub linger: Duration,
    /// `batch.size`.
    pub batch_size: usize,
    /// `buffer.memory`.
    pub memory: usize,
    /// `max.in.flight.requests.per.connection`.
    pub in_flight: usize,
    /// `delivery.timeout.ms`.
    pub delivery_timeout: Duration,
    /// `compression.type`. Codecs work on threads, which no seed rules.
    pub compression: CompressionType,
    /// Whether it is content with its leaders' word: `acks=1`.
    pub careless: bool,
    /// How long `close` may take in the end.
    pub close: Duration,
}

pub(super) fn producer(rng: &mut Rng, theme: Theme) -> ProducerPlan {
    // What is given up soon, in the middle of retries, is where numbers and outcomes go wrong.
    let hasty = rng.u8(..) < if theme == Theme::Producing { 160 } else { 80 };
    let compression = match rng.u8(..60) {
        0 => CompressionType::Gzip,
        1 => CompressionType::Snappy,
        2 => CompressionType::Lz4,
        _ => CompressionType::None,
    };
    ProducerPlan {
        seed: rng.u64(..),
        records: rng.u64(10..=70),
        pause: *pick(rng, &[MS(2), MS(20), MS(100), MS(300)]),
        impatience: *pick(rng, &[0.0, 0.0, 0.2]),
        linger: MS(*pick(rng, &[0, 5, 30])),
        batch_size: *pick(rng, &[200, 200, 1_000, 16_384]),
        memory: *pick(rng, &[2_000, 32 << 20, 32 << 20]),
        in_flight: rng.usize(1..=5),
        delivery_timeout: if hasty { MS(*pick(rng, &[2_100, 4_000])) } else { MS(120_000) },
        compression,
        careless: rng.u8(..) < 20,
        close: *pick(rng, &[MS(500), MS(130_000), MS(130_000), MS(130_000)]),
    }
}

/// Has a producer send one small batch after the other and give each of them up soon, while others are under way.
pub(super) fn harry(rng: &mut Rng, producer: &mut ProducerPlan) {
    producer.records = producer.records.max(40);
    producer.pause = *pick(rng, &[MS(100), MS(200), MS(400)]);
    (producer.linger, producer.batch_size, producer.in_flight) = (MS(0), 200, 5);
    producer.delivery_timeout = MS(*pick(rng, &[2_100, 2_100, 3_000]));
}
