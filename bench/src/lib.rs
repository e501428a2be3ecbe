//! The workloads that benches time and `count` counts: each one done by Ottla and by another client, on the same bytes.

pub mod protocol;

use std::fmt;

/// Something to do, as often as asked.
#[derive(Clone, Copy)]
pub struct Workload {
    /// Its name.
    pub name: &'static str,
    /// What one round of it handles, for figures per unit.
    pub units: usize,
    /// What a unit is.
    pub unit: &'static str,
    /// Who does it.
    pub contestants: &'static [Contestant],
}

/// A library and how it does a workload.
#[derive(Clone, Copy)]
pub struct Contestant {
    /// The library's name.
    pub library: &'static str,
    /// Makes what is needed, then does the workload this many times.
    pub run: fn(rounds: usize),
    /// Makes what is needed and gives the work of one round, to be timed.
    pub prepare: fn() -> Box<dyn FnMut()>,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
