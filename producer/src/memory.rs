//! [`Memory`]: the byte budget behind `buffer.memory`, and the pool of buffers within it.
//!
//! Every batch is charged with the whole capacity of its buffer from the moment it is opened. The [`Charge`] goes where the
//! bytes go, and gives them back when it is dropped, wherever that is: with the batch's outcome, or later, when the codec
//! or the request that has the bytes is done with them. Guarantees: charged bytes and idle pooled bytes together never
//! exceed the limit; who waits is served in order, and nobody who comes later takes room before him; dropping a wait at
//! any point returns what it was given.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::metrics::Meter;

/// The budget.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: usize,
    state: Mutex<State>,
    /// Waits that have not been granted, readable without the lock.
    waiting: AtomicUsize,
    /// Counts batches. It stands here because whoever gives a batch's memory back knows what became of the batch.
    pub(crate) meter: Meter,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes that are not charged; idle buffers lie within them.
    free: usize,
    idle: BTreeMap<usize, Vec<Vec<u8>>>,
    idle_bytes: usize,
    waiters: VecDeque<Waiter>,
    granted: Vec<u64>,
    next_id: u64,
    closed: bool,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    bytes: usize,
    waker: Waker,
}

/// Bytes of the budget that are taken. Dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Charge {
    memory: Arc<Memory>,
    bytes: usize,
}

/// A buffer, possibly without memory behind it yet, and what is charged for it.
#[derive(Debug)]
pub(crate) struct Charged {
    pub(crate) buffer: Vec<u8>,
    pub(crate) charge: Charge,
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Self {
        Memory {
            limit,
            state: Mutex::new(State { free: limit, ..State::default() }),
            waiting: AtomicUsize::new(0),
            meter: Meter::default(),
        }
    }

    /// The limit in bytes.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes in use, and how many wait for room.
    pub(crate) fn usage(&self) -> (usize, usize) {
        let state = self.state();
        (self.limit - state.free, state.waiters.len())
    }

    /// Passes on what changes up and down.
    #[cfg(feature = "metrics")]
    pub(crate) fn publish(&self) {
        let (in_use, waiting) = self.usage();
        self.meter.publish(in_use, self.limit, waiting);
    }

    /// Bytes that are taken.
    #[cfg(test)]
    pub(crate) fn charged(&self) -> usize {
        self.limit - self.state().free
    }

    /// Whether somebody waits for room, so that batches should not linger.
    pub(crate) fn is_short(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Charges a buffer of `bytes`, unless there is no room or somebody waits for it already.
    pub(crate) fn try_take(self: &Arc<Self>, bytes: usize) -> Option<Charged> {
        let mut state = self.state();
        if !state.waiters.is_empty() || state.free < bytes {
            return None;
        }
        state.free -= bytes;
        let buffer = state.idle_buffer(bytes);
        drop(state);
        Some(Charged { buffer, charge: self.charge(bytes) })
    }

    /// What stands for bytes that are not free any more.
    fn charge(self: &Arc<Self>, bytes: usize) -> Charge {
        Charge { memory: Arc::clone(self), bytes }
    }

    fn release(&self, bytes: usize, buffer: Option<Vec<u8>>) {
        let mut state = self.state();
        state.free += bytes;
        if let Some(buffer) = buffer
            && buffer.capacity() == bytes
            && state.idle_bytes + bytes <= state.free
        {
            state.idle_bytes += bytes;
            state.idle.entry(bytes).or_default().push(buffer);
        }
        let woken = self.grant(&mut state);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Waits for `bytes`, behind everybody who waits already.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: usize) -> Reserve<'_> {
        Reserve { memory: self, bytes, id: None }
    }

    /// Ends all waits, present and future, with nothing.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let woken: Vec<Waker> = state.waiters.drain(..).map(|waiter| waiter.waker).collect();
        self.waiting.store(0, Ordering::Relaxed);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    fn grant(&self, state: &mut State) -> Vec<Waker> {
        let mut woken = Vec::new();
        while let Some(waiter) = state.waiters.front()
            && waiter.bytes <= state.free
            && let Some(waiter) = state.waiters.pop_front()
        {
            state.free -= waiter.bytes;
            state.granted.push(waiter.id);
            woken.push(waiter.waker);
        }
        state.evict();
        self.waiting.store(state.waiters.len(), Ordering::Relaxed);
        woken
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// An idle buffer of this size, or an empty one to be allocated. The bytes are charged already.
    fn idle_buffer(&mut self, bytes: usize) -> Vec<u8> {
        let found = self.idle.get_mut(&bytes).and_then(Vec::pop);
        if found.is_some() {
            self.idle_bytes -= bytes;
        }
        self.evict();
        found.unwrap_or_default()
    }

    /// Frees idle buffers until they fit into what is not charged.
    fn evict(&mut self) {
        while self.idle_bytes > self.free
            && let Some(mut largest) = self.idle.last_entry()
        {
            match largest.get_mut().pop() {
                Some(buffer) => self.idle_bytes -= buffer.capacity(),
                None => drop(largest.remove()),
            }
        }
    }
}

impl Charge {
    /// Of no bytes.
    #[cfg(test)]
    pub(crate) fn nothing() -> Charge {
        Arc::new(Memory::new(0)).charge(0)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes a buffer of no more than `bytes` of them. What is beyond that is free again.
    pub(crate) fn with_buffer(mut self, bytes: usize) -> Charged {
        let bytes = bytes.min(self.bytes);
        let excess = std::mem::replace(&mut self.bytes, bytes) - bytes;
        let buffer = self.memory.state().idle_buffer(bytes);
        if excess > 0 {
            self.memory.release(excess, None);
        }
        Charged { buffer, charge: self }
    }

    /// Gives the bytes back, and the buffer that they were for to the pool.
    pub(crate) fn give_back(mut self, buffer: Vec<u8>) {
        let bytes = std::mem::take(&mut self.bytes);
        self.memory.release(bytes, Some(buffer));
    }

    /// Divides it into two.
    pub(crate) fn halves(mut self) -> [Charge; 2] {
        let half = self.bytes / 2;
        self.bytes -= half;
        [self.memory.charge(half), self]
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.memory.release(self.bytes, None);
        }
    }
}

/// A wait for room; `None` when the budget was closed.
#[derive(Debug)]
pub(crate) struct Reserve<'a> {
    memory: &'a Arc<Memory>,
    bytes: usize,
    id: Option<u64>,
}

impl Future for Reserve<'_> {
    type Output = Option<Charge>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let memory = self.memory;
        let mut state = memory.state();
        let Some(id) = self.id else {
            if state.closed {
                return Poll::Ready(None);
            }
            if state.waiters.is_empty() && state.free >= self.bytes {
                state.free -= self.bytes;
                state.evict();
                return Poll::Ready(Some(memory.charge(self.bytes)));
            }
            let id = state.next_id;
            state.next_id += 1;
            state.waiters.push_back(Waiter { id, bytes: self.bytes, waker: cx.waker().clone() });
            memory.waiting.store(state.waiters.len(), Ordering::Relaxed);
            self.id = Some(id);
            return Poll::Pending;
        };
        if let Some(at) = state.granted.iter().position(|&granted| granted == id) {
            state.granted.swap_remove(at);
            self.id = None;
            return Poll::Ready(Some(memory.charge(self.bytes)));
        }
        match state.waiters.iter_mut().find(|waiter| waiter.id == id) {
            Some(waiter) => {
                waiter.waker.clone_from(cx.waker());
                Poll::Pending
            }
            None => {
                self.id = None;
                Poll::Ready(None)
            }
        }
    }
}

impl Drop for Reserve<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let mut state = self.memory.state();
        if let Some(at) = state.granted.iter().position(|&granted| granted == id) {
            state.granted.swap_remove(at);
            state.free += self.bytes;
        }
        state.waiters.retain(|waiter| waiter.id != id);
        // The one behind may fit where this one did not.
        let woken = self.memory.grant(&mut state);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(wait: &mut Reserve<'_>) -> Poll<Option<Charge>> {
        Pin::new(wait).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn free(memory: &Memory) -> usize {
        memory.state().free
    }

    #[test]
    fn room_goes_to_waiters_in_their_order_and_to_nobody_else_meanwhile() {
        let memory = Arc::new(Memory::new(100));
        let held = memory.try_take(90).expect("room");
        let (mut big, mut small) = (memory.reserve(50), memory.reserve(5));
        assert!(poll(&mut big).is_pending());
        assert!(poll(&mut small).is_pending(), "it would fit, but another waits before it");
        assert!(memory.try_take(5).is_none());
        assert!(memory.is_short());
        drop(held);
        let (Poll::Ready(Some(big)), Poll::Ready(Some(small))) = (poll(&mut big), poll(&mut small)) else {
            panic!("both were granted")
        };
        assert_eq!((big.bytes(), small.bytes(), free(&memory)), (50, 5, 45));
        assert!(!memory.is_short());
        drop((big, small));
        assert_eq!(free(&memory), 100);
    }

    #[test]
    fn a_dropped_wait_returns_its_room_and_lets_the_next_pass() {
        let memory = Arc::new(Memory::new(100));
        let held = memory.try_take(100).expect("room");
        let (mut first, mut second, mut third) = (memory.reserve(80), memory.reserve(90), memory.reserve(20));
        for wait in [&mut first, &mut second, &mut third] {
            assert!(poll(wait).is_pending());
        }
        drop(held);
        drop(first);
        drop(second);
        assert!(matches!(poll(&mut third), Poll::Ready(Some(_))));
        drop(third);
        assert_eq!(free(&memory), 100);
    }

    #[test]
    fn buffers_are_reused_and_idle_ones_never_exceed_the_budget() {
        let memory = Arc::new(Memory::new(100));
        let charged = memory.try_take(60).expect("room");
        assert_eq!(charged.buffer.capacity(), 0);
        charged.charge.give_back(vec![0; 60]);
        let again = memory.try_take(60).expect("room");
        assert_eq!(again.buffer.capacity(), 60);
        again.charge.give_back(again.buffer);
        let other = memory.try_take(50).expect("room");
        assert_eq!(memory.state().idle_bytes, 0, "60 idle and 50 charged bytes would be more than 100");
        other.charge.give_back(Vec::with_capacity(7));
        assert_eq!(memory.state().idle_bytes, 0, "a buffer of another size than charged is not kept");
    }

    #[test]
    fn a_charge_is_given_back_wherever_its_parts_end() {
        let memory = Arc::new(Memory::new(100));
        let charge = memory.try_take(91).expect("room").charge;
        let [left, right] = charge.halves();
        assert_eq!((left.bytes(), right.bytes(), free(&memory)), (45, 46, 9));
        drop(left);
        assert_eq!(free(&memory), 54);
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _right = right;
            panic!("as a codec might");
        }));
        assert!(unwound.is_err());
        let Poll::Ready(Some(all)) = poll(&mut memory.reserve(100)) else { panic!("all of it is free") };
        let Charged { charge, .. } = all.with_buffer(30);
        assert_eq!((charge.bytes(), free(&memory)), (30, 70), "what is beyond the buffer is free again");
    }

    #[test]
    fn closing_ends_all_waits() {
        let memory = Arc::new(Memory::new(10));
        let mut wait = memory.reserve(20);
        assert!(poll(&mut wait).is_pending());
        memory.close();
        assert!(matches!(poll(&mut wait), Poll::Ready(None)));
        assert!(matches!(poll(&mut memory.reserve(1)), Poll::Ready(None)));
    }
}
