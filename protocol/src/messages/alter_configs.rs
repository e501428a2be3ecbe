//! AlterConfigs: replaces all settings of topics, brokers and other resources. Needs AlterConfigs on the
//! topics and groups, for all else on the cluster.
//!
//! What the request leaves out goes back to its default, and so two clients that change one setting each undo
//! one another. IncrementalAlterConfigs, which brokers have since 2.3, doesn't have that trap. Requests about
//! one broker go to that broker, others to any; it checks them and passes them on to the controller. Resource
//! types are those of [`describe_configs`](super::describe_configs), loggers excepted.
//!
//! Versions: 2 is flexible; apart from that all are the same.
//!
//! Sources: KIP-133 (the API), KIP-339 (what to use instead).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(ALTER_CONFIGS: AlterConfigsRequest => AlterConfigsResponse, versions 0..=2, flexible 2..);

wire! {
    /// The new settings; each resource succeeds or fails by itself.
    pub struct AlterConfigsRequest {
        /// The resources; one that stands here twice is answered with `INVALID_REQUEST`.
        resources: Vec<AlterConfigsResource>,
        /// Only checks whether the settings would do; the answer is the same.
        validate_only: bool,
    }

    /// A resource and all that is to be set there.
    pub struct AlterConfigsResource {
        /// Its type; `INVALID_REQUEST` for one that the broker can't set this way.
        resource_type: i8,
        /// Its name; empty for the defaults of all brokers, `INVALID_REQUEST` for another broker than the one
        /// that is asked.
        resource_name: String,
        /// Every setting that shall differ from the default.
        configs: Vec<AlterableConfig>,
    }

    /// A setting.
    pub struct AlterableConfig {
        /// Its name; `INVALID_CONFIG` if there is none such, `INVALID_REQUEST` if it comes twice or can't
        /// change while the broker runs.
        name: String,
        /// Its value; `INVALID_CONFIG` if it doesn't fit, `INVALID_REQUEST` if null.
        value: Option<String> = Some(String::new()),
    }

    /// What became of the resources.
    pub struct AlterConfigsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// A result for each resource.
        responses: Vec<AlterConfigsResourceResponse>,
    }

    /// What became of one resource.
    pub struct AlterConfigsResourceResponse {
        /// `UNKNOWN_TOPIC_OR_PARTITION`, `POLICY_VIOLATION` by `alter.config.policy.class.name`, without
        /// AlterConfigs on the resource `TOPIC_`, `GROUP_` or `CLUSTER_AUTHORIZATION_FAILED`, and what the
        /// request's fields name.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
        /// The resource's type.
        resource_type: i8,
        /// The resource's name.
        resource_name: String,
    }
}
