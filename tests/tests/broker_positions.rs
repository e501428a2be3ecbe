//! The suite on where consumers read, on real brokers.

use ottla_tests::broker::World;

#[path = "suites/positions.rs"]
mod positions;

const WORLD: World = World::Real;
