//! SASL payloads: the bytes inside SaslAuthenticate, and who checks what in them.
//!
//! [`plain`] and [`oauthbearer`] are one message each way. `scram` (behind the feature of that name, for it needs SHA-2)
//! is an exchange of four messages, with a pure machine for each side: nonces are arguments, so an exchange can be
//! replayed to the byte. Which mechanisms a broker has, SaslHandshake tells.
//!
//! Guarantees: passwords, tokens and proofs appear neither in `Debug` nor in errors; whatever the peer sends gives a
//! value or a typed error, in time linear in its length, and no peer makes this side compute more than a bounded number
//! of hashes.
//!
//! Sources: KIP-12, KIP-43 and KIP-152 (how the payloads travel), KIP-84 (SCRAM), KIP-255 and KIP-342 (OAUTHBEARER), RFC
//! 4616, 5802, 7628, 7677.

mod json;
mod name;
pub mod oauthbearer;
pub mod plain;
#[cfg(feature = "scram")]
pub mod scram;
