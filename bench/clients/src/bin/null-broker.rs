//! Starts a cluster that stores nothing, with `--log-records` one that is full already, prints its bootstrap list, and ends with its standard input.

use std::io::{self, Write};
use std::process::ExitCode;

use lexopt::prelude::*;
use ottla_bench_clients::Failure;
use ottla_bench_clients::null_broker::{NullCluster, Script};

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
    let mut script = Script::default();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("brokers") => brokers = arguments.value()?.parse()?,
            Long("port") => port = arguments.value()?.parse()?,
            Long("partitions") => partitions = arguments.value()?.parse()?,
            Long("log-records") => script.records = arguments.value()?.parse()?,
            Long("active") => script.active = arguments.value()?.parse()?,
            Long("size") => script.size = arguments.value()?.parse()?,
            Long("key") => {
                let value = arguments.value()?.string()?;
                script.key = if value == "none" { None } else { Some(value.parse()?) };
            }
            Long("compression") => script.compression = arguments.value()?.string()?,
            Long("batch-bytes") => script.batch_bytes = arguments.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let cluster = NullCluster::start(brokers, port, partitions, (script.records > 0).then_some(&script))?;
    println!("{}", cluster.bootstrap());
    io::stdout().flush()?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
