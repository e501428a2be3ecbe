//! Which partition a record goes to: the one it names, the one its key hashes to, or the topic's sticky one.
//!
//! Keys are hashed as the Java client does, so that the same key lands in the same partition whoever wrote it.
//! Records without a key go to one partition until it has got a batch's worth of bytes, then to another random one
//! with a leader: batches fill, and bytes spread evenly.
//!
//! Sources: KIP-480 (sticky), KIP-794 (uniform sticky, `partitioner.ignore.keys`).

mod sticky;

use std::num::NonZeroU32;

use ottla_protocol::murmur2::partition_for_key;

pub(crate) use sticky::Sticky;

/// What decides a record's partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The record or its key does.
    Fixed(i32),
    /// The topic's sticky partition.
    Sticky,
}

/// Decides for a record of a topic with `partitions` partitions.
pub(crate) fn choose(
    explicit: Option<i32>,
    key: Option<&[u8]>,
    ignore_keys: bool,
    partitions: NonZeroU32,
) -> Choice {
    match (explicit, key) {
        (Some(partition), _) => Choice::Fixed(partition),
        (None, Some(key)) if !ignore_keys => Choice::Fixed(partition_for_key(key, partitions)),
        _ => Choice::Sticky,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_records_own_partition_beats_its_key_and_its_key_beats_stickiness() {
        let six = NonZeroU32::new(6).expect("not zero");
        assert_eq!(choose(Some(4), Some(b""), false, six), Choice::Fixed(4));
        assert_eq!(choose(None, Some(b""), false, six), Choice::Fixed(3));
        assert_eq!(choose(None, Some(b""), true, six), Choice::Sticky);
        assert_eq!(choose(None, None, false, six), Choice::Sticky);
    }
}
