//! A member that is a process of its own, and is killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use ottla::{ClientOptions, ConsumerOptions, Kafka, TopicPartition};
use ottla_tests::broker::{Dice, Entry, Id, Nodes, Read, Reason, World, run_within};

use super::member::{Crew, Member};
use super::{MS, PATIENT, PROMPT, PROTOCOLS, Protocol, SECONDS, SHORT_SESSION, WORLD, load, options};

/// What the process is told: bootstrap servers, protocol's place among [`PROTOCOLS`], group, topic.
const TOLD: &str = "OTTLA_KILLED_MEMBER";

/// The number of the process among its group's members.
const NUMBER: u32 = 1_000;

/// The test that is the process.
const PROCESS: &str = "consumer_faults::process::a_member_that_another_test_kills";

#[test]
fn a_killed_process_is_replaced_when_its_session_ends_and_only_what_it_had_not_committed_is_read_again() {
    match WORLD {
        World::Real => WORLD.peace(SECONDS(90), killed),
        // By TCP, so that another process can take part.
        World::Mock => WORLD.one(killed),
    }
}

async fn killed(kafka: Kafka, nodes: &Nodes) {
    let mut dice = Dice::new("a killed process");
    let (load, topic) = load(&kafka, "process", 4, &mut dice).await;
    let ends = PROTOCOLS.iter().enumerate().map(|(place, protocol)| {
        let (kafka, topic, seed) = (&kafka, &topic, dice.next());
        async move {
            // What the process says comes late: an observer of commits would be ahead of it.
            let crew = Crew::unwatched(*protocol, &[topic.as_str()], 4, seed);
            let options = options(*protocol, &crew.group, SHORT_SESSION);
            let stays = crew.member(kafka, options, crew.habits());
            crew.balanced(PROMPT, &[&stays]).await;
            let told =
                [&nodes.bootstrap(), &place.to_string(), &crew.group, topic].map(String::as_str).join(" ");
            let process = Process::start(&told, &crew);
            let reads = || process.read.load(Ordering::Relaxed) > 20;
            crew.until("both read", PATIENT, &[&stays], reads).await;
            process.kill(&crew).await;
            let session = protocol.session(SHORT_SESSION);
            let took = crew.balanced(session + PROMPT, &[&stays]).await;
            println!("{protocol:?}: replaced after {took:?}");
            (crew, stays)
        }
    });
    let left: Vec<(Crew, Member)> = join_all(ends.collect::<Vec<_>>()).await;
    let (ledger, failures) = load.finish(PATIENT).await;
    assert!(failures.is_empty(), "{failures:?}");
    let ends = left.into_iter().map(|(crew, stays)| crew.settle(Arc::clone(&ledger), vec![stays]));
    for repeated in join_all(ends).await {
        assert!(repeated.keys().all(|reason| *reason == Reason::Vanished), "{repeated:?}");
    }
}

/// This binary again, as a member; its lines go to the group's journal as they come.
struct Process {
    child: Child,
    reader: std::thread::JoinHandle<()>,
    read: Arc<AtomicU64>,
}

impl Process {
    fn start(told: &str, crew: &Crew) -> Process {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([PROCESS, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(TOLD, told)
            .stdout(Stdio::piped())
            .spawn()
            .expect("this binary starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let (journal, read) = (Arc::clone(&crew.journal), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&read);
        let reader = std::thread::spawn(move || {
            // What was written before a kill comes whole but for the last line.
            for line in lines.map_while(Result::ok) {
                if let Some(entry) = parse(&line) {
                    counted.fetch_add(u64::from(matches!(entry, Said::Read(_))), Ordering::Relaxed);
                    match entry {
                        Said::Read(read) => journal.handed_out_elsewhere(read),
                        Said::Entry(entry) => journal.note(entry),
                    }
                }
            }
        });
        Process { child, reader, read }
    }

    /// SIGKILL. What it said until then is in the journal afterwards.
    async fn kill(mut self, crew: &Crew) {
        self.child.kill().expect("it runs");
        let ended = tokio::task::spawn_blocking(move || {
            self.child.wait().expect("it ends");
            self.reader.join()
        });
        ended.await.unwrap().expect("its lines are understood");
        crew.journal.note(Entry::Vanished { member: NUMBER });
    }
}

enum Said {
    Read(Read),
    Entry(Entry),
}

fn parse(line: &str) -> Option<Said> {
    let words: Vec<&str> = line.split(' ').collect();
    let at = |topic: &str, partition: &str| TopicPartition {
        topic: topic.into(),
        partition: partition.parse().unwrap(),
    };
    let member = NUMBER;
    Some(match words[..] {
        ["assigned", topic, partition, "."] => {
            Said::Entry(Entry::Assigned { member, partitions: vec![at(topic, partition)] })
        }
        ["got", topic, partition, offset, producer, sequence, "."] => {
            let id = Id { producer: producer.parse().unwrap(), sequence: sequence.parse().unwrap() };
            let offset = offset.parse().unwrap();
            Said::Read(Read { reader: NUMBER, id, partition: at(topic, partition), offset })
        }
        ["done", topic, partition, offset, "."] => {
            let offset = offset.parse().unwrap();
            Said::Entry(Entry::Processed { member, partition: at(topic, partition), offset })
        }
        ["committed", topic, partition, offset, "."] => {
            let offsets = [(at(topic, partition), offset.parse().unwrap())].into();
            Said::Entry(Entry::Committed { member, offsets })
        }
        _ => return None,
    })
}

#[test]
#[ignore = "another test starts it as a process of its own"]
fn a_member_that_another_test_kills() {
    let Ok(told) = std::env::var(TOLD) else { return };
    run_within(SECONDS(60), async || {
        let told: Vec<&str> = told.split(' ').collect();
        let [bootstrap, place, group, topic] = told[..] else { panic!("told {told:?}") };
        let kafka = Kafka::with_options(ClientOptions::default().bootstrap_servers(bootstrap)).unwrap();
        let protocol: Protocol = PROTOCOLS[place.parse::<usize>().unwrap()];
        member(&kafka, options(protocol, group, SHORT_SESSION), topic).await;
    });
}

/// Reads, says so, and commits, until it is killed.
async fn member(kafka: &Kafka, options: ConsumerOptions, topic: &str) {
    let mut consumer = kafka.consumer(options.max_poll_records(20usize)).unwrap();
    let told = ottla::consumer::RebalanceCallbacks::new().on_assigned(|partitions| {
        for TopicPartition { topic, partition } in partitions {
            println!("\nassigned {topic} {partition} .");
        }
    });
    consumer.subscribe_with([topic], told).unwrap();
    loop {
        let records = consumer.poll(MS(200)).await.unwrap();
        for record in &records {
            let (TopicPartition { topic, partition }, offset) = (record.topic_partition(), record.offset());
            let Id { producer, sequence } = Id::parse(record.value().unwrap()).unwrap();
            println!("got {topic} {partition} {offset} {producer} {sequence} .");
        }
        tokio::time::sleep(MS(20)).await;
        for record in &records {
            let (TopicPartition { topic, partition }, offset) = (record.topic_partition(), record.offset());
            println!("done {topic} {partition} {offset} .");
        }
        if !records.is_empty() {
            let mut next = std::collections::BTreeMap::new();
            for record in &records {
                next.insert(record.topic_partition().clone(), record.offset() + 1);
            }
            consumer.commit().await.unwrap();
            for (TopicPartition { topic, partition }, offset) in next {
                println!("committed {topic} {partition} {offset} .");
            }
        }
    }
}
