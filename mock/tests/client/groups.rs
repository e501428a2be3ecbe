//! Members of both group protocols on the cluster in memory: they share, follow topics and patterns, leave and come back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ottla_client::{Client, ErrorKind, Target, TopicPartition};
use ottla_consumer::assignor::{Assignments, Assignor, GroupMember, GroupTopics};
use ottla_consumer::{Consumer, ConsumerOptions, GroupProtocol, OffsetReset, RebalanceCallbacks};
use ottla_mock::{ClusterOptions, Mock, Release};
use ottla_producer::{Producer, ProducerOptions, Record};
use ottla_protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};

use crate::dial::{by_pipes, by_pipes_with};

const SECOND: Duration = Duration::from_secs(1);
const PROTOCOLS: [GroupProtocol; 2] = [GroupProtocol::Classic, GroupProtocol::Consumer];

fn cluster() -> Mock {
    Mock::start(ClusterOptions::new().brokers(3).topic("orders", 6, 3).topic("returns", 2, 3)).unwrap()
}

fn options(protocol: GroupProtocol) -> ConsumerOptions {
    ConsumerOptions::default()
        .group_id("readers")
        .group_protocol(protocol)
        .auto_offset_reset(OffsetReset::Earliest)
}

fn consumer(client: &Client, protocol: GroupProtocol) -> Consumer {
    Consumer::new(client.clone(), options(protocol)).unwrap()
}

/// Polls all members in turn until each has so many partitions, and nobody shares one.
async fn until_shared(members: &mut [&mut Consumer], shares: &[usize]) -> usize {
    let mut records = 0;
    for _ in 0..600 {
        for member in members.iter_mut() {
            records += member.poll(Duration::from_millis(50)).await.unwrap().len();
        }
        let sizes: Vec<usize> = members.iter().map(|member| member.assignment().len()).collect();
        let all: BTreeSet<TopicPartition> = members.iter().flat_map(|member| member.assignment()).collect();
        if sizes == shares && all.len() == sizes.iter().sum::<usize>() {
            return records;
        }
    }
    panic!("not {shares:?}: {members:?}");
}

async fn produce(client: &Client, topic: &str, count: usize) {
    let producer = Producer::new(client.clone(), ProducerOptions::default()).unwrap();
    for number in 0..count {
        let key = number.to_be_bytes();
        producer.send(Record::new(topic).key(&key)).await.unwrap().await.unwrap();
    }
    producer.close(10 * SECOND).await.unwrap();
}

async fn create(client: &Client, topic: &str, partitions: i32) {
    let topic = CreatableTopic {
        name: topic.to_owned(),
        num_partitions: partitions,
        replication_factor: 3,
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    #[allow(clippy::disallowed_methods, reason = "the paused clock")]
    let deadline = tokio::time::Instant::now().into_std() + 10 * SECOND;
    let response = client.call(Target::Controller, &request, deadline).await.unwrap();
    assert!(response.topics[0].error_code.is_ok());
}

#[tokio::test(start_paused = true)]
async fn members_of_the_consumer_protocol_share_and_hand_over_and_no_record_is_read_twice() {
    let mock = cluster();
    let client = by_pipes(&mock);
    produce(&client, "orders", 100).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let (assigned, revoked, lost) = (Arc::clone(&told), Arc::clone(&told), Arc::clone(&told));
    let listener = RebalanceCallbacks::new()
        .on_assigned(move |partitions| assigned.lock().unwrap().push(("assigned", partitions.len())))
        .on_revoked(move |partitions| revoked.lock().unwrap().push(("revoked", partitions.len())))
        .on_lost(move |partitions| lost.lock().unwrap().push(("lost", partitions.len())));
    let (mut first, mut second) =
        (consumer(&client, GroupProtocol::Consumer), consumer(&client, GroupProtocol::Consumer));
    first.subscribe_with(["orders"], listener).unwrap();
    let mut records = until_shared(&mut [&mut first], &[6]).await;
    second.subscribe(["orders"]).unwrap();
    records += until_shared(&mut [&mut first, &mut second], &[3, 3]).await;
    let epochs = [&first, &second].map(|member| member.group_metadata().unwrap().generation_id);
    assert!(epochs[0] > 0 && epochs[0] == epochs[1], "{epochs:?}");
    assert_eq!(*told.lock().unwrap(), [("assigned", 6), ("revoked", 3), ("assigned", 0)]);

    second.close(10 * SECOND).await.unwrap();
    records += until_shared(&mut [&mut first], &[6]).await;
    produce(&client, "orders", 50).await;
    for _ in 0..10 {
        records += first.poll(SECOND).await.unwrap().len();
    }
    assert_eq!(records, 150);
    first.commit().await.unwrap();
    let partitions = first.assignment();
    let committed = first.committed(&partitions).await.unwrap();
    let sum: i64 = committed.values().map(|offset| offset.as_ref().map_or(0, |offset| offset.offset)).sum();
    assert_eq!(sum, 150);
    first.close(10 * SECOND).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_member_that_does_not_poll_leaves_and_returns() {
    let mock = cluster();
    let client = by_pipes(&mock);
    let quick = options(GroupProtocol::Consumer).max_poll_interval(6 * SECOND);
    let (mut first, mut second) =
        (Consumer::new(client.clone(), quick).unwrap(), consumer(&client, GroupProtocol::Consumer));
    first.subscribe(["orders"]).unwrap();
    second.subscribe(["orders"]).unwrap();
    until_shared(&mut [&mut first, &mut second], &[3, 3]).await;
    let id = first.group_metadata().unwrap().member_id;
    tokio::time::sleep(7 * SECOND).await;
    until_shared(&mut [&mut second], &[6]).await;
    until_shared(&mut [&mut first, &mut second], &[3, 3]).await;
    assert_eq!(first.group_metadata().unwrap().member_id, id);
}

#[tokio::test(start_paused = true)]
async fn a_static_member_of_the_consumer_protocol_finds_its_partitions_again() {
    let mock = cluster();
    let client = by_pipes(&mock);
    let named = || {
        let options = options(GroupProtocol::Consumer).group_instance_id("the-one");
        Consumer::new(client.clone(), options).unwrap()
    };
    let (mut first, mut second) = (named(), consumer(&client, GroupProtocol::Consumer));
    first.subscribe(["orders"]).unwrap();
    second.subscribe(["orders"]).unwrap();
    until_shared(&mut [&mut first, &mut second], &[3, 3]).await;
    let before = (first.assignment(), second.assignment());
    first.close(10 * SECOND).await.unwrap();
    for _ in 0..15 {
        second.poll(SECOND).await.unwrap();
    }
    let mut again = named();
    again.subscribe(["orders"]).unwrap();
    until_shared(&mut [&mut again, &mut second], &[3, 3]).await;
    assert_eq!((again.assignment(), second.assignment()), before);

    // Another one of the same name is told that it is taken, and why.
    let mut twin = named();
    twin.subscribe(["orders"]).unwrap();
    let error = twin.poll(10 * SECOND).await.unwrap_err();
    assert!(error.to_string().contains("the-one"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_moves_costs_no_membership_in_either_protocol() {
    for protocol in PROTOCOLS {
        let mock = cluster();
        let client = by_pipes(&mock);
        let mut member = consumer(&client, protocol);
        member.subscribe(["orders"]).unwrap();
        until_shared(&mut [&mut member], &[6]).await;
        let before = member.group_metadata();
        for to in [1, 2, 3] {
            mock.move_group_coordinator("readers", to).unwrap();
            for _ in 0..20 {
                member.poll(SECOND).await.unwrap();
            }
            assert_eq!(member.group_metadata(), before, "{protocol:?}");
            member.commit().await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn topics_that_are_created_after_subscribing_are_followed() {
    for protocol in PROTOCOLS {
        let mock = cluster();
        let client = by_pipes_with(&mock, |options| options.metadata_max_age(10 * SECOND));
        let options = options(protocol).allow_auto_create_topics(false);
        let mut member = Consumer::new(client.clone(), options).unwrap();
        member.subscribe(["orders", "late"]).unwrap();
        until_shared(&mut [&mut member], &[6]).await;
        create(&client, "late", 3).await;
        produce(&client, "late", 10).await;
        let mut records = until_shared(&mut [&mut member], &[9]).await;
        for _ in 0..5 {
            records += member.poll(SECOND).await.unwrap().len();
        }
        assert_eq!(records, 10, "{protocol:?}");
        member.close(10 * SECOND).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_pattern_takes_whole_names_and_follows_topics_as_they_are_created() {
    for protocol in PROTOCOLS {
        let mock = cluster();
        let client = by_pipes_with(&mock, |options| options.metadata_max_age(10 * SECOND));
        create(&client, "my-orders", 1).await;
        let mut member = consumer(&client, protocol);
        // Brokers match Kafka's own topics as well.
        let internal = if protocol == GroupProtocol::Classic { "|__.*" } else { "" };
        member.subscribe_pattern(format!("order.*{internal}")).unwrap();
        until_shared(&mut [&mut member], &[6]).await;
        create(&client, "orders-2", 2).await;
        produce(&client, "orders-2", 10).await;
        let mut records = until_shared(&mut [&mut member], &[8]).await;
        for _ in 0..5 {
            records += member.poll(SECOND).await.unwrap().len();
        }
        assert_eq!(records, 10, "{protocol:?}");
        if protocol == GroupProtocol::Classic {
            assert_eq!(member.subscription(), ["orders".into(), "orders-2".into()]);
        }
        // From the pattern to names, and to another pattern.
        member.subscribe(["returns"]).unwrap();
        until_shared(&mut [&mut member], &[2]).await;
        member.subscribe_pattern("my-orders").unwrap();
        until_shared(&mut [&mut member], &[1]).await;
        member.close(10 * SECOND).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_expression_is_refused_by_whoever_matches_it() {
    let mock = cluster();
    let client = by_pipes(&mock);
    let mut member = consumer(&client, GroupProtocol::Classic);
    assert_eq!(member.subscribe_pattern("a(").unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(member.subscribe_pattern("").unwrap_err().kind(), ErrorKind::InvalidState);
    let mut member = consumer(&client, GroupProtocol::Consumer);
    member.subscribe_pattern("a(").unwrap();
    let error = member.poll(10 * SECOND).await.unwrap_err();
    assert!(error.to_string().contains("INVALID_REGULAR_EXPRESSION"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_group_changes_over_between_the_protocols_while_it_runs() {
    let mock = cluster();
    let client = by_pipes(&mock);
    produce(&client, "orders", 60).await;
    let (mut classic, mut modern) =
        (consumer(&client, GroupProtocol::Classic), consumer(&client, GroupProtocol::Consumer));
    classic.subscribe(["orders"]).unwrap();
    let mut records = until_shared(&mut [&mut classic], &[6]).await;
    modern.subscribe(["orders"]).unwrap();
    records += until_shared(&mut [&mut classic, &mut modern], &[3, 3]).await;
    classic.close(10 * SECOND).await.unwrap();
    records += until_shared(&mut [&mut modern], &[6]).await;

    let mut back = consumer(&client, GroupProtocol::Classic);
    back.subscribe(["orders"]).unwrap();
    records += until_shared(&mut [&mut back, &mut modern], &[3, 3]).await;
    modern.close(10 * SECOND).await.unwrap();
    records += until_shared(&mut [&mut back], &[6]).await;
    produce(&client, "orders", 40).await;
    for _ in 0..10 {
        records += back.poll(SECOND).await.unwrap().len();
    }
    assert_eq!(records, 100);
    back.close(10 * SECOND).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn brokers_without_the_consumer_protocol_are_told_from_others() {
    let options = ClusterOptions::new().release(Release::V2_8).topic("orders", 1, 1);
    let mock = Mock::start(options).unwrap();
    let mut member = consumer(&by_pipes(&mock), GroupProtocol::Consumer);
    member.subscribe(["orders"]).unwrap();
    let error = member.poll(10 * SECOND).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
    assert!(error.to_string().contains("group.protocol"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_assignor_of_the_brokers_is_named_in_the_error() {
    let mock = cluster();
    let options = options(GroupProtocol::Consumer).group_remote_assignor("magic");
    let mut member = Consumer::new(by_pipes(&mock), options).unwrap();
    member.subscribe(["orders"]).unwrap();
    let error = member.poll(10 * SECOND).await.unwrap_err();
    assert!(error.to_string().contains("`magic`"), "{error}");
}

/// Gives everything to the member whose id comes last.
#[derive(Debug)]
struct WinnerTakesAll;

impl Assignor for WinnerTakesAll {
    fn name(&self) -> &str {
        "winner"
    }

    fn assign(&self, topics: &GroupTopics, members: &[GroupMember]) -> Assignments {
        let mut shares: BTreeMap<String, Vec<TopicPartition>> =
            members.iter().map(|member| (member.member_id.clone(), Vec::new())).collect();
        if let Some(mut last) = shares.last_entry() {
            for (topic, racks) in topics.iter() {
                let partitions = 0..i32::try_from(racks.len()).unwrap();
                last.get_mut().extend(partitions.map(|index| TopicPartition::new(Arc::clone(topic), index)));
            }
        }
        shares
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_uses_the_applications_own_assignor() {
    let mock = cluster();
    let client = by_pipes(&mock);
    let member = || {
        let mut member = consumer(&client, GroupProtocol::Classic);
        member.set_assignors([Arc::new(WinnerTakesAll) as Arc<dyn Assignor>]).unwrap();
        member.subscribe(["orders"]).unwrap();
        member
    };
    let (mut first, mut second) = (member(), member());
    let mut sizes = Vec::new();
    for _ in 0..200 {
        first.poll(Duration::from_millis(50)).await.unwrap();
        second.poll(Duration::from_millis(50)).await.unwrap();
        sizes = vec![first.assignment().len(), second.assignment().len()];
        sizes.sort_unstable();
    }
    assert_eq!(sizes, [0, 6]);
    let late = first.set_assignors([Arc::new(WinnerTakesAll) as Arc<dyn Assignor>]);
    assert_eq!(late.unwrap_err().kind(), ErrorKind::InvalidState);
    let mut other = consumer(&client, GroupProtocol::Classic);
    assert_eq!(other.set_assignors([]).unwrap_err().kind(), ErrorKind::Config);
}
