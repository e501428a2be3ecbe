//! Looks at the consumer from time to time, and tells the application and the log what is stuck.

#![allow(clippy::disallowed_methods, reason = "a driver starts its task and waits")]

use std::cell::OnceCell;
#[cfg(feature = "metrics")]
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[cfg(feature = "metrics")]
use ottla_client::TopicPartition;
use tokio::runtime::Handle;
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinHandle;

use super::detector::Detector;
use super::why::{InGroup, Scene};
use super::{ConsumerEvent, FirstOf, Stuck, StuckReason};
use crate::fetch::driver::{Context, now};
use crate::group::Membership;
#[cfg(feature = "metrics")]
use crate::metrics::ConsumerMetrics;
use crate::metrics::Meter;

/// Events that a receiver may be behind.
const CAPACITY: usize = 64;
/// The longest time between two looks.
const SELDOM: Duration = Duration::from_secs(10);
/// The shortest.
const OFTEN: Duration = Duration::from_millis(10);
/// How many looks there are within `stuck.after.ms`.
const LOOKS: u32 = 8;

/// Receives what happens to a consumer beside its records; from [`Consumer::events`](crate::Consumer::events).
///
/// It holds the last 64 events; older ones that were not received are dropped and counted.
#[derive(Debug)]
pub struct ConsumerEvents {
    receiver: broadcast::Receiver<ConsumerEvent>,
    dropped: u64,
}

impl ConsumerEvents {
    /// The next event; `None` once the consumer is gone and all its events were received.
    ///
    /// # Cancel safety
    /// Safe: an event is only taken when it is returned.
    pub async fn next(&mut self) -> Option<ConsumerEvent> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(dropped)) => self.dropped += dropped,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// The next event, if there is one.
    pub fn try_next(&mut self) -> Option<ConsumerEvent> {
        loop {
            match self.receiver.try_recv() {
                Ok(event) => return Some(event),
                Err(broadcast::error::TryRecvError::Lagged(dropped)) => self.dropped += dropped,
                Err(_) => return None,
            }
        }
    }

    /// How many events were dropped because nobody received them in time.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// Where events go, and where the group is heard of.
#[derive(Debug)]
pub(crate) struct Announcer {
    events: broadcast::Sender<ConsumerEvent>,
    stuck: Mutex<Vec<Stuck>>,
    /// There is another committer, or none any more.
    committer_changed: Notify,
}

impl Default for Announcer {
    fn default() -> Self {
        let (events, _) = broadcast::channel(CAPACITY);
        Announcer { events, stuck: Mutex::default(), committer_changed: Notify::new() }
    }
}

impl Announcer {
    pub(crate) fn events(&self) -> ConsumerEvents {
        ConsumerEvents { receiver: self.events.subscribe(), dropped: 0 }
    }

    /// What was stuck at the last look.
    pub(crate) fn stuck(&self) -> Vec<Stuck> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn committer_changed(&self) {
        self.committer_changed.notify_one();
    }

    fn announce(&self, meter: &Meter, events: Vec<ConsumerEvent>) {
        for event in events {
            log(&event);
            if let ConsumerEvent::Stuck(stuck) = &event {
                meter.stuck(stuck.reason.name());
            }
            // Nobody has to listen.
            let _ = self.events.send(event);
        }
    }
}

/// The task that looks; it ends with its owner.
#[derive(Debug)]
pub(crate) struct Observer(JoinHandle<()>);

impl Observer {
    pub(crate) fn start(runtime: &Handle, context: Context) -> Observer {
        let options = &context.options;
        let detector = Detector::new(options.stuck_after, options.max_poll_interval);
        let look = Look {
            context,
            detector,
            membership: None,
            #[cfg(feature = "metrics")]
            published: BTreeSet::new(),
        };
        Observer(runtime.spawn(look.run()))
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Look {
    context: Context,
    detector: Detector,
    membership: Option<watch::Receiver<Arc<Membership>>>,
    /// Partitions whose lag was passed on.
    #[cfg(feature = "metrics")]
    published: BTreeSet<TopicPartition>,
}

impl Look {
    async fn run(mut self) {
        let shared = Arc::clone(&self.context.shared);
        let mut next = now() + self.pause();
        loop {
            let membership = async {
                match &mut self.membership {
                    Some(membership) => membership.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shared.announcer.committer_changed.notified() => self.follow_group(),
                changed = membership => match changed {
                    Ok(()) => self.follow_rebalance(),
                    Err(_) => self.membership = None,
                },
                () = tokio::time::sleep_until(next.into()) => {}
            }
            let now = now();
            let deadline = self.look(now);
            next = now + self.pause();
            next = deadline.map_or(next, |at| next.min(at.max(now + OFTEN)));
        }
    }

    /// Between two looks.
    fn pause(&self) -> Duration {
        match self.context.options.stuck_after {
            Duration::ZERO => SELDOM,
            after => (after / LOOKS).clamp(OFTEN, SELDOM),
        }
    }

    fn follow_group(&mut self) {
        let shared = &self.context.shared;
        let membership = shared.committer().and_then(|committer| committer.membership_updates());
        match (&self.membership, &membership) {
            (Some(last), Some(new)) if last.same_channel(new) => return,
            (_, Some(_)) => shared.meter.joining(now()),
            (_, None) => shared.meter.left(),
        }
        self.membership = membership;
    }

    fn follow_rebalance(&mut self) {
        if let Some(membership) = &mut self.membership
            && membership.borrow_and_update().rebalancing
        {
            self.context.shared.meter.rebalancing(now());
        }
    }

    /// Looks once; says when `max.poll.interval.ms` wants another look.
    fn look(&mut self, now: Instant) -> Option<Instant> {
        let Context { shared, client, options, .. } = &self.context;
        let cluster = client.cluster();
        let group = self.membership.as_ref().map(|membership| in_group(&membership.borrow()));
        let (events, stuck, deadline) = {
            let polling = shared.meter.polling();
            let mut state = shared.state();
            // Streams move their positions only when somebody looks.
            state.settle_streams();
            state.forget_troubles();
            let scene = Scene {
                state: &state,
                routes: &*cluster,
                polling,
                group,
                partition_bytes: options.max_partition_fetch_bytes,
                queued_bytes: options.queued_max_bytes,
                fullest: OnceCell::new(),
            };
            let events = self.detector.look(now, &scene);
            (events, self.detector.stuck(now, &scene), self.detector.poll_deadline(&scene))
        };
        *shared.announcer.stuck.lock().unwrap_or_else(PoisonError::into_inner) = stuck;
        shared.announcer.announce(&shared.meter, events);
        #[cfg(feature = "metrics")]
        self.publish(now);
        deadline
    }
}

#[cfg(feature = "metrics")]
impl Look {
    /// Passes on what goes up and down, and that the lag of partitions that are gone is not known any more.
    fn publish(&mut self, now: Instant) {
        let Context { shared, options, .. } = &self.context;
        let metrics = ConsumerMetrics::of(shared, options, now);
        let partitions: BTreeSet<TopicPartition> = metrics.partitions.keys().cloned().collect();
        shared.meter.publish(&metrics, self.published.difference(&partitions));
        self.published = partitions;
    }
}

fn in_group(membership: &Membership) -> InGroup {
    match membership {
        membership if !membership.is_member() => InGroup::Outside,
        Membership { rebalancing: true, .. } => InGroup::Rebalancing,
        _ => InGroup::Stable,
    }
}

fn log(event: &ConsumerEvent) {
    match event {
        // The application wants it so.
        ConsumerEvent::Stuck(stuck @ Stuck { reason: StuckReason::Paused, .. }) => {
            tracing::info!(lag = stuck.lag, "{stuck}");
        }
        ConsumerEvent::Stuck(stuck) => tracing::warn!(lag = stuck.lag, "{stuck}"),
        ConsumerEvent::Unstuck { partitions, after } => {
            let after = after.as_millis();
            tracing::info!(partitions = %FirstOf(partitions), "progress again, after {after} ms");
        }
        ConsumerEvent::PollIntervalNear { idle, limit } => tracing::warn!(
            "the application has not polled for {} ms; after {} ms (max.poll.interval.ms) its partitions go to others",
            idle.as_millis(),
            limit.as_millis()
        ),
        ConsumerEvent::PollIntervalExceeded { idle, limit } => tracing::warn!(
            "the application has not polled for {} ms, more than max.poll.interval.ms ({} ms): leaving the group until \
             it does; poll more often, or take fewer records at a time (max.poll.records)",
            idle.as_millis(),
            limit.as_millis()
        ),
        ConsumerEvent::PollsAgain { after } => {
            tracing::info!("the application polls again, after {} ms", after.as_millis());
        }
    }
}
