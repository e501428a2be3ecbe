//! What the suites against a real Kafka share.
//!
//! - [`one`], [`three`], [`of_version`]: clusters; those of a test binary are started once and shared by its tests;
//! - [`on`]: a test's body on a runtime of its own, with a [`Kafka`](ottla::Kafka) handle of its own and a deadline;
//! - [`Ledger`], [`check`]: what was acknowledged against what was read: lost, duplicated, reordered;
//! - [`Sample`]: records whose whole content is compared, also with what Java's client saw;
//! - [`Harm`], [`Load`], [`CuttingDialer`]: nodes that fail, work that goes on meanwhile, connections that break;
//! - [`read_all`], [`end_offsets`], [`batches_on_disk`]: the log as it is;
//! - [`give_up_after`]: drops a future at a chosen point.
//!
//! Everything here panics with the reason when it can't do its job: that fails the test.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the clock, start threads and panic where they fail"
)]

mod clusters;
mod cutting;
mod give_up;
mod harm;
mod ledger;
mod load;
mod log;
mod run;
mod sample;

pub use clusters::{java, of_version, one, start, three};
pub use cutting::{CuttingDialer, Fate};
pub use give_up::{GiveUpAfter, give_up_after};
pub use harm::{Harm, harm, peace};
pub use ledger::{Id, Ledger, Outcome, Read, Sent, check, first_reads};
pub use load::{Load, Mix};
pub use log::{batches_on_disk, end_offsets, partitions_of, read, read_all, read_all_with};
pub use run::{DEADLINE, Dice, now_ms, on, options, run, run_within, topic, topic_with, unique, within};
pub use sample::{Sample, catalogue};
