//! The golden vectors: where they are, and how their lines are read.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use serde_json::Value as Json;

/// The environment variable that names the vectors' folder.
pub const VARIABLE: &str = "OTTLA_VECTORS";

/// The folder named by [`VARIABLE`], or the `shared/vectors` that stands beside the checkout.
///
/// # Errors
/// No such folder; the text says what to set.
pub fn folder() -> Result<PathBuf, String> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let folder = std::env::var_os(VARIABLE).map_or_else(default, PathBuf::from);
    if folder.is_dir() {
        Ok(folder)
    } else {
        Err(format!(
            "there is no folder {}: set {VARIABLE} to the folder that holds messages.jsonl.gz and the other vectors",
            folder.display()
        ))
    }
}

/// Every line of a file of gzip'd JSON lines.
///
/// # Errors
/// A file that is missing or isn't what its name says.
pub fn lines(file: &Path) -> Result<Vec<Json>, String> {
    let trouble = |what: String| format!("{}: {what}", file.display());
    let opened = File::open(file).map_err(|error| trouble(error.to_string()))?;
    let mut cases = Vec::new();
    for (number, line) in BufReader::new(MultiGzDecoder::new(opened)).lines().enumerate() {
        let line = line.map_err(|error| trouble(error.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        let case =
            serde_json::from_str(&line).map_err(|error| trouble(format!("line {}: {error}", number + 1)))?;
        cases.push(case);
    }
    Ok(cases)
}

/// The bytes of lower-case or upper-case hex text.
///
/// # Errors
/// Text that isn't hex.
pub fn unhex(text: &str) -> Result<Bytes, String> {
    let digit = |byte: u8| (byte as char).to_digit(16).ok_or_else(|| format!("`{text}` is not hex"));
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(format!("`{text}` has an odd number of hex digits"));
    }
    pairs.iter().map(|[high, low]| Ok((digit(*high)? << 4 | digit(*low)?) as u8)).collect()
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
