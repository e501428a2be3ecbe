//! Harm on demand: lines from stdin that kill, stop and restart brokers.

use std::io::{self, BufRead};
use std::thread;

use ottla_mock::Mock;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Obeys each line of stdin and answers it with one, on a thread of its own. What is returned resolves once stdin has
/// ended.
pub(crate) fn obey(mock: Mock) -> oneshot::Receiver<()> {
    let (end, ended) = oneshot::channel();
    let runtime = Handle::current();
    thread::spawn(move || {
        // A broker that comes back listens again.
        let _runtime = runtime.enter();
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            match harm(&mock, &line) {
                Ok(()) => println!("done"),
                Err(why) => println!("failed: {why}"),
            }
        }
        let _ = end.send(());
    });
    ended
}

fn harm(mock: &Mock, line: &str) -> Result<(), String> {
    let unknown = || format!("`{line}` is none of kill N, stop N and restart N");
    let (verb, broker) = line.trim().split_once(' ').ok_or_else(unknown)?;
    let broker = broker.parse().map_err(|_| unknown())?;
    let done = match verb {
        "kill" => mock.kill_broker(broker),
        "stop" => mock.stop_broker(broker),
        "restart" => mock.restart_broker(broker),
        _ => return Err(unknown()),
    };
    done.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use ottla_mock::ClusterOptions;

    use super::*;

    #[tokio::test]
    async fn lines_do_what_they_say_or_tell_why_not() {
        let mock = Mock::start(ClusterOptions::new().brokers(2)).unwrap();
        assert_eq!(harm(&mock, "kill 2\n"), Ok(()));
        assert_eq!(harm(&mock, "restart 2"), Ok(()));
        assert_eq!(harm(&mock, "stop 1"), Ok(()));
        assert!(harm(&mock, "kill 9").is_err());
        for line in ["", "kill", "kill x", "burn 1"] {
            assert_eq!(harm(&mock, line), Err(format!("`{line}` is none of kill N, stop N and restart N")));
        }
    }
}
