//! Metadata: brokers, topics, leaders; and topics that come to be by being asked for.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};

use super::{Call, Reply, Serve, Subject};
use crate::cluster::{Cluster, Partition, Topic, check_name};
use crate::security::{Operation, Resource};

impl Serve for MetadataRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<MetadataResponse> {
        let topics = self.topics.as_deref();
        if call.version < 12
            && topics.into_iter().flatten().any(|topic| topic.name.is_none() || !topic.topic_id.is_zero())
        {
            return Reply::Now(self.refuse(call.version, ErrorCode::INVALID_REQUEST));
        }
        let all = topics.is_none_or(|topics| call.version == 0 && topics.is_empty());
        let mut answered = if all {
            every_topic(cluster, call)
        } else {
            let create = call.version < 4 || self.allow_auto_topic_creation;
            let asked: Vec<&MetadataRequestTopic> = topics.into_iter().flatten().collect();
            let is_first = |place: usize, topic: &MetadataRequestTopic| {
                asked[..place].iter().all(|other| other.name != topic.name || other.topic_id != topic.topic_id)
            };
            let distinct = asked.iter().enumerate().filter(|(place, topic)| is_first(*place, topic));
            distinct.map(|(_, topic)| one_topic(cluster, call, topic, create)).collect()
        };
        if self.include_topic_authorized_operations {
            for topic in answered.iter_mut().filter(|topic| topic.error_code.is_ok()) {
                let name = Resource::Topic(topic.name.as_deref().unwrap_or_default());
                topic.topic_authorized_operations = cluster.operations(call, name);
            }
        }
        let brokers = cluster.brokers.live().map(|broker| MetadataResponseBroker {
            node_id: broker.id,
            host: broker.host.clone(),
            port: broker.port.into(),
            rack: broker.rack.clone(),
            ..Default::default()
        });
        let mut response = MetadataResponse {
            brokers: brokers.collect(),
            cluster_id: Some(cluster.options.cluster_id.clone()),
            controller_id: cluster.brokers.controller().unwrap_or(-1),
            topics: answered,
            ..Default::default()
        };
        if self.include_cluster_authorized_operations {
            response.cluster_authorized_operations = cluster.operations(call, Resource::Cluster);
        }
        Reply::Now(response)
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> MetadataResponse {
        let refused = |topic: &MetadataRequestTopic| MetadataResponseTopic {
            error_code: code,
            name: topic.name.clone().or_else(|| (version < 12).then(String::new)),
            topic_id: topic.topic_id,
            ..Default::default()
        };
        let topics = self.topics.iter().flatten().map(refused).collect();
        let error_code = if version >= 13 { code } else { ErrorCode::NONE };
        MetadataResponse { topics, error_code, ..Default::default() }
    }

    fn throttle(response: &mut MetadataResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, cluster: &Cluster, subject: &Subject) -> bool {
        self.topics.iter().flatten().any(|topic| match &topic.name {
            Some(name) => subject.is_topic(name),
            None => subject.is_topic_id(cluster, topic.topic_id),
        })
    }
}

fn every_topic(cluster: &Cluster, call: &Call) -> Vec<MetadataResponseTopic> {
    let visible = |topic: &&Topic| cluster.allows(call, Operation::Describe, Resource::Topic(&topic.name));
    cluster.topics.iter().filter(visible).map(|topic| describe(cluster, topic)).collect()
}

fn one_topic(
    cluster: &mut Cluster,
    call: &Call,
    asked: &MetadataRequestTopic,
    create: bool,
) -> MetadataResponseTopic {
    let name = match &asked.name {
        // With an id the name doesn't count: Java sends an empty one, others null.
        Some(name) if asked.topic_id.is_zero() => name.clone(),
        _ => match cluster.topics.name_of(asked.topic_id) {
            Some(name) if cluster.allows(call, Operation::Describe, Resource::Topic(name)) => name.to_owned(),
            // Whoever mayn't see a topic shall not learn its name from its id.
            found => {
                let mayn_t = found.is_some();
                return MetadataResponseTopic {
                    error_code: match mayn_t {
                        true => ErrorCode::TOPIC_AUTHORIZATION_FAILED,
                        false => ErrorCode::UNKNOWN_TOPIC_ID,
                    },
                    name: None,
                    topic_id: asked.topic_id,
                    ..Default::default()
                };
            }
        },
    };
    let refused = |error_code, is_internal| MetadataResponseTopic {
        error_code,
        name: Some(name.clone()),
        is_internal,
        ..Default::default()
    };
    if !cluster.allows(call, Operation::Describe, Resource::Topic(&name)) {
        return refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED, false);
    }
    if let Some(topic) = cluster.topics.get(&name) {
        return describe(cluster, topic);
    }
    let is_internal = crate::cluster::is_internal(&name);
    if !create || !cluster.brokers.flag("auto.create.topics.enable") {
        let code = match check_name(&name) {
            Ok(()) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Err(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
        };
        return refused(code, is_internal);
    }
    if check_name(&name).is_err() {
        return refused(ErrorCode::INVALID_TOPIC_EXCEPTION, is_internal);
    }
    if !cluster.allows(call, Operation::Create, Resource::Cluster)
        && !cluster.allows(call, Operation::Create, Resource::Topic(&name))
    {
        return refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED, is_internal);
    }
    // Kafka passes the wish on to the controller and answers at once; the topic is there when the client asks again.
    refused(cluster.auto_create(&name), is_internal)
}

pub(super) fn describe(cluster: &Cluster, topic: &Topic) -> MetadataResponseTopic {
    let partitions =
        (0..).zip(&topic.partitions).map(|(index, partition)| describe_partition(cluster, index, partition));
    MetadataResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions: partitions.collect(),
        ..Default::default()
    }
}

fn describe_partition(
    cluster: &Cluster,
    partition_index: i32,
    partition: &Partition,
) -> MetadataResponsePartition {
    let offline = partition.replicas.iter().copied().filter(|id| !cluster.brokers.is_live(*id));
    MetadataResponsePartition {
        error_code: match partition.leader {
            -1 => ErrorCode::LEADER_NOT_AVAILABLE,
            _ => ErrorCode::NONE,
        },
        partition_index,
        leader_id: partition.leader,
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.as_slice().into(),
        isr_nodes: partition.isr.as_slice().into(),
        offline_replicas: offline.collect(),
        ..Default::default()
    }
}
