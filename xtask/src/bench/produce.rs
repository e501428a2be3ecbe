//! `cargo xtask bench produce` and `cargo xtask bench count-produce`: whole producers on a broker that stores nothing.
//!
//! Clients take turns, round after round, so that whatever else the machine does meanwhile meets all of them; a figure is
//! the median of its rounds, and what is to be believed are ratios of one run.

use serde_json::Value;

use super::clients::{self, Broker, Programs};
use super::table::Table;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The clients, by name; none means all.
    pub peers: Vec<String>,
    /// How often each one runs.
    pub rounds: usize,
    /// Whether the table is Markdown.
    pub markdown: bool,
    /// Flags and values for the clients, without dashes.
    pub flags: Vec<(String, String)>,
}

/// Flags that are passed on to the clients; what they mean stands in `bench/README.md`.
pub const FLAGS: [&str; 16] = [
    "mode",
    "records",
    "warmup",
    "size",
    "key",
    "compression",
    "acks",
    "partitions",
    "tasks",
    "spread",
    "linger-ms",
    "batch-bytes",
    "buffer-bytes",
    "workers",
    "active",
    "brokers",
];

impl Default for Plan {
    fn default() -> Self {
        Plan { peers: Vec::new(), rounds: 3, markdown: false, flags: Vec::new() }
    }
}

impl Plan {
    pub(super) fn flag(&self, name: &str) -> Option<&str> {
        self.flags.iter().rev().find(|(flag, _)| flag == name).map(|(_, value)| value.as_str())
    }

    /// The clients that are named, or else these.
    pub(super) fn peers_or(&self, peers: &[&str]) -> Vec<String> {
        if self.peers.is_empty() {
            return peers.iter().map(|peer| (*peer).to_owned()).collect();
        }
        self.peers.clone()
    }

    /// The flags, with a default where one is missing.
    pub(super) fn flags_or(&self, name: &str, value: &str) -> Vec<(String, String)> {
        let mut flags = self.flags.clone();
        if self.flag(name).is_none() {
            flags.push((name.to_owned(), value.to_owned()));
        }
        flags
    }
}

/// Runs all clients in turn and prints a table of medians and ratios.
///
/// # Errors
/// When something doesn't build, a client fails, or one claims more records than the broker counted.
pub fn run(plan: &Plan) -> Result<(), String> {
    let peers = if plan.peers.is_empty() { defaults(plan) } else { plan.peers.clone() };
    let awaiting = plan.flag("mode") == Some("produce-await");
    let flags = plan.flags_or("records", if awaiting { "20000" } else { "5000000" });
    let programs = Programs::build(&peers)?;
    let broker = programs.start_broker(&[])?;
    let medians = in_turns(&peers, plan.rounds, |peer, topic| programs.run(&broker, peer, topic, &flags))?;
    let table = if awaiting { latencies(&medians) } else { throughput(&medians) };
    print(plan, &medians, &table);
    Ok(())
}

/// Has each client run once a round; the medians of all rounds.
pub(super) fn in_turns(
    peers: &[String],
    rounds: usize,
    run: impl Fn(&str, &str) -> Result<Value, String>,
) -> Result<Vec<Row>, String> {
    let mut runs: Vec<Vec<Value>> = peers.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds.max(1) {
        // Another one begins each time, so that nobody always follows the same neighbour's heat.
        for turn in 0..peers.len() {
            let at = (turn + round) % peers.len();
            let topic = format!("bench-{round}-{}", peers[at]);
            let figures = run(&peers[at], &topic)?;
            eprintln!("round {} of {rounds}: {figures}", round + 1);
            runs[at].push(figures);
        }
    }
    Ok(peers.iter().zip(&runs).map(|(peer, runs)| Row::of(peer, runs)).collect())
}

/// Prints a table and below it each client's settings.
pub(super) fn print(plan: &Plan, medians: &[Row], table: &Table) {
    println!("{}", table.render(plan.markdown));
    for row in medians {
        println!("{}{}: {}", if plan.markdown { "- " } else { "" }, row.peer, row.settings);
    }
}

/// Prints how many instructions a record costs each client in its own process, the kernel's not counted.
///
/// # Errors
/// When something doesn't build, a client fails, or there is no valgrind.
pub fn count(plan: &Plan) -> Result<(), String> {
    const FEW: u64 = 200_000;
    let peers = if plan.peers.is_empty() {
        ["encode", "ottla", "ottla-all", "ottla-each"].map(str::to_owned).to_vec()
    } else {
        plan.peers.clone()
    };
    let more: u64 = plan
        .flag("records")
        .map_or(Ok(3 * FEW), str::parse)
        .map_err(|error| format!("--records: {error}"))?;
    if more <= FEW {
        return Err(format!("--records must be above {FEW}"));
    }
    let programs = Programs::build(&peers)?;
    let broker = programs.start_broker(&[])?;
    // Slowed down fifty times, no batch would be full within the usual linger.
    let mut flags = plan.flags_or("linger-ms", "1000");
    flags.retain(|(name, _)| name != "records" && name != "warmup");
    flags.push(("warmup".to_owned(), "0".to_owned()));
    let mut table = Table::new(&["peer", "instructions per record"]);
    for peer in &peers {
        let all = |records: u64| {
            let mut flags = flags.clone();
            flags.push(("records".to_owned(), records.to_string()));
            instructions(&programs, &broker, peer, records, &flags)
        };
        let each = all(more)?.saturating_sub(all(FEW)?) as f64 / (more - FEW) as f64;
        table.row(vec![peer.clone(), format!("{each:.1}")]);
    }
    println!("{}", table.render(plan.markdown));
    Ok(())
}

fn instructions(
    programs: &Programs,
    broker: &Broker,
    peer: &str,
    records: u64,
    flags: &[(String, String)],
) -> Result<u64, String> {
    programs.instructions(broker, peer, &format!("count-{records}-{peer}"), flags)
}

/// All clients that can do what is asked.
fn defaults(plan: &Plan) -> Vec<String> {
    let all = clients::ALL.iter().map(|peer| (*peer).to_owned());
    match plan.flag("acks") {
        // rskafka has no such option.
        Some(acks) if acks != "all" => all.filter(|peer| peer != "rskafka").collect(),
        _ => all.collect(),
    }
}

/// A client's medians.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) peer: String,
    settings: String,
    rate: f64,
    megabytes: f64,
    processor: f64,
    memory: f64,
    p50: f64,
    p99: f64,
    /// Of a reader: what the broker sent for each record that was read.
    pub(super) sent: f64,
}

impl Row {
    fn of(peer: &str, runs: &[Value]) -> Row {
        let of = |name: &str| median(runs.iter().filter_map(|run| run[name].as_f64()).collect());
        let settings = runs.last().and_then(|run| run["settings"].as_str()).unwrap_or_default();
        Row {
            peer: peer.to_owned(),
            settings: settings.to_owned(),
            rate: of("records_per_s"),
            megabytes: of("mb_per_s"),
            processor: of("cpu_s_per_million"),
            memory: of("peak_rss_mb"),
            p50: of("p50_us"),
            p99: of("p99_us"),
            sent: of("sent_per_read"),
        }
    }
}

/// Whom the others are compared with.
const COMPARED: [&str; 3] = ["rdkafka", "franz-go", "raw"];

/// Whom they are compared with as well, if it ran.
const COMPARED_IF_THERE: &str = "rdkafka-tuned";

fn compared(rows: &[Row]) -> Vec<&'static str> {
    let is_there = rows.iter().any(|row| row.peer == COMPARED_IF_THERE);
    let mut all = COMPARED.to_vec();
    if is_there {
        all.insert(1, COMPARED_IF_THERE);
    }
    all
}

pub(super) fn throughput(rows: &[Row]) -> Table {
    let reading = rows.iter().any(|row| row.sent > 0.0);
    let mut head: Vec<String> =
        ["client", "M records/s", "MB/s", "CPU s per M", "peak RSS MB"].map(str::to_owned).to_vec();
    let compared = compared(rows);
    for figure in ["rate", "CPU"] {
        head.extend(compared.iter().map(|peer| format!("{figure} ÷ {peer}")));
    }
    if reading {
        head.push("sent ÷ read".to_owned());
    }
    let mut table = Table::new(&head.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows {
        let mut cells = vec![
            row.peer.clone(),
            format!("{:.2}", row.rate / 1e6),
            format!("{:.0}", row.megabytes),
            format!("{:.3}", row.processor),
            format!("{:.0}", row.memory),
        ];
        cells.extend(ratios(rows, row, &compared, |row| row.rate));
        cells.extend(ratios(rows, row, &compared, |row| row.processor));
        if reading {
            cells.push(format!("{:.3}", row.sent));
        }
        table.row(cells);
    }
    table
}

pub(super) fn latencies(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "client",
        "p50 µs",
        "p99 µs",
        "CPU s per M",
        "p50 ÷ rdkafka",
        "p50 ÷ franz-go",
        "p50 ÷ raw",
        "p99 ÷ rdkafka",
        "p99 ÷ franz-go",
        "p99 ÷ raw",
    ]);
    for row in rows {
        let mut cells = vec![
            row.peer.clone(),
            format!("{:.1}", row.p50),
            format!("{:.1}", row.p99),
            format!("{:.2}", row.processor),
        ];
        cells.extend(ratios(rows, row, &COMPARED, |row| row.p50));
        cells.extend(ratios(rows, row, &COMPARED, |row| row.p99));
        table.row(cells);
    }
    table
}

/// A figure as multiples of those it is compared with; a dash where these didn't run.
fn ratios(rows: &[Row], row: &Row, peers: &[&str], figure: impl Fn(&Row) -> f64) -> Vec<String> {
    let ratio = |peer: &&str| {
        let base = rows.iter().find(|row| row.peer == **peer).map(&figure).filter(|base| *base > 0.0);
        base.map_or_else(|| "-".to_owned(), |base| format!("{:.2}", figure(row) / base))
    };
    peers.iter().map(ratio).collect()
}

/// The middle one, or the mean of the two in the middle; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => 0.0,
        (count, middle) if count % 2 == 1 => values[middle],
        (_, middle) => (values[middle - 1] + values[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(rate: f64, processor: f64) -> Value {
        json!({"records_per_s": rate, "mb_per_s": rate / 1e4, "cpu_s_per_million": processor, "peak_rss_mb": 10.0,
               "settings": "as usual"})
    }

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median(vec![]), 0.0);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn ratios_are_those_of_medians_and_a_client_that_did_not_run_is_a_dash() {
        let rows = [
            Row::of("ottla", &[run(9e6, 0.1), run(1e6, 9.0), run(8e6, 0.2)]),
            Row::of("rdkafka", &[run(2e6, 1.0)]),
        ];
        assert_eq!(
            throughput(&rows).render(true),
            "| client | M records/s | MB/s | CPU s per M | peak RSS MB | rate ÷ rdkafka | rate ÷ franz-go | rate ÷ raw \
             | CPU ÷ rdkafka | CPU ÷ franz-go | CPU ÷ raw |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n\
             | ottla | 8.00 | 800 | 0.200 | 10 | 4.00 | - | - | 0.20 | - | - |\n\
             | rdkafka | 2.00 | 200 | 1.000 | 10 | 1.00 | - | - | 1.00 | - | - |\n"
        );
    }

    #[test]
    fn who_is_there_in_two_settings_is_compared_with_in_both() {
        let rows = [
            Row::of("ottla", &[run(8e6, 0.1)]),
            Row::of("rdkafka", &[run(2e6, 1.0)]),
            Row::of("rdkafka-tuned", &[run(4e6, 0.5)]),
        ];
        let table = throughput(&rows).render(true);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].contains("| rate ÷ rdkafka | rate ÷ rdkafka-tuned | rate ÷ franz-go |"), "{table}");
        assert_eq!(
            lines[2],
            "| ottla | 8.00 | 800 | 0.100 | 10 | 4.00 | 2.00 | - | - | 0.10 | 0.20 | - | - |"
        );
    }

    #[test]
    fn the_last_of_a_flag_counts_and_defaults_fill_gaps() {
        let flag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let plan = Plan { flags: vec![flag("size", "1"), flag("size", "2")], ..Plan::default() };
        assert_eq!(plan.flag("size"), Some("2"));
        assert_eq!(plan.flags_or("size", "3"), plan.flags);
        assert_eq!(plan.flags_or("acks", "1").last(), Some(&flag("acks", "1")));
        let leader = Plan { flags: vec![flag("acks", "1")], ..Plan::default() };
        assert!(!defaults(&leader).contains(&"rskafka".to_owned()));
    }
}
