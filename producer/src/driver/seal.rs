//! Compression on threads that may block, so that a slow codec holds up neither senders nor answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ottla_client::{Error, ErrorKind};
use ottla_protocol::compression::{CompressionLevel, Compressor};
use ottla_protocol::records::ProducerState;
use tokio::task::{Id, JoinSet};

use crate::accumulator::Accumulator;
use crate::batch::Batch;
use crate::sender::SealJob;

/// Batches that are being compressed.
pub(crate) struct Sealers {
    level: CompressionLevel,
    accumulator: Arc<Accumulator>,
    tasks: JoinSet<Option<Batch>>,
    jobs: HashMap<Id, (u32, u64)>,
    /// Compressors that nobody uses, as making one is dear.
    idle: Arc<Mutex<Vec<Compressor>>>,
}

impl Sealers {
    pub(crate) fn new(level: CompressionLevel, accumulator: Arc<Accumulator>) -> Self {
        Sealers { level, accumulator, tasks: JoinSet::new(), jobs: HashMap::new(), idle: Arc::default() }
    }

    /// Compresses a batch.
    pub(super) fn start(&mut self, job: SealJob) {
        let SealJob { index, job, batch } = job;
        let (level, idle, accumulator) = (self.level, Arc::clone(&self.idle), Arc::clone(&self.accumulator));
        let task = self.tasks.spawn_blocking(move || seal(batch, level, &idle, &accumulator));
        self.jobs.insert(task.id(), (index, job));
    }

    /// The next one that is done: its partition, its job, and the batch unless it failed.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub(super) async fn next(&mut self) -> (u32, u64, Option<Batch>) {
        loop {
            let (id, batch) = match self.tasks.join_next_with_id().await {
                Some(Ok(done)) => done,
                Some(Err(error)) => (error.id(), None),
                None => std::future::pending().await,
            };
            if let Some((index, job)) = self.jobs.remove(&id) {
                return (index, job, batch);
            }
        }
    }
}

fn seal(
    mut batch: Batch,
    level: CompressionLevel,
    idle: &Mutex<Vec<Compressor>>,
    accumulator: &Accumulator,
) -> Option<Batch> {
    let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let sealed = kept.map_or_else(|| Compressor::new(level), Ok).and_then(|mut compressor| {
        let sealed = batch.seal(ProducerState::NONE, &mut compressor);
        idle.lock().unwrap_or_else(PoisonError::into_inner).push(compressor);
        sealed
    });
    match sealed {
        Ok(()) => Some(batch),
        Err(error) => {
            let message = format!("cannot compress a batch for {}", batch.completion.partition());
            let error = Error::new(ErrorKind::Encode, message).with_cause(error);
            batch.warn_of(&error);
            batch.fail(error, &accumulator.memory);
            None
        }
    }
}
