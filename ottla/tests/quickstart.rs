//! The quick start's job on a cluster in memory: the code that the example runs, with fewer records.

#![allow(clippy::disallowed_methods, reason = "the job reads clocks and spawns tasks")]

use job::Job;
use ottla::mock::{ApiKey, ClusterOptions, Fault, Mock};
use ottla::{Error, Kafka};

#[path = "../examples/quickstart/job.rs"]
mod job;

fn cluster() -> Mock {
    Mock::start(ClusterOptions::new().brokers(3).config("group.initial.rebalance.delay.ms", "0"))
        .expect("a cluster")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_arrives_once_and_in_order() -> Result<(), Error> {
    let kafka = Kafka::embedded(&cluster())?;
    assert_eq!(Job { records: 20_000, size: 100 }.run(&kafka).await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn lost_answers_and_cut_connections_change_nothing() -> Result<(), Error> {
    let mock = cluster();
    let lost = mock.cluster().on(ApiKey::PRODUCE).skip(2).times(3, Fault::drop_answer());
    let cut = mock.cluster().on(ApiKey::FETCH).skip(2).times(3, Fault::cut_answer_at(1000));
    let kafka = Kafka::embedded(&mock)?;
    assert_eq!(Job { records: 5_000, size: 100 }.run(&kafka).await?, Vec::<String>::new());
    let cluster = mock.cluster();
    assert_eq!((cluster.hits(lost), cluster.hits(cut)), (3, 3), "both things happened");
    Ok(())
}
