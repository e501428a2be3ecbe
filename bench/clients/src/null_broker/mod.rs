//! A cluster that answers produce requests at once and keeps nothing but the end offset of each partition; or, given a
//! [`Script`], one whose partitions all hold the same batch over and over, to be fetched.
//!
//! Brokers are ports of one process, connections are threads that block. A produce request is read just far enough to
//! name its partitions; the records themselves are thrown away inside the kernel, where that is possible, so that the
//! broker's work takes as little as it can from the processors that the client needs too. All other requests go through
//! `ottla-protocol`'s messages. Any topic that is asked for exists.

mod answers;
mod feed;
mod fetch;
mod log;
mod produce;

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;

use ottla_protocol::api::Request;
use ottla_protocol::messages::fetch::FetchRequest;
use ottla_protocol::messages::produce::ProduceRequest;
use ottla_protocol::uuid::Uuid;

pub use answers::RECORDS_SENT;
use feed::Feed;
use fetch::Sessions;
pub use log::Script;

/// A cluster whose brokers listen.
pub struct NullCluster {
    state: Arc<State>,
}

/// What all connections share.
pub(crate) struct State {
    nodes: Vec<u16>,
    default_partitions: i32,
    /// What every partition holds from the start, if anything.
    log: Option<log::Log>,
    topics: RwLock<Topics>,
    next_producer: AtomicI64,
}

#[derive(Default)]
struct Topics {
    by_name: HashMap<String, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
}

/// A topic.
pub(crate) struct Topic {
    name: String,
    id: Uuid,
    ends: Box<[AtomicI64]>,
    /// Records that were sent of each partition.
    sent: Box<[AtomicI64]>,
}

impl NullCluster {
    /// Starts so many brokers on ports from `port` on, or on any if that is 0. Topics that nobody makes get
    /// `default_partitions`. Each topic's partitions hold what `script` says.
    ///
    /// # Errors
    /// When a port can't be had, or the script can't be followed.
    pub fn start(
        brokers: u16,
        port: u16,
        default_partitions: i32,
        script: Option<&Script>,
    ) -> io::Result<NullCluster> {
        let port_of = |broker: u16| if port == 0 { 0 } else { port + broker };
        let listeners: Vec<TcpListener> = (0..brokers.max(1))
            .map(|broker| TcpListener::bind(("127.0.0.1", port_of(broker))))
            .collect::<io::Result<_>>()?;
        let nodes =
            listeners.iter().map(|one| one.local_addr().map(|at| at.port())).collect::<io::Result<_>>()?;
        let state = Arc::new(State {
            nodes,
            default_partitions,
            log: script.map(log::Log::of).transpose()?,
            topics: RwLock::default(),
            next_producer: AtomicI64::new(1000),
        });
        for listener in listeners {
            let state = Arc::clone(&state);
            thread::spawn(move || accept(&listener, &state));
        }
        Ok(NullCluster { state })
    }

    /// Where its brokers are.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> =
            self.state.nodes.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        addresses.join(",")
    }
}

impl State {
    /// The topic of this name, made with so many partitions if there is none.
    fn topic(&self, name: &str, partitions: Option<i32>) -> Arc<Topic> {
        if let Some(topic) = self.topics.read().unwrap_or_else(PoisonError::into_inner).by_name.get(name) {
            return Arc::clone(topic);
        }
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = topics.by_name.get(name) {
            return Arc::clone(topic);
        }
        let partitions = partitions.unwrap_or(self.default_partitions).max(1);
        let mut id = [0; 16];
        id[0] = 1;
        id[8..].copy_from_slice(&(topics.by_name.len() as u64 + 1).to_be_bytes());
        let topic = Arc::new(Topic {
            name: name.to_owned(),
            id: Uuid(id),
            ends: (0..partitions)
                .map(|partition| {
                    AtomicI64::new(self.log.as_ref().map_or(0, |log| log.end(partition, partitions)))
                })
                .collect(),
            sent: (0..partitions).map(|_| AtomicI64::new(0)).collect(),
        });
        topics.by_name.insert(name.to_owned(), Arc::clone(&topic));
        topics.by_id.insert(topic.id, Arc::clone(&topic));
        topic
    }

    fn topic_by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).by_id.get(&id).map(Arc::clone)
    }

    fn all_topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).by_name.values().map(Arc::clone).collect()
    }

    fn leader(&self, partition: i32) -> i32 {
        partition.rem_euclid(self.nodes.len() as i32)
    }
}

impl Topic {
    /// Counts records; the offset of the first one.
    fn append(&self, partition: i32, records: i32) -> Option<i64> {
        let end = self.ends.get(usize::try_from(partition).ok()?)?;
        Some(end.fetch_add(records.into(), Ordering::Relaxed))
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let state = Arc::clone(state);
        thread::spawn(move || match serve(stream, &state) {
            Err(error) if !is_farewell(&error) => eprintln!("null-broker: {error}"),
            _ => {}
        });
    }
}

fn is_farewell(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// Answers what one connection asks, in order.
fn serve(stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut to_client = stream.try_clone()?;
    let mut feed = Feed::new(stream);
    let mut answer = Vec::new();
    let mut sessions = Sessions::default();
    loop {
        let length = feed.int()?;
        feed.begin_frame(length)?;
        let (key, version) = (feed.short()?, feed.short()?);
        let correlation = feed.int()?;
        answer.clear();
        if key == FetchRequest::API.key.0 {
            let request =
                answers::decode(&feed.rest_of_frame()?, FetchRequest::API, key, version, correlation)?;
            sessions.answer(request, version, correlation, state, &mut to_client)?;
            continue;
        }
        if key == ProduceRequest::API.key.0 {
            produce::answer(&mut feed, version, correlation, state, &mut answer)?;
        } else {
            answers::answer(&feed.rest_of_frame()?, key, version, correlation, state, &mut answer)?;
        }
        to_client.write_all(&answer)?;
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a request with {what}"))
}
