//! GetTelemetrySubscriptions: which of its metrics a client shall push, how often and in which form. Any
//! broker answers; one without a metrics receiver doesn't announce the API. Needs no rights.
//!
//! The client asks at its start, after `UNKNOWN_SUBSCRIPTION_ID` and `UNSUPPORTED_COMPRESSION_TYPE`, and
//! again and again while nobody wants its metrics.
//!
//! Sources: KIP-714.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(
    GET_TELEMETRY_SUBSCRIPTIONS: GetTelemetrySubscriptionsRequest => GetTelemetrySubscriptionsResponse,
    versions 0..=0, flexible 0..
);

wire! {
    /// Asks which metrics are wanted.
    pub struct GetTelemetrySubscriptionsRequest {
        /// The id from the first answer; zero in the first request. Asking again sooner than the push
        /// interval allows, except after a push that failed for the subscription or the codec, is answered
        /// with `THROTTLING_QUOTA_EXCEEDED`.
        client_instance_id: Uuid,
    }

    /// What the operators of the cluster want to know of this client.
    pub struct GetTelemetrySubscriptionsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `INVALID_REQUEST`, or `THROTTLING_QUOTA_EXCEEDED` for asking too often.
        error_code: ErrorCode,
        /// The id that the broker made up where the request had none; the client keeps it as long as it
        /// lives.
        client_instance_id: Uuid,
        /// Names this set of wishes; each push carries it, so that the broker notices an outdated one.
        subscription_id: i32,
        /// The codecs, by their numbers in record batches, that a push may use, best first; empty: no
        /// compression.
        accepted_compression_types: Vec<i8>,
        /// Milliseconds between two pushes; the first one comes at a random time within them.
        push_interval_ms: i32,
        /// How large the pushed metrics may be, as sent; beyond it a push is answered with
        /// `TELEMETRY_TOO_LARGE`.
        telemetry_max_bytes: i32,
        /// Whether counters are pushed as the difference to the last push instead of the sum since the start.
        delta_temporality: bool,
        /// Prefixes of the wanted metrics' names: no prefix wants none, one empty prefix wants all.
        requested_metrics: Vec<String>,
    }
}
