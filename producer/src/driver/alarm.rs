//! [`Alarm`]: the timer of the producer's task, which is set far less often than the task is woken.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::time::Sleep;

/// One timer for all that waits for an instant. It may go off early, never late: it is moved towards now when something
/// is due sooner, and away from now only once it has gone off. So records that are answered in time move it hardly ever.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready when `at` has come; otherwise `cx` is woken then, or before.
    pub(super) fn poll(&mut self, at: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = at.map(tokio::time::Instant::from_std) else { return Poll::Pending };
        let timer = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        loop {
            let is_late = at < timer.deadline();
            if is_late || (timer.is_elapsed() && at != timer.deadline()) {
                timer.as_mut().reset(at);
            }
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() == at {
                return Poll::Ready(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Waker;
    use std::time::Duration;

    use super::*;
    use crate::driver::tests::Woken;
    use crate::runtime;

    #[tokio::test(start_paused = true)]
    async fn it_goes_off_when_the_instant_has_come_whatever_was_asked_for_before() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = &mut Context::from_waker(&waker);
        let start = runtime::now();
        let at = |ms| Some(start + Duration::from_millis(ms));
        let pass = |ms| tokio::time::sleep_until((start + Duration::from_millis(ms)).into());
        let mut alarm = Alarm::default();
        assert!(alarm.poll(None, cx).is_pending());
        assert!(alarm.poll(at(100), cx).is_pending());
        // Sooner: it has to be moved.
        assert!(alarm.poll(at(50), cx).is_pending());
        // Later: it stays, and goes off in vain once.
        assert!(alarm.poll(at(200), cx).is_pending());
        pass(60).await;
        assert_eq!(woken.count(), 1, "woken at 50");
        assert!(alarm.poll(at(200), cx).is_pending());
        pass(190).await;
        assert_eq!(woken.count(), 1);
        pass(210).await;
        assert_eq!(woken.count(), 2, "woken at 200");
        assert!(alarm.poll(at(200), cx).is_ready());
        assert!(alarm.poll(at(205), cx).is_ready(), "what is past is due at once");
        assert!(alarm.poll(None, cx).is_pending());
        assert!(alarm.poll(at(300), cx).is_pending());
        pass(310).await;
        assert!(alarm.poll(at(300), cx).is_ready());
    }
}
