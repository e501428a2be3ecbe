//! `primitives`: murmur2 and partitions, CRC-32C, variable-length integers, UUIDs, sequence numbers, topic names.

use std::num::NonZeroU32;

use ottla_protocol::murmur2::{murmur2, partition_for_key, to_positive};
use ottla_protocol::records::sequence;
use ottla_protocol::topic_name;
use ottla_protocol::uuid::Uuid;
use ottla_protocol::varint::{self, VarintError};
use ottla_tests::vectors::hex;
use serde_json::Value as Json;

use crate::case::{bytes, flag, int, same, text};
use crate::runner::Outcome;

pub(crate) fn judge(case: &Json) -> Outcome {
    match text(case, "kind") {
        "murmur2" => hash(case).into(),
        "to_positive" => {
            same("positive", &i64::from(to_positive(int(case, "in") as i32)), &int(case, "out")).into()
        }
        "crc32c" => same("CRC", &i64::from(crc32c::crc32c(&bytes(case, "hex"))), &int(case, "crc")).into(),
        "varint" => written(case, |out| varint::put_varint(out, int(case, "value") as i32)).into(),
        "unsigned_varint" => written(case, |out| varint::put_unsigned(out, int(case, "value") as u32)).into(),
        "varlong" => written(case, |out| varint::put_varlong(out, int(case, "value"))).into(),
        "read_varint" => read(case, varint::varint).into(),
        "read_unsigned_varint" => read(case, varint::unsigned).into(),
        "read_varlong" => read(case, varint::varlong).into(),
        "uuid" => uuid(case).into(),
        "sequence" => wrapped(case).into(),
        "topic_name" => {
            let checked = topic_name::check(text(case, "name"));
            same(&format!("valid ({checked:?})"), &checked.is_ok(), &flag(case, "valid")).into()
        }
        kind => Outcome::NotYet(kind.to_owned()),
    }
}

fn hash(case: &Json) -> Result<(), String> {
    let key = bytes(case, "hex");
    same("hash", &i64::from(murmur2(&key)), &int(case, "murmur2"))?;
    same("positive", &i64::from(to_positive(murmur2(&key))), &int(case, "positive"))?;
    for (partitions, partition) in case["partition"].as_object().ok_or("no partitions")? {
        let count: NonZeroU32 = partitions.parse().map_err(|_| format!("`{partitions}` partitions"))?;
        let expected = partition.as_i64().ok_or("no partition")?;
        same(&format!("of {partitions}"), &i64::from(partition_for_key(&key, count)), &expected)?;
    }
    Ok(())
}

fn written(case: &Json, put: impl FnOnce(&mut Vec<u8>)) -> Result<(), String> {
    let mut out = Vec::new();
    put(&mut out);
    same("written", &hex(&out).as_str(), &text(case, "hex"))
}

fn read<T: Into<i64>>(
    case: &Json,
    read: impl FnOnce(&[u8]) -> Result<(T, usize), VarintError>,
) -> Result<(), String> {
    let ours = read(&bytes(case, "hex")).map(|(value, consumed)| (value.into(), consumed));
    match (&ours, case.get("error")) {
        (Err(_), Some(_)) => Ok(()),
        (Ok(_), Some(error)) => Err(format!("{ours:?}, Java: {error}")),
        (_, None) => same("read", &ours, &Ok((int(case, "value"), int(case, "consumed") as usize))),
    }
}

fn uuid(case: &Json) -> Result<(), String> {
    let id = Uuid(bytes(case, "hex").as_ref().try_into().map_err(|_| "no 16 bytes")?);
    same("shown", &id.to_string().as_str(), &text(case, "text"))?;
    same("parsed", &text(case, "text").parse(), &Ok(id))
}

fn wrapped(case: &Json) -> Result<(), String> {
    let (number, by) = (int(case, "sequence") as i32, int(case, "add") as i32);
    same("added", &i64::from(sequence::add(number, by)), &int(case, "incremented"))?;
    same("subtracted", &i64::from(sequence::sub(number, by)), &int(case, "decremented"))
}
