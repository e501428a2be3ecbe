//! `reference_tables`: error codes with their marks, configuration options.

use ottla_protocol::error_code::ErrorCode;
use serde_json::Value as Json;

use crate::case::{flag, int, same, text};
use crate::options;
use crate::runner::Outcome;

pub(crate) fn judge(case: &Json) -> Outcome {
    match text(case, "kind") {
        "error_code" => error_code(case).into(),
        "config_default" => options::judge(case),
        kind => Outcome::NotYet(kind.to_owned()),
    }
}

fn error_code(case: &Json) -> Result<(), String> {
    let code = ErrorCode(int(case, "code") as i16);
    same("name", &code.name(), &Some(text(case, "name")))?;
    same("listed", &ErrorCode::KNOWN.contains(&code), &true)?;
    if code == ErrorCode::NONE {
        return same("success", &code.check(), &Ok(()));
    }
    same("error", &code.check(), &Err(code))?;
    same("retriable", &code.is_retriable(), &flag(case, "retriable"))?;
    same("stale metadata", &code.is_stale_metadata(), &flag(case, "invalid_metadata"))
}
