//! ListConfigResources: the names of everything that has settings. Any broker answers. Needs DescribeConfigs
//! on the cluster.
//!
//! Versions: 0 lists client metrics subscriptions only, and was called ListClientMetricsResources; 1 lists
//! resources of any type.
//!
//! Sources: KIP-714 (client metrics), KIP-1142 (any type).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(
    LIST_CONFIG_RESOURCES: ListConfigResourcesRequest => ListConfigResourcesResponse,
    versions 0..=1, flexible 0..
);

wire! {
    /// Asks for resources.
    pub struct ListConfigResourcesRequest {
        /// The types wanted, by the numbers of DescribeConfigs: 2 topics, 4 brokers, 8 broker loggers, 16
        /// client metrics, 32 groups. None: all of them; `UNSUPPORTED_VERSION` for one that the broker
        /// doesn't know.
        [1..] resource_types: Vec<i8>,
    }

    /// The resources.
    pub struct ListConfigResourcesResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `CLUSTER_AUTHORIZATION_FAILED`, or `UNSUPPORTED_VERSION` for an unknown type.
        error_code: ErrorCode,
        /// The resources: topics and brokers whether or not they have settings of their own, groups and
        /// subscriptions only if.
        config_resources: Vec<ConfigResource>,
    }

    /// A resource.
    pub struct ConfigResource {
        /// Its name: a topic's or group's, a broker's id in digits, or the name of a client metrics
        /// subscription.
        resource_name: String,
        /// Its type; below version 1 always client metrics.
        [1.., ignorable] resource_type: i8 = 16,
    }
}
