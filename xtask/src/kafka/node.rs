//! One node: a JVM beneath a small shell that kills it when we are gone.
//!
//! The shell is the JVM's parent, so the process id it signals can't have been given to another process, and it ends at
//! the end of its stdin, which the kernel brings about even when we are killed. See `watchdog.sh`.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::ports::Port;
use super::{KafkaError, wire};
use crate::process;

const WATCHDOG: &str = include_str!("watchdog.sh");
const LOG_LINES: usize = 25;
const POLL: Duration = Duration::from_millis(30);
const REPLY: Duration = Duration::from_secs(2);

/// What a node is started with.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) id: i32,
    pub(super) address: SocketAddr,
    pub(super) folder: PathBuf,
    pub(super) log: PathBuf,
    pub(super) command: Vec<OsString>,
    /// Held for the claim: they are written in the node's configuration.
    pub(super) _ports: [Port; 2],
}

/// A node that can be started, signalled and started again, always on the same ports and data.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) plan: Plan,
    watchdog: Mutex<Watchdog>,
}

#[derive(Debug)]
struct Watchdog {
    shell: Child,
    verbs: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    java: Java,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Java {
    Stopped,
    Started { pid: u32 },
    Paused { pid: u32 },
}

impl Node {
    /// Starts the shell, not yet the node.
    pub(super) fn new(plan: Plan) -> Result<Node, KafkaError> {
        use std::os::unix::process::CommandExt;
        let mut shell = Command::new("/bin/sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(&plan.folder)
            .arg(&plan.log)
            .args(&plan.command)
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C on our terminal is for us: the shell must survive it to clean up.
            .process_group(0)
            .spawn()
            .map_err(|source| KafkaError::io("start /bin/sh", source))?;
        let (verbs, replies) = (shell.stdin.take(), shell.stdout.take());
        let replies = BufReader::new(replies.expect("stdout was asked to be a pipe"));
        let watchdog = Watchdog { shell, verbs, replies, java: Java::Stopped };
        Ok(Node { plan, watchdog: Mutex::new(watchdog) })
    }

    /// Starts the JVM.
    pub(super) fn start(&self) -> Result<(), KafkaError> {
        let mut watchdog = self.watchdog();
        let reply = watchdog.ask("START")?;
        let pid = reply.trim().parse().map_err(|_| {
            KafkaError::io("start a node", io::Error::other(format!("the shell answered `{}`", reply.trim())))
        })?;
        watchdog.java = Java::Started { pid };
        Ok(())
    }

    /// SIGKILL; returns when the process is gone.
    pub(super) fn kill(&self) -> Result<(), KafkaError> {
        let mut watchdog = self.running("killed")?;
        watchdog.ask("KILL")?;
        watchdog.java = Java::Stopped;
        Ok(())
    }

    /// SIGTERM, then SIGKILL (and an error) when the process still runs at the deadline.
    pub(super) fn stop(&self, deadline: Duration) -> Result<(), KafkaError> {
        let started = Instant::now();
        let mut watchdog = self.running("stopped")?;
        if let Java::Paused { pid } = watchdog.java {
            watchdog.ask("CONT")?;
            watchdog.java = Java::Started { pid };
        }
        watchdog.ask("TERM")?;
        while watchdog.pid().is_some() {
            if started.elapsed() > deadline {
                watchdog.ask("KILL")?;
                watchdog.java = Java::Stopped;
                return Err(self.not_ready(
                    "stopping after SIGTERM",
                    "it still ran, and was killed",
                    deadline,
                ));
            }
            thread::sleep(POLL);
        }
        watchdog.java = Java::Stopped;
        Ok(())
    }

    /// SIGSTOP.
    pub(super) fn pause(&self) -> Result<(), KafkaError> {
        let mut watchdog = self.running("paused")?;
        watchdog.ask("STOP")?;
        if let Java::Started { pid } = watchdog.java {
            watchdog.java = Java::Paused { pid };
        }
        Ok(())
    }

    /// SIGCONT.
    pub(super) fn resume(&self) -> Result<(), KafkaError> {
        let mut watchdog = self.running("resumed")?;
        watchdog.ask("CONT")?;
        if let Java::Paused { pid } = watchdog.java {
            watchdog.java = Java::Started { pid };
        }
        Ok(())
    }

    /// The JVM's process id while it runs, paused or not.
    pub(super) fn pid(&self) -> Option<u32> {
        self.watchdog().pid()
    }

    /// Whether the JVM runs and is not paused.
    pub(super) fn answers(&self) -> bool {
        let watchdog = self.watchdog();
        watchdog.pid().is_some() && matches!(watchdog.java, Java::Started { .. })
    }

    /// Waits until this node answers on its listener and lists all of `expected` as alive and unfenced.
    pub(super) fn await_brokers(&self, expected: &[i32], end: Instant) -> Result<(), KafkaError> {
        const WAITED_FOR: &str = "answering and listing all brokers as unfenced";
        let started = Instant::now();
        loop {
            let last = match wire::unfenced_brokers(self.plan.address, REPLY) {
                Ok(brokers) if expected.iter().all(|id| brokers.contains(id)) => return Ok(()),
                Ok(brokers) => format!("it lists brokers {brokers:?} where {expected:?} were expected"),
                Err(error) => format!("{}: {error}", self.plan.address),
            };
            if self.pid().is_none() {
                return Err(self.not_ready(WAITED_FOR, "its process has ended", started.elapsed()));
            }
            if Instant::now() >= end {
                return Err(self.not_ready(WAITED_FOR, &last, started.elapsed()));
            }
            thread::sleep(POLL);
        }
    }

    /// Tells the shell to clean up and go; [`Self::wait_until_gone`] waits for it.
    pub(super) fn dismiss(&self) {
        self.watchdog().verbs = None;
    }

    /// Waits for a dismissed shell, and so for its node.
    pub(super) fn wait_until_gone(&self) {
        let mut watchdog = self.watchdog();
        watchdog.verbs = None;
        let _ = watchdog.shell.wait();
    }

    fn watchdog(&self) -> MutexGuard<'_, Watchdog> {
        self.watchdog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self, wanted: &'static str) -> Result<MutexGuard<'_, Watchdog>, KafkaError> {
        let watchdog = self.watchdog();
        match watchdog.pid() {
            Some(_) => Ok(watchdog),
            None => Err(KafkaError::NotRunning { node: self.plan.id, wanted, log: self.log_tail() }),
        }
    }

    fn not_ready(&self, waited_for: &'static str, last: &str, after: Duration) -> KafkaError {
        KafkaError::NotReady {
            node: self.plan.id,
            waited_for,
            last: last.to_owned(),
            after,
            log: self.log_tail(),
        }
    }

    fn log_tail(&self) -> String {
        process::tail(&self.plan.log, LOG_LINES)
    }
}

impl Watchdog {
    fn ask(&mut self, verb: &str) -> Result<String, KafkaError> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let exchange = (|| {
            let verbs = self.verbs.as_mut().ok_or_else(gone)?;
            writeln!(verbs, "{verb}")?;
            verbs.flush()?;
            let mut reply = String::new();
            if self.replies.read_line(&mut reply)? == 0 {
                return Err(gone());
            }
            Ok(reply)
        })();
        exchange.map_err(|source| KafkaError::io(format!("have the node's shell do {verb}"), source))
    }

    fn pid(&self) -> Option<u32> {
        match self.java {
            Java::Stopped => None,
            Java::Started { pid } | Java::Paused { pid } => process::is_running(pid).then_some(pid),
        }
    }
}
