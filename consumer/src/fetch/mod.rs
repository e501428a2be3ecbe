//! Fetching: from what the consumer has (`subscription`) to records in the application's hands.
//!
//! - [`plan`]: which broker to ask for what; [`session`]: so that only changes are sent;
//! - [`response`]: what an answer means for each partition;
//! - [`buffer`]: undecoded data within a byte budget; [`completed`]: its decoding, as the application reads; [`damage`]: what
//!   cannot be decoded;
//! - [`frames`]: whose memory that is;
//! - [`state`]: all of it together, as one machine behind one short lock;
//! - [`driver`]: the task that connects, sends and waits; [`jobs`]: what it has under way.
//!
//! Sources: KIP-74, KIP-98, KIP-227, KIP-320, KIP-392, KIP-516, KIP-951.

pub(crate) mod aborted;
pub(crate) mod buffer;
pub(crate) mod completed;
pub(crate) mod damage;
pub(crate) mod driver;
pub(crate) mod frames;
pub(crate) mod jobs;
pub(crate) mod plan;
pub(crate) mod response;
pub(crate) mod session;
pub(crate) mod state;
