//! All members subscribe to the same topics: everybody gets the same number of partitions, give or take one.
//!
//! Follows the Java client's order of dealing, which makes the sizes of cooperative assignments (where partitions
//! that change hands are missing) equal to its own. One pass over members and partitions.

use std::collections::{HashMap, VecDeque};

use super::super::group::{Group, NOBODY};
use super::super::java_order;
use super::super::racks::Racks;
use super::claims::Claims;

/// The member that gets each partition.
pub(super) fn place(group: &Group<'_>, claims: &Claims, racks: &Racks, by_rack: bool) -> Vec<u32> {
    let mut deal = Deal::new(group);
    if group.members.is_empty() {
        return deal.placed;
    }
    deal.keep_owned(group, claims, by_rack.then_some(racks));
    deal.under.make_contiguous().sort_unstable();
    deal.even.make_contiguous().sort_unstable();

    let mut left: Vec<u32> =
        (0..group.partition_count).filter(|&p| deal.placed[p as usize] == NOBODY).collect();
    fewest_local_members_first(&mut left, group, racks);
    if by_rack {
        deal.hand_out_local(&mut left, racks);
    }
    deal.hand_out(&left);
    deal.placed
}

struct Deal {
    placed: Vec<u32>,
    load: Vec<u32>,
    /// What everybody gets at least.
    share: u32,
    /// How many members can still get one more than `share`.
    extras: u32,
    /// Members that have less than `share`.
    under: VecDeque<u32>,
    /// Members that have `share` and may get one more.
    even: VecDeque<u32>,
}

impl Deal {
    fn new(group: &Group<'_>) -> Self {
        let members = group.members.len() as u32;
        Self {
            placed: vec![NOBODY; group.partition_count as usize],
            load: vec![0; members as usize],
            share: group.partition_count.checked_div(members).unwrap_or(0),
            extras: group.partition_count.checked_rem(members).unwrap_or(0),
            under: VecDeque::new(),
            even: VecDeque::new(),
        }
    }

    /// Leaves members what they have up to their share, the lowest partitions of each topic first; those with more than
    /// the share keep one more as long as there are extras.
    fn keep_owned(&mut self, group: &Group<'_>, claims: &Claims, racks: Option<&Racks>) {
        let mut owned: Vec<Vec<(u32, u32)>> = vec![Vec::new(); group.members.len()];
        for (index, partition) in group.topics.iter().flat_map(|topic| (0..).zip(topic.partitions.clone())) {
            if let Some(owner) = claims.owner(partition)
                && !racks.is_some_and(|racks| racks.mismatch(owner, partition))
            {
                owned[owner as usize].push((index, partition));
            }
        }
        let ids: Vec<&str> = group.members.iter().map(|member| member.member_id.as_str()).collect();
        for member in java_order::hash_order(&ids).into_iter().map(|member| member as u32) {
            let owned = &mut owned[member as usize];
            owned.sort_unstable();
            let count = owned.len() as u32;
            let keep = if count < self.share {
                self.under.push_back(member);
                count
            } else if count > self.share && self.extras > 0 {
                self.extras -= 1;
                self.share + 1
            } else {
                self.even.push_back(member);
                self.share
            };
            owned.iter().take(keep as usize).for_each(|&(_, partition)| self.give(partition, member));
        }
    }

    fn give(&mut self, partition: u32, member: u32) {
        self.placed[partition as usize] = member;
        self.load[member as usize] += 1;
    }

    /// Gives partitions to members in a rack of a replica, below their share first, and takes them out of `left`.
    fn hand_out_local(&mut self, left: &mut Vec<u32>, racks: &Racks) {
        let mut turn = 0;
        // Spares the search where it is known to fail: members that can still take something, by rack.
        let mut takers: HashMap<u32, usize> = HashMap::new();
        for rack in self.under.iter().chain(&self.even).filter_map(|&member| racks.rack(member)) {
            *takers.entry(rack).or_default() += 1;
        }
        left.retain(|&partition| {
            if !racks.replica_racks(partition).iter().any(|rack| takers.contains_key(rack)) {
                return true;
            }
            let size = self.under.len();
            let mut turns = (0..size).map(|step| (turn + step) % size);
            if let Some(at) = turns.find(|&at| racks.local(self.under[at], partition)) {
                let member = self.under[at];
                self.give(partition, member);
                turn = at + 1;
                if self.load[member as usize] == self.share {
                    self.under.remove(at);
                    self.even.push_back(member);
                    turn = at;
                }
                turn = turn.checked_rem(self.under.len()).unwrap_or(0);
                return false;
            }
            if self.extras > 0
                && let Some(at) = self.even.iter().position(|&member| racks.local(member, partition))
                && let Some(member) = self.even.remove(at)
            {
                self.extras -= 1;
                self.give(partition, member);
                if let Some(rack) = racks.rack(member)
                    && let Some(count) = takers.get_mut(&rack)
                {
                    *count -= 1;
                    if *count == 0 {
                        takers.remove(&rack);
                    }
                }
                return false;
            }
            true
        });
    }

    /// Deals partitions out in turn: to those below their share, then one more to each of the others.
    fn hand_out(&mut self, left: &[u32]) {
        for &partition in left {
            if let Some(member) = self.under.pop_front() {
                self.give(partition, member);
                if self.load[member as usize] == self.share {
                    self.even.push_back(member);
                } else {
                    self.under.push_back(member);
                }
            } else if let Some(member) = self.even.pop_front() {
                self.give(partition, member);
            }
        }
    }
}

/// Partitions that few members could read from a replica nearby choose first.
fn fewest_local_members_first(partitions: &mut [u32], group: &Group<'_>, racks: &Racks) {
    let mut members_in: HashMap<u32, usize> = HashMap::new();
    for rack in (0..group.members.len() as u32).filter_map(|member| racks.rack(member)) {
        *members_in.entry(rack).or_default() += 1;
    }
    if !members_in.is_empty() {
        let local = |rack: &u32| members_in.get(rack).copied().unwrap_or(0);
        partitions.sort_by_cached_key(|&p| racks.replica_racks(p).iter().map(local).sum::<usize>());
    }
}
