//! [`Asking`]: asks a broker for a producer id, until there is one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ottla_client::{Error, ErrorKind, Target};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::init_producer_id::InitProducerIdRequest;

use super::Shared;
use crate::runtime;
use crate::sequence::Identity;

/// Why there is no producer id.
#[derive(Debug)]
pub(super) struct NoIdentity {
    pub(super) error: Error,
    /// Asking again is useless.
    pub(super) fatal: bool,
}

type Question = Pin<Box<dyn Future<Output = Result<Identity, NoIdentity>> + Send>>;

/// One question at a time.
#[derive(Default)]
pub(super) struct Asking {
    question: Option<Question>,
    /// Questions in a row that got no producer id.
    failures: u32,
}

impl Asking {
    /// Asks, unless it does already; after a pause if it failed before.
    pub(super) fn ask(&mut self, shared: &Arc<Shared>) {
        self.question.get_or_insert_with(|| Box::pin(ask(Arc::clone(shared), self.failures)));
    }

    /// What came of it. Pending where nothing was asked, and then `cx` is not woken.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Identity, NoIdentity>> {
        let Some(question) = &mut self.question else { return Poll::Pending };
        let answer = ready!(question.as_mut().poll(cx));
        self.question = None;
        self.failures = if answer.is_ok() { 0 } else { self.failures + 1 };
        Poll::Ready(answer)
    }
}

/// Asks once, after a pause if it failed before.
async fn ask(shared: Arc<Shared>, failures: u32) -> Result<Identity, NoIdentity> {
    if failures > 0 {
        let pause = shared.values().backoff().next(failures - 1, runtime::random());
        runtime::sleep_until(runtime::now() + pause).await;
    }
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        ..InitProducerIdRequest::default()
    };
    let deadline = runtime::now() + shared.values().request_timeout;
    match shared.client.call(Target::Any, &request, deadline).await {
        Ok(answer) if answer.error_code.is_ok() => {
            let identity = Identity { producer_id: answer.producer_id, epoch: answer.producer_epoch };
            if identity.producer_id >= 0 && identity.epoch >= 0 {
                return Ok(identity);
            }
            // Batches without an id would be written without a look at their sequence numbers.
            let message = "no producer id: the broker named a negative one";
            Err(NoIdentity { error: Error::new(ErrorKind::Protocol, message), fatal: false })
        }
        Ok(answer) => {
            let code = answer.error_code;
            let doing = match code {
                ErrorCode::CLUSTER_AUTHORIZATION_FAILED => {
                    "no producer id (grant IdempotentWrite or Write, or set `enable.idempotence` to `false`)"
                }
                _ => "no producer id",
            };
            Err(NoIdentity { error: Error::from_code(code, doing), fatal: !code.is_retriable() })
        }
        Err(error) => {
            let fatal = error.kind() == ErrorKind::UnsupportedVersion;
            Err(NoIdentity { error, fatal })
        }
    }
}
