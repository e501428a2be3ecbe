//! `sticky` and `cooperative-sticky`: as balanced as possible, and members keep as much as possible of what they have.
//!
//! [`claims`] finds out who has what, [`uniform`] serves groups in which all subscribe to the same topics, [`general`]
//! all others. The cooperative assignor then leaves out every partition that changes hands while its owner is still there:
//! the owner gives it up on seeing the assignment and the group rebalances again, when the partition is free. One such round
//! is enough where all subscribe alike; different subscriptions or racks can take a few, as with the Java client.
//!
//! Sources: KIP-54, KIP-341, KIP-429, KIP-792, KIP-881.

mod claims;
mod general;
mod uniform;

use bytes::Bytes;

use self::claims::{Claim, Claims};
use super::group::{Group, NOBODY};
use super::racks::Racks;
use super::{
    Assignments, Assignor, GroupMember, GroupTopics, PreviousAssignment, RebalanceProtocol, StickyUserData,
};

/// Keeps partitions where they are as far as balance allows; members give up all of them before they rejoin.
///
/// Since they do, what they had travels in the subscription's user data ([`StickyUserData`]).
#[derive(Debug, Clone, Copy, Default)]
pub struct StickyAssignor;

impl Assignor for StickyAssignor {
    fn name(&self) -> &str {
        "sticky"
    }

    fn user_data(&self, _: &[String], previous: Option<PreviousAssignment<'_>>) -> Option<Bytes> {
        let PreviousAssignment { partitions, generation_id } = previous?;
        let data = StickyUserData { partitions: partitions.to_vec(), generation_id: Some(generation_id) };
        Some(data.encode())
    }

    fn assign(&self, topics: &GroupTopics, members: &[GroupMember]) -> Assignments {
        let group = Group::new(topics, members);
        let claim = |member: &GroupMember| {
            let data = member.user_data.as_deref().and_then(StickyUserData::decode).unwrap_or_default();
            Claim { partitions: data.partitions.into(), generation: data.generation_id.unwrap_or(-1) }
        };
        let claims = Claims::new(&group, claim);
        group.assignments(&place(&group, &claims), 0..group.topics.len())
    }
}

/// Keeps partitions where they are as far as balance allows, and members read on during a rebalance what they keep.
///
/// A partition that goes from one member to another is in nobody's assignment for one round.
#[derive(Debug, Clone, Copy, Default)]
pub struct CooperativeStickyAssignor;

impl Assignor for CooperativeStickyAssignor {
    fn name(&self) -> &str {
        "cooperative-sticky"
    }

    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Cooperative
    }

    fn user_data(&self, _: &[String], previous: Option<PreviousAssignment<'_>>) -> Option<Bytes> {
        let generation = previous.map_or(-1, |previous| previous.generation_id);
        Some(Bytes::copy_from_slice(&generation.to_be_bytes()))
    }

    fn assign(&self, topics: &GroupTopics, members: &[GroupMember]) -> Assignments {
        let group = Group::new(topics, members);
        // Subscriptions older than v2 have no generation field; then the user data has it.
        let generation = |member: &GroupMember| match (member.generation_id, member.user_data.as_deref()) {
            (0.., _) => member.generation_id,
            (_, Some([a, b, c, d, ..])) => i32::from_be_bytes([*a, *b, *c, *d]),
            _ => -1,
        };
        let claims = Claims::new(&group, |member| Claim {
            partitions: member.owned_partitions.as_slice().into(),
            generation: generation(member),
        });
        let mut placed = place(&group, &claims);
        for (partition, member) in (0..).zip(&mut placed) {
            if !claims.free_for(partition, *member) {
                *member = NOBODY;
            }
        }
        group.assignments(&placed, 0..group.topics.len())
    }
}

/// The member that gets each partition.
fn place(group: &Group<'_>, claims: &Claims) -> Vec<u32> {
    let everybody: Vec<u32> = (0..group.members.len() as u32).collect();
    let racks = Racks::new(group);
    let by_rack = racks.matter(&everybody, 0..group.partition_count);
    if group.topics.iter().all(|topic| topic.subscribers.len() == everybody.len()) {
        uniform::place(group, claims, &racks, by_rack)
    } else {
        general::place(group, claims, by_rack.then_some(&racks))
    }
}
