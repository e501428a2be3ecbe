//! Control records: the ends of transactions, and what brokers tell each other in their own logs.
//!
//! [`ControlRecord`] is what a consumer has to know of them, read without an allocation; [`ControlValue`] is all there is in
//! them, for tools. Their field tables are in [`control_records`] and [`voters_record`].
//!
//! Sources: KIP-98 (transaction markers), KIP-595, KIP-630 and KIP-853 (the others).

use core::fmt;

use bytes::Bytes;

use super::error::RecordFault;
use super::record::RecordRef;
use crate::messages::control_records::{
    EndTxnMarker, KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord,
};
use crate::messages::voters_record::VotersRecord;
#[cfg(doc)]
use crate::messages::{control_records, voters_record};
use crate::wire::{self, DecodeError, EncodeError, Message, Reader, Row, Writer};

/// What a control record is, by its number in the record's key; an open set.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ControlRecordType(pub i16);

impl ControlRecordType {
    /// A transaction was aborted.
    pub const ABORT: ControlRecordType = ControlRecordType(0);
    /// A transaction was committed.
    pub const COMMIT: ControlRecordType = ControlRecordType(1);
    /// A quorum has a new leader.
    pub const LEADER_CHANGE: ControlRecordType = ControlRecordType(2);
    /// A snapshot begins.
    pub const SNAPSHOT_HEADER: ControlRecordType = ControlRecordType(3);
    /// A snapshot ends.
    pub const SNAPSHOT_FOOTER: ControlRecordType = ControlRecordType(4);
    /// The version of KRaft.
    pub const KRAFT_VERSION: ControlRecordType = ControlRecordType(5);
    /// The voters of a quorum.
    pub const KRAFT_VOTERS: ControlRecordType = ControlRecordType(6);

    /// Kafka's name, where this crate knows it.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::ABORT => "ABORT",
            Self::COMMIT => "COMMIT",
            Self::LEADER_CHANGE => "LEADER_CHANGE",
            Self::SNAPSHOT_HEADER => "SNAPSHOT_HEADER",
            Self::SNAPSHOT_FOOTER => "SNAPSHOT_FOOTER",
            Self::KRAFT_VERSION => "KRAFT_VERSION",
            Self::KRAFT_VOTERS => "KRAFT_VOTERS",
            _ => return None,
        })
    }
}

impl fmt::Debug for ControlRecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "ControlRecordType({})", self.0),
        }
    }
}

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
        /// The kind: see [`ControlRecordType`].
        kind: i16,
    },
}

impl ControlRecord {
    /// Reads the control record from a record of a control batch.
    ///
    /// # Errors
    /// [`RecordFault::Control`] when there is no key of four bytes, or no marker's value.
    pub fn of(record: &RecordRef<'_>) -> Result<ControlRecord, RecordFault> {
        let (version, kind) = read_key(record.key)?;
        match kind {
            ControlRecordType::ABORT => {
                Ok(ControlRecord::Abort { coordinator_epoch: coordinator_epoch(record)? })
            }
            ControlRecordType::COMMIT => {
                Ok(ControlRecord::Commit { coordinator_epoch: coordinator_epoch(record)? })
            }
            ControlRecordType(kind) => Ok(ControlRecord::Other { version, kind }),
        }
    }

    /// The key of such a record.
    pub fn key(&self) -> [u8; 4] {
        match *self {
            ControlRecord::Abort { .. } => key(0, ControlRecordType::ABORT),
            ControlRecord::Commit { .. } => key(0, ControlRecordType::COMMIT),
            ControlRecord::Other { version, kind } => key(version, ControlRecordType(kind)),
        }
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

/// All that a control record says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ControlValue {
    /// A transaction was aborted.
    Abort(EndTxnMarker),
    /// A transaction was committed.
    Commit(EndTxnMarker),
    /// A quorum has a new leader.
    LeaderChange(LeaderChangeMessage),
    /// A snapshot begins.
    SnapshotHeader(SnapshotHeaderRecord),
    /// A snapshot ends.
    SnapshotFooter(SnapshotFooterRecord),
    /// The version of KRaft.
    KRaftVersion(KRaftVersionRecord),
    /// The voters of a quorum.
    Voters(VotersRecord),
}

/// Why a control record can't be read in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The key has less than four bytes, or a negative version.
    #[error("the key of a control record is a version of at least 0 and a type, two bytes each")]
    Key,
    /// A type that this crate has no table for.
    #[error("control records of type {0:?} are not known")]
    UnknownType(ControlRecordType),
    /// A value that isn't what the type demands.
    #[error("the value of a control record: {0}")]
    Value(#[from] DecodeError),
}

impl ControlValue {
    /// Reads a control record. What follows the fields of the newest version known is passed over.
    ///
    /// # Errors
    /// A short key, a type that isn't known, a malformed value.
    pub fn decode(key: &[u8], value: &Bytes) -> Result<ControlValue, ControlError> {
        let (_, kind) = read_key(Some(key)).map_err(|_| ControlError::Key)?;
        Ok(match kind {
            ControlRecordType::ABORT => ControlValue::Abort(marker(value)?),
            ControlRecordType::COMMIT => ControlValue::Commit(marker(value)?),
            ControlRecordType::LEADER_CHANGE => ControlValue::LeaderChange(read(value)?),
            ControlRecordType::SNAPSHOT_HEADER => ControlValue::SnapshotHeader(read(value)?),
            ControlRecordType::SNAPSHOT_FOOTER => ControlValue::SnapshotFooter(read(value)?),
            ControlRecordType::KRAFT_VERSION => ControlValue::KRaftVersion(read(value)?),
            ControlRecordType::KRAFT_VOTERS => ControlValue::Voters(read(value)?),
            kind => return Err(ControlError::UnknownType(kind)),
        })
    }

    /// The type.
    pub const fn kind(&self) -> ControlRecordType {
        match self {
            ControlValue::Abort(_) => ControlRecordType::ABORT,
            ControlValue::Commit(_) => ControlRecordType::COMMIT,
            ControlValue::LeaderChange(_) => ControlRecordType::LEADER_CHANGE,
            ControlValue::SnapshotHeader(_) => ControlRecordType::SNAPSHOT_HEADER,
            ControlValue::SnapshotFooter(_) => ControlRecordType::SNAPSHOT_FOOTER,
            ControlValue::KRaftVersion(_) => ControlRecordType::KRAFT_VERSION,
            ControlValue::Voters(_) => ControlRecordType::KRAFT_VOTERS,
        }
    }

    /// The record's key.
    pub fn key(&self) -> [u8; 4] {
        key(0, self.kind())
    }

    /// The record's value, as Kafka writes it: in version 0 of its table.
    ///
    /// # Errors
    /// What the format or version 0 can't hold.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        match self {
            ControlValue::Abort(marker) | ControlValue::Commit(marker) => {
                let mut writer = Writer::new(0, false);
                writer.raw(&0_i16.to_be_bytes());
                writer.message(marker)?;
                writer.finish().map(|frame| frame.to_bytes())
            }
            ControlValue::LeaderChange(value) => write(value),
            ControlValue::SnapshotHeader(value) => write(value),
            ControlValue::SnapshotFooter(value) => write(value),
            ControlValue::KRaftVersion(value) => write(value),
            ControlValue::Voters(value) => write(value),
        }
    }
}

fn key(version: i16, kind: ControlRecordType) -> [u8; 4] {
    let ([v0, v1], [k0, k1]) = (version.to_be_bytes(), kind.0.to_be_bytes());
    [v0, v1, k0, k1]
}

fn read_key(key: Option<&[u8]>) -> Result<(i16, ControlRecordType), RecordFault> {
    let key = key.and_then(|key| key.first_chunk::<4>()).ok_or(RecordFault::Control)?;
    let version = i16::from_be_bytes([key[0], key[1]]);
    if version < 0 {
        return Err(RecordFault::Control);
    }
    Ok((version, ControlRecordType(i16::from_be_bytes([key[2], key[3]]))))
}

/// A marker's value: a version, then the coordinator's epoch; later versions may add to it.
fn coordinator_epoch(record: &RecordRef<'_>) -> Result<i32, RecordFault> {
    match record.value.and_then(|value| value.first_chunk::<6>()) {
        Some(&[_, _, e0, e1, e2, e3]) => Ok(i32::from_be_bytes([e0, e1, e2, e3])),
        None => Err(RecordFault::Control),
    }
}

fn marker(value: &Bytes) -> Result<EndTxnMarker, DecodeError> {
    let mut reader = Reader::new(value, 0, false);
    reader.version_prefix(&const { Row::plain("EndTxnMarker", "version") }, 0)?;
    reader.message()
}

/// Every version that Kafka has written so far is version 0 of the table, whatever the first field says.
fn read<M: Message>(value: &Bytes) -> Result<M, DecodeError> {
    Reader::new(value, 0, true).message()
}

fn write<M: Message>(value: &M) -> Result<Bytes, EncodeError> {
    wire::encode(value, 0, true).map(|frame| frame.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::control_records::Voter;
    use crate::messages::voters_record;
    use crate::records::Headers;
    use crate::uuid::Uuid;
    use crate::wire::EncodeErrorKind;

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

    #[test]
    fn every_kind_of_value_comes_back_with_its_key() {
        let marker = EndTxnMarker { coordinator_epoch: 7, ..Default::default() };
        let voter = Voter { voter_id: 3, ..Default::default() };
        let leader = LeaderChangeMessage { leader_id: 3, voters: vec![voter], ..Default::default() };
        let header = SnapshotHeaderRecord { last_contained_log_timestamp: 99, ..Default::default() };
        let endpoint = voters_record::Endpoint {
            name: "C".into(),
            host: "h".into(),
            port: 40_000,
            ..Default::default()
        };
        let voter = voters_record::Voter { voter_id: 1, endpoints: vec![endpoint], ..Default::default() };
        let values = [
            ControlValue::Abort(marker.clone()),
            ControlValue::Commit(marker),
            ControlValue::LeaderChange(leader),
            ControlValue::SnapshotHeader(header),
            ControlValue::SnapshotFooter(SnapshotFooterRecord::default()),
            ControlValue::KRaftVersion(KRaftVersionRecord { k_raft_version: 1, ..Default::default() }),
            ControlValue::Voters(VotersRecord { voters: vec![voter], ..Default::default() }),
        ];
        for (kind, value) in values.into_iter().enumerate() {
            assert_eq!(value.key(), [0, 0, 0, kind as u8]);
            let bytes = value.encode().unwrap();
            for length in 0..bytes.len() {
                let cut = ControlValue::decode(&value.key(), &bytes.slice(..length));
                assert!(
                    matches!(cut, Err(ControlError::Value(_))),
                    "{cut:?} from {length} bytes of {value:?}"
                );
            }
            assert_eq!(ControlValue::decode(&value.key(), &[&bytes[..], &[1]].concat().into()), Ok(value));
        }
    }

    #[test]
    fn values_have_kafkas_bytes() {
        let marker = ControlValue::Commit(EndTxnMarker { coordinator_epoch: 5, ..Default::default() });
        assert_eq!(
            marker.encode().unwrap(),
            ControlRecord::Commit { coordinator_epoch: 5 }.value().unwrap()[..]
        );
        let footer = ControlValue::SnapshotFooter(SnapshotFooterRecord::default());
        assert_eq!(footer.encode().unwrap(), &[0, 0, 0][..]);
        let leader =
            LeaderChangeMessage { leader_id: 1, voters: vec![Voter::default()], ..Default::default() };
        let bytes = [0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 1, 0];
        assert_eq!(ControlValue::LeaderChange(leader).encode().unwrap(), &bytes[..]);
    }

    #[test]
    fn what_version_0_lacks_is_not_lost_silently() {
        let voter = Voter { voter_directory_id: Uuid([1; 16]), ..Default::default() };
        let leader = LeaderChangeMessage { voters: vec![voter], ..Default::default() };
        let error = ControlValue::LeaderChange(leader).encode().unwrap_err();
        assert_eq!(
            (error.place.field, error.kind),
            ("voter_directory_id", EncodeErrorKind::UnsupportedField)
        );
    }

    #[test]
    fn a_type_without_a_table_and_a_key_that_is_none_are_told_apart() {
        let decode = |key: &[u8]| ControlValue::decode(key, &Bytes::new());
        assert_eq!(decode(&[0, 0, 0, 7]), Err(ControlError::UnknownType(ControlRecordType(7))));
        assert_eq!(decode(&[0, 0, 0]), Err(ControlError::Key));
        assert_eq!(decode(&[0xff, 0xff, 0, 0]), Err(ControlError::Key));
    }
}
