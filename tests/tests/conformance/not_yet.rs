//! Files about parts of Ottla that don't exist yet.

use serde_json::Value as Json;

use crate::runner::Outcome;

pub(crate) fn sasl(_: &Json) -> Outcome {
    Outcome::NotYet("SASL mechanisms".into())
}
