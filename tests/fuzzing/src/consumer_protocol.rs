//! The target `consumer_protocol`: what members of a classic group tell each other, and the other blobs inside messages.

use bytes::Bytes;
use ottla_protocol::messages::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, NEWEST_VERSION, TopicPartition,
    decode_assignment, decode_subscription, encode_assignment, encode_subscription,
};
use ottla_protocol::messages::sticky_user_data;
use ottla_protocol::reflect::{BLOBS, DynMessage, Value};
use ottla_protocol::wire::{DecodeError, EncodeError, Message};

use crate::generate::{Generator, carried};
use crate::memory;
use crate::source::Source;

/// Takes the input for a kind of blob and the blob, or what to make a blob of.
///
/// What decodes is encoded, and decodes to the same; encoding that again gives the same bytes. What follows a blob is passed
/// over, and cutting it off never changes what was read before the cut into something that was not sent.
pub fn consumer_protocol(data: &[u8]) {
    let mut source = Source::new(data);
    let choice = source.u8();
    let blob = Bytes::copy_from_slice(source.rest());
    match choice % 5 {
        0 => decoded(&blob, decode_subscription, encode_subscription, sorted),
        1 => decoded(&blob, decode_assignment, encode_assignment, |_: &ConsumerProtocolAssignment| {}),
        2 => sticky(&blob),
        3 => by_table(&mut source),
        _ => made(&mut source),
    }
}

fn decoded<M: Message>(
    blob: &Bytes,
    decode: fn(&Bytes) -> Result<(M, i16), DecodeError>,
    encode: fn(&M, i16) -> Result<Bytes, EncodeError>,
    check: fn(&M),
) {
    let bound = memory::densest_bound(blob.len());
    match memory::within(bound, M::NAME, || decode(blob)) {
        Ok((message, version)) => {
            assert!(version >= 0, "version {version} is read");
            let newest = version.min(NEWEST_VERSION);
            let bytes = encode(&message, version).expect("what was decoded can be encoded");
            assert!(bytes.len() <= blob.len(), "{} bytes become {}", blob.len(), bytes.len());
            // The same bytes, but for what follows and the version, which is never newer than what we know.
            assert_eq!(bytes[2..], blob[2..bytes.len()]);
            assert_eq!(decode(&bytes), Ok((message.clone(), newest)));
            let followed = Bytes::from([&bytes[..], &[7; 3]].concat());
            assert_eq!(decode(&followed), Ok((message.clone(), newest)), "followed by more");
            let cut = decode(&bytes.slice(..bytes.len() - 1));
            assert!(cut.is_err(), "cut off, it is {cut:?}");
            check(&message);
        }
        Err(error) => assert!(error.offset <= blob.len(), "{error}"),
    }
}

/// Sorting changes the order and nothing else, and is done the second time.
fn sorted(subscription: &ConsumerProtocolSubscription) {
    let mut sorted = subscription.clone();
    sorted.sort();
    assert!(sorted.topics.is_sorted(), "{sorted:?}");
    let count =
        |partitions: &[TopicPartition]| partitions.iter().map(|topic| topic.partitions.len()).sum::<usize>();
    assert_eq!(sorted.topics.len(), subscription.topics.len());
    assert_eq!(count(&sorted.owned_partitions), count(&subscription.owned_partitions));
    let mut again = sorted.clone();
    again.sort();
    assert_eq!(again, sorted);
}

fn sticky(blob: &Bytes) {
    let bound = 2 * memory::densest_bound(blob.len());
    match memory::within(bound, "sticky user data", || sticky_user_data::decode(blob)) {
        Ok((data, version)) => {
            let bytes = sticky_user_data::encode(&data, version).expect("what was decoded can be encoded");
            assert_eq!(bytes, blob[..bytes.len()]);
            assert_eq!(sticky_user_data::decode(&bytes), Ok((data, version)));
        }
        Err(error) => assert!(error.offset <= blob.len(), "{error}"),
    }
    if let Some(generation) = sticky_user_data::decode_generation(blob) {
        assert_eq!(sticky_user_data::encode_generation(generation), blob[..4]);
    }
}

/// A blob by its table alone.
fn by_table(source: &mut Source<'_>) {
    let (blob, version) = any(source);
    let bytes = Bytes::copy_from_slice(source.rest());
    let (name, flexible) = (blob.table.name, blob.flexible(version));
    let bound = memory::densest_bound(bytes.len());
    let checked = memory::within(bound, name, || blob.check(&bytes, version, flexible));
    let decoded = blob.decode(&bytes, version, flexible);
    assert_eq!(checked.err(), decoded.as_ref().err().copied(), "{name} v{version}");
    if let Ok(value) = decoded {
        let encoded = blob.encode(value.clone(), version, flexible).expect("it is of this table");
        let encoded = encoded.expect("what was decoded can be encoded");
        assert!(
            encoded.len() <= bytes.len(),
            "{name} v{version}: {} bytes become {}",
            bytes.len(),
            encoded.len()
        );
        assert_eq!(blob.decode(&encoded, version, flexible), Ok(value), "{name} v{version}");
    }
}

/// A blob that has a table, in one of its versions.
fn any(source: &mut Source<'_>) -> (&'static DynMessage, i16) {
    let blob = &BLOBS[source.below(BLOBS.len())];
    let versions = (blob.versions.max - blob.versions.min) as usize + 1;
    (blob, blob.versions.min + source.below(versions) as i16)
}

fn made(source: &mut Source<'_>) {
    let (blob, version) = any(source);
    let flexible = blob.flexible(version);
    let value = Generator::new(version, flexible, source).structure(blob.table);
    let expected = carried(&value, blob.table, version, flexible);
    let encoded = blob.encode(Value::Struct(value), version, flexible).expect("it is made by the table");
    match (encoded, expected) {
        (Ok(bytes), Some(expected)) => {
            assert_eq!(blob.decode(&bytes, version, flexible), Ok(Value::Struct(expected)));
        }
        (Err(_), None) => {}
        (encoded, expected) => panic!("{} v{version}: {encoded:?}, of {expected:?}", blob.table.name),
    }
}
