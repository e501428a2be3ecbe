//! Options as tables: one row gives a typed setter, Kafka's name for it, default, bounds and documentation.
//!
//! [`options!`](crate::options!) turns a table into a struct of options. Every struct so made accepts the names that
//! Kafka people know (`set("linger.ms", "5")`), refuses unknown ones with the nearest known name, checks bounds, and
//! never shows a secret in `Debug`. [`markdown`] prints tables for the documentation.

use std::fmt;

#[doc(hidden)]
pub use check::{Hidden, Shown, at_least, at_most, checked, parsed, unknown};
pub use client::{ClientOptions, ClientValues, DnsLookup, MetadataRecovery, ServerList};
pub use value::{OptionArgument, OptionValue};

mod check;
mod client;
mod table;
mod value;

/// What the documentation says about an option.
#[derive(Clone, Copy)]
pub struct OptionRow {
    /// Kafka's name, such as `linger.ms`.
    pub name: &'static str,
    /// What the text of a value looks like.
    pub kind: fn() -> String,
    /// The default, as text.
    pub default: fn() -> String,
    /// The smallest and the largest value, as text; empty where there is no bound.
    pub bounds: fn() -> (String, String),
    /// What the option does.
    pub doc: &'static str,
    /// Whether the value must not be shown.
    pub secret: bool,
}

impl fmt::Debug for OptionRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OptionRow({})", self.name)
    }
}

/// Prints rows as a table in Markdown: name, type, default, bounds, documentation.
pub fn markdown(rows: &[OptionRow]) -> String {
    let mut table =
        String::from("| Name | Type | Default | Bounds | What it does |\n|---|---|---|---|---|\n");
    for row in rows {
        let bounds = match (row.bounds)() {
            (min, max) if min.is_empty() && max.is_empty() => String::new(),
            (min, max) if max.is_empty() => format!("at least {min}"),
            (min, max) if min.is_empty() => format!("at most {max}"),
            (min, max) => format!("{min} to {max}"),
        };
        let default = match (row.default)() {
            none if none.is_empty() => String::new(),
            some => format!("`{some}`"),
        };
        let doc = row.doc.trim().replace('|', "\\|");
        let kind = (row.kind)().replace('|', "\\|");
        table.push_str(&format!("| `{}` | {kind} | {default} | {bounds} | {doc} |\n", row.name));
    }
    table
}

/// The known name nearest to `name`, unless none is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = name.chars().count() / 3 + 1;
    known
        .into_iter()
        .map(|candidate| (edit_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. Case and the kind of separator
/// are no difference. Names longer than any option's count as far away.
fn edit_distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 128;
    let fold = |text: &str| -> Vec<char> {
        text.chars().map(|c| if matches!(c, '_' | '-') { '.' } else { c.to_ascii_lowercase() }).collect()
    };
    let (a, b) = (fold(a), fold(b));
    if a.len() > LONGEST || b.len() > LONGEST {
        return usize::MAX;
    }
    let (mut older, mut old): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=b.len()).collect());
    for i in 1..=a.len() {
        let mut new = vec![i];
        for j in 1..=b.len() {
            let replaced = old[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(old[j] + 1).min(new[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(older[j - 2] + 1);
            }
            new.push(best);
        }
        older = std::mem::replace(&mut old, new);
    }
    old[b.len()]
}

#[cfg(test)]
mod tests;
