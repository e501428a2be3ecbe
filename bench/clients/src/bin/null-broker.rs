//! Starts a cluster that stores nothing, prints its bootstrap list, and ends with its standard input.

use std::io::{self, Write};
use std::process::ExitCode;

use lexopt::prelude::*;
use ottla_bench_clients::Failure;
use ottla_bench_clients::null_broker::NullCluster;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("null-broker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let (mut brokers, mut port, mut partitions) = (3, 0, 3);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("brokers") => brokers = arguments.value()?.parse()?,
            Long("port") => port = arguments.value()?.parse()?,
            Long("partitions") => partitions = arguments.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let cluster = NullCluster::start(brokers, port, partitions)?;
    println!("{}", cluster.bootstrap());
    io::stdout().flush()?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
