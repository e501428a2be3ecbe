//! Asks a broker for a producer id.

use std::sync::Arc;

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

/// Asks once, after a pause if it failed before.
pub(super) async fn ask(shared: Arc<Shared>, failures: u32) -> Result<Identity, NoIdentity> {
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
            Ok(Identity { producer_id: answer.producer_id, epoch: answer.producer_epoch })
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
