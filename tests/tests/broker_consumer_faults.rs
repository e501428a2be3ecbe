//! The suite on consumers and failing brokers, networks and applications, on three real brokers.

use ottla_tests::broker::World;

#[path = "suites/consumer_faults/mod.rs"]
mod consumer_faults;

const WORLD: World = World::Real;
