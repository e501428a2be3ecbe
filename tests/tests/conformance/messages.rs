//! `messages` and `messages_pre40`: a header and a body in one version, both ways.

use bytes::Bytes;
use ottla_protocol::header::{RequestHeader, ResponseHeader};
use ottla_protocol::reflect::{APIS, DynApi, DynMessage};
use ottla_protocol::wire::{Reader, UnknownTags, Writer};
use ottla_tests::json::{first_byte_difference, first_difference, from_json, without_unknown_tags};
use serde_json::Value as Json;

use crate::case::{bytes, flag, int, same, text};
use crate::runner::Outcome;

/// The table that a line is about.
pub(crate) struct Subject {
    pub(crate) api: &'static DynApi,
    pub(crate) message: &'static DynMessage,
    pub(crate) version: i16,
    pub(crate) flexible: bool,
}

pub(crate) fn judge(case: &Json) -> Outcome {
    match subject(case) {
        Ok(Some(subject)) => both_ways(case, &subject).into(),
        Ok(None) => Outcome::NotYet(text(case, "api").to_owned()),
        Err(reason) => Outcome::Failed(reason),
    }
}

/// Finds the table; `None` for an API that Ottla doesn't have.
pub(crate) fn subject(case: &Json) -> Result<Option<Subject>, String> {
    let key = int(case, "key");
    let Some(api) = APIS.iter().find(|api| i64::from(api.api.key.0) == key) else { return Ok(None) };
    let version = int(case, "version") as i16;
    if !api.api.versions.contains(version) {
        return Err(format!("the table covers versions {}, not {version}", api.api.versions));
    }
    let message = match text(case, "kind") {
        "request" => &api.request,
        _ => &api.response,
    };
    let (word, kind) = (text(case, "api"), text(case, "kind"));
    let kind = kind[..1].to_uppercase() + &kind[1..];
    same("the table's name", &message.table.name, &format!("{word}{kind}").as_str())?;
    Ok(Some(Subject { api, message, version, flexible: api.api.flexible(version) }))
}

fn both_ways(case: &Json, subject: &Subject) -> Result<(), String> {
    same("flexible", &subject.flexible, &flag(case, "flexible"))?;
    header(case, subject).map_err(|reason| format!("header: {reason}"))?;
    let Subject { message, version, flexible, .. } = *subject;
    let body = bytes(case, "body_hex");
    let expected = from_json(message.table, version, &case["json"])?;
    let decoded = message.decode(&body, version, flexible).map_err(|error| error.to_string())?;
    if let Some(difference) = first_difference(&without_unknown_tags(&decoded), &expected) {
        return Err(format!("decoded {}{difference}", message.table.name));
    }
    // The JSON has no place for unknown tags, so what keeps them is what was decoded.
    let to_encode = if flag(case, "unknown_tags") { decoded } else { expected };
    let encoded = message.encode(to_encode, version, flexible).map_err(|mismatch| mismatch.to_string())?;
    let encoded = encoded.map_err(|error| error.to_string())?;
    first_byte_difference(&encoded, &body).map_or(Ok(()), |difference| Err(format!("encoded: {difference}")))
}

fn header(case: &Json, subject: &Subject) -> Result<(), String> {
    let bytes = bytes(case, "header_hex");
    let json = &case["header_json"];
    let header_version = int(case, "header_version") as i16;
    let request = case["kind"] == "request";
    let api = subject.api.api;
    let ours = if request {
        api.request_header_version(subject.version)
    } else {
        api.response_header_version(subject.version)
    };
    same("version", &ours, &header_version)?;
    let again = if request {
        request_header(&bytes, header_version, json)?
    } else {
        response_header(&bytes, header_version, json)?
    };
    first_byte_difference(&again, &bytes).map_or(Ok(()), |difference| Err(format!("encoded: {difference}")))
}

fn request_header(bytes: &Bytes, header_version: i16, json: &Json) -> Result<Bytes, String> {
    let mut reader = Reader::new(bytes, header_version, false);
    let header = RequestHeader::read(&mut reader, header_version).map_err(|error| error.to_string())?;
    reader.finish().map_err(|error| error.to_string())?;
    let expected = RequestHeader {
        request_api_key: int(json, "requestApiKey") as i16,
        request_api_version: int(json, "requestApiVersion") as i16,
        correlation_id: int(json, "correlationId") as i32,
        client_id: json["clientId"].as_str().map(str::to_owned),
        unknown_tags: UnknownTags::default(),
    };
    let known = RequestHeader { unknown_tags: UnknownTags::default(), ..header.clone() };
    same("decoded", &known, &expected)?;
    let mut writer = Writer::new(header_version, false);
    header.write(&mut writer, header_version).map_err(|error| error.to_string())?;
    Ok(writer.finish().map_err(|error| error.to_string())?.to_bytes())
}

fn response_header(bytes: &Bytes, header_version: i16, json: &Json) -> Result<Bytes, String> {
    let mut reader = Reader::new(bytes, header_version, false);
    let header = ResponseHeader::read(&mut reader, header_version).map_err(|error| error.to_string())?;
    reader.finish().map_err(|error| error.to_string())?;
    same("correlation id", &header.correlation_id.into(), &int(json, "correlationId"))?;
    let mut writer = Writer::new(header_version, false);
    header.write(&mut writer, header_version).map_err(|error| error.to_string())?;
    Ok(writer.finish().map_err(|error| error.to_string())?.to_bytes())
}
