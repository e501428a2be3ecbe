//! What is logged, and what is not.

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.clone()
    }
}

impl Lines {
    /// The lines of the producer that hold this text.
    fn with(&self, text: &str) -> Vec<String> {
        let logged = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let own = logged.lines().filter(|line| line.contains("ottla_producer"));
        own.filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn batches_and_requests_are_traced_records_are_not_and_nothing_shows_a_payload() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    // With a single subscriber, events first met by a thread of another test would be switched off for all.
    let _second = ::tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = ::tracing::subscriber::set_default(subscriber);
    let cluster = Cluster::new(&[1]);
    let mut requests = 0;
    cluster.on_produce(move |_, received| {
        requests += 1;
        let code = match requests {
            1 => ErrorCode::NOT_ENOUGH_REPLICAS,
            3 => ErrorCode::TOPIC_AUTHORIZATION_FAILED,
            _ => return None,
        };
        Some(refuse(received, code, None))
    });
    let producer = Producer::new(cluster.client(), ProducerOptions::new().batch_size(100_000usize)).unwrap();
    let headers = [crate::Header::new("secret-name", "secret-value")];
    for _ in 0..100 {
        let record = Record::new("t").key("secret-key").value("secret-value").headers(&headers);
        drop(producer.send(record).await.unwrap());
    }
    producer.flush().await.unwrap();
    drop(producer.send(Record::new("t").value("secret-value")).await.unwrap());
    producer.flush().await.unwrap();

    let one = |text: &str| match &lines.with(text)[..] {
        [line] => line.clone(),
        found => panic!("`{text}` in {found:?} of {:#?}", lines.with("")),
    };
    let written = one("a batch is written");
    assert!(written.contains("TRACE produce{node=1 request=1 batches=1 bytes="), "{written}");
    assert!(written.contains("topic=t partition=0 records=100 bytes="), "{written}");
    assert!(written.contains("tries=2 offset=0 age="), "{written}");
    let refused = lines.with("a broker refused a batch");
    assert!(refused[0].contains("DEBUG") && refused[0].contains("NOT_ENOUGH_REPLICAS"), "{refused:?}");
    let failed = one("a batch failed");
    assert!(
        failed.contains("WARN") && failed.contains("records=1 tries=1 possibly_written=false"),
        "{failed}"
    );
    assert_eq!((lines.with("sending a batch").len(), lines.with("a produce request is over").len()), (3, 3));
    assert_eq!(lines.with("secret"), [""; 0]);
    assert!(lines.with("").len() < 20, "{:#?}", lines.with(""));
}
