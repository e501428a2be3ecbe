//! What a Kafka cluster has to get right for librdkafka, one scenario at a time: `interop-rdkafka SCENARIO BOOTSTRAP`.
//!
//! The scenarios have the same names and the same meaning as those of `interop/franz-go`; `cargo xtask interop` runs both.
//! A scenario that passes says nothing. One that fails ends with status 1, and its reason is the last line on stderr.

mod admin;
mod groups;
mod harm;
mod produce;
mod sasl;
mod target;
mod transactions;

use std::process::ExitCode;

use crate::target::{Outcome, Target};

const SCENARIOS: &[(&str, fn(&Target) -> Outcome)] = &[
    ("codecs", produce::codecs),
    ("group-range", groups::range),
    ("group-cooperative", groups::cooperative),
    ("group-static", groups::static_members),
    ("group-consumer", groups::consumer),
    ("group-consumer-static", groups::consumer_static),
    ("group-consumer-regex", groups::consumer_regex),
    ("transactions", transactions::commit_and_abort),
    ("transaction-offsets", transactions::offsets),
    ("transaction-fencing", transactions::fencing),
    ("admin-topics", admin::topics),
    ("admin-groups", admin::groups),
    ("admin-offsets", admin::offsets),
    ("sasl-plain", sasl::plain),
    ("sasl-scram-256", sasl::scram_256),
    ("sasl-scram-512", sasl::scram_512),
    ("broker-loss", harm::produce),
    ("broker-loss-group", harm::group),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(bootstrap)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: interop-rdkafka SCENARIO BOOTSTRAP [USER PASSWORD]");
        return ExitCode::from(2);
    };
    let Some((_, scenario)) = SCENARIOS.iter().find(|(known, _)| *known == name) else {
        eprintln!("there is no scenario {name}");
        return ExitCode::from(2);
    };
    target::log_to_stderr();
    let user = arguments.next().zip(arguments.next());
    match scenario(&Target::new(bootstrap, user)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, whatever is in it.
            eprintln!("{}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}
