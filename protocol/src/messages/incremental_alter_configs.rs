//! IncrementalAlterConfigs: changes single settings of topics, brokers and other resources; the rest stay as
//! they are. Needs AlterConfigs on the topics and groups, for all else on the cluster.
//!
//! Requests about one broker, or its loggers, go to that broker, others to any; it checks them and passes
//! them on to the controller, except loggers' levels, which it sets at once and forgets when it stops. All
//! changes of a resource happen or none does. Resource types are those of
//! [`describe_configs`](super::describe_configs).
//!
//! Versions: 1 is flexible.
//!
//! Sources: KIP-339 (the API), KIP-412 (loggers), KIP-714 (client metrics), KIP-848 (groups).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(
    INCREMENTAL_ALTER_CONFIGS: IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse,
    versions 0..=1,
    flexible 1..
);

wire! {
    /// The changes; each resource succeeds or fails by itself.
    pub struct IncrementalAlterConfigsRequest {
        /// The resources; one that stands here twice is answered with `INVALID_REQUEST`.
        resources: Vec<AlterConfigsResource>,
        /// Only checks whether the changes would do; the answer is the same.
        validate_only: bool,
    }

    /// A resource and what changes there.
    pub struct AlterConfigsResource {
        /// Its type; `INVALID_REQUEST` for one that the broker can't set.
        resource_type: i8,
        /// Its name; empty for the defaults of all brokers, `INVALID_REQUEST` for another broker than the one
        /// that is asked.
        resource_name: String,
        /// The changes; `INVALID_REQUEST` if two are of the same setting.
        configs: Vec<AlterableConfig>,
    }

    /// A change.
    pub struct AlterableConfig {
        /// The setting's name; `INVALID_CONFIG` if there is none such, `INVALID_REQUEST` if it can't change
        /// while the broker runs.
        name: String,
        /// 0 sets the value, 1 goes back to the default, 2 appends to a list, 3 takes from it; the last two
        /// are `INVALID_CONFIG` for what isn't a list. Appending what is there and taking what isn't changes
        /// nothing.
        config_operation: i8,
        /// The value, or list elements with commas between; `INVALID_REQUEST` if null, except to go back to
        /// the default.
        value: Option<String> = Some(String::new()),
    }

    /// What became of the resources.
    pub struct IncrementalAlterConfigsResponse {
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
