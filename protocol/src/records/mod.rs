//! Record batches of message format v2: how records are stored, produced and fetched.
//!
//! Reading: [`Batches`] splits what a broker sent by the batches' headers, a [`RecordBatch`] is verified and
//! decompressed when its [`BatchCursor`] is asked for, and the cursor walks the records one at a time, as
//! borrowed slices ([`RecordRef`]) or as a share of the buffer ([`Record`]). Nothing is allocated per record,
//! and damaged or hostile bytes give a [`RecordError`] that names the batch, never a panic, and never more
//! memory than the bytes themselves, a piece of decompressed records and the codec's state (see
//! [`crate::compression`]).
//!
//! Writing: [`BatchBuilder`] encodes records where they will be sent from, [`BatchBuilder::seal`] makes a
//! [`SealedBatch`] of it.
//!
//! ```
//! use ottla_protocol::compression::Compressor;
//! use ottla_protocol::records::{BatchBuilder, Batches, DecodeOptions, SealOptions};
//!
//! let mut builder = BatchBuilder::new(16 * 1024);
//! builder.try_append(1_700_000_000_000, Some(b"key"), Some(b"value"), &[("trace", None)])?;
//! let batch = builder.seal(&SealOptions::default(), &mut Compressor::none())?;
//!
//! for batch in Batches::new(batch.bytes()) {
//!     let mut cursor = batch?.cursor(&DecodeOptions::default())?;
//!     while let Some(record) = cursor.next_ref()? {
//!         assert_eq!((record.offset, record.key, record.value), (0, Some(&b"key"[..]), Some(&b"value"[..])));
//!         assert_eq!(record.headers.last("trace").map(|header| header.value), Some(None));
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Sources: KIP-98 (format v2, idempotence, control records), KIP-82 (headers), KIP-32 (timestamps),
//! KIP-534 (delete horizon).

mod batch;
mod builder;
mod control;
mod cursor;
mod early_sum;
mod encode;
mod error;
mod header;
mod record;
mod sealed;
pub mod sequence;

pub use batch::{Batches, RecordBatch};
pub use builder::{AppendError, BatchBuilder, NO_HEADERS};
pub use control::{ControlError, ControlRecord, ControlRecordType, ControlValue};
pub use cursor::{BatchCursor, DecodeOptions};
pub use encode::record_size_upper_bound;
pub use error::{RecordError, RecordErrorKind, RecordFault};
pub use header::{
    BATCH_HEADER_LEN, BATCH_LENGTH_OFFSET, BatchAttributes, BatchHeader, MAGIC_V2, NO_TIMESTAMP,
    TimestampType,
};
pub use record::{Header, HeaderIter, Headers, LocatedRecord, Record, RecordRef};
pub use sealed::{ProducerState, SealOptions, SealedBatch};

#[cfg(test)]
mod tests;
