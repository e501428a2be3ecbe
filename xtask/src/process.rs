//! Child processes with a deadline that do not outlive their parent, and what `/proc` says about a process.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a finished child left behind.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// All it wrote to stdout.
    pub stdout: String,
    /// All it wrote to stderr.
    pub stderr: String,
}

/// Runs `command` to its end with captured output; `Ok(None)` means it was killed at the deadline.
///
/// A sibling shell holding a pipe from us kills the child should this process die first.
///
/// # Errors
/// When the child cannot be started or waited for.
pub fn run(command: &mut Command, deadline: Duration) -> io::Result<Option<Finished>> {
    let end = Instant::now() + deadline;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let _guard = Guard::over(&child);
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let Some(status) = wait_until(&mut child, end)? else {
        child.kill()?;
        child.wait()?;
        return Ok(None);
    };
    Ok(Some(Finished { status, stdout: joined(stdout), stderr: joined(stderr) }))
}

/// Waits for `child` until `end`; `None` when it is still running then.
///
/// # Errors
/// When the child cannot be waited for.
pub fn wait_until(child: &mut Child, end: Instant) -> io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Whether `pid` names a process that runs (a zombie does not).
#[must_use]
pub fn is_running(pid: u32) -> bool {
    // The state follows the command name, which is in parentheses and may itself hold any character.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(')').map(|(_, rest)| rest.trim_start().chars().next()))
        .flatten()
        .is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// The arguments `pid` was started with, or `None` when there is no such process.
#[must_use]
pub fn arguments(pid: u32) -> Option<Vec<String>> {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(raw.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

/// The last `lines` lines of a text file, or a remark why there are none.
#[must_use]
pub fn tail(path: &Path, lines: usize) -> String {
    match fs::read(path) {
        Ok(bytes) => last_lines(&String::from_utf8_lossy(&bytes), lines),
        Err(error) => format!("({}: {error})", path.display()),
    }
}

/// The last `lines` lines of `text`.
#[must_use]
pub fn last_lines(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Kills a child when this process is gone, and goes away itself when the child has ended.
struct Guard(Option<Child>);

impl Guard {
    fn over(child: &Child) -> Guard {
        use std::os::unix::process::CommandExt;
        let shell = Command::new("/bin/sh")
            .args(["-c", "read -r _; kill -KILL \"$1\" 2>/dev/null", "guard"])
            .arg(child.id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        Guard(shell.ok())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut shell) = self.0.take() {
            // Killed before its pipe closes (`kill` leaves stdin open), so it never reaches its own kill.
            let _ = shell.kill();
            let _ = shell.wait();
        }
    }
}

fn drain<R: Read + Send + 'static>(pipe: Option<R>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn joined(reader: thread::JoinHandle<String>) -> String {
    reader.join().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_child_gives_its_output_and_status() {
        let finished = run(
            Command::new("/bin/sh").args(["-c", "echo out; echo err >&2; exit 3"]),
            Duration::from_secs(20),
        )
        .unwrap()
        .unwrap();
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(finished.status.code(), Some(3));
    }

    #[test]
    fn a_child_past_its_deadline_is_killed() {
        let started = Instant::now();
        let finished = run(Command::new("/bin/sleep").arg("60"), Duration::from_millis(50)).unwrap();
        assert!(finished.is_none());
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_process_runs_until_it_is_a_zombie() {
        let mut child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
        assert!(is_running(child.id()));
        // The kernel wakes us just before the new program's arguments can be read.
        while arguments(child.id()).unwrap() == [""] {
            thread::yield_now();
        }
        assert_eq!(arguments(child.id()).unwrap(), ["/bin/sleep", "60", ""]);
        child.kill().unwrap();
        while is_running(child.id()) {
            thread::yield_now();
        }
        child.wait().unwrap();
        assert!(!is_running(child.id()));
    }

    #[test]
    fn the_tail_is_the_last_lines() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a\n", 5), "a");
    }
}
