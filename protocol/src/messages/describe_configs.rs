//! DescribeConfigs: the settings of topics, brokers, groups and whatever else has some. Needs DescribeConfigs
//! on the topics and groups, for all else on the cluster.
//!
//! A broker knows its own settings only, so a request about broker 3, or its loggers, goes to broker 3; all
//! else any broker answers. Resource types: 2 topic, 4 broker (an empty name means the defaults of all
//! brokers), 8 a broker's loggers, 16 a client metrics subscription, 32 group.
//!
//! Versions: 0, which only brokers before 4.0 take, tells only whether a value is the default; 1 tells where
//! it comes from and what else could have set it; 3 brings types and documentation; 4 is flexible.
//!
//! Sources: KIP-133 (the API), KIP-226 (sources and synonyms), KIP-412 (loggers), KIP-569 (types,
//! documentation), KIP-714 (client metrics), KIP-848 (groups), KIP-896 (removed version).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(DESCRIBE_CONFIGS: DescribeConfigsRequest => DescribeConfigsResponse, versions 0..=4, flexible 4..);

wire! {
    /// Asks for settings.
    pub struct DescribeConfigsRequest {
        /// Whose settings; each resource is answered by itself.
        resources: Vec<DescribeConfigsResource>,
        /// Whether each value comes with all the places that could have set it.
        [1..] include_synonyms: bool,
        /// Whether each value comes with the text that explains the setting.
        [3..] include_documentation: bool,
    }

    /// Something that has settings.
    pub struct DescribeConfigsResource {
        /// Its type; one that the broker doesn't know makes it answer `INVALID_REQUEST` for all resources of
        /// the request.
        resource_type: i8,
        /// Its name: the topic, the broker's id in digits. `INVALID_REQUEST` for another broker than the one
        /// that is asked, and if empty for anything but a broker; a group or subscription that isn't there
        /// has the defaults.
        resource_name: String,
        /// Which settings; null for all. The answer leaves out those that don't exist.
        configuration_keys: Option<Vec<String>> = Some(Vec::new()),
    }

    /// The settings.
    pub struct DescribeConfigsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// A result for each resource.
        results: Vec<DescribeConfigsResult>,
    }

    /// The settings of one resource.
    pub struct DescribeConfigsResult {
        /// `UNKNOWN_TOPIC_OR_PARTITION`, `INVALID_TOPIC_EXCEPTION` for an illegal name, `INVALID_REQUEST`, or
        /// without DescribeConfigs on the resource `TOPIC_`, `GROUP_` or `CLUSTER_AUTHORIZATION_FAILED`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
        /// The resource's type.
        resource_type: i8,
        /// The resource's name.
        resource_name: String,
        /// Its settings.
        configs: Vec<DescribeConfigsResourceResult>,
    }

    /// A setting.
    pub struct DescribeConfigsResourceResult {
        /// Its name, such as `retention.ms`.
        name: String,
        /// Its value; null if it has none or the broker keeps it to itself.
        value: Option<String> = Some(String::new()),
        /// Whether it can't be changed while the broker runs.
        read_only: bool,
        /// Whether nobody has set it, in version 0.
        [..=0] is_default: bool,
        /// Where the value comes from: 1 the topic, 2 the broker, 3 the defaults of all brokers, 4 the
        /// broker's file, 5 Kafka's default, 6 a logger, 7 a client metrics subscription, 8 a group; 0
        /// unknown.
        [1.., ignorable] config_source: i8 = -1,
        /// Whether it is a secret, such as a password, whose value is never told.
        is_sensitive: bool,
        /// All places that set it, the one that counts first; empty unless asked for.
        [1.., ignorable] synonyms: Vec<DescribeConfigsSynonym>,
        /// 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9 password; 0 unknown.
        [3.., ignorable] config_type: i8,
        /// The text that explains it; null unless asked for.
        [3.., ignorable] documentation: Option<String> = Some(String::new()),
    }

    /// A place that sets the value, perhaps under another name: `log.retention.ms` of a broker for
    /// `retention.ms`.
    pub struct DescribeConfigsSynonym {
        /// The setting's name there.
        [1..] name: String,
        /// The value there; null if it is sensitive.
        [1..] value: Option<String> = Some(String::new()),
        /// Which place it is, numbered like `config_source`.
        [1..] source: i8,
    }
}
