//! What tools are told of a classic group.

use ottla_protocol::messages::consumer_protocol::decode_subscription;
use ottla_protocol::messages::describe_groups::DescribedGroup;
use ottla_protocol::messages::list_groups::ListedGroup;

use super::{ClassicGroup, State};

impl ClassicGroup {
    pub(in crate::groups) fn describe(&self) -> DescribedGroup {
        let protocol = self.protocol.as_deref().filter(|_| self.state == State::Stable);
        DescribedGroup {
            group_id: self.id.clone(),
            group_state: self.state.name().to_owned(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_data: protocol.unwrap_or_default().to_owned(),
            members: self.members.values().map(|member| member.describe(protocol)).collect(),
            ..Default::default()
        }
    }

    pub(in crate::groups) fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            group_state: self.state.name().to_owned(),
            group_type: "classic".to_owned(),
            ..Default::default()
        }
    }

    /// Whether members read the topic. Where that can't be told of a group of consumers, it may be so.
    pub(in crate::groups) fn is_subscribed_to(&self, topic: &str) -> bool {
        if !self.is_consumers() {
            return false;
        }
        if self.members.is_empty() {
            return self.generation == 0;
        }
        let Some(protocol) = &self.protocol else { return true };
        self.members.values().any(|member| {
            let metadata = member.metadata(protocol).unwrap_or_default();
            match decode_subscription(&metadata) {
                Ok((subscription, _)) => subscription.topics.iter().any(|own| own == topic),
                Err(_) => true,
            }
        })
    }
}
