//! Two transcripts side by side.

use serde_json::Value as Json;

use super::session::Step;

/// How many differences of a script are told.
const MOST: usize = 200;

/// Fails when the transcripts differ, with every difference.
pub(crate) fn compare(script: &str, real: &[Step], mock: &[Step]) {
    let mut differences = Vec::new();
    for (at, (real, mock)) in real.iter().zip(mock).enumerate() {
        let mut found = Vec::new();
        walk("", &real.answer, &mock.answer, &mut found);
        for (path, ours, theirs) in found {
            differences.push(format!(
                "{script}, step {} ({}), {} v{}, {path}:\n    Kafka {ours}\n    mock  {theirs}\n    asked {}",
                at + 1,
                real.place,
                real.api,
                real.version,
                shortened(&real.request),
            ));
        }
    }
    if real.len() != mock.len() {
        differences.push(format!("{script}: {} steps on Kafka, {} on the mock", real.len(), mock.len()));
    }
    println!("{script}: {} steps", real.len());
    let told = differences.iter().take(MOST).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} differences\n{told}", differences.len());
}

fn walk(path: &str, real: &Json, mock: &Json, found: &mut Vec<(String, String, String)>) {
    match (real, mock) {
        (Json::Object(ours), Json::Object(theirs)) if ours.keys().eq(theirs.keys()) => {
            for (name, value) in ours {
                walk(&format!("{path}.{name}"), value, &theirs[name], found);
            }
        }
        (Json::Array(ours), Json::Array(theirs)) if ours.len() == theirs.len() => {
            for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                walk(&format!("{path}[{at}]"), ours, theirs, found);
            }
        }
        (ours, theirs) if ours == theirs => {}
        (Json::Array(ours), Json::Array(theirs)) => {
            let lacking = |from: &[Json], all: &[Json]| {
                let missing: Vec<Json> = all.iter().filter(|one| !from.contains(one)).cloned().collect();
                format!("{} elements, of which only here: {}", all.len(), shortened(&Json::Array(missing)))
            };
            found.push((path.to_owned(), lacking(theirs, ours), lacking(ours, theirs)));
        }
        (ours, theirs) => found.push((path.to_owned(), shortened(ours), shortened(theirs))),
    }
}

fn shortened(value: &Json) -> String {
    let text = value.to_string();
    match text.char_indices().nth(600) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.len()),
        None => text,
    }
}
