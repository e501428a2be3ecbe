//! Which partition a record goes to: the one it names, or the one that `partitioner.class` chooses.
//!
//! - `class`: the choices by name; `hash`: the hashes of other clients, bit for bit;
//! - `sticky`: the partition that records without a key stay with until it has got a batch's worth of bytes, so that
//!   batches fill and bytes spread evenly; `load`: how the next one is drawn while some partitions are slower than others;
//! - [`Partitioner`]: the application's own.
//!
//! Guarantees: the same key lands in the partition in which the named client would put it, as long as the number of
//! partitions stays the same; a record without a key goes to no partition without a leader while others have one.
//!
//! Sources: KIP-480 (sticky), KIP-794 (uniform sticky, adaptive, `partitioner.ignore.keys`), librdkafka's `partitioner`.

mod class;
mod hash;
mod load;
mod partitions;
mod sticky;

use std::fmt;
use std::num::NonZeroU32;

pub use class::PartitionerClass;
pub(crate) use load::Load;
pub use partitions::Partitions;
pub(crate) use sticky::Sticky;

use crate::record::Record;

/// A partitioner of the application's own, for [`PartitionerClass::custom`].
///
/// It is asked by whoever sends, once for each record that names no partition, with no lock held. Every clone of the
/// producer asks the same one, from many threads at a time.
///
/// ```
/// use ottla_producer::{Choice, Partitioner, PartitionerClass, Partitions, ProducerOptions, Record};
///
/// /// Records of important customers have partition 0 for themselves.
/// struct Vip;
///
/// impl Partitioner for Vip {
///     fn partition(&self, record: &Record<'_>, topic: &Partitions) -> Choice {
///         match record.key_bytes() {
///             Some(key) if key.starts_with(b"vip-") => Choice::Partition(0),
///             Some(key) => Choice::Partition(1 + topic.hash(key) % (topic.count() as i32 - 1).max(1)),
///             None => Choice::Sticky,
///         }
///     }
/// }
///
/// let options = ProducerOptions::new().partitioner(PartitionerClass::custom(Vip));
/// ```
pub trait Partitioner: Send + Sync {
    /// Chooses the partition of `record` among those of its topic. An answer that the topic doesn't have fails the record
    /// before it takes any room.
    fn partition(&self, record: &Record<'_>, topic: &Partitions) -> Choice;
}

impl fmt::Debug for dyn Partitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Partitioner")
    }
}

/// A partitioner's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This partition.
    Partition(i32),
    /// The one that is the turn of records without a key, as with the default partitioner.
    Sticky,
}

/// Where a record goes that names no partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Fixed(u32),
    Sticky,
    /// The next one of the topic, in turn.
    Next,
    /// Any one, by chance.
    Random,
}

/// Decides by name; an application's own partitioner is asked elsewhere.
#[inline]
pub(crate) fn route(
    class: &PartitionerClass,
    ignore_keys: bool,
    key: Option<&[u8]>,
    partitions: NonZeroU32,
) -> Route {
    use PartitionerClass::*;
    let known = key.unwrap_or_default();
    match (class, key) {
        (Default, Some(key)) if !ignore_keys => Route::Fixed(hash::murmur2(key, partitions)),
        (Default | Custom(_), _) => Route::Sticky,
        (Consistent, _) => Route::Fixed(hash::crc32(known, partitions)),
        (ConsistentRandom, Some(key)) if !key.is_empty() => Route::Fixed(hash::crc32(key, partitions)),
        (Murmur2, _) | (Murmur2Random, Some(_)) => Route::Fixed(hash::murmur2(known, partitions)),
        (Fnv1a, _) | (Fnv1aRandom, Some(_)) => Route::Fixed(hash::fnv1a(known, partitions)),
        (Random, Some(_)) => Route::Random,
        (ConsistentRandom | Murmur2Random | Fnv1aRandom | Random, _) => Route::Sticky,
        (RoundRobin, _) => Route::Next,
    }
}

#[cfg(test)]
mod tests;
