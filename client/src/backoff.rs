//! Exponential backoff with jitter, as a pure function.
//!
//! Sources: KIP-144 (reconnects), KIP-580 (retries).

use std::time::Duration;

/// How long to wait before a try: doubling from `initial` to `max`, each wait spread by a random share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    multiplier: f64,
    jitter: f64,
}

impl Backoff {
    /// Waits that double from `initial` up to `max`, spread by 20 percent up and down.
    pub const fn new(initial: Duration, max: Duration) -> Backoff {
        Backoff { initial, max, multiplier: 2.0, jitter: 0.2 }
    }

    /// The same with another growth and spread; a `jitter` of 0.2 spreads by 20 percent up and down.
    #[must_use]
    pub const fn with_shape(self, multiplier: f64, jitter: f64) -> Backoff {
        Backoff { multiplier, jitter, ..self }
    }

    /// The wait after `failures` failures before this one, for a `random` number from 0 to 1. Never beyond the
    /// maximum.
    pub fn next(&self, failures: u32, random: f64) -> Duration {
        let max = self.max.max(self.initial).as_secs_f64();
        let exponent = i32::try_from(failures.min(64)).unwrap_or(64);
        let base = (self.initial.as_secs_f64() * self.multiplier.powi(exponent)).min(max);
        let spread = 1.0 + self.jitter * (2.0 * random.clamp(0.0, 1.0) - 1.0);
        Duration::try_from_secs_f64((base * spread).min(max)).unwrap_or(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn waits_double_up_to_the_maximum() {
        let backoff = Backoff::new(MS(100), MS(1000));
        let waits: Vec<_> = (0..6).map(|failures| backoff.next(failures, 0.5)).collect();
        assert_eq!(waits, [MS(100), MS(200), MS(400), MS(800), MS(1000), MS(1000)]);
        assert_eq!(backoff.next(u32::MAX, 0.5), MS(1000));
    }

    #[test]
    fn jitter_spreads_by_a_fifth_and_never_beyond_the_maximum() {
        let backoff = Backoff::new(MS(100), MS(1000));
        assert_eq!(backoff.next(0, 0.0), MS(80));
        assert_eq!(backoff.next(0, 1.0), MS(120));
        assert_eq!(backoff.next(9, 1.0), MS(1000));
        assert_eq!(backoff.next(0, f64::NAN).max(MS(1000)), MS(1000));
    }

    #[test]
    fn zero_stays_zero_and_a_maximum_below_the_start_is_the_start() {
        assert_eq!(Backoff::new(Duration::ZERO, MS(1000)).next(5, 0.9), Duration::ZERO);
        assert_eq!(Backoff::new(MS(50), MS(10)).next(5, 0.5), MS(50));
    }
}
