//! Tagged fields that this crate doesn't know (KIP-482): kept, so that a message passes through unchanged.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

/// The tagged fields of a structure that its table doesn't name, by ascending tag.
///
/// One pointer, null as long as there are none, since every structure has them and next to none has any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnknownTags(Option<Box<Tags>>);

/// What is never empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tags(Vec<(u32, Bytes)>);

impl UnknownTags {
    /// Tags and contents, by ascending tag.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, &Bytes)> {
        self.as_slice().iter().map(|(tag, content)| (*tag, content))
    }

    /// Sets the raw content of a tag, replacing what stood there.
    pub fn insert(&mut self, tag: u32, content: Bytes) {
        let tags = &mut self.0.get_or_insert_default().0;
        match tags.binary_search_by_key(&tag, |(tag, _)| *tag) {
            Ok(at) => tags[at].1 = content,
            Err(at) => tags.insert(at, (tag, content)),
        }
    }

    /// The number of tags.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Appends a tag; the reader has checked that tags ascend.
    pub(super) fn push(&mut self, tag: u32, content: Bytes) {
        self.0.get_or_insert_default().0.push((tag, content));
    }

    pub(super) fn as_slice(&self) -> &[(u32, Bytes)] {
        self.0.as_ref().map_or(&[], |tags| &tags.0)
    }
}
