//! [`Consumer`]: the application's side, on the application's own task.
//!
//! - [`poll`]: records out, one poll or one record at a time, or as a stream;
//! - [`assignment`]: `subscribe`, `assign`, pause, resume, seek, position;
//! - [`offsets`]: ends of logs, times, lag, and seeks to them;
//! - [`rebalance`]: what the group asks for, step by step, with the listener;
//! - [`commits`]: `commit`, `committed` and the commits in the background; [`acks`]: acknowledgements;
//! - [`run`]: a loop that ends at a shutdown; [`close`]: the end; [`streams`]: a task per partition;
//!   [`scan`]: what bounded reading needs;
//! - [`observed`]: metrics and events; [`driver`]: clock, waits and tasks.
//!
//! Sources: KIP-62, KIP-266 (timeouts of the consumer's calls), KIP-429.

mod acks;
mod assignment;
mod close;
mod commits;
mod driver;
mod observed;
mod offsets;
mod poll;
mod rebalance;
mod run;
mod scan;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::{Backoff, Client, Error, ErrorKind, TopicsInUse};

use crate::assignor::{self, Assignor};
use crate::commit::Committer;
use crate::fetch::buffer::Reading;
use crate::fetch::driver::{Context, FetchTask, Shared};
use crate::fetch::state::{FetchState, Rules};
use crate::group::{Group, GroupConfig};
use crate::listener::RebalanceListener;
use crate::options::{ConsumerOptions, ConsumerValues};
use crate::shutdown::Attached;
use crate::stuck::driver::Observer;
use commits::AutoCommit;
use driver::{Pace, Runtime};
use rebalance::Step;

pub use commits::PendingCommit;
pub use poll::RecordStream;
pub use run::RunError;
pub use streams::PartitionStreams;

/// Reads records of topics, as a member of a group (`subscribe`) or alone (`assign`).
///
/// Records are fetched ahead by a task of the consumer's own; a member stays in its group by the heartbeats of another. Both
/// end when the consumer is dropped, which leaves the group as well as can be done without waiting. [`Consumer::close`]
/// commits and leaves in order.
pub struct Consumer {
    client: Client,
    options: Arc<ConsumerValues>,
    shared: Arc<Shared>,
    runtime: Runtime,
    /// Ends with the consumer.
    _task: FetchTask,
    /// The same.
    _observer: Observer,
    topics_in_use: TopicsInUse,
    /// Those that `topics_in_use` has.
    topics: BTreeSet<Arc<str>>,
    group: Option<Group>,
    committer: Option<Committer>,
    listener: Option<Box<dyn RebalanceListener>>,
    /// What the group asked for and is not done yet.
    step: Option<Step>,
    /// What is being read.
    reading: Option<Reading>,
    auto_commit: Option<AutoCommit>,
    /// When `next` has to look after more than records.
    pace: Pace,
    /// When the group was last told that the application polls.
    polled: Option<Instant>,
    /// The application's own, instead of those of `partition.assignment.strategy`.
    assignors: Option<Vec<Arc<dyn Assignor>>>,
    /// By which shutdown it stops; the last to be dropped, as that says that the consumer is gone.
    stop: Option<Attached>,
}

impl Consumer {
    /// A consumer on the connections of `client`. Nothing is read before `subscribe` or `assign`.
    ///
    /// # Errors
    /// Kind `Config`: options that are out of bounds or contradict each other, or no tokio runtime.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "options are made for one consumer and are its own from here on"
    )]
    pub fn new(client: Client, options: ConsumerOptions) -> Result<Consumer, Error> {
        options.validate()?;
        let runtime = Runtime::current()?;
        let options = Arc::new(options.values().clone());
        let retries = client.options().values();
        let rules = Rules {
            isolation: options.isolation_level,
            check_crcs: options.check_crcs,
            reset: options.auto_offset_reset,
            backoff: Backoff::new(retries.retry_backoff, retries.retry_backoff_max),
            // Of use only as long as an instant that much later can be told.
            replica_lease: retries.metadata_max_age.min(Duration::from_millis(i32::MAX as u64)),
        };
        let shared = Arc::new(Shared::new(FetchState::new(&options, rules)));
        let context = Context {
            shared: Arc::clone(&shared),
            client: client.clone(),
            options: Arc::clone(&options),
            lane: Arc::new(client.lane()),
        };
        shared.meter.name(&retries.client_id);
        let observer = Observer::start(runtime.handle(), context.clone());
        let task = FetchTask::start(runtime.handle(), context);
        // Without a group there is nowhere to commit to; Java's consumer, too, leaves it off then.
        let auto_commit = (options.enable_auto_commit && options.group_id.is_some())
            .then(|| AutoCommit::new(options.auto_commit_interval));
        let topics_in_use = client.topics_in_use().creating(options.allow_auto_create_topics);
        Ok(Consumer {
            topics_in_use,
            client,
            options,
            shared,
            runtime,
            _task: task,
            _observer: observer,
            topics: BTreeSet::new(),
            group: None,
            committer: None,
            listener: None,
            step: None,
            reading: None,
            auto_commit,
            pace: Pace::default(),
            polled: None,
            assignors: None,
            stop: None,
        })
    }

    /// The client whose connections are used.
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn default_deadline(&self) -> Instant {
        crate::fetch::driver::now() + self.options.default_api_timeout
    }

    fn group_config(&self) -> Result<GroupConfig, Error> {
        let Some(group_id) = &self.options.group_id else {
            return Err(Error::new(ErrorKind::Config, "groups and commits need option `group.id`"));
        };
        let options = &self.options;
        let retries = self.client.options().values();
        let named = options.partition_assignment_strategy.iter().map(|strategy| strategy.name());
        Ok(GroupConfig {
            group_id: Arc::from(group_id.as_str()),
            group_instance_id: options.group_instance_id.clone(),
            session_timeout: options.session_timeout,
            heartbeat_interval: options.heartbeat_interval,
            max_poll_interval: options.max_poll_interval,
            assignors: match &self.assignors {
                Some(own) => own.clone(),
                None => named.filter_map(|name| assignor::by_name(&name)).collect(),
            },
            group_protocol: options.group_protocol,
            remote_assignor: options.group_remote_assignor.clone(),
            exclude_internal_topics: options.exclude_internal_topics,
            client_rack: Some(options.client_rack.clone()).filter(|rack| !rack.is_empty()),
            retry_backoff: retries.retry_backoff,
            retry_backoff_max: retries.retry_backoff_max,
            request_timeout: retries.request_timeout,
            default_api_timeout: options.default_api_timeout,
        })
    }

    /// Notes how far the application has got in what is being read.
    fn settle(&mut self) {
        let mut state = self.shared.state();
        if let Some(reading) = &self.reading {
            state.settle(reading);
        }
        state.settle_streams();
    }

    /// Gives back what is being read, so that the state alone says what comes next.
    fn park(&mut self) {
        if let Some(reading) = self.reading.take() {
            let mut state = self.shared.state();
            state.settle(&reading);
            state.buffer.put_back(reading);
        }
    }

    /// Keeps the metadata of exactly those topics fresh that are subscribed to or read.
    fn register_topics(&mut self) {
        let mut wanted: BTreeSet<Arc<str>> = BTreeSet::new();
        {
            let state = self.shared.state();
            if let crate::subscription::Source::Group(topics) = &state.subscription.source {
                wanted.extend(topics.iter().cloned());
            }
            wanted.extend(state.subscription.iter().map(|(name, _)| Arc::clone(&name.topic)));
        }
        for topic in self.topics.difference(&wanted) {
            self.topics_in_use.remove(topic);
        }
        for topic in wanted.difference(&self.topics) {
            self.topics_in_use.add(topic);
        }
        self.topics = wanted;
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("group_id", &self.options.group_id)
            .field("assignment", &self.assignment())
            .finish_non_exhaustive()
    }
}

/// A duration for an error's text.
fn spoken(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}
