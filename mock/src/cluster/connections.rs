//! Connections: frames in, one request at a time, answers out in order.
//!
//! Sources: KIP-219 (a throttled connection is answered at once and then not read for a while), KIP-511 (ApiVersions).

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use ottla_protocol::api::Api;
use ottla_protocol::header::RequestHeader;
use ottla_protocol::wire::Reader;

use super::answers::Owed;
use super::brokers::BrokerState;
use super::{Cluster, HarmError};
use crate::apis::{self, Call};
use crate::call::{Caller, Ticket};
use crate::security::Login;

/// A connection to a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What leaves the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Bytes for a client, the frame's length included.
    Send {
        /// To whom.
        connection: ConnectionId,
        /// In this order.
        chunks: Vec<Bytes>,
    },
    /// The connection is closed once everything before this was sent.
    Close {
        /// Which one.
        connection: ConnectionId,
    },
    /// All requests of the connection are served. A driver that reads a request only after this keeps memory bounded.
    Ready {
        /// Which one.
        connection: ConnectionId,
    },
    /// A broker begins or ceases to accept connections.
    Listen {
        /// Which one.
        broker: i32,
        /// Whether it accepts them now.
        open: bool,
    },
}

/// All connections, and the answers that are owed.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    pub(super) open: BTreeMap<ConnectionId, Connection>,
    pub(super) owed: BTreeMap<Ticket, Owed>,
    /// Those that may have a request to be served.
    pub(super) idle: VecDeque<ConnectionId>,
    count: u64,
    tickets: u64,
}

/// A connection, and what came by it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) broker: i32,
    host: String,
    pub(super) queue: VecDeque<Bytes>,
    pub(super) serving: Option<Ticket>,
    pub(super) throttled: bool,
    /// What a paused broker would have sent.
    pub(super) frozen: Vec<Output>,
    login: Login,
}

impl Connections {
    /// How far a connection has come with telling who it is.
    pub(crate) fn login(&mut self, id: ConnectionId) -> Option<&mut Login> {
        self.open.get_mut(&id).map(|open| &mut open.login)
    }

    /// Whether anybody still waits for this answer.
    pub(crate) fn owes(&self, ticket: Ticket) -> bool {
        self.owed.contains_key(&ticket)
    }

    /// The circumstances of a request that waits.
    pub(crate) fn call(&self, ticket: Ticket) -> Option<&Call> {
        self.owed.get(&ticket).map(|owed| &owed.call)
    }

    fn of_broker(&self, broker: i32) -> Vec<ConnectionId> {
        self.open.iter().filter(|(_, open)| open.broker == broker).map(|(id, _)| *id).collect()
    }
}

impl Cluster {
    /// A client at `host` connects to a broker.
    ///
    /// # Errors
    /// Where there is no such broker, or it is down.
    pub fn connect(&mut self, broker: i32, host: &str) -> Result<ConnectionId, HarmError> {
        match self.brokers.get(broker).map(|broker| broker.state) {
            None => Err(HarmError::NoSuchBroker(broker)),
            Some(BrokerState::Down) => Err(HarmError::BrokerDown(broker)),
            Some(BrokerState::Running | BrokerState::Paused) => {
                self.connections.count += 1;
                let id = ConnectionId(self.connections.count);
                let connection = Connection {
                    broker,
                    host: format!("/{host}"),
                    queue: VecDeque::new(),
                    serving: None,
                    throttled: false,
                    frozen: Vec::new(),
                    login: self.security.login(),
                };
                self.connections.open.insert(id, connection);
                Ok(id)
            }
        }
    }

    /// A frame arrives, without the length before it.
    pub fn handle(&mut self, now: Instant, connection: ConnectionId, frame: Bytes) {
        if let Some(open) = self.connections.open.get_mut(&connection) {
            open.queue.push_back(frame);
            self.connections.idle.push_back(connection);
            self.settle(now);
        }
    }

    /// The client is gone. What it asked for is done, but nobody is told.
    pub fn disconnected(&mut self, connection: ConnectionId) {
        let Some(open) = self.connections.open.remove(&connection) else { return };
        if let Some(ticket) = open.serving {
            self.connections.owed.remove(&ticket);
            self.unpark(ticket);
            self.groups.drop_tickets(&[ticket]);
        }
    }

    /// How many connections are open to a broker.
    pub fn open_connections(&self, broker: i32) -> usize {
        self.connections.of_broker(broker).len()
    }

    /// Cuts all connections to a broker, which goes on serving others.
    ///
    /// # Errors
    /// Where there is no such broker.
    pub fn cut_connections(&mut self, broker: i32) -> Result<(), HarmError> {
        self.brokers.get(broker).ok_or(HarmError::NoSuchBroker(broker))?;
        self.connections.of_broker(broker).into_iter().for_each(|id| self.close(id));
        Ok(())
    }

    /// Reads a throttled connection again.
    pub(super) fn unmute(&mut self, connection: ConnectionId) {
        if let Some(open) = self.connections.open.get_mut(&connection) {
            open.throttled = false;
            self.connections.idle.push_back(connection);
        }
    }

    /// What a broker that was paused had to say, and what it was asked meanwhile.
    pub(super) fn thaw(&mut self, broker: i32) {
        for id in self.connections.of_broker(broker) {
            let frozen = self.connections.open.get_mut(&id).map(|open| std::mem::take(&mut open.frozen));
            for output in frozen.into_iter().flatten() {
                match output {
                    Output::Close { connection } => self.close(connection),
                    output => self.output(output),
                }
            }
            self.connections.idle.push_back(id);
        }
    }

    /// Serves what can be served; says whether there was anything.
    pub(super) fn serve_connections(&mut self, now: Instant) -> bool {
        let mut served = false;
        while let Some(id) = self.connections.idle.pop_front() {
            served = true;
            let Some(open) = self.connections.open.get_mut(&id) else { continue };
            let runs =
                self.brokers.get(open.broker).is_some_and(|broker| broker.state == BrokerState::Running);
            if open.serving.is_some() || open.throttled || !runs {
                continue;
            }
            match open.queue.pop_front() {
                Some(frame) => self.start(now, id, &frame),
                None => self.output(Output::Ready { connection: id }),
            }
        }
        served
    }

    /// Begins to serve a request.
    fn start(&mut self, now: Instant, id: ConnectionId, frame: &Bytes) {
        if self.connections.open.get(&id).is_some_and(|open| open.login.takes_raw_tokens()) {
            return self.raw_token(id, frame);
        }
        let Some((api, header, body)) = split_request(frame) else { return self.close(id) };
        let advertised = apis::advertised(self.options.release, api.key);
        let version = header.request_api_version;
        if !apis::is_served(api.key) || !advertised.contains(version) && api.key != apis::API_VERSIONS {
            // Kafka has no answer that such a client would understand.
            return self.close(id);
        }
        self.connections.tickets += 1;
        let ticket = Ticket(self.connections.tickets);
        let Some(open) = self.connections.open.get_mut(&id) else { return };
        if !open.login.allows(api.key) {
            return self.close(id);
        }
        open.serving = Some(ticket);
        let call = Call {
            now,
            now_ms: 0,
            ticket,
            connection: id,
            broker: open.broker,
            // The one answer that a client can read whatever it asked with.
            version: if advertised.contains(version) { version } else { 0 },
            caller: Caller {
                client_id: header.client_id.unwrap_or_default(),
                host: open.host.clone(),
                principal: open.login.principal(),
            },
        };
        let call = Call { now_ms: self.wall_ms(now), ..call };
        let owed = Owed::new(call.clone(), api, header.correlation_id, frame.len());
        self.connections.owed.insert(ticket, owed);
        if advertised.contains(version) {
            apis::serve(self, api.key, &call, &body, true);
        } else {
            apis::api_versions::fall_back(self, &call);
        }
    }

    /// A token of a client that handshook in version 0, and so sends tokens without a request around them.
    fn raw_token(&mut self, id: ConnectionId, token: &Bytes) {
        let Some(open) = self.connections.open.get_mut(&id) else { return };
        match open.login.token(&self.security.users, token) {
            Ok(answer) => {
                let length = u32::try_from(answer.len()).unwrap_or(u32::MAX);
                let chunks = vec![Bytes::copy_from_slice(&length.to_be_bytes()), answer];
                self.output(Output::Send { connection: id, chunks });
                self.connections.idle.push_back(id);
            }
            Err(_) => self.close(id),
        }
    }

    /// Closes a connection from the broker's side.
    pub(crate) fn close(&mut self, id: ConnectionId) {
        if self.connections.open.contains_key(&id) {
            self.disconnected(id);
            self.output(Output::Close { connection: id });
        }
    }
}

/// The API, header and body of a request.
fn split_request(frame: &Bytes) -> Option<(Api, RequestHeader, Bytes)> {
    let short = |at: usize| Some(i16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    let (key, version) = (short(0)?, short(2)?);
    let api = apis::api(ottla_protocol::api::ApiKey(key))?;
    let mut reader = Reader::new(frame, version, false);
    let header = RequestHeader::read(&mut reader, api.request_header_version(version)).ok()?;
    let offset = reader.offset();
    Some((api, header, frame.slice(offset..)))
}
