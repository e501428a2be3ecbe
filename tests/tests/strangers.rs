//! A bootstrap address at which nobody, or somebody other than Kafka, answers: an error that names the stage, in time and
//! without the memory that a stranger's length asks for.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the clock and panic where they fail"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ottla::consumer::Start;
use ottla::{
    ClientOptions, ConsumerOptions, Error, ErrorKind, Kafka, NewTopic, ProducerOptions, Record,
    TopicPartition,
};
use ottla_tests::broker::{Dice, run};
use ottla_tests::memory::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What each operation is given.
const LIMIT: Duration = Duration::from_millis(1_200);

/// How much later its error may come: other tests use the processor too.
const GRACE: Duration = Duration::from_secs(10);

/// Listens on a port of its own and does `answer` to everybody who connects.
struct Stranger {
    address: String,
    visits: Arc<AtomicUsize>,
}

impl Stranger {
    fn new(answer: impl Fn(&mut TcpStream) + Send + Clone + 'static) -> Stranger {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let visits = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&visits);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, answer) = (stream.unwrap(), answer.clone());
                count.fetch_add(1, Ordering::Relaxed);
                thread::spawn(move || answer(&mut stream));
            }
        });
        Stranger { address, visits }
    }

    /// Answers each request with what `answer` makes of it, and stays until the visitor goes.
    fn answering(answer: impl Fn(&[u8]) -> Vec<u8> + Send + Clone + 'static) -> Stranger {
        Stranger::new(move |stream| {
            let mut request = [0; 4_096];
            while let Ok(len @ 1..) = stream.read(&mut request) {
                if stream.write_all(&answer(&request[..len])).is_err() {
                    break;
                }
            }
        })
    }
}

/// What an operation ends with, and after how long.
async fn outcome<T>(operation: impl Future<Output = Result<T, Error>>) -> (Error, Duration) {
    let started = Instant::now();
    let limit = LIMIT + 4 * GRACE;
    let error =
        tokio::time::timeout(limit, operation).await.expect("an outcome at all").err().expect("an error");
    (error, started.elapsed())
}

/// Tries everything that begins with a connection; each has to end in time with an error of `stage` whose text holds all
/// `words`.
fn every_operation_fails_at(address: &str, stage: ErrorKind, words: &[&str]) {
    every_operation_fails_with(ClientOptions::default(), address, stage, words);
}

fn every_operation_fails_with(options: ClientOptions, address: &str, stage: ErrorKind, words: &[&str]) {
    run(async || {
        let options = options.bootstrap_servers(address).default_api_timeout(LIMIT).request_timeout(LIMIT);
        let kafka = Kafka::with_options(options).unwrap();
        let producer = kafka.producer(ProducerOptions::default().max_block(LIMIT)).unwrap();
        let reading = ConsumerOptions::default().group_id("g").default_api_timeout(LIMIT);
        let mut consumer = kafka.consumer(reading.clone()).unwrap();
        let mut committer = kafka.consumer(reading.clone()).unwrap();
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        let mut member = kafka.consumer(reading).unwrap();
        consumer.assign([(partition.clone(), Start::Earliest)]).unwrap();
        member.subscribe(["t"]).unwrap();
        let partitions = [partition.clone()];
        let outcomes = futures_util::join!(
            outcome(kafka.client().topic("t", Instant::now() + LIMIT)),
            outcome(producer.send(Record::new("t").value("v"))),
            outcome(kafka.create_topic(NewTopic::new("t"))),
            outcome(consumer.position(&partition)),
            outcome(committer.committed(&partitions)),
        );
        let (topic, send, create, position, committed) = outcomes;
        for (what, (error, took)) in [
            ("topic", topic),
            ("send", send),
            ("create", create),
            ("position", position),
            ("committed", committed),
        ] {
            let text = error.to_string();
            assert_eq!(error.kind(), stage, "{what}: {error}");
            for word in words {
                assert!(text.contains(word), "{what}: no `{word}` in: {text}");
            }
            assert!(text.contains(address), "{what}: no address in: {text}");
            assert!(!text.contains('\n'), "{what}: {text}");
            assert!(!error.possibly_written(), "{what}: {text}");
            assert!(error.is_retriable(), "{what}: {text}");
            assert!(took < LIMIT + GRACE, "{what} took {took:?}: {text}");
        }
    });
}

#[test]
fn a_port_where_nobody_listens_fails_at_connecting() {
    // Bound and not listening: no other test is given the port meanwhile.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    every_operation_fails_at(&address, ErrorKind::Connect, &["connect"]);
}

#[test]
fn a_name_that_does_not_exist_fails_at_its_lookup() {
    // A resolver that says nothing at all is waited for no longer than this.
    let options = ClientOptions::default().connection_setup_timeout(LIMIT / 2);
    every_operation_fails_with(
        options,
        "no-such-host.invalid:9092",
        ErrorKind::Dns,
        &["no-such-host.invalid"],
    );
}

#[test]
fn silence_fails_at_api_versions() {
    let silent = Stranger::new(|stream| {
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
    });
    every_operation_fails_at(&silent.address, ErrorKind::Handshake, &["ApiVersions"]);
}

#[test]
fn a_listener_that_hangs_up_fails_at_api_versions_and_is_not_stormed() {
    let rude = Stranger::new(|_| {});
    every_operation_fails_at(&rude.address, ErrorKind::Handshake, &["ApiVersions"]);
    let visits = rude.visits.load(Ordering::Relaxed);
    assert!((2..200).contains(&visits), "connected {visits} times in {:?}", 2 * LIMIT);
}

#[test]
fn random_bytes_fail_at_api_versions() {
    let garbage = Stranger::answering(|request| {
        let seed = request.len() as u64;
        Dice::seeded(seed).bytes(1_000)
    });
    every_operation_fails_at(&garbage.address, ErrorKind::Handshake, &["ApiVersions"]);
}

#[test]
fn a_web_server_fails_at_api_versions() {
    let web = Stranger::answering(|_| b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".to_vec());
    every_operation_fails_at(&web.address, ErrorKind::Handshake, &["ApiVersions"]);
}

#[test]
fn a_frame_that_answers_something_else_fails_at_api_versions() {
    let confused = Stranger::answering(|request| {
        // The right length and correlation id, and a body that is none.
        let correlation = request.get(8..12).unwrap_or(&[0; 4]);
        [&[0, 0, 0, 12][..], correlation, &[0xff; 8]].concat()
    });
    every_operation_fails_at(&confused.address, ErrorKind::Handshake, &["ApiVersions"]);
}

#[test]
fn a_frame_of_two_gibibytes_is_refused_without_making_room_for_it() {
    let liar = Stranger::answering(|_| [&i32::MAX.to_be_bytes()[..], &[0; 4_000]].concat());
    every_operation_fails_at(&liar.address, ErrorKind::Handshake, &["ApiVersions"]);
    let peak = PeakAlloc.peak_usage();
    assert!(peak < 256 << 20, "{peak} bytes were held at a time");
}
