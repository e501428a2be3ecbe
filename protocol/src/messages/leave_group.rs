//! LeaveGroup: takes members out of a classic group at once, without waiting for their session timeout. Goes
//! to the group's coordinator. Needs Read on the group.
//!
//! Clients leave, but static members don't when they mean to come back; tools remove those that never will.
//!
//! Versions: 1 brings the throttle time; up to 2 one member leaves, from 3 on a list of them, which may also
//! name static members by their `group.instance.id` alone; 4 is flexible; 5 brings a reason for each.
//!
//! Sources: KIP-345 (static members, several at once), KIP-800 (reason).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(LEAVE_GROUP: LeaveGroupRequest => LeaveGroupResponse, versions 0..=5, flexible 4..);

wire! {
    /// Takes members out of the group.
    pub struct LeaveGroupRequest {
        /// The group; `INVALID_GROUP_ID` if empty.
        group_id: String,
        /// The member that leaves, up to version 2; `UNKNOWN_MEMBER_ID`, in the answer's own error, if the
        /// group doesn't have it.
        [..=2] member_id: String,
        /// The members that leave, from version 3 on.
        [3..] members: Vec<MemberIdentity>,
    }

    /// A member that leaves.
    pub struct MemberIdentity {
        /// Its id; may be empty where the instance id names a static member. `UNKNOWN_MEMBER_ID` if the group
        /// doesn't have it.
        [3..] member_id: String,
        /// Its `group.instance.id`, if it is static; with another member's id `FENCED_INSTANCE_ID`.
        [3..] group_instance_id: Option<String>,
        /// Why it leaves, for the broker's log.
        [5.., ignorable] reason: Option<String>,
    }

    /// How it went.
    pub struct LeaveGroupResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [1.., ignorable] throttle_time_ms: i32,
        /// What concerns the request as a whole: `GROUP_AUTHORIZATION_FAILED`, `INVALID_GROUP_ID` or a wrong
        /// coordinator; up to version 2 also `UNKNOWN_MEMBER_ID`. A client that leaves needn't mind any of
        /// them: its session will time out.
        error_code: ErrorCode,
        /// The outcome for each member of the request.
        [3..] members: Vec<MemberResponse>,
    }

    /// How it went for one member.
    pub struct MemberResponse {
        /// The id as in the request.
        [3..] member_id: String,
        /// The instance id as in the request.
        [3..] group_instance_id: Option<String> = Some(String::new()),
        /// `UNKNOWN_MEMBER_ID` if it was gone already, `FENCED_INSTANCE_ID` if its name is another's now.
        [3..] error_code: ErrorCode,
    }
}
