//! Fetch: reads batches, waits until there are enough, and sends consumers to a replica nearby.
//!
//! Sources: KIP-227 (sessions), KIP-320 (epochs), KIP-392 (replicas nearby), KIP-516 (topic ids), KIP-595 (divergence),
//! KIP-951 (leader hints).

use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::fetch::{
    AbortedTransaction, EpochEndOffset, FetchRequest, FetchResponse, FetchableTopicResponse,
    LeaderIdAndEpoch, NodeEndpoint, PartitionData, READ_COMMITTED,
};
use ottla_protocol::uuid::Uuid;

use super::{Call, Reply, Serve, Subject};
use crate::call::Ticket;
use crate::cluster::{Cluster, Partition, Topic, Wait};
use crate::fetch_session::{Context, Named, Wanted};
use crate::log::Isolation;
use crate::security::{Operation, Resource};

/// A fetch: what it wants, and how long it waits for it.
#[derive(Debug)]
pub(crate) struct Waiting {
    until: Instant,
    context: Context,
    wanted: Vec<Wanted>,
    limits: Limits,
}

#[derive(Debug, Clone)]
struct Limits {
    min_bytes: usize,
    max_bytes: usize,
    isolation: Isolation,
    rack: String,
    /// The follower that fetches, or -1.
    replica_id: i32,
}

impl Serve for FetchRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<FetchResponse> {
        let by_id = call.version >= 13;
        let named = |topic: &str, id, partition| Named {
            topic: if by_id { String::new() } else { topic.to_owned() },
            topic_id: if by_id { id } else { Uuid::ZERO },
            partition,
        };
        let forgotten: Vec<Named> = (self.forgotten_topics_data.iter())
            .flat_map(|topic| {
                topic.partitions.iter().map(|index| named(&topic.topic, topic.topic_id, *index))
            })
            .collect();
        let wanted = self.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| Wanted {
                named: named(&topic.topic, topic.topic_id, partition.partition),
                current_leader_epoch: partition.current_leader_epoch,
                fetch_offset: partition.fetch_offset,
                last_fetched_epoch: partition.last_fetched_epoch,
                max_bytes: partition.partition_max_bytes,
            })
        });
        let wanted = wanted.collect();
        let (session_id, epoch) = (self.session_id, if call.version < 7 { -1 } else { self.session_epoch });
        let Some(broker) = cluster.brokers.get_mut(call.broker) else { return Reply::Close };
        let opened = broker.sessions.open(call.now, session_id, epoch, by_id, wanted, &forgotten);
        let (context, wanted) = match opened {
            Ok(opened) => opened,
            Err(code) => return Reply::Now(FetchResponse { error_code: code, ..Default::default() }),
        };
        let most = cluster.brokers.number("fetch.max.bytes").min(self.max_bytes.into()).max(0);
        let max_bytes = usize::try_from(most).unwrap_or(0);
        let limits = Limits {
            min_bytes: usize::try_from(self.min_bytes).unwrap_or(0).min(max_bytes),
            max_bytes,
            isolation: match self.isolation_level {
                READ_COMMITTED => Isolation::Committed,
                _ => Isolation::HighWatermark,
            },
            rack: self.rack_id,
            replica_id: if call.version >= 15 { self.replica_state.replica_id } else { self.replica_id },
        };
        let wait = Duration::from_millis(u64::try_from(self.max_wait_ms).unwrap_or(0));
        let waiting = Waiting { until: call.now + wait, context, wanted, limits };
        resume(cluster, call.now, call.ticket, waiting, wait.is_zero());
        Reply::Later
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> FetchResponse {
        let error_code = if version >= 7 { code } else { ErrorCode::NONE };
        let responses = self.topics.iter().map(|topic| FetchableTopicResponse {
            topic: topic.topic.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(|p| failed(p.partition, code)).collect(),
            ..Default::default()
        });
        FetchResponse { error_code, responses: responses.collect(), ..Default::default() }
    }

    fn throttle(response: &mut FetchResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, cluster: &Cluster, subject: &Subject) -> bool {
        let is_named = |topic: &str, id| subject.is_topic(topic) || subject.is_topic_id(cluster, id);
        self.topics.iter().any(|topic| is_named(&topic.topic, topic.topic_id))
            || self.session_id != 0
                && cluster.brokers.iter().any(|broker| {
                    let mut partitions = broker.sessions.partitions(self.session_id);
                    partitions.any(|named| is_named(&named.topic, named.topic_id))
                })
    }
}

/// A partition's result; its records are read only when the fetch is answered.
struct Found {
    data: PartitionData,
    /// How much there is to read, where nothing speaks against reading.
    bytes: Option<usize>,
}

/// Looks at what there is; answers if that is enough or the time is up, and parks the fetch otherwise.
pub(crate) fn resume(cluster: &mut Cluster, now: Instant, ticket: Ticket, waiting: Waiting, is_due: bool) {
    let Some(call) = cluster.connections.call(ticket).cloned() else { return };
    let (found, is_enough) = look(cluster, &call, &waiting);
    if is_due || is_enough || waiting.wanted.is_empty() {
        let Waiting { context, wanted, limits, .. } = waiting;
        let answers = wanted.into_iter().zip(found).map(|(wanted, found)| {
            let data = read(cluster, &wanted, found, limits.isolation);
            (wanted, data)
        });
        let answers = answers.collect();
        let response = finish(cluster, now, &call, context, answers);
        return cluster.answer(now, ticket, response);
    }
    let find = |wanted: &Wanted| Some((find_topic(cluster, &wanted.named)?.id, wanted.named.partition));
    let partitions = waiting.wanted.iter().filter_map(find).collect();
    cluster.park(waiting.until, ticket, Wait::Fetch(waiting), partitions);
}

/// The results of all partitions, and whether they are worth an answer.
fn look(cluster: &Cluster, call: &Call, waiting: &Waiting) -> (Vec<Found>, bool) {
    let mut room = waiting.limits.max_bytes;
    let mut read = 0;
    let mut is_news = false;
    let mut all = Vec::with_capacity(waiting.wanted.len());
    for wanted in &waiting.wanted {
        let found = look_at(cluster, call, wanted, &waiting.limits, room, read == 0);
        let found = found.unwrap_or_else(|code| failed(wanted.named.partition, code).into());
        let bytes = found.bytes.unwrap_or(0);
        read += bytes;
        room = room.saturating_sub(bytes);
        is_news |= !found.data.error_code.is_ok()
            || found.data.preferred_read_replica >= 0
            || found.data.diverging_epoch != EpochEndOffset::default();
        all.push(found);
    }
    (all, is_news || read >= waiting.limits.min_bytes)
}

impl From<PartitionData> for Found {
    fn from(data: PartitionData) -> Found {
        Found { data, bytes: None }
    }
}

fn look_at(
    cluster: &Cluster,
    call: &Call,
    wanted: &Wanted,
    limits: &Limits,
    room: usize,
    min_one: bool,
) -> Result<Found, ErrorCode> {
    let topic = find_topic(cluster, &wanted.named).ok_or(match call.version >= 13 {
        true => ErrorCode::UNKNOWN_TOPIC_ID,
        false => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    });
    let name = topic.map_or(wanted.named.topic.as_str(), |topic| topic.name.as_str());
    if (topic.is_ok() || call.version < 13) && !cluster.allows(call, Operation::Read, Resource::Topic(name)) {
        return Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    }
    let index = wanted.named.partition;
    let partition = topic?.partition(index).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let reads_here =
        partition.leader == call.broker || call.version >= 11 && partition.replicas.contains(&call.broker);
    // A replica compares epochs before it looks who leads.
    if partition.replicas.contains(&call.broker) {
        check_epoch(partition, wanted.current_leader_epoch)?;
    }
    // Whoever takes itself for a follower has to be one.
    let is_known = limits.replica_id < 0 || partition.replicas.contains(&limits.replica_id);
    if !reads_here || !is_known {
        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    let log = &partition.log;
    let ends = PartitionData {
        partition_index: index,
        high_watermark: log.high_watermark(),
        last_stable_offset: log.last_stable_offset(),
        log_start_offset: log.start_offset(),
        aborted_transactions: None,
        records: Some(Bytes::new()),
        ..Default::default()
    };
    if let Some(preferred) = nearby_replica(cluster, call, partition, wanted.fetch_offset, &limits.rack) {
        return Ok(PartitionData { preferred_read_replica: preferred, ..ends }.into());
    }
    if wanted.last_fetched_epoch >= 0 {
        let end =
            log.end_offset_for_epoch(wanted.last_fetched_epoch).ok_or(ErrorCode::OFFSET_OUT_OF_RANGE)?;
        if end.leader_epoch < wanted.last_fetched_epoch || end.end_offset < wanted.fetch_offset {
            let diverging_epoch =
                EpochEndOffset { epoch: end.leader_epoch, end_offset: end.end_offset, ..Default::default() };
            return Ok(PartitionData { diverging_epoch, ..ends }.into());
        }
    }
    let max_bytes = usize::try_from(wanted.max_bytes).unwrap_or(0).min(room);
    let bytes = log.readable(wanted.fetch_offset, max_bytes, min_one, limits.isolation)?;
    Ok(Found { data: ends, bytes: Some(bytes) })
}

/// The result with its records.
fn read(cluster: &Cluster, wanted: &Wanted, found: Found, isolation: Isolation) -> PartitionData {
    let Found { data, bytes } = found;
    let topic = find_topic(cluster, &wanted.named);
    let partition = topic.and_then(|topic| topic.partition(wanted.named.partition));
    let (Some(bytes), Some(partition)) = (bytes, partition) else { return data };
    let Ok(slice) = partition.log.read(wanted.fetch_offset, bytes, false, isolation) else { return data };
    let aborted = |aborted: crate::log::AbortedTransaction| AbortedTransaction {
        producer_id: aborted.producer_id,
        first_offset: aborted.first_offset,
        ..Default::default()
    };
    PartitionData {
        aborted_transactions: slice.aborted.map(|all| all.into_iter().map(aborted).collect()),
        records: Some(slice.records),
        ..data
    }
}

/// Compares the leader epoch that a client knows with the one there is.
pub(super) fn check_epoch(partition: &Partition, known: i32) -> Result<(), ErrorCode> {
    match known {
        known if known < 0 || known == partition.leader_epoch => Ok(()),
        known if known < partition.leader_epoch => Err(ErrorCode::FENCED_LEADER_EPOCH),
        _ => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
    }
}

/// Another replica that is in the client's rack and has what it asks for, where brokers look for one.
fn nearby_replica(
    cluster: &Cluster,
    call: &Call,
    partition: &Partition,
    offset: i64,
    rack: &str,
) -> Option<i32> {
    let selects = cluster.brokers.setting("replica.selector.class").ends_with("RackAwareReplicaSelector");
    if !selects || call.version < 11 || rack.is_empty() || partition.leader != call.broker {
        return None;
    }
    let in_rack =
        |id: &i32| cluster.brokers.get(*id).is_some_and(|broker| broker.rack.as_deref() == Some(rack));
    if in_rack(&partition.leader) {
        return None;
    }
    let has_it = |id: &i32| (partition.log.start_offset()..=partition.end_of(*id)).contains(&offset);
    let live = |id: &&i32| cluster.brokers.is_live(**id) && partition.isr.contains(id);
    let candidates = partition.replicas.iter().filter(live).filter(|id| in_rack(id) && has_it(id));
    candidates.max_by_key(|id| partition.end_of(**id)).copied()
}

fn find_topic<'a>(cluster: &'a Cluster, named: &Named) -> Option<&'a Topic> {
    match named.topic_id.is_zero() {
        true => cluster.topics.get(&named.topic),
        false => cluster.topics.by_id(named.topic_id),
    }
}

fn finish(
    cluster: &mut Cluster,
    now: Instant,
    call: &Call,
    context: Context,
    mut answers: Vec<(Wanted, PartitionData)>,
) -> FetchResponse {
    let slots = cluster.brokers.number("max.incremental.fetch.session.cache.slots");
    let slots = usize::try_from(slots).unwrap_or(0);
    let rng = &mut cluster.rng;
    let Some(broker) = cluster.brokers.get_mut(call.broker) else { return FetchResponse::default() };
    let closed = broker.sessions.close(now, context, slots, || rng.i32(1..), &mut answers);
    let session_id = match closed {
        Ok(session_id) => session_id,
        Err(code) => return FetchResponse { error_code: code, ..Default::default() },
    };
    let mut response =
        FetchResponse { session_id: if call.version >= 7 { session_id } else { 0 }, ..Default::default() };
    for (wanted, mut data) in answers {
        if call.version >= 16 {
            add_leader_hint(cluster, &wanted.named, &mut data, &mut response.node_endpoints);
        }
        if call.version < 11 {
            data.preferred_read_replica = -1;
        }
        let is_same = |topic: &FetchableTopicResponse| {
            topic.topic == wanted.named.topic && topic.topic_id == wanted.named.topic_id
        };
        match response.responses.last_mut().filter(|topic| is_same(topic)) {
            Some(topic) => topic.partitions.push(data),
            None => response.responses.push(FetchableTopicResponse {
                topic: wanted.named.topic,
                topic_id: wanted.named.topic_id,
                partitions: vec![data],
                ..Default::default()
            }),
        }
    }
    response
}

/// Says where the leader is, to whoever asked somebody else.
fn add_leader_hint(
    cluster: &Cluster,
    named: &Named,
    data: &mut PartitionData,
    endpoints: &mut Vec<NodeEndpoint>,
) {
    if ![ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::FENCED_LEADER_EPOCH].contains(&data.error_code) {
        return;
    }
    let found = find_topic(cluster, named).and_then(|topic| topic.partition(named.partition));
    let Some(partition) = found else { return };
    data.current_leader = LeaderIdAndEpoch {
        leader_id: partition.leader,
        leader_epoch: partition.leader_epoch,
        ..Default::default()
    };
    let leader = cluster.brokers.get(partition.leader).filter(|leader| !leader.fenced);
    if let Some(leader) = leader
        && !endpoints.iter().any(|known| known.node_id == leader.id)
    {
        endpoints.push(NodeEndpoint {
            node_id: leader.id,
            host: leader.host.clone(),
            port: leader.port.into(),
            rack: leader.rack.clone(),
            ..Default::default()
        });
    }
}

fn failed(partition_index: i32, error_code: ErrorCode) -> PartitionData {
    // What brokers refuse before they look into a log has a list, if an empty one.
    let is_known = ![
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::UNKNOWN_TOPIC_ID,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
    ]
    .contains(&error_code);
    PartitionData {
        partition_index,
        error_code,
        high_watermark: -1,
        aborted_transactions: (!is_known).then(Vec::new),
        records: Some(Bytes::new()),
        ..Default::default()
    }
}
