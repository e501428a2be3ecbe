//! The suite on Kafka's own Java client, on the mock by TCP. It needs no broker, but Java and Kafka's jars as those on
//! brokers do, and so runs with them.

use ottla_tests::broker::World;

#[path = "suites/interop.rs"]
mod interop;

const WORLD: World = World::Mock;
