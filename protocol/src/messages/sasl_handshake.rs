//! SaslHandshake: chooses the SASL mechanism, before anything else but ApiVersions on a connection; and again
//! on a living one, to authenticate anew.
//!
//! After version 0 the mechanism's tokens follow as bare length-prefixed bytes without headers; after version
//! 1 they travel in SaslAuthenticate. The API never became flexible.
//!
//! Sources: KIP-43 (mechanisms), KIP-152 (version 1 and SaslAuthenticate), KIP-368 (authentication again).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

// No version is flexible.
api!(SASL_HANDSHAKE: SaslHandshakeRequest => SaslHandshakeResponse, versions 0..=1, flexible none);

wire! {
    /// Chooses a mechanism.
    pub struct SaslHandshakeRequest {
        /// The mechanism, such as `SCRAM-SHA-256`; `UNSUPPORTED_SASL_MECHANISM` if the listener doesn't have
        /// it, and the broker closes the connection after that answer.
        mechanism: String,
    }

    /// Whether the exchange may begin.
    pub struct SaslHandshakeResponse {
        /// Besides what the request's field says, `ILLEGAL_SASL_STATE` where no handshake is due.
        error_code: ErrorCode,
        /// The listener's mechanisms; worth showing to a user whose choice it doesn't have.
        mechanisms: Vec<String>,
    }
}
