//! Answers: what is owed, what is sent, and what goes wrong on the way.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_protocol::api::{Api, Response};
use ottla_protocol::header::encode_response;

use super::Cluster;
use super::alarms::Alarm;
use super::brokers::BrokerState;
use super::connections::Output;
use crate::apis::{self, Call, Serve};
use crate::call::Ticket;
use crate::faults::Harm;

/// An answer that is owed.
#[derive(Debug)]
pub(super) struct Owed {
    pub(super) call: Call,
    api: Api,
    correlation_id: i32,
    /// Bytes of the request.
    received: usize,
    harm: Option<Harm>,
    /// The request's body, while a fault holds it back.
    held: Option<Bytes>,
    /// The answer, while a fault holds it back.
    answer: Option<Vec<Bytes>>,
    closes: bool,
    /// Whether what is answered now is not the answer.
    silent: bool,
}

impl Owed {
    /// An answer to a request of so many bytes.
    pub(super) fn new(call: Call, api: Api, correlation_id: i32, received: usize) -> Owed {
        Owed {
            call,
            api,
            correlation_id,
            received,
            harm: None,
            held: None,
            answer: None,
            closes: false,
            silent: false,
        }
    }
}

impl Cluster {
    /// Sends the answer that is owed under `ticket`, if anybody still waits for it.
    pub(crate) fn answer<R>(&mut self, now: Instant, ticket: Ticket, mut response: R)
    where
        R: Response,
        R::Request: Serve,
    {
        let Some(owed) = self.connections.owed.get(&ticket) else { return };
        if owed.silent {
            return;
        }
        let (caller, key, received) = (owed.call.caller.clone(), owed.api.key, owed.received);
        let throttled = match owed.harm {
            Some(Harm::Throttle(time)) => time,
            _ => self.security.quotas.throttle(now, &caller, key, received),
        };
        let Some(owed) = self.connections.owed.get(&ticket) else { return };
        if throttled > Duration::ZERO {
            let ms = i32::try_from(throttled.as_millis()).unwrap_or(i32::MAX);
            R::Request::throttle(&mut response, ms);
            let connection = owed.call.connection;
            if let Some(open) = self.connections.open.get_mut(&connection) {
                open.throttled = true;
                self.alarms.set(now + throttled, Alarm::Unmute(connection));
            }
        }
        let Some(owed) = self.connections.owed.get(&ticket) else { return };
        match encode_response(&response, owed.call.version, owed.correlation_id) {
            Ok(frame) => {
                self.security.quotas.sent(now, &caller, key, frame.len());
                let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
                let mut chunks = vec![Bytes::copy_from_slice(&length.to_be_bytes())];
                chunks.extend(frame.into_chunks());
                self.send(now, ticket, chunks);
            }
            Err(error) => {
                debug_assert!(false, "{} in version {}: {error}", owed.api.key, owed.call.version);
                self.finish(ticket, true);
            }
        }
    }

    /// Serves a request that a fault held back.
    pub(super) fn serve_held(&mut self, now: Instant, ticket: Ticket) {
        let Some(owed) = self.connections.owed.get_mut(&ticket) else { return };
        let Some(body) = owed.held.take() else { return };
        owed.call.now = now;
        let (call, api) = (owed.call.clone(), owed.api);
        let call = Call { now_ms: self.wall_ms(now), ..call };
        apis::serve(self, api.key, &call, &body, false);
    }

    /// Sends an answer that a fault held back.
    pub(super) fn send_held(&mut self, ticket: Ticket) {
        let Some(owed) = self.connections.owed.get_mut(&ticket) else { return };
        if let Some(chunks) = owed.answer.take() {
            self.emit(ticket, chunks, false);
        }
    }

    /// Keeps answers from being sent, or no longer.
    pub(crate) fn silence(&mut self, ticket: Ticket, silent: bool) {
        if let Some(owed) = self.connections.owed.get_mut(&ticket) {
            owed.silent = silent;
        }
    }

    /// Notes what is to go wrong with an answer.
    pub(crate) fn harm_answer(&mut self, ticket: Ticket, harm: Harm) {
        if let Some(owed) = self.connections.owed.get_mut(&ticket) {
            owed.harm = Some(harm);
        }
    }

    /// Keeps a request back until `at`.
    pub(crate) fn hold_request(&mut self, at: Instant, ticket: Ticket, body: Bytes) {
        if let Some(owed) = self.connections.owed.get_mut(&ticket) {
            owed.held = Some(body);
            self.alarms.set(at, Alarm::Serve(ticket));
        }
    }

    /// The connection is closed once the answer is out.
    pub(crate) fn close_after(&mut self, ticket: Ticket) {
        if let Some(owed) = self.connections.owed.get_mut(&ticket) {
            owed.closes = true;
        }
    }

    /// No answer is sent; the connection goes on, or is closed.
    pub(crate) fn finish(&mut self, ticket: Ticket, close: bool) {
        let Some(owed) = self.connections.owed.remove(&ticket) else { return };
        self.unpark(ticket);
        let id = owed.call.connection;
        if let Some(open) = self.connections.open.get_mut(&id) {
            open.serving = None;
        }
        match close || owed.closes {
            true => self.close(id),
            false => self.connections.idle.push_back(id),
        }
    }

    /// Sends a frame, unless something is to go wrong with it.
    fn send(&mut self, now: Instant, ticket: Ticket, chunks: Vec<Bytes>) {
        let Some(owed) = self.connections.owed.get_mut(&ticket) else { return };
        match owed.harm.take() {
            None | Some(Harm::Throttle(_)) => self.emit(ticket, chunks, false),
            // The connection waits for ever, as behind a network that swallows packets.
            Some(Harm::DropAnswer) => {}
            Some(Harm::DelayAnswer(delay)) => {
                owed.answer = Some(chunks);
                self.alarms.set(now + delay, Alarm::Answer(ticket));
            }
            Some(Harm::CutAnswerAt(bytes)) => {
                let sent = chunks.concat();
                let sent = Bytes::from(sent).slice(..bytes.min(chunks.iter().map(Bytes::len).sum()));
                self.emit(ticket, vec![sent], true);
            }
            Some(Harm::ShortenFrame(bytes)) => {
                let whole = chunks.concat();
                let kept = (whole.len() - 4).saturating_sub(bytes);
                let mut short = (u32::try_from(kept).unwrap_or(0)).to_be_bytes().to_vec();
                short.extend_from_slice(&whole[4..4 + kept]);
                self.emit(ticket, vec![short.into()], false);
            }
            Some(Harm::Garbage(bytes)) => self.emit(ticket, vec![bytes], false),
        }
    }

    fn emit(&mut self, ticket: Ticket, chunks: Vec<Bytes>, close: bool) {
        let Some(owed) = self.connections.owed.get(&ticket) else { return };
        let (connection, close) = (owed.call.connection, close || owed.closes);
        let chunks: Vec<Bytes> = chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect();
        let paused =
            self.brokers.get(owed.call.broker).is_some_and(|broker| broker.state == BrokerState::Paused);
        match self.connections.open.get_mut(&connection) {
            Some(open) if paused => {
                open.frozen.push(Output::Send { connection, chunks });
                if close {
                    open.frozen.push(Output::Close { connection });
                    // Nothing may be served on it between now and then.
                    open.queue.clear();
                }
                self.finish(ticket, false);
            }
            _ => {
                self.output(Output::Send { connection, chunks });
                self.finish(ticket, close);
            }
        }
    }
}
