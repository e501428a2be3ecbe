//! [`Histogram`]: durations by their order of magnitude, for the metrics of producers and consumers.

use std::fmt;
use std::time::Duration;

/// Buckets up to the last one, which holds everything from four hours on.
const BUCKETS: usize = 256;
/// Bits of a duration that decide its bucket, beside its magnitude.
const BITS: u32 = 3;

/// How often durations of which length occurred.
///
/// Eight buckets for each power of two of microseconds: a quantile is at most an eighth above the true one.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u64; BUCKETS],
    count: u64,
    sum: Duration,
    max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: [0; BUCKETS], count: 0, sum: Duration::ZERO, max: Duration::ZERO }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Histogram { count, max, .. } = self;
        let (mean, p50, p99) = (self.mean(), self.p50(), self.p99());
        write!(f, "Histogram(count {count}, mean {mean:?}, p50 {p50:?}, p99 {p99:?}, max {max:?})")
    }
}

impl Histogram {
    /// Counts one more.
    pub fn record(&mut self, duration: Duration) {
        self.buckets[bucket(duration)] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(duration);
        self.max = self.max.max(duration);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The longest; zero if there is none.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The average; zero if there is none.
    pub fn mean(&self) -> Duration {
        match self.count {
            0 => Duration::ZERO,
            count => Duration::from_secs_f64(self.sum.as_secs_f64() / count as f64),
        }
    }

    /// A duration that a share of `q` (0 to 1) of all doesn't exceed; zero if there is none.
    pub fn quantile(&self, q: f64) -> Duration {
        let rank = (q.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (at, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return longest(at).min(self.max);
            }
        }
        self.max
    }

    /// The median.
    pub fn p50(&self) -> Duration {
        self.quantile(0.5)
    }

    /// What one in a hundred exceeds.
    pub fn p99(&self) -> Duration {
        self.quantile(0.99)
    }
}

fn bucket(duration: Duration) -> usize {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let Some(magnitude) = micros.checked_ilog2().filter(|magnitude| *magnitude >= BITS) else {
        return micros as usize;
    };
    let fine = (micros >> (magnitude - BITS)) & ((1 << BITS) - 1);
    (((u64::from(magnitude - BITS) + 1) << BITS) + fine).min(BUCKETS as u64 - 1) as usize
}

/// The longest duration of a bucket.
fn longest(bucket: usize) -> Duration {
    let (magnitude, fine) = (bucket as u64 >> BITS, bucket as u64 & ((1 << BITS) - 1));
    match magnitude {
        _ if bucket == BUCKETS - 1 => Duration::MAX,
        0 => Duration::from_micros(fine),
        _ => Duration::from_micros((((1 << BITS) + fine + 1) << (magnitude - 1)) - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: fn(u64) -> Duration = Duration::from_micros;

    #[test]
    fn every_duration_lies_within_its_bucket_and_an_eighth_below_its_end() {
        for micros in (0..5_000).chain((13..34).flat_map(|bit| [(1 << bit) - 1, 1 << bit, 3 << (bit - 1)])) {
            let (at, end) = (bucket(US(micros)), longest(bucket(US(micros))));
            assert!(US(micros) <= end, "{micros} us in bucket {at} up to {end:?}");
            assert!(end <= US(micros + micros / 8), "{micros} us in bucket {at} up to {end:?}");
            assert!(at == 0 || longest(at - 1) < US(micros), "{micros} us in bucket {at}");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_the_ends_of_buckets_and_never_above_the_maximum() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.p50(), histogram.mean(), histogram.max()), (US(0), US(0), US(0)));
        (1..=100).for_each(|micros| histogram.record(US(micros)));
        assert_eq!((histogram.count(), histogram.sum(), histogram.max()), (100, US(5_050), US(100)));
        assert_eq!((histogram.p50(), histogram.p99(), histogram.quantile(0.05)), (US(51), US(100), US(5)));
        assert_eq!((histogram.mean(), histogram.quantile(0.0)), (Duration::from_nanos(50_500), US(1)));
        histogram.record(Duration::from_secs(86_400));
        assert_eq!(histogram.quantile(1.0), Duration::from_secs(86_400));
    }
}
