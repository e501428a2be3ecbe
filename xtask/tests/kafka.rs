//! Real Kafka on demand: starts, faults, several at once, and nothing left behind. Needs Java and Maven.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // Tests wait for processes, and fail by panicking.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use xtask::kafka::{Cluster, KafkaError, OLDER_VERSIONS, class_path};
use xtask::{java, process, repo};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

#[test]
fn one_node_answers_java_clients_and_leaves_nothing() {
    let cluster = Cluster::builder().start().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/Nodes.java");
    assert_eq!(java::run(cluster.class_path(), &source, &[&cluster.bootstrap()]).unwrap(), "1\n");
    let Err(KafkaError::ToolFailed { output, .. }) = java::run(cluster.class_path(), &source, &[]) else {
        panic!("a program that exits with 3 succeeded");
    };
    assert!(output.contains("no bootstrap list"), "{output}");

    let (pid, folder) = (cluster.pid(1).unwrap().unwrap(), cluster.folder().to_owned());
    assert!(cluster.log_file(1).unwrap().is_file());
    drop(cluster);
    assert!(!process::is_running(pid));
    assert!(!folder.exists());
}

#[test]
fn a_killed_node_comes_back_on_its_port_with_its_data() {
    let cluster = Cluster::builder().nodes(3).start().unwrap();
    assert_eq!(cluster.nodes(), [1, 2, 3]);
    let (address, pid) = (cluster.node_address(2).unwrap(), cluster.pid(2).unwrap().unwrap());
    let mark = cluster.folder().join("node-2/data/mark");
    fs::write(&mark, "kept").unwrap();

    cluster.kill(2).unwrap();
    assert!(!process::is_running(pid));
    assert_eq!(cluster.pid(2).unwrap(), None);
    assert!(matches!(cluster.kill(2), Err(KafkaError::NotRunning { node: 2, .. })));
    assert!(TcpStream::connect(&address).is_err());

    cluster.restart(2).unwrap();
    assert_eq!(cluster.node_address(2).unwrap(), address);
    assert_ne!(cluster.pid(2).unwrap(), Some(pid));
    assert_eq!(fs::read_to_string(&mark).unwrap(), "kept");
    cluster.await_brokers().unwrap();

    cluster.stop(3).unwrap();
    assert_eq!(cluster.pid(3).unwrap(), None);
    cluster.start_node(3).unwrap();
    assert!(matches!(cluster.start_node(3), Err(KafkaError::Invalid(_))));
    assert!(matches!(cluster.restart(4), Err(KafkaError::UnknownNode { node: 4, nodes: 3 })));
}

#[test]
fn a_paused_node_accepts_connections_and_answers_only_when_resumed() {
    let cluster = Cluster::builder().start().unwrap();
    cluster.pause(1).unwrap();
    let mut stream = TcpStream::connect(cluster.bootstrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    // ApiVersions v0, correlation id 1, no client id.
    stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]).unwrap();
    let mut length = [0; 4];
    assert!(stream.read_exact(&mut length).is_err());
    cluster.resume(1).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.read_exact(&mut length).unwrap();

    // A paused node can be stopped and killed.
    cluster.pause(1).unwrap();
    cluster.kill(1).unwrap();
    assert_eq!(cluster.pid(1).unwrap(), None);
}

#[test]
fn two_clusters_run_at_once_with_their_own_properties() {
    let starts = ["true", "false"].map(|auto| {
        thread::spawn(move || Cluster::builder().property("auto.create.topics.enable", auto).start().unwrap())
    });
    let [one, two] = starts.map(|start| start.join().unwrap());
    assert_ne!(one.bootstrap(), two.bootstrap());
    let pid = two.pid(1).unwrap().unwrap();
    drop(one);
    assert!(process::is_running(pid));
    two.await_brokers().unwrap();
}

#[test]
fn older_versions_form_clusters_of_three() {
    for version in OLDER_VERSIONS {
        let cluster = Cluster::builder().version(version).nodes(3).start().unwrap();
        assert_eq!(cluster.version(), version);
        cluster.await_brokers().unwrap();
    }
}

#[test]
fn a_node_that_cannot_start_is_an_error_with_the_end_of_its_log() {
    let started = Cluster::builder().property("num.io.threads", "none").start();
    let Err(KafkaError::NotReady { node: 1, last, log, .. }) = started else {
        panic!("a node with a broken configuration started: {started:?}");
    };
    assert_eq!(last, "its process has ended");
    assert!(log.contains("num.io.threads"), "{log}");
}

#[test]
fn a_killed_parent_leaves_no_orphan() {
    let room = Room::new();
    let mut parent = room.xtask(&["kafka", "hold", "--token", "orphan"]).spawn().unwrap();
    let mut report = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut report).unwrap();
    assert!(room.has_node(), "{report}");
    parent.kill().unwrap();
    parent.wait().unwrap();
    room.await_empty();
}

#[test]
fn up_stands_until_down_and_list_shows_it() {
    let room = Room::new();
    let output = |words: &[&str]| {
        let output = room.xtask(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let bootstrap = output(&["kafka", "up"]);
    let id = bootstrap.trim().rsplit(':').next().unwrap().to_owned();
    assert_eq!(output(&["kafka", "list"]), format!("{id}  Kafka 4.3.0  {bootstrap}"));
    assert!(TcpStream::connect(bootstrap.trim()).is_ok());
    assert!(!room.xtask(&["kafka", "down", "1"]).output().unwrap().status.success());
    assert_eq!(output(&["kafka", "down", &id]), format!("stopped {id} ({})\n", bootstrap.trim()));
    // `down` returns when everything is gone.
    assert!(!room.has_node() && !room.has_cluster_folder());
    assert_eq!(output(&["kafka", "list"]), "");
    assert_eq!(output(&["kafka", "down"]), "nothing to stop\n");
}

#[test]
fn an_up_that_is_killed_while_it_waits_leaves_nothing() {
    let room = Room::new();
    let mut up: Child = room.xtask(&["kafka", "up", "--nodes", "3"]).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while !room.has_node() {
        assert!(Instant::now() < end, "no node was started");
        thread::sleep(Duration::from_millis(5));
    }
    up.kill().unwrap();
    up.wait().unwrap();
    room.await_empty();
}

#[test]
fn without_java_the_error_names_the_command_to_run() {
    let output = Room::new().xtask(&["kafka", "up"]).env("PATH", "").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("java is needed and missing"), "{said}");
    assert!(said.contains("apt-get install -y default-jdk-headless"), "{said}");
}

/// A folder of its own for the temporary files and the state of a command under test; what runs out of it is seen by its
/// path on command lines.
struct Room(tempfile::TempDir);

impl Room {
    fn new() -> Room {
        // Fetched (once) before the command is timed or killed.
        class_path(xtask::kafka::DEFAULT_VERSION).unwrap();
        Room(tempfile::tempdir().unwrap())
    }

    fn xtask(&self, words: &[&str]) -> Command {
        let mut command = Command::new(XTASK);
        command
            .args(words)
            .env("OTTLA_CACHE", repo::cache())
            .env("CARGO_TARGET_DIR", self.0.path().join("target"))
            .env("TMPDIR", self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn has_node(&self) -> bool {
        let prefix = self.0.path().join("ottla-kafka-").display().to_string();
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| process::is_running(*pid))
            .filter_map(process::arguments)
            .any(|words| words.iter().any(|word| word.contains(&prefix)))
    }

    fn has_cluster_folder(&self) -> bool {
        fs::read_dir(self.0.path())
            .unwrap()
            .filter_map(Result::ok)
            .any(|entry| entry.file_name().to_string_lossy().starts_with("ottla-kafka-"))
    }

    fn await_empty(&self) {
        let end = Instant::now() + Duration::from_secs(20);
        while self.has_node() || self.has_cluster_folder() {
            assert!(Instant::now() < end, "something is left in {}", self.0.path().display());
            thread::sleep(Duration::from_millis(20));
        }
    }
}
