//! Ids for members, as random as Kafka's look and as repeatable as the seed makes them.

use std::fmt::Write;

use ottla_protocol::uuid::Uuid;

/// A source of member ids.
#[derive(Debug)]
pub(super) struct Ids(fastrand::Rng);

impl Ids {
    pub(super) fn new(seed: u64) -> Self {
        Ids(fastrand::Rng::with_seed(seed))
    }

    /// An id for a classic member: its instance id or else its client id, a dash and a UUID in hexadecimal.
    pub(super) fn classic(&mut self, prefix: &str) -> String {
        let mut id = format!("{prefix}-");
        for (i, byte) in self.uuid().iter().enumerate() {
            let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
            // Writing to a string cannot fail.
            let _ = write!(id, "{dash}{byte:02x}");
        }
        id
    }

    /// An id for a member of a consumer group: a UUID in Kafka's own notation.
    pub(super) fn consumer(&mut self) -> String {
        Uuid(self.uuid()).to_string()
    }

    fn uuid(&mut self) -> [u8; 16] {
        let mut bits = self.0.u128(..).to_be_bytes();
        bits[6] = bits[6] & 0x0f | 0x40;
        bits[8] = bits[8] & 0x3f | 0x80;
        bits
    }
}
