//! A producer at work.

use std::time::Duration;

use fastrand::Rng;
use ottla_client::Error;
use ottla_mock::history::{Event, Place, RecordId};
use ottla_producer::{Acks, Delivery, Producer, ProducerOptions, Record};
use tokio::task::JoinSet;

use crate::plan::ProducerPlan;
use crate::world::World;

/// A producer that sends numbered records and notes what becomes of them.
#[derive(Debug)]
pub struct Producing {
    /// Which producer it is: no two of a run have the same number.
    pub number: u32,
    /// What it does.
    pub plan: ProducerPlan,
    /// Where it sends.
    pub places: Vec<Place>,
}

impl Producing {
    /// Sends everything, closes, and waits for all outcomes.
    ///
    /// # Errors
    /// Options that no producer can have.
    ///
    /// # Cancel safety
    /// Dropping it is as dropping the producer; what it sent has no outcomes in the history then.
    pub async fn run(self, client: ottla_client::Client, world: World) -> Result<(), Error> {
        let rng = &mut Rng::with_seed(self.plan.seed);
        let recorder = world.recorder();
        if self.plan.careless {
            recorder.note(Event::Careless { producer: self.number });
        }
        let producer = Producer::new(client, self.options())?;
        let mut outcomes = JoinSet::new();
        for sequence in 0..self.plan.records {
            let record = RecordId { producer: self.number, sequence };
            match self.send(rng, &producer, record, &world).await {
                Some(delivery) => {
                    outcomes.spawn(recorder.sent(record, delivery));
                }
                None => recorder.note(Event::Refused { record }),
            }
            if !self.plan.pause.is_zero() && rng.bool() {
                tokio::time::sleep(self.plan.pause.mul_f64(rng.f64())).await;
            }
            if rng.u8(..) < 5 {
                // It fails once the producer is closed, and then the deliveries say what matters.
                let _ = producer.flush().await;
            }
        }
        // An error says that records had to be failed, which their deliveries say, too.
        let _ = producer.close(self.plan.close).await;
        while outcomes.join_next().await.is_some() {}
        Ok(())
    }

    fn options(&self) -> ProducerOptions {
        let ProducerPlan { linger, batch_size, memory, in_flight, delivery_timeout, .. } = self.plan;
        let options = ProducerOptions::new()
            .linger(linger)
            .batch_size(batch_size)
            .buffer_memory(memory)
            .max_in_flight(in_flight)
            .delivery_timeout(delivery_timeout)
            .compression(self.plan.compression)
            .request_timeout(Duration::from_secs(2))
            .max_block(Duration::from_secs(60));
        if self.plan.careless { options.acks(Acks::Leader) } else { options }
    }

    async fn send(
        &self,
        rng: &mut Rng,
        producer: &Producer,
        id: RecordId,
        world: &World,
    ) -> Option<Delivery> {
        let place = &self.places[rng.usize(..self.places.len())];
        let value = id.value(rng.usize(..120));
        let key = rng.u8(..8).to_be_bytes();
        let mut record = Record::new(&place.topic).value(&value).timestamp(world.now_ms());
        match rng.u8(..3) {
            0 => record = record.key(&key),
            1 => record = record.partition(place.partition),
            _ => {}
        }
        if rng.f64() < self.plan.impatience {
            let patience = Duration::from_millis(rng.u64(..20));
            return tokio::time::timeout(patience, producer.send(record)).await.ok()?.ok();
        }
        producer.send(record).await.ok()
    }
}
