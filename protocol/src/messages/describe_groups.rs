//! DescribeGroups: state and members of classic groups. Each group is asked for at its coordinator. Needs
//! Describe on the groups.
//!
//! Groups of the other types have describing APIs of their own; here they look like groups that don't exist.
//!
//! Versions: 1 brings the throttle time; 3 tells what the client may do with the group; 4 names static
//! members; 5 is flexible; 6 answers `GROUP_ID_NOT_FOUND` for a group that isn't there, where older ones
//! answer the state `Dead` alone.
//!
//! Sources: KIP-40 (the API), KIP-430 (authorized operations), KIP-345 (static members), KIP-1043 (groups not
//! found).

use alloc::string::String;
use alloc::vec::Vec;

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
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [1.., ignorable] throttle_time_ms: i32,
        /// The groups.
        groups: Vec<DescribedGroup>,
    }

    /// A group.
    pub struct DescribedGroup {
        /// `NOT_COORDINATOR` and its like, `GROUP_AUTHORIZATION_FAILED`, or from version 6 on
        /// `GROUP_ID_NOT_FOUND`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        [6..] error_message: Option<String>,
        /// The group's name.
        group_id: String,
        /// `PreparingRebalance` (waits for members to join), `CompletingRebalance` (waits for the leader's
        /// assignment), `Stable`, `Empty` or `Dead`; empty with an error other than `GROUP_ID_NOT_FOUND`.
        group_state: String,
        /// The protocol type that the members joined with, such as `consumer`; empty if there has been none.
        protocol_type: String,
        /// The assignor in use; empty unless the group is stable.
        protocol_data: String,
        /// The members; none in a dead group or with an error.
        members: Vec<DescribedGroupMember>,
        /// What the client may do with the group, bit *n* for operation *n* of
        /// [`describe_acls`](super::describe_acls); `i32::MIN` where it wasn't asked for.
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
        /// What it told the assignor in use, for consumers a subscription blob; empty unless the group is
        /// stable.
        member_metadata: Bytes,
        /// What the leader assigned to it, for consumers an assignment blob; empty unless the group is
        /// stable.
        member_assignment: Bytes,
    }
}
