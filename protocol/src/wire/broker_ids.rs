//! Short lists of brokers.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, DerefMut};

use super::error::{DecodeErrorKind, Step};
use super::field::Field;
use super::reader::Reader;
use super::writer::Writer;

/// The longest list that takes no allocation.
const INLINE: usize = 5;

/// Ids of brokers, such as a partition's replicas.
///
/// Used like a slice, and made of one, of a `Vec` or of an iterator. A list is as long as the replication factor, and a
/// large cluster's metadata has tens of thousands of them, so up to five ids are kept without an allocation, in no more
/// room than a `Vec` takes.
#[derive(Clone)]
pub struct BrokerIds(Ids);

#[derive(Clone)]
enum Ids {
    Few { len: u8, ids: [i32; INLINE] },
    Many(Box<[i32]>),
}

impl BrokerIds {
    /// No broker.
    pub const fn new() -> Self {
        BrokerIds(Ids::Few { len: 0, ids: [0; INLINE] })
    }

    fn few(few: &[i32]) -> Option<Self> {
        let mut ids = [0; INLINE];
        ids.get_mut(..few.len())?.copy_from_slice(few);
        Some(BrokerIds(Ids::Few { len: few.len() as u8, ids }))
    }
}

impl Deref for BrokerIds {
    type Target = [i32];

    fn deref(&self) -> &[i32] {
        match &self.0 {
            Ids::Few { len, ids } => &ids[..usize::from(*len).min(INLINE)],
            Ids::Many(ids) => ids,
        }
    }
}

impl DerefMut for BrokerIds {
    fn deref_mut(&mut self) -> &mut [i32] {
        match &mut self.0 {
            Ids::Few { len, ids } => &mut ids[..usize::from(*len).min(INLINE)],
            Ids::Many(ids) => ids,
        }
    }
}

impl Default for BrokerIds {
    fn default() -> Self {
        BrokerIds::new()
    }
}

impl fmt::Debug for BrokerIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl PartialEq for BrokerIds {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for BrokerIds {}

impl<L: AsRef<[i32]>> PartialEq<L> for BrokerIds {
    fn eq(&self, other: &L) -> bool {
        **self == *other.as_ref()
    }
}

impl From<&[i32]> for BrokerIds {
    fn from(ids: &[i32]) -> Self {
        BrokerIds::few(ids).unwrap_or_else(|| BrokerIds(Ids::Many(ids.into())))
    }
}

impl<const N: usize> From<[i32; N]> for BrokerIds {
    fn from(ids: [i32; N]) -> Self {
        BrokerIds::from(&ids[..])
    }
}

impl From<Vec<i32>> for BrokerIds {
    fn from(ids: Vec<i32>) -> Self {
        BrokerIds::few(&ids).unwrap_or_else(|| BrokerIds(Ids::Many(ids.into())))
    }
}

impl From<BrokerIds> for Vec<i32> {
    fn from(ids: BrokerIds) -> Self {
        match ids.0 {
            Ids::Few { .. } => ids.to_vec(),
            Ids::Many(ids) => ids.into(),
        }
    }
}

impl FromIterator<i32> for BrokerIds {
    fn from_iter<I: IntoIterator<Item = i32>>(ids: I) -> Self {
        BrokerIds::from(ids.into_iter().collect::<Vec<i32>>())
    }
}

impl<'a> IntoIterator for &'a BrokerIds {
    type Item = &'a i32;
    type IntoIter = core::slice::Iter<'a, i32>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Field for BrokerIds {
    fn read(&mut self, reader: &mut Reader<'_>) -> Step {
        let Some(count) = reader.length()? else {
            return Err(reader.fail(DecodeErrorKind::UnexpectedNull));
        };
        let (wire, _) = reader.take(count.saturating_mul(size_of::<i32>()))?.as_chunks();
        self.0 = if wire.len() <= INLINE {
            let mut ids = [0; INLINE];
            ids.iter_mut().zip(wire).for_each(|(id, bytes)| *id = i32::from_be_bytes(*bytes));
            Ids::Few { len: wire.len() as u8, ids }
        } else {
            Ids::Many(wire.iter().map(|bytes| i32::from_be_bytes(*bytes)).collect())
        };
        Ok(())
    }

    fn write(&self, writer: &mut Writer) -> Step {
        writer.length(Some(self.len()))?;
        self.iter().for_each(|id| writer.raw(&id.to_be_bytes()));
        Ok(())
    }

    fn is_default(&self) -> bool {
        self.is_empty()
    }
}

#[cfg(feature = "reflect")]
impl crate::reflect::Reflect for BrokerIds {
    const KIND: crate::reflect::Kind = <Vec<i32> as crate::reflect::Reflect>::KIND;

    fn to_value(&self) -> crate::reflect::Value {
        self.to_vec().to_value()
    }

    fn from_value(value: crate::reflect::Value) -> Result<Self, crate::reflect::Mismatch> {
        Vec::from_value(value).map(BrokerIds::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_any_length_is_what_it_was_made_of() {
        for len in 0..12 {
            let ids: Vec<i32> = (0..len).map(|id| id * 7 - 3).collect();
            let list = BrokerIds::from(ids.clone());
            assert_eq!(list, ids);
            assert_eq!(list, BrokerIds::from(&ids[..]));
            assert_eq!(list, ids.iter().copied().collect::<BrokerIds>());
            assert_eq!(format!("{list:?}"), format!("{ids:?}"));
            assert_eq!(Vec::from(list), ids);
        }
    }

    #[test]
    fn a_list_takes_no_more_room_than_a_vec() {
        assert!(size_of::<BrokerIds>() <= size_of::<Vec<i32>>());
    }

    #[test]
    fn lists_that_differ_beyond_their_end_alone_are_equal() {
        let mut longer = BrokerIds::from([1, 2, 3]);
        longer[2] = 9;
        assert_eq!(BrokerIds(Ids::Few { len: 2, ids: [1, 2, 3, 4, 5] }), BrokerIds::from([1, 2]));
        assert_eq!(longer, [1, 2, 9]);
    }
}
