//! Very many consumers on one handle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ottla::Kafka;
use ottla_tests::broker::{Dice, Nodes, OutageDialer, World};

use super::member::{Crew, Habits, Member};
use super::{LONG_SESSION, MS, PATIENT, PROTOCOLS, SECONDS, WORLD, load, options};

const CONSUMERS: usize = 200;

/// Consumers of one group.
const EACH: usize = 10;

const NODES: usize = 3;

/// A member has one connection to its coordinator, a second one while it joins, and one to each node that it reads from.
const PER_CONSUMER: usize = NODES + 2;

/// What the handle itself has open: to each node for what is general, for metadata, and to a bootstrap server.
const OF_THE_HANDLE: usize = 2 * NODES + 1;

/// How long the first of them may take while all the others join and read as well: on a busy machine it takes its turn.
const CROWDED: Duration = Duration::from_secs(240);

/// The sockets and threads of this process.
fn sockets_and_threads() -> (usize, usize) {
    let entries = |folder: &str| std::fs::read_dir(folder).unwrap().filter_map(Result::ok);
    let is_socket = |entry: &std::fs::DirEntry| {
        std::fs::read_link(entry.path()).is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))
    };
    (entries("/proc/self/fd").filter(is_socket).count(), entries("/proc/self/task").count())
}

#[test]
fn two_hundred_consumers_on_one_handle_use_a_bounded_number_of_sockets_and_no_threads() {
    // Nodes for itself: what other tests open and start would count, too.
    WORLD.harm(SECONDS(800), async |kafka, harm| crowd(&kafka, harm.nodes()).await);
}

async fn crowd(kafka: &Kafka, nodes: &Nodes) {
    let mut dice = Dice::new("a crowd");
    let network = Arc::new(OutageDialer::new(nodes.dialer()));
    let shared = Kafka::with_dialer(nodes.options(), Arc::clone(&network) as Arc<_>).unwrap();
    let (load, topic) = load(kafka, "crowd", EACH as i32, &mut dice).await;
    load.advance(5, PATIENT).await;
    let before = sockets_and_threads();
    let began = Instant::now();
    let habits = Habits { automatic: true, work: MS(1), tolerant: false };
    let mut groups: Vec<(Crew, Vec<Member>)> = Vec::new();
    for protocol in PROTOCOLS.iter().cycle().take(CONSUMERS / EACH) {
        let crew = Crew::unwatched(*protocol, &[&topic], EACH, dice.next());
        let options = options(*protocol, &crew.group, LONG_SESSION).fetch_max_wait(MS(1_000));
        let members = (0..EACH).map(|_| crew.member(&shared, options.clone(), habits)).collect();
        groups.push((crew, members));
    }
    for (crew, members) in &groups {
        let members: Vec<&Member> = members.iter().collect();
        crew.balanced(CROWDED, &members).await;
        crew.going_on(CROWDED, &members).await;
    }
    let (sockets, threads) = sockets_and_threads();
    let most = network.most();
    println!(
        "{most} connections, all read after {:?}; {before:?}, {:?}",
        began.elapsed(),
        (sockets, threads)
    );
    assert!(most <= CONSUMERS * PER_CONSUMER + OF_THE_HANDLE, "{most} connections");
    // In memory others run beside this test, and nothing has a socket.
    if WORLD == World::Real {
        assert!(sockets <= before.0 + most, "{sockets} sockets after {}", before.0);
        assert!(threads <= before.1, "{threads} threads after {}", before.1);
    }

    let (ledger, failures) = load.finish(PATIENT).await;
    assert!(failures.is_empty(), "{failures:?}");
    let ends = groups.into_iter().map(|(crew, members)| crew.settle(Arc::clone(&ledger), members));
    for repeated in join_all(ends).await {
        assert!(repeated.is_empty(), "{repeated:?}");
    }
    let closed = async {
        while network.open() > OF_THE_HANDLE {
            tokio::time::sleep(MS(50)).await;
        }
    };
    let is_closed = tokio::time::timeout(PATIENT, closed).await.is_ok();
    assert!(is_closed, "{} connections are left of {most} when all consumers are closed", network.open());
}
