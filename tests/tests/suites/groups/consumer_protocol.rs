//! Groups of the consumer protocol (KIP-848): the coordinator assigns, and members hand over one partition at a time.

use ottla::consumer::GroupProtocol;

use super::*;

/// Partitions change hands with heartbeats, of which the clusters ask for two in a second, and patterns are matched again at
/// most every ten seconds.
const SOON: Duration = Duration::from_secs(30);

fn member_of(group: &str) -> ConsumerOptions {
    ConsumerOptions::default()
        .group_id(group)
        .group_protocol(GroupProtocol::Consumer)
        .auto_offset_reset(OffsetReset::Earliest)
        .auto_commit_interval(MS(200))
        .fetch_max_wait(MS(100))
}

#[test]
fn members_join_and_leave_and_every_record_is_seen_once() {
    WORLD.peace(SECONDS(150), async |kafka, nodes| {
        let mut dice = Dice::new("consumer protocol");
        let group = unique("consumer-protocol");
        let (load, team) = load(&kafka, "consumer-protocol", &mut dice).await;
        let join = |kafka: &Kafka, number| team.member(kafka, number, member_of(&group), Habits::default());
        let first = join(&kafka, 1);
        let alone = team.balanced(SOON, 6, &[&first]).await;
        let second = join(&nodes.kafka(), 2);
        let both = team.balanced(SOON, 6, &[&first, &second]).await;
        let before = first.view();
        second.close().await;
        let left = team.balanced(SOON, 6, &[&first]).await;
        let third = join(&kafka, 3);
        let again = team.balanced(SOON, 6, &[&first, &third]).await;
        println!("{alone:?}, {both:?}, left {left:?}, {again:?}");
        assert!(!first.lost_any());
        let id = |view: &member::View| view.metadata.as_ref().map(|metadata| metadata.member_id.clone());
        assert_eq!(id(&first.view()), id(&before));
        let ledger = Arc::clone(load.ledger());
        settle(load, &team, vec![first, third]).await;
        assert_clean(&ledger.exactly_once());
    });
}

#[test]
fn a_member_that_oversleeps_loses_its_partitions_and_returns_under_its_id() {
    WORLD.peace(SECONDS(150), async |kafka, _| {
        let mut dice = Dice::new("consumer protocol, overslept");
        let group = unique("consumer-protocol-slow");
        let (load, team) = load(&kafka, "consumer-protocol-slow", &mut dice).await;
        let quick = team.member(&kafka, 1, member_of(&group), Habits::default());
        let slow = member_of(&group).max_poll_interval(SECONDS(6));
        let slow = team.member(&kafka, 2, slow, Habits::default());
        team.balanced(SOON, 6, &[&quick, &slow]).await;
        let before = slow.view();
        let busy = slow.be_busy().await;
        team.balanced(SECONDS(6) + SOON, 6, &[&quick]).await;
        drop(busy);
        team.balanced(SOON, 6, &[&quick, &slow]).await;
        assert!(slow.lost_any() && !quick.lost_any());
        let id = |view: &member::View| view.metadata.as_ref().map(|metadata| metadata.member_id.clone());
        assert_eq!(id(&slow.view()), id(&before));
        let ledger = Arc::clone(load.ledger());
        settle(load, &team, vec![quick, slow]).await;
        assert_clean(&ledger.at_least_once());
    });
}

#[test]
fn a_pattern_is_matched_by_the_brokers_and_topics_come_in_as_they_are_created() {
    WORLD.peace(SECONDS(120), async |kafka, _| {
        let name = topic(&kafka, "matched", 3).await;
        let group = unique("consumer-protocol-pattern");
        let mut consumer = kafka.consumer(member_of(&group)).unwrap();
        // Names are unique to the test; the second topic's is the first one's with something behind it.
        consumer.subscribe_pattern(format!("{}.*", name.replace('.', "\\."))).unwrap();
        let mut assigned = async |partitions: usize| {
            let started = Instant::now();
            while consumer.assignment().len() < partitions {
                consumer.poll(MS(100)).await.unwrap();
                assert!(started.elapsed() < SOON, "{consumer:?}");
            }
            println!("{partitions} partitions after {:?}", started.elapsed());
        };
        assigned(3).await;
        topic(&kafka, &name, 2).await;
        assigned(5).await;
        consumer.close(PROMPT).await.unwrap();
    });
}
