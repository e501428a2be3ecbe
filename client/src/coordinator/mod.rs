//! Which broker coordinates a group or a transactional id.
//!
//! Guarantees: a thousand askers cause one lookup; a lookup ends when nobody waits for it any more; a coordinator is
//! forgotten only by those who know the one that is cached, and is not itself asked for its successor where there is a
//! choice; a broker that does not answer holds up a lookup for a few seconds.
//!
//! Sources: KIP-98 (transactions), KIP-699 (batched lookups).

mod driver;
mod lookup;

pub(crate) use driver::Coordinators;
