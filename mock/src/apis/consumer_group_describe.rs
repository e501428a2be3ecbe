//! ConsumerGroupDescribe: state and members of consumer groups.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_describe::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedGroup,
};

use super::join_group::check;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

impl Serve for ConsumerGroupDescribeRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<ConsumerGroupDescribeResponse> {
        let mut groups = Vec::with_capacity(self.group_ids.len());
        for group_id in &self.group_ids {
            let mut group = match check(cluster, call, Operation::Describe, group_id) {
                Ok(()) => cluster.groups.describe_consumer_group(call.now, group_id),
                Err(code) => failed(group_id, code),
            };
            if !may_see_topics(cluster, call, &group) {
                group = DescribedGroup {
                    error_message: Some(
                        "The group reads topics that the client may not describe.".to_owned(),
                    ),
                    ..failed(group_id, ErrorCode::TOPIC_AUTHORIZATION_FAILED)
                };
            }
            if self.include_authorized_operations && group.error_code.is_ok() {
                group.authorized_operations = cluster.operations(call, Resource::Group(group_id));
            }
            groups.push(group);
        }
        Reply::Now(ConsumerGroupDescribeResponse { groups, ..Default::default() })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> ConsumerGroupDescribeResponse {
        let groups = self.group_ids.iter().map(|group_id| failed(group_id, code)).collect();
        ConsumerGroupDescribeResponse { groups, ..Default::default() }
    }

    fn throttle(response: &mut ConsumerGroupDescribeResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.group_ids.iter().any(|group_id| subject.is_group(group_id))
    }
}

fn may_see_topics(cluster: &Cluster, call: &Call, group: &DescribedGroup) -> bool {
    let assignments = group.members.iter().flat_map(|member| [&member.assignment, &member.target_assignment]);
    let assigned =
        assignments.flat_map(|assignment| &assignment.topic_partitions).map(|topic| &topic.topic_name);
    let subscribed = group.members.iter().flat_map(|member| &member.subscribed_topic_names);
    assigned.chain(subscribed).all(|topic| cluster.allows(call, Operation::Describe, Resource::Topic(topic)))
}

fn failed(group_id: &str, error_code: ErrorCode) -> DescribedGroup {
    DescribedGroup { group_id: group_id.to_owned(), error_code, ..Default::default() }
}
