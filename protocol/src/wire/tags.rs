//! Tagged fields that this crate doesn't know (KIP-482): kept, so that a message passes through unchanged.

use bytes::Bytes;

/// The tagged fields of a structure that its table doesn't name, by ascending tag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnknownTags(Vec<(u32, Bytes)>);

impl UnknownTags {
    /// Tags and contents, by ascending tag.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, &Bytes)> {
        self.0.iter().map(|(tag, content)| (*tag, content))
    }

    /// Sets the raw content of a tag, replacing what stood there.
    pub fn insert(&mut self, tag: u32, content: Bytes) {
        match self.0.binary_search_by_key(&tag, |(tag, _)| *tag) {
            Ok(at) => self.0[at].1 = content,
            Err(at) => self.0.insert(at, (tag, content)),
        }
    }

    /// The number of tags.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends a tag; the reader has checked that tags ascend.
    pub(super) fn push(&mut self, tag: u32, content: Bytes) {
        self.0.push((tag, content));
    }

    pub(super) fn as_slice(&self) -> &[(u32, Bytes)] {
        &self.0
    }
}
