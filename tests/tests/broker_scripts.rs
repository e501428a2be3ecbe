//! Request scripts, replayed against a real Kafka and against the cluster in memory: every answer must be the same.
//!
//! A script is a list of requests over raw connections, each in a version of its own. It runs on both sides at the same
//! time; the answers are made comparable ([`common::normal`] says what may differ, and why) and compared field by field. A
//! difference is a bug of `ottla-mock`, and names the script, the step, the request, the field's path and both values.
//!
//! To add a step, add a line to a family's script; to add a family, add a module and a line below.

#![allow(
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    clippy::unwrap_used,
    reason = "tests read the clock and panic where they fail, and scripts read best without borrows"
)]

#[path = "broker_scripts/common/mod.rs"]
mod common;

#[path = "broker_scripts/admin.rs"]
mod admin;
#[path = "broker_scripts/classic.rs"]
mod classic;
#[path = "broker_scripts/cluster.rs"]
mod cluster;
#[path = "broker_scripts/configs.rs"]
mod configs;
#[path = "broker_scripts/consumer.rs"]
mod consumer;
#[path = "broker_scripts/fetch.rs"]
mod fetch;
#[path = "broker_scripts/groups.rs"]
mod groups;
#[path = "broker_scripts/log.rs"]
mod log;
#[path = "broker_scripts/nodes.rs"]
mod nodes;
#[path = "broker_scripts/offsets.rs"]
mod offsets;
#[path = "broker_scripts/produce.rs"]
mod produce;
#[path = "broker_scripts/transactions_v1.rs"]
mod transactions_v1;
#[path = "broker_scripts/transactions_v2.rs"]
mod transactions_v2;
