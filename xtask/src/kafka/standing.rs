//! Clusters that outlive the command that started them: `kafka up`, `kafka down`, `kafka list`.
//!
//! `up` starts a keeper (this program's `kafka hold`) that owns the [`Cluster`], waits for its report, and only then lets
//! it go on alone; until then the keeper ends with `up`. A file per cluster says which process to ask to end, and the
//! keeper's command line carries a token from that file, so that `down` never signals a process that merely has the
//! same number.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Builder, Cluster, KafkaError, ports};
use crate::{process, repo};

const DOWN_DEADLINE: Duration = Duration::from_secs(20);
const GO_ON: &str = "go on";

/// A cluster that `up` started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What `down` takes: the port of the first node.
    pub id: String,
    /// The Kafka version.
    pub version: String,
    /// The addresses of all nodes.
    pub bootstrap: String,
    /// The keeper's process.
    keeper: u32,
    /// The cluster's folder, which its nodes name on their command lines and which goes away last.
    folder: PathBuf,
    /// The nodes' processes.
    nodes: Vec<u32>,
    /// What the keeper's command line contains.
    token: String,
}

/// Starts a cluster that stays, with the same arguments that the hidden `kafka hold` command takes.
///
/// # Errors
/// As [`Builder::start`], with what the keeper wrote.
pub fn up(arguments: &[String]) -> Result<Standing, KafkaError> {
    use std::os::unix::process::CommandExt;
    let token = format!("{:016x}", ports::random());
    let folder = folder();
    let trouble = |source| KafkaError::io("start the cluster's keeper", source);
    fs::create_dir_all(&folder).map_err(trouble)?;
    let log = folder.join(format!("{token}.log"));
    let mut keeper = Command::new(std::env::current_exe().map_err(trouble)?)
        .args(["kafka", "hold", "--token", &token])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&log).map_err(trouble)?)
        .process_group(0)
        .spawn()
        .map_err(trouble)?;
    let mut release = keeper.stdin.take().expect("stdin was asked to be a pipe");
    let report = keeper.stdout.take().expect("stdout was asked to be a pipe");
    let mut line = String::new();
    BufReader::new(report).read_line(&mut line).map_err(trouble)?;
    let Some(standing) = parse(&line) else {
        drop(release);
        let status = keeper.wait().map_err(trouble)?;
        let output = process::tail(&log, 60);
        let _ = fs::remove_file(&log);
        return Err(KafkaError::ToolFailed {
            what: "starting the cluster".to_owned(),
            status: status.to_string(),
            output,
        });
    };
    fs::write(folder.join(format!("{}.json", standing.id)), &line).map_err(trouble)?;
    // Past this line the keeper no longer ends with us.
    writeln!(release, "{GO_ON}").map_err(trouble)?;
    Ok(standing)
}

/// The keeper: owns a cluster until its stdin ends, or for good once it was told to go on.
///
/// # Errors
/// As [`Builder::start`].
pub fn hold(builder: Builder, token: &str) -> Result<(), KafkaError> {
    // Watched from the beginning: a start that nobody waits for any more ends at once, and the nodes with us.
    let watch = thread::spawn(|| {
        let mut line = String::new();
        let told = io::stdin().lock().read_line(&mut line);
        if told.is_err() || line.trim_end() != GO_ON {
            std::process::exit(1);
        }
    });
    let cluster = builder.start()?;
    println!("{}", describe(&cluster, token)?);
    let _ = watch.join();
    loop {
        thread::park();
    }
}

/// All clusters of this checkout that still stand; files of those that don't are removed.
///
/// # Errors
/// When the folder with the state files cannot be read.
pub fn list() -> Result<Vec<Standing>, KafkaError> {
    let folder = folder();
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&folder).map_err(|source| KafkaError::io("list clusters", source))?;
    let mut standing = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_state(path)) {
        match fs::read_to_string(&path).ok().as_deref().and_then(parse) {
            Some(cluster) if cluster.is_kept() => standing.push(cluster),
            Some(cluster) => cluster.forget(),
            None => drop(fs::remove_file(&path)),
        }
    }
    standing.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(standing)
}

/// Ends the cluster `id`, or all of this checkout, and returns those that it ended.
///
/// # Errors
/// [`KafkaError::Invalid`] when there is no such cluster, [`KafkaError::TookTooLong`] when its processes do not end.
pub fn down(id: Option<&str>) -> Result<Vec<Standing>, KafkaError> {
    let standing: Vec<Standing> =
        list()?.into_iter().filter(|cluster| id.is_none_or(|id| cluster.id == id)).collect();
    if let (Some(id), true) = (id, standing.is_empty()) {
        return Err(KafkaError::Invalid(format!(
            "no cluster {id} stands; `cargo xtask kafka list` shows those that do"
        )));
    }
    for cluster in &standing {
        cluster.end()?;
    }
    Ok(standing)
}

impl Standing {
    /// Whether the keeper's process is there and is the one we started.
    fn is_kept(&self) -> bool {
        process::is_running(self.keeper)
            && process::arguments(self.keeper).is_some_and(|words| words.contains(&self.token))
    }

    fn end(&self) -> Result<(), KafkaError> {
        let signalled = Command::new("/bin/sh")
            .args(["-c", "kill -TERM \"$1\"", "kill", &self.keeper.to_string()])
            .stderr(Stdio::null())
            .status();
        signalled.map_err(|source| KafkaError::io("signal the cluster's keeper", source))?;
        let started = Instant::now();
        // The nodes' shells see the keeper's end of their pipes close and clean up.
        while self.is_kept() || self.folder.exists() || self.nodes.iter().any(|pid| self.is_node(*pid)) {
            if started.elapsed() > DOWN_DEADLINE {
                let what = format!("cluster {} (keeper {}, nodes {:?})", self.id, self.keeper, self.nodes);
                return Err(KafkaError::TookTooLong { what, deadline: DOWN_DEADLINE });
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.forget();
        Ok(())
    }

    fn is_node(&self, pid: u32) -> bool {
        let folder = self.folder.to_string_lossy();
        process::is_running(pid)
            && process::arguments(pid).is_some_and(|words| words.iter().any(|word| word.contains(&*folder)))
    }

    fn forget(&self) {
        let folder = folder();
        let _ = fs::remove_file(folder.join(format!("{}.json", self.id)));
        let _ = fs::remove_file(folder.join(format!("{}.log", self.token)));
    }
}

fn folder() -> PathBuf {
    repo::target().join("xtask").join("clusters")
}

fn is_state(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

fn describe(cluster: &Cluster, token: &str) -> Result<String, KafkaError> {
    let address = cluster.node_address(1)?;
    let mut nodes = Vec::new();
    for id in cluster.nodes() {
        nodes.extend(cluster.pid(id)?);
    }
    let report = json!({
        "id": address.rsplit(':').next(),
        "version": cluster.version(),
        "bootstrap": cluster.bootstrap(),
        "keeper": std::process::id(),
        "folder": cluster.folder(),
        "nodes": nodes,
        "token": token,
    });
    Ok(report.to_string())
}

fn parse(line: &str) -> Option<Standing> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let number = |value: &Value| value.as_u64().and_then(|pid| u32::try_from(pid).ok());
    Some(Standing {
        id: text("id")?,
        version: text("version")?,
        bootstrap: text("bootstrap")?,
        keeper: number(&value["keeper"])?,
        folder: text("folder")?.into(),
        nodes: value["nodes"].as_array()?.iter().filter_map(number).collect(),
        token: text("token")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_the_right_number_but_another_command_line_is_not_ours() {
        let standing = Standing {
            id: "1".to_owned(),
            version: "4.3.0".to_owned(),
            bootstrap: String::new(),
            keeper: std::process::id(),
            folder: PathBuf::new(),
            nodes: Vec::new(),
            token: "no command line holds this".to_owned(),
        };
        assert!(!standing.is_kept());
        let ours = Standing { token: process::arguments(std::process::id()).unwrap().remove(0), ..standing };
        assert!(ours.is_kept());
    }

    #[test]
    fn a_report_that_is_no_report_is_refused() {
        for line in ["", "{}", "[1]", r#"{"id":"1","version":"4"}"#] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
