//! Workers that acknowledge what they have done, and stop at Ctrl-C or SIGTERM with nothing lost.
//!
//! `cargo run -p ottla --example workers --features signal -- localhost:9092 orders`
//!
//! Every record goes to a task of its own. Commits go as far as the tasks have acknowledged without a gap, so a crash repeats
//! what was in work and loses none of it.

use std::time::Duration;

use ottla::{CommitMode, ConsumerOptions, Error, ErrorKind, Kafka, Shutdown};
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or_else(|| "orders".to_owned());

    let shutdown = Shutdown::on_signals()?;
    let kafka = Kafka::connect(&servers)?;
    let options = ConsumerOptions::new().group_id("workers").commit_mode(CommitMode::Acked);
    let mut consumer = kafka.consumer(options)?;
    consumer.subscribe([topic])?;
    consumer.stop_with(&shutdown);
    let acknowledger = consumer.acknowledger()?;

    let mut tasks = JoinSet::new();
    loop {
        let record = match consumer.next().await {
            Ok(record) => record,
            Err(error) if error.kind() == ErrorKind::Shutdown => break,
            Err(error) if error.is_retriable() => {
                eprintln!("{error}");
                continue;
            }
            Err(error) => return Err(error),
        };
        let acknowledger = acknowledger.clone();
        tasks.spawn(async move {
            println!("{} at {}", record.topic_partition(), record.offset());
            acknowledger.ack(&record);
        });
        while tasks.len() >= 100 {
            tasks.join_next().await;
        }
    }
    while tasks.join_next().await.is_some() {}
    consumer.close(Duration::from_secs(10)).await
}
