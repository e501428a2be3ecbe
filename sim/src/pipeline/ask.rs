//! Requests to coordinators, sent again until they are answered for good.

use std::time::{Duration, Instant};

use ottla_client::{Client, CoordinatorKey, Error, ErrorKind, Purpose};
use ottla_protocol::api::Request;
use ottla_protocol::error_code::ErrorCode;

/// How long one step may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);

/// How long one request may take.
const ANSWER: Duration = Duration::from_secs(2);

/// How long to wait before the next try.
const REST: Duration = Duration::from_millis(30);

/// Asks the coordinator of `key`, whoever that is by now, with a version up to `newest`. `code` finds in the answer what
/// concerns the whole of it. Only for requests that may be sent again.
///
/// # Errors
/// After [`PATIENCE`] the last obstacle; at once what no second try cures.
pub(super) async fn ask<R: Request>(
    client: &Client,
    key: &CoordinatorKey,
    request: &R,
    newest: i16,
    code: impl Fn(&R::Response) -> ErrorCode,
) -> Result<(ErrorCode, R::Response), Error> {
    let deadline = now() + PATIENCE;
    loop {
        let node = client.coordinator(key, deadline).await?;
        let asked = async {
            let connection = client.connection(node, Purpose::General, deadline).await?;
            let version = connection.version_at_most::<R>(newest)?;
            connection.submit(request, version, now() + ANSWER)?.await
        };
        let obstacle = match asked.await {
            Ok(response) => match code(&response) {
                code @ (ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE) => {
                    client.forget_coordinator(key, node);
                    Error::from_code(code, key)
                }
                code if passes(code) => Error::from_code(code, key),
                code => return Ok((code, response)),
            },
            Err(error) if error.is_retriable() || is_cut_short(&error) => {
                client.forget_coordinator(key, node);
                error
            }
            Err(error) => return Err(error),
        };
        if now() + REST >= deadline {
            return Err(obstacle);
        }
        tokio::time::sleep(REST).await;
    }
}

/// Whether a refusal is over after a while.
pub(super) fn passes(code: ErrorCode) -> bool {
    code == ErrorCode::CONCURRENT_TRANSACTIONS || code.is_retriable()
}

/// Whether the answer got lost, or made no sense, as one that was damaged on its way.
pub(super) fn is_cut_short(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Disconnected | ErrorKind::Timeout | ErrorKind::Busy | ErrorKind::Protocol
    )
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
