//! [`give_up_after`]: a future dropped at a chosen point.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Polls `future` at most `polls` times and then drops it: `None` if it was not ready by then.
///
/// Between two polls it waits as anybody would for the future to wake it, so each count is another point of its way.
pub fn give_up_after<F: Future>(polls: u64, future: F) -> GiveUpAfter<F> {
    GiveUpAfter { future: Some(Box::pin(future)), left: polls }
}

/// The future of [`give_up_after`].
pub struct GiveUpAfter<F> {
    future: Option<Pin<Box<F>>>,
    left: u64,
}

impl<F: Future> Future for GiveUpAfter<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(future) = this.future.as_mut().filter(|_| this.left > 0) else {
            this.future = None;
            return Poll::Ready(None);
        };
        this.left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => {
                this.future = None;
                Poll::Ready(Some(value))
            }
            Poll::Pending if this.left > 0 => Poll::Pending,
            Poll::Pending => {
                this.future = None;
                Poll::Ready(None)
            }
        }
    }
}

impl<F> fmt::Debug for GiveUpAfter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GiveUpAfter").field("left", &self.left).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use super::*;

    /// Ready at the third poll.
    fn third() -> impl Future<Output = u8> {
        let mut polls = 0;
        poll_fn(move |_| {
            polls += 1;
            if polls == 3 { Poll::Ready(polls) } else { Poll::Pending }
        })
    }

    fn outcome(polls: u64) -> (usize, Option<u8>) {
        let mut future = give_up_after(polls, third());
        for count in 1.. {
            if let Poll::Ready(value) = Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
                return (count, value);
            }
        }
        unreachable!("the loop has no end")
    }

    #[test]
    fn a_future_is_dropped_right_after_its_last_poll() {
        assert_eq!(outcome(0), (1, None));
        assert_eq!(outcome(2), (2, None));
        assert_eq!(outcome(3), (3, Some(3)));
        assert_eq!(outcome(9), (3, Some(3)));
    }
}
