//! The body of the one target that needs more than the workspace depends on.
//!
//! Guarantee: as that of `ottla_fuzzing`, whose targets the others are.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
use ottla_fuzzing::{Direction, Source, Subject};
use ottla_protocol::reflect::Value;

/// Takes the input for a direction, an API's key, a version and a body, as `round_trip` does.
///
/// What we encode of a body that we decode, the crate `kafka-protocol` decodes, and encodes in the same bytes. The body itself
/// isn't shown to it, for what can be written in two ways: a structure that may be null is there for us and for Kafka where its
/// first byte isn't negative, and for that crate where it is 1. Nor are bodies that we refuse: it believes lengths, and would
/// reserve gigabytes.
pub fn differential(data: &[u8]) {
    let mut source = Source::new(data);
    let choice = source.u8();
    let direction = if choice & 1 == 0 { Direction::Request } else { Direction::Response };
    let subject = Subject::of(source.i16(), source.i16(), direction);
    let (key, version) = (subject.api.api.key, subject.version);
    let Ok(api) = ApiKey::try_from(key.0) else { return };
    if !(api.valid_versions().min..=api.valid_versions().max).contains(&version) {
        return;
    }
    assert_eq!(api.request_header_version(version), subject.api.api.request_header_version(version), "{key}");
    assert_eq!(
        api.response_header_version(version),
        subject.api.api.response_header_version(version),
        "{key}"
    );
    let body = Bytes::copy_from_slice(source.rest());
    let Some(value) = subject.decode(&body) else { return };
    if has_huge_tag(&value) {
        return;
    }
    let ours = subject.encode(value);
    match theirs(api, direction, version, ours.clone()) {
        Ok(theirs) => assert_eq!(theirs, ours, "{key} v{version}, {direction:?}"),
        // It lists versions for an API of which it has only one of the two messages.
        Err(error) if error.contains("specified version not supported") => {}
        // Like Java, it refuses a tag that the table knows from a later version on; we keep it as one that we don't know.
        Err(error) if error.contains("is not valid for version") => {}
        Err(error) => panic!("{key} v{version}, {direction:?}: kafka-protocol refuses {ours:?}: {error}"),
    }
}

/// Whether there is an unknown tag beyond `i32::MAX`: kafka-protocol counts such a one and doesn't write it.
fn has_huge_tag(value: &Value) -> bool {
    match value {
        Value::Struct(value) => {
            value.unknown_tags.iter().any(|(tag, _)| tag > i32::MAX as u32)
                || value.fields.iter().any(|(_, field)| has_huge_tag(field))
        }
        Value::Array(elements) => elements.iter().any(has_huge_tag),
        _ => false,
    }
}

/// What kafka-protocol makes of a body.
fn theirs(api: ApiKey, direction: Direction, version: i16, mut body: Bytes) -> Result<Bytes, String> {
    let mut out = BytesMut::new();
    let result = match direction {
        Direction::Request => {
            RequestKind::decode(api, &mut body, version).and_then(|message| message.encode(&mut out, version))
        }
        Direction::Response => ResponseKind::decode(api, &mut body, version)
            .and_then(|message| message.encode(&mut out, version)),
    };
    result.map_err(|error| format!("{error:#}"))?;
    if body.is_empty() { Ok(out.freeze()) } else { Err(format!("{} bytes are left over", body.len())) }
}
