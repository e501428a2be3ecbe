//! A connection that asks one thing at a time: for topics and for counts, so that no client is measured by its own account.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use ottla_protocol::api::Request;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::header::{decode_response, encode_request, split_response};
use ottla_protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use ottla_protocol::messages::list_offsets::{
    LATEST_TIMESTAMP, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};

use crate::Failure;
use crate::null_broker::RECORDS_SENT;

// All of them are spoken by brokers from 2.4 to 4.3.
const CREATE_TOPICS: i16 = 5;
const METADATA: i16 = 9;
const LIST_OFFSETS: i16 = 6;

/// Where a partition is led.
pub struct Leader {
    /// The partition.
    pub partition: i32,
    /// `host:port`.
    pub address: String,
}

/// Makes a topic, or leaves it be if it exists.
///
/// # Errors
/// When the first broker of the list can't be reached or refuses.
pub fn create_topic(brokers: &str, topic: &str, partitions: i32) -> Result<(), Failure> {
    let topics = vec![CreatableTopic {
        name: topic.to_owned(),
        num_partitions: partitions,
        replication_factor: -1,
        ..Default::default()
    }];
    let request = CreateTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() };
    let response = Link::to_any(brokers)?.ask(&request, CREATE_TOPICS)?;
    match response.topics.first().map(|topic| topic.error_code) {
        Some(ErrorCode::NONE | ErrorCode::TOPIC_ALREADY_EXISTS) => Ok(()),
        other => Err(format!("topic {topic} can't be made: {other:?}").into()),
    }
}

/// The partitions of a topic and who leads them.
///
/// # Errors
/// When there is no such topic, or a partition has no leader.
pub fn leaders(brokers: &str, topic: &str) -> Result<Vec<Leader>, Failure> {
    let asked = MetadataRequestTopic { name: Some(topic.to_owned()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![asked]), ..Default::default() };
    let MetadataResponse { brokers, topics, .. } = Link::to_any(brokers)?.ask(&request, METADATA)?;
    let topic = topics.into_iter().next().ok_or("no answer about the topic")?;
    let leader = |partition: &ottla_protocol::messages::metadata::MetadataResponsePartition| {
        let node = brokers.iter().find(|node| node.node_id == partition.leader_id)?;
        Some(Leader { partition: partition.partition_index, address: format!("{}:{}", node.host, node.port) })
    };
    let all: Option<Vec<_>> = topic.partitions.iter().map(leader).collect();
    all.filter(|all| !all.is_empty())
        .ok_or_else(|| format!("a partition without a leader: {}", topic.error_code).into())
}

/// How many records the topic's partitions have been sent, by their end offsets.
///
/// # Errors
/// When a broker doesn't say.
pub fn count(brokers: &str, topic: &str) -> Result<u64, Failure> {
    total(brokers, topic, LATEST_TIMESTAMP)
}

/// How many records of the topic a null broker has sent to its readers.
///
/// # Errors
/// When it doesn't say, as no other broker does.
pub fn count_sent(brokers: &str, topic: &str) -> Result<u64, Failure> {
    total(brokers, topic, RECORDS_SENT)
}

fn total(brokers: &str, topic: &str, timestamp: i64) -> Result<u64, Failure> {
    let mut leaders = leaders(brokers, topic)?;
    leaders.sort_by(|one, other| one.address.cmp(&other.address));
    let mut total = 0;
    for led in leaders.chunk_by(|one, other| one.address == other.address) {
        let latest = |leader: &Leader| ListOffsetsPartition {
            partition_index: leader.partition,
            timestamp,
            ..Default::default()
        };
        let topics = vec![ListOffsetsTopic {
            name: topic.to_owned(),
            partitions: led.iter().map(latest).collect(),
            ..Default::default()
        }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        let response = Link::to(&led[0].address)?.ask(&request, LIST_OFFSETS)?;
        for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
            total += u64::try_from(partition.offset)
                .map_err(|_| format!("no end offset: {}", partition.error_code))?;
        }
    }
    Ok(total)
}

struct Link(TcpStream);

impl Link {
    fn to(address: &str) -> Result<Link, Failure> {
        let stream = TcpStream::connect(address).map_err(|error| format!("{address}: {error}"))?;
        stream.set_nodelay(true)?;
        Ok(Link(stream))
    }

    fn to_any(brokers: &str) -> Result<Link, Failure> {
        Link::to(brokers.split(',').next().unwrap_or(brokers))
    }

    fn ask<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, Failure> {
        let frame = encode_request(request, version, 0, Some("bench"))?.to_bytes();
        self.0.write_all(&(frame.len() as u32).to_be_bytes())?;
        self.0.write_all(&frame)?;
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut answer)?;
        let (_, body) = split_response(&Bytes::from(answer), R::API, version)?;
        Ok(decode_response::<R>(&body, version)?)
    }
}
