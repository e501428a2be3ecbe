//! The suite on producers and failing brokers, networks and administrators, on three real brokers.

use ottla_tests::broker::World;

#[path = "suites/producer_faults.rs"]
mod producer_faults;

const WORLD: World = World::Real;
