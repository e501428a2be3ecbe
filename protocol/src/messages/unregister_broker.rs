//! UnregisterBroker: makes the cluster forget a broker that is gone for good. Goes to the controller; brokers pass it
//! on.
//!
//! Sources: KIP-631 (registration of brokers).

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
        /// How long a quota delays the client, in milliseconds.
        throttle_time_ms: i32,
        /// `BROKER_ID_NOT_REGISTERED`, `CLUSTER_AUTHORIZATION_FAILED`, `NOT_CONTROLLER`, `REQUEST_TIMED_OUT`.
        error_code: ErrorCode,
        /// The same in words.
        error_message: Option<String> = Some(String::new()),
    }
}
