use futures_util::StreamExt;
use ottla::consumer::Part;
use ottla::deserialize::{BigEndian, Nullable, Text};
use ottla::serialize;
use ottla::{Consumer, Decoder, Error, ErrorKind, Kafka, ProducerOptions, Record, Start, TypedRecord};

use crate::{LONG, cluster, options, tp};

async fn readings(kafka: &Kafka) -> Consumer {
    let producer = kafka.producer(ProducerOptions::default()).unwrap();
    let typed = producer.typed::<str, f64>(serialize::Text, serialize::BigEndian);
    typed.send(TypedRecord::new("t").key("cellar").value(&11.5)).await.unwrap().await.unwrap();
    producer.send(Record::new("t").key("attic").value("hot")).await.unwrap().await.unwrap();
    producer.send(Record::new("t").key(b"\xff").value(&1.0_f64.to_be_bytes())).await.unwrap().await.unwrap();
    producer.send(Record::new("t").key("hall")).await.unwrap().await.unwrap();
    typed.send(TypedRecord::new("t").key("roof").value(&-3.0)).await.unwrap().await.unwrap();
    let mut consumer = kafka.consumer(options()).unwrap();
    consumer.assign([(tp(0), Start::Earliest)]).unwrap();
    consumer
}

#[tokio::test(start_paused = true)]
async fn a_bad_record_is_an_item_and_the_next_one_comes() {
    let (_mock, kafka) = cluster(1);
    let mut readings = readings(&kafka).await.typed::<String, f64>(Text, BigEndian);
    let mut said = Vec::new();
    for _ in 0..5 {
        said.push(match readings.next().await.unwrap() {
            Ok(reading) => format!("{} {} {}", reading.record.offset(), reading.key, reading.value),
            Err(bad) => bad.to_string(),
        });
    }
    let bad = |part: &str, offset: i64, why: &str| {
        format!("cannot read the {part} of the record at offset {offset} of t-0: {why}")
    };
    let expected = [
        "0 cellar 11.5".to_owned(),
        bad("value", 1, "3 bytes instead of 8"),
        bad("key", 2, "invalid utf-8 sequence of 1 bytes from index 0"),
        bad("value", 3, "it is null"),
        "4 roof -3".to_owned(),
    ];
    assert_eq!(said, expected);
    readings.into_consumer().close(LONG).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn polls_and_streams_are_typed_and_bad_records_keep_their_bytes() {
    let (_mock, kafka) = cluster(1);
    let mut readings = readings(&kafka).await.typed::<String, Option<f64>>(Text, Nullable(BigEndian));
    let items = readings.poll(LONG).await.unwrap();
    assert_eq!(items[0].as_ref().unwrap().value, Some(11.5));
    let mut rest: Vec<_> = items.into_iter().skip(1).collect();
    while rest.len() < 4 {
        rest.push(readings.stream().next().await.unwrap().unwrap());
    }
    let bad = rest.remove(0).unwrap_err();
    assert_eq!((bad.part, bad.record.value()), (Part::Value, Some(&b"hot"[..])));
    assert_eq!(Error::from(bad).kind(), ErrorKind::Serialization);
    assert_eq!(rest.remove(0).unwrap_err().part, Part::Key);
    assert_eq!(rest.remove(0).unwrap().value, None);
    let decoder: Decoder<String, f64> = Decoder::new(Text, BigEndian);
    assert_eq!(decoder.decode(rest.remove(0).unwrap().record).unwrap().value, -3.0);
}
