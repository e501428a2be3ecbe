use std::sync::{Arc, Mutex};
use std::time::Duration;

use ottla::TopicPartition;
use ottla::consumer::{ListenerFuture, RebalanceContext, RebalanceListener, Strategy};

use crate::{LONG, cluster, options, write_numbers};

/// Notes what it is told.
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note<'a>(&'a mut self, what: &str, partitions: &[TopicPartition]) -> ListenerFuture<'a> {
        let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        self.0.lock().unwrap().push(format!("{what} {}", names.join(" ")));
        Box::pin(std::future::ready(Ok(())))
    }
}

impl RebalanceListener for Notes {
    fn assigned<'a>(
        &'a mut self,
        _: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        self.note("assigned", partitions)
    }

    fn revoked<'a>(
        &'a mut self,
        _: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        self.note("revoked", partitions)
    }

    fn lost<'a>(
        &'a mut self,
        _: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        self.note("lost", partitions)
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_oversleeps_with_a_revocation_to_do_gets_no_record_before_it_hears_of_its_loss() {
    let (_mock, kafka) = cluster(2);
    write_numbers(&kafka, 2, 100).await;
    let member = || {
        let options = options().partition_assignment_strategy(vec![Strategy::CooperativeSticky]);
        let options = options.enable_auto_commit(false).max_poll_records(5usize);
        kafka.consumer(options.max_poll_interval(Duration::from_secs(20))).unwrap()
    };
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut first = member();
    first.subscribe_with(["t"], Notes(Arc::clone(&told))).unwrap();
    while first.poll(LONG).await.unwrap().is_empty() {}
    // Records of both are at hand from now on.
    while first.metrics().partitions.values().any(|partition| partition.buffered_bytes == 0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut second = member();
    second.subscribe(["t"]).unwrap();
    let mut reads = 0;
    let asleep = tokio::time::Instant::now();
    while asleep.elapsed() < Duration::from_secs(40) {
        reads += second.poll(Duration::from_millis(100)).await.unwrap().len();
    }
    assert_eq!(reads, 200, "all is the second member's");
    assert_eq!(*told.lock().unwrap(), ["assigned t-0 t-1"]);
    let heard = |what: &str| told.lock().unwrap().iter().any(|told| told.starts_with(what));
    while !heard("lost") {
        let records = first.poll(Duration::from_millis(100)).await.unwrap();
        assert!(records.is_empty(), "{records:?} after {:?}", told.lock().unwrap());
    }
    let told = told.lock().unwrap().clone();
    assert!(told[1].starts_with("revoked t-") && told[2].starts_with("lost t-"), "{told:?}");
}
