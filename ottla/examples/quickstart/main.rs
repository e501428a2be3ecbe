//! Ottla's main job in one program: creates a topic, produces records with idempotence on, consumes them with a group
//! of two members, and checks that every record arrived once and in order.
//!
//! ```text
//! cargo run --release --example quickstart                                     on a cluster in memory
//! cargo run --release --example quickstart -- --bootstrap localhost:9092       on a real one
//! ```
//!
//! `cargo xtask quickstart` starts a real Kafka for it and stops it again.

#![allow(clippy::disallowed_methods, reason = "an application reads clocks and spawns tasks")]

use std::process::ExitCode;

use job::Job;
use ottla::Kafka;
use ottla::mock::{ClusterOptions, Mock};

mod job;

const USAGE: &str = "\
Produces records, consumes them with a group of two members, and checks that each arrived once and in order.

Usage: quickstart [OPTIONS]

  --bootstrap HOST:PORT[,...]   brokers to use (default: three in memory, in this process)
  --records N                   how many records (default: 1000000)
  --size BYTES                  of each record's value, at least 8 (default: 100)
  --help                        prints this
";

struct Arguments {
    bootstrap: Option<String>,
    job: Job,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("quickstart: {error} (--help tells the options)");
            return ExitCode::from(2);
        }
    };
    match run(&arguments).await {
        Ok(verdict) if verdict.is_empty() => ExitCode::SUCCESS,
        Ok(verdict) => {
            eprintln!("WRONG: {}", verdict.join("; "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let Some(bootstrap) = &arguments.bootstrap else {
        // The first member of a group need not wait for others here; the second one joins it all the same.
        let options = ClusterOptions::new().brokers(3).config("group.initial.rebalance.delay.ms", "0");
        let kafka = Kafka::embedded(&Mock::start(options)?)?;
        println!("three brokers in memory: no network and no disk, and one process for both sides");
        return Ok(arguments.job.run(&kafka).await?);
    };
    let kafka = Kafka::connect(bootstrap)?;
    Ok(arguments.job.run(&kafka).await?)
}

/// The command line, `None` after `--help`.
fn arguments() -> Result<Option<Arguments>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut arguments = Arguments { bootstrap: None, job: Job { records: 1_000_000, size: 100 } };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("bootstrap") => arguments.bootstrap = Some(parser.value()?.string()?),
            Long("records") => arguments.job.records = parser.value()?.parse()?,
            Long("size") => arguments.job.size = parser.value()?.parse()?,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(arguments))
}
