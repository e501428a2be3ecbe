//! SCRAM: both sides prove that they know the password, and neither sends it.
//!
//! ```text
//! client                                            broker
//!   n,,n=user,r=<client nonce>                    ->
//!                                                 <-  r=<client nonce><server nonce>,s=<salt>,i=<iterations>
//!   c=biws,r=<both nonces>,p=<proof>              ->
//!                                                 <-  v=<signature>, or e=<error>
//! ```
//!
//! [`ScramClient`] and [`ScramServer`] walk through it; the messages themselves are in [`message`], what a broker keeps
//! of a user in [`ScramCredential`]. Nonces are arguments: who draws them must draw them anew, and unpredictably, for each
//! exchange. Kafka prepares neither names nor passwords (no SASLprep), so this crate doesn't either: proofs are made over
//! plain UTF-8.
//!
//! What extends the server's first message is passed over and, as with Kafka's client, no part of what is signed.
//!
//! Stricter than Kafka's client: a mandatory extension is refused as RFC 5802 demands, and so is a server that adds
//! nothing to the client's nonce.
//!
//! Guarantees: less than [`MIN_ITERATIONS`] are refused, so that a false broker can't make a password cheap to guess;
//! more than [`MAX_ITERATIONS`] are, too, so that it can't keep a client busy. Signatures and proofs are compared in
//! constant time. A machine that failed once stays failed.
//!
//! Sources: RFC 5802, RFC 7677, KIP-84, KIP-48 (`tokenauth`), KIP-554 (credentials).

mod client;
mod error;
mod keys;
pub mod message;
mod server;

pub use client::ScramClient;
pub use error::{ScramError, ServerError};
pub use keys::{ScramCredential, ScramMechanism};
pub use server::ScramServer;

/// The fewest iterations that are accepted, by Kafka and here.
pub const MIN_ITERATIONS: u32 = 4_096;

/// The most iterations that are accepted: eight times what Kafka lets a credential have (16,384), some tens of
/// milliseconds of hashing.
pub const MAX_ITERATIONS: u32 = 131_072;

/// The extension of a client's first message that says the user is a delegation token and the password its HMAC (KIP-48).
pub const TOKEN_AUTH: &str = "tokenauth";

#[cfg(test)]
mod tests;
