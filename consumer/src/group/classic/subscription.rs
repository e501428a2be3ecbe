//! What a member tells the leader's assignor of itself.

use ottla_protocol::messages::consumer_protocol::{
    self, ConsumerProtocolSubscription, NEWEST_VERSION, encode_subscription,
};
use ottla_protocol::messages::join_group::JoinGroupRequestProtocol;
use ottla_protocol::wire::EncodeError;

use crate::group::GroupConfig;
use crate::group::handover::Handover;

/// The assignors on offer, each with the subscription blob in its newest version; older members read what they know.
pub(super) fn protocols(
    config: &GroupConfig,
    topics: &[String],
    handover: &Handover,
) -> Result<Vec<JoinGroupRequestProtocol>, EncodeError> {
    let owned = handover.owned().map(|partition| (&*partition.topic, partition.partition));
    let mut subscription = ConsumerProtocolSubscription {
        topics: topics.to_vec(),
        owned_partitions: consumer_protocol::TopicPartition::group(owned),
        generation_id: handover.generation_id(),
        rack_id: config.client_rack.clone(),
        ..ConsumerProtocolSubscription::default()
    };
    subscription.sort();
    let offer = |assignor: &std::sync::Arc<dyn crate::assignor::Assignor>| {
        subscription.user_data = assignor.user_data(topics, handover.previous());
        let metadata = encode_subscription(&subscription, NEWEST_VERSION)?;
        let name = assignor.name().to_owned();
        Ok(JoinGroupRequestProtocol { name, metadata, ..JoinGroupRequestProtocol::default() })
    };
    config.assignors.iter().map(offer).collect()
}
