//! [`Extent`]: how far what was sent reaches, by what its batches say of themselves.

use bytes::Bytes;
use ottla_protocol::records::Batches;

/// How far what was sent reaches, as its batches' headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Where the next fetch goes on.
    pub(crate) next_offset: i64,
    /// The leader epoch of the last batch, or -1.
    pub(crate) leader_epoch: i32,
    /// Complete batches.
    pub(crate) batches: usize,
    /// Their records.
    pub(crate) records: u64,
    /// Whether the headers end in damage, behind which nothing is known.
    pub(crate) damaged: bool,
    /// Bytes.
    pub(crate) size: usize,
}

impl Extent {
    pub(super) fn of(records: &Bytes, fetch_offset: i64) -> Extent {
        let mut extent = Extent {
            next_offset: fetch_offset,
            leader_epoch: -1,
            batches: 0,
            records: 0,
            damaged: false,
            size: records.len(),
        };
        for batch in Batches::new(records.clone()) {
            match batch {
                Ok(batch) => {
                    extent.next_offset = extent.next_offset.max(batch.header().next_offset());
                    extent.leader_epoch = batch.header().partition_leader_epoch;
                    extent.batches += 1;
                    extent.records += u64::try_from(batch.header().count).unwrap_or(0);
                }
                Err(_) => extent.damaged = true,
            }
        }
        extent
    }
}
