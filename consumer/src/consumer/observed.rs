//! What can be observed of a consumer: metrics and events.

use super::Consumer;
use crate::fetch::driver::now;
use crate::metrics::ConsumerMetrics;
use crate::stuck::ConsumerEvents;

impl Consumer {
    /// What the consumer has done so far, and where it stands. Takes a copy of all numbers, and looks at every partition, so
    /// it is for once a second, not for once a record.
    ///
    /// ```no_run
    /// # fn report(consumer: &ottla_consumer::Consumer) {
    /// let metrics = consumer.metrics();
    /// println!("{} records behind, {} bytes fetched ahead", metrics.lag(), metrics.buffer.bytes);
    /// println!("p99 of fetches {:?}", metrics.fetches.latency.p99());
    /// for stuck in &metrics.stuck {
    ///     println!("{stuck}");
    /// }
    /// # }
    /// ```
    pub fn metrics(&self) -> ConsumerMetrics {
        if let Some(reading) = &self.reading {
            self.shared.state().settle(reading);
        }
        ConsumerMetrics::of(&self.shared, &self.options, now())
    }

    /// Tells from now on what makes no progress and why, and of polls that come too late for the group. The receiver can be
    /// used from any task, and ends with the consumer; the log tells the same, whether or not there is one.
    ///
    /// ```no_run
    /// # fn watch(consumer: &ottla_consumer::Consumer) {
    /// use ottla_consumer::ConsumerEvent;
    ///
    /// let mut events = consumer.events();
    /// tokio::spawn(async move {
    ///     while let Some(event) = events.next().await {
    ///         if let ConsumerEvent::Stuck(stuck) = event {
    ///             eprintln!("{stuck}");
    ///         }
    ///     }
    /// });
    /// # }
    /// ```
    pub fn events(&self) -> ConsumerEvents {
        self.shared.announcer.events()
    }
}
