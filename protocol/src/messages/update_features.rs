//! UpdateFeatures: raises or lowers the cluster's feature levels, such as `metadata.version` and
//! `group.version`. Goes to the controller. Needs Alter on the cluster.
//!
//! Versions: 1 replaces the flag that allows downgrades by the kind of change, and adds the dry run; 2
//! answers one error for all of them. Brokers from 4.0 on change all features or none in all versions.
//!
//! Sources: KIP-584 (feature levels), KIP-778 (kinds of change, dry run), KIP-1022 (one result for all).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(UPDATE_FEATURES: UpdateFeaturesRequest => UpdateFeaturesResponse, versions 0..=2, flexible 0..);

wire! {
    /// The levels to set.
    pub struct UpdateFeaturesRequest {
        /// How long the controller may take, in milliseconds; then it answers `REQUEST_TIMED_OUT`.
        timeout_ms: i32 = 60_000,
        /// The changes, one for each feature.
        feature_updates: Vec<FeatureUpdateKey>,
        /// Only checks whether the changes are possible.
        [1..] validate_only: bool,
    }

    /// A feature's new level.
    pub struct FeatureUpdateKey {
        /// The feature's name; one that the controller doesn't know is answered with
        /// `INVALID_UPDATE_VERSION`.
        feature: String,
        /// The level that all nodes use from now on; 0 switches the feature off. `INVALID_UPDATE_VERSION` if
        /// it is negative, if a node of the cluster doesn't support it or if another feature's level forbids
        /// it.
        max_version_level: i16,
        /// Whether the level may be lower than now; without it, lowering is answered with
        /// `INVALID_UPDATE_VERSION`.
        [..=0] allow_downgrade: bool,
        /// 1 only raises; 2 only lowers, and loses no metadata; 3 only lowers, and may.
        /// `INVALID_UPDATE_VERSION` for a change of another kind, and for lowering `metadata.version` with
        /// loss, which Kafka 4 doesn't do even with 3.
        [1..] upgrade_type: i8 = 1,
    }

    /// What became of the changes.
    pub struct UpdateFeaturesResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `CLUSTER_AUTHORIZATION_FAILED`, `REQUEST_TIMED_OUT`; from version 2 on, and from brokers since 4.0
        /// in all versions, also the error of the first impossible change, and then nothing has changed.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
        /// What became of each change, up to version 1; brokers since 4.0 leave it empty if there is an
        /// error.
        [..=1, ignorable] results: Vec<UpdatableFeatureResult>,
    }

    /// What became of one change.
    pub struct UpdatableFeatureResult {
        /// The feature's name.
        feature: String,
        /// `INVALID_UPDATE_VERSION`; from brokers with ZooKeeper `FEATURE_UPDATE_FAILED` where the change
        /// couldn't be recorded.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
    }
}
