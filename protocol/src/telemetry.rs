//! The payload of PushTelemetry: what a client tells its brokers of itself.
//!
//! The metrics are OpenTelemetry's `MetricsData` in protobuf. This crate doesn't make or read protobuf: whoever has
//! metrics has a library for them, and the bytes are the same for all who speak OTLP. What is Kafka's own is around them
//! and is here: which metrics are wanted, which codec, which bound, and the request in which they go.
//!
//! Compressed metrics are framed as record batches are (xerial's snappy, LZ4 frames).
//!
//! Sources: KIP-714.

use bytes::Bytes;

use crate::compression::{Compression, CompressionError, Compressor, decompress};
use crate::messages::get_telemetry_subscriptions::GetTelemetrySubscriptionsResponse;
use crate::messages::push_telemetry::PushTelemetryRequest;

/// Why metrics can't be pushed, or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// More than the subscription takes; the broker would answer `TELEMETRY_TOO_LARGE`.
    #[error("the metrics take {len} bytes, and the broker takes at most {limit}: push fewer of them")]
    TooLarge {
        /// Their length, compressed.
        len: usize,
        /// The subscription's bound.
        limit: usize,
    },
    /// A number that is no codec's; a broker answers `UNSUPPORTED_COMPRESSION_TYPE`.
    #[error("{0} is no codec")]
    UnknownCodec(i8),
    /// The codec fails.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

/// The codec for a subscription: the first of those it accepts that this build contains, or none.
pub fn codec(subscription: &GetTelemetrySubscriptionsResponse) -> Compression {
    let known = subscription.accepted_compression_types.iter().filter_map(|id| codec_of(*id));
    known.into_iter().find(|codec| codec.is_available()).unwrap_or_default()
}

/// Whether the subscription wants the metric `name`: one of its prefixes fits, the empty prefix fits all.
pub fn is_requested(subscription: &GetTelemetrySubscriptionsResponse, name: &str) -> bool {
    subscription.requested_metrics.iter().any(|prefix| name.starts_with(prefix))
}

/// The request that pushes `metrics`, OTLP bytes, for a subscription: compressed where that is accepted.
///
/// # Errors
/// Metrics beyond the subscription's bound, or more than the codec takes at once.
pub fn push(
    subscription: &GetTelemetrySubscriptionsResponse,
    metrics: Bytes,
    terminating: bool,
) -> Result<PushTelemetryRequest, TelemetryError> {
    let codec = codec(subscription);
    let metrics = match Compressor::new(codec)?.compress(&metrics)? {
        Some(compressed) => Bytes::copy_from_slice(compressed),
        None => metrics,
    };
    let limit = usize::try_from(subscription.telemetry_max_bytes).unwrap_or_default();
    if metrics.len() > limit {
        return Err(TelemetryError::TooLarge { len: metrics.len(), limit });
    }
    Ok(PushTelemetryRequest {
        client_instance_id: subscription.client_instance_id,
        subscription_id: subscription.subscription_id,
        terminating,
        compression_type: codec.id() as i8,
        metrics,
        ..Default::default()
    })
}

/// The OTLP bytes in a request, at most `limit` of them: the broker's side.
///
/// # Errors
/// A codec that is unknown or not in this build, damaged bytes, more than `limit`.
pub fn metrics(request: &PushTelemetryRequest, limit: usize) -> Result<Bytes, TelemetryError> {
    let codec =
        codec_of(request.compression_type).ok_or(TelemetryError::UnknownCodec(request.compression_type))?;
    Ok(decompress(codec, request.metrics.clone(), limit)?)
}

fn codec_of(id: i8) -> Option<Compression> {
    u8::try_from(id).ok().and_then(Compression::from_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uuid::Uuid;

    fn subscription(accepted: &[i8], limit: i32) -> GetTelemetrySubscriptionsResponse {
        GetTelemetrySubscriptionsResponse {
            client_instance_id: Uuid([7; 16]),
            subscription_id: 42,
            accepted_compression_types: accepted.to_vec(),
            telemetry_max_bytes: limit,
            ..Default::default()
        }
    }

    const METRICS: Bytes = Bytes::from_static(&[9; 2_000]);

    #[test]
    fn without_a_codec_metrics_go_as_they_are_with_the_subscriptions_ids() {
        let expected = PushTelemetryRequest {
            client_instance_id: Uuid([7; 16]),
            subscription_id: 42,
            terminating: true,
            compression_type: 0,
            metrics: METRICS,
            ..Default::default()
        };
        assert_eq!(push(&subscription(&[], 2_000), METRICS, true), Ok(expected.clone()));
        assert_eq!(push(&subscription(&[99, -1], 2_000), METRICS, true), Ok(expected));
    }

    #[test]
    fn the_first_accepted_codec_of_this_build_is_taken_and_read_again() {
        for codec in Compression::ALL.into_iter().filter(|codec| codec.is_available()) {
            let subscription = subscription(&[99, codec.id() as i8, 0], 2_000);
            let request = push(&subscription, METRICS, false).unwrap();
            assert_eq!(request.compression_type, codec.id() as i8);
            assert_eq!(request.metrics == METRICS, codec == Compression::None);
            assert_eq!(metrics(&request, 2_000), Ok(METRICS));
            let limit = CompressionError::Limit { codec, limit: 1_999 };
            assert_eq!(metrics(&request, 1_999), Err(limit.into()));
        }
    }

    #[test]
    fn more_than_the_broker_takes_is_not_pushed() {
        let too_large = TelemetryError::TooLarge { len: 2_000, limit: 1_999 };
        assert_eq!(push(&subscription(&[], 1_999), METRICS, false), Err(too_large));
        let nothing = TelemetryError::TooLarge { len: 2_000, limit: 0 };
        assert_eq!(push(&subscription(&[], -1), METRICS, false), Err(nothing));
    }

    #[test]
    fn a_codec_that_is_none_is_refused() {
        for id in [-1, 5, 127] {
            let request = PushTelemetryRequest { compression_type: id, ..Default::default() };
            assert_eq!(metrics(&request, 10), Err(TelemetryError::UnknownCodec(id)));
        }
    }

    #[test]
    fn metrics_are_wanted_by_their_prefixes() {
        let wants = |prefixes: &[&str], name| {
            let requested_metrics = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
            is_requested(&GetTelemetrySubscriptionsResponse { requested_metrics, ..Default::default() }, name)
        };
        assert_eq!((wants(&[], "a.b"), wants(&[""], "a.b"), wants(&["x", "a."], "a.b")), (false, true, true));
        assert_eq!((wants(&["a.b.c"], "a.b"), wants(&["b"], "a.b")), (false, false));
    }
}
