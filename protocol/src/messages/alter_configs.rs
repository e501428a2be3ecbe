//! AlterConfigs: replaces all settings of topics, brokers and other resources.
//!
//! What the request leaves out goes back to its default, and so two clients that change one setting each undo one
//! another. IncrementalAlterConfigs, which brokers have since 2.3, doesn't have that trap. Requests about one broker
//! go to that broker, others to any. Resource types are those of [`describe_configs`](super::describe_configs),
//! loggers excepted.
//!
//! By version: 1 only tells that the broker answers first and throttles then; 2 is flexible.
//!
//! Sources: KIP-133 (the API), KIP-219 (throttling after the answer), KIP-339 (what to use instead).

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(ALTER_CONFIGS: AlterConfigsRequest => AlterConfigsResponse, versions 0..=2, flexible 2..);

wire! {
    /// The new settings; each resource succeeds or fails by itself.
    pub struct AlterConfigsRequest {
        /// The resources; one that stands here twice is answered with `INVALID_REQUEST`.
        resources: Vec<AlterConfigsResource>,
        /// Only checks whether the settings would do.
        validate_only: bool,
    }

    /// A resource and all that is to be set there.
    pub struct AlterConfigsResource {
        /// Its type; `INVALID_REQUEST` for one that the broker can't set this way.
        resource_type: i8,
        /// Its name; empty for the defaults of all brokers.
        resource_name: String,
        /// Every setting that shall differ from the default.
        configs: Vec<AlterableConfig>,
    }

    /// A setting.
    pub struct AlterableConfig {
        /// Its name; `INVALID_CONFIG` if there is none such, `INVALID_REQUEST` if it comes twice.
        name: String,
        /// Its value; `INVALID_CONFIG` if it doesn't fit, `INVALID_REQUEST` if null.
        value: Option<String> = Some(String::new()),
    }

    /// What became of the resources.
    pub struct AlterConfigsResponse {
        /// How long the quota holds the client back, in milliseconds.
        throttle_time_ms: i32,
        /// A result for each resource.
        responses: Vec<AlterConfigsResourceResponse>,
    }

    /// What became of one resource.
    pub struct AlterConfigsResourceResponse {
        /// What the request's fields name, `UNKNOWN_TOPIC_OR_PARTITION`, `POLICY_VIOLATION`, or without AlterConfigs
        /// on the resource `TOPIC_`, `GROUP_` or `CLUSTER_AUTHORIZATION_FAILED`.
        error_code: ErrorCode,
        /// What the broker says about an error.
        error_message: Option<String> = Some(String::new()),
        /// The resource's type.
        resource_type: i8,
        /// The resource's name.
        resource_name: String,
    }
}
