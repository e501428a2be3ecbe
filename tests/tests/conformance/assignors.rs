//! `assignors`: range and round-robin give Java's lists. The sticky ones depend on Java's hash order, so they have to be
//! complete, as balanced, as sticky, and the cooperative one takes nothing that another member still has.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ottla_consumer::assignor::{self, Assignments, GroupMember, GroupTopics, TopicPartition};
use serde_json::Value as Json;

use crate::case::{bytes, flag, int, list, same, text};
use crate::runner::Outcome;

pub(crate) fn judge(case: &Json) -> Outcome {
    let name = text(case, "assignor");
    let Some(assignor) = assignor::by_name(name) else { return Outcome::NotYet(name.to_owned()) };
    let (topics, members) = (topics(case), members(case));
    let assigned = assignor.assign(&topics, &members);
    if flag(case, "exact") {
        return same("assigned", &assigned, &expected(case)).into();
    }
    let group = Group { topics: &topics, members: &members, cooperative: name == "cooperative-sticky" };
    group.complete(&assigned).and_then(|()| group.as_good_as(&assigned, &case["stats"])).into()
}

struct Group<'a> {
    topics: &'a GroupTopics,
    members: &'a [GroupMember],
    cooperative: bool,
}

impl Group<'_> {
    /// Every partition of a subscribed topic has one owner, who subscribes to it. In a cooperative group one that a
    /// member still has may stay without for this round, but goes to nobody else.
    fn complete(&self, assigned: &Assignments) -> Result<(), String> {
        let ids: BTreeSet<&String> = self.members.iter().map(|member| &member.member_id).collect();
        same("members", &assigned.keys().collect(), &ids)?;
        let mut unassigned = self.subscribed();
        for member in self.members {
            let id = &member.member_id;
            for partition in &assigned[id] {
                if !member.topics.iter().any(|topic| **topic == *partition.topic) {
                    return Err(format!("{id} gets {partition} without a subscription"));
                }
                if !unassigned.remove(partition) {
                    return Err(format!("{partition} doesn't exist, or has two owners"));
                }
                if self.cooperative && self.owners(partition).any(|owner| owner != id) {
                    return Err(format!("{id} gets {partition}, which another member still has"));
                }
            }
        }
        let lost = unassigned.iter().find(|left| !self.cooperative || self.owners(left).next().is_none());
        lost.map_or(Ok(()), |partition| Err(format!("{partition} has no owner")))
    }

    /// At least as many partitions stay as with Java, and members with equal subscriptions differ no more.
    fn as_good_as(&self, assigned: &Assignments, stats: &Json) -> Result<(), String> {
        let keeps = |m: &GroupMember| {
            m.owned_partitions.iter().filter(|p| assigned[&m.member_id].contains(p)).count()
        };
        let kept = self.members.iter().map(keeps).sum::<usize>() as i64;
        if kept < int(stats, "kept") {
            return Err(format!("{kept} partitions stay, {} with Java", stats["kept"]));
        }
        let subscriptions: BTreeSet<BTreeSet<&String>> =
            self.members.iter().map(|member| member.topics.iter().collect()).collect();
        let sizes = || assigned.values().map(|partitions| partitions.len() as i64);
        let spread = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
        match subscriptions.len() {
            1 => same("fewest and most", &spread, &(int(stats, "min"), int(stats, "max"))),
            _ => Ok(()),
        }
    }

    fn subscribed(&self) -> BTreeSet<TopicPartition> {
        let names: BTreeSet<&String> = self.members.iter().flat_map(|member| &member.topics).collect();
        let partitions = |topic: &String| {
            let topic = topic.clone();
            (0..self.topics.partition_count(&topic))
                .map(move |index| TopicPartition::new(topic.as_str(), index as i32))
        };
        names.into_iter().flat_map(partitions).collect()
    }

    fn owners<'a>(&'a self, partition: &'a TopicPartition) -> impl Iterator<Item = &'a String> {
        let owners = self.members.iter().filter(move |member| member.owned_partitions.contains(partition));
        owners.map(|member| &member.member_id)
    }
}

/// `[["topic", 3], …]`.
pub(crate) fn partitions(pairs: &Json) -> Vec<TopicPartition> {
    let partition =
        |pair: &Json| TopicPartition::new(pair[0].as_str().unwrap(), pair[1].as_i64().unwrap() as i32);
    pairs.as_array().unwrap().iter().map(partition).collect()
}

fn expected(case: &Json) -> Assignments {
    let assignment = case["assignment"].as_object().unwrap().iter();
    assignment.map(|(member, pairs)| (member.clone(), partitions(pairs))).collect::<BTreeMap<_, _>>()
}

fn topics(case: &Json) -> GroupTopics {
    let brokers = case["brokers"].as_array().into_iter().flatten();
    let racks: HashMap<i64, String> = brokers
        .filter(|broker| broker["rack"].is_string())
        .map(|broker| (int(broker, "id"), text(broker, "rack").to_owned()))
        .collect();
    let rack_of = |id: &Json| racks.get(&id.as_i64().unwrap()).cloned();
    let mut topics = GroupTopics::new();
    for (topic, count) in case["topics"].as_object().unwrap() {
        match case["replicas"][topic].as_array() {
            Some(replicas) => {
                let of_partition = |ids: &Json| ids.as_array().unwrap().iter().filter_map(rack_of).collect();
                topics.insert_with_racks(topic.as_str(), replicas.iter().map(of_partition).collect());
            }
            None => topics.insert(topic.as_str(), count.as_u64().unwrap() as usize),
        }
    }
    topics
}

fn members(case: &Json) -> Vec<GroupMember> {
    let member = |member: &Json| GroupMember {
        member_id: text(member, "id").to_owned(),
        group_instance_id: member["instance"].as_str().map(str::to_owned),
        rack_id: member["rack"].as_str().map(str::to_owned),
        topics: list(member, "topics").iter().map(|topic| topic.as_str().unwrap().to_owned()).collect(),
        owned_partitions: partitions(&member["owned"]),
        generation_id: int(member, "generation") as i32,
        user_data: member["user_data_hex"].is_string().then(|| bytes(member, "user_data_hex")),
    };
    list(case, "members").iter().map(member).collect()
}
