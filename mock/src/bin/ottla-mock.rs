//! A Kafka cluster in memory for other programs: `ottla-mock --brokers 3 --listen 127.0.0.1:9092`.

use std::process::ExitCode;

use lexopt::prelude::*;
use ottla_mock::{ClusterOptions, Mock, Release};

const USAGE: &str = "\
A Kafka cluster in memory. What it keeps is gone when it ends.

Usage: ottla-mock [OPTIONS]

  --brokers N            how many brokers there are (default: 1)
  --listen HOST:PORT     where the first broker listens, the others on the ports that follow; port 0 takes free ones
                         (default: 127.0.0.1:9092)
  --as RELEASE           the release of Kafka to imitate: 2.1, 2.8, 3.9, 4.0 or 4.3 (default: 4.3)
  --rack A,B,...         the brokers' racks
  --topic NAME[:P[:R]]   creates a topic with P partitions and R replicas (default: 1 and 1); may be repeated
  --config NAME=VALUE    sets a configuration of the brokers by Kafka's name; may be repeated
  --seed N               what all chance follows from (default: 0)
  --help                 prints this
";

fn main() -> ExitCode {
    match parse() {
        Ok(Some((options, listen))) => match run(options, &listen) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("ottla-mock: {error}");
                ExitCode::FAILURE
            }
        },
        Ok(None) => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ottla-mock: {error}; try --help");
            ExitCode::from(2)
        }
    }
}

#[tokio::main]
async fn run(options: ClusterOptions, listen: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mock = Mock::start(options)?;
    mock.listen(listen).await.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    println!("{}", mock.bootstrap_servers());
    tokio::signal::ctrl_c().await?;
    Ok(())
}

/// Options and address, or nothing where help is wanted.
fn parse() -> Result<Option<(ClusterOptions, String)>, lexopt::Error> {
    let mut options = ClusterOptions::new();
    let mut listen = "127.0.0.1:9092".to_owned();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("brokers") => options = options.brokers(parser.value()?.parse()?),
            Long("listen") => listen = parser.value()?.string()?,
            Long("as") => options = options.release(parser.value()?.parse::<Release>()?),
            Long("rack") => options = options.racks(parser.value()?.string()?.split(',')),
            Long("topic") => options = topic(options, &parser.value()?.string()?)?,
            Long("config") => {
                let text = parser.value()?.string()?;
                let (name, value) = text.split_once('=').ok_or("--config takes NAME=VALUE")?;
                options = options.config(name, value);
            }
            Long("seed") => options = options.seed(parser.value()?.parse()?),
            Short('h') | Long("help") => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some((options, listen)))
}

fn topic(options: ClusterOptions, text: &str) -> Result<ClusterOptions, lexopt::Error> {
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    let number = |text: Option<&str>| text.unwrap_or("1").parse::<i16>();
    let wrong = |_| lexopt::Error::from("--topic takes NAME, NAME:PARTITIONS or NAME:PARTITIONS:REPLICAS");
    let partitions = number(parts.next()).map_err(wrong)?;
    let replicas = number(parts.next()).map_err(wrong)?;
    Ok(options.topic(name, partitions.into(), replicas))
}
