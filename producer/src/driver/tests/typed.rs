//! Values instead of bytes.

use ottla_client::serialize::{BigEndian, Nullable, SerializeError, Text, serialize_with};

use super::*;
use crate::{TypedProducer, TypedRecord};

#[tokio::test(start_paused = true)]
async fn values_arrive_as_the_bytes_of_their_serializer() {
    let cluster = Cluster::new(&[1]);
    let producer = Producer::new(cluster.client(), ProducerOptions::new()).unwrap();
    let numbers: TypedProducer<str, u32> = producer.typed(Text, BigEndian);
    let record = TypedRecord::new("t").key("k");
    let sent = [
        numbers.send(record.value(&1)).await.unwrap(),
        numbers.try_send(record.value(&2).timestamp(77)).unwrap(),
    ];
    let timestamps: Vec<_> = join_all(sent).await.into_iter().map(|sent| sent.unwrap().timestamp).collect();
    assert_eq!(timestamps[1], 77);
    let (told, telling) = tokio::sync::oneshot::channel();
    numbers.send_with(record.value(&3), |outcome| told.send(outcome).unwrap()).await;
    assert_eq!(telling.await.unwrap().unwrap().offset, Some(2));
    assert_eq!(cluster.log(0), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn what_has_no_bytes_fails_its_record_before_it_takes_room() {
    let cluster = Cluster::new(&[1]);
    let producer = Producer::new(cluster.client(), ProducerOptions::new()).unwrap();
    let even = serialize_with(|_: &str, number: &u32, out: &mut Vec<u8>| {
        out.extend_from_slice(&number.to_be_bytes());
        if number.is_multiple_of(2) { Ok(()) } else { Err(SerializeError::new(format!("{number} is odd"))) }
    });
    let numbers: TypedProducer<Option<String>, u32> = producer.typed(Nullable(Text), even);
    let good = numbers.send(TypedRecord::new("t").key(&None).value(&2)).await.unwrap();
    good.await.unwrap();
    let record = TypedRecord::new("t").value(&3);
    let text = "cannot serialize the value of a record for topic t: 3 is odd";
    let error = numbers.send(record).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::Serialization, text.to_owned()));
    let refused = numbers.try_send(record).unwrap_err();
    assert_eq!((refused.error.to_string(), refused.record.topic()), (text.to_owned(), "t"));
    let (told, telling) = tokio::sync::oneshot::channel();
    numbers.send_with(record, |outcome| told.send(outcome).unwrap()).await;
    assert_eq!(telling.await.unwrap().unwrap_err().to_string(), text);
    assert_eq!((producer.metrics().buffer.in_use, cluster.log(0)), (0, vec![2]));
    numbers.send(TypedRecord::new("t").value(&4)).await.unwrap().await.unwrap();
    assert_eq!(cluster.log(0), [2, 4]);
}
