//! No client at all, and so the ceiling: batches that were made beforehand, sent over sockets that block, five requests
//! ahead of the answers, by one thread for each broker.

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
use ottla_protocol::records::{BatchBuilder, NO_HEADERS, SealOptions};

use super::Peer;
use crate::load::Load;
use crate::settings::{Mode, Settings};
use crate::{Failure, admin};

/// With topics by name.
const VERSION: i16 = 12;
const IN_FLIGHT: usize = 5;

pub(super) struct Raw {
    settings: Settings,
    per_request: u64,
    links: Vec<Mutex<Link>>,
}

/// A broker's connection, and a request with a batch for each of its partitions, to be sent in turn.
struct Link {
    stream: TcpStream,
    requests: Vec<Bytes>,
    next: usize,
}

impl Raw {
    pub(super) fn start(settings: Settings, load: Load) -> Result<Raw, Failure> {
        let codec = Compression::ALL.into_iter().find(|codec| codec.name() == settings.compression);
        let codec = codec.ok_or_else(|| format!("no codec {}", settings.compression))?;
        let mut compressor = Compressor::new(codec.default_level())?;
        let acks = if settings.acks == "all" { -1 } else { settings.acks.parse()? };
        if acks == 0 {
            return Err("raw waits for answers".into());
        }
        let mut by_address: BTreeMap<String, Vec<Bytes>> = BTreeMap::new();
        let mut per_request = 0;
        for leader in admin::leaders(&settings.brokers, &settings.topic)? {
            let (batch, records) = batch(&settings, &load, &mut compressor)?;
            per_request = records;
            let partition_data = vec![PartitionProduceData {
                index: leader.partition,
                records: Some(batch),
                ..Default::default()
            }];
            let topic_data =
                vec![TopicProduceData { name: settings.topic.clone(), partition_data, ..Default::default() }];
            let request = ProduceRequest {
                transactional_id: None,
                acks,
                timeout_ms: 30_000,
                topic_data,
                ..Default::default()
            };
            let body = encode_request(&request, VERSION, 0, Some("raw"))?.to_bytes();
            let mut frame = Vec::with_capacity(body.len() + 4);
            frame.extend((body.len() as u32).to_be_bytes());
            frame.extend_from_slice(&body);
            by_address.entry(leader.address).or_default().push(frame.into());
        }
        let link = |(address, requests): (String, Vec<Bytes>)| {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            Ok::<_, Failure>(Mutex::new(Link { stream, requests, next: 0 }))
        };
        let links = by_address.into_iter().map(link).collect::<Result<_, _>>()?;
        Ok(Raw { settings, per_request, links })
    }
}

impl Peer for Raw {
    fn settings(&self) -> String {
        format!(
            "batches of {} B ({} records) made beforehand, {IN_FLIGHT} requests ahead, {} threads, idempotent false, acks {}, {}",
            self.settings.batch_bytes,
            self.per_request,
            self.links.len(),
            self.settings.acks,
            self.settings.compression
        )
    }

    fn produce(&self, _first: u64, count: u64) -> Result<u64, Failure> {
        let requests = count.div_ceil(self.per_request);
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let send = |link: &Mutex<Link>| -> Result<(), Failure> {
                let mut link = link.lock().map_err(|_| "a thread panicked")?;
                let mut open = 0;
                while taken.fetch_add(1, Ordering::Relaxed) < requests {
                    if open == IN_FLIGHT {
                        link.receive()?;
                        open -= 1;
                    }
                    link.send()?;
                    open += 1;
                }
                (0..open).try_for_each(|_| link.receive())
            };
            let threads: Vec<_> = self.links.iter().map(|link| scope.spawn(move || send(link))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
        })?;
        Ok(requests * self.per_request)
    }

    fn produce_awaiting(&self, _first: u64, count: u64) -> Result<Vec<u64>, Failure> {
        let mut latencies = Vec::with_capacity(count as usize);
        for at in 0..count as usize {
            let mut link = self.links[at % self.links.len()].lock().map_err(|_| "a thread panicked")?;
            let began = Instant::now();
            link.send()?;
            link.receive()?;
            latencies.push(began.elapsed().as_nanos() as u64);
        }
        Ok(latencies)
    }
}

impl Link {
    fn send(&mut self) -> Result<(), Failure> {
        self.stream.write_all(&self.requests[self.next])?;
        self.next = (self.next + 1) % self.requests.len();
        Ok(())
    }

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

/// A full batch, or one of a single record where each is awaited, and how many records are in it.
fn batch(settings: &Settings, load: &Load, compressor: &mut Compressor) -> Result<(Bytes, u64), Failure> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as i64;
    let mut builder = BatchBuilder::new(settings.batch_bytes);
    let most = if settings.mode == Mode::ProduceAwait { 1 } else { u64::MAX };
    let mut count = 0;
    while count < most
        && builder
            .try_append(now, load.key(count).map(AsRef::as_ref), Some(load.value(count)), NO_HEADERS)
            .is_ok()
    {
        count += 1;
    }
    if count == 0 {
        return Err("a record is longer than a batch".into());
    }
    Ok((builder.seal(&SealOptions::default(), compressor)?.bytes(), count))
}
