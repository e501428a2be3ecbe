//! What handles ask of the task, and its end.

use std::sync::Arc;
use std::time::Instant;

use ottla_client::{Error, ErrorKind};
use tokio::sync::oneshot;

use super::Driver;
use crate::completion::Completion;
use crate::runtime;

/// What a handle asks of the task.
#[derive(Debug)]
pub(crate) enum Command {
    /// Send every batch that was opened at this instant at the latest, and say what to wait for.
    Flush(Instant, oneshot::Sender<Vec<Arc<Completion>>>),
    /// Say when callbacks and interceptors know every outcome that there is now.
    Deliver(oneshot::Sender<()>),
    /// Fail everything that has no outcome.
    Abort(oneshot::Sender<()>),
    /// End when all records have their outcome, or at the deadline; says how it ended.
    Close(Instant, oneshot::Sender<Result<(), Error>>),
}

/// Whether the task should end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Set once it should: when all records have their outcome, and at this instant at the latest.
    pub(super) deadline: Option<Instant>,
    /// Who wants to know how it ended.
    closers: Vec<oneshot::Sender<Result<(), Error>>>,
}

impl Ending {
    /// It should end by then, or earlier if that was asked for before.
    fn by(&mut self, deadline: Instant) {
        self.deadline = Some(self.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
    }
}

impl Driver {
    /// Does what a handle asks for; `None` says that the last one is gone.
    pub(super) fn command(&mut self, command: Option<Command>, now: Instant) {
        match command {
            Some(Command::Flush(until, reply)) => {
                self.absorb(now);
                let Driver { sender, cluster, .. } = self;
                let _ = reply.send(sender.flush(until, now, cluster.leaders()));
            }
            Some(Command::Abort(reply)) => {
                self.absorb(now);
                let error = Error::new(
                    ErrorKind::Aborted,
                    "the application gave up records that were not acknowledged",
                );
                let Driver { sender, cluster, .. } = self;
                sender.abort(&error, now, cluster.leaders());
                self.shared.outbox.deliver();
                let _ = reply.send(());
            }
            Some(Command::Deliver(reply)) => {
                self.shared.outbox.deliver();
                let _ = reply.send(());
            }
            Some(Command::Close(deadline, reply)) => {
                self.ending.by(deadline);
                self.ending.closers.push(reply);
            }
            None => {
                // The last handle is gone: `delivery.timeout.ms` bounds what is left to do.
                let values = self.shared.values();
                self.ending.deadline.get_or_insert(now + values.delivery_timeout + values.request_timeout);
            }
        }
    }

    /// Tells everybody who waits that it ended, and whether everything was told before `deadline`.
    pub(super) async fn end(&mut self, idle: bool, deadline: Instant) {
        let result = if idle {
            Ok(())
        } else {
            let error = Error::new(
                ErrorKind::Closed,
                "the producer was closed before these records were acknowledged",
            );
            self.sender.abandon(&error, runtime::now());
            let late = runtime::now().saturating_duration_since(deadline);
            tracing::warn!(?late, "closed a producer with records that were not acknowledged");
            Err(Error::new(
                ErrorKind::Timeout,
                "the producer's records were not all acknowledged before close's deadline",
            ))
        };
        self.shared.outbox.deliver();
        self.commands.close();
        // Only `recv` waits for a command that is just being sent. Who asks for anything else is told that the task ended.
        while let Some(command) = self.commands.recv().await {
            if let Command::Close(_, closer) = command {
                self.ending.closers.push(closer);
            }
        }
        for closer in self.ending.closers.drain(..) {
            let _ = closer.send(result.clone());
        }
    }
}
