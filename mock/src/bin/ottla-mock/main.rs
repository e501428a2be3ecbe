//! A Kafka cluster in memory for other programs: `ottla-mock --brokers 3 --listen 127.0.0.1:9092`.

#![allow(clippy::disallowed_methods, reason = "a program: it owns the runtime, the signals and the clock")]

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use arguments::{Arguments, USAGE};
use ottla_mock::Mock;
use tokio::sync::oneshot;

mod arguments;
mod control;

/// How often logs are shortened to what their topics keep, as brokers do by default.
const CLEANING: Duration = Duration::from_secs(5 * 60);

fn main() -> ExitCode {
    match Arguments::parse(lexopt::Parser::from_env()) {
        Ok(Some(arguments)) => match run(arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("ottla-mock: {error}");
                ExitCode::FAILURE
            }
        },
        Ok(None) => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ottla-mock: {error}; try --help");
            ExitCode::from(2)
        }
    }
}

#[tokio::main]
async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let mut ended = std::pin::pin!(ended()?);
    let mock = Mock::start(arguments.options)?;
    mock.listen(&arguments.listen).await?;
    // Whoever started this reads the line to learn the addresses; one who stopped reading is no reason to stop.
    let _ = writeln!(io::stdout(), "{}", mock.bootstrap_servers());
    let mut told_to_end = arguments.control.then(|| control::obey(mock.clone()));
    let mut cleaning = tokio::time::interval(CLEANING);
    loop {
        tokio::select! {
            () = &mut ended => return Ok(()),
            () = stdin_ended(&mut told_to_end) => return Ok(()),
            _ = cleaning.tick() => {
                let mut cluster = mock.cluster();
                let now = cluster.now();
                cluster.clean_logs(now);
            }
        }
    }
}

/// Ends with stdin, where that controls the cluster.
async fn stdin_ended(control: &mut Option<oneshot::Receiver<()>>) {
    match control {
        Some(ended) => drop(ended.await),
        None => std::future::pending().await,
    }
}

/// Ends when the user or the system wants the program to end; signals count from the call on.
#[cfg(unix)]
fn ended() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ends when the user wants the program to end.
#[cfg(not(unix))]
fn ended() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
