//! Instructions per unit of each workload, by callgrind, and how many times Ottla's the others take.
//!
//! `count` runs itself under `valgrind --tool=callgrind`, with few rounds and with more, and divides the difference: what
//! preparing takes falls out.

use std::error::Error;
use std::process::{Command, ExitCode};

use ottla_bench::protocol::WORKLOADS;

const FEW: usize = 2;
const MORE: usize = 12;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [workload, contestant, rounds] => run(workload, contestant, rounds),
        _ => table(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("count: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(workload: &str, contestant: &str, rounds: &str) -> Result<(), Box<dyn Error>> {
    let workload = WORKLOADS.get(workload.parse::<usize>()?).ok_or("no such workload")?;
    let contestant = workload.contestants.get(contestant.parse::<usize>()?).ok_or("no such contestant")?;
    (contestant.run)(rounds.parse()?);
    Ok(())
}

fn table() -> Result<(), Box<dyn Error>> {
    for (at, workload) in WORKLOADS.iter().enumerate() {
        println!("{}, instructions per {}:", workload.name, workload.unit);
        let mut ours = None;
        for (who, contestant) in workload.contestants.iter().enumerate() {
            let difference = counted(at, who, MORE)?.saturating_sub(counted(at, who, FEW)?);
            let each = difference as f64 / ((MORE - FEW) * workload.units) as f64;
            let ratio = each / *ours.get_or_insert(each);
            println!("  {:<16}{each:>12.1}  {ratio:>6.2} times", contestant.library);
        }
    }
    Ok(())
}

/// Instructions of the whole process.
fn counted(workload: usize, contestant: usize, rounds: usize) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([workload, contestant, rounds].map(|number| number.to_string()))
        .output()
        .map_err(|error| format!("valgrind can't be started, is it installed? {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("the workload failed:\n{report}").into());
    }
    let line = report.lines().find(|line| line.contains("Collected") || line.contains("refs:"));
    let digits = line.and_then(|line| line.rsplit(':').next()).map(|count| count.replace([',', ' '], ""));
    Ok(digits.ok_or_else(|| format!("valgrind gave no count:\n{report}"))?.parse()?)
}
