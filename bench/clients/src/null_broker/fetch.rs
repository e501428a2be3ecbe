//! Fetch: answers are put together from one batch that lies ready, by vectored writes, so that nothing is copied.

use std::collections::HashMap;
use std::io::{self, IoSlice, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::header::encode_response;
use ottla_protocol::messages::fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData};
use ottla_protocol::uuid::Uuid;

use super::log::Log;
use super::{State, Topic};

/// The fetch session of a connection; there is one at a time.
#[derive(Default)]
pub(super) struct Sessions {
    next_id: i32,
    current: Session,
}

#[derive(Default)]
struct Session {
    id: i32,
    partitions: Vec<Asked>,
    places: HashMap<(String, Uuid, i32), usize>,
    /// Whose turn it is to be first.
    turn: usize,
}

struct Asked {
    name: String,
    id: Uuid,
    topic: Arc<Topic>,
    partition: i32,
    offset: i64,
    max_bytes: usize,
    forgotten: bool,
}

/// A partition's part of an answer: so many batches from the one at `base`.
struct Part {
    at: usize,
    base: i64,
    batches: i64,
    end: i64,
}

impl Sessions {
    pub(super) fn answer(
        &mut self,
        request: FetchRequest,
        version: i16,
        correlation: i32,
        state: &State,
        to_client: &mut TcpStream,
    ) -> io::Result<()> {
        if version < 7 || request.session_epoch <= 0 {
            self.current = Session::default();
            if version >= 7 && request.session_epoch == 0 {
                self.next_id += 1;
                self.current.id = self.next_id;
            }
        } else if request.session_id != self.current.id || self.current.id == 0 {
            let refused =
                FetchResponse { error_code: ErrorCode::FETCH_SESSION_ID_NOT_FOUND, ..Default::default() };
            return send(&refused, version, correlation, &[], None, to_client);
        }
        let session = &mut self.current;
        session.update(&request, version, state);
        let room = usize::try_from(request.max_bytes).unwrap_or(usize::MAX);
        let parts = match &state.log {
            Some(log) => session.parts(log, room),
            None => Vec::new(),
        };
        if parts.is_empty() && request.min_bytes > 0 {
            std::thread::sleep(Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)));
        }
        session.send(&parts, version, correlation, state.log.as_ref(), to_client)
    }
}

impl Session {
    fn update(&mut self, request: &FetchRequest, version: i16, state: &State) {
        for topic in &request.forgotten_topics_data {
            for partition in &topic.partitions {
                if let Some(at) = self.places.remove(&(topic.topic.clone(), topic.topic_id, *partition)) {
                    self.partitions[at].forgotten = true;
                }
            }
        }
        for asked in &request.topics {
            let topic = match version >= 13 {
                true => state.topic_by_id(asked.topic_id),
                false => Some(state.topic(&asked.topic, None)),
            };
            let Some(topic) = topic else { continue };
            for row in &asked.partitions {
                let max_bytes = usize::try_from(row.partition_max_bytes).unwrap_or(0);
                let key = (asked.topic.clone(), asked.topic_id, row.partition);
                let place = *self.places.entry(key).or_insert(self.partitions.len());
                let asked = Asked {
                    name: asked.topic.clone(),
                    id: asked.topic_id,
                    topic: Arc::clone(&topic),
                    partition: row.partition,
                    offset: row.fetch_offset,
                    max_bytes,
                    forgotten: false,
                };
                match self.partitions.get_mut(place) {
                    Some(known) => *known = asked,
                    None => self.partitions.push(asked),
                }
            }
        }
    }

    /// What is sent of whom. A batch that holds the first offset comes whole, as from a broker.
    fn parts(&mut self, log: &Log, mut room: usize) -> Vec<Part> {
        let mut parts = Vec::new();
        let count = self.partitions.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            let asked = &self.partitions[at];
            let end = usize::try_from(asked.partition)
                .ok()
                .and_then(|at| asked.topic.ends.get(at))
                .map_or(0, |end| end.load(Ordering::Relaxed));
            if asked.forgotten || asked.offset >= end {
                continue;
            }
            let base = asked.offset - asked.offset % log.batch_count();
            let fits = (asked.max_bytes.min(room) / log.batch_len()) as i64;
            let least = i64::from(parts.is_empty());
            let batches = fits.max(least).min((end - base) / log.batch_count());
            if batches == 0 {
                continue;
            }
            room = room.saturating_sub(batches as usize * log.batch_len());
            asked.topic.sent[asked.partition as usize]
                .fetch_add(batches * log.batch_count(), Ordering::Relaxed);
            parts.push(Part { at, base, batches, end });
            if room < log.batch_len() {
                self.turn = (at + 1) % count;
                break;
            }
        }
        parts
    }

    fn send(
        &self,
        parts: &[Part],
        version: i16,
        correlation: i32,
        log: Option<&Log>,
        to_client: &mut TcpStream,
    ) -> io::Result<()> {
        let mut responses: Vec<FetchableTopicResponse> = Vec::new();
        for part in parts {
            let asked = &self.partitions[part.at];
            let data = PartitionData {
                partition_index: asked.partition,
                high_watermark: part.end,
                last_stable_offset: part.end,
                log_start_offset: 0,
                aborted_transactions: None,
                records: Some(Bytes::new()),
                ..Default::default()
            };
            match responses.last_mut().filter(|last| last.topic == asked.name && last.topic_id == asked.id) {
                Some(topic) => topic.partitions.push(data),
                None => responses.push(FetchableTopicResponse {
                    topic: asked.name.clone(),
                    topic_id: asked.id,
                    partitions: vec![data],
                    ..Default::default()
                }),
            }
        }
        let response = FetchResponse { session_id: self.id, responses, ..Default::default() };
        send(&response, version, correlation, parts, log, to_client)
    }
}

/// Sends an answer, whose records are left out of `response` and put in on the way.
fn send(
    response: &FetchResponse,
    version: i16,
    correlation: i32,
    parts: &[Part],
    log: Option<&Log>,
    to_client: &mut TcpStream,
) -> io::Result<()> {
    let flexible = version >= 12;
    // One answer with a marker in each partition's records says where the records belong.
    let mut marked = response.clone();
    for data in marked.responses.iter_mut().flat_map(|topic| &mut topic.partitions) {
        data.records = Some(Bytes::from_static(MARKER));
    }
    let frame = encode_response(&marked, version, correlation).map_err(io::Error::other)?.to_bytes();
    let Some(log) = log.filter(|_| !parts.is_empty()) else {
        to_client.write_all(&(frame.len() as u32).to_be_bytes())?;
        return to_client.write_all(&frame);
    };
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let mut rest = &frame[..];
    let mut total = 0;
    for part in parts {
        let at = rest.windows(MARKER.len()).position(|window| window == MARKER);
        let at = at.ok_or_else(|| io::Error::other("an answer without its marker"))?;
        let length = part.batches as usize * log.batch_len();
        let prefix = if flexible { 1 } else { 4 };
        let mut piece = rest[..at - prefix].to_vec();
        if flexible {
            put_unsigned_varint(length as u32 + 1, &mut piece);
        } else {
            piece.extend((length as u32).to_be_bytes());
        }
        total += piece.len() + length;
        pieces.push(piece);
        rest = &rest[at + MARKER.len()..];
    }
    total += rest.len();
    let mut head = (total as u32).to_be_bytes().to_vec();
    head.append(&mut pieces[0]);
    pieces[0] = head;
    let bases: Vec<Vec<[u8; 8]>> = parts
        .iter()
        .map(|part| (0..part.batches).map(|n| (part.base + n * log.batch_count()).to_be_bytes()).collect())
        .collect();
    let mut slices = Vec::new();
    for (piece, bases) in pieces.iter().zip(&bases) {
        slices.push(IoSlice::new(piece));
        for base in bases {
            slices.push(IoSlice::new(base));
            slices.push(IoSlice::new(log.tail()));
        }
    }
    slices.push(IoSlice::new(rest));
    let mut left = &mut slices[..];
    while !left.is_empty() {
        match to_client.write_vectored(&left[..left.len().min(1024)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Shorter than 127 bytes, so that its length takes one byte, and in no name.
const MARKER: &[u8] = b"\0\xffrecords\xff\0";

fn put_unsigned_varint(mut value: u32, answer: &mut Vec<u8>) {
    while value >= 0x80 {
        answer.push(value as u8 | 0x80);
        value >>= 7;
    }
    answer.push(value as u8);
}
