//! The fields of a line. One that is missing or of another type panics, which the runner reports as the line's failure.

use bytes::Bytes;
use ottla_tests::vectors::unhex;
use serde_json::Value as Json;

pub(crate) fn text<'a>(case: &'a Json, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("the line has no text `{field}`"))
}

pub(crate) fn int(case: &Json, field: &str) -> i64 {
    case[field].as_i64().unwrap_or_else(|| panic!("the line has no integer `{field}`"))
}

pub(crate) fn flag(case: &Json, field: &str) -> bool {
    case[field].as_bool().unwrap_or_else(|| panic!("the line has no boolean `{field}`"))
}

pub(crate) fn list<'a>(case: &'a Json, field: &str) -> &'a [Json] {
    case[field].as_array().unwrap_or_else(|| panic!("the line has no list `{field}`"))
}

pub(crate) fn bytes(case: &Json, field: &str) -> Bytes {
    unhex(text(case, field)).unwrap_or_else(|reason| panic!("`{field}`: {reason}"))
}

/// Refuses what differs.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: &T, expected: &T) -> Result<(), String> {
    if ours == expected { Ok(()) } else { Err(format!("{what}: {ours:?} instead of {expected:?}")) }
}
