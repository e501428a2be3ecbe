//! What the README's commands and CI call: `cargo xtask …`.

use std::process::ExitCode;

use lexopt::prelude::*;
use xtask::bench::{self, Figure, consume, produce};
use xtask::gates::{self, Selection};
use xtask::kafka::{self, Cluster, Jit, standing};
use xtask::{bans, fuzz, interop, quickstart, schema, sim};

const HELP: &str = "\
cargo xtask test [--fast] [--suite NAME]                      every gate in order, or one of them
cargo xtask quickstart [--records N] [--version V]            the quick start example on a real Kafka
cargo xtask conformance [-- ARGUMENTS]                        Kafka's schemas and bytes against ours
cargo xtask bench [--count]                                   messages and batches next to another library: times, or instructions
cargo xtask bench produce [--peers A,B] [--rounds N] [--markdown] [--records N] [--size N] …
                                                              producers next to other clients, on a broker that stores nothing
cargo xtask bench count-produce [--peers A,B] [--size N] …    instructions per record, by callgrind
cargo xtask bench consume [--peers A,B] [--rounds N] [--markdown] [--records N] [--compression C] …
                                                              consumers next to other clients, on a broker whose answers lie ready
cargo xtask bench count-consume [--peers A,B] …               instructions per record, by callgrind
cargo xtask bench latency [--peers A,B] [--brokers LIST] …    from send to poll, on a real Kafka
cargo xtask schema [--version V]                              our message tables against a Kafka version's schemas
cargo xtask fuzz [--seconds N] [--jobs N] [TARGET…]           fuzz targets, all or those that are named
cargo xtask fuzz seed                                         their first inputs, from Kafka's bytes
cargo xtask sim [--seeds N] [--start S] [--print]             seeded runs on a cluster in memory, with faults
cargo xtask interop [--peer rdkafka|franz-go] [--against mock|kafka] [--as RELEASE] [--scenario NAME]
                                                              other people's clients on the mock, or on a real Kafka
cargo xtask bans                                              dependencies, licences, sources
cargo xtask kafka up [--version V] [--nodes N] [--full-jit]   start a real Kafka and print its bootstrap list
cargo xtask kafka down [ID]                                   stop what `up` started: one cluster or all
cargo xtask kafka list                                        show what `up` started
";

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let mut arguments = lexopt::Parser::from_env();
    match word(&mut arguments)?.as_deref() {
        Some("kafka") => match word(&mut arguments)?.as_deref() {
            Some("up") => kafka_up(&mut arguments),
            Some("hold") => kafka_hold(&mut arguments),
            Some("down") => kafka_down(&mut arguments),
            Some("list") => kafka_list(&mut arguments),
            other => Err(format!("kafka what? got {other:?}\n{HELP}").into()),
        },
        Some("test") => test(&mut arguments),
        Some("quickstart") => run_quickstart(&mut arguments),
        Some("conformance") => {
            let passed = arguments.raw_args()?.map(|word| word.string()).collect::<Result<Vec<_>, _>>()?;
            Ok(gates::conformance(passed.strip_prefix(&["--".to_owned()][..]).unwrap_or(&passed))?)
        }
        Some("bench") => run_bench(&mut arguments),
        Some("schema") => run_schema(&mut arguments),
        Some("fuzz") => run_fuzz(&mut arguments),
        Some("sim") => run_sim(&mut arguments),
        Some("interop") => run_interop(&mut arguments),
        Some("bans") => {
            finished(&mut arguments)?;
            Ok(bans::check()?)
        }
        None | Some("help") => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => Err(format!("no command `{other}`\n{HELP}").into()),
    }
}

fn test(arguments: &mut lexopt::Parser) -> Outcome {
    let mut selection = Selection::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("fast") => selection.fast = true,
            Long("suite") => selection.suite = Some(arguments.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(gates::test(&selection)?)
}

fn run_bench(arguments: &mut lexopt::Parser) -> Outcome {
    let figure = match arguments.next()? {
        None => Figure::Time,
        Some(Long("count")) => Figure::Instructions,
        Some(Value(what)) => {
            return match what.string()?.as_str() {
                "produce" => Ok(produce::run(&produce_plan(arguments)?)?),
                "consume" => Ok(consume::run(&produce_plan(arguments)?)?),
                "count-consume" => Ok(consume::count(&produce_plan(arguments)?)?),
                "latency" => Ok(consume::latency(&produce_plan(arguments)?)?),
                "count-produce" => Ok(produce::count(&produce_plan(arguments)?)?),
                other => Err(format!("no bench `{other}`\n{HELP}").into()),
            };
        }
        Some(other) => return Err(other.unexpected().into()),
    };
    finished(arguments)?;
    Ok(bench::run(figure)?)
}

fn produce_plan(arguments: &mut lexopt::Parser) -> Result<produce::Plan, lexopt::Error> {
    let mut plan = produce::Plan::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("peers") => {
                plan.peers = arguments.value()?.string()?.split(',').map(str::to_owned).collect();
            }
            Long("rounds") => plan.rounds = arguments.value()?.parse()?,
            Long("markdown") => plan.markdown = true,
            Long(flag) if produce::FLAGS.contains(&flag) => {
                let flag = flag.to_owned();
                plan.flags.push((flag, arguments.value()?.string()?));
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(plan)
}

fn run_quickstart(arguments: &mut lexopt::Parser) -> Outcome {
    let (mut version, mut records) = (kafka::DEFAULT_VERSION.to_owned(), None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("version") => version = arguments.value()?.string()?,
            Long("records") => records = Some(arguments.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(quickstart::run(&version, records.as_deref())?)
}

fn run_sim(arguments: &mut lexopt::Parser) -> Outcome {
    let (mut seeds, mut start, mut print) = (None, None, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("seeds") => seeds = Some(arguments.value()?.string()?),
            Long("start") => start = Some(arguments.value()?.string()?),
            Long("print") => print = true,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(sim::run(seeds.as_deref(), start.as_deref(), print)?)
}

fn run_interop(arguments: &mut lexopt::Parser) -> Outcome {
    let mut plan = interop::Plan::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("peer") => plan.peer = Some(arguments.value()?.parse()?),
            Long("against") => plan.against = arguments.value()?.parse()?,
            Long("as") => plan.release = Some(arguments.value()?.string()?),
            Long("scenario") => plan.scenario = Some(arguments.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(interop::run(&plan)?)
}

fn run_schema(arguments: &mut lexopt::Parser) -> Outcome {
    let mut version = None;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("version") => version = Some(arguments.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(schema::run(version.as_deref())?)
}

fn run_fuzz(arguments: &mut lexopt::Parser) -> Outcome {
    let mut plan = fuzz::Plan::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("seconds") => plan.seconds = arguments.value()?.parse()?,
            Long("jobs") => plan.jobs = arguments.value()?.parse()?,
            Value(target) => plan.targets.push(target.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let done = if plan.targets == ["seed"] { fuzz::seed() } else { fuzz::run(&plan) };
    Ok(done?)
}

fn kafka_up(arguments: &mut lexopt::Parser) -> Outcome {
    let (asked, _) = cluster_arguments(arguments)?;
    let mut passed =
        vec!["--version".to_owned(), asked.version, "--nodes".to_owned(), asked.nodes.to_string()];
    if asked.jit == Jit::Full {
        passed.push("--full-jit".to_owned());
    }
    let cluster = standing::up(&passed)?;
    println!("{}", cluster.bootstrap);
    eprintln!("Kafka {} stands; stop it with: cargo xtask kafka down {}", cluster.version, cluster.id);
    Ok(())
}

fn kafka_hold(arguments: &mut lexopt::Parser) -> Outcome {
    let (asked, token) = cluster_arguments(arguments)?;
    let builder = Cluster::builder().version(asked.version).nodes(asked.nodes).jit(asked.jit);
    Ok(standing::hold(builder, &token)?)
}

fn kafka_down(arguments: &mut lexopt::Parser) -> Outcome {
    let id = word(arguments)?;
    finished(arguments)?;
    let ended = standing::down(id.as_deref())?;
    if ended.is_empty() {
        println!("nothing to stop");
    }
    for cluster in ended {
        println!("stopped {} ({})", cluster.id, cluster.bootstrap);
    }
    Ok(())
}

fn kafka_list(arguments: &mut lexopt::Parser) -> Outcome {
    finished(arguments)?;
    for cluster in standing::list()? {
        println!("{}  Kafka {}  {}", cluster.id, cluster.version, cluster.bootstrap);
    }
    Ok(())
}

/// What `up` and `hold` take.
struct Asked {
    version: String,
    nodes: usize,
    jit: Jit,
}

fn cluster_arguments(arguments: &mut lexopt::Parser) -> Result<(Asked, String), lexopt::Error> {
    let mut asked = Asked { version: kafka::DEFAULT_VERSION.to_owned(), nodes: 1, jit: Jit::Quick };
    let mut token = String::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("version") => asked.version = arguments.value()?.string()?,
            Long("nodes") => asked.nodes = arguments.value()?.parse()?,
            Long("full-jit") => asked.jit = Jit::Full,
            Long("token") => token = arguments.value()?.string()?,
            other => return Err(other.unexpected()),
        }
    }
    Ok((asked, token))
}

fn word(arguments: &mut lexopt::Parser) -> Result<Option<String>, lexopt::Error> {
    match arguments.next()? {
        None => Ok(None),
        Some(Value(value)) => value.string().map(Some),
        Some(Long("help") | Short('h')) => Ok(Some("help".to_owned())),
        Some(other) => Err(other.unexpected()),
    }
}

fn finished(arguments: &mut lexopt::Parser) -> Result<(), lexopt::Error> {
    match arguments.next()? {
        None => Ok(()),
        Some(other) => Err(other.unexpected()),
    }
}
