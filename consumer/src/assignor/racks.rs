//! Where members and replicas stand, and whether that should influence an assignment (KIP-881).

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::group::Group;

/// The racks of a group's members and partitions as small numbers.
#[derive(Debug)]
pub(super) struct Racks {
    of_member: Vec<Option<u32>>,
    of_partition: Vec<Vec<u32>>,
}

impl Racks {
    pub(super) fn new(group: &Group<'_>) -> Self {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut number = |rack| {
            let next = numbers.len() as u32;
            *numbers.entry(rack).or_insert(next)
        };
        let told =
            group.members.iter().map(|member| member.rack_id.as_deref().filter(|rack| !rack.is_empty()));
        let of_member: Vec<Option<u32>> = told.map(|rack| rack.map(&mut number)).collect();
        let partitions = group.topics.iter().flat_map(|topic| topic.racks);
        let of_partition = partitions
            .map(|racks| racks.iter().map(|rack| number(rack)).collect::<BTreeSet<_>>().into_iter().collect())
            .collect();
        Self { of_member, of_partition }
    }

    /// Whether placing by rack can gain anything: some member shares a rack with some replica, and the partitions do not
    /// all have replicas in the same racks.
    pub(super) fn matter(&self, members: &[u32], partitions: Range<u32>) -> bool {
        let partitions = &self.of_partition[partitions.start as usize..partitions.end as usize];
        let all: BTreeSet<u32> = partitions.iter().flatten().copied().collect();
        let shared = members.iter().any(|&member| self.rack(member).is_some_and(|rack| all.contains(&rack)));
        shared && partitions.iter().any(|racks| racks.len() != all.len())
    }

    /// The member's rack, if it told one.
    pub(super) fn rack(&self, member: u32) -> Option<u32> {
        self.of_member[member as usize]
    }

    /// The racks in which the partition has a replica, ascending.
    pub(super) fn replica_racks(&self, partition: u32) -> &[u32] {
        &self.of_partition[partition as usize]
    }

    /// Whether the member's rack has a replica of the partition.
    pub(super) fn local(&self, member: u32, partition: u32) -> bool {
        self.rack(member).is_some_and(|rack| self.replica_racks(partition).contains(&rack))
    }

    /// Whether the member told a rack and it has no replica of the partition.
    pub(super) fn mismatch(&self, member: u32, partition: u32) -> bool {
        self.rack(member).is_some_and(|rack| !self.replica_racks(partition).contains(&rack))
    }
}
