//! `consumer_protocol`: what members of a classic group tell each other, whole and damaged, and the sticky assignors'
//! user data.

use std::collections::BTreeSet;

use bytes::Bytes;
use ottla_consumer::assignor::{self, PreviousAssignment, StickyUserData, TopicPartition};
use ottla_protocol::messages::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, decode_assignment, decode_subscription,
    encode_assignment, encode_subscription,
};
use ottla_protocol::reflect::{BLOBS, Reflect, Value};
use ottla_protocol::wire::{DecodeError, EncodeError};
use ottla_tests::json::{first_byte_difference, first_difference, from_json};
use serde_json::Value as Json;

use crate::assignors::partitions;
use crate::case::{bytes, int, list, same, text};
use crate::runner::Outcome;

pub(crate) fn judge(case: &Json) -> Outcome {
    match text(case, "kind") {
        "consumer_protocol" => blob(case).into(),
        "subscription_decode" => damaged(case).into(),
        "sticky_user_data" => sticky_user_data(case).into(),
        kind => Outcome::NotYet(kind.to_owned()),
    }
}

/// The field table over the body, and the functions that users call over the whole blob.
fn blob(case: &Json) -> Result<(), String> {
    let name = text(case, "message");
    let message =
        BLOBS.iter().find(|blob| blob.table.name == name).ok_or_else(|| format!("no table {name}"))?;
    let version = int(case, "version") as i16;
    let expected = from_json(message.table, version, &case["json"])?;
    let body = bytes(case, "hex_body");
    let decoded = message.decode(&body, version, false).map_err(|error| error.to_string())?;
    equal(&decoded, &expected)?;
    let encoded = message.encode(expected.clone(), version, false).map_err(|error| error.to_string())?;
    equal_bytes(&encoded.map_err(|error| error.to_string())?, &body)?;
    let whole = bytes(case, "hex_with_version");
    match name {
        "ConsumerProtocolSubscription" => whole_blob::<ConsumerProtocolSubscription>(
            &whole,
            version,
            expected,
            decode_subscription,
            encode_subscription,
        ),
        _ => whole_blob::<ConsumerProtocolAssignment>(
            &whole,
            version,
            expected,
            decode_assignment,
            encode_assignment,
        ),
    }
}

fn whole_blob<T: Reflect>(
    blob: &Bytes,
    version: i16,
    expected: Value,
    decode: fn(&Bytes) -> Result<(T, i16), DecodeError>,
    encode: fn(&T, i16) -> Result<Bytes, EncodeError>,
) -> Result<(), String> {
    let (decoded, told) = decode(blob).map_err(|error| error.to_string())?;
    same("version", &told, &version)?;
    equal(&decoded.to_value(), &expected)?;
    let made = T::from_value(expected).map_err(|error| error.to_string())?;
    equal_bytes(&encode(&made, version).map_err(|error| error.to_string())?, blob)
}

fn damaged(case: &Json) -> Result<(), String> {
    let java = &case["java"];
    let accepted = text(java, "status") == "ok";
    match decode_subscription(&bytes(case, "hex")) {
        Ok(_) if !accepted => Err(format!("accepted, Java refuses it: {}", java["class"])),
        Ok((ours, _)) => equal_subscription(&ours, java),
        Err(error) if text(case, "mutation") == "none" => Err(error.to_string()),
        Err(_) => Ok(()),
    }
}

fn equal_subscription(ours: &ConsumerProtocolSubscription, java: &Json) -> Result<(), String> {
    let topics: Vec<&str> = list(java, "topics").iter().filter_map(Json::as_str).collect();
    same("topics", &ours.topics.iter().map(String::as_str).collect(), &topics)?;
    let user_data = java["user_data_hex"].is_string().then(|| bytes(java, "user_data_hex"));
    same("user data", &ours.user_data, &user_data)?;
    let owned = ours.owned_partitions.iter();
    let owned =
        owned.flat_map(|t| t.partitions.iter().map(|&p| TopicPartition::new(t.topic.as_str(), p))).collect();
    same("owned", &owned, &partitions(&java["owned"]))?;
    same("generation", &ours.generation_id.into(), &int(java, "generation"))?;
    // An empty rack is none, in Java's answer already.
    same("rack", &ours.rack_id.as_deref().filter(|rack| !rack.is_empty()), &java["rack"].as_str())
}

fn sticky_user_data(case: &Json) -> Result<(), String> {
    let partitions = partitions(&case["assignment"]);
    let previous =
        PreviousAssignment { partitions: &partitions, generation_id: int(case, "generation") as i32 };
    for (name, field) in [("sticky", "sticky_hex"), ("cooperative-sticky", "cooperative_sticky_hex")] {
        let assignor = assignor::by_name(name).ok_or_else(|| format!("no assignor {name}"))?;
        let ours =
            assignor.user_data(&[], Some(previous)).ok_or_else(|| format!("{name} has no user data"))?;
        equal_bytes(&ours, &bytes(case, field))?;
    }
    let decoded = StickyUserData::decode(&bytes(case, "sticky_hex")).ok_or("not decoded")?;
    same("generation", &decoded.generation_id, &Some(previous.generation_id))?;
    let set = |list: &[TopicPartition]| list.iter().cloned().collect::<BTreeSet<_>>();
    same("partitions", &set(&decoded.partitions), &set(&partitions))
}

fn equal(ours: &Value, expected: &Value) -> Result<(), String> {
    first_difference(ours, expected).map_or(Ok(()), |difference| Err(format!("decoded {difference}")))
}

fn equal_bytes(ours: &[u8], expected: &[u8]) -> Result<(), String> {
    first_byte_difference(ours, expected).map_or(Ok(()), |difference| Err(format!("encoded: {difference}")))
}
