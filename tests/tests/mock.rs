//! The suites on brokers, on the mock: the same tests that keep the client honest on real brokers keep the mock honest here.
//!
//! What is not here, and why:
//! - `suites/interop.rs` needs Java; `broker_mock_interop.rs` runs it on the mock.
//! - Kafka 3.9.1 and 3.3.2 as released are only in `broker_versions.rs`. Here the same tests run on every release that the
//!   mock imitates, of which two are older than what a real cluster of `xtask` can be.

use ottla_tests::broker::World;

#[path = "suites/consumer_faults/mod.rs"]
mod consumer_faults;
#[path = "suites/data.rs"]
mod data;
#[path = "suites/faults.rs"]
mod faults;
#[path = "suites/groups.rs"]
mod groups;
#[path = "suites/positions.rs"]
mod positions;
#[path = "suites/producer_faults.rs"]
mod producer_faults;
#[path = "suites/shutdown.rs"]
mod shutdown;
#[macro_use]
#[path = "suites/versions.rs"]
mod versions;

const WORLD: World = World::Mock;

versions! {
    as_2_1: "2.1",
    as_2_8: "2.8",
    as_3_9: "3.9",
    as_4_0: "4.0",
    as_4_3: "4.3",
}
