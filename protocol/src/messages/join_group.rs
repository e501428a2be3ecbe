//! JoinGroup: a member asks to be part of a classic group's next generation. Goes to the group's coordinator.
//! Needs Read on the group.
//!
//! The coordinator holds the answer back until every member has joined or the rebalance timeout is over, so
//! the deadline of this request must be longer than that timeout. All members get the same generation; one of
//! them, the leader, also gets everybody's metadata, computes the assignment and hands it in with SyncGroup.
//!
//! Versions: 1 separates the rebalance timeout from the session timeout; 4 makes a new member join twice, the
//! second time with the id it was given; 5 brings static members; 6 is flexible; 7 names the protocol type in
//! the answer; 8 brings a reason for the broker's log; 9 can tell a returning static leader not to assign.
//!
//! Sources: KIP-62 (rebalance timeout), KIP-394 (member id first), KIP-345 (static members), KIP-559
//! (protocol type and name), KIP-800 (reason), KIP-814 (skipped assignment), KIP-848 (classic members in
//! groups of the consumer protocol).

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(JOIN_GROUP: JoinGroupRequest => JoinGroupResponse, versions 0..=9, flexible 6..);

wire! {
    /// Asks for a place in the group's next generation.
    pub struct JoinGroupRequest {
        /// The group to join, created if there is none; `INVALID_GROUP_ID` if empty.
        group_id: String,
        /// Milliseconds without a heartbeat until the coordinator removes the member;
        /// `INVALID_SESSION_TIMEOUT` outside the broker's `group.min.session.timeout.ms` and
        /// `group.max.session.timeout.ms`.
        session_timeout_ms: i32,
        /// Milliseconds the coordinator waits for this member in a rebalance; version 0 uses the session
        /// timeout.
        [1.., ignorable] rebalance_timeout_ms: i32 = -1,
        /// Empty on the first join; from version 4 on the answer to a dynamic member is then
        /// `MEMBER_ID_REQUIRED` and names the id to use. `UNKNOWN_MEMBER_ID` for one that the coordinator
        /// doesn't have (any more).
        member_id: String,
        /// The `group.instance.id` of a static member; a second member of the same name, with an empty id,
        /// takes the first one's place and fences it.
        [5..] group_instance_id: Option<String>,
        /// `consumer` for consumers; `INCONSISTENT_GROUP_PROTOCOL` if empty or if the group's members are of
        /// another type.
        protocol_type: String,
        /// The assignors, best first; `INCONSISTENT_GROUP_PROTOCOL` if there are none or none that is common
        /// to all members. The coordinator takes the one that most members prefer.
        protocols: Vec<JoinGroupRequestProtocol>,
        /// Why the member joins, for the broker's log.
        [8.., ignorable] reason: Option<String>,
    }

    /// An assignor that the member could work with.
    pub struct JoinGroupRequestProtocol {
        /// The assignor's name, such as `range`.
        name: String,
        /// What the leader's assignor gets of this member: for consumers, a subscription blob.
        metadata: Bytes,
    }

    /// The generation that came about.
    pub struct JoinGroupResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [2.., ignorable] throttle_time_ms: i32,
        /// Why the member is not in. Join anew, with an empty id: `UNKNOWN_MEMBER_ID`. With the id in the
        /// answer: `MEMBER_ID_REQUIRED`. As it is: `REBALANCE_IN_PROGRESS`. Final: `FENCED_INSTANCE_ID`,
        /// `GROUP_MAX_SIZE_REACHED` (`group.max.size`), `GROUP_AUTHORIZATION_FAILED`, and what else the
        /// request's fields name.
        error_code: ErrorCode,
        /// The number that heartbeats, syncs and commits of this generation carry; -1 in an error.
        generation_id: i32 = -1,
        /// The group's protocol type; a client that finds another one than its own has mixed up its groups.
        [7.., ignorable] protocol_type: Option<String>,
        /// The assignor that the coordinator chose; empty, or null from version 7 on, in an error.
        [nullable 7..] protocol_name: Option<String> = Some(String::new()),
        /// The leader's member id; whoever finds its own id here computes the assignment.
        leader: String,
        /// Tells the leader to sync without an assignment: the group keeps the one it has.
        [9..] skip_assignment: bool,
        /// The id of this member from now on, also with `MEMBER_ID_REQUIRED`.
        member_id: String,
        /// Everybody in the generation, with their metadata; empty for all but the leader.
        members: Vec<JoinGroupResponseMember>,
    }

    /// A member, as the leader sees it.
    pub struct JoinGroupResponseMember {
        /// The id under which its assignment is handed in.
        member_id: String,
        /// Its `group.instance.id`, if it is static; assignors order static members by it.
        [5.., ignorable] group_instance_id: Option<String>,
        /// The metadata it sent for the chosen assignor.
        metadata: Bytes,
    }
}
