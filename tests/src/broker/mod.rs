//! What the suites on brokers share.
//!
//! - [`World`]: runs a test's body on a real Kafka or on the mock, on a runtime of its own, with a
//!   [`Kafka`](ottla::Kafka) handle of its own and a deadline;
//! - [`Nodes`]: the cluster that the body is handed; [`Harm`]: one whose nodes it may kill;
//! - [`Ledger`], [`check`]: what was acknowledged against what was read: lost, duplicated, reordered;
//! - [`Journal`], [`audit`]: what the members of a group did against what they may do;
//! - [`Sample`]: records whose whole content is compared, also with what Java's client saw;
//! - [`Load`]: work that goes on meanwhile; [`move_partition`], [`grow`]: what administrators do under it;
//! - [`CuttingDialer`]: connections that break anywhere; [`Proxy`]: answers to Produce that get lost or come late;
//!   [`OutageDialer`]: connections that fall silent, and are counted;
//! - [`Transactions`]: a producer that commits and aborts;
//! - [`read_all`], [`end_offsets`], [`Nodes::batches`]: the log as it is;
//! - [`java()`]: a program with Kafka's own client;
//! - [`give_up_after`]: drops a future at a chosen point.
//!
//! Everything here panics with the reason when it can't do its job: that fails the test.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the clock, start threads and panic where they fail"
)]

mod admin;
mod clusters;
mod cutting;
mod give_up;
mod harm;
mod journal;
mod ledger;
mod load;
mod log;
mod nodes;
mod outage;
mod proxy;
mod run;
mod sample;
mod transaction;
mod world;

pub use admin::{grow, move_partition};
pub use clusters::start;
pub use cutting::{CuttingDialer, Fate};
pub use give_up::{GiveUpAfter, give_up_after};
pub use harm::Harm;
pub use journal::{Audit, Entry, Journal, Reason, audit};
pub use ledger::{Id, Ledger, Outcome, Read, Sent, check, first_reads};
pub use load::{Load, Mix};
pub use log::{end_offsets, partitions_of, read, read_all, read_all_with};
pub use nodes::{Nodes, java};
pub use outage::OutageDialer;
pub use proxy::{Proxy, Treatment};
pub use run::{DEADLINE, Dice, now_ms, run, run_within, topic, topic_with, unique, within};
pub use sample::{Sample, catalogue};
pub use transaction::Transactions;
pub use world::World;
