//! Runs producers and consumers on a Kafka cluster in memory, under virtual time, while things go wrong, and judges what
//! happened.
//!
//! There are two ways in. [`Simulation`] runs anybody's code: it gets a [`World`] with clients of a cluster, notes what it
//! sends and reads ([`Recorder`]), and [`Faults`] do harm meanwhile. [`run`] lets a seed decide everything ([`Plan`]), as
//! Ottla's own tests do: brokers, topics, who sends how much and how, who reads in which group and when they come, leave and
//! crash, who reads and writes in transactions, and which harm is done when; it waits until all is calm and everything has
//! been read. Either way the clock jumps to whatever is next, so that minutes pass within milliseconds, and the history is
//! judged ([`ottla_mock::history`]): what was lost, duplicated, reordered, read before its commit, processed twice.
//!
//! A seed replays exactly where tokio is built with `--cfg tokio_unstable`, as `cargo xtask sim` does: then tokio's own lots
//! (which branch of a `select!` and which waiter comes first) follow from the seed, too. In other builds a run is as good a
//! test, but what happens at one instant may happen in another order the next time.
//!
//! ```
//! let outcome = ottla_sim::run(7);
//! assert!(outcome.is_good(), "{outcome}");
//! ```
//!
//! - `simulation`, `world`: the run of anybody's code; `recorder`, `pipes`, `mortal`, `threads`: what it
//!   stands on;
//! - `faults`: what goes wrong and when; `saboteur`: harm, and its mending;
//! - `plan`: what a seed decides; `run`: its course; `producing`, `reading`, `pipeline`: the applications in it, and `app`,
//!   what those know that read.

#![allow(clippy::disallowed_methods, reason = "runs are drivers: they own clock, chance and tasks")]
#![allow(unexpected_cfgs, reason = "tokio's own flag, which names no feature of this crate")]

mod app;
mod faults;
mod mortal;
mod pipeline;
mod pipes;
mod plan;
mod producing;
mod reading;
mod recorder;
mod run;
mod saboteur;
mod simulation;
#[cfg(tokio_unstable)]
mod threads;
mod world;

pub use faults::{Act, Faults, Harm, Theme};
pub use mortal::Mortality;
pub use pipeline::Pipeline;
pub use pipes::Pipes;
pub use plan::{Departure, Life, LonePlan, MemberPlan, PipelinePlan, Plan, ProducerPlan, Protocol};
pub use producing::Producing;
pub use reading::{Membership, Reading};
pub use recorder::Recorder;
pub use run::{run, run_plan};
pub use simulation::{Outcome, Simulation};
pub use world::World;

/// The example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
