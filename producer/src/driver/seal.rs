//! Compression on threads that may block, so that a slow codec holds up neither senders nor answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use ottla_client::{Error, ErrorKind};
use ottla_protocol::compression::{CompressionLevel, Compressor};
use ottla_protocol::records::ProducerState;
use tokio::task::{Id, JoinSet};

use crate::body::Body;
use crate::sender::SealJob;

/// Records that are being compressed.
pub(crate) struct Sealers {
    level: CompressionLevel,
    tasks: JoinSet<Result<Body, Error>>,
    jobs: HashMap<Id, (u32, u64)>,
    /// Compressors that nobody uses, as making one is dear.
    idle: Arc<Mutex<Vec<Compressor>>>,
}

impl Sealers {
    pub(crate) fn new(level: CompressionLevel) -> Self {
        Sealers { level, tasks: JoinSet::new(), jobs: HashMap::new(), idle: Arc::default() }
    }

    /// Compresses records.
    pub(super) fn start(&mut self, job: SealJob) {
        let SealJob { index, job, body } = job;
        let (level, idle) = (self.level, Arc::clone(&self.idle));
        let task = self.tasks.spawn_blocking(move || seal(body, level, &idle));
        self.jobs.insert(task.id(), (index, job));
    }

    /// The next ones that are done: their partition, their job, and what became of them. Pending where none is being
    /// compressed, and then `cx` is not woken.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(u32, u64, Result<Body, Error>)> {
        loop {
            if self.tasks.is_empty() {
                return Poll::Pending;
            }
            let (id, body) = match ready!(self.tasks.poll_join_next_with_id(cx)) {
                Some(Ok(done)) => done,
                Some(Err(error)) => {
                    (error.id(), Err(Error::new(ErrorKind::Encode, "the codec panicked").with_cause(error)))
                }
                None => return Poll::Pending,
            };
            if let Some((index, job)) = self.jobs.remove(&id) {
                return Poll::Ready((index, job, body));
            }
        }
    }
}

fn seal(body: Body, level: CompressionLevel, idle: &Mutex<Vec<Compressor>>) -> Result<Body, Error> {
    let failed = |error| Error::new(ErrorKind::Encode, "the codec failed").with_cause(error);
    let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut compressor = kept.map_or_else(|| Compressor::new(level), Ok).map_err(failed)?;
    let sealed = body.seal(ProducerState::NONE, &mut compressor);
    idle.lock().unwrap_or_else(PoisonError::into_inner).push(compressor);
    sealed.map_err(failed)
}
