//! DescribeGroups: state and members of classic groups. Each group is asked for at its coordinator.
//!
//! Groups of the consumer protocol answer ConsumerGroupDescribe instead; here they look like groups that don't exist.
//!
//! By version: 1 brings the throttle time; 3 tells what the client may do with the group; 4 names static members; 6
//! answers `GROUP_ID_NOT_FOUND` for a group that isn't there, where older ones answer the state `Dead`.
//!
//! Sources: KIP-40 (the API), KIP-430 (authorized operations), KIP-345 (static members), KIP-1043 (groups not found).

use bytes::Bytes;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(DESCRIBE_GROUPS: DescribeGroupsRequest => DescribeGroupsResponse, versions 0..=6, flexible 5..);

wire! {
    /// Asks what groups consist of.
    pub struct DescribeGroupsRequest {
        /// The groups; each is answered by itself.
        groups: Vec<String>,
        /// Whether the answer says what the client may do with each group.
        [3..] include_authorized_operations: bool,
    }

    /// What the groups consist of.
    pub struct DescribeGroupsResponse {
        /// How long the quota holds the client back, in milliseconds.
        [1.., ignorable] throttle_time_ms: i32,
        /// The groups.
        groups: Vec<DescribedGroup>,
    }

    /// A group.
    pub struct DescribedGroup {
        /// `NOT_COORDINATOR`, `COORDINATOR_LOAD_IN_PROGRESS`, `GROUP_AUTHORIZATION_FAILED`, or from version 6 on
        /// `GROUP_ID_NOT_FOUND`.
        error_code: ErrorCode,
        /// What is wrong, in words.
        [6..] error_message: Option<String>,
        /// The group's name.
        group_id: String,
        /// `PreparingRebalance`, `CompletingRebalance`, `Stable`, `Empty` or `Dead`; empty with an error.
        group_state: String,
        /// The protocol type that the members joined with, such as `consumer`; empty if there has been none.
        protocol_type: String,
        /// The assignor in use; empty unless the group is stable.
        protocol_data: String,
        /// The members; none in a dead group.
        members: Vec<DescribedGroupMember>,
        /// One bit per ACL operation that the client may do; `i32::MIN` if it didn't ask.
        [3..] authorized_operations: i32 = i32::MIN,
    }

    /// A member of a classic group.
    pub struct DescribedGroupMember {
        /// The id that the coordinator gave it.
        member_id: String,
        /// Its `group.instance.id`, if it is static.
        [4.., ignorable] group_instance_id: Option<String>,
        /// The `client.id` with which it last joined.
        client_id: String,
        /// The address that it last joined from.
        client_host: String,
        /// What it told the assignor in use, for consumers a subscription blob; empty unless the group is stable.
        member_metadata: Bytes,
        /// What the leader assigned to it, for consumers an assignment blob; empty unless the group is stable.
        member_assignment: Bytes,
    }
}
