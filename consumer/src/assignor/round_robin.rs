//! `roundrobin`: all partitions of all topics dealt out one after the other. Gives the same lists as the Java client.

use super::group::{Group, NOBODY};
use super::{Assignments, Assignor, GroupMember, GroupTopics};

/// Deals the partitions of all topics to the members in turn, skipping those that do not subscribe to the topic.
///
/// Static members come first by their instance id, then the others by member id.
#[derive(Debug, Clone, Copy, Default)]
pub struct RoundRobinAssignor;

impl Assignor for RoundRobinAssignor {
    fn name(&self) -> &str {
        "roundrobin"
    }

    fn assign(&self, topics: &GroupTopics, members: &[GroupMember]) -> Assignments {
        let group = Group::new(topics, members);
        let order = group.serving_order();
        let mut position_of = vec![0; order.len()];
        for (position, &member) in order.iter().enumerate() {
            position_of[member as usize] = position;
        }

        let mut placed = vec![NOBODY; group.partition_count as usize];
        let mut turn = 0;
        for topic in &group.topics {
            let mut positions: Vec<usize> =
                topic.subscribers.iter().map(|&member| position_of[member as usize]).collect();
            positions.sort_unstable();
            for partition in topic.partitions.clone() {
                let next = positions.partition_point(|&position| position < turn);
                let position = positions[next % positions.len()];
                placed[partition as usize] = order[position];
                turn = (position + 1) % order.len();
            }
        }
        group.assignments(&placed, 0..group.topics.len())
    }
}
