//! Where partitions begin that have no position yet: at a committed offset, an end of the log, or a time.
//!
//! Guarantee: an error is never taken for "no offset"; what was looked up before a seek changes nothing.
//!
//! Sources: KIP-79, KIP-207, KIP-320.

pub(crate) mod driver;
pub(crate) mod reset;
