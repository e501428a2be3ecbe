//! The command line.

use lexopt::prelude::*;
use ottla_mock::{ClusterOptions, Release, Security};

pub(crate) const USAGE: &str = "\
A Kafka cluster in memory, for any program that speaks Kafka's protocol. What it keeps is gone when it ends.

Usage: ottla-mock [OPTIONS]

  --brokers N            how many brokers there are, with ids from 1 on (default: 1)
  --listen HOST:PORT     where the first broker listens, the others on the ports that follow; port 0 takes free ones
                         (default: 127.0.0.1:9092)
  --as RELEASE           the release of Kafka to imitate: 2.1, 2.8, 3.9, 4.0 or 4.3 (default: 4.3)
  --rack A,B,...         the brokers' racks
  --topic NAME[:P[:R]]   creates a topic with P partitions and R replicas (default: 1 and 1); may be repeated
  --config NAME=VALUE    sets a configuration of the brokers by Kafka's name; may be repeated
  --plain USER:PASSWORD  adds a user of SASL PLAIN; with a user, every connection has to log in; may be repeated
  --scram USER:PASSWORD  adds a user of SASL SCRAM-SHA-256 and SCRAM-SHA-512; may be repeated
  --control              takes `kill N`, `stop N` and `restart N` for broker N from stdin, answers each with a line, and
                         ends with stdin
  --seed N               what all chance follows from (default: 0)
  --help                 prints this

Once all brokers accept connections it prints their addresses, on one line, as clients want them for bootstrap.servers.
Ctrl-C or SIGTERM ends it.

  ottla-mock --brokers 3 --topic orders:6:3
  ottla-mock --listen 127.0.0.1:0 --as 3.9 --config auto.create.topics.enable=false
";

/// What the command line says.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) options: ClusterOptions,
    pub(crate) listen: String,
    /// Whether stdin says what becomes of the brokers.
    pub(crate) control: bool,
}

impl Arguments {
    /// Reads the command line; nothing where help is wanted.
    pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Option<Arguments>, lexopt::Error> {
        let mut options = ClusterOptions::new();
        let mut security = Security::new();
        let mut control = false;
        let mut listen = "127.0.0.1:9092".to_owned();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("brokers") => options = options.brokers(parser.value()?.parse()?),
                Long("listen") => listen = address(parser.value()?.string()?)?,
                Long("as") => options = options.release(release(&parser.value()?.string()?)?),
                Long("rack") => options = options.racks(parser.value()?.string()?.split(',')),
                Long("topic") => options = topic(options, &parser.value()?.string()?)?,
                Long("config") => {
                    let text = parser.value()?.string()?;
                    let (name, value) = text.split_once('=').ok_or("--config takes NAME=VALUE")?;
                    options = options.config(name, value);
                }
                Long("plain") => {
                    let (user, password) = user(&parser.value()?.string()?)?;
                    security = security.plain(user, password);
                }
                Long("scram") => {
                    let (user, password) = user(&parser.value()?.string()?)?;
                    security = security.scram(user, password);
                }
                Long("control") => control = true,
                Long("seed") => options = options.seed(parser.value()?.parse()?),
                Short('h') | Long("help") => return Ok(None),
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(Some(Arguments { options: options.security(security), listen, control }))
    }
}

/// The error must not repeat the password.
fn user(text: &str) -> Result<(String, String), lexopt::Error> {
    let (user, password) = text.split_once(':').ok_or("users are given as USER:PASSWORD")?;
    Ok((user.to_owned(), password.to_owned()))
}

fn address(text: String) -> Result<String, lexopt::Error> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text),
        _ => Err(format!("--listen takes HOST:PORT, not `{text}`").into()),
    }
}

fn release(text: &str) -> Result<Release, lexopt::Error> {
    text.parse().map_err(|error: ottla_mock::UnknownRelease| error.to_string().into())
}

fn topic(options: ClusterOptions, text: &str) -> Result<ClusterOptions, lexopt::Error> {
    let wrong =
        || lexopt::Error::from("--topic takes NAME, NAME:PARTITIONS or NAME:PARTITIONS:REPLICAS".to_owned());
    let mut parts = text.split(':');
    let name = parts.next().filter(|name| !name.is_empty()).ok_or_else(wrong)?;
    let mut number = || parts.next().unwrap_or("1").parse::<i16>().map_err(|_| wrong());
    let (partitions, replicas) = (number()?, number()?);
    match parts.next() {
        None => Ok(options.topic(name, partitions.into(), replicas)),
        Some(_) => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Option<Arguments>, String> {
        Arguments::parse(lexopt::Parser::from_args(words)).map_err(|error| error.to_string())
    }

    /// Options have no equality; what they print holds all there is.
    fn shown(words: &[&str]) -> (String, String) {
        let arguments = parse(words).unwrap().unwrap();
        (format!("{:?}", arguments.options), arguments.listen)
    }

    #[test]
    fn without_arguments_there_is_one_broker_at_kafkas_port() {
        assert_eq!(shown(&[]), (format!("{:?}", ClusterOptions::new()), "127.0.0.1:9092".to_owned()));
    }

    #[test]
    fn every_option_reaches_the_cluster() {
        let words = "--brokers 3 --listen [::1]:0 --as 3.9 --rack north,south --topic a --topic b:6 --topic c:6:3 \
                     --config min.insync.replicas=2 --config a=b=c --plain ann:a:b --scram bob:c --seed 7";
        let options = ClusterOptions::new()
            .brokers(3)
            .release(Release::V3_9)
            .racks(["north", "south"])
            .topic("a", 1, 1)
            .topic("b", 6, 1)
            .topic("c", 6, 3)
            .config("min.insync.replicas", "2")
            .config("a", "b=c")
            .security(Security::new().plain("ann", "a:b").scram("bob", "c"))
            .seed(7);
        let words: Vec<&str> = words.split_whitespace().collect();
        assert_eq!(shown(&words), (format!("{options:?}"), "[::1]:0".to_owned()));
    }

    #[test]
    fn help_is_given_before_anything_else_is_wrong() {
        assert!(parse(&["--help", "--nonsense"]).unwrap().is_none());
        assert!(parse(&["-h"]).unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        let wrong = |words: &[&str]| parse(words).map(drop).unwrap_err();
        assert_eq!(
            wrong(&["--as", "5.0"]),
            "cannot imitate Kafka 5.0; the releases are 2.1, 2.8, 3.9, 4.0 and 4.3"
        );
        for address in ["9092", ":9092", "localhost", "localhost:", "localhost:70000", "localhost:http"] {
            assert_eq!(wrong(&["--listen", address]), format!("--listen takes HOST:PORT, not `{address}`"));
        }
        for topic in ["", ":3", "a:", "a:b", "a:1:x", "a:1:1:1"] {
            assert_eq!(
                wrong(&["--topic", topic]),
                "--topic takes NAME, NAME:PARTITIONS or NAME:PARTITIONS:REPLICAS"
            );
        }
        assert_eq!(wrong(&["--plain", "secret"]), "users are given as USER:PASSWORD");
        assert_eq!(wrong(&["--config", "a"]), "--config takes NAME=VALUE");
        assert_eq!(
            wrong(&["--brokers", "many"]),
            "cannot parse argument \"many\": invalid digit found in string"
        );
        assert_eq!(wrong(&["--listen"]), "missing argument for option '--listen'");
        assert_eq!(wrong(&["--port"]), "invalid option '--port'");
        assert_eq!(wrong(&["now"]), "unexpected argument \"now\"");
    }
}
