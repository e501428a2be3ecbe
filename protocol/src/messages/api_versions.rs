//! ApiVersions: which APIs and versions a broker speaks. The first request on every connection, before SASL;
//! needs no rights.
//!
//! A broker that doesn't know the request's version answers in version 0 with `UNSUPPORTED_VERSION`, and
//! still lists what it speaks; [`decode_with_fallback`] reads both forms. The answer's header never became
//! flexible, so that it can be read without knowing which it is.
//!
//! What is announced is not always served: brokers from 4.0 on list Produce from version 0 and refuse 0 to 2.
//! Nor is what is not listed missing for ever: brokers are upgraded one by one, so ask again on each
//! connection.
//!
//! Versions: 1 adds the throttle time; 3 is flexible and adds the client's name and the features; 4 also
//! lists features whose lowest level is 0.
//!
//! Sources: KIP-35, KIP-511 (client name, fallback), KIP-584 (features), KAFKA-17011 (level 0), KAFKA-18659
//! (Produce).

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::error_code::ErrorCode;
use crate::wire::{DecodeError, api, decode, wire};

api!(API_VERSIONS: ApiVersionsRequest => ApiVersionsResponse, versions 0..=4, flexible 3..);

wire! {
    /// Asks for the broker's API versions.
    pub struct ApiVersionsRequest {
        /// The client library, for the broker's metrics; letters and digits, within also dots and dashes, or
        /// the broker answers `INVALID_REQUEST`.
        [3.., ignorable] client_software_name: String,
        /// The library's version, of the same characters.
        [3.., ignorable] client_software_version: String,
    }

    /// The broker's answer.
    pub struct ApiVersionsResponse {
        /// `UNSUPPORTED_VERSION` where the broker fell back to version 0; `INVALID_REQUEST`.
        error_code: ErrorCode,
        /// The APIs that the broker serves on this listener; for those that go to the controller, what both
        /// can do.
        api_keys: Vec<ApiVersion>,
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [1.., ignorable] throttle_time_ms: i32,
        /// Features that the broker could be told to use.
        [3.., tag 0, ignorable] supported_features: Vec<SupportedFeatureKey>,
        /// Counts up with each change of the finalized features; -1 if unknown.
        [3.., tag 1, ignorable] finalized_features_epoch: i64 = -1,
        /// Features that the whole cluster uses, such as `transaction.version`, by which clients choose
        /// between protocols. Meaningful if the epoch is not -1.
        [3.., tag 2, ignorable] finalized_features: Vec<FinalizedFeatureKey>,
        /// Whether the cluster takes part in a migration from ZooKeeper; false since Kafka 4.0, which has
        /// none.
        [3.., tag 3, ignorable] zk_migration_ready: bool,
    }

    /// The versions of one API.
    pub struct ApiVersion {
        /// The API's key.
        api_key: i16,
        /// The oldest version served; if it is newer than the client knows, they can't talk.
        min_version: i16,
        /// The newest version served; a client takes the newest that both know.
        max_version: i16,
    }

    /// A feature that the broker knows.
    pub struct SupportedFeatureKey {
        /// The feature's name.
        [3..] name: String,
        /// The lowest level it can work at; below version 4 features with 0 are left out.
        [3..] min_version: i16,
        /// The highest level it can work at.
        [3..] max_version: i16,
    }

    /// A feature at the level that the cluster agreed on.
    pub struct FinalizedFeatureKey {
        /// The feature's name.
        [3..] name: String,
        /// The level in use by the whole cluster.
        [3..] max_version_level: i16,
        /// The same again; Kafka doesn't work at several levels of a feature at once.
        [3..] min_version_level: i16,
    }
}

/// Decodes the answer to a request in `version`, or the version 0 that a broker which doesn't know `version`
/// answers.
///
/// # Errors An answer that is malformed in both versions; the error is that of the version asked for.
pub fn decode_with_fallback(body: &Bytes, version: i16) -> Result<ApiVersionsResponse, DecodeError> {
    let unsupported = body.first_chunk() == Some(&ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes());
    let asked = || decode(body, version, version >= 3);
    if version > 0 && unsupported {
        return decode(body, 0, false).or_else(|_| asked());
    }
    asked()
}
