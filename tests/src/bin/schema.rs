//! Prints what differs between our field tables and the schemas of a Kafka version; `cargo xtask schema` runs it.
//!
//! Exit status 1 on a difference, 2 where nothing could be compared.

use std::process::ExitCode;

use ottla_tests::schema::{BEFORE_4, NEWEST, Report, Schemas, Tables, compare};

fn main() -> ExitCode {
    match report() {
        Ok(report) => {
            println!("{report}");
            if report.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::from(2)
        }
    }
}

fn report() -> Result<Report, String> {
    let version = std::env::args().nth(1).unwrap_or_else(|| NEWEST.to_owned());
    let now = Schemas::of(&version)?;
    let before = if version == BEFORE_4 { None } else { Some(Schemas::of(BEFORE_4)?) };
    Ok(compare(&Tables::ours(), &now, before.as_ref()))
}
