//! The suite on older brokers, on released ones.

use ottla_tests::broker::World;
use xtask::kafka::OLDER_VERSIONS;

#[macro_use]
#[path = "suites/versions.rs"]
mod versions;

const WORLD: World = World::Real;

versions! {
    v3_9_1: "3.9.1",
    v3_3_2: "3.3.2",
}

#[test]
fn the_suites_are_named_after_the_versions() {
    assert_eq!(OLDER_VERSIONS, ["3.9.1", "3.3.2"]);
}
