//! The suite on groups, on three real brokers.

use ottla_tests::broker::World;

#[path = "suites/groups.rs"]
mod groups;

const WORLD: World = World::Real;
