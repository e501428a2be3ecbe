//! The suite on Kafka's own Java client, on a real broker.

use ottla_tests::broker::World;

#[path = "suites/interop.rs"]
mod interop;

const WORLD: World = World::Real;
