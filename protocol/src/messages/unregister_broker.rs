//! UnregisterBroker: makes the cluster forget a broker that is gone for good. Goes to the controller. Needs
//! Alter on the cluster.
//!
//! Sources: KIP-631 (registration of brokers).

use alloc::string::String;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(UNREGISTER_BROKER: UnregisterBrokerRequest => UnregisterBrokerResponse, versions 0..=0, flexible 0..);

wire! {
    /// Names the broker to forget.
    pub struct UnregisterBrokerRequest {
        /// The broker, which should be stopped before; `BROKER_ID_NOT_REGISTERED` if none has this id.
        broker_id: i32,
    }

    /// Whether the broker is forgotten.
    pub struct UnregisterBrokerResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `CLUSTER_AUTHORIZATION_FAILED`, `REQUEST_TIMED_OUT`, and what the request's field names.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
    }
}
