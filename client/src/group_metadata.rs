//! Who a consumer is to its group: what a transactional producer needs to commit the consumer's offsets.
//!
//! Sources: KIP-447.

use std::sync::Arc;

/// A membership as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadata {
    /// `group.id`.
    pub group_id: Arc<str>,
    /// The generation; -1 while the member is in none.
    pub generation_id: i32,
    /// The id that the coordinator gave; empty while there is none.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<String>,
}
