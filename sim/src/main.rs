//! `ottla-sim --seeds N --start S`: runs seeds, and prints those that fail.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use lexopt::prelude::*;

const USAGE: &str = "\
Runs Ottla on a cluster in memory under virtual time, and judges what happened.

Usage: ottla-sim [OPTIONS]

  --seeds N     how many seeds to run (default: 2000)
  --start S     the first of them (default: 0)
  --print       prints the history of seeds that are good, too
  --help        prints this
";

struct Asked {
    seeds: u64,
    start: u64,
    print: bool,
}

fn main() -> ExitCode {
    match parse() {
        Ok(Some(asked)) => run(&asked),
        Ok(None) => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ottla-sim: {error}; try --help");
            ExitCode::from(2)
        }
    }
}

fn run(asked: &Asked) -> ExitCode {
    let next = AtomicU64::new(asked.start);
    let (end, failed) = (asked.start.saturating_add(asked.seeds), AtomicU64::new(0));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let outcome = ottla_sim::run(seed);
                    if !outcome.is_good() {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                    if asked.print || !outcome.is_good() {
                        // Who reads no more needs no more.
                        if writeln!(io::stdout().lock(), "{outcome}").is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    let _ = writeln!(io::stdout().lock(), "{} seeds from {}, {failed} failed", asked.seeds, asked.start);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse() -> Result<Option<Asked>, lexopt::Error> {
    let mut asked = Asked { seeds: 2000, start: 0, print: false };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seeds") => asked.seeds = parser.value()?.parse()?,
            Long("start") => asked.start = parser.value()?.parse()?,
            Long("print") => asked.print = true,
            Short('h') | Long("help") => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some(asked))
}
