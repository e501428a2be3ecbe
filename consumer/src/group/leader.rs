//! The leader's work between JoinGroup and SyncGroup, apart from the assignor itself: pure.
//!
//! Guarantees: a member whose subscription is unreadable gets nothing, and does not keep the others from getting theirs; a
//! cooperative assignment gives nothing to a member that another one still has.
//!
//! Sources: KIP-429 (cooperative), KIP-881 (racks).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use ottla_client::{Cluster, Error, ErrorKind, Partition, Topic, TopicPartition};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_protocol::{
    self, ConsumerProtocolAssignment, ConsumerProtocolSubscription, NEWEST_VERSION, decode_assignment,
    decode_subscription, encode_assignment,
};
use ottla_protocol::messages::join_group::JoinGroupResponseMember;
use ottla_protocol::messages::sync_group::SyncGroupRequestAssignment;
use ottla_protocol::wire::EncodeError;

use crate::assignor::{
    Assignments, Assignor, CooperativeStickyAssignor, GroupMember, GroupTopics, RebalanceProtocol,
};

/// What an assignment rests on: of each of the group's topics its partitions, none for one that did not exist; of each
/// partition the racks of its replicas, if the leader looks at them.
pub(super) type Layout = BTreeMap<String, Vec<BTreeSet<String>>>;

/// How many partitions of each topic there were.
pub(super) type Noted = BTreeMap<String, i32>;

/// How a note begins; what assignors of other clients write for themselves begins otherwise.
const NOTE: &[u8] = b"ottla: rests on ";

/// Everybody in the generation, as their subscriptions describe them.
pub(super) fn members(joined: &[JoinGroupResponseMember]) -> Vec<GroupMember> {
    let member = |member: &JoinGroupResponseMember| {
        let subscription = match decode_subscription(&member.metadata) {
            Ok((subscription, _)) => subscription,
            Err(error) => {
                tracing::warn!(member = %member.member_id, %error, "a member's subscription is unreadable: it gets no partitions");
                ConsumerProtocolSubscription::default()
            }
        };
        GroupMember {
            member_id: member.member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            rack_id: subscription.rack_id.filter(|rack| !rack.is_empty()),
            topics: subscription.topics,
            owned_partitions: single(subscription.owned_partitions),
            generation_id: subscription.generation_id,
            user_data: subscription.user_data,
        }
    };
    joined.iter().map(member).collect()
}

/// Every topic that somebody subscribes to, in order.
pub(super) fn subscribed_topics(members: &[GroupMember]) -> Vec<String> {
    let topics: BTreeSet<&String> = members.iter().flat_map(|member| &member.topics).collect();
    topics.into_iter().cloned().collect()
}

/// Those of `topics` that exist, with the racks of their replicas.
pub(super) fn group_topics(cluster: &Cluster, topics: &[String]) -> GroupTopics {
    let mut known = GroupTopics::new();
    for topic in topics.iter().filter_map(|name| cluster.topic(name)) {
        known.insert_with_racks(Arc::clone(&topic.name), racks(cluster, topic));
    }
    known
}

/// Whether metadata has told of each topic whether it exists.
pub(super) fn all_answered(cluster: &Cluster, topics: &[String]) -> bool {
    topics.iter().all(|name| cluster.topic(name).is_some() || cluster.topic_error(name).is_some())
}

/// The partitions of each topic, and `with_racks` where they are. A topic that metadata has no word of, or trouble with,
/// stays as it was in the `last` layout: only one that surely does not exist has no partitions. A broker that is away is
/// where it was.
pub(super) fn layout(cluster: &Cluster, topics: &[String], with_racks: bool, last: &Layout) -> Layout {
    let partitions = |name: &String| match (cluster.topic(name), cluster.topic_error(name)) {
        (Some(topic), _) => {
            let last = last.get(name).map(Vec::as_slice).unwrap_or_default();
            let racks = |(at, partition): (usize, &Partition)| match last.get(at) {
                _ if !with_racks => BTreeSet::new(),
                Some(last) if partition.replicas.iter().any(|node| cluster.node(*node).is_none()) => {
                    last.clone()
                }
                _ => racks_of(cluster, partition).collect(),
            };
            topic.partitions.iter().enumerate().map(racks).collect()
        }
        (None, Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID)) => Vec::new(),
        (None, _) => last.get(name).cloned().unwrap_or_default(),
    };
    topics.iter().map(|name| (name.clone(), partitions(name))).collect()
}

/// Why the group needs another assignment than the one for the `last` layout; none if nobody knows that one: a static leader
/// that came back to somebody else's assignment starts from what it sees. Who leads no more, or not yet, has an empty one.
pub(super) fn reason_to_rebalance(last: &Layout, now: &Layout) -> Option<String> {
    if !last.keys().eq(now.keys()) {
        let is_leading_on = !last.is_empty() && !now.is_empty();
        return is_leading_on.then(|| "the topics of the group changed".to_owned());
    }
    let changed = last.iter().zip(now.values()).find(|((_, last), now)| last != now);
    changed.map(|((name, last), now)| match last.len() == now.len() {
        true => format!("replicas of topic {name} moved to other racks"),
        false => format!("the number of partitions of topic {name} changed"),
    })
}

/// Refuses an assignment of an application's own cooperative assignor that gives away what another member still has: that
/// one reads it until it has learnt of the assignment, and commits as a member of the new generation.
///
/// # Errors
/// Kind `InvalidState`.
pub(super) fn check_cooperative(
    assignor: &dyn Assignor,
    members: &[GroupMember],
    assignments: &Assignments,
) -> Result<(), Error> {
    let is_cooperative = assignor.protocol() == RebalanceProtocol::Cooperative;
    if !is_cooperative || assignor.name() == CooperativeStickyAssignor.name() {
        return Ok(());
    }
    // A member that missed rebalances still lists what it had before them.
    let mut owners: BTreeMap<&TopicPartition, (i32, Vec<&str>)> = BTreeMap::new();
    for member in members {
        for partition in &member.owned_partitions {
            let (newest, owners) = owners.entry(partition).or_insert((member.generation_id, Vec::new()));
            if member.generation_id > *newest {
                *newest = member.generation_id;
                owners.clear();
            }
            if member.generation_id == *newest {
                owners.push(&member.member_id);
            }
        }
    }
    for (member, partitions) in assignments {
        for partition in partitions {
            let Some((_, owners)) = owners.get(partition) else { continue };
            if !owners.contains(&member.as_str()) {
                let message = format!(
                    "assignor `{}` is cooperative, but gives {partition} to {member} while {} still has it; it has to \
                     leave the partition out until the next rebalance",
                    assignor.name(),
                    owners.join(" and ")
                );
                return Err(Error::new(ErrorKind::InvalidState, message));
            }
        }
    }
    Ok(())
}

/// Everybody's share, as SyncGroup takes it; that of the member of this id with a `note` for itself.
pub(super) fn encode(
    assignments: &Assignments,
    note: Option<(&str, &Bytes)>,
) -> Result<Vec<SyncGroupRequestAssignment>, EncodeError> {
    let share = |(member_id, partitions): (&String, &Vec<TopicPartition>)| {
        let partitions = partitions.iter().map(|partition| (&*partition.topic, partition.partition));
        let note = note.filter(|(of, _)| of == member_id);
        let assignment = ConsumerProtocolAssignment {
            assigned_partitions: consumer_protocol::TopicPartition::group(partitions),
            user_data: note.map(|(_, note)| note.clone()),
            ..ConsumerProtocolAssignment::default()
        };
        let assignment = encode_assignment(&assignment, NEWEST_VERSION)?;
        let member_id = member_id.clone();
        Ok(SyncGroupRequestAssignment { member_id, assignment, ..SyncGroupRequestAssignment::default() })
    };
    assignments.iter().map(share).collect()
}

/// Everything that somebody still has, as the members say.
pub(super) fn owned(members: &[GroupMember]) -> BTreeSet<TopicPartition> {
    members.iter().flat_map(|member| &member.owned_partitions).cloned().collect()
}

/// What is `owned` by somebody and given to nobody: whoever has it is to give it up, and to join again.
pub(super) fn withheld(
    mut owned: BTreeSet<TopicPartition>,
    assignments: &Assignments,
) -> BTreeSet<TopicPartition> {
    for partition in assignments.values().flatten() {
        owned.remove(partition);
    }
    owned
}

/// What a static leader writes to itself: how many partitions of each topic the assignment gives out, all but those that are
/// `withheld`. Its share is what the coordinator gives back to whoever comes back under its name, and nobody else reads what
/// is in it.
///
/// # Errors
/// A name that is too long for the format.
pub(super) fn note(layout: &Layout, withheld: &BTreeSet<TopicPartition>) -> Result<Bytes, EncodeError> {
    let mut left_out: BTreeMap<&str, usize> = BTreeMap::new();
    for partition in withheld {
        *left_out.entry(&partition.topic).or_default() += 1;
    }
    let counts = layout.iter().map(|(name, partitions)| {
        let left_out = left_out.get(name.as_str()).copied().unwrap_or(0);
        let given_out = partitions.len().saturating_sub(left_out);
        (name.as_str(), i32::try_from(given_out).unwrap_or(i32::MAX))
    });
    let counts = ConsumerProtocolAssignment {
        assigned_partitions: consumer_protocol::TopicPartition::group(counts),
        ..ConsumerProtocolAssignment::default()
    };
    let mut note = NOTE.to_vec();
    note.extend_from_slice(&encode_assignment(&counts, NEWEST_VERSION)?);
    Ok(note.into())
}

/// The numbers of partitions that a leader has written down; none if this is something else.
pub(super) fn noted(user_data: Option<&Bytes>) -> Option<Noted> {
    let user_data = user_data.filter(|data| data.starts_with(NOTE))?;
    let (counts, _) = decode_assignment(&user_data.slice(NOTE.len()..)).ok()?;
    let count = |topic: consumer_protocol::TopicPartition| match topic.partitions[..] {
        [count] => Some((topic.topic, count)),
        _ => None,
    };
    counts.assigned_partitions.into_iter().map(count).collect()
}

/// The layout that was noted. Racks are not; partitions are where they were `last`, or where they are `now`.
pub(super) fn noted_layout(noted: &Noted, last: &Layout, now: &Layout) -> Layout {
    let partitions = |(name, count): (&String, &i32)| {
        let known = |layout: &Layout, at: usize| layout.get(name)?.get(at).cloned();
        // A count is believed only so far: of partitions that neither layout has, one is enough to tell the difference.
        let most = last.get(name).map_or(0, Vec::len).max(now.get(name).map_or(0, Vec::len)) + 1;
        let count = usize::try_from(*count).unwrap_or(0).min(most);
        let racks = (0..count).map(|at| known(last, at).or_else(|| known(now, at)).unwrap_or_default());
        (name.clone(), racks.collect())
    };
    noted.iter().map(partitions).collect()
}

fn racks(cluster: &Cluster, topic: &Topic) -> Vec<Vec<String>> {
    topic.partitions.iter().map(|partition| racks_of(cluster, partition).collect()).collect()
}

fn racks_of(cluster: &Cluster, partition: &Partition) -> impl Iterator<Item = String> {
    let rack = move |node: &i32| cluster.node(*node)?.rack.as_deref().map(str::to_owned);
    partition.replicas.iter().filter_map(rack)
}

fn single(topics: Vec<consumer_protocol::TopicPartition>) -> Vec<TopicPartition> {
    let mut partitions = Vec::new();
    for topic in topics {
        let name: Arc<str> = topic.topic.into();
        let of_topic = topic.partitions.into_iter();
        partitions.extend(of_topic.map(|partition| TopicPartition::new(Arc::clone(&name), partition)));
    }
    partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Claims its partitions under a name of its own.
    #[derive(Debug)]
    struct Named(&'static str, RebalanceProtocol);

    impl Assignor for Named {
        fn name(&self) -> &str {
            self.0
        }

        fn protocol(&self) -> RebalanceProtocol {
            self.1
        }

        fn assign(&self, _: &GroupTopics, _: &[GroupMember]) -> Assignments {
            Assignments::new()
        }
    }

    fn partitions(indexes: &[i32]) -> Vec<TopicPartition> {
        indexes.iter().map(|index| TopicPartition::new("t", *index)).collect()
    }

    fn member(member_id: &str, generation_id: i32, owned: &[i32]) -> GroupMember {
        let mut member = GroupMember::new(member_id, ["t"]);
        (member.generation_id, member.owned_partitions) = (generation_id, partitions(owned));
        member
    }

    fn assignments(shares: &[(&str, &[i32])]) -> Assignments {
        shares.iter().map(|(member, share)| ((*member).to_owned(), partitions(share))).collect()
    }

    #[test]
    fn a_cooperative_assignment_gives_nothing_that_another_member_still_has() {
        let own = Named("own", RebalanceProtocol::Cooperative);
        let members = [member("a", 4, &[0, 1]), member("b", 4, &[2]), member("c", 3, &[1])];
        let check = |shares: &[(&str, &[i32])]| check_cooperative(&own, &members, &assignments(shares));
        check(&[("a", &[0]), ("b", &[2, 3]), ("c", &[])]).unwrap();
        check(&[("a", &[0, 1, 3]), ("b", &[2]), ("c", &[])]).unwrap();
        let error = check(&[("a", &[0]), ("b", &[1, 2]), ("c", &[])]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidState);
        assert!(
            error.to_string().contains("`own` is cooperative, but gives t-1 to b while a still has it"),
            "{error}"
        );
        check(&[("a", &[0]), ("b", &[2]), ("c", &[1])]).expect_err("an older claim is none");
    }

    #[test]
    fn eager_assignors_and_the_one_that_keeps_the_rule_are_not_checked() {
        let members = [member("a", 4, &[0]), member("b", 4, &[])];
        let swap = assignments(&[("a", &[]), ("b", &[0])]);
        check_cooperative(&Named("own", RebalanceProtocol::Eager), &members, &swap).unwrap();
        check_cooperative(&CooperativeStickyAssignor, &members, &swap).unwrap();
    }

    #[test]
    fn a_layout_that_changed_says_what_did() {
        let layout = |racks: &[&str]| {
            let partition = |rack: &&str| BTreeSet::from([(*rack).to_owned()]);
            Layout::from([("t".to_owned(), racks.iter().map(partition).collect())])
        };
        let reason = |last: &Layout, now: &Layout| reason_to_rebalance(last, now);
        let last = layout(&["x", "y"]);
        assert_eq!(reason(&last, &last), None);
        assert_eq!(
            reason(&last, &layout(&["x", "z"])).as_deref(),
            Some("replicas of topic t moved to other racks")
        );
        let grown = reason(&last, &layout(&["x", "y", "z"]));
        assert_eq!(grown.as_deref(), Some("the number of partitions of topic t changed"));
        assert_eq!(reason(&Layout::new(), &last), None, "the leader is new");
        let mut others = last.clone();
        others.insert("u".to_owned(), Vec::new());
        assert_eq!(reason(&last, &others).as_deref(), Some("the topics of the group changed"));
        assert_eq!(reason(&last, &Layout::new()), None, "another member leads by now");
    }

    #[test]
    fn a_note_tells_the_numbers_of_partitions_and_nothing_else_passes_for_one() {
        let racks = |racks: &[&str]| -> Vec<BTreeSet<String>> {
            racks.iter().map(|rack| BTreeSet::from([(*rack).to_owned()])).collect()
        };
        let layout = Layout::from([("t".to_owned(), racks(&["x", "y"])), ("u".to_owned(), Vec::new())]);
        let left_out = BTreeSet::from([TopicPartition::new("t", 1), TopicPartition::new("v", 0)]);
        let less = note(&layout, &left_out).unwrap();
        assert_eq!(noted(Some(&less)).unwrap(), Noted::from([("t".to_owned(), 1), ("u".to_owned(), 0)]));
        let written = note(&layout, &BTreeSet::new()).unwrap();
        let read = noted(Some(&written)).unwrap();
        assert_eq!(read, Noted::from([("t".to_owned(), 2), ("u".to_owned(), 0)]));
        assert_eq!(noted_layout(&read, &layout, &Layout::new()), layout);
        assert_eq!(noted_layout(&read, &Layout::new(), &layout), layout);
        let grown = Layout::from([("t".to_owned(), racks(&["x", "y", "z"])), ("u".to_owned(), Vec::new())]);
        assert_eq!(noted_layout(&read, &Layout::new(), &grown), layout);
        let boasts = Noted::from([("t".to_owned(), i32::MAX)]);
        assert_eq!(noted_layout(&boasts, &Layout::new(), &grown)["t"].len(), 4);

        assert_eq!(noted(None), None);
        for length in 0..written.len() {
            assert_eq!(noted(Some(&written.slice(..length))), None, "{length} bytes");
        }
        assert_eq!(noted(Some(&Bytes::from_static(b"somebody's assignor"))), None);
    }
}
