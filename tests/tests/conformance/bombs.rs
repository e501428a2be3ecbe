//! `bombs`: kilobytes that stand for gigabytes. A typed error or bounded memory, and never a hang.

use bytes::Bytes;
use ottla_protocol::records::DecodeOptions;
use ottla_tests::memory;
use serde_json::Value as Json;

use crate::case::text;
use crate::records::{Read, read_as_a_consumer};
use crate::runner::Outcome;

/// What a careful user allows one batch to decompress to; every bomb holds more.
const SMALL_LIMIT: usize = 8 << 20;

pub(crate) fn judge(case: &Json) -> Outcome {
    let sent = match std::fs::read(text(case, "path")) {
        Ok(sent) => Bytes::from(sent),
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let careful = DecodeOptions { max_decompressed_bytes: SMALL_LIMIT, ..DecodeOptions::DEFAULT };
    let default = bounded(&sent, &DecodeOptions::DEFAULT);
    match default.and_then(|_| bounded(&sent, &careful)) {
        Err(reason) => Outcome::Failed(reason),
        Ok(Read { error: None, count, .. }) => {
            Outcome::Failed(format!("{count} records out of more than {SMALL_LIMIT} bytes"))
        }
        Ok(_) => Outcome::Passed,
    }
}

/// A value of the longest length allowed may be there thrice for a moment, while its buffer grows.
fn bounded(sent: &Bytes, options: &DecodeOptions) -> Result<Read, String> {
    let (read, peak) = memory::peak(|| read_as_a_consumer(sent, options, 0));
    if peak > sent.len() + 3 * options.max_decompressed_bytes {
        return Err(format!("takes {peak} bytes of memory under {options:?}"));
    }
    if read.backwards { Err("goes back".into()) } else { Ok(read) }
}
