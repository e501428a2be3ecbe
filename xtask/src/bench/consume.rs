//! `cargo xtask bench consume`, `count-consume` and `latency`: whole consumers, on a broker whose answers lie ready, and from
//! a producer to a consumer on a real one.

use super::clients::{self, Broker, Programs};
use super::produce::{self, Plan};
use super::table::Table;
use crate::kafka::{self, Cluster};

/// Runs all readers in turn and prints a table of medians and ratios.
///
/// # Errors
/// When something doesn't build, a client fails, or one claims more records than the broker sent.
pub fn run(plan: &Plan) -> Result<(), String> {
    let peers = plan.peers_or(&clients::READERS);
    let mut flags = plan.flags_or("records", "5000000");
    flags.push(("mode".to_owned(), "consume".to_owned()));
    let programs = Programs::build(&peers)?;
    let broker = programs.start_broker(&log(plan, number(&flags, "records")?.saturating_mul(6) / 5)?)?;
    let medians =
        produce::in_turns(&peers, plan.rounds, |peer, topic| programs.read(&broker, peer, topic, &flags))?;
    produce::print(plan, &medians, &produce::throughput(&medians));
    Ok(())
}

/// Prints how many instructions it costs each client to read a record, in its own process, the kernel's not counted.
///
/// # Errors
/// When something doesn't build, a client fails, or there is no valgrind.
pub fn count(plan: &Plan) -> Result<(), String> {
    const FEW: u64 = 500_000;
    let peers = plan.peers_or(&["ottla", "ottla-next", "ottla-batches"]);
    let flags = plan.flags_or("records", "2000000");
    let more = number(&flags, "records")?;
    if more <= FEW {
        return Err(format!("--records must be above {FEW}"));
    }
    let programs = Programs::build(&peers)?;
    let broker = programs.start_broker(&log(plan, more)?)?;
    let mut table = Table::new(&["peer", "instructions per record"]);
    for peer in &peers {
        let all = |records: u64| {
            let mut flags = flags.clone();
            flags.retain(|(name, _)| name != "records" && name != "warmup");
            flags.push(("mode".to_owned(), "consume".to_owned()));
            flags.push(("warmup".to_owned(), "0".to_owned()));
            flags.push(("records".to_owned(), records.to_string()));
            programs.instructions(&broker, peer, &format!("count-{records}-{peer}"), &flags)
        };
        let each = all(more)?.saturating_sub(all(FEW)?) as f64 / (more - FEW) as f64;
        table.row(vec![peer.clone(), format!("{each:.1}")]);
    }
    println!("{}", table.render(plan.markdown));
    Ok(())
}

/// Has each client send records to itself, one after the other, and prints how long they took from end to end; on the
/// brokers of `--brokers`, or on a real Kafka that is started for it.
///
/// # Errors
/// When something doesn't build, a client fails, or no Kafka can be started.
pub fn latency(plan: &Plan) -> Result<(), String> {
    let peers = plan.peers_or(&clients::ECHOES);
    let mut flags = plan.flags_or("records", "5000");
    flags.retain(|(name, _)| name != "brokers");
    flags.push(("mode".to_owned(), "latency".to_owned()));
    flags.push(("partitions".to_owned(), "1".to_owned()));
    let programs = Programs::build(&peers)?;
    let mut started = None;
    let broker = match plan.flag("brokers") {
        Some(bootstrap) => Broker::at(bootstrap),
        None => {
            let cluster = Cluster::builder().version(kafka::DEFAULT_VERSION).nodes(1).jit(kafka::Jit::Full);
            let cluster = cluster.start().map_err(|error| error.to_string())?;
            Broker::at(&started.insert(cluster).bootstrap())
        }
    };
    let run = std::process::id();
    let medians = produce::in_turns(&peers, plan.rounds, |peer, topic| {
        programs.echo(&broker, peer, &format!("{topic}-{run}"), &flags)
    })?;
    produce::print(plan, &medians, &produce::latencies(&medians));
    Ok(())
}

/// What the broker has to hold: so many records and some more, as clients read ahead.
fn log(plan: &Plan, records: u64) -> Result<Vec<(String, String)>, String> {
    let spare = 1_000_000;
    let mut flags = vec![("log-records".to_owned(), (records + spare).to_string())];
    for name in ["size", "key", "compression", "batch-bytes", "active"] {
        flags.extend(plan.flag(name).map(|value| (name.to_owned(), value.to_owned())));
    }
    Ok(flags)
}

fn number(flags: &[(String, String)], name: &str) -> Result<u64, String> {
    let value = flags.iter().rev().find(|(flag, _)| flag == name).map_or("0", |(_, value)| value);
    value.parse().map_err(|error| format!("--{name} {value}: {error}"))
}
