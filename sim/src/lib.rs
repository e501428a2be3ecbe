//! Seeded runs of Ottla's producers and consumers on a cluster in memory, under virtual time, while things go wrong.
//!
//! A seed decides everything ([`Plan`]): brokers, topics, who sends how much and how, who reads in which group and when they
//! come, leave and crash, and which harm is done when. [`run`] carries the plan out within milliseconds, waits until all is
//! calm and everything has been read, and has the history judged ([`ottla_mock::history`]).
//!
//! A seed replays exactly where tokio is built with `--cfg tokio_unstable`, as `cargo xtask sim` does: then tokio's own lots
//! (which branch of a `select!` and which waiter comes first) follow from the seed, too. In other builds a run is as good a
//! test, but what happens at one instant may happen in another order the next time.
//!
//! ```
//! let outcome = ottla_sim::run(7);
//! assert!(outcome.violations.is_empty(), "{outcome}");
//! ```
//!
//! For runs of one's own there are the parts: a [`Recorder`] that notes events with the virtual time, [`Pipes`] that connect
//! a client to a cluster, and [`Producing`] and [`Reading`], the tasks that send and read and note what they see.
//!
//! What is not run: transactions, which the client does not have yet (the checker has their rules), compression, whose
//! threads no seed rules, and the protocol of groups of KIP-848.
//!
//! - `plan`: what a seed decides; `run`: the course of a run; `saboteur`: harm, and its mending;
//! - `producing`, `reading`: the applications; `recorder`, `pipes`: what they stand on.

#![allow(clippy::disallowed_methods, reason = "runs are drivers: they own clock, chance and tasks")]

mod pipes;
mod plan;
mod producing;
mod reading;
mod recorder;
mod run;
mod saboteur;

pub use pipes::Pipes;
pub use plan::{Act, Departure, Harm, MemberPlan, Plan, ProducerPlan};
pub use producing::Producing;
pub use reading::Reading;
pub use recorder::Recorder;
pub use run::{Outcome, run, run_plan};
