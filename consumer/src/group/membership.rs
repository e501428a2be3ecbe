//! Who the member is to the coordinator at the moment: what commits carry.

/// A snapshot of the membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Membership {
    /// The id from the coordinator; empty before the first join and after the membership was lost.
    pub(crate) member_id: String,
    /// The generation, or the member epoch of the consumer protocol; -1 while the member is in none.
    pub(crate) generation_id: i32,
    /// `group.instance.id` of a static member.
    pub(crate) group_instance_id: Option<String>,
    /// Whether the group is between two generations, as far as the member knows: its own may be over any moment.
    pub(crate) rebalancing: bool,
    /// Rises whenever the member has given something up, or lost it. As long as it stays the same, whatever the member had, it
    /// still has, in a newer generation too: what it is asked to give up is nobody else's before it has done so.
    pub(crate) tenure: u64,
    /// Whether `generation_id` is a member epoch of the consumer protocol, which OffsetFetch is to carry as well.
    pub(crate) has_epochs: bool,
}

impl Membership {
    /// No membership, which commits from outside the group.
    pub(crate) fn none() -> Membership {
        Membership {
            member_id: String::new(),
            generation_id: -1,
            group_instance_id: None,
            rebalancing: false,
            tenure: 0,
            has_epochs: false,
        }
    }

    /// Whether the member belongs to a generation, so that it can commit.
    pub(crate) fn is_member(&self) -> bool {
        self.generation_id >= 0 && !self.member_id.is_empty()
    }
}
