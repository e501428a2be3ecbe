//! Runs every line of Kafka's golden vectors against Ottla, both ways where a line has two.
//!
//! `cargo test -p ottla-tests --test conformance [-- FILTER…]`; a filter is the name of a file of vectors, or a part of
//! the ids to run. `--list` names the files, `--all` prints every failure instead of the first few of each file.
//! The folder of vectors is that of `OTTLA_VECTORS`, or `../shared/vectors` beside the checkout.
//!
//! Exit status 1 if any line fails. Counted apart, and no failure, are lines that nothing here can judge yet, and options of
//! Kafka's clients that Ottla doesn't offer: those are listed in `options.rs`, each with the reason.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod assignors;
mod bombs;
mod case;
mod consumer_fetch;
mod consumer_protocol;
mod hostile_batches;
mod messages;
mod mutated_responses;
mod options;
mod primitives;
mod record_batches;
mod records;
mod reference_tables;
mod runner;
mod sasl;

use std::process::ExitCode;

use ottla_tests::memory::PeakAlloc;
use runner::Suite;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// A file of vectors with its judge.
const SUITES: &[Suite<'_>] = &[
    Suite { file: "messages", judge: messages::judge },
    Suite { file: "messages_pre40", judge: messages::judge },
    Suite { file: "mutated_responses", judge: mutated_responses::judge },
    Suite { file: "record_batches", judge: record_batches::judge },
    Suite { file: "hostile_batches", judge: hostile_batches::judge },
    Suite { file: "bombs", judge: bombs::judge },
    Suite { file: "primitives", judge: primitives::judge },
    Suite { file: "consumer_protocol", judge: consumer_protocol::judge },
    Suite { file: "assignors", judge: assignors::judge },
    Suite { file: "consumer_fetch", judge: consumer_fetch::judge },
    Suite { file: "sasl", judge: sasl::judge },
    Suite { file: "reference_tables", judge: reference_tables::judge },
];

fn main() -> ExitCode {
    runner::run(SUITES)
}
