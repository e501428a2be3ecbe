//! Times per workload and library: `cargo xtask bench`.

use ottla_bench::protocol::WORKLOADS;

fn main() {
    divan::main();
}

/// Indices of a workload and of one of its contestants.
fn pairs() -> impl Iterator<Item = Pair> {
    WORKLOADS.iter().enumerate().flat_map(|(workload, all)| {
        (0..all.contestants.len()).map(move |contestant| Pair { workload, contestant })
    })
}

#[derive(Clone, Copy)]
struct Pair {
    workload: usize,
    contestant: usize,
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let workload = &WORKLOADS[self.workload];
        write!(f, "{}: {}", workload.name, workload.contestants[self.contestant].library)
    }
}

#[divan::bench(args = pairs())]
fn protocol(bencher: divan::Bencher<'_, '_>, pair: Pair) {
    let workload = &WORKLOADS[pair.workload];
    let mut work = (workload.contestants[pair.contestant].prepare)();
    bencher.counter(divan::counter::ItemsCount::new(workload.units)).bench_local(&mut work);
}
