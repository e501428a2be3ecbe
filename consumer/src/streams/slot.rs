//! [`Slot`]: what a stream's holder and its consumer tell each other.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use ottla_client::TopicPartition;
use tokio::sync::Notify;

use crate::subscription::Generation;

/// How far a partition is processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) generation: Generation,
    /// The next offset.
    pub(crate) offset: i64,
    /// The epoch of the record before it, or -1.
    pub(crate) leader_epoch: i32,
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Slot {
    partition: TopicPartition,
    standing: Mutex<Standing>,
    /// Its holder has come to an end.
    released: Notify,
}

#[derive(Debug)]
struct Standing {
    phase: Phase,
    processed: Option<Progress>,
    /// Where it is processed to once the record that is out is.
    out: Option<Progress>,
    /// Something came since the holder looked last.
    news: bool,
    holder: Option<Waker>,
}

/// ```text
/// Open --close--> Closing --the holder asks for the next--> Ended
///   |                |                                       ^
///   +----------------+-----------cut-------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The partition is to be given away after the record that is out.
    Closing,
    /// Nothing is handed out any more.
    Ended,
}

impl Slot {
    pub(super) fn new(partition: TopicPartition) -> Slot {
        Slot {
            partition,
            standing: Mutex::new(Standing {
                phase: Phase::Open,
                processed: None,
                out: None,
                news: false,
                holder: None,
            }),
            released: Notify::new(),
        }
    }

    pub(crate) fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The holder asks for a record: the one before is processed. False if there will be no other.
    pub(super) fn ask(&self) -> bool {
        let mut standing = self.standing();
        if standing.phase != Phase::Ended
            && let Some(done) = standing.out.take()
        {
            standing.processed = Some(done);
        }
        standing.news = false;
        if standing.phase == Phase::Closing {
            standing.phase = Phase::Ended;
        }
        standing.phase == Phase::Open
    }

    /// A record is about to be handed out, behind which the holder will be at `then`. False if it may not be.
    pub(super) fn hand_out(&self, then: Progress) -> bool {
        let mut standing = self.standing();
        if standing.phase != Phase::Open {
            standing.phase = Phase::Ended;
            return false;
        }
        standing.out = Some(then);
        true
    }

    /// The holder has nothing to do until `waker` is woken; false if something came meanwhile.
    pub(super) fn sleep(&self, waker: &Waker) -> bool {
        let mut standing = self.standing();
        if standing.news {
            return false;
        }
        match &mut standing.holder {
            Some(holder) => holder.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        true
    }

    /// There is something for the holder.
    pub(super) fn wake(&self) {
        let holder = {
            let mut standing = self.standing();
            standing.news = true;
            standing.holder.take()
        };
        if let Some(holder) = holder {
            holder.wake();
        }
    }

    /// Asks the holder to come to an end.
    pub(super) fn close(&self) {
        {
            let mut standing = self.standing();
            if standing.phase == Phase::Open {
                standing.phase = Phase::Closing;
            }
        }
        self.wake();
    }

    /// Ends the stream; the record that is out does not count as processed.
    pub(crate) fn cut(&self) {
        {
            let mut standing = self.standing();
            standing.phase = Phase::Ended;
            standing.out = None;
        }
        self.release();
        self.wake();
    }

    /// The holder is gone, or has come to the end; true if nobody had asked for that.
    pub(super) fn leave(&self) -> bool {
        let open = {
            let mut standing = self.standing();
            standing.out = None;
            std::mem::replace(&mut standing.phase, Phase::Ended) == Phase::Open
        };
        self.release();
        open
    }

    /// Whether records may be handed out.
    pub(super) fn is_open(&self) -> bool {
        self.standing().phase == Phase::Open
    }

    /// Says that the holder has come to an end.
    pub(super) fn release(&self) {
        self.released.notify_one();
    }

    /// Waits for [`Slot::release`]; for one waiter.
    pub(crate) async fn released(&self) {
        self.released.notified().await;
    }

    /// How far the holder has got.
    pub(super) fn progress(&self) -> Option<Progress> {
        self.standing().processed
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        // Each change is complete before anything that may panic.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::subscription::Subscription;

    fn progress(offset: i64) -> Progress {
        let mut subscription = Subscription::default();
        subscription.add(TopicPartition::new("t", 0), crate::Start::Offset(0), false);
        let generation = subscription.partition(&TopicPartition::new("t", 0)).unwrap().generation;
        Progress { generation, offset, leader_epoch: -1 }
    }

    fn slot() -> Slot {
        Slot::new(TopicPartition::new("t", 0))
    }

    #[test]
    fn a_record_is_processed_when_the_next_is_asked_for() {
        let slot = slot();
        assert!(slot.ask());
        assert!(slot.hand_out(progress(1)));
        assert_eq!(slot.progress(), None);
        assert!(slot.ask());
        assert_eq!(slot.progress(), Some(progress(1)));
    }

    #[test]
    fn closing_lets_the_record_that_is_out_be_finished_and_nothing_come_after_it() {
        let slot = slot();
        assert!(slot.ask() && slot.hand_out(progress(1)));
        slot.close();
        assert!(!slot.ask());
        assert_eq!(slot.progress(), Some(progress(1)));
        assert!(!slot.hand_out(progress(2)));
        assert!(!slot.leave(), "it was asked to");
    }

    #[test]
    fn a_holder_that_was_cut_off_or_let_go_has_not_processed_what_is_out() {
        for end in [|slot: &Slot| slot.cut(), |slot: &Slot| assert!(slot.leave())] {
            let slot = slot();
            assert!(slot.ask() && slot.hand_out(progress(1)) && slot.ask() && slot.hand_out(progress(2)));
            end(&slot);
            assert!(!slot.ask());
            assert_eq!(slot.progress(), Some(progress(1)));
        }
    }

    #[test]
    fn what_comes_before_the_holder_sleeps_keeps_it_awake() {
        let slot = slot();
        assert!(slot.ask());
        slot.wake();
        assert!(!slot.sleep(Waker::noop()));
        assert!(slot.ask());
        assert!(slot.sleep(Waker::noop()));
    }
}
