//! Where partitions begin that have no position yet: at a committed offset, an end of the log, or a time.
//!
//! - [`anew`]: the one door to a new position;
//! - [`reset`]: lookups for partitions without a position; [`validate`]: whether a new leader still has what was read;
//! - [`query`]: offsets that the application asks for; [`driver`]: sends all of that.
//!
//! Guarantees: an error is never taken for "no offset"; what was looked up before a seek changes nothing; nothing is fetched
//! from a new leader before it is known to have what was fetched from the last one, where an epoch can tell.
//!
//! Sources: KIP-79, KIP-207, KIP-320, KIP-516, KIP-1106.

pub(crate) mod anew;
pub(crate) mod driver;
pub(crate) mod query;
pub(crate) mod reset;
pub(crate) mod validate;
