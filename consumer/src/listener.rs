//! What the application may do when partitions come and go.
//!
//! Guarantee: all of it runs on the task that polls, inside that poll, never beside the application's own code. `revoked`
//! comes before the partitions are given up, so it may still commit; `lost` comes when somebody else may have them.
//!
//! Sources: KIP-429 (`lost`, and only the partitions that change hands).

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;

use ottla_client::{Error, TopicPartition};

use crate::commit::OffsetAndMetadata;

/// The future of a listener's or context's method.
pub type ListenerFuture<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// Is told of partitions that come and go, on the task that polls.
///
/// A future whose poll is dropped goes on where it was at the next poll. An error is returned by the poll, and
/// the step counts as done. While a listener runs, heartbeats go on, but `max.poll.interval.ms` runs as well.
///
/// ```
/// use ottla_client::TopicPartition;
/// use ottla_consumer::{ListenerFuture, RebalanceContext, RebalanceListener};
///
/// /// Commits before partitions go to somebody else.
/// struct CommitOnRevoke;
///
/// impl RebalanceListener for CommitOnRevoke {
///     fn revoked<'a>(
///         &'a mut self,
///         context: &'a mut dyn RebalanceContext,
///         _partitions: &'a [TopicPartition],
///     ) -> ListenerFuture<'a> {
///         Box::pin(async move { context.commit().await })
///     }
/// }
/// ```
pub trait RebalanceListener: Send {
    /// The member got `partitions`, perhaps none, beside those it kept. Positions may be set with
    /// [`RebalanceContext::seek`] before the first record is handed out.
    fn assigned<'a>(
        &'a mut self,
        context: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        let _ = (context, partitions);
        Box::pin(ready(Ok(())))
    }

    /// The member has to give `partitions` up: the last moment to commit what was processed of them.
    fn revoked<'a>(
        &'a mut self,
        context: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        let _ = (context, partitions);
        Box::pin(ready(Ok(())))
    }

    /// The member has lost `partitions`, perhaps some time ago; commits for them would fail.
    fn lost<'a>(
        &'a mut self,
        context: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        let _ = (context, partitions);
        Box::pin(ready(Ok(())))
    }
}

/// What a listener can do to its consumer.
pub trait RebalanceContext: Send {
    /// The partitions that the consumer has, those of the current step included.
    fn assignment(&self) -> Vec<TopicPartition>;

    /// The offset of the next record to be handed out, once it is known.
    fn position(&self, partition: &TopicPartition) -> Option<i64>;

    /// Reads on from `offset`.
    ///
    /// # Errors
    /// Kind `InvalidState` if the partition is not assigned.
    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), Error>;

    /// Commits the positions of everything that was handed out.
    ///
    /// # Errors
    /// Those of the consumer's own commit.
    ///
    /// # Cancel safety
    /// Dropping it leaves open whether the commit happened.
    fn commit(&mut self) -> ListenerFuture<'_>;

    /// Commits these offsets.
    ///
    /// # Errors
    /// Those of the consumer's own commit.
    ///
    /// # Cancel safety
    /// Dropping it leaves open whether the commit happened.
    fn commit_offsets(&mut self, offsets: HashMap<TopicPartition, OffsetAndMetadata>) -> ListenerFuture<'_>;
}

type Callback = Box<dyn FnMut(&[TopicPartition]) + Send>;

/// A [`RebalanceListener`] made of closures, for what needs neither the context nor to wait.
///
/// ```
/// use ottla_consumer::RebalanceCallbacks;
///
/// let listener = RebalanceCallbacks::new()
///     .on_assigned(|partitions| println!("got {} more", partitions.len()))
///     .on_lost(|partitions| eprintln!("lost {partitions:?}"));
/// # let _ = listener;
/// ```
#[derive(Default)]
pub struct RebalanceCallbacks {
    assigned: Option<Callback>,
    revoked: Option<Callback>,
    lost: Option<Callback>,
}

impl RebalanceCallbacks {
    /// No closures yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls `callback` with the partitions that the member got.
    #[must_use]
    pub fn on_assigned(mut self, callback: impl FnMut(&[TopicPartition]) + Send + 'static) -> Self {
        self.assigned = Some(Box::new(callback));
        self
    }

    /// Calls `callback` with the partitions that the member gives up.
    #[must_use]
    pub fn on_revoked(mut self, callback: impl FnMut(&[TopicPartition]) + Send + 'static) -> Self {
        self.revoked = Some(Box::new(callback));
        self
    }

    /// Calls `callback` with the partitions that the member lost.
    #[must_use]
    pub fn on_lost(mut self, callback: impl FnMut(&[TopicPartition]) + Send + 'static) -> Self {
        self.lost = Some(Box::new(callback));
        self
    }
}

impl RebalanceListener for RebalanceCallbacks {
    fn assigned<'a>(
        &'a mut self,
        _: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        call(&mut self.assigned, partitions)
    }

    fn revoked<'a>(
        &'a mut self,
        _: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        call(&mut self.revoked, partitions)
    }

    fn lost<'a>(
        &'a mut self,
        _: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        call(&mut self.lost, partitions)
    }
}

impl fmt::Debug for RebalanceCallbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RebalanceCallbacks")
            .field("assigned", &self.assigned.is_some())
            .field("revoked", &self.revoked.is_some())
            .field("lost", &self.lost.is_some())
            .finish()
    }
}

fn call<'a>(callback: &mut Option<Callback>, partitions: &[TopicPartition]) -> ListenerFuture<'a> {
    if let Some(callback) = callback {
        callback(partitions);
    }
    Box::pin(ready(Ok(())))
}
