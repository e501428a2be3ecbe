//! What goes wrong on purpose: rules that pick requests, and what becomes of those.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use ottla_mock::{Cluster, ClusterOptions, Fault};
//! use ottla_protocol::api::ApiKey;
//! use ottla_protocol::error_code::ErrorCode;
//!
//! let mut cluster = Cluster::new(ClusterOptions::new().brokers(3), Instant::now())?;
//! cluster.on(ApiKey::PRODUCE).topic("orders").once(ErrorCode::NOT_LEADER_OR_FOLLOWER);
//! cluster.on(ApiKey::PRODUCE).skip(10).once(Fault::drop_answer());
//! cluster.on(ApiKey::FETCH).broker(2).times(3, Fault::delay(Duration::from_secs(5)));
//! let flaky = cluster.on_any().with_probability(0.01, Fault::close());
//! assert_eq!(cluster.hits(flaky), 0);
//! # Ok::<(), ottla_mock::OptionsError>(())
//! ```

use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;

use crate::apis::{Call, Subject};
use crate::cluster::Cluster;

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault(pub(crate) Kind);

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// Not done, and refused.
    Refuse(ErrorCode),
    /// Done, and refused.
    RefuseDone(ErrorCode),
    /// Done later.
    Hold(Duration),
    /// Not done, never answered.
    DropRequest,
    /// Not done; the connection closes.
    Close,
    /// Done, but something happens to the answer.
    Answer(Harm),
}

/// What becomes of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Harm {
    Throttle(Duration),
    DropAnswer,
    DelayAnswer(Duration),
    CutAnswerAt(usize),
    ShortenFrame(usize),
    Garbage(Bytes),
}

impl Fault {
    /// The request is not done and answered with an error, in every place where its answer can say one.
    pub fn error(code: ErrorCode) -> Fault {
        Fault(Kind::Refuse(code))
    }

    /// The request is done and yet answered with an error.
    pub fn error_although_done(code: ErrorCode) -> Fault {
        Fault(Kind::RefuseDone(code))
    }

    /// The request is done later; the connection's other requests wait for it.
    pub fn delay(time: Duration) -> Fault {
        Fault(Kind::Hold(time))
    }

    /// The request is done at once and answered later.
    pub fn delay_answer(time: Duration) -> Fault {
        Fault(Kind::Answer(Harm::DelayAnswer(time)))
    }

    /// The request gets lost: not done, never answered, and nothing after it on this connection either.
    pub fn drop_request() -> Fault {
        Fault(Kind::DropRequest)
    }

    /// The request is done and its answer gets lost, as does all else on this connection.
    pub fn drop_answer() -> Fault {
        Fault(Kind::Answer(Harm::DropAnswer))
    }

    /// The request is not done, and the connection closes.
    pub fn close() -> Fault {
        Fault(Kind::Close)
    }

    /// The request is done, and the connection closes after this many bytes of the answer, its length included.
    pub fn cut_answer_at(bytes: usize) -> Fault {
        Fault(Kind::Answer(Harm::CutAnswerAt(bytes)))
    }

    /// The request is done, and its answer is a well-formed frame whose last bytes are missing.
    pub fn shorten_frame(bytes: usize) -> Fault {
        Fault(Kind::Answer(Harm::ShortenFrame(bytes)))
    }

    /// The request is done, and these bytes are sent in place of the answer, its length included.
    pub fn garbage(bytes: impl Into<Bytes>) -> Fault {
        Fault(Kind::Answer(Harm::Garbage(bytes.into())))
    }

    /// The request is done and answered, but the client is told to be silent for a while, and not read till then.
    pub fn throttle(time: Duration) -> Fault {
        Fault(Kind::Answer(Harm::Throttle(time)))
    }
}

impl From<ErrorCode> for Fault {
    fn from(code: ErrorCode) -> Fault {
        Fault::error(code)
    }
}

/// A rule that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RuleId(u64);

/// A rule that is being made: which requests it picks. Nothing happens before `once`, `times`, `always` or
/// `with_probability`.
#[derive(Debug)]
#[must_use = "a rule begins with `once`, `times`, `always` or `with_probability`"]
pub struct Rule<'a> {
    cluster: &'a mut Cluster,
    filter: Filter,
    skip: u64,
}

impl Rule<'_> {
    /// Only requests to this broker.
    pub fn broker(mut self, broker: i32) -> Self {
        self.filter.broker = Some(broker);
        self
    }

    /// Only requests of clients with this `client.id`.
    pub fn client(mut self, client_id: impl Into<String>) -> Self {
        self.filter.client_id = Some(client_id.into());
        self
    }

    /// Only requests that name this topic.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.filter.subject = Some(Subject::Topic(topic.into()));
        self
    }

    /// Only requests that name this group.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.filter.subject = Some(Subject::Group(group.into()));
        self
    }

    /// Only requests that name this transactional id.
    pub fn transactional_id(mut self, id: impl Into<String>) -> Self {
        self.filter.subject = Some(Subject::TransactionalId(id.into()));
        self
    }

    /// Lets so many of these requests pass first.
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// The next of these requests, and no more.
    pub fn once(self, fault: impl Into<Fault>) -> RuleId {
        self.times(1, fault)
    }

    /// So many of these requests.
    pub fn times(self, times: u64, fault: impl Into<Fault>) -> RuleId {
        self.make(times, 1.0, fault.into())
    }

    /// Every one of these requests.
    pub fn always(self, fault: impl Into<Fault>) -> RuleId {
        self.make(u64::MAX, 1.0, fault.into())
    }

    /// Each of these requests with a probability from 0 to 1, which follows from the cluster's seed.
    pub fn with_probability(self, probability: f64, fault: impl Into<Fault>) -> RuleId {
        self.make(u64::MAX, probability, fault.into())
    }

    fn make(self, times: u64, probability: f64, fault: Fault) -> RuleId {
        let faults = &mut self.cluster.faults;
        faults.count += 1;
        let id = RuleId(faults.count);
        faults.rules.push(Made {
            id,
            filter: self.filter,
            skip: self.skip,
            times,
            probability,
            fault,
            hits: 0,
        });
        id
    }
}

/// The rules.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: Vec<Made>,
    count: u64,
    rng: fastrand::Rng,
    served: std::collections::BTreeMap<ApiKey, u64>,
}

#[derive(Debug)]
struct Made {
    id: RuleId,
    filter: Filter,
    skip: u64,
    times: u64,
    probability: f64,
    fault: Fault,
    hits: u64,
}

#[derive(Debug, Default)]
struct Filter {
    key: Option<ApiKey>,
    broker: Option<i32>,
    client_id: Option<String>,
    subject: Option<Subject>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Faults {
        Faults {
            rules: Vec::new(),
            count: 0,
            rng: fastrand::Rng::with_seed(seed),
            served: std::collections::BTreeMap::new(),
        }
    }
}

impl Cluster {
    /// Begins a rule for requests of one API.
    pub fn on(&mut self, key: ApiKey) -> Rule<'_> {
        Rule { cluster: self, filter: Filter { key: Some(key), ..Default::default() }, skip: 0 }
    }

    /// Begins a rule for requests of every API but ApiVersions and those of SASL, without which there is no connection.
    pub fn on_any(&mut self) -> Rule<'_> {
        Rule { cluster: self, filter: Filter::default(), skip: 0 }
    }

    /// How many requests a rule has met.
    pub fn hits(&self, rule: RuleId) -> u64 {
        self.faults.rules.iter().find(|made| made.id == rule).map_or(0, |made| made.hits)
    }

    /// Ends a rule; its hits are forgotten.
    pub fn forget(&mut self, rule: RuleId) {
        self.faults.rules.retain(|made| made.id != rule);
    }

    /// Ends all rules.
    pub fn forget_faults(&mut self) {
        self.faults.rules.clear();
    }

    /// How many requests of an API came so far, those that were refused or dropped included.
    pub fn requests(&self, key: ApiKey) -> u64 {
        self.faults.served.get(&key).copied().unwrap_or(0)
    }

    /// What is to become of a request: the first rule that picks it says so.
    pub(crate) fn draw_fault(
        &mut self,
        key: ApiKey,
        call: &Call,
        concerns: impl Fn(&Cluster, &Subject) -> bool,
    ) -> Option<Kind> {
        *self.faults.served.entry(key).or_default() += 1;
        let mut rules = std::mem::take(&mut self.faults.rules);
        let mut drawn = None;
        for made in &mut rules {
            let Filter { key: wanted, broker, client_id, subject } = &made.filter;
            let picked = wanted.map_or_else(|| !opens_connections(key), |wanted| wanted == key)
                && broker.is_none_or(|broker| broker == call.broker)
                && client_id.as_ref().is_none_or(|id| *id == call.caller.client_id)
                && subject.as_ref().is_none_or(|subject| concerns(self, subject));
            if !picked || made.times == 0 {
                continue;
            }
            if made.skip > 0 {
                made.skip -= 1;
                continue;
            }
            if made.probability >= 1.0 || self.faults.rng.f64() < made.probability {
                made.times -= 1;
                made.hits += 1;
                drawn = Some(made.fault.0.clone());
                break;
            }
        }
        self.faults.rules = rules;
        drawn
    }
}

fn opens_connections(key: ApiKey) -> bool {
    [ApiKey::API_VERSIONS, ApiKey::SASL_HANDSHAKE, ApiKey::SASL_AUTHENTICATE].contains(&key)
}
