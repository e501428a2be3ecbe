//! `cargo xtask interop`: other people's clients on the cluster in memory, and on a real Kafka to prove them right.
//!
//! The clients are small programs in `interop/` that know the same scenarios by name. A scenario is a process of its own, so
//! that one that crashes or hangs says nothing about the next. Programs ask for harm to brokers on their stdout.
//!
//! Guarantee: what fails or is left out is in the table, with the reason.

mod peers;
mod targets;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::{kafka, process};
use targets::Target;

pub use peers::Peer;
pub use targets::Against;

/// How long a scenario may take; it gives up by itself before.
const DEADLINE: Duration = Duration::from_secs(300);

/// The releases that the cluster in memory imitates, newest first.
const RELEASES: [&str; 5] = ["4.3", "4.0", "3.9", "2.8", "2.1"];

const USER: (&str, &str) = ("alice", "wonderland");

/// What to run; all of it unless something is named.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Only this client.
    pub peer: Option<Peer>,
    /// What it runs on.
    pub against: Against,
    /// Only this release of Kafka.
    pub release: Option<String>,
    /// Only this scenario.
    pub scenario: Option<String>,
}

/// What a client and a cluster are put through.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    name: &'static str,
    /// The first release that has what it is about.
    since: (u32, u32),
    /// Whether the cluster must have users.
    login: bool,
}

const fn scenario(name: &'static str, since: (u32, u32)) -> Scenario {
    Scenario { name, since, login: false }
}

const fn login(name: &'static str) -> Scenario {
    Scenario { name, since: (0, 0), login: true }
}

/// In this order; harm comes last, for brokers that come back need a while to be as good as before.
const SCENARIOS: [Scenario; 18] = [
    scenario("codecs", (2, 1)),
    scenario("group-range", (2, 1)),
    scenario("group-cooperative", (2, 1)),
    scenario("group-static", (2, 3)),
    scenario("group-consumer", (4, 0)),
    scenario("group-consumer-static", (4, 0)),
    scenario("group-consumer-regex", (4, 0)),
    scenario("transactions", (2, 1)),
    scenario("transaction-offsets", (2, 1)),
    scenario("transaction-fencing", (2, 1)),
    scenario("admin-topics", (2, 1)),
    scenario("admin-groups", (2, 1)),
    scenario("admin-offsets", (2, 1)),
    login("sasl-plain"),
    login("sasl-scram-256"),
    login("sasl-scram-512"),
    scenario("broker-loss", (2, 1)),
    scenario("broker-loss-group", (2, 1)),
];

/// How a scenario went.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Ok(Duration),
    Failed(String),
    NotRun(String),
}

/// A client's verdicts on one cluster, in the order of the scenarios.
#[derive(Debug)]
struct Column {
    target: String,
    peer: Peer,
    verdicts: Vec<(&'static str, Verdict)>,
}

/// Builds the clients, runs them and prints what came of it.
///
/// # Errors
/// A tool that is missing, a build or a start that fails, or a scenario that failed; the table has been printed by then.
pub fn run(plan: &Plan) -> Result<(), String> {
    let scenarios: Vec<Scenario> = SCENARIOS
        .into_iter()
        .filter(|scenario| plan.scenario.as_ref().is_none_or(|name| name == scenario.name))
        .collect();
    if scenarios.is_empty() {
        let all: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        return Err(format!("no scenario {:?}; there are {}", plan.scenario, all.join(", ")));
    }
    let releases = releases(plan)?;
    let peers: Vec<peers::Program> = Peer::ALL
        .into_iter()
        .filter(|peer| plan.peer.is_none_or(|only| only == *peer))
        .map(Peer::build)
        .collect::<Result<_, _>>()?;
    if plan.against == Against::Mock {
        targets::build_mock()?;
    }
    let mut columns = Vec::new();
    for release in releases {
        let mut target = Target::start(plan.against, &release, None)?;
        // A cluster that wants passwords wants them from everybody, so those scenarios have one of their own.
        let wants_login = plan.against == Against::Mock && scenarios.iter().any(|scenario| scenario.login);
        let mut guarded =
            if wants_login { Some(Target::start(plan.against, &release, Some(USER))?) } else { None };
        for program in &peers {
            let name = target.to_string();
            let mut verdicts = Vec::new();
            for scenario in &scenarios {
                let verdict = if let Some(why) = out_of_question(scenario, &release, program) {
                    Verdict::NotRun(why)
                } else if !scenario.login {
                    play(program, scenario, &mut target)
                } else if let Some(guarded) = &mut guarded {
                    play(program, scenario, guarded)
                } else {
                    Verdict::NotRun("this tool's Kafka has no users".to_owned())
                };
                println!("    {name:<10} {:<9} {:<22} {verdict}", program.peer, scenario.name);
                verdicts.push((scenario.name, verdict));
            }
            columns.push(Column { target: name, peer: program.peer, verdicts });
        }
    }
    print!("{}", table(&columns));
    let verdicts = columns.iter().flat_map(|column| &column.verdicts);
    match verdicts.filter(|(_, verdict)| matches!(verdict, Verdict::Failed(_))).count() {
        0 => Ok(()),
        failed => Err(format!("{failed} scenarios failed")),
    }
}

/// The releases to run on, as `4.3` for the cluster in memory and as `4.3.0` for a real one.
fn releases(plan: &Plan) -> Result<Vec<String>, String> {
    let known: Vec<&str> = match plan.against {
        Against::Mock => RELEASES.to_vec(),
        Against::Kafka => [kafka::DEFAULT_VERSION].into_iter().chain(kafka::OLDER_VERSIONS).collect(),
    };
    let found: Vec<String> = match &plan.release {
        None if plan.against == Against::Kafka => vec![kafka::DEFAULT_VERSION.to_owned()],
        None => known.iter().map(|name| (*name).to_owned()).collect(),
        Some(asked) => {
            let is_asked = |name: &&&str| numbers(name) == numbers(asked);
            known.iter().filter(is_asked).map(|name| (*name).to_owned()).collect()
        }
    };
    if found.is_empty() {
        return Err(format!("no release {:?} here; there are {}", plan.release, known.join(", ")));
    }
    Ok(found)
}

/// Major and minor.
fn numbers(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// Why nothing can come of it.
fn out_of_question(scenario: &Scenario, release: &str, program: &peers::Program) -> Option<String> {
    if numbers(release) < Some(scenario.since) {
        let (major, minor) = scenario.since;
        return Some(format!("Kafka has it since {major}.{minor}"));
    }
    let lacks = program.lacks.as_ref().filter(|(prefix, _)| scenario.name.starts_with(prefix));
    lacks.map(|(_, why)| (*why).to_owned())
}

/// Runs one scenario to its end, and does the harm that it asks for.
fn play(program: &peers::Program, scenario: &Scenario, target: &mut Target) -> Verdict {
    let started = Instant::now();
    let mut command = Command::new(&program.path);
    command.arg(scenario.name).arg(target.bootstrap());
    if scenario.login {
        command.args([USER.0, USER.1]);
    }
    match converse(&mut command, target, started + DEADLINE) {
        Ok(()) => Verdict::Ok(started.elapsed()),
        Err(why) => Verdict::Failed(why),
    }
}

fn converse(command: &mut Command, target: &mut Target, end: Instant) -> Result<(), String> {
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| format!("cannot be started: {error}"))?;
    let mut stdin = child.stdin.take();
    let (said, hears) = mpsc::channel();
    let stdout = child.stdout.take();
    thread::spawn(move || {
        for line in stdout.into_iter().flat_map(|pipe| BufReader::new(pipe).lines()).map_while(Result::ok) {
            if said.send(line).is_err() {
                return;
            }
        }
    });
    let stderr = child.stderr.take();
    let remarks = thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = stderr {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let harmed = loop {
        match hears.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Err(_) => break Ok(()),
            Ok(line) => {
                let done = line.strip_prefix("harm ").map_or(Ok(()), |what| target.harm(what));
                let answered = done.and_then(|()| match &mut stdin {
                    Some(pipe) => {
                        writeln!(pipe, "done").map_err(|error| format!("it does not listen: {error}"))
                    }
                    None => Ok(()),
                });
                if answered.is_err() {
                    break answered;
                }
            }
        }
    };
    drop(stdin);
    let wait_until = if harmed.is_ok() { end } else { Instant::now() };
    let status = process::wait_until(&mut child, wait_until).map_err(|error| error.to_string())?;
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let remarks = remarks.join().unwrap_or_default();
    let reason = process::last_lines(remarks.trim_end(), 1);
    harmed?;
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) if status.code() == Some(1) => Err(reason),
        Some(status) => Err(format!("{status}: {reason}")),
        None => Err(format!("did not end within {DEADLINE:?}: {reason}")),
    }
}

/// A block for each cluster, a column for each client, and the reasons below.
fn table(columns: &[Column]) -> String {
    let mut text = String::new();
    for block in columns.chunk_by(|a, b| a.target == b.target) {
        text += &format!("\n{:<26}", block[0].target);
        text.extend(block.iter().map(|column| format!("{:<12}", column.peer.name())));
        text.push('\n');
        for (row, (name, _)) in block[0].verdicts.iter().enumerate() {
            text += &format!("  {name:<24}");
            text.extend(block.iter().map(|column| format!("{:<12}", column.verdicts[row].1.short())));
            text.push('\n');
        }
    }
    text.push('\n');
    for column in columns {
        for (name, verdict) in &column.verdicts {
            if let Verdict::Failed(_) | Verdict::NotRun(_) = verdict {
                text += &format!("{} {} {name}: {verdict}\n", column.target, column.peer);
            }
        }
    }
    let trimmed: Vec<&str> = text.lines().map(str::trim_end).collect();
    trimmed.join("\n") + "\n"
}

impl Verdict {
    fn short(&self) -> String {
        match self {
            Verdict::Ok(took) => format!("ok {:5.1} s", took.as_secs_f64()),
            Verdict::Failed(_) => "FAILED".to_owned(),
            Verdict::NotRun(_) => "not run".to_owned(),
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Verdict::Ok(_) => f.write_str(&self.short()),
            Verdict::Failed(why) => write!(f, "FAILED: {why}"),
            Verdict::NotRun(why) => write!(f, "not run: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_found_by_major_and_minor() {
        let plan = |against, release: Option<&str>| Plan {
            against,
            release: release.map(str::to_owned),
            ..Plan::default()
        };
        assert_eq!(releases(&plan(Against::Mock, None)).unwrap(), RELEASES);
        assert_eq!(releases(&plan(Against::Mock, Some("3.9"))).unwrap(), ["3.9"]);
        assert_eq!(releases(&plan(Against::Kafka, None)).unwrap(), [kafka::DEFAULT_VERSION]);
        assert_eq!(releases(&plan(Against::Kafka, Some("3.9"))).unwrap(), [kafka::OLDER_VERSIONS[0]]);
        assert!(releases(&plan(Against::Kafka, Some("2.1"))).unwrap_err().contains("4.3.0, 3.9.1"));
    }

    #[test]
    fn the_table_has_a_row_for_each_scenario_and_the_reasons_below() {
        let column = |peer, second| Column {
            target: "mock 4.3".to_owned(),
            peer,
            verdicts: vec![("codecs", Verdict::Ok(Duration::from_millis(1_500))), ("sasl-plain", second)],
        };
        let columns = [
            column(Peer::Rdkafka, Verdict::Failed("no answer".to_owned())),
            column(Peer::FranzGo, Verdict::NotRun("no users".to_owned())),
        ];
        let expected = "\nmock 4.3                  rdkafka     franz-go\n  codecs                  ok   1.5 s  ok   1.5 s\n  \
                        sasl-plain              FAILED      not run\n\nmock 4.3 rdkafka sasl-plain: FAILED: no answer\nmock \
                        4.3 franz-go sasl-plain: not run: no users\n";
        assert_eq!(table(&columns), expected);
    }
}
