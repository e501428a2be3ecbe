//! What tools are told of a consumer group.

use ottla_protocol::messages::consumer_group_describe::DescribedGroup;
use ottla_protocol::messages::consumer_protocol::PROTOCOL_TYPE;
use ottla_protocol::messages::list_groups::ListedGroup;

use super::ConsumerGroup;
use crate::groups::context::Context;

impl ConsumerGroup {
    /// The name of its state, the way tools show it.
    pub(in crate::groups) fn state_name(&self) -> &'static str {
        if self.is_empty() {
            "Empty"
        } else if self.epoch > self.assignment_epoch {
            "Assigning"
        } else if self.members.values().all(|member| member.is_reconciled_to(self.assignment_epoch)) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    pub(in crate::groups) fn describe(&self, cx: &Context<'_>) -> DescribedGroup {
        let members =
            self.members.values().map(|member| member.describe(self.targets.get(&member.id), cx.topics));
        DescribedGroup {
            group_id: self.id.clone(),
            group_state: self.state_name().to_owned(),
            group_epoch: self.epoch,
            assignment_epoch: self.assignment_epoch,
            assignor_name: self.assignor(cx).name().to_owned(),
            members: members.collect(),
            ..Default::default()
        }
    }

    pub(in crate::groups) fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: PROTOCOL_TYPE.to_owned(),
            group_state: self.state_name().to_owned(),
            group_type: "consumer".to_owned(),
            ..Default::default()
        }
    }
}
