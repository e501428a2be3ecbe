//! Control records: the ends of transactions, and what brokers tell each other in their own logs.
//!
//! Sources: KIP-98 (transaction markers), KIP-595 and KIP-630 (the others).

use super::error::RecordFault;
use super::record::RecordRef;

/// What a control record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlRecord {
    /// The producer's transaction was aborted: its records up to here do not count.
    Abort {
        /// The epoch of the coordinator that wrote the marker.
        coordinator_epoch: i32,
    },
    /// The producer's transaction was committed.
    Commit {
        /// The epoch of the coordinator that wrote the marker.
        coordinator_epoch: i32,
    },
    /// Anything else, such as a change of leader in a log of brokers; clients pass it by.
    Other {
        /// The version of the key's format.
        version: i16,
        /// The kind.
        kind: i16,
    },
}

impl ControlRecord {
    /// Reads the control record from a record of a control batch.
    ///
    /// # Errors
    /// [`RecordFault::Control`] when there is no key of four bytes, or no marker's value.
    pub fn of(record: &RecordRef<'_>) -> Result<ControlRecord, RecordFault> {
        let key = record.key.and_then(|key| key.first_chunk::<4>()).ok_or(RecordFault::Control)?;
        let version = i16::from_be_bytes([key[0], key[1]]);
        let kind = i16::from_be_bytes([key[2], key[3]]);
        if version < 0 {
            return Err(RecordFault::Control);
        }
        match kind {
            ABORT => Ok(ControlRecord::Abort { coordinator_epoch: coordinator_epoch(record)? }),
            COMMIT => Ok(ControlRecord::Commit { coordinator_epoch: coordinator_epoch(record)? }),
            kind => Ok(ControlRecord::Other { version, kind }),
        }
    }

    /// The key of such a record.
    pub fn key(&self) -> [u8; 4] {
        let (version, kind) = match *self {
            ControlRecord::Abort { .. } => (0, ABORT),
            ControlRecord::Commit { .. } => (0, COMMIT),
            ControlRecord::Other { version, kind } => (version, kind),
        };
        let [v0, v1] = version.to_be_bytes();
        let [k0, k1] = kind.to_be_bytes();
        [v0, v1, k0, k1]
    }

    /// The value of a transaction's marker.
    pub fn value(&self) -> Option<[u8; 6]> {
        match *self {
            ControlRecord::Abort { coordinator_epoch } | ControlRecord::Commit { coordinator_epoch } => {
                let [e0, e1, e2, e3] = coordinator_epoch.to_be_bytes();
                Some([0, 0, e0, e1, e2, e3])
            }
            ControlRecord::Other { .. } => None,
        }
    }
}

const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// A marker's value: a version, then the coordinator's epoch; later versions may add to it.
fn coordinator_epoch(record: &RecordRef<'_>) -> Result<i32, RecordFault> {
    match record.value.and_then(|value| value.first_chunk::<6>()) {
        Some(&[_, _, e0, e1, e2, e3]) => Ok(i32::from_be_bytes([e0, e1, e2, e3])),
        None => Err(RecordFault::Control),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Headers;

    fn parse(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<ControlRecord, RecordFault> {
        ControlRecord::of(&RecordRef { offset: 0, timestamp: 0, key, value, headers: Headers::default() })
    }

    #[test]
    fn markers_come_back_from_their_bytes() {
        for marker in
            [ControlRecord::Commit { coordinator_epoch: 5 }, ControlRecord::Abort { coordinator_epoch: -1 }]
        {
            assert_eq!(parse(Some(&marker.key()), marker.value().as_ref().map(|v| &v[..])), Ok(marker));
        }
        assert_eq!(ControlRecord::Commit { coordinator_epoch: 5 }.key(), [0, 0, 0, 1]);
        assert_eq!(ControlRecord::Commit { coordinator_epoch: 5 }.value(), Some([0, 0, 0, 0, 0, 5]));
    }

    #[test]
    fn unknown_kinds_and_later_versions_are_no_error() {
        assert_eq!(parse(Some(&[0, 0, 0, 99]), None), Ok(ControlRecord::Other { version: 0, kind: 99 }));
        assert_eq!(
            parse(Some(&[0, 9, 0, 1, 7]), Some(&[0, 3, 0, 0, 0, 8, 1])),
            Ok(ControlRecord::Commit { coordinator_epoch: 8 })
        );
    }

    #[test]
    fn short_keys_and_values_are_refused() {
        assert_eq!(parse(None, None), Err(RecordFault::Control));
        assert_eq!(parse(Some(&[0, 0, 1]), None), Err(RecordFault::Control));
        assert_eq!(parse(Some(&[0, 0, 0, 1]), Some(&[0, 0, 0])), Err(RecordFault::Control));
    }
}
