//! The states of a member, and what goes with them.

use std::time::Instant;

use ottla_client::Error;
use ottla_protocol::uuid::Uuid;

/// Where a member stands.
///
/// ```text
///             heartbeat with epoch 0 answered
///   Joining ----------------------------------> Member --+ heartbeats: target in, holdings out
///     ^  ^                                       |   ^   |
///     |  |    UNKNOWN_MEMBER_ID,                 |   +---+
///     |  +--- FENCED_MEMBER_EPOCH: all is lost --+
///     |                                          |
///     | polled        max.poll.interval.ms       |
///   Overslept <--------- passed: leaves ---------+
///
///   Failed: refused for a reason that a repetition doesn't cure (from all)
///   Leaving ---> Left: on command (from all)
/// ```
#[derive(Debug)]
pub(super) enum State {
    /// Joins as soon as the application has nothing left to give up, nothing is to be left, and the pause is over.
    Joining { not_before: Option<Instant> },
    /// Has an epoch.
    Member,
    /// Left because the application did not poll; joins again when it does.
    Overslept,
    /// Waits for the answer to the last heartbeat.
    Leaving,
    /// Has left.
    Left,
    /// Out of the group because of `error`; for good if it is `lasting`.
    Failed { error: Error, lasting: bool, reported: bool },
}

impl State {
    /// Whether the application's polls keep the member going.
    pub(super) fn is_active(&self) -> bool {
        matches!(self, State::Joining { .. } | State::Member)
    }
}

/// Who the member is to the coordinator.
#[derive(Debug)]
pub(super) struct Identity {
    /// The same as long as the member lives.
    pub(super) member_id: String,
    /// The member epoch; 0 while the member is not in the group.
    pub(super) epoch: i32,
    /// Whether the coordinator may have the member, so that it has to be left.
    pub(super) is_known: bool,
}

impl Identity {
    /// Makes an id as Java's client does: a random UUID in Kafka's text form. One that begins with a dash would look
    /// like an option to command-line tools.
    pub(super) fn new(random: &mut fastrand::Rng) -> Identity {
        let member_id = loop {
            let mut bytes = random.u128(..).to_be_bytes();
            bytes[6] = bytes[6] & 0x0f | 0x40;
            bytes[8] = bytes[8] & 0x3f | 0x80;
            let text = Uuid(bytes).to_string();
            if !text.starts_with('-') {
                break text;
            }
        };
        Identity { member_id, epoch: 0, is_known: false }
    }
}

/// The requests that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    last: u64,
    pub(super) heartbeat: Option<Sent>,
    pub(super) leave: Option<u64>,
    pub(super) names: Option<u64>,
}

/// A heartbeat on its way.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) id: u64,
    /// Whether it asks to be let in.
    pub(super) joins: bool,
    /// Whether the coordinator may have had the member before.
    pub(super) was_known: bool,
}

impl InFlight {
    pub(super) fn next_id(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}
