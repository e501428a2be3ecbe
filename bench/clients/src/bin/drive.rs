//! Drives one client through one run and prints what it took, as a line of JSON.

use std::process::ExitCode;

use ottla_bench_clients::load::Load;
use ottla_bench_clients::report::{self, Meter};
use ottla_bench_clients::settings::{Mode, Settings};
use ottla_bench_clients::{Failure, admin, echo, peers, readers};

fn main() -> ExitCode {
    match run() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("drive: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, Failure> {
    let settings = Settings::from_args()?;
    admin::create_topic(&settings.brokers, &settings.topic, settings.partitions)?;
    match settings.mode {
        Mode::CreateTopic => Ok(settings.topic),
        Mode::Count => Ok(admin::count(&settings.brokers, &settings.topic)?.to_string()),
        Mode::CountSent => Ok(admin::count_sent(&settings.brokers, &settings.topic)?.to_string()),
        Mode::Produce | Mode::ProduceAwait => measure(&settings),
        Mode::Consume => read(&settings),
        Mode::Latency => bounce(&settings),
    }
}

fn measure(settings: &Settings) -> Result<String, Failure> {
    let peer = peers::start(settings, Load::new(settings))?;
    let awaiting = settings.mode == Mode::ProduceAwait;
    let send = |first, count| {
        if awaiting {
            let latencies = peer.produce_awaiting(first, count)?;
            Ok::<_, Failure>((latencies.len() as u64, latencies))
        } else {
            Ok((peer.produce(first, count)?, Vec::new()))
        }
    };
    let (warmup, _) = if settings.warmup > 0 { send(0, settings.warmup)? } else { (0, Vec::new()) };
    let meter = Meter::start();
    let (records, latencies) = send(settings.warmup, settings.records)?;
    let reading = meter.read();
    Ok(report::line(settings, &peer.settings(), warmup, records, reading, latencies))
}

fn read(settings: &Settings) -> Result<String, Failure> {
    let mut reader = readers::start(settings)?;
    let mut read = |count| {
        let seen = if count > 0 { reader.read(count)? } else { readers::Seen::default() };
        let bytes = seen.records * settings.bytes_each() as u64;
        match seen.records >= count && seen.bytes == bytes {
            true => Ok(seen.records),
            false => Err::<_, Failure>(format!("{seen:?} instead of {count} records, {bytes} bytes").into()),
        }
    };
    let warmup = read(settings.warmup)?;
    let meter = Meter::start();
    let records = read(settings.records)?;
    let reading = meter.read();
    Ok(report::line(settings, &reader.settings(), warmup, records, reading, Vec::new()))
}

fn bounce(settings: &Settings) -> Result<String, Failure> {
    let mut echo = echo::start(settings)?;
    if settings.warmup > 0 {
        echo.bounce(settings.warmup)?;
    }
    let meter = Meter::start();
    let latencies = echo.bounce(settings.records)?;
    let reading = meter.read();
    Ok(report::line(settings, &echo.settings(), settings.warmup, settings.records, reading, latencies))
}
