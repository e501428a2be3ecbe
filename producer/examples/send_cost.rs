//! Measures what `try_send` costs, without a broker's share: the producer's task doesn't run while records are appended,
//! and a broker in memory that stores nothing acknowledges them between the rounds.
//!
//! `cargo run --release -p ottla-producer --example send_cost [record bytes] [batch.size]`

#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::sync::Arc;
use std::time::Instant;

use ottla_client::test_support::{Answer, ScriptedDialer, metadata};
use ottla_client::{Client, ClientOptions, Error};
use ottla_producer::{Producer, ProducerOptions, Record};
use ottla_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use ottla_protocol::messages::metadata::MetadataRequest;
use ottla_protocol::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};

const RECORDS: u32 = 500_000;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<usize>().ok());
    let (size, batch_size) = (arguments.next().unwrap_or(100), arguments.next().unwrap_or(1 << 20));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(ottla_client::ErrorKind::Config, "no runtime").with_cause(error))?;
    runtime.block_on(measure(size, batch_size))
}

async fn measure(size: usize, batch_size: usize) -> Result<(), Error> {
    let dialer = ScriptedDialer::new(|request| {
        if request.decode::<MetadataRequest>().is_some() {
            return request.reply::<MetadataRequest>(&metadata(&[1], &[("t", &[1, 1, 1])]));
        }
        if request.decode::<InitProducerIdRequest>().is_some() {
            let id = InitProducerIdResponse { producer_id: 1, producer_epoch: 0, ..Default::default() };
            return request.reply::<InitProducerIdRequest>(&id);
        }
        match request.decode::<ProduceRequest>() {
            Some(produce) => request.reply::<ProduceRequest>(&acknowledge(&produce)),
            None => Answer::Default,
        }
    });
    let client =
        Client::with_dialer(ClientOptions::new().bootstrap_servers("memory:9092"), Arc::new(dialer))?;
    let room = RECORDS as usize * (size + 40) * 2;
    let options = ProducerOptions::new()
        .buffer_memory(room)
        .batch_size(batch_size)
        .max_request_size(batch_size.max(1 << 20) + 1_000);
    let producer = Producer::new(client, options)?;
    let value = vec![b'v'; size];
    producer.send(Record::new("t").value(&value)).await?.await?;
    for round in ["fresh buffers", "pooled buffers", "pooled buffers", "pooled buffers"] {
        let start = Instant::now();
        for _ in 0..RECORDS {
            drop(producer.try_send(Record::new("t").value(&value)).map_err(|refused| refused.error)?);
        }
        let spent = start.elapsed();
        println!("{size} B, {round}: {} ns/record", spent.as_nanos() / u128::from(RECORDS));
        producer.flush().await?;
    }
    Ok(())
}

fn acknowledge(request: &ProduceRequest) -> ProduceResponse {
    let partition = |index| PartitionProduceResponse { index, ..Default::default() };
    let topics = request.topic_data.iter().map(|topic| TopicProduceResponse {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partition_responses: topic.partition_data.iter().map(|data| partition(data.index)).collect(),
        ..Default::default()
    });
    ProduceResponse { responses: topics.collect(), ..Default::default() }
}
