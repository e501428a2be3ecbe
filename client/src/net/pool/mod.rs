//! The connections of a client: at most one for each broker and purpose.
//!
//! Guarantees: a thousand askers cause one attempt; attempts to one broker keep their distance; dropping an asker's future
//! disturbs neither the attempt nor the other askers; dropping the pool ends all attempts and lets go of all connections.
//!
//! Sources: KIP-144 (reconnect backoff), KIP-601 (setup timeouts).

mod driver;
mod slot;

pub(crate) use driver::Pool;
