//! Client-side partition assignors of classic groups: pure functions from a group's members and topics to who reads what.
//!
//! The leader of a classic group runs [`Assignor::assign`] on the subscriptions that the coordinator collected. The four
//! assignors here give what the Java client's give, so that a group may mix both clients: [`RangeAssignor`] and
//! [`RoundRobinAssignor`] exactly, [`StickyAssignor`] and [`CooperativeStickyAssignor`] with the same balance and at least
//! the same stickiness. Guarantee: every partition of a topic with a subscriber goes to exactly one of its subscribers;
//! the cooperative assignor leaves a partition out for one round while another member still has it.
//!
//! ```
//! use ottla_consumer::assignor::{Assignor, GroupMember, GroupTopics, RangeAssignor, TopicPartition};
//!
//! let mut topics = GroupTopics::new();
//! topics.insert("orders", 3);
//! let members = [GroupMember::new("a", ["orders"]), GroupMember::new("b", ["orders"])];
//! let assignment = RangeAssignor.assign(&topics, &members);
//! assert_eq!(assignment["a"], [TopicPartition::new("orders", 0), TopicPartition::new("orders", 1)]);
//! assert_eq!(assignment["b"], [TopicPartition::new("orders", 2)]);
//! ```
//!
//! Sources: KIP-54 (sticky), KIP-341 (sticky generation), KIP-345 (static members), KIP-429 (cooperative),
//! KIP-792 (generation in the subscription), KIP-881 (rack awareness).

mod group;
mod java_order;
mod racks;
mod range;
mod round_robin;
mod sticky;
mod sticky_user_data;
#[cfg(test)]
mod tests;
mod types;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;

pub use range::RangeAssignor;
pub use round_robin::RoundRobinAssignor;
pub use sticky::{CooperativeStickyAssignor, StickyAssignor};
pub use sticky_user_data::StickyUserData;
pub use types::{GroupMember, GroupTopics, PreviousAssignment, RebalanceProtocol, TopicPartition};

/// What every member of a group gets, by member id; members without partitions are present with an empty list.
pub type Assignments = BTreeMap<String, Vec<TopicPartition>>;

/// Decides, in the group's leader, which member reads which partition.
///
/// All members of a group have to offer an assignor of the same [`name`](Assignor::name); the coordinator picks one that
/// everybody offers. Implementations should depend on nothing but their arguments, since any member can become leader.
pub trait Assignor: Debug + Send + Sync {
    /// The name by which the members of a group agree on an assignor.
    fn name(&self) -> &str;

    /// Whether members give up all partitions before they rejoin (eager, the default) or keep them (cooperative).
    ///
    /// A cooperative assignor has to leave a partition that moves out of one assignment: see [`Assignor::assign`].
    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Eager
    }

    /// The bytes this member sends along with its subscription; none by default.
    ///
    /// `topics` is what it subscribes to, `previous` what it was last assigned, if it ever was.
    fn user_data(&self, topics: &[String], previous: Option<PreviousAssignment<'_>>) -> Option<Bytes> {
        let _ = (topics, previous);
        None
    }

    /// Distributes the partitions; called on the leader only.
    ///
    /// The answer has an entry for every member. Topics that are not in `topics` are unknown yet and left out.
    ///
    /// With the cooperative protocol, members go on reading what they own until they have the answer. A partition that is
    /// among the [`owned_partitions`](GroupMember::owned_partitions) of one member must therefore not be given to another:
    /// it is given to nobody, its owner revokes it and rejoins, and the next assignment gives it away. The leader refuses
    /// an assignment that does otherwise, and its consumer fails.
    fn assign(&self, topics: &GroupTopics, members: &[GroupMember]) -> Assignments;

    /// Tells a member what it was assigned, before the application sees it; does nothing by default.
    fn on_assignment(&self, assignment: PreviousAssignment<'_>) {
        let _ = assignment;
    }
}

/// The built-in assignor of that name: `range`, `roundrobin`, `sticky` or `cooperative-sticky`.
pub fn by_name(name: &str) -> Option<Arc<dyn Assignor>> {
    let builtin: [Arc<dyn Assignor>; 4] = [
        Arc::new(RangeAssignor),
        Arc::new(RoundRobinAssignor),
        Arc::new(StickyAssignor),
        Arc::new(CooperativeStickyAssignor),
    ];
    builtin.into_iter().find(|assignor| assignor.name() == name)
}
