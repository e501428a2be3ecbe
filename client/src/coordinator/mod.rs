//! Which broker coordinates a group or a transactional id.
//!
//! Guarantees: a thousand askers cause one lookup; a lookup ends when nobody waits for it any more; a coordinator is
//! forgotten only by those who know the one that is cached.
//!
//! Sources: KIP-98 (transactions), KIP-699 (batched lookups).

mod driver;
mod lookup;

pub(crate) use driver::Coordinators;
