//! [`Jobs`]: what the consumer's task has under way. Each broker's request, and each lookup, is a job of its own, so none waits
//! for another.
//!
//! Guarantee: a job that ends without having said how, as one that panics does, keeps nothing waiting: what it was for is due
//! again after a backoff.

#![allow(clippy::disallowed_methods, reason = "jobs are tasks, and end with the set that holds them")]

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use ottla_client::{NodeId, TopicPartition};
use tokio::task::{Id, JoinSet};

use super::state::FetchState;
use crate::position::reset::LookupBatch;
use crate::position::validate::EpochBatch;
use crate::subscription::Generation;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Job {
    /// A Fetch request to this broker.
    Fetch(NodeId),
    /// A question to a leader: is what was fetched in its log?
    Check(EpochBatch),
    /// A question to a leader for offsets.
    LookUp(LookupBatch),
    /// The group's committed offsets.
    Committed(Vec<(TopicPartition, Generation)>),
    /// To wait until a topic has leaders.
    Await(Arc<str>),
}

/// The jobs that are under way.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    tasks: JoinSet<()>,
    under_way: HashMap<Id, Arc<Job>>,
    awaited: HashSet<Arc<str>>,
}

impl Jobs {
    /// Starts a job; a topic is waited for once at a time.
    pub(super) fn start<F>(&mut self, job: Job, run: impl FnOnce(Arc<Job>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if let Job::Await(topic) = &job
            && !self.awaited.insert(Arc::clone(topic))
        {
            return;
        }
        let job = Arc::new(job);
        let task = self.tasks.spawn(run(Arc::clone(&job)));
        self.under_way.insert(task.id(), job);
    }

    /// Waits until a job has ended; for ever if there is none. It is returned if it came to no end of its own.
    ///
    /// # Cancel safety
    /// Safe: a job's end is only taken when this returns.
    pub(super) async fn ended(&mut self) -> Option<Arc<Job>> {
        let Some(ended) = self.tasks.join_next_with_id().await else { return std::future::pending().await };
        let (id, is_lost) = match ended {
            Ok((id, ())) => (id, false),
            Err(error) => {
                tracing::error!(%error, "a job of the consumer's task came to no end; it is tried again");
                (error.id(), true)
            }
        };
        let job = self.under_way.remove(&id)?;
        if let Job::Await(topic) = &*job {
            self.awaited.remove(topic);
        }
        is_lost.then_some(job)
    }
}

impl FetchState {
    /// Nobody will say how this job ended: what it was for is due again after a backoff.
    pub(crate) fn give_up(&mut self, job: &Job, now: Instant, random: f64) {
        let mut put_off = |partition: &TopicPartition, generation: Generation| {
            self.back_off(partition, generation, now, random);
        };
        match job {
            Job::Fetch(node) => self.fail(*node, now, random),
            Job::Check(batch) => {
                batch.checks.iter().for_each(|check| put_off(&check.partition, check.generation));
            }
            Job::LookUp(batch) => {
                batch.asked().for_each(|(partition, generation)| put_off(partition, generation))
            }
            Job::Committed(asked) => {
                asked.iter().for_each(|(partition, generation)| put_off(partition, *generation));
            }
            Job::Await(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
