//! What a run is worth: time, processor time and memory of this process.

use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde_json::json;

use crate::settings::Settings;

/// A stopwatch for time and processor time.
pub struct Meter {
    began: Instant,
    user: f64,
    system: f64,
}

/// What a [`Meter`] read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    seconds: f64,
    user: f64,
    system: f64,
}

impl Meter {
    /// Starts.
    pub fn start() -> Meter {
        let (user, system) = processor_time();
        Meter { began: Instant::now(), user, system }
    }

    /// Reads.
    pub fn read(&self) -> Reading {
        let seconds = self.began.elapsed().as_secs_f64();
        let (user, system) = processor_time();
        Reading { seconds, user: user - self.user, system: system - self.system }
    }
}

/// A run as one line of JSON. `latencies` are nanoseconds, if records were awaited one at a time.
pub fn line(
    settings: &Settings,
    text: &str,
    warmup: u64,
    records: u64,
    reading: Reading,
    mut latencies: Vec<u64>,
) -> String {
    let Reading { seconds, user, system } = reading;
    let millions = records as f64 / 1e6;
    let mut line = json!({
        "peer": settings.peer,
        "mode": settings.mode.name(),
        "records": records,
        "warmup": warmup,
        "size": settings.size,
        "key": settings.key.map_or_else(|| "none".to_owned(), |size| size.to_string()),
        "compression": settings.compression,
        "acks": settings.acks,
        "partitions": settings.partitions,
        "tasks": settings.tasks,
        "spread": format!("{:?}", settings.spread).to_lowercase(),
        "seconds": seconds,
        "records_per_s": records as f64 / seconds,
        "mb_per_s": millions * settings.bytes_each() as f64 / seconds,
        "cpu_s_per_million": (user + system) / millions,
        "user_s_per_million": user / millions,
        "sys_s_per_million": system / millions,
        "peak_rss_mb": peak_rss(),
        "settings": text,
    });
    if !latencies.is_empty() {
        latencies.sort_unstable();
        let at = |share: f64| latencies[(share * (latencies.len() - 1) as f64) as usize] as f64 / 1e3;
        line["p50_us"] = at(0.5).into();
        line["p99_us"] = at(0.99).into();
    }
    line.to_string()
}

fn processor_time() -> (f64, f64) {
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    getrusage(UsageWho::RUSAGE_SELF)
        .map_or((0.0, 0.0), |usage| (seconds(usage.user_time()), seconds(usage.system_time())))
}

/// The most memory that this process had resident, in MB. Not by `getrusage`, which counts the parent's before `exec`.
fn peak_rss() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}
