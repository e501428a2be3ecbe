//! ApiVersions: what the imitated release takes.

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};

use super::{Call, Reply, Serve};
use crate::cluster::Cluster;
use crate::versions::Release;

impl Serve for ApiVersionsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<ApiVersionsResponse> {
        let name_fits =
            is_software_name(&self.client_software_name) && is_software_name(&self.client_software_version);
        if call.version >= 3 && !name_fits {
            return Reply::Now(self.refuse(call.version, ErrorCode::INVALID_REQUEST));
        }
        Reply::Now(answer(cluster.options.release, call.version))
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> ApiVersionsResponse {
        ApiVersionsResponse { error_code: code, ..Default::default() }
    }

    fn throttle(response: &mut ApiVersionsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }
}

/// Answers a version that the release doesn't know, in the one that every client can read.
pub(crate) fn fall_back(cluster: &mut Cluster, call: &Call) {
    let release = cluster.options.release;
    let own = super::advertised(release, ApiKey::API_VERSIONS);
    let own = ApiVersion {
        api_key: ApiKey::API_VERSIONS.0,
        min_version: own.min,
        max_version: own.max,
        ..Default::default()
    };
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        // Since 2.4 the answer says at least which versions of this API would do.
        api_keys: if release > Release::V2_1 { vec![own] } else { Vec::new() },
        ..Default::default()
    };
    cluster.answer(call.now, call.ticket, response);
}

fn answer(release: Release, version: i16) -> ApiVersionsResponse {
    let row = |(key, versions): (ApiKey, ottla_protocol::wire::VersionRange)| ApiVersion {
        api_key: key.0,
        // Clients on librdkafka take a broker that doesn't announce the first versions for one that can't produce.
        min_version: if key == ApiKey::PRODUCE { 0 } else { versions.min },
        max_version: versions.max,
        ..Default::default()
    };
    let mut api_keys: Vec<ApiVersion> = super::all(release).map(row).collect();
    api_keys.sort_by_key(|row| row.api_key);
    let mut supported = release.supported_features();
    if version < 4 {
        // Older clients take a lowest level of 0 for damage.
        supported.retain(|feature| feature.min_version > 0);
    }
    let finalized_features = release.finalized_features();
    ApiVersionsResponse {
        api_keys,
        supported_features: supported,
        finalized_features_epoch: if finalized_features.is_empty() { -1 } else { 1 },
        finalized_features,
        ..Default::default()
    }
}

/// Letters, digits, dots and dashes, which begin and end with a letter or digit.
fn is_software_name(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    ends(text.chars().next()) && ends(text.chars().last()) && text.chars().all(legal)
}
