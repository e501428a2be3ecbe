use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::uuid::Uuid;
use proptest::prelude::*;

use super::{Partitions, Subscriber, assign};
use crate::groups::options::ServerAssignor;

fn topic(number: u8) -> Uuid {
    Uuid([number; 16])
}

fn members(topics: &[(&str, &[u8])]) -> BTreeMap<String, Subscriber> {
    let member = |topics: &[u8]| Subscriber {
        topics: topics.iter().map(|number| topic(*number)).collect(),
        ..Default::default()
    };
    topics.iter().map(|(id, topics)| ((*id).to_owned(), member(topics))).collect()
}

fn sizes(sizes: &[(u8, i32)]) -> BTreeMap<Uuid, i32> {
    sizes.iter().map(|(number, size)| (topic(*number), *size)).collect()
}

fn shares(assigned: &BTreeMap<String, Partitions>) -> Vec<Vec<(u8, Vec<i32>)>> {
    let share = |partitions: &Partitions| {
        partitions.iter().map(|(topic, all)| (topic.0[0], all.iter().copied().collect())).collect()
    };
    assigned.values().map(share).collect()
}

#[test]
fn range_deals_out_runs_static_members_first() {
    let mut members = members(&[("a", &[1, 2]), ("b", &[1, 2]), ("c", &[1])]);
    members.get_mut("c").expect("it is there").instance_id = Some("z".into());
    let assigned = assign(ServerAssignor::Range, &members, &sizes(&[(1, 5), (2, 3)]));
    let expected =
        [vec![(1, vec![2, 3]), (2, vec![0, 1])], vec![(1, vec![4]), (2, vec![2])], vec![(1, vec![0, 1])]];
    assert_eq!(shares(&assigned), expected);
}

#[test]
fn uniform_moves_no_more_than_it_must() {
    let mut members = members(&[("a", &[1]), ("b", &[1])]);
    members.get_mut("a").expect("it is there").target.insert(topic(1), (0..4).collect());
    let assigned = assign(ServerAssignor::Uniform, &members, &sizes(&[(1, 5)]));
    assert_eq!(shares(&assigned), [vec![(1, vec![0, 1, 2])], vec![(1, vec![3, 4])]]);
}

#[test]
fn uniform_evens_members_with_different_topics_out() {
    let mut members = members(&[("a", &[1, 2]), ("b", &[2])]);
    members.get_mut("a").expect("it is there").target =
        [(topic(1), (0..2).collect()), (topic(2), (0..4).collect())].into();
    let assigned = assign(ServerAssignor::Uniform, &members, &sizes(&[(1, 2), (2, 4)]));
    assert_eq!(shares(&assigned), [vec![(1, vec![0, 1]), (2, vec![0])], vec![(2, vec![1, 2, 3])]]);
}

#[test]
fn nobody_and_nothing_is_assigned_too() {
    for assignor in [ServerAssignor::Range, ServerAssignor::Uniform] {
        assert_eq!(assign(assignor, &BTreeMap::new(), &BTreeMap::new()), BTreeMap::new());
        let idle = assign(assignor, &members(&[("a", &[])]), &BTreeMap::new());
        assert_eq!(idle, BTreeMap::from([("a".to_owned(), Partitions::new())]));
    }
}

proptest! {
    #[test]
    fn every_partition_goes_to_one_subscriber_evenly_and_stays_where_it_is(
        subscriptions in prop::collection::vec(prop::collection::btree_set(0u8..4, 0..4), 1..9),
        counts in prop::collection::vec(0i32..12, 4),
        same in any::<bool>(),
        range in any::<bool>(),
    ) {
        let assignor = if range { ServerAssignor::Range } else { ServerAssignor::Uniform };
        let sizes: BTreeMap<Uuid, i32> = (0u8..).zip(&counts).map(|(number, size)| (topic(number), *size)).collect();
        let mut members = BTreeMap::new();
        for (number, topics) in subscriptions.iter().enumerate() {
            let topics = if same { &subscriptions[0] } else { topics };
            let topics = topics.iter().map(|number| topic(*number)).collect();
            members.insert(format!("m{number}"), Subscriber { topics, ..Default::default() });
        }
        let assigned = assign(assignor, &members, &sizes);
        let mut owners = BTreeMap::new();
        for (id, partitions) in &assigned {
            for (topic, partition) in partitions.iter().flat_map(|(topic, all)| all.iter().map(move |one| (topic, one))) {
                prop_assert!(members[id].topics.contains(topic));
                prop_assert_eq!(owners.insert((*topic, *partition), id), None);
            }
        }
        let wanted: BTreeSet<Uuid> = members.values().flat_map(|member| member.topics.clone()).collect();
        let total: i32 = wanted.iter().map(|topic| sizes[topic]).sum();
        prop_assert_eq!(owners.len(), usize::try_from(total).expect("it is small"));
        let load = |id: &String| assigned[id].values().map(BTreeSet::len).sum::<usize>();
        if !range {
            for (id, partitions) in &assigned {
                for topic in partitions.keys() {
                    for other in members.keys().filter(|other| members[*other].topics.contains(topic)) {
                        prop_assert!(load(id) <= load(other) + 1, "{} has {}, {} has {}", id, load(id), other, load(other));
                    }
                }
            }
            for (id, member) in &mut members {
                member.target = assigned[id].clone();
            }
            prop_assert_eq!(&assign(assignor, &members, &sizes), &assigned);
        }
    }
}
