//! What is said on a new connection before its first request. A pure machine.
//!
//! ```text
//!               +-- answers v0: "unsupported" --+
//!               v                               |
//! Ask(version) ----> Await(version) ------------+
//!                        |
//!                        +--> Ready(table)
//! ```
//! It starts at the newest version that this client knows. A broker that doesn't know it answers in version 0 with what
//! it does know, and is asked once more. (Authentication will stand between `Await` and `Ready`.)
//!
//! Sources: KIP-35, KIP-511 (client name, fallback).

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use ottla_protocol::api::{Api, ApiKey, Request};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse, decode_with_fallback};
use ottla_protocol::wire::VersionRange;

use crate::error::{Error, ErrorKind};

/// The versions that a broker serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ApiTable(BTreeMap<ApiKey, (i16, i16)>);

/// An API that client and broker have no version of in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsupported {
    key: ApiKey,
    ours: VersionRange,
    broker: Option<VersionRange>,
}

impl ApiTable {
    pub(super) fn new(answer: &ApiVersionsResponse) -> Self {
        ApiTable(
            answer
                .api_keys
                .iter()
                .map(|api| (ApiKey(api.api_key), (api.min_version, api.max_version)))
                .collect(),
        )
    }

    /// The newest version in common that is not above `max`.
    pub(crate) fn negotiate(&self, api: Api, max: i16) -> Result<i16, Unsupported> {
        let ours = api.versions.intersect(VersionRange::new(0, max));
        let broker = self.0.get(&api.key).map(|&(min, max)| VersionRange::new(min, max));
        let common = broker.map_or(VersionRange::NONE, |broker| broker.intersect(ours));
        if common.is_empty() { Err(Unsupported { key: api.key, ours, broker }) } else { Ok(common.max) }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this client speaks {} in versions {}, ", self.key, self.ours)?;
        match self.broker {
            Some(broker) => write!(f, "the broker in {broker}"),
            None => f.write_str("the broker not at all"),
        }
    }
}

/// The machine.
#[derive(Debug)]
pub(super) struct Handshake {
    state: State,
}

#[derive(Debug)]
enum State {
    Ask { version: i16 },
    Await { version: i16 },
    Ready(ApiTable),
}

impl Handshake {
    pub(super) fn new() -> Self {
        Handshake { state: State::Ask { version: ApiVersionsRequest::API.versions.max } }
    }

    /// The request to send now, and its version.
    pub(super) fn poll_request(&mut self) -> Option<(ApiVersionsRequest, i16)> {
        let State::Ask { version } = self.state else { return None };
        self.state = State::Await { version };
        let request = ApiVersionsRequest {
            client_software_name: "ottla".to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Default::default()
        };
        Some((request, version))
    }

    /// The body of the answer.
    pub(super) fn handle_response(&mut self, body: &Bytes) -> Result<(), Error> {
        let State::Await { version } = self.state else {
            return Err(failed("an answer came that nobody asked for"));
        };
        let answer = decode_with_fallback(body, version).map_err(|error| {
            failed("the answer to ApiVersions cannot be decoded: is this a Kafka broker?").with_cause(error)
        })?;
        match answer.error_code {
            ErrorCode::NONE => {
                self.state = State::Ready(ApiTable::new(&answer));
                Ok(())
            }
            ErrorCode::UNSUPPORTED_VERSION if version > 0 => {
                let table = ApiTable::new(&answer);
                // Brokers that list nothing beside the error know version 0 at least.
                let version = table.negotiate(ApiVersionsRequest::API, version - 1).unwrap_or(0);
                self.state = State::Ask { version };
                Ok(())
            }
            code => {
                Err(Error::from_code(code, "the broker refused ApiVersions")
                    .with_retriable(code.is_retriable()))
            }
        }
        .map_err(|error| match error.kind() {
            ErrorKind::Handshake => error,
            _ => failed("the handshake ended").with_cause(error),
        })
    }

    /// The broker's versions, once they are known.
    pub(super) fn poll_ready(&mut self) -> Option<ApiTable> {
        match &mut self.state {
            State::Ready(table) => Some(std::mem::take(table)),
            _ => None,
        }
    }
}

fn failed(message: &str) -> Error {
    Error::new(ErrorKind::Handshake, message)
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::api_versions::ApiVersion;

    use super::*;

    const MAX: i16 = ApiVersionsRequest::API.versions.max;

    fn answer(error_code: ErrorCode, apis: &[(ApiKey, i16, i16)], version: i16) -> Bytes {
        let api_keys = apis
            .iter()
            .map(|&(key, min_version, max_version)| ApiVersion {
                api_key: key.0,
                min_version,
                max_version,
                ..Default::default()
            })
            .collect();
        let answer = ApiVersionsResponse { error_code, api_keys, ..Default::default() };
        let frame = ottla_protocol::header::encode_response(&answer, version, 1).unwrap().to_bytes();
        frame.slice(4..)
    }

    #[test]
    fn a_broker_that_knows_the_newest_version_is_ready_after_one_answer() {
        let mut handshake = Handshake::new();
        let (request, version) = handshake.poll_request().unwrap();
        assert_eq!((request.client_software_name.as_str(), version), ("ottla", MAX));
        assert!(handshake.poll_request().is_none() && handshake.poll_ready().is_none());
        handshake.handle_response(&answer(ErrorCode::NONE, &[(ApiKey::METADATA, 0, 12)], MAX)).unwrap();
        let table = handshake.poll_ready().unwrap();
        let metadata = ottla_protocol::messages::metadata::MetadataRequest::API;
        assert_eq!(table.negotiate(metadata, i16::MAX), Ok(12));
        assert_eq!(table.negotiate(metadata, 5), Ok(5));
    }

    #[test]
    fn an_older_broker_is_asked_again_in_its_newest_version() {
        let mut handshake = Handshake::new();
        handshake.poll_request().unwrap();
        let old = answer(ErrorCode::UNSUPPORTED_VERSION, &[(ApiKey::API_VERSIONS, 0, 2)], 0);
        handshake.handle_response(&old).unwrap();
        assert_eq!(handshake.poll_request().map(|(_, version)| version), Some(2));
        handshake.handle_response(&answer(ErrorCode::NONE, &[(ApiKey::METADATA, 0, 1)], 2)).unwrap();
        assert!(handshake.poll_ready().is_some());
    }

    #[test]
    fn a_broker_that_only_says_unsupported_is_asked_in_version_0_and_no_further() {
        let mut handshake = Handshake::new();
        handshake.poll_request().unwrap();
        let old = answer(ErrorCode::UNSUPPORTED_VERSION, &[], 0);
        handshake.handle_response(&old).unwrap();
        assert_eq!(handshake.poll_request().map(|(_, version)| version), Some(0));
        assert_eq!(handshake.handle_response(&old).unwrap_err().kind(), ErrorKind::Handshake);
    }

    #[test]
    fn garbage_and_refusals_are_errors_of_the_handshake() {
        for body in [answer(ErrorCode::INVALID_REQUEST, &[], MAX), Bytes::from_static(b"\0\0garbage")] {
            let mut handshake = Handshake::new();
            handshake.poll_request().unwrap();
            let error = handshake.handle_response(&body).unwrap_err();
            assert_eq!((error.kind(), error.is_retriable()), (ErrorKind::Handshake, false));
        }
        let error = Handshake::new().handle_response(&Bytes::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake);
    }

    #[test]
    fn an_api_without_a_common_version_names_both_ranges() {
        let table = ApiTable(BTreeMap::from([(ApiKey::METADATA, (14, 15))]));
        let metadata = ottla_protocol::messages::metadata::MetadataRequest::API;
        let error = table.negotiate(metadata, i16::MAX).unwrap_err().to_string();
        assert_eq!(error, "this client speaks Metadata in versions 0-13, the broker in 14-15");
        let error = ApiTable::default().negotiate(metadata, 3).unwrap_err().to_string();
        assert_eq!(error, "this client speaks Metadata in versions 0-3, the broker not at all");
    }
}
