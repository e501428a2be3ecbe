//! The suite on records and positions, on a real broker.

use ottla_tests::broker::World;

#[path = "suites/data.rs"]
mod data;

const WORLD: World = World::Real;
