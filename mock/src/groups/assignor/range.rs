//! `range`: each topic's partitions are dealt out in runs, so that the same partition numbers of several
//! topics meet at one member. Static members come first, by instance id, and the others by member id.

use std::collections::BTreeMap;

use ottla_protocol::uuid::Uuid;

use super::{Partitions, Subscriber};

pub(super) fn assign(
    members: &BTreeMap<String, Subscriber>,
    sizes: &BTreeMap<Uuid, i32>,
) -> BTreeMap<String, Partitions> {
    let mut order: Vec<(&String, &Subscriber)> = members.iter().collect();
    order.sort_by_key(|(id, member)| match &member.instance_id {
        Some(instance_id) => (0, instance_id, *id),
        None => (1, *id, *id),
    });
    let mut assigned: BTreeMap<String, Partitions> =
        members.keys().map(|id| (id.clone(), Partitions::new())).collect();
    for (topic, size) in sizes {
        let takers: Vec<&String> =
            order.iter().filter(|(_, member)| member.topics.contains(topic)).map(|(id, _)| *id).collect();
        let Ok(count) = i32::try_from(takers.len()) else { continue };
        if count == 0 {
            continue;
        }
        let (least, mut extra) = (size / count, size % count);
        let mut start = 0;
        for taker in takers {
            let end = start + least + i32::from(extra > 0);
            extra -= i32::from(extra > 0);
            if start < end {
                assigned.entry(taker.clone()).or_default().insert(*topic, (start..end).collect());
            }
            start = end;
        }
    }
    assigned
}
