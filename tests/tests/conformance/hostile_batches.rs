//! `hostile_batches`: damaged and malicious batches. Refuse what Java refuses, give what Java gives where both accept,
//! never go back, never take memory by what the bytes claim.

use ottla_protocol::records::DecodeOptions;
use ottla_tests::memory;
use serde_json::Value as Json;

use crate::case::{bytes, int, list, text};
use crate::records::{Read, read_as_a_consumer};
use crate::runner::Outcome;

/// More than the largest value in the file; a reader may hold it a few times over while it grows.
const LIMIT: usize = 32 << 20;

/// What a line asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Demand {
    /// An error.
    Refuse,
    /// What Java delivers.
    Accept,
    /// An error, or what Java delivers.
    Either,
}

pub(crate) fn judge(case: &Json) -> Outcome {
    let sent = bytes(case, "hex");
    let options = DecodeOptions { max_decompressed_bytes: LIMIT, ..DecodeOptions::DEFAULT };
    let (read, peak) = memory::peak(|| read_as_a_consumer(&sent, &options, 0));
    if peak > sent.len() + 3 * LIMIT {
        return Outcome::Failed(format!("takes {peak} bytes of memory"));
    }
    if read.backwards {
        return Outcome::Failed(format!("goes back or stands still, next is {}", read.position));
    }
    let java = list(&case["java"], "records");
    let read = read_as_a_consumer(&sent, &options, java.len());
    match (&read.error, demand(case)) {
        (None, Demand::Refuse) => Outcome::Failed(format!("accepted, but: {}", text(case, "must"))),
        (Some(error), Demand::Accept) => Outcome::Failed(format!("refused: {error}")),
        _ => delivered(case, &read, java).into(),
    }
}

/// `must` in a few words of a human's, and Java's verdict where it leaves the choice.
fn demand(case: &Json) -> Demand {
    let must = text(case, "must");
    let java_accepts = text(&case["java"], "status") == "ok";
    // The compressed twin of a line above it, which says what is asked for.
    let must = match must {
        "same, compressed" if text(case, "name").starts_with("count_") => "error or fewer records",
        "same, compressed" if java_accepts => "ok",
        "same, compressed" => "error",
        must => must,
    };
    let choice =
        [" or ", "or error", "error, or", "unless", "not backwards", "no overflow", "monotonic", "bounded"];
    if choice.iter().any(|words| must.contains(words)) {
        // Bytes that Java refuses may still be a partial batch, or the good records before the damage.
        let lenient = must.contains("partial") || must.contains("records") || must.contains("ok");
        return if java_accepts || lenient { Demand::Either } else { Demand::Refuse };
    }
    if must.starts_with("error") || must.contains("must raise") { Demand::Refuse } else { Demand::Accept }
}

/// What was delivered is what Java delivers, without the records at or before one that was delivered already.
fn delivered(case: &Json, read: &Read, java: &[Json]) -> Result<(), String> {
    if read.control {
        return if read.count == 0 { Ok(()) } else { Err("control records are delivered".into()) };
    }
    let mut position = 0;
    let mut expected = Vec::new();
    for record in java {
        if int(record, "offset") >= position {
            position = int(record, "offset").saturating_add(1);
            expected.push(record);
        }
    }
    for (ours, expected) in read.records.iter().zip(&expected) {
        if ours != *expected {
            return Err(format!("{ours} instead of {expected}"));
        }
    }
    // Java's list is cut off for the long ones; `records_seen` counts the last batch alone.
    let seen = case["java"]["records_seen"].as_u64().unwrap_or(0).max(expected.len() as u64);
    if read.error.is_none() && text(&case["java"], "status") == "ok" && read.count != seen {
        return Err(format!("{} records instead of {seen}", read.count));
    }
    Ok(())
}
