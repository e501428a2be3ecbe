//! One side of a script: raw connections, requests in chosen versions, and what was answered.

use std::collections::BTreeMap;
use std::panic::Location;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_protocol::api::ApiKey;
use ottla_protocol::header::{RequestHeader, split_response};
use ottla_protocol::reflect::{APIS, DynApi};
use ottla_protocol::wire::{UnknownTags, Writer};
use ottla_tests::json::from_script;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::message;
use super::normal::Symbols;

/// How long an answer is awaited.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a request is repeated that met a state which passes by itself.
const RETRY: Duration = Duration::from_secs(20);

/// The codes of such states: how long they last is no matter of protocol.
const PASSING: [&str; 5] = [
    "CONCURRENT_TRANSACTIONS",
    "COORDINATOR_LOAD_IN_PROGRESS",
    "COORDINATOR_NOT_AVAILABLE",
    "NOT_COORDINATOR",
    "LEADER_NOT_AVAILABLE",
];

/// A request and its answer in comparable form.
#[derive(Debug)]
pub(crate) struct Step {
    /// Where the script asks this.
    pub(crate) place: String,
    /// What was asked.
    pub(crate) api: ApiKey,
    /// In which version.
    pub(crate) version: i16,
    /// The request.
    pub(crate) request: Json,
    /// The answer, or what became of the request.
    pub(crate) answer: Json,
}

/// A script's connections to one side.
#[derive(Debug)]
pub(crate) struct Session {
    script: String,
    addresses: Vec<String>,
    lanes: BTreeMap<&'static str, Lane>,
    /// The node that each connection goes to, where that isn't the first.
    places: BTreeMap<&'static str, usize>,
    symbols: Symbols,
    steps: Vec<Step>,
}

#[derive(Debug, Default)]
struct Lane {
    stream: Option<TcpStream>,
    asked: Option<Asked>,
}

#[derive(Debug)]
struct Asked {
    place: String,
    api: DynApi,
    version: i16,
    request: Json,
    sent: Result<(), String>,
}

impl Session {
    /// A session with the cluster at these addresses.
    pub(crate) fn new(script: &str, addresses: Vec<String>) -> Session {
        let symbols = Symbols::of(script);
        Session {
            script: script.to_owned(),
            addresses,
            lanes: BTreeMap::new(),
            places: BTreeMap::new(),
            symbols,
            steps: Vec::new(),
        }
    }

    /// What was asked and answered.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// A name that no other script uses.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}--{name}", self.script)
    }

    /// A name that nobody has used.
    pub(crate) fn fresh(&self) -> String {
        ottla_tests::broker::unique(&self.name("fresh"))
    }

    /// Asks, and writes the answer down; asks again while a state lasts that passes by itself.
    #[track_caller]
    pub(crate) fn ask(&mut self, api: ApiKey, version: i16, request: Json) -> impl Future<Output = Json> {
        self.ask_on("main", api, version, request)
    }

    /// The same by a connection of this name.
    #[track_caller]
    pub(crate) fn ask_on(
        &mut self,
        lane: &'static str,
        api: ApiKey,
        version: i16,
        request: Json,
    ) -> impl Future<Output = Json> {
        let place = Location::caller().to_string();
        async move {
            let end = Instant::now() + RETRY;
            loop {
                let answer = self.raw(lane, api, version, &request, &place).await;
                if !has_code(&answer, &PASSING) || Instant::now() > end {
                    return self.write_down(place, api, version, request, answer);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Asks once, and writes the answer down whatever it is.
    #[track_caller]
    pub(crate) fn once(&mut self, api: ApiKey, version: i16, request: Json) -> impl Future<Output = Json> {
        let place = Location::caller().to_string();
        async move {
            let answer = self.raw("main", api, version, &request, &place).await;
            self.write_down(place, api, version, request, answer)
        }
    }

    /// Asks until the answer satisfies `done`, and writes that one down.
    #[track_caller]
    pub(crate) fn until(
        &mut self,
        api: ApiKey,
        version: i16,
        request: Json,
        done: impl Fn(&Json) -> bool,
    ) -> impl Future<Output = Json> {
        let place = Location::caller().to_string();
        async move {
            let end = Instant::now() + RETRY;
            loop {
                let answer = self.raw("main", api, version, &request, &place).await;
                if (!has_code(&answer, &PASSING) && done(&answer)) || Instant::now() > end {
                    return self.write_down(place, api, version, request, answer);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Sends by a connection of this name; [`Self::receive`] awaits the answer.
    #[track_caller]
    pub(crate) fn send(
        &mut self,
        lane: &'static str,
        api: ApiKey,
        version: i16,
        request: Json,
    ) -> impl Future<Output = ()> {
        let place = Location::caller().to_string();
        async move { self.submit(lane, api, version, &request, &place).await }
    }

    /// The answer to what was sent by this connection, written down.
    pub(crate) async fn receive(&mut self, lane: &'static str) -> Json {
        let (asked, answer) = self.collect(lane).await;
        self.write_down(asked.place, asked.api.api.key, asked.version, asked.request, answer)
    }

    /// Has the coordinators' topics created, and the first producer id given away.
    pub(crate) async fn prepare(&mut self) {
        for key_type in [0, 1] {
            let request = json!({"coordinator_keys": ["any"], "key_type": key_type});
            self.quietly(ApiKey::FIND_COORDINATOR, 4, request).await;
        }
        let request = json!({"transactional_id": null, "transaction_timeout_ms": 1000});
        self.quietly(ApiKey::INIT_PRODUCER_ID, 4, request).await;
    }

    /// Creates a topic, and returns its id when it can be used.
    pub(crate) async fn topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> String {
        let configs: Vec<Json> =
            configs.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let request = json!({"topics": [{
            "name": name, "num_partitions": partitions, "replication_factor": -1, "configs": configs,
        }]});
        let created = self.raw("setup", ApiKey::CREATE_TOPICS, 7, &request, "").await;
        assert_eq!(created["topics"][0]["error_code"], "NONE", "{created}");
        self.await_topic(name, partitions).await
    }

    /// Waits until a topic has this many partitions, each with a leader, and returns its id.
    pub(crate) async fn await_topic(&mut self, name: &str, partitions: i32) -> String {
        let request = json!({"topics": [{"name": name}], "allow_auto_topic_creation": false});
        let end = Instant::now() + RETRY;
        loop {
            let answer = self.raw("setup", ApiKey::METADATA, 12, &request, "").await;
            let topic = &answer["topics"][0];
            let ready = topic["partitions"].as_array().map_or(0, |all| {
                all.iter().filter(|one| one["error_code"] == "NONE" && one["leader_id"] != -1).count()
            });
            let offsets = self.offsets_known(name, ready as i32).await;
            if topic["error_code"] == "NONE" && ready as i32 == partitions && offsets {
                return topic["topic_id"].as_str().expect("an id").to_owned();
            }
            assert!(Instant::now() < end, "{name} isn't ready: {answer}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether the leader serves each partition, of which it hears a little later.
    async fn offsets_known(&mut self, name: &str, partitions: i32) -> bool {
        let partitions: Vec<Json> =
            (0..partitions).map(|at| json!({"partition_index": at, "timestamp": -1})).collect();
        let request = json!({"replica_id": -1, "topics": [{"name": name, "partitions": partitions}]});
        let answer = self.raw("setup", ApiKey::LIST_OFFSETS, 7, &request, "").await;
        let listed = answer["topics"][0]["partitions"].as_array();
        listed.is_some_and(|all| all.iter().all(|one| one["error_code"] == "NONE"))
    }

    /// Asks for what isn't compared: the script's means, not its subject.
    pub(crate) async fn quietly(&mut self, api: ApiKey, version: i16, request: Json) -> Json {
        let end = Instant::now() + RETRY;
        loop {
            let answer = self.raw("main", api, version, &request, "").await;
            if !has_code(&answer, &PASSING) || Instant::now() > end {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Lets the connection of this name go to a node.
    pub(crate) fn place(&mut self, lane: &'static str, node: i64) {
        self.hang_up(lane);
        self.places.insert(lane, usize::try_from(node).expect("a node's id"));
    }

    /// Asks by a connection of this name until the answer satisfies `done`, and writes that one down.
    #[track_caller]
    pub(crate) fn until_on(
        &mut self,
        lane: &'static str,
        api: ApiKey,
        version: i16,
        request: Json,
        done: impl Fn(&Json) -> bool,
    ) -> impl Future<Output = Json> {
        let place = Location::caller().to_string();
        async move {
            let end = Instant::now() + RETRY;
            loop {
                let answer = self.raw(lane, api, version, &request, &place).await;
                if done(&answer) || Instant::now() > end {
                    return self.write_down(place, api, version, request, answer);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Closes a connection.
    pub(crate) fn hang_up(&mut self, lane: &'static str) {
        self.lanes.remove(lane);
    }

    fn write_down(&mut self, place: String, api: ApiKey, version: i16, request: Json, answer: Json) -> Json {
        let normal = self.symbols.normal(api, answer.clone());
        self.steps.push(Step { place, api, version, request, answer: normal });
        answer
    }

    async fn raw(
        &mut self,
        lane: &'static str,
        api: ApiKey,
        version: i16,
        request: &Json,
        place: &str,
    ) -> Json {
        self.submit(lane, api, version, request, place).await;
        self.collect(lane).await.1
    }

    async fn submit(&mut self, lane: &'static str, api: ApiKey, version: i16, request: &Json, place: &str) {
        let api = *APIS.iter().find(|known| known.api.key == api).expect("an API of the protocol crate");
        let line = self.lanes.entry(lane).or_default();
        let node = self.places.get(lane).copied().unwrap_or(1);
        let sent = line.submit(&self.addresses[node - 1], api, version, request).await;
        line.asked = Some(Asked { place: place.to_owned(), api, version, request: request.clone(), sent });
    }

    async fn collect(&mut self, lane: &'static str) -> (Asked, Json) {
        let line = self.lanes.entry(lane).or_default();
        let asked = line.asked.take().expect("something was sent");
        let answer = match &asked.sent {
            Err(error) => json!({"unsendable": error}),
            Ok(()) => line.receive(asked.api, asked.version).await,
        };
        (asked, answer)
    }
}

impl Lane {
    async fn submit(
        &mut self,
        address: &str,
        api: DynApi,
        version: i16,
        request: &Json,
    ) -> Result<(), String> {
        let value = from_script(api.request.table, request)?;
        let body = api.request.encode(value, version, api.api.flexible(version));
        let body = body.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let mut header = Writer::new(version, false);
        RequestHeader {
            request_api_key: api.api.key.0,
            request_api_version: version,
            correlation_id: 7,
            client_id: Some("script".to_owned()),
            unknown_tags: UnknownTags::default(),
        }
        .write(&mut header, api.api.request_header_version(version))
        .map_err(|error| error.to_string())?;
        let header = header.finish().map_err(|error| error.to_string())?.to_bytes();
        let mut frame = Vec::with_capacity(4 + header.len() + body.len());
        frame.extend_from_slice(&((header.len() + body.len()) as u32).to_be_bytes());
        frame.extend_from_slice(&header);
        frame.extend_from_slice(&body);
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(TcpStream::connect(address).await.map_err(|error| error.to_string())?),
        };
        stream.write_all(&frame).await.map_err(|error| error.to_string())
    }

    async fn receive(&mut self, api: DynApi, version: i16) -> Json {
        let Some(stream) = &mut self.stream else { return json!("no connection") };
        let frame = match tokio::time::timeout(PATIENCE, read(stream)).await {
            Err(_) => Err(json!("no answer")),
            Ok(Err(_)) => Err(json!("closed")),
            Ok(Ok(frame)) => Ok(frame),
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(outcome) => {
                self.stream = None;
                return outcome;
            }
        };
        let body = match split_response(&frame, api.api, version) {
            Ok((_, body)) => body,
            Err(error) => return json!({"undecodable": error.to_string()}),
        };
        match api.response.decode(&body, version, api.api.flexible(version)) {
            Ok(value) => message::answer("", &value),
            Err(error) => json!({"undecodable": error.to_string()}),
        }
    }
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Bytes> {
    let mut frame = vec![0; stream.read_u32().await? as usize];
    stream.read_exact(&mut frame).await?;
    Ok(frame.into())
}

/// Whether a code of these stands anywhere in the answer.
fn has_code(answer: &Json, codes: &[&str]) -> bool {
    match answer {
        Json::Object(fields) => fields.iter().any(|(name, value)| {
            (name.ends_with("error_code") && codes.iter().any(|code| value == code)) || has_code(value, codes)
        }),
        Json::Array(elements) => elements.iter().any(|element| has_code(element, codes)),
        _ => false,
    }
}
