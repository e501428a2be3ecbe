//! What members of a sticky group add to their subscription as its user data: what they had, and since which generation.
//!
//! Version 0 is a list of topics with their partitions, version 1 adds the generation behind it. No number says which of
//! them it is: what can be read as 1 is 1, what can't be may be 0. Kafka's assignors write version 1 and read both. The
//! cooperative assignor writes nothing but the generation, for which see [`encode_generation`]: what its members own
//! stands in the subscription itself.
//!
//! Kafka has no JSON schema for these bytes: `StickyAssignor` and `CooperativeStickyAssignor` spell them out in Java.
//!
//! Sources: KIP-54 (the assignor), KIP-341 (generation), KIP-429 (cooperative).

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::wire::{self, DecodeError, EncodeError, Reader, wire};

/// The newest version.
pub const NEWEST_VERSION: i16 = 1;

wire! {
    /// What a member had before it rejoined.
    pub struct StickyAssignorUserData {
        /// Its partitions, by topic.
        previous_assignment: Vec<TopicAssignment>,
        /// The generation that gave them to it; of two members with the same claim the newer one counts.
        [1.., ignorable] generation: i32 = -1,
    }

    /// Partitions of one topic.
    pub struct TopicAssignment {
        /// The topic's name.
        topic: String,
        /// The partitions' numbers.
        partitions: Vec<i32>,
    }
}

/// The bytes in `version`; one outside 0 to [`NEWEST_VERSION`] counts as the nearest of them.
///
/// # Errors
/// A text or list that is too long for the format.
pub fn encode(data: &StickyAssignorUserData, version: i16) -> Result<Bytes, EncodeError> {
    wire::encode(data, version.clamp(0, NEWEST_VERSION), false).map(|frame| frame.to_bytes())
}

/// Reads the bytes and tells their version. What is left over behind either version is passed over.
///
/// # Errors
/// Bytes that are neither version.
pub fn decode(data: &Bytes) -> Result<(StickyAssignorUserData, i16), DecodeError> {
    let read = |version| Reader::new(data, version, false).message::<StickyAssignorUserData>();
    match read(1) {
        Ok(data) => Ok((data, 1)),
        Err(_) => read(0).map(|data| (data, 0)),
    }
}

/// What the cooperative assignor writes: the generation alone.
pub fn encode_generation(generation: i32) -> Bytes {
    Bytes::copy_from_slice(&generation.to_be_bytes())
}

/// The generation that the cooperative assignor wrote; `None` if the bytes are none.
pub fn decode_generation(data: &[u8]) -> Option<i32> {
    data.first_chunk().map(|bytes| i32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{DecodeErrorKind, Place};

    fn sample(generation: i32) -> StickyAssignorUserData {
        let topic = TopicAssignment { topic: "t0".into(), partitions: vec![4, 7], ..Default::default() };
        StickyAssignorUserData { previous_assignment: vec![topic], generation, ..Default::default() }
    }

    #[test]
    fn version_1_ends_with_the_generation_and_version_0_lacks_it() {
        let (v0, v1) = (encode(&sample(9), 0).unwrap(), encode(&sample(9), 1).unwrap());
        assert_eq!(v0, &b"\0\0\0\x01\0\x02t0\0\0\0\x02\0\0\0\x04\0\0\0\x07"[..]);
        assert_eq!(v1, [&v0[..], &[0, 0, 0, 9]].concat());
        assert_eq!(decode(&v1), Ok((sample(9), 1)));
        assert_eq!(decode(&v0), Ok((sample(-1), 0)));
        assert_eq!((encode(&sample(9), -1), encode(&sample(9), 7)), (Ok(v0), Ok(v1)));
    }

    #[test]
    fn what_is_left_over_is_passed_over() {
        let v0 = encode(&sample(9), 0).unwrap();
        assert_eq!(decode(&[&v0[..], &[0, 0]].concat().into()), Ok((sample(-1), 0)));
        assert_eq!(decode(&[&v0[..], &[0, 0, 0, 9, 1]].concat().into()), Ok((sample(9), 1)));
    }

    #[test]
    fn every_proper_prefix_of_version_0_is_refused() {
        let v0 = encode(&sample(9), 0).unwrap();
        for length in 0..v0.len() {
            assert!(decode(&v0.slice(..length)).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn counts_and_lengths_that_cannot_be_are_refused() {
        let place = Place { message: "StickyAssignorUserData", field: "previous_assignment" };
        let error = decode(&Bytes::from_static(&[0xff; 16])).unwrap_err();
        assert_eq!((error.place, error.kind), (place, DecodeErrorKind::UnexpectedNull));
        assert!(decode(&Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 0, 1, b't', 0, 0, 0, 0])).is_err());
        assert!(decode(&Bytes::from_static(&[0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0])).is_err());
        assert!(decode(&Bytes::from_static(&[0, 0, 0, 1, 0, 1, 0xff, 0, 0, 0, 0])).is_err());
    }

    #[test]
    fn a_cooperative_member_tells_its_generation_alone() {
        assert_eq!(encode_generation(258), &[0, 0, 1, 2][..]);
        assert_eq!(decode_generation(&encode_generation(-1)), Some(-1));
        assert_eq!((decode_generation(&[0, 0, 1]), decode_generation(&[0, 0, 1, 2, 3])), (None, Some(258)));
    }
}
