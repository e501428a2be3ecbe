//! Who has which partition, when several members may say that they do.
//!
//! A member that missed rebalances still lists what it had then. The claim of the newest generation counts; of two equally
//! new ones none does, and the partition stays with nobody until both have given it up.

use std::borrow::Cow;

use super::super::group::{Group, NOBODY};
use super::super::{GroupMember, TopicPartition};

/// Two members claim the partition for the same generation.
const CONTESTED: u32 = NOBODY - 1;

/// What a member says it has.
pub(super) struct Claim<'a> {
    pub(super) partitions: Cow<'a, [TopicPartition]>,
    pub(super) generation: i32,
}

/// The owner of each partition as far as the members agree.
#[derive(Debug)]
pub(super) struct Claims {
    owner: Vec<u32>,
}

impl Claims {
    pub(super) fn new<'a>(group: &Group<'a>, claim: impl Fn(&'a GroupMember) -> Claim<'a>) -> Self {
        let mut owner = vec![NOBODY; group.partition_count as usize];
        let mut generation_of = vec![i32::MIN; owner.len()];
        for (member, described) in (0..).zip(&group.members) {
            let Claim { partitions, generation } = claim(described);
            for partition in partitions.iter().filter_map(|partition| group.partition_number(partition)) {
                let (owner, newest) =
                    (&mut owner[partition as usize], &mut generation_of[partition as usize]);
                if *owner == NOBODY || generation > *newest {
                    (*owner, *newest) = (member, generation);
                } else if generation == *newest && *owner != member {
                    *owner = CONTESTED;
                }
            }
        }
        Self { owner }
    }

    /// The member that has the partition, if exactly one does.
    pub(super) fn owner(&self, partition: u32) -> Option<u32> {
        let owner = self.owner[partition as usize];
        (owner < CONTESTED).then_some(owner)
    }

    /// Whether no other member has to give the partition up before `member` can have it.
    pub(super) fn free_for(&self, partition: u32, member: u32) -> bool {
        let owner = self.owner[partition as usize];
        owner == NOBODY || owner == member
    }
}
