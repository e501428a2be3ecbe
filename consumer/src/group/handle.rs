//! The application's end of a group's task.
//!
//! Events come through a watch channel, one at a time: dropping a wait loses nothing, since the event stands there until
//! it was acknowledged. Commands go into an inbox that coalesces, so it never grows and never blocks.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ottla_client::{Client, Error, ErrorKind};
use ottla_protocol::error_code::ErrorCode;
use tokio::sync::{Notify, oneshot, watch};

use super::driver::{self, Channels, Lanes};
use super::{GroupConfig, GroupEvent, Interest, Membership, topic_watch};
use crate::commit::Committer;

/// A membership in a group, carried by a task of its own. Dropping it ends the task, which still tries to leave the group
/// (static members never leave) as long as the runtime is there; otherwise the session timeout does it.
pub(crate) struct Group {
    config: Arc<GroupConfig>,
    shared: Arc<Shared>,
    committer: Committer,
    events: watch::Receiver<Option<GroupEvent>>,
    membership: watch::Receiver<Arc<Membership>>,
    acknowledged: u64,
    done: Option<oneshot::Receiver<Result<(), Error>>>,
}

/// What both ends of the task see.
#[derive(Debug)]
pub(crate) struct Shared {
    started: Instant,
    /// When the application last polled, in nanoseconds since `started`.
    polled: AtomicU64,
    /// The task waits for the next poll and has to be told of it.
    awaits_poll: AtomicBool,
    inbox: Mutex<Inbox>,
    /// What the client matched a pattern to.
    matched: Mutex<Vec<Arc<str>>>,
    wake: Notify,
}

/// Commands that the task has not seen yet; a newer one of a kind replaces the older.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) acknowledged: Option<u64>,
    pub(super) interest: Option<Interest>,
    /// What the coordinator said to a commit, and as whom it was sent.
    pub(super) commit_refused: Option<(ErrorCode, Arc<Membership>)>,
    pub(super) leave: Option<Leave>,
}

/// How the task is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// Leave by then.
    By(Instant),
    /// The handle is gone: leave if it goes quickly.
    Dropped,
}

impl Group {
    /// Starts a member that subscribes to something.
    ///
    /// # Errors
    /// Kind `Config` outside a tokio runtime, or for a pattern that is none.
    pub(crate) fn start(client: Client, config: GroupConfig, interest: Interest) -> Result<Group, Error> {
        let (config, now) = (Arc::new(config), driver::now());
        let (events, events_seen) = watch::channel(None);
        let (membership, membership_seen) = watch::channel(Arc::new(Membership::none()));
        let (done, done_seen) = oneshot::channel();
        let shared = Arc::new(Shared {
            started: now,
            polled: AtomicU64::new(0),
            awaits_poll: AtomicBool::new(false),
            inbox: Mutex::default(),
            matched: Mutex::default(),
            wake: Notify::new(),
        });
        let lanes = Lanes::new(&client);
        let committer = Committer::of_member(
            client.clone(),
            &config,
            &lanes,
            membership_seen.clone(),
            Arc::clone(&shared),
        );
        let channels = Channels { shared: Arc::clone(&shared), events, membership, done: Some(done) };
        topic_watch::check(&config, &interest)?;
        driver::spawn(client, Arc::clone(&config), interest, lanes, channels)?;
        Ok(Group {
            config,
            shared,
            committer,
            events: events_seen,
            membership: membership_seen,
            acknowledged: 0,
            done: Some(done_seen),
        })
    }

    /// The next thing to do. The same event comes again until it was acknowledged.
    ///
    /// # Cancel safety
    /// Safe: the event stays where it is.
    pub(crate) async fn event(&mut self) -> GroupEvent {
        let acknowledged = self.acknowledged;
        match self
            .events
            .wait_for(|event| is_new(event.as_ref(), acknowledged))
            .await
            .map(|event| event.clone())
        {
            Ok(Some(event)) => event,
            Ok(None) | Err(_) => self.ended(),
        }
    }

    /// The next thing to do, if there is one now.
    pub(crate) fn try_event(&mut self) -> Option<GroupEvent> {
        let event =
            self.events.borrow_and_update().clone().filter(|event| is_new(Some(event), self.acknowledged));
        match event {
            None if self.events.has_changed().is_err() => Some(self.ended()),
            event => event,
        }
    }

    /// Says that the event was acted upon: the listener ran and the subscription was changed.
    pub(crate) fn acknowledge(&mut self, event_id: u64) {
        let lasting = matches!(&*self.events.borrow(), Some(GroupEvent::Failed { id, lasting: true, .. }) if *id == event_id);
        if event_id > self.acknowledged && !lasting {
            self.acknowledged = event_id;
            self.shared.tell(|inbox| inbox.acknowledged = Some(event_id));
        }
    }

    /// Whether the last word is a failure that no acknowledgement ends.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(&*self.events.borrow(), Some(GroupEvent::Failed { lasting: true, .. }))
            || self.events.has_changed().is_err()
    }

    /// Says that the application polled at `now`, which starts `max.poll.interval.ms` anew.
    pub(crate) fn polled(&self, now: Instant) {
        let since = now.saturating_duration_since(self.shared.started);
        // This side writes `polled` and reads `awaits_poll`, the task the other way round: only a total order keeps both
        // from missing the other's write.
        self.shared.polled.fetch_max(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX), Ordering::SeqCst);
        if self.shared.awaits_poll.swap(false, Ordering::SeqCst) {
            self.shared.wake.notify_one();
        }
    }

    /// Subscribes to something else instead, which takes a rebalance unless it is the same.
    ///
    /// # Errors
    /// Kind `Config` for a pattern that is none.
    pub(crate) fn set_interest(&self, interest: Interest) -> Result<(), Error> {
        topic_watch::check(&self.config, &interest)?;
        self.shared.tell(|inbox| inbox.interest = Some(interest));
        Ok(())
    }

    /// The topics that match the pattern, where the client matches it.
    pub(crate) fn matched_topics(&self) -> Vec<Arc<str>> {
        self.shared.matched.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `group.id`.
    pub(crate) fn group_id(&self) -> &Arc<str> {
        &self.config.group_id
    }

    /// Who the member is at the moment.
    pub(crate) fn membership(&self) -> Arc<Membership> {
        Arc::clone(&self.membership.borrow())
    }

    /// Commits and fetches offsets as this member.
    pub(crate) fn committer(&self) -> Committer {
        self.committer.clone()
    }

    /// Leaves the group (static members stay) and ends the task. What the member had must be revoked and committed
    /// before.
    ///
    /// # Errors
    /// Kind `Timeout` if the coordinator could not be told by then: it removes the member when the session times out.
    ///
    /// # Cancel safety
    /// Dropping it makes leaving best effort.
    pub(crate) async fn leave(mut self, deadline: Instant) -> Result<(), Error> {
        self.shared.tell(|inbox| inbox.leave = Some(Leave::By(deadline)));
        match self.done.take() {
            // The task ends by itself at the deadline; an error means that it is gone already.
            Some(done) => done.await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }

    /// The task is gone, which only a panic in an assignor or the end of the runtime brings about.
    fn ended(&self) -> GroupEvent {
        let message = format!(
            "the task of the member of group `{}` has ended; unsubscribe and subscribe anew",
            self.config.group_id
        );
        let error = Error::new(ErrorKind::Closed, message);
        GroupEvent::Failed { id: self.acknowledged.saturating_add(1), error, lasting: true }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.shared.tell(|inbox| {
            inbox.leave.get_or_insert(Leave::Dropped);
        });
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("group_id", &self.config.group_id)
            .field("membership", &*self.membership.borrow())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Tells the task that the coordinator refused a commit in a way that concerns the membership.
    pub(crate) fn commit_refused(&self, code: ErrorCode, sent_as: Arc<Membership>) {
        self.tell(|inbox| inbox.commit_refused = Some((code, sent_as)));
    }

    pub(super) fn polled(&self) -> Instant {
        self.started + Duration::from_nanos(self.polled.load(Ordering::SeqCst))
    }

    /// Whether the next poll has to wake the task.
    pub(super) fn await_poll(&self, awaits: bool) {
        self.awaits_poll.store(awaits, Ordering::SeqCst);
    }

    pub(super) fn take(&self) -> Inbox {
        std::mem::take(&mut *self.inbox())
    }

    pub(super) fn set_matched(&self, topics: &[String]) {
        let topics = topics.iter().map(|topic| Arc::from(topic.as_str())).collect();
        *self.matched.lock().unwrap_or_else(PoisonError::into_inner) = topics;
    }

    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    fn tell(&self, command: impl FnOnce(&mut Inbox)) {
        command(&mut self.inbox());
        self.wake.notify_one();
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // Every command is a single assignment, so a panic elsewhere leaves nothing half done.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_new(event: Option<&GroupEvent>, acknowledged: u64) -> bool {
    event.is_some_and(|event| event.id() > acknowledged)
}
