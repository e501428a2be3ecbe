//! Batches are as large as `batch.size` says once they are compressed, and fit into a request even if they were
//! expected to become smaller than they did.

use ottla_protocol::compression::Compression;
use ottla_protocol::records::ProducerState;

use super::*;

const LIMIT: usize = 4_000;

fn lz4() -> Compressor {
    Compressor::new(Compression::Lz4.default_level()).expect("built in")
}

fn bench() -> Bench {
    let mut bench = Bench::new(1, 1_000, |rules| rules.max_request_size = LIMIT);
    bench.sender.compressor = lz4();
    bench
}

impl Bench {
    /// Sends what is due and acknowledges it; the sizes and record counts of the batches in order.
    fn deliver(&mut self) -> Vec<(usize, i32)> {
        let mut batches = Vec::new();
        for _ in 0..10_000 {
            self.absorb();
            for SealJob { index, job, body } in self.sender.seal_jobs() {
                let body = body.seal(ProducerState::NONE, &mut lz4()).expect("a codec that takes everything");
                self.sender.sealed(index, job, Ok(body), self.now);
            }
            let Some(planned) = self.sender.plan(1, self.now) else {
                if self.sender.staging.is_idle() { break } else { continue }
            };
            for item in planned.items {
                let batch = Batches::new(item.records.clone()).next().expect("a batch").expect("whole");
                batches.push((item.records.len(), batch.header().count));
            }
            self.answer(planned.id, ErrorCode::NONE);
        }
        batches
    }

    fn send_and_deliver(&mut self, count: usize, value: impl Fn(usize) -> [u8; 100]) -> Vec<(usize, i32)> {
        let mut sent: Vec<_> = (0..count).map(|at| self.send(0, &value(at))).collect();
        self.now += MS(10);
        let batches = self.deliver();
        for delivery in &mut sent {
            let outcome = delivery.outcome().expect("told");
            outcome.expect("acknowledged");
        }
        batches
    }
}

fn noise(at: usize) -> [u8; 100] {
    let mut rng = fastrand::Rng::with_seed(at as u64);
    std::array::from_fn(|_| rng.u8(..))
}

#[test]
fn records_that_compress_well_fill_batches_by_their_compressed_size() {
    let mut bench = bench();
    let first = bench.send_and_deliver(100, |_| [7; 100]);
    assert_eq!(first[0].1, 8, "nothing is known of the ratio: 1000 bytes before compression");
    for _ in 0..40 {
        bench.send_and_deliver(300, |_| [7; 100]);
    }
    let learned = bench.send_and_deliver(2_000, |_| [7; 100]);
    assert!(learned.iter().any(|(_, records)| *records > 100), "{learned:?}");
    assert!(learned.iter().all(|(bytes, _)| *bytes <= 1_000), "{learned:?}");
    assert_eq!(learned.iter().map(|(_, records)| records).sum::<i32>(), 2_000);
}

#[test]
fn batches_that_compress_worse_than_those_before_are_split_before_they_are_sent() {
    let mut bench = bench();
    for _ in 0..40 {
        bench.send_and_deliver(300, |_| [7; 100]);
    }
    let worse = bench.send_and_deliver(1_000, noise);
    assert_eq!(worse.iter().map(|(_, records)| records).sum::<i32>(), 1_000);
    assert!(worse.iter().all(|(bytes, _)| *bytes <= LIMIT), "{worse:?}");
    let again = bench.send_and_deliver(100, noise);
    assert!(again.iter().all(|(bytes, records)| *bytes <= 1_000 && *records <= 9), "{again:?}");
}
