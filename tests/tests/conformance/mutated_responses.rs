//! `mutated_responses`: damaged bodies. Refuse what Java refuses; where both accept, the values are equal; and the
//! memory stays within the reader's bound.

use ottla_protocol::wire::DecodeErrorKind;
use ottla_tests::json::{first_difference, from_json, without_unknown_tags};
use ottla_tests::memory;
use serde_json::Value as Json;

use crate::case::{bytes, int, text};
use crate::messages::{Subject, subject};
use crate::runner::Outcome;

pub(crate) fn judge(case: &Json) -> Outcome {
    match subject(case) {
        Ok(Some(subject)) => refused_or_equal(case, &subject).into(),
        Ok(None) => Outcome::NotYet(text(case, "api").to_owned()),
        Err(reason) => Outcome::Failed(reason),
    }
}

fn refused_or_equal(case: &Json, subject: &Subject) -> Result<(), String> {
    let Subject { message, version, flexible, .. } = *subject;
    let body = bytes(case, "body_hex");
    let (typed, peak) = memory::peak(|| message.check(&body, version, flexible));
    let bound = memory::message_bound(body.len());
    if peak > bound {
        return Err(format!(
            "takes {peak} bytes of memory for {} on the wire, more than {bound}",
            body.len()
        ));
    }
    let decoded = message.decode(&body, version, flexible);
    if decoded.as_ref().err() != typed.as_ref().err() {
        return Err(format!("as a value: {:?}, as a type: {typed:?}", decoded.err()));
    }
    let java = &case["java"];
    let java_accepts = text(java, "status") == "ok" && int(java, "remaining") == 0;
    let decoded = match decoded {
        Ok(_) if !java_accepts => return Err(format!("accepted, Java: {java}")),
        Ok(decoded) => decoded,
        Err(error) if java_accepts && !may_be_stricter(error.kind, flexible) => return Err(error.to_string()),
        Err(_) => return Ok(()),
    };
    let expected = from_json(message.table, version, &case["json"])?;
    match first_difference(&without_unknown_tags(&decoded), &expected) {
        Some(difference) => Err(format!("decoded {}{difference}", message.table.name)),
        None => Ok(()),
    }
}

/// What Java takes and Ottla refuses: text that isn't UTF-8, lengths below -1 for null, variable-length integers with
/// bits to spare, and tagged fields that are out of order or not as long as they say.
fn may_be_stricter(kind: DecodeErrorKind, flexible: bool) -> bool {
    match kind {
        DecodeErrorKind::InvalidUtf8 | DecodeErrorKind::InvalidLength(_) => true,
        DecodeErrorKind::InvalidVarint | DecodeErrorKind::TagOrder(_) | DecodeErrorKind::TagSize { .. } => {
            flexible
        }
        DecodeErrorKind::Truncated { .. } => flexible,
        _ => false,
    }
}
