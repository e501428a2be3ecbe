//! First inputs for the fuzz targets, made of the golden vectors.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value as Json;

use crate::vectors::{self, unhex};

/// Longer seeds are left out: mutating them teaches little, and slowly.
const MAX_LEN: usize = 16 * 1024;

/// So many frames make up a connection's stream.
const FRAMES: usize = 6;

/// The seeds of the target with this name, without repetition; none for a name that isn't known.
///
/// # Errors
/// Vectors that are missing or not what they should be.
pub fn of(target: &str) -> Result<BTreeSet<Vec<u8>>, String> {
    let folder = vectors::folder()?;
    let mut seeds = match target {
        "consumer_protocol" => consumer_protocol(&folder)?,
        "decode_request" => messages(&folder, |message| (!message.response).then(|| message.frame()))?,
        "decode_response" => {
            let mut seeds = messages(&folder, |message| {
                message.response.then(|| [message.start(), message.frame()].concat())
            })?;
            seeds.extend(damaged_responses(&folder)?);
            seeds
        }
        "headers_frames" => streams(&folder)?,
        "record_batch" => record_batches(&folder)?,
        "round_trip" | "differential" => messages(&folder, |message| {
            Some([&[u8::from(message.response)], &message.start()[..], &message.body].concat())
        })?,
        "sasl" => sasl(&folder)?,
        _ => BTreeSet::new(),
    };
    seeds.retain(|seed| seed.len() <= MAX_LEN);
    Ok(seeds)
}

/// A line of `messages`.
struct Message {
    response: bool,
    key: i16,
    version: i16,
    header: Vec<u8>,
    body: Vec<u8>,
}

impl Message {
    /// Key and version, as the targets want them at an input's start.
    fn start(&self) -> Vec<u8> {
        [self.key.to_be_bytes(), self.version.to_be_bytes()].concat()
    }

    fn frame(&self) -> Vec<u8> {
        [&self.header[..], &self.body].concat()
    }
}

fn all_messages(folder: &Path) -> Result<Vec<Message>, String> {
    let mut messages = Vec::new();
    for file in ["messages", "messages_pre40"] {
        for case in lines(folder, file)? {
            messages.push(Message {
                response: case["kind"] == "response",
                key: short(&case, "key")?,
                version: short(&case, "version")?,
                header: hex(&case, "header_hex")?,
                body: hex(&case, "body_hex")?,
            });
        }
    }
    Ok(messages)
}

fn messages(folder: &Path, seed: impl Fn(&Message) -> Option<Vec<u8>>) -> Result<BTreeSet<Vec<u8>>, String> {
    Ok(all_messages(folder)?.iter().filter_map(seed).collect())
}

/// One in four: they are many and alike.
fn damaged_responses(folder: &Path) -> Result<Vec<Vec<u8>>, String> {
    let cases = lines(folder, "mutated_responses")?;
    let seed = |case: &Json| {
        let (key, version) = (short(case, "key")?, short(case, "version")?);
        // A correlation id; the zero behind it is a flexible header's count of tags.
        let api = ottla_protocol::reflect::APIS.iter().find(|api| api.api.key.0 == key);
        let header = 4 + api.map_or(0, |api| api.api.response_header_version(version) as usize);
        Ok([&key.to_be_bytes()[..], &version.to_be_bytes(), &[0; 5][..header], &hex(case, "body_hex")?]
            .concat())
    };
    cases.iter().step_by(4).map(seed).collect()
}

/// Frames of several messages, to be read in pieces of several sizes.
fn streams(folder: &Path) -> Result<BTreeSet<Vec<u8>>, String> {
    let frames: Vec<Vec<u8>> =
        all_messages(folder)?.iter().map(Message::frame).filter(|frame| frame.len() < 2048).collect();
    let stream = |(at, frames): (usize, &[Vec<u8>])| {
        let cuts: Vec<u8> = (0..at % 16).map(|cut| (cut * 37 + at * 11) as u8).collect();
        let framed =
            frames.iter().flat_map(|frame| [&(frame.len() as u32).to_be_bytes()[..], frame].concat());
        std::iter::once(cuts.len() as u8).chain(cuts.iter().copied()).chain(framed).collect()
    };
    Ok(frames.chunks(FRAMES).enumerate().map(stream).collect())
}

/// Batches as they are, and the plain records of those that aren't compressed, to be sent with each codec.
fn record_batches(folder: &Path) -> Result<BTreeSet<Vec<u8>>, String> {
    let mut seeds = BTreeSet::new();
    for (file, field) in
        [("record_batches", "hex"), ("hostile_batches", "hex"), ("consumer_fetch", "records_hex")]
    {
        for case in lines(folder, file)? {
            let batch = hex(&case, field)?;
            // Attributes, the last offset's delta and the count, at their places in the header.
            if let (Some([high, low]), Some(delta), Some(count)) =
                (batch.get(21..23), batch.get(25..27), batch.get(59..61))
                && low & 7 == 0
            {
                seeds.insert([&[2, *high, *low][..], delta, count, &batch[61..]].concat());
            }
            seeds.insert([&[0], &batch[..]].concat());
        }
    }
    // Records to be built: a few of every kind, with each codec.
    for codec in 0..5 {
        let options = [codec, codec, 0, 0, 0, 7, 0, 1, 0, 0, 0, 9, 0, 0, 0, 5];
        let records = [0, 1, 3, b'k', b'e', b'y', 4, b't', b'e', b'x', b't', 249, 1, b'h', 255].repeat(4);
        seeds.insert([&[3], &options[..], &[0x40, 0], &records].concat());
    }
    Ok(seeds)
}

fn consumer_protocol(folder: &Path) -> Result<BTreeSet<Vec<u8>>, String> {
    let mut seeds = BTreeSet::new();
    for case in lines(folder, "consumer_protocol")? {
        let seed = match case["kind"].as_str() {
            Some("consumer_protocol") => {
                let kind = u8::from(case["message"] == "ConsumerProtocolAssignment");
                [&[kind], &hex(&case, "hex_with_version")?[..]].concat()
            }
            Some("subscription_decode") => [&[0], &hex(&case, "hex")?[..]].concat(),
            Some("sticky_user_data") => [&[2], &hex(&case, "sticky_hex")?[..]].concat(),
            _ => continue,
        };
        seeds.insert(seed);
    }
    Ok(seeds)
}

/// Every message that an exchange has, under the number that `ottla_fuzzing::sasl` has for its kind.
fn sasl(folder: &Path) -> Result<BTreeSet<Vec<u8>>, String> {
    let mut seeds = BTreeSet::new();
    for case in lines(folder, "sasl")? {
        match case["kind"].as_str() {
            Some("plain_initial") => {
                seeds.insert([&[0], &hex(&case, "hex")?[..]].concat());
            }
            Some("oauthbearer_initial") => {
                seeds.insert([&[1], &hex(&case, "hex")?[..]].concat());
            }
            _ => {
                for (kind, field) in
                    [(3, "client_first"), (4, "server_first"), (5, "client_final"), (6, "server_final")]
                {
                    seeds.extend(case[field].as_str().map(|text| [&[kind], text.as_bytes()].concat()));
                }
                // What a server says to a client with a nonce.
                if let (Some(nonce), Some(first)) =
                    (case["client_nonce"].as_str(), case["server_first"].as_str())
                {
                    let last = case["server_final"].as_str().unwrap_or_default();
                    let said = [nonce, first, last].join("\n");
                    seeds.insert([&[7], said.as_bytes()].concat());
                }
            }
        }
    }
    let refusal =
        br#"{"status":"invalid_token","scope":"a b","openid-configuration":"https://x/","n":[1,{"o":null}]}"#;
    seeds.insert([&[2], &refusal[..]].concat());
    Ok(seeds)
}

fn lines(folder: &Path, file: &str) -> Result<Vec<Json>, String> {
    vectors::lines(&folder.join(format!("{file}.jsonl.gz")))
}

fn short(case: &Json, field: &str) -> Result<i16, String> {
    case[field]
        .as_i64()
        .and_then(|number| number.try_into().ok())
        .ok_or_else(|| format!("no `{field}` in {case}"))
}

fn hex(case: &Json, field: &str) -> Result<Vec<u8>, String> {
    let text = case[field].as_str().ok_or_else(|| format!("no `{field}` in {case}"))?;
    unhex(text).map(Into::into)
}
