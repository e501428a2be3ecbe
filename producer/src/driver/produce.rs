//! Between the sender's batches and Produce's messages.
//!
//! Sources: KIP-219 (throttling), KIP-467 (record errors), KIP-516 (topic ids), KIP-951 (leader hints).

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::{Client, Cluster, Connection, Error, ErrorKind, Leader, LeaderHint, Node, TopicPartition};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
};
use ottla_protocol::uuid::Uuid;

use super::brokers::Answering;
use crate::options::{CompressionType, ProducerValues};
use crate::sender::{Answer, Item, Said};

/// The first version that carries record batches.
const RECORD_BATCHES: i16 = 3;
/// The first version whose brokers read zstd.
const ZSTD: i16 = 7;
/// The last version that names topics.
const TOPIC_NAMES: i16 = 12;

/// What is the same for all requests.
#[derive(Debug)]
pub(super) struct Terms {
    acks: i16,
    timeout_ms: i32,
    zstd: bool,
}

impl Terms {
    pub(super) fn of(values: &ProducerValues) -> Self {
        Terms {
            acks: values.required_acks.number(),
            timeout_ms: i32::try_from(values.request_timeout.as_millis()).unwrap_or(i32::MAX),
            zstd: values.compression == CompressionType::Zstd,
        }
    }
}

/// A batch that was sent, to be found again in the answer.
#[derive(Debug)]
pub(super) struct SentItem {
    topic: Arc<str>,
    topic_id: Uuid,
    partition: i32,
}

/// Submits a request with these batches.
pub(super) fn submit(
    connection: &Connection,
    items: Vec<Item>,
    terms: &Terms,
    cluster: &Cluster,
    deadline: Instant,
) -> Result<(Vec<SentItem>, Answering), Error> {
    let (sent, topics) = by_topic(items, cluster);
    let by_id = topics.iter().all(|topic| !topic.topic_id.is_zero());
    let version = connection.version_at_most::<ProduceRequest>(if by_id { i16::MAX } else { TOPIC_NAMES })?;
    let needed = if terms.zstd { ZSTD } else { RECORD_BATCHES };
    if version < needed {
        let message = format!(
            "node {} speaks Produce up to version {version}, and {needed} is needed: use a newer broker{}",
            connection.node(),
            if terms.zstd { " or another codec than zstd" } else { "" }
        );
        return Err(Error::new(ErrorKind::UnsupportedVersion, message));
    }
    let request = ProduceRequest {
        acks: terms.acks,
        timeout_ms: terms.timeout_ms,
        topic_data: topics,
        ..ProduceRequest::default()
    };
    let answering: Answering = if terms.acks == 0 {
        let written = connection.submit_one_way(&request, version, deadline)?;
        Box::pin(async move { written.await.map(|()| None) })
    } else {
        let reply = connection.submit(&request, version, deadline)?;
        Box::pin(async move { reply.await.map(Some) })
    };
    Ok((sent, answering))
}

/// Sorts batches by topic: partitions of one mostly come together.
fn by_topic(items: Vec<Item>, cluster: &Cluster) -> (Vec<SentItem>, Vec<TopicProduceData>) {
    let mut sent: Vec<SentItem> = Vec::with_capacity(items.len());
    let mut topics: Vec<TopicProduceData> = Vec::new();
    // Looked at only where there are several topics.
    let (mut latest, mut places) = (0, BTreeMap::new());
    for Item { topic, partition, records } in items {
        let at = match sent.last() {
            None => 0,
            Some(last) if last.topic == topic => latest,
            Some(_) => {
                places.entry(Arc::clone(&sent[0].topic)).or_insert(0);
                *places.entry(Arc::clone(&topic)).or_insert(topics.len())
            }
        };
        latest = at;
        if at == topics.len() {
            let topic_id = cluster.topic(&topic).map_or(Uuid::ZERO, |topic| topic.id);
            topics.push(TopicProduceData {
                name: String::from(&*topic),
                topic_id,
                ..TopicProduceData::default()
            });
        }
        let topic_id = topics[at].topic_id;
        topics[at].partition_data.push(PartitionProduceData {
            index: partition,
            records: Some(records),
            ..PartitionProduceData::default()
        });
        sent.push(SentItem { topic, topic_id, partition });
    }
    (sent, topics)
}

/// How long the broker wants to be left alone.
pub(super) fn throttle(response: &ProduceResponse) -> Duration {
    Duration::from_millis(u64::try_from(response.throttle_time_ms).unwrap_or(0))
}

/// Passes on where moved partitions are now; true if the answer told of any. Of each partition it is heard once, and nothing is
/// searched for row by row: a broker may send as many rows as fit into a response.
pub(super) fn learn_leaders(client: &Client, sent: &[SentItem], response: &ProduceResponse) -> bool {
    let rows = response.responses.iter().flat_map(|topic| {
        let partitions = topic.partition_responses.iter();
        partitions.map(move |partition| (&topic.name, topic.topic_id, partition))
    });
    let mut moved = rows
        .filter(|(.., partition)| !partition.error_code.is_ok() && partition.current_leader.leader_id >= 0)
        .peekable();
    if moved.peek().is_none() {
        return false;
    }
    let endpoints: HashMap<_, _> = response.node_endpoints.iter().map(|node| (node.node_id, node)).collect();
    let mut places = Places::of(sent);
    let hints = moved.filter_map(|(name, topic_id, partition)| {
        let item = sent.get(places.take(name, topic_id, partition.index)?)?;
        let leader = &partition.current_leader;
        let endpoint = endpoints.get(&leader.leader_id).and_then(|node| {
            Some(Node {
                id: node.node_id,
                host: node.host.as_str().into(),
                port: u16::try_from(node.port).ok()?,
                rack: node.rack.as_deref().map(Into::into),
            })
        });
        Some(LeaderHint {
            partition: TopicPartition::new(Arc::clone(&item.topic), item.partition),
            topic_id: item.topic_id,
            leader: Leader { node: leader.leader_id, epoch: leader.leader_epoch },
            endpoint,
        })
    });
    let hints: Vec<_> = hints.collect();
    let learned = !hints.is_empty();
    client.learn_leaders(hints);
    learned
}

/// What a response says, by the place of a batch in its request.
#[derive(Debug)]
pub(super) struct Answers(Vec<Option<Said>>);

impl Answers {
    /// The answer for the batch at this place.
    pub(super) fn next(&mut self, at: usize) -> Answer {
        match self.0.get_mut(at).and_then(Option::take) {
            Some(said) => Answer::Said(said),
            None => {
                let message =
                    "a broker answered a produce request without saying what became of each partition";
                Answer::Failed(Error::new(ErrorKind::Protocol, message).with_possibly_written(true))
            }
        }
    }
}

/// Sorts a response by the batches of its request. Most are in their order, but brokers don't promise it.
pub(super) fn answers(sent: &[SentItem], response: ProduceResponse) -> Answers {
    let places = OnceCell::new();
    let mut said: Vec<Option<Said>> = sent.iter().map(|_| None).collect();
    let mut next = 0;
    for topic in response.responses {
        for partition in topic.partition_responses {
            let is_next = |item: &SentItem| item.is(&topic.name, topic.topic_id, partition.index);
            let at = match sent.get(next) {
                Some(item) if is_next(item) => Some(next),
                _ => {
                    places.get_or_init(|| Places::of(sent)).find(&topic.name, topic.topic_id, partition.index)
                }
            };
            if let Some(at) = at {
                next = at + 1;
                said[at] = Some(said_of(partition));
            }
        }
    }
    Answers(said)
}

/// Where the batches of a request stand in it.
struct Places<'a> {
    by_id: HashMap<(Uuid, i32), usize>,
    by_name: HashMap<(&'a str, i32), usize>,
}

impl<'a> Places<'a> {
    fn of(sent: &'a [SentItem]) -> Self {
        let items = || sent.iter().enumerate();
        Places {
            by_id: items().map(|(at, item)| ((item.topic_id, item.partition), at)).collect(),
            by_name: items().map(|(at, item)| ((&*item.topic, item.partition), at)).collect(),
        }
    }

    fn find(&self, name: &str, id: Uuid, partition: i32) -> Option<usize> {
        match id.is_zero() {
            true => self.by_name.get(&(name, partition)),
            false => self.by_id.get(&(id, partition)),
        }
        .copied()
    }

    /// As [`Places::find`], once.
    fn take(&mut self, name: &'a str, id: Uuid, partition: i32) -> Option<usize> {
        match id.is_zero() {
            true => self.by_name.remove(&(name, partition)),
            false => self.by_id.remove(&(id, partition)),
        }
    }
}

impl SentItem {
    fn is(&self, name: &str, id: Uuid, partition: i32) -> bool {
        self.partition == partition && if id.is_zero() { *self.topic == *name } else { self.topic_id == id }
    }
}

fn said_of(partition: PartitionProduceResponse) -> Said {
    let PartitionProduceResponse {
        error_code,
        base_offset,
        log_append_time_ms,
        record_errors,
        error_message,
        ..
    } = partition;
    let record_errors = record_errors
        .into_iter()
        .filter_map(|error| Some((u32::try_from(error.batch_index).ok()?, error.batch_index_error_message)))
        .collect();
    Said {
        code: error_code,
        base_offset: (error_code == ErrorCode::NONE && base_offset >= 0).then_some(base_offset),
        log_append_time: (log_append_time_ms >= 0).then_some(log_append_time_ms),
        record_errors,
        message: error_message,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ottla_protocol::messages::produce::TopicProduceResponse;

    use super::*;

    fn item(topic: &str, id: u8, partition: i32) -> SentItem {
        SentItem { topic: topic.into(), topic_id: Uuid([id; 16]), partition }
    }

    fn answer(name: &str, id: u8, partitions: &[i32]) -> TopicProduceResponse {
        let partition = |&index| PartitionProduceResponse {
            index,
            base_offset: i64::from(index) + 100 * i64::from(id),
            ..Default::default()
        };
        TopicProduceResponse {
            name: name.to_owned(),
            topic_id: Uuid([id; 16]),
            partition_responses: partitions.iter().map(partition).collect(),
            ..Default::default()
        }
    }

    fn offsets(sent: &[SentItem], responses: Vec<TopicProduceResponse>) -> Vec<Option<i64>> {
        let mut answers = answers(sent, ProduceResponse { responses, ..Default::default() });
        let offset = |at| match answers.next(at) {
            Answer::Said(said) => said.base_offset,
            Answer::Failed(error) => {
                assert!(error.possibly_written());
                None
            }
        };
        (0..sent.len()).map(offset).collect()
    }

    #[test]
    fn each_topic_is_in_a_request_once_however_its_partitions_stand_between_those_of_others() {
        let items = [("a", 0), ("a", 1), ("b", 0), ("a", 2), ("c", 0), ("b", 1)];
        let items = items.map(|(topic, partition)| Item {
            topic: topic.into(),
            partition,
            records: Bytes::from(format!("{topic}{partition}")),
        });
        let (sent, topics) = by_topic(items.into(), &Cluster::default());
        let sent: Vec<_> = sent.iter().map(|item| (&*item.topic, item.partition)).collect();
        assert_eq!(sent, [("a", 0), ("a", 1), ("b", 0), ("a", 2), ("c", 0), ("b", 1)]);
        let topics: Vec<_> = topics
            .iter()
            .map(|topic| {
                let partition = |data: &PartitionProduceData| (data.index, data.records.clone().unwrap());
                (topic.name.as_str(), topic.partition_data.iter().map(partition).collect::<Vec<_>>())
            })
            .collect();
        let data = |index, records: &'static str| (index, Bytes::from(records));
        assert_eq!(
            topics,
            [
                ("a", vec![data(0, "a0"), data(1, "a1"), data(2, "a2")]),
                ("b", vec![data(0, "b0"), data(1, "b1")]),
                ("c", vec![data(0, "c0")]),
            ]
        );
    }

    #[test]
    fn answers_find_their_batches_by_id_or_name_in_any_order_and_a_missing_one_is_a_failure() {
        let sent = [item("a", 1, 0), item("a", 1, 1), item("b", 2, 0)];
        let by_id = vec![answer("", 2, &[0, 7]), answer("", 9, &[0]), answer("", 1, &[1, 0])];
        assert_eq!(offsets(&sent, by_id), [Some(100), Some(101), Some(200)]);
        let by_name = vec![answer("b", 0, &[0]), answer("a", 0, &[1])];
        assert_eq!(offsets(&sent, by_name), [None, Some(1), Some(0)]);
    }
}
