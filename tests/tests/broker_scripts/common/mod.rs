//! What the scripts share: both sides, a session with one of them, the comparison.

mod batches;
mod compare;
mod message;
pub(crate) mod normal;
mod session;
mod sides;

pub(crate) use batches::{Batch, base64, now_ms};
pub(crate) use session::Session;
pub(crate) use sides::{both, both_in_turn, both_of_three};

pub(crate) use ottla_protocol::api::ApiKey;
pub(crate) use serde_json::{Value as Json, json};
