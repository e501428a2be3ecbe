//! ConsumerGroupHeartbeat: a member of the consumer protocol comes, stays or goes, and hears what to read.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};

use super::join_group::check;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

impl Serve for ConsumerGroupHeartbeatRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<ConsumerGroupHeartbeatResponse> {
        let mut topics = self.subscribed_topic_names.iter().flatten();
        let code = match check(cluster, call, Operation::Read, &self.group_id) {
            Err(code) => code,
            Ok(())
                if topics.any(|topic| !cluster.allows(call, Operation::Describe, Resource::Topic(topic))) =>
            {
                ErrorCode::TOPIC_AUTHORIZATION_FAILED
            }
            Ok(()) => {
                let groups = &mut cluster.groups;
                return Reply::Now(groups.handle_consumer_heartbeat(
                    call.now,
                    call.version,
                    &call.caller,
                    &self,
                ));
            }
        };
        Reply::Now(self.refuse(call.version, code))
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> ConsumerGroupHeartbeatResponse {
        ConsumerGroupHeartbeatResponse { error_code, ..Default::default() }
    }

    fn throttle(response: &mut ConsumerGroupHeartbeatResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        subject.is_group(&self.group_id)
    }
}
