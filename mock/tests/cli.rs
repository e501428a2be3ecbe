//! The binary `ottla-mock`: started, used and ended by another program.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]
#![allow(clippy::disallowed_methods, reason = "a test that runs in real time")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ottla_client::{Client, ClientOptions, TopicPartition};
use ottla_consumer::{Consumer, ConsumerOptions, Start};
use ottla_producer::{Producer, ProducerOptions, Record};

/// The running binary, which ends with the test however that ends.
struct Running {
    child: Child,
    addresses: String,
}

impl Running {
    fn start(arguments: &[&str]) -> Running {
        let mut child = command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut addresses = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        // Nothing but this line comes, so nothing is lost in the reader.
        BufReader::new(stdout).read_line(&mut addresses).unwrap();
        Running { child, addresses: addresses.trim_end().to_owned() }
    }

    /// Sends a signal; gives the exit code, what else was printed, and how long the end took.
    fn signal(&mut self, signal: &str) -> (Option<i32>, String, Duration) {
        let started = Instant::now();
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let status = self.child.wait().unwrap();
        let took = started.elapsed();
        let mut rest = String::new();
        self.child.stdout.as_mut().unwrap().read_to_string(&mut rest).unwrap();
        (status.code(), rest, took)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla-mock"));
    command.args(arguments);
    command
}

/// What a run that ends by itself printed to its two outputs, and its exit code.
fn ran(arguments: &[&str]) -> (String, String, Option<i32>) {
    let Output { status, stdout, stderr } = command(arguments).output().unwrap();
    (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), status.code())
}

#[tokio::test]
async fn other_programs_write_and_read_until_a_signal_ends_it() {
    let mut running = Running::start(&["--brokers", "3", "--listen", "127.0.0.1:0", "--topic", "orders:1:3"]);
    let ports: Vec<u16> = running
        .addresses
        .split(',')
        .map(|one| one.strip_prefix("127.0.0.1:").unwrap().parse().unwrap())
        .collect();
    assert_eq!(ports.len(), 3);

    let client = Client::new(ClientOptions::new().bootstrap_servers(running.addresses.as_str())).unwrap();
    let producer = Producer::new(client.clone(), ProducerOptions::default()).unwrap();
    let written = producer.send(Record::new("orders").value(b"tea")).await.unwrap().await.unwrap();
    assert_eq!(written.offset, Some(0));
    let mut consumer =
        Consumer::new(client, ConsumerOptions::default().fetch_max_wait(Duration::from_secs(25))).unwrap();
    consumer.assign([(TopicPartition { topic: "orders".into(), partition: 0 }, Start::Earliest)]).unwrap();
    assert_eq!(consumer.next().await.unwrap().value(), Some(&b"tea"[..]));

    // Connections are open and a fetch waits, which holds nothing up.
    let (code, rest, took) = running.signal("-TERM");
    assert_eq!((code, rest.as_str()), (Some(0), ""));
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[test]
fn an_interrupt_ends_it_too() {
    let mut running = Running::start(&["--listen", "127.0.0.1:0"]);
    assert_eq!(running.signal("-INT").0, Some(0));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (out, err, code) = ran(&["--listen", &address]);
    assert_eq!((out.as_str(), code), ("", Some(1)));
    let expected = format!("ottla-mock: broker 1 cannot listen on {address}: ");
    assert!(err.starts_with(&expected), "{err}");
}

#[test]
fn what_no_cluster_can_be_is_refused_in_words() {
    let (_, err, code) = ran(&["--brokers", "3", "--listen", "127.0.0.1:65534"]);
    assert_eq!((err.as_str(), code), ("ottla-mock: no port is left at 127.0.0.1 for broker 3\n", Some(1)));
    let (_, err, code) = ran(&["--brokers", "0"]);
    let expected = "ottla-mock: cannot start the cluster: 0 brokers: a cluster has from 1 to 1000\n";
    assert_eq!((err.as_str(), code), (expected, Some(1)));
    let (_, err, code) = ran(&["--as", "0.8"]);
    let expected =
        "ottla-mock: cannot imitate Kafka 0.8; the releases are 2.1, 2.8, 3.9, 4.0 and 4.3; try --help\n";
    assert_eq!((err.as_str(), code), (expected, Some(2)));
}

#[test]
fn help_names_every_option() {
    let (out, err, code) = ran(&["--help"]);
    assert_eq!((err.as_str(), code), ("", Some(0)));
    for option in ["--brokers", "--listen", "--as", "--rack", "--topic", "--config", "--seed", "--help"] {
        assert!(out.contains(&format!("  {option}")), "{option}");
    }
}
