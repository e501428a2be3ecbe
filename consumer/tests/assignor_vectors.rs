//! The assignors and the sticky user data against what the Java client computes (`assignors.jsonl.gz` and
//! `consumer_protocol.jsonl.gz` in the folder of golden vectors, `OTTLA_VECTORS`).
//!
//! Each `check_*` function judges one line and tells what is wrong with it; the tests below feed them all lines.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::PathBuf;

use bytes::Bytes;
use ottla_consumer::assignor::{
    Assignments, Assignor, CooperativeStickyAssignor, GroupMember, GroupTopics, PreviousAssignment,
    StickyAssignor, StickyUserData, TopicPartition, by_name,
};
use serde_json::Value;

#[test]
fn assignments_are_as_good_as_javas() {
    let failures: Vec<String> =
        lines("assignors.jsonl.gz").iter().filter_map(|case| check_assignment(case).err()).collect();
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn sticky_user_data_has_javas_bytes() {
    let lines = lines("consumer_protocol.jsonl.gz");
    let cases: Vec<&Value> = lines.iter().filter(|case| case["kind"] == "sticky_user_data").collect();
    assert!(!cases.is_empty(), "no case of sticky user data");
    let failures: Vec<String> =
        cases.into_iter().filter_map(|case| check_sticky_user_data(case).err()).collect();
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
}

/// Runs the assignor of a line of `assignors.jsonl.gz` and compares: lists where the line is exact, else completeness,
/// sizes, what members keep, and that a cooperative assignment takes nothing from a member.
pub(crate) fn check_assignment(case: &Value) -> Result<(), String> {
    let (topics, members) = (case_topics(case), case_members(case));
    let name = text(&case["assignor"]);
    let assignor = by_name(&name).ok_or_else(|| format!("{}: no assignor of that name", case["id"]))?;
    let assigned = assignor.assign(&topics, &members);
    let java: Assignments =
        object(&case["assignment"]).map(|(member, list)| (member.clone(), partitions(list))).collect();

    let verdict = if case["exact"] == true {
        if assigned == java { Ok(()) } else { Err(format!("got {assigned:?}\nexpected {java:?}")) }
    } else {
        check_sticky(&*assignor, &topics, &members, &assigned, &case["stats"])
    };
    verdict.map_err(|problem| format!("{}: {problem}", case["id"]))
}

/// Compares both assignors' user data with a `sticky_user_data` line of `consumer_protocol.jsonl.gz`.
pub(crate) fn check_sticky_user_data(case: &Value) -> Result<(), String> {
    let partitions = partitions(&case["assignment"]);
    let generation_id =
        case["generation"].as_i64().and_then(|id| i32::try_from(id).ok()).ok_or("no generation")?;
    let previous = PreviousAssignment { partitions: &partitions, generation_id };

    let bytes = hex(&case["sticky_hex"]);
    let ours = StickyAssignor.user_data(&[], Some(previous)).unwrap_or_default();
    if ours != bytes {
        return Err(format!("sticky: got {ours:x}, expected {bytes:x}"));
    }
    let cooperative = CooperativeStickyAssignor.user_data(&[], Some(previous)).unwrap_or_default();
    if cooperative != hex(&case["cooperative_sticky_hex"]) {
        return Err(format!(
            "cooperative-sticky: got {cooperative:x}, expected {}",
            case["cooperative_sticky_hex"]
        ));
    }
    let decoded = StickyUserData::decode(&bytes).ok_or("sticky: not decoded")?;
    let sorted = |list: &[TopicPartition]| list.iter().cloned().collect::<BTreeSet<_>>();
    if decoded.generation_id != Some(generation_id) || sorted(&decoded.partitions) != sorted(&partitions) {
        return Err(format!("sticky: decoded {decoded:?}, expected {previous:?}"));
    }
    Ok(())
}

fn check_sticky(
    assignor: &dyn Assignor,
    topics: &GroupTopics,
    members: &[GroupMember],
    assigned: &Assignments,
    stats: &Value,
) -> Result<(), String> {
    let cooperative = assignor.name() == "cooperative-sticky";
    let owned_by_others = |member: &str, partition: &TopicPartition| {
        members.iter().any(|other| other.member_id != member && other.owned_partitions.contains(partition))
    };
    let mut missing: BTreeSet<TopicPartition> = BTreeSet::new();
    let subscribed: BTreeSet<&str> = members.iter().flat_map(|m| &m.topics).map(String::as_str).collect();
    for topic in &subscribed {
        let count = topics.partition_count(topic) as i32;
        missing.extend((0..count).map(|partition| TopicPartition::new(*topic, partition)));
    }
    for member in members {
        let list =
            assigned.get(&member.member_id).ok_or_else(|| format!("{} is absent", member.member_id))?;
        for partition in list {
            if !member.topics.iter().any(|topic| **topic == *partition.topic) {
                return Err(format!("{} got {partition} without a subscription", member.member_id));
            }
            if !missing.remove(partition) {
                return Err(format!("{partition} does not exist or is assigned twice"));
            }
            if cooperative && owned_by_others(&member.member_id, partition) {
                return Err(format!("{} got {partition}, which another member still has", member.member_id));
            }
        }
    }
    if let Some(partition) = missing.iter().find(|partition| !cooperative || !owned_by_others("", partition))
    {
        return Err(format!("{partition} is not assigned"));
    }

    let keeps =
        |m: &GroupMember| m.owned_partitions.iter().filter(|p| assigned[&m.member_id].contains(p)).count();
    let kept: usize = members.iter().map(keeps).sum();
    if (kept as u64) < stats["kept"].as_u64().ok_or("no kept")? {
        return Err(format!("{kept} partitions stay, {} with Java", stats["kept"]));
    }
    let topic_sets: BTreeSet<BTreeSet<&String>> = members.iter().map(|m| m.topics.iter().collect()).collect();
    let sizes = || assigned.values().map(Vec::len);
    let (min, max) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
    if topic_sets.len() == 1 && (stats["min"] != min || stats["max"] != max) {
        return Err(format!("sizes {min} to {max}, {} to {} with Java", stats["min"], stats["max"]));
    }
    Ok(())
}

fn case_topics(case: &Value) -> GroupTopics {
    let brokers = case["brokers"].as_array().into_iter().flatten();
    let rack_of: HashMap<&Value, String> = HashMap::from_iter(
        brokers
            .filter(|broker| broker["rack"].is_string())
            .map(|broker| (&broker["id"], text(&broker["rack"]))),
    );
    let mut topics = GroupTopics::new();
    for (topic, count) in object(&case["topics"]) {
        match case["replicas"][topic].as_array() {
            Some(replicas) => {
                let racks = |ids: &Value| {
                    ids.as_array().into_iter().flatten().filter_map(|id| rack_of.get(id).cloned()).collect()
                };
                topics.insert_with_racks(topic.as_str(), replicas.iter().map(racks).collect());
            }
            None => topics.insert(topic.as_str(), count.as_u64().expect("a number of partitions") as usize),
        }
    }
    topics
}

fn case_members(case: &Value) -> Vec<GroupMember> {
    let member = |member: &Value| GroupMember {
        member_id: text(&member["id"]),
        group_instance_id: member["instance"].as_str().map(str::to_owned),
        rack_id: member["rack"].as_str().map(str::to_owned),
        topics: member["topics"].as_array().expect("topics").iter().map(text).collect(),
        owned_partitions: partitions(&member["owned"]),
        generation_id: member["generation"].as_i64().expect("a generation") as i32,
        user_data: member["user_data_hex"].is_string().then(|| hex(&member["user_data_hex"])),
    };
    case["members"].as_array().expect("members").iter().map(member).collect()
}

fn partitions(list: &Value) -> Vec<TopicPartition> {
    let partition =
        |pair: &Value| TopicPartition::new(text(&pair[0]), pair[1].as_i64().expect("a partition") as i32);
    list.as_array().expect("a list of partitions").iter().map(partition).collect()
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().expect("an object").iter()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn hex(value: &Value) -> Bytes {
    let digits = text(value).into_bytes();
    let byte =
        |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).expect("ASCII"), 16).expect("hex digits");
    digits.chunks(2).map(byte).collect()
}

fn lines(file: &str) -> Vec<Value> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let path = std::env::var_os("OTTLA_VECTORS").map_or_else(default, PathBuf::from).join(file);
    let packed = std::fs::File::open(&path)
        .unwrap_or_else(|e| panic!("golden vectors needed, {}: {e}", path.display()));
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(packed).read_to_string(&mut text).expect("gzipped text");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert!(!lines.is_empty(), "{} is empty", path.display());
    lines
}
