//! Membership in a consumer group: who coordinates, joining and staying, and what changes hands.
//!
//! - [`classic`] and [`consumer_protocol`]: the pure member machines of the two protocols; they say what to send, until
//!   when, and what to tell the application; [`member`] is either of them;
//! - [`handover`] and [`coordinator`]: what both have: the application's steps, and where the coordinator is;
//! - [`interest`] and [`topic_watch`]: what is subscribed to, and patterns that the client has to match itself;
//! - [`leader`]: what the elected leader adds: everybody's subscriptions in, everybody's shares out;
//! - [`driver`]: the task that carries the machine's requests to the coordinator and its answers back;
//! - [`handle`]: the application's end of that task: events in order, acknowledgements, commands.
//!
//! Guarantees: heartbeats never wait for the application, nor for a held JoinGroup; an event is repeated until it was
//! acknowledged; nothing is joined while the application still has to give something up; a coordinator that moves, or
//! a connection that breaks, costs neither the member id nor the generation.
//!
//! Sources: KIP-62, KIP-134, KIP-345, KIP-394, KIP-429, KIP-792, KIP-800, KIP-814, KIP-848, KIP-1082.

pub(crate) mod classic;
mod config;
mod consumer_protocol;
mod coordinator;
mod driver;
mod event;
mod handle;
mod handover;
mod interest;
mod leader;
mod member;
mod membership;
mod request;
#[cfg(test)]
mod tests;
mod topic_watch;

pub(crate) use config::GroupConfig;
pub(crate) use driver::Lanes;
pub(crate) use event::GroupEvent;
pub(crate) use handle::{Group, Shared};
pub(crate) use interest::Interest;
pub(crate) use membership::Membership;
