//! No client at all: batches sent over sockets that block, five requests ahead of the answers, by one thread for each
//! broker. Batches that were made beforehand are the ceiling of any client; batches that are encoded, compressed and
//! checksummed anew, in a loop that does nothing else, are the ceiling of one that is given records.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use ottla_protocol::api::Request;
use ottla_protocol::compression::{Compression, Compressor};
use ottla_protocol::header::{decode_response, encode_request, split_response};
use ottla_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::records::{BatchBuilder, NO_HEADERS, SealOptions, SealedBatch};

use super::Peer;
use crate::load::Load;
use crate::settings::{Mode, Settings};
use crate::{Failure, admin};

/// With topics by name.
const VERSION: i16 = 12;
const IN_FLIGHT: usize = 5;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Batches {
    /// The same batch for each partition again and again.
    Beforehand,
    /// A new batch each time.
    Anew,
}

pub(super) struct Raw {
    settings: Settings,
    load: Load,
    codec: Compression,
    batches: Batches,
    per_request: u64,
    links: Vec<Mutex<Link>>,
}

/// A broker's connection, and its partitions, which take turns.
struct Link {
    stream: TcpStream,
    turns: Vec<Turn>,
    next: usize,
    compressor: Compressor,
    /// The last batch's buffer, for the next one.
    buffer: Vec<u8>,
    /// How many records were encoded.
    encoded: u64,
}

/// A partition, and a request with a batch for it.
struct Turn {
    partition: i32,
    request: Bytes,
}

impl Raw {
    pub(super) fn start(settings: Settings, load: Load, batches: Batches) -> Result<Raw, Failure> {
        let codec = Compression::ALL.into_iter().find(|codec| codec.name() == settings.compression);
        let codec = codec.ok_or_else(|| format!("no codec {}", settings.compression))?;
        if settings.acks == "0" {
            return Err("raw waits for answers".into());
        }
        let mut compressor = Compressor::new(codec.default_level())?;
        let mut by_address: BTreeMap<String, Vec<Turn>> = BTreeMap::new();
        let mut per_request = 0;
        for leader in admin::leaders(&settings.brokers, &settings.topic)? {
            let builder = BatchBuilder::new(settings.batch_bytes);
            let (sealed, records) = batch(&settings, &load, 0, builder, &mut compressor)?;
            per_request = records;
            let request = frame(&settings, leader.partition, sealed.bytes())?.concat().into();
            by_address.entry(leader.address).or_default().push(Turn { partition: leader.partition, request });
        }
        let link = |(address, turns): (String, Vec<Turn>)| {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            let compressor = Compressor::new(codec.default_level())?;
            let link = Link { stream, turns, next: 0, compressor, buffer: Vec::new(), encoded: 0 };
            Ok::<_, Failure>(Mutex::new(link))
        };
        let links = by_address.into_iter().map(link).collect::<Result<_, _>>()?;
        Ok(Raw { settings, load, codec, batches, per_request, links })
    }

    /// Sends what comes next on this connection; how many records it was.
    fn send(&self, link: &mut Link) -> Result<u64, Failure> {
        let turn = link.next;
        link.next = (turn + 1) % link.turns.len();
        if self.batches == Batches::Beforehand {
            link.stream.write_all(&link.turns[turn].request)?;
            return Ok(self.per_request);
        }
        let builder = BatchBuilder::with_buffer(std::mem::take(&mut link.buffer), self.settings.batch_bytes);
        let (sealed, records) =
            batch(&self.settings, &self.load, link.encoded, builder, &mut link.compressor)?;
        for chunk in frame(&self.settings, link.turns[turn].partition, sealed.bytes())? {
            link.stream.write_all(&chunk)?;
        }
        link.encoded += records;
        link.buffer = sealed.into_buffer().unwrap_or_default();
        Ok(records)
    }
}

impl Peer for Raw {
    fn settings(&self) -> String {
        let made = match self.batches {
            Batches::Beforehand => "beforehand",
            Batches::Anew => "anew each time, with one reading of the clock",
        };
        format!(
            "batches of {} B ({} records) made {made}, {IN_FLIGHT} requests ahead, {} threads, idempotent false, acks {}, {}",
            self.settings.batch_bytes,
            self.per_request,
            self.links.len(),
            self.settings.acks,
            self.codec.name()
        )
    }

    fn produce(&self, _first: u64, count: u64) -> Result<u64, Failure> {
        let requests = count.div_ceil(self.per_request);
        let (taken, sent) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let send = |link: &Mutex<Link>| -> Result<(), Failure> {
                let mut link = link.lock().map_err(|_| "a thread panicked")?;
                let mut open = 0;
                while taken.fetch_add(1, Ordering::Relaxed) < requests {
                    if open == IN_FLIGHT {
                        link.receive()?;
                        open -= 1;
                    }
                    sent.fetch_add(self.send(&mut link)?, Ordering::Relaxed);
                    open += 1;
                }
                (0..open).try_for_each(|_| link.receive())
            };
            let threads: Vec<_> = self.links.iter().map(|link| scope.spawn(move || send(link))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
        })?;
        Ok(sent.into_inner())
    }

    fn produce_awaiting(&self, _first: u64, count: u64) -> Result<Vec<u64>, Failure> {
        let mut latencies = Vec::with_capacity(count as usize);
        for at in 0..count as usize {
            let mut link = self.links[at % self.links.len()].lock().map_err(|_| "a thread panicked")?;
            let began = Instant::now();
            self.send(&mut link)?;
            link.receive()?;
            latencies.push(began.elapsed().as_nanos() as u64);
        }
        Ok(latencies)
    }
}

impl Link {
    fn receive(&mut self) -> Result<(), Failure> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut answer)?;
        let (_, body) = split_response(&Bytes::from(answer), ProduceRequest::API, VERSION)?;
        let response = decode_response::<ProduceRequest>(&body, VERSION)?;
        let mut partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        match partitions.find(|partition| !partition.error_code.is_ok()) {
            Some(refused) => Err(format!("a batch was refused: {}", refused.error_code).into()),
            None => Ok(()),
        }
    }
}

/// A produce request in pieces, the length in front of it included.
fn frame(settings: &Settings, partition: i32, batch: Bytes) -> Result<Vec<Bytes>, Failure> {
    let partition_data =
        vec![PartitionProduceData { index: partition, records: Some(batch), ..Default::default() }];
    let topic_data =
        vec![TopicProduceData { name: settings.topic.clone(), partition_data, ..Default::default() }];
    let request = ProduceRequest {
        transactional_id: None,
        acks: if settings.acks == "all" { -1 } else { settings.acks.parse()? },
        timeout_ms: 30_000,
        topic_data,
        ..Default::default()
    };
    let request = encode_request(&request, VERSION, 0, Some("raw"))?;
    let length = Bytes::copy_from_slice(&(request.len() as u32).to_be_bytes());
    Ok(std::iter::once(length).chain(request.into_chunks()).collect())
}

/// A full batch of the records from `first` on, or one of a single record where each is awaited, and how many records are
/// in it.
fn batch(
    settings: &Settings,
    load: &Load,
    first: u64,
    mut builder: BatchBuilder,
    compressor: &mut Compressor,
) -> Result<(SealedBatch, u64), Failure> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as i64;
    let most = if settings.mode == Mode::ProduceAwait { first + 1 } else { u64::MAX };
    let mut at = first;
    while at < most
        && builder.try_append(now, load.key(at).map(AsRef::as_ref), Some(load.value(at)), NO_HEADERS).is_ok()
    {
        at += 1;
    }
    if at == first {
        return Err("a record is longer than a batch".into());
    }
    Ok((builder.seal(&SealOptions::default(), compressor)?, at - first))
}
