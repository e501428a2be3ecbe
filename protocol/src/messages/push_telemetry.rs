//! PushTelemetry: hands a client's metrics to the broker, as GetTelemetrySubscriptions wants them. Any broker
//! takes them. Needs no rights.
//!
//! Sources: KIP-714.

use bytes::Bytes;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(PUSH_TELEMETRY: PushTelemetryRequest => PushTelemetryResponse, versions 0..=0, flexible 0..);

wire! {
    /// A client's metrics.
    pub struct PushTelemetryRequest {
        /// The id that GetTelemetrySubscriptions answered; zero is `INVALID_REQUEST`.
        client_instance_id: Uuid,
        /// The subscription that this push fulfils; `UNKNOWN_SUBSCRIPTION_ID` if it has changed since, and
        /// the client asks for the new one.
        subscription_id: i32,
        /// Marks the client's last push, which needn't wait for the interval; a second one is
        /// `INVALID_REQUEST`.
        terminating: bool,
        /// The codec of `metrics`, by its number in record batches; `UNSUPPORTED_COMPRESSION_TYPE` if the
        /// broker lacks it, and the client asks for its subscription again.
        compression_type: i8,
        /// OpenTelemetry's `MetricsData` version 1 in protobuf, compressed; `TELEMETRY_TOO_LARGE` beyond the
        /// broker's `telemetry.max.bytes`, `INVALID_RECORD` if its receiver fails.
        metrics: Bytes,
    }

    /// Whether the broker took the metrics.
    pub struct PushTelemetryResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `THROTTLING_QUOTA_EXCEEDED` for a push before its time, and those that the request's fields name.
        /// The client drops what it pushed in any case.
        error_code: ErrorCode,
    }
}
