//! The real client on the cluster in memory: by pipes under a paused clock, and by TCP.

#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

mod dial;
mod driver;
mod faults;
mod groups;
mod observed;
mod positions;
mod produce_and_consume;
mod transaction;
