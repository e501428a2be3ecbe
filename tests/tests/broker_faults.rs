//! The suite on failing brokers and connections, on three real brokers.

use ottla_tests::broker::World;

#[path = "suites/faults.rs"]
mod faults;

const WORLD: World = World::Real;
