//! No client at all, and so the ceiling: fetches over sockets that block, one thread for each broker, into one buffer, in
//! which the batches are only counted, by their headers.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};

use ottla_protocol::header::encode_request;
use ottla_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};

use super::{Reader, Seen};
use crate::settings::Settings;
use crate::{Failure, admin};

/// With topics by name, and not flexible, so that the answer can be read without a decoder.
const VERSION: i16 = 11;
const PARTITION_BYTES: i32 = 1 << 20;

pub(super) struct Raw {
    topic: String,
    bytes_each: u64,
    links: Vec<Link>,
}

/// A broker's connection, and where its partitions are read on.
struct Link {
    stream: TcpStream,
    offsets: BTreeMap<i32, i64>,
    buffer: Vec<u8>,
}

impl Raw {
    pub(super) fn start(settings: &Settings) -> Result<Raw, Failure> {
        let mut by_address: BTreeMap<String, BTreeMap<i32, i64>> = BTreeMap::new();
        for leader in admin::leaders(&settings.brokers, &settings.topic)? {
            by_address.entry(leader.address).or_default().insert(leader.partition, 0);
        }
        let link = |(address, offsets)| {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            Ok::<_, Failure>(Link { stream, offsets, buffer: Vec::new() })
        };
        let links = by_address.into_iter().map(link).collect::<Result<_, _>>()?;
        Ok(Raw { topic: settings.topic.clone(), bytes_each: settings.bytes_each() as u64, links })
    }
}

impl Reader for Raw {
    fn settings(&self) -> String {
        format!(
            "{} blocking connections, answers of 1 MiB per partition, headers of batches read",
            self.links.len()
        )
    }

    fn read(&mut self, count: u64) -> Result<Seen, Failure> {
        let (read, topic) = (AtomicU64::new(0), self.topic.as_str());
        std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .links
                .iter_mut()
                .map(|link| {
                    let read = &read;
                    scope.spawn(move || -> Result<(), Failure> {
                        while read.load(Ordering::Relaxed) < count {
                            let records = link.fetch(topic)?;
                            if records == 0 {
                                break;
                            }
                            read.fetch_add(records, Ordering::Relaxed);
                        }
                        Ok(())
                    })
                })
                .collect();
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
        })?;
        let records = read.into_inner();
        Ok(Seen { records, bytes: records * self.bytes_each, sum: 0 })
    }
}

impl Link {
    /// One request and its answer; how many records came.
    fn fetch(&mut self, topic: &str) -> Result<u64, Failure> {
        let partition = |(partition, offset): (&i32, &i64)| FetchPartition {
            partition: *partition,
            fetch_offset: *offset,
            partition_max_bytes: PARTITION_BYTES,
            ..Default::default()
        };
        let partitions = self.offsets.iter().map(partition).collect();
        let topics = vec![FetchTopic { topic: topic.to_owned(), partitions, ..Default::default() }];
        let request = FetchRequest {
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: 50 << 20,
            topics,
            ..Default::default()
        };
        let frame = encode_request(&request, VERSION, 0, Some("raw"))?.to_bytes();
        self.stream.write_all(&(frame.len() as u32).to_be_bytes())?;
        self.stream.write_all(&frame)?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
        self.stream.read_exact(&mut self.buffer[..length])?;
        let mut at = Place { bytes: &self.buffer[..length], at: 0 };
        // Correlation id, throttle time, error, session.
        at.skip(4 + 4 + 2 + 4);
        let mut records = 0;
        for _ in 0..at.int() {
            let name = at.short();
            at.skip(name as usize);
            for _ in 0..at.int() {
                let partition = at.int();
                // Error, high watermark, last stable offset, log start.
                at.skip(2 + 8 + 8 + 8);
                for _ in 0..at.int().max(0) {
                    at.skip(16);
                }
                at.skip(4);
                let end = at.int().max(0) as usize + at.at;
                while end - at.at > HEADER {
                    let (base, length) = (at.long(), at.int() as usize);
                    let header = &at.bytes[at.at..];
                    let int = |from: usize| {
                        i32::from_be_bytes([
                            header[from],
                            header[from + 1],
                            header[from + 2],
                            header[from + 3],
                        ])
                    };
                    records += int(COUNT_AT) as u64;
                    self.offsets.insert(partition, base + i64::from(int(LAST_DELTA_AT)) + 1);
                    at.skip(length);
                }
                at.at = end;
            }
        }
        Ok(records)
    }
}

/// Of a batch, in bytes; and where, behind its length, it says its last offset and its number of records.
const HEADER: usize = 61;
const LAST_DELTA_AT: usize = 23 - 12;
const COUNT_AT: usize = 57 - 12;

struct Place<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Place<'_> {
    fn skip(&mut self, count: usize) {
        self.at += count;
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(&self.bytes[self.at..self.at + N]);
        self.at += N;
        array
    }

    fn short(&mut self) -> i16 {
        i16::from_be_bytes(self.array())
    }

    fn int(&mut self) -> i32 {
        i32::from_be_bytes(self.array())
    }

    fn long(&mut self) -> i64 {
        i64::from_be_bytes(self.array())
    }
}
