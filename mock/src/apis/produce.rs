//! Produce: appends batches, and waits for as many replicas as the client asks for.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceData,
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use ottla_protocol::records::Batches;
use ottla_protocol::uuid::Uuid;

use super::{Call, Reply, Serve, Subject};
use crate::call::Ticket;
use crate::cluster::{Cluster, Wait, is_internal};
use crate::log::{AppendContext, AppendError};
use crate::security::{Operation, Resource};
use crate::transactions::{Admission, Target, WriterKind};
use crate::versions::Release;

/// A produce request that waits for replicas: its answer as it stands, and what is still out.
#[derive(Debug)]
pub(crate) struct Waiting {
    broker: i32,
    until: Instant,
    response: ProduceResponse,
    pending: Vec<Pending>,
}

/// A batch that was appended, but not everybody has it.
#[derive(Debug)]
struct Pending {
    topic: Uuid,
    index: i32,
    /// The offset that the high watermark has to reach.
    required: i64,
    leader_epoch: i32,
    /// Where in the answer the result stands.
    place: (usize, usize),
}

impl Serve for ProduceRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<ProduceResponse> {
        if let Some(id) = &self.transactional_id
            && !cluster.allows(call, Operation::Write, Resource::TransactionalId(id))
        {
            return answered(
                &self,
                self.refuse(call.version, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
            );
        }
        if self.transactional_id.is_none() && has_transactional_records(&self) {
            let code = ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
            return answered(&self, self.refuse(call.version, code));
        }
        if ![-1, 0, 1].contains(&self.acks) {
            return Reply::Now(self.refuse(call.version, ErrorCode::INVALID_REQUIRED_ACKS));
        }
        let timeout = Duration::from_millis(u64::try_from(self.timeout_ms).unwrap_or(0));
        let mut waiting = Waiting {
            broker: call.broker,
            until: call.now + timeout,
            response: ProduceResponse::default(),
            pending: Vec::new(),
        };
        // A topic of which nothing is written isn't mentioned.
        for data in self.topic_data.iter().filter(|data| !data.partition_data.is_empty()) {
            let mut result = TopicProduceResponse {
                name: data.name.clone(),
                topic_id: data.topic_id,
                ..Default::default()
            };
            let topic = find_topic(cluster, call, &data.name, data.topic_id);
            for partition in &data.partition_data {
                let appended = topic.and_then(|id| append(cluster, call, &self, id, partition));
                let place = (waiting.response.responses.len(), result.partition_responses.len());
                result.partition_responses.push(match appended {
                    Ok((appended, wait)) => {
                        waiting.pending.extend(wait.map(|pending| Pending { place, ..pending }));
                        appended
                    }
                    Err(code) => failed(partition.index, code),
                });
            }
            waiting.response.responses.push(result);
        }
        add_leader_hints(cluster, call, &mut waiting.response);
        if waiting.pending.is_empty() {
            return answered(&self, waiting.response);
        }
        resume(cluster, call.now, call.ticket, waiting, false);
        Reply::Later
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> ProduceResponse {
        let responses = self.topic_data.iter().map(|topic| TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses: topic.partition_data.iter().map(|data| failed(data.index, code)).collect(),
            ..Default::default()
        });
        ProduceResponse { responses: responses.collect(), ..Default::default() }
    }

    fn throttle(response: &mut ProduceResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn is_answered(&self) -> bool {
        self.acks != 0
    }

    fn concerns(&self, cluster: &Cluster, subject: &Subject) -> bool {
        self.transactional_id.as_deref().is_some_and(|id| subject.is_transactional_id(id))
            || self
                .topic_data
                .iter()
                .any(|data| subject.is_topic(&data.name) || subject.is_topic_id(cluster, data.topic_id))
    }
}

/// Whether a batch says that it belongs to a transaction.
fn has_transactional_records(request: &ProduceRequest) -> bool {
    let mut partitions = request.topic_data.iter().flat_map(|data| &data.partition_data);
    partitions.any(|data| {
        let batch = data.records.clone().and_then(|records| Batches::new(records).next()?.ok());
        batch.is_some_and(|batch| batch.header().attributes.is_transactional())
    })
}

/// Looks at a request that waits for replicas.
pub(crate) fn resume(cluster: &mut Cluster, now: Instant, ticket: Ticket, waiting: Waiting, is_due: bool) {
    let Waiting { broker, until, mut response, pending } = waiting;
    let mut still = Vec::new();
    let mut is_moved = false;
    for waited in pending {
        let code = match replicated(cluster, broker, &waited) {
            Some(code) => code,
            None if is_due => ErrorCode::REQUEST_TIMED_OUT,
            None => {
                still.push(waited);
                continue;
            }
        };
        if !code.is_ok() {
            let (topic, partition) = waited.place;
            let result = &mut response.responses[topic].partition_responses[partition];
            *result = failed(result.index, code);
            is_moved |= code == ErrorCode::NOT_LEADER_OR_FOLLOWER;
        }
    }
    if is_moved && let Some(call) = cluster.connections.call(ticket).cloned() {
        add_leader_hints(cluster, &call, &mut response);
    }
    if still.is_empty() {
        return cluster.answer(now, ticket, response);
    }
    let partitions = still.iter().map(|pending| (pending.topic, pending.index)).collect();
    let waiting = Waiting { broker, until, response, pending: still };
    cluster.park(until, ticket, Wait::Produce(waiting), partitions);
}

/// The answer, of which a client that wants none hears only if something failed, by losing its connection.
fn answered(request: &ProduceRequest, response: ProduceResponse) -> Reply<ProduceResponse> {
    let mut results = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    match request.acks {
        0 if results.all(|result| result.error_code.is_ok()) => Reply::Never,
        0 => Reply::Close,
        _ => Reply::Now(response),
    }
}

/// Whether everybody has a batch that has to; the code is how it ended.
fn replicated(cluster: &Cluster, broker: i32, waited: &Pending) -> Option<ErrorCode> {
    let Some(topic) = cluster.topics.by_id(waited.topic) else {
        return Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    };
    let partition = topic.partition(waited.index)?;
    if partition.leader != broker || partition.leader_epoch != waited.leader_epoch {
        return Some(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    (partition.log.high_watermark() >= waited.required).then(|| match partition.has_min_isr() {
        true => ErrorCode::NONE,
        false => ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    })
}

fn find_topic(cluster: &Cluster, call: &Call, name: &str, id: Uuid) -> Result<Uuid, ErrorCode> {
    let (topic, unknown) = match call.version >= 13 {
        true => (cluster.topics.by_id(id), ErrorCode::UNKNOWN_TOPIC_ID),
        false => (cluster.topics.get(name), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    };
    let name = topic.map_or(name, |topic| topic.name.as_str());
    if (topic.is_some() || call.version < 13)
        && !cluster.allows(call, Operation::Write, Resource::Topic(name))
    {
        return Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    }
    topic.map(|topic| topic.id).ok_or(unknown)
}

/// Appends one partition's records. What comes with the result is what `acks=all` still waits for.
fn append(
    cluster: &mut Cluster,
    call: &Call,
    request: &ProduceRequest,
    topic: Uuid,
    data: &PartitionProduceData,
) -> Result<(PartitionProduceResponse, Option<Pending>), ErrorCode> {
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let found = cluster.topics.by_id(topic).ok_or(unknown)?;
    if is_internal(&found.name) && call.caller.client_id != "__admin_client" {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    let partition = found.partition(data.index).ok_or(unknown)?;
    if partition.leader != call.broker {
        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    if request.acks == -1 && !partition.has_min_isr() {
        return Err(ErrorCode::NOT_ENOUGH_REPLICAS);
    }
    let leader_epoch = partition.leader_epoch;
    let records = data.records.clone().unwrap_or_default();
    let verified = match verify(cluster, call, request, topic, data.index, &records) {
        Ok(verified) => verified,
        Err(code @ ErrorCode::INVALID_TXN_STATE) => {
            let error_message = code.text().map(str::to_owned);
            return Ok((PartitionProduceResponse { error_message, ..failed(data.index, code) }, None));
        }
        Err(code) => return Err(code),
    };
    let context = AppendContext { version: call.version, leader_epoch, verified };
    let partition = cluster.partition_mut(topic, data.index).ok_or(unknown)?;
    let appended = match partition.log.append(call.now_ms, &context, &records) {
        Ok(appended) => appended,
        Err(error) => return Ok((refused(data.index, error), None)),
    };
    if !appended.duplicate {
        cluster.grown(call.now, topic, data.index);
    }
    let result = PartitionProduceResponse {
        index: data.index,
        base_offset: appended.base_offset,
        log_append_time_ms: appended.log_append_time_ms,
        log_start_offset: appended.log_start_offset,
        ..Default::default()
    };
    let pending = (request.acks == -1).then_some(Pending {
        topic,
        index: data.index,
        required: appended.last_offset + 1,
        leader_epoch,
        place: (0, 0),
    });
    Ok((result, pending))
}

/// Asks the transaction's coordinator about a partition that is written to for the first time in a transaction; says
/// whether the batch is known to belong there.
fn verify(
    cluster: &mut Cluster,
    call: &Call,
    request: &ProduceRequest,
    topic: Uuid,
    index: i32,
    records: &Bytes,
) -> Result<bool, ErrorCode> {
    let kind = WriterKind::of_produce(call.version);
    // Brokers have asked since 3.6.
    let asks = cluster.options.release >= Release::V3_9
        && cluster.brokers.flag("transaction.partition.verification.enable");
    if !asks && !kind.is_implicit() {
        return Ok(true);
    }
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let partition = cluster.partition_mut(topic, index).ok_or(unknown)?;
    let Some((producer_id, producer_epoch)) =
        partition.log.begin_verification(call.now_ms, records, kind.is_implicit())
    else {
        return Ok(false);
    };
    let transactional_id = request.transactional_id.clone().unwrap_or_default();
    if cluster.transaction_coordinator(&transactional_id).is_none() {
        return Err(ErrorCode::NOT_ENOUGH_REPLICAS);
    }
    let topic = cluster.topics.name_of(topic).unwrap_or_default().to_owned();
    let target = Target::Partition { topic, partition: index };
    let write = Admission { transactional_id, producer_id, producer_epoch, target, kind };
    cluster.transactions.admit(call.now, &write).map(|()| true)
}

fn failed(index: i32, error_code: ErrorCode) -> PartitionProduceResponse {
    PartitionProduceResponse { index, error_code, base_offset: -1, ..Default::default() }
}

fn refused(index: i32, error: AppendError) -> PartitionProduceResponse {
    let record = |error: crate::log::RecordError| BatchIndexAndErrorMessage {
        batch_index: error.index,
        batch_index_error_message: Some(error.message),
        ..Default::default()
    };
    PartitionProduceResponse {
        log_start_offset: error.log_start_offset,
        record_errors: error.record_errors.into_iter().map(record).collect(),
        error_message: error.message,
        ..failed(index, error.code)
    }
}

/// Says where the leaders are of partitions that this broker doesn't lead (KIP-951).
fn add_leader_hints(cluster: &Cluster, call: &Call, response: &mut ProduceResponse) {
    if call.version < 10 {
        return;
    }
    for topic in &mut response.responses {
        let found = cluster.topics.get(&topic.name).or_else(|| cluster.topics.by_id(topic.topic_id));
        for result in &mut topic.partition_responses {
            if result.error_code != ErrorCode::NOT_LEADER_OR_FOLLOWER {
                continue;
            }
            let Some(partition) = found.and_then(|topic| topic.partition(result.index)) else { continue };
            result.current_leader = LeaderIdAndEpoch {
                leader_id: partition.leader,
                leader_epoch: partition.leader_epoch,
                ..Default::default()
            };
            let leader = cluster.brokers.get(partition.leader).filter(|leader| !leader.fenced);
            if let Some(leader) = leader
                && !response.node_endpoints.iter().any(|known| known.node_id == leader.id)
            {
                response.node_endpoints.push(NodeEndpoint {
                    node_id: leader.id,
                    host: leader.host.clone(),
                    port: leader.port.into(),
                    rack: leader.rack.clone(),
                    ..Default::default()
                });
            }
        }
    }
}
