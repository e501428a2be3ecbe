//! The targets `decode_request` and `decode_response`, and the check of a message's body that other targets use.

use bytes::Bytes;
use ottla_protocol::header::{RequestHeader, ResponseHeader, split_response};
use ottla_protocol::reflect::{APIS, DynApi, DynMessage, Value};
use ottla_protocol::wire::{DecodeErrorKind, Reader};

use crate::frames::{request_header_comes_back, response_header_comes_back};
use crate::memory;
use crate::source::Source;

/// Which of an API's two messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What clients send.
    Request,
    /// What brokers answer.
    Response,
}

/// A message in one of its versions.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// The API.
    pub api: &'static DynApi,
    /// Which of its messages.
    pub direction: Direction,
    /// The version.
    pub version: i16,
}

impl Subject {
    /// The message of the API with this key in this version; numbers that nothing has stand for some that there are.
    pub fn of(key: i16, version: i16, direction: Direction) -> Self {
        let among = |number: i16, count: usize| usize::from(number.unsigned_abs()) % count;
        let api = APIS.iter().find(|api| api.api.key.0 == key).unwrap_or(&APIS[among(key, APIS.len())]);
        let versions = api.api.versions;
        let version = if versions.contains(version) {
            version
        } else {
            versions.min + among(version, (versions.max - versions.min) as usize + 1) as i16
        };
        Subject { api, direction, version }
    }

    /// The message's table and codec.
    pub fn message(&self) -> &'static DynMessage {
        match self.direction {
            Direction::Request => &self.api.request,
            Direction::Response => &self.api.response,
        }
    }

    /// Whether the version is flexible.
    pub fn flexible(&self) -> bool {
        self.api.api.flexible(self.version)
    }

    /// Decodes a body and checks all that holds for any bytes; gives the message if they are one.
    ///
    /// Both ways of decoding agree; memory stays within its bound; an error lies within the body; of a body that decodes, no
    /// beginning does, nor does it with a byte more.
    pub fn decode(&self, body: &Bytes) -> Option<Value> {
        let Subject { version, .. } = *self;
        let (message, flexible) = (self.message(), self.flexible());
        let name = message.table.name;
        let checked = memory::within(memory::densest_bound(body.len()), name, || {
            message.check(body, version, flexible)
        });
        let value = match (checked, message.decode(body, version, flexible)) {
            (Ok(()), Ok(value)) => value,
            (Err(checked), Err(decoded)) => {
                assert_eq!(checked, decoded, "{name} v{version}");
                assert!(
                    decoded.offset <= body.len(),
                    "{name} v{version}: {decoded}, of {} bytes",
                    body.len()
                );
                return None;
            }
            (checked, decoded) => panic!("{name} v{version}: {checked:?} and {decoded:?}"),
        };
        for cut in [body.len().saturating_sub(1), body.len() / 2] {
            let result = message.check(&body.slice(..cut), version, flexible);
            assert!(
                cut == body.len() || result.is_err(),
                "{name} v{version}: {cut} of {} bytes decode",
                body.len()
            );
        }
        let longer = [body, &[0][..]].concat().into();
        let kind = message.check(&longer, version, flexible).map_err(|error| error.kind);
        assert_eq!(kind, Err(DecodeErrorKind::TrailingBytes(1)), "{name} v{version}");
        Some(value)
    }

    /// The bytes of a message that was decoded, which all can be encoded again.
    pub fn encode(&self, value: Value) -> Bytes {
        match self.message().encode(value, self.version, self.flexible()) {
            Ok(Ok(bytes)) => bytes,
            refused => {
                panic!("{} v{}: decoded, and then {refused:?}", self.message().table.name, self.version)
            }
        }
    }
}

/// Takes the input for a request's frame, without its length: header and body.
pub fn decode_request(data: &[u8]) {
    let mut start = Source::new(data);
    let subject = Subject::of(start.i16(), start.i16(), Direction::Request);
    let frame = Bytes::copy_from_slice(data);
    let header_version = subject.api.api.request_header_version(subject.version);
    let mut reader = Reader::new(&frame, subject.version, false);
    match RequestHeader::read(&mut reader, header_version) {
        Ok(header) => {
            request_header_comes_back(&header, header_version, reader.offset());
            body(&subject, &frame.slice(reader.offset()..));
        }
        Err(error) => assert!(error.offset <= frame.len(), "{error}"),
    }
}

/// Takes the input for an API's key, a version and the frame of a response to it: header and body.
pub fn decode_response(data: &[u8]) {
    let mut start = Source::new(data);
    let subject = Subject::of(start.i16(), start.i16(), Direction::Response);
    let frame = Bytes::copy_from_slice(start.rest());
    let api = subject.api.api;
    let header_version = api.response_header_version(subject.version);
    let mut reader = Reader::new(&frame, subject.version, false);
    let read = ResponseHeader::read(&mut reader, header_version);
    match split_response(&frame, api, subject.version) {
        Ok((header, rest)) => {
            assert_eq!(read.as_ref(), Ok(&header));
            assert_eq!(reader.offset() + rest.len(), frame.len());
            response_header_comes_back(&header, header_version, reader.offset());
            body(&subject, &rest);
        }
        Err(error) => {
            assert!(error.offset <= frame.len(), "{error}");
            assert_eq!(read, Err(error));
        }
    }
}

/// A body that decodes is encoded in as many bytes, or in fewer where the version is flexible: a tagged field at its default is
/// left out, and a length written with more bytes than it needs becomes shorter.
fn body(subject: &Subject, body: &Bytes) {
    if let Some(value) = subject.decode(body) {
        let encoded = subject.encode(value);
        let fits = if subject.flexible() { encoded.len() <= body.len() } else { encoded.len() == body.len() };
        let name = subject.message().table.name;
        assert!(fits, "{name} v{}: {} bytes become {}", subject.version, body.len(), encoded.len());
    }
}
