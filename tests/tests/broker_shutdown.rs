//! The suite on stopping, on real brokers.

use ottla_tests::broker::World;

#[path = "suites/shutdown.rs"]
mod shutdown;

const WORLD: World = World::Real;
