//! Properties that hold for any group, whatever the Java client does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

/// More rebalances than any change should take.
const MOST_ROUNDS: usize = 20;

const ASSIGNORS: [&str; 4] = ["range", "roundrobin", "sticky", "cooperative-sticky"];

fn builtin(name: &str) -> Arc<dyn Assignor> {
    by_name(name).expect("one of the built-in assignors")
}

/// Topics `t0`, `t1`, … with these numbers of partitions; each on two of three racks if `racks`.
fn topics(partition_counts: &[usize], racks: bool) -> GroupTopics {
    let mut topics = GroupTopics::new();
    for (number, &count) in partition_counts.iter().enumerate() {
        let name = format!("t{number}");
        let replicas =
            |index: usize| vec![format!("r{}", (index + number) % 3), format!("r{}", (index * number) % 3)];
        match racks {
            true => topics.insert_with_racks(name, (0..count).map(replicas).collect()),
            false => topics.insert(name, count),
        }
    }
    topics
}

/// Members `m0`, `m1`, … each subscribed to the topics of its bit mask.
fn members(masks: &[u8]) -> Vec<GroupMember> {
    let subscription = |mask: u8| (0..8).filter(move |bit| mask >> bit & 1 == 1).map(|bit| format!("t{bit}"));
    let racks = ["r0", "r1", "r2", "elsewhere"];
    let member = |(number, &mask): (usize, &u8)| GroupMember {
        group_instance_id: (number % 3 == 2).then(|| format!("static-{number}")),
        rack_id: (number % 5 != 4).then(|| racks[number % 4].to_owned()),
        ..GroupMember::new(format!("m{number}"), subscription(mask))
    };
    masks.iter().enumerate().map(member).collect()
}

/// What the members send when they rejoin with what they were assigned.
fn rejoined(
    assignor: &dyn Assignor,
    members: &[GroupMember],
    got: &Assignments,
    generation: i32,
) -> Vec<GroupMember> {
    let rejoin = |member: &GroupMember| {
        let partitions = got.get(&member.member_id).cloned().unwrap_or_default();
        let previous = PreviousAssignment { partitions: &partitions, generation_id: generation };
        GroupMember {
            user_data: assignor.user_data(&member.topics, Some(previous)),
            generation_id: generation,
            owned_partitions: partitions,
            ..member.clone()
        }
    };
    members.iter().map(rejoin).collect()
}

/// Assigns until nobody has to give anything up any more, and answers with the number of rounds that changed something.
fn settle(
    assignor: &dyn Assignor,
    topics: &GroupTopics,
    members: Vec<GroupMember>,
    generation: i32,
) -> (Vec<GroupMember>, Assignments, usize) {
    let mut members = members;
    let mut before = Assignments::new();
    for round in 0.. {
        assert!(round < MOST_ROUNDS, "no end of rebalances");
        let assigned = assignor.assign(topics, &members);
        assert_nothing_taken(assignor, &members, &assigned);
        if assigned == before {
            return (members, assigned, round);
        }
        members = rejoined(assignor, &members, &assigned, generation + round as i32);
        before = assigned;
    }
    unreachable!("the loop has no end")
}

/// No member of a cooperative group gets what another one still has.
fn assert_nothing_taken(assignor: &dyn Assignor, members: &[GroupMember], assigned: &Assignments) {
    if assignor.protocol() == RebalanceProtocol::Cooperative {
        for member in members {
            for owned in &member.owned_partitions {
                let taken =
                    assigned.iter().find(|(id, list)| **id != member.member_id && list.contains(owned));
                assert_eq!(taken.map(|(id, _)| id), None, "{owned} is still with {}", member.member_id);
            }
        }
    }
}

fn expected_partitions(topics: &GroupTopics, members: &[GroupMember]) -> Vec<TopicPartition> {
    let subscribed: BTreeSet<&str> = members.iter().flat_map(|m| &m.topics).map(String::as_str).collect();
    let known = topics.iter().filter(|(name, _)| subscribed.contains(&***name));
    known
        .flat_map(|(name, racks)| (0..racks.len()).map(|p| TopicPartition::new(Arc::clone(name), p as i32)))
        .collect()
}

fn assert_complete(topics: &GroupTopics, members: &[GroupMember], assigned: &Assignments) {
    let mut all: Vec<TopicPartition> = assigned.values().flatten().cloned().collect();
    all.sort();
    assert_eq!(all, expected_partitions(topics, members));
    assert_eq!(assigned.len(), members.len());
    for member in members {
        for partition in &assigned[&member.member_id] {
            assert!(
                member.topics.iter().any(|topic| **topic == *partition.topic),
                "{partition} is not subscribed"
            );
        }
    }
}

fn spread(assigned: &Assignments) -> usize {
    let sizes: Vec<usize> = assigned.values().map(Vec::len).collect();
    sizes.iter().max().unwrap_or(&0) - sizes.iter().min().unwrap_or(&0)
}

fn kept(members: &[GroupMember], assigned: &Assignments) -> usize {
    let kept_by =
        |m: &GroupMember| m.owned_partitions.iter().filter(|p| assigned[&m.member_id].contains(p)).count();
    members.iter().map(kept_by).sum()
}

fn group() -> impl Strategy<Value = (Vec<usize>, Vec<u8>, bool)> {
    (prop::collection::vec(0..12usize, 1..6), prop::collection::vec(any::<u8>(), 1..10), any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_partition_goes_to_exactly_one_subscriber((counts, masks, racks) in group()) {
        let (topics, members) = (topics(&counts, racks), members(&masks));
        for name in ASSIGNORS {
            let assignor = builtin(name);
            assert_complete(&topics, &members, &assignor.assign(&topics, &members));
        }
    }

    #[test]
    fn the_order_of_members_does_not_matter((counts, masks, racks) in group(), turn in 0..10usize) {
        let (topics, members) = (topics(&counts, racks), members(&masks));
        for name in ASSIGNORS {
            let assignor = builtin(name);
            let (members, assigned, _) = settle(&*assignor, &topics, members.clone(), 1);
            let mut shuffled = members.clone();
            shuffled.rotate_left(turn % members.len());
            shuffled.reverse();
            prop_assert_eq!(assignor.assign(&topics, &shuffled), assigned);
        }
    }

    #[test]
    fn equal_subscriptions_differ_by_one_partition_at_most((counts, masks, racks) in group()) {
        let (topics, members) = (topics(&counts, racks), members(&vec![0xff; masks.len()]));
        for name in ["roundrobin", "sticky", "cooperative-sticky"] {
            let assigned = builtin(name).assign(&topics, &members);
            prop_assert!(spread(&assigned) <= 1, "{name}: {assigned:?}");
        }
    }

    #[test]
    fn no_single_move_would_improve_a_sticky_assignment((counts, masks, racks) in group()) {
        let (topics, members) = (topics(&counts, racks), members(&masks));
        let assigned = StickyAssignor.assign(&topics, &members);
        for (from, list) in &assigned {
            for partition in list {
                for to in members.iter().filter(|m| m.topics.iter().any(|t| **t == *partition.topic)) {
                    prop_assert!(list.len() <= assigned[&to.member_id].len() + 1, "{partition}: {from} to {to:?}");
                }
            }
        }
    }

    #[test]
    fn without_a_change_everybody_keeps_everything((counts, masks, _) in group()) {
        let (topics, members) = (topics(&counts, false), members(&masks));
        for name in ["sticky", "cooperative-sticky"] {
            let assignor = builtin(name);
            let first = assignor.assign(&topics, &members);
            let again = assignor.assign(&topics, &rejoined(&*assignor, &members, &first, 1));
            prop_assert_eq!(again, first);
        }
    }

    #[test]
    fn a_cooperative_change_settles_in_two_rounds(
        (counts, masks, _) in group(), joining in 0..4usize, leaving in 0..4usize,
    ) {
        let rounds = rounds_after_change(&counts, false, &vec![0xff; masks.len()], &vec![0xff; joining], leaving);
        prop_assert!(rounds <= 2, "{rounds} rounds");
    }

    // Where subscriptions differ, a round may find a better place for what the one before freed.
    #[test]
    fn a_cooperative_change_with_mixed_subscriptions_settles_in_four_rounds(
        (counts, masks, _) in group(), joining in prop::collection::vec(any::<u8>(), 0..4), leaving in 0..4usize,
    ) {
        let rounds = rounds_after_change(&counts, false, &masks, &joining, leaving);
        prop_assert!(rounds <= 4, "{rounds} rounds");
    }

    // Partitions leave members in a wrong rack in every round, as with the Java client.
    #[test]
    fn a_cooperative_change_with_racks_settles(
        (counts, masks, _) in group(), equal in any::<bool>(),
        joining in prop::collection::vec(any::<u8>(), 0..4), leaving in 0..4usize,
    ) {
        let subscribe = |masks: &[u8]| masks.iter().map(|&mask| if equal { 0xff } else { mask }).collect::<Vec<u8>>();
        let rounds = rounds_after_change(&counts, true, &subscribe(&masks), &subscribe(&joining), leaving);
        prop_assert!(rounds < MOST_ROUNDS, "{rounds} rounds");
    }

    #[test]
    fn a_member_that_joins_moves_only_what_it_gets((counts, masks, _) in group()) {
        let (topics, members) = (topics(&counts, false), members(&vec![0xff; masks.len() + 1]));
        let (old, first) = (&members[1..], StickyAssignor.assign(&topics, &members[1..]));
        let mut group = rejoined(&StickyAssignor, old, &first, 1);
        group.push(members[0].clone());
        let second = StickyAssignor.assign(&topics, &group);
        let moved = expected_partitions(&topics, &members).len() - kept(&group, &second);
        prop_assert_eq!(moved, second["m0"].len());
    }

    #[test]
    fn user_data_never_panics_and_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Some(data) = StickyUserData::decode(&bytes) {
            prop_assert_eq!(StickyUserData::decode(&data.encode()).map(|data| data.partitions.len()), Some(data.partitions.len()));
        }
    }
}

/// Lets a settled group lose `leaving` members and gain those with the masks `joining`, and counts the rebalances that
/// change something until it is settled again.
fn rounds_after_change(counts: &[usize], racks: bool, masks: &[u8], joining: &[u8], leaving: usize) -> usize {
    let topics = topics(counts, racks);
    let assignor = CooperativeStickyAssignor;
    let (mut group, _, _) = settle(&assignor, &topics, members(masks), 1);
    group.drain(..leaving.min(group.len() - 1));
    group.extend(members(&[masks, joining].concat()).split_off(masks.len()));
    let (members, assigned, rounds) = settle(&assignor, &topics, group, 20);
    assert_complete(&topics, &members, &assigned);
    rounds
}

#[test]
fn the_claim_of_the_newest_generation_counts() {
    let topics = topics(&[2], false);
    let owned = |id: &str, generation_id, partitions: &[i32]| GroupMember {
        generation_id,
        owned_partitions: partitions.iter().map(|&p| TopicPartition::new("t0", p)).collect(),
        ..GroupMember::new(id, ["t0"])
    };
    let assigned = CooperativeStickyAssignor.assign(&topics, &[owned("a", 3, &[0, 1]), owned("b", 4, &[0])]);
    let expected = BTreeMap::from([
        ("a".to_owned(), vec![TopicPartition::new("t0", 1)]),
        ("b".to_owned(), vec![TopicPartition::new("t0", 0)]),
    ]);
    assert_eq!(assigned, expected);
}

#[test]
fn a_partition_that_two_members_claim_alike_is_withheld_from_both() {
    let topics = topics(&[1], false);
    let owner = |id: &str| GroupMember {
        generation_id: 7,
        owned_partitions: vec![TopicPartition::new("t0", 0)],
        ..GroupMember::new(id, ["t0"])
    };
    let assigned = CooperativeStickyAssignor.assign(&topics, &[owner("a"), owner("b")]);
    assert_eq!(assigned, BTreeMap::from([("a".to_owned(), vec![]), ("b".to_owned(), vec![])]));
}

#[test]
fn hostile_subscriptions_are_taken_for_what_they_are_worth() {
    let topics = topics(&[2], false);
    let members = [GroupMember {
        generation_id: i32::MIN,
        owned_partitions: vec![TopicPartition::new("t0", -1), TopicPartition::new("t0", i32::MAX)],
        user_data: Some(Bytes::from_static(b"\xff\xff")),
        ..GroupMember::new("a", ["t0", "t0", "unknown", ""])
    }];
    for name in ASSIGNORS {
        let assignor = builtin(name);
        assert_complete(&topics, &members, &assignor.assign(&topics, &members));
        assert_eq!(assignor.assign(&topics, &[]), Assignments::new());
    }
}

/// 1,000 members and 10,000 partitions, with all subscriptions equal, one different, or all mixed.
#[test]
fn a_thousand_members_and_ten_thousand_partitions_are_no_effort() {
    for masks in [
        vec![0xff; 1000],
        (0..1000).map(|n| if n == 0 { 1 } else { 0xff }).collect::<Vec<u8>>(),
        (0..1000).map(|n| (n % 255) as u8 + 1).collect(),
    ] {
        for racks in [false, true] {
            let (topics, members) = (topics(&[1250; 8], racks), members(&masks));
            for name in ASSIGNORS {
                let assignor = builtin(name);
                let first = assignor.assign(&topics, &members);
                let mut group = rejoined(&*assignor, &members, &first, 1);
                group.truncate(900);
                let second = assignor.assign(&topics, &group);
                if assignor.protocol() == RebalanceProtocol::Eager {
                    assert_complete(&topics, &group, &second);
                }
            }
        }
    }
}
