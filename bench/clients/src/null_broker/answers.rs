//! Answers to everything but Produce and Fetch: what clients ask before, and how many records went to and fro.

use std::io;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use ottla_protocol::api::{Api, Request, Response};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::header::{RequestHeader, decode_request, encode_response};
use ottla_protocol::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use ottla_protocol::messages::create_topics::{
    CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use ottla_protocol::messages::fetch::FetchRequest;
use ottla_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use ottla_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use ottla_protocol::messages::list_offsets::{
    EARLIEST_TIMESTAMP, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use ottla_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::produce::ProduceRequest;
use ottla_protocol::wire::{BrokerIds, Reader};

use super::{State, Topic, malformed};

/// A timestamp that stands for a question of this broker's own: how many records it has sent of a partition.
pub const RECORDS_SENT: i64 = -1000;

const HOST: &str = "127.0.0.1";
/// What is announced.
const SERVED: [Api; 8] = [
    ProduceRequest::API,
    FetchRequest::API,
    ListOffsetsRequest::API,
    MetadataRequest::API,
    FindCoordinatorRequest::API,
    ApiVersionsRequest::API,
    CreateTopicsRequest::API,
    InitProducerIdRequest::API,
];

/// Writes the answer, with its length, to a request whose `rest` follows the correlation id.
pub(super) fn answer(
    rest: &[u8],
    key: i16,
    version: i16,
    correlation: i32,
    state: &State,
    answer: &mut Vec<u8>,
) -> io::Result<()> {
    let api = SERVED.into_iter().find(|api| api.key.0 == key);
    let api = api.ok_or_else(|| malformed(&format!("API {key}, which isn't served")))?;
    if api.key == ApiVersionsRequest::API.key && version > api.versions.max {
        let unsupported = ApiVersionsResponse { error_code: ErrorCode::UNSUPPORTED_VERSION, ..versions() };
        return put(&unsupported, 0, correlation, answer);
    }
    let body = body(rest, api, key, version, correlation)?;
    match api.key {
        key if key == ApiVersionsRequest::API.key => put(&versions(), version, correlation, answer),
        key if key == MetadataRequest::API.key => {
            put(&metadata(read(&body, version)?, state), version, correlation, answer)
        }
        key if key == InitProducerIdRequest::API.key => {
            put(&producer_id(state), version, correlation, answer)
        }
        key if key == FindCoordinatorRequest::API.key => {
            put(&coordinator(read(&body, version)?, state), version, correlation, answer)
        }
        key if key == CreateTopicsRequest::API.key => {
            put(&topics(read(&body, version)?, state), version, correlation, answer)
        }
        key if key == ListOffsetsRequest::API.key => {
            put(&offsets(read(&body, version)?, state), version, correlation, answer)
        }
        _ => Err(malformed(&format!("API {key}, which isn't answered"))),
    }
}

/// Reads a request whose `rest` follows the correlation id.
pub(super) fn decode<R: Request>(
    rest: &[u8],
    api: Api,
    key: i16,
    version: i16,
    correlation: i32,
) -> io::Result<R> {
    read(&body(rest, api, key, version, correlation)?, version)
}

/// The request behind its header.
fn body(rest: &[u8], api: Api, key: i16, version: i16, correlation: i32) -> io::Result<Bytes> {
    let mut whole = Vec::with_capacity(rest.len() + 8);
    whole.extend(key.to_be_bytes());
    whole.extend(version.to_be_bytes());
    whole.extend(correlation.to_be_bytes());
    whole.extend_from_slice(rest);
    let whole = Bytes::from(whole);
    let mut reader = Reader::new(&whole, version, false);
    RequestHeader::read(&mut reader, api.request_header_version(version)).map_err(io::Error::other)?;
    let offset = reader.offset();
    Ok(whole.slice(offset..))
}

fn read<R: Request>(body: &Bytes, version: i16) -> io::Result<R> {
    decode_request(body, version).map_err(io::Error::other)
}

fn put<R: Response>(response: &R, version: i16, correlation: i32, answer: &mut Vec<u8>) -> io::Result<()> {
    let frame = encode_response(response, version, correlation).map_err(io::Error::other)?.to_bytes();
    answer.extend((frame.len() as u32).to_be_bytes());
    answer.extend_from_slice(&frame);
    Ok(())
}

fn versions() -> ApiVersionsResponse {
    let api_keys = SERVED
        .iter()
        .map(|api| ApiVersion {
            api_key: api.key.0,
            min_version: api.versions.min,
            max_version: api.negotiable.max,
            ..Default::default()
        })
        .collect();
    ApiVersionsResponse { api_keys, ..Default::default() }
}

fn metadata(request: MetadataRequest, state: &State) -> MetadataResponse {
    let topics = match request.topics {
        None => state.all_topics().iter().map(|topic| of_topic(topic, state)).collect(),
        Some(asked) => asked.into_iter().map(|asked| of_asked(asked, state)).collect(),
    };
    let brokers = (0..)
        .zip(&state.nodes)
        .map(|(node_id, port)| MetadataResponseBroker {
            node_id,
            host: HOST.to_owned(),
            port: (*port).into(),
            ..Default::default()
        })
        .collect();
    MetadataResponse {
        brokers,
        cluster_id: Some("null".to_owned()),
        controller_id: 0,
        topics,
        ..Default::default()
    }
}

fn of_asked(asked: MetadataRequestTopic, state: &State) -> MetadataResponseTopic {
    match asked.name {
        Some(name) => of_topic(&state.topic(&name, None), state),
        None => state.topic_by_id(asked.topic_id).map_or_else(
            || MetadataResponseTopic {
                error_code: ErrorCode::UNKNOWN_TOPIC_ID,
                name: None,
                topic_id: asked.topic_id,
                ..Default::default()
            },
            |topic| of_topic(&topic, state),
        ),
    }
}

fn of_topic(topic: &Topic, state: &State) -> MetadataResponseTopic {
    let partition = |partition_index: i32| {
        let leader_id = state.leader(partition_index);
        MetadataResponsePartition {
            partition_index,
            leader_id,
            leader_epoch: 0,
            replica_nodes: BrokerIds::from([leader_id]),
            isr_nodes: BrokerIds::from([leader_id]),
            ..Default::default()
        }
    };
    MetadataResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        partitions: (0..topic.ends.len() as i32).map(partition).collect(),
        ..Default::default()
    }
}

fn producer_id(state: &State) -> InitProducerIdResponse {
    InitProducerIdResponse {
        producer_id: state.next_producer.fetch_add(1, Ordering::Relaxed),
        producer_epoch: 0,
        ..Default::default()
    }
}

fn coordinator(request: FindCoordinatorRequest, state: &State) -> FindCoordinatorResponse {
    let port = i32::from(state.nodes[0]);
    let of = |key| Coordinator {
        key,
        node_id: 0,
        host: HOST.to_owned(),
        port,
        error_message: None,
        ..Default::default()
    };
    FindCoordinatorResponse {
        error_message: None,
        node_id: 0,
        host: HOST.to_owned(),
        port,
        coordinators: request.coordinator_keys.into_iter().map(of).collect(),
        ..Default::default()
    }
}

fn topics(request: CreateTopicsRequest, state: &State) -> CreateTopicsResponse {
    let made = |asked: ottla_protocol::messages::create_topics::CreatableTopic| {
        let wanted = (asked.num_partitions > 0).then_some(asked.num_partitions);
        let topic = state.topic(&asked.name, wanted);
        CreatableTopicResult {
            name: asked.name,
            topic_id: topic.id,
            error_message: None,
            num_partitions: topic.ends.len() as i32,
            replication_factor: 1,
            ..Default::default()
        }
    };
    CreateTopicsResponse { topics: request.topics.into_iter().map(made).collect(), ..Default::default() }
}

fn offsets(request: ListOffsetsRequest, state: &State) -> ListOffsetsResponse {
    let topics = request.topics.into_iter().map(|asked| {
        let topic = state.topic(&asked.name, None);
        let partitions = asked.partitions.iter().map(|partition| {
            let counts = match partition.timestamp {
                RECORDS_SENT => &topic.sent,
                _ => &topic.ends,
            };
            let end = usize::try_from(partition.partition_index).ok().and_then(|at| counts.get(at));
            let is_start = partition.timestamp == EARLIEST_TIMESTAMP && state.log.is_some();
            ListOffsetsPartitionResponse {
                partition_index: partition.partition_index,
                error_code: if end.is_some() {
                    ErrorCode::NONE
                } else {
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                },
                offset: end.map_or(-1, |end| if is_start { 0 } else { end.load(Ordering::Relaxed) }),
                ..Default::default()
            }
        });
        ListOffsetsTopicResponse { name: asked.name, partitions: partitions.collect(), ..Default::default() }
    });
    ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
}
