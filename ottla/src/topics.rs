//! Creating and deleting topics: what an application or a test needs to begin.
//!
//! Sources: KIP-4 (the requests), KIP-464 (the broker's defaults), KIP-599 (quota).
#![allow(
    clippy::disallowed_methods,
    reason = "a facade: it reads the clock for deadlines and draws its jitter"
)]

use std::time::{Duration, Instant};

use ottla_client::{Backoff, Error, ErrorKind, Target};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use ottla_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use tokio::time::Instant as Clock;

use crate::Kafka;

/// A topic to be created.
///
/// ```
/// let topic = ottla::NewTopic::new("orders").partitions(12).replication_factor(3).config("retention.ms", "86400000");
/// # let _ = topic;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    name: String,
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    configs: Vec<(String, String)>,
}

impl NewTopic {
    /// A topic with the cluster's default number of partitions and replicas.
    pub fn new(name: impl Into<String>) -> NewTopic {
        NewTopic { name: name.into(), partitions: None, replication_factor: None, configs: Vec::new() }
    }

    /// How many partitions.
    #[must_use]
    pub fn partitions(mut self, count: i32) -> NewTopic {
        self.partitions = Some(count);
        self
    }

    /// How many replicas of each partition.
    #[must_use]
    pub fn replication_factor(mut self, factor: i16) -> NewTopic {
        self.replication_factor = Some(factor);
        self
    }

    /// A setting of the topic, such as `cleanup.policy`.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> NewTopic {
        self.configs.push((name.into(), value.into()));
        self
    }

    fn into_request(self, timeout: Duration) -> CreateTopicsRequest {
        let configs = self
            .configs
            .into_iter()
            .map(|(name, value)| CreatableTopicConfig { name, value: Some(value), ..Default::default() })
            .collect();
        let topic = CreatableTopic {
            name: self.name,
            num_partitions: self.partitions.unwrap_or(-1),
            replication_factor: self.replication_factor.unwrap_or(-1),
            configs,
            ..Default::default()
        };
        CreateTopicsRequest { topics: vec![topic], timeout_ms: millis(timeout), ..Default::default() }
    }
}

impl Kafka {
    /// Creates a topic; retried until the client's `default.api.timeout.ms` while the controller can't.
    ///
    /// # Errors
    /// Kind `Broker` with the code (`TOPIC_ALREADY_EXISTS`, `INVALID_PARTITIONS`, …), `Authorization`, or `Timeout`.
    /// After an answer was lost, a retry that finds the topic there counts as success.
    ///
    /// # Cancel safety
    /// The topic may be created or not when the future is dropped.
    pub async fn create_topic(&self, topic: NewTopic) -> Result<(), Error> {
        let doing = format!("cannot create topic {}", topic.name);
        let (deadline, timeout) = self.deadline();
        let request = topic.into_request(timeout);
        let outcome = self
            .with_controller(deadline, &doing, async |tries| {
                let (response, sent) =
                    self.client().call_counted(Target::Controller, &request, deadline).await?;
                let result = response.topics.into_iter().next();
                let (code, message) = result.map_or((ErrorCode::UNKNOWN_SERVER_ERROR, None), |topic| {
                    (topic.error_code, topic.error_message.filter(|message| !message.is_empty()))
                });
                // What an earlier try of this very call may have created is not someone else's topic.
                if code == ErrorCode::TOPIC_ALREADY_EXISTS && tries + sent > 1 {
                    return Ok(Ok(()));
                }
                Ok(code.check().map_err(|code| refusal(code, &doing, message)))
            })
            .await;
        self.client().refresh_metadata();
        outcome
    }

    /// Deletes a topic; retried as [`Kafka::create_topic`].
    ///
    /// # Errors
    /// Kind `UnknownTopic`, `Authorization`, `Broker` or `Timeout`.
    ///
    /// # Cancel safety
    /// The topic may be deleted or not when the future is dropped.
    pub async fn delete_topic(&self, name: &str) -> Result<(), Error> {
        let doing = format!("cannot delete topic {name}");
        let (deadline, timeout) = self.deadline();
        // The names stand in `topic_names` up to version 5, in `topics` from version 6 on; each version ignores or
        // refuses the other's field, so the version decides.
        let by_name = DeleteTopicsRequest {
            topic_names: vec![name.to_owned()],
            timeout_ms: millis(timeout),
            ..Default::default()
        };
        let by_state = DeleteTopicsRequest {
            topics: vec![DeleteTopicState { name: Some(name.to_owned()), ..Default::default() }],
            timeout_ms: millis(timeout),
            ..Default::default()
        };
        self.with_controller(deadline, &doing, async |tries| {
            let connection = self.client().any_connection(deadline).await?;
            let request =
                if connection.version::<DeleteTopicsRequest>()? >= 6 { &by_state } else { &by_name };
            let (response, sent) = self.client().call_counted(Target::Controller, request, deadline).await?;
            let code =
                response.responses.first().map_or(ErrorCode::UNKNOWN_SERVER_ERROR, |topic| topic.error_code);
            if code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION && tries + sent > 1 {
                return Ok(Ok(()));
            }
            Ok(code.check().map_err(|code| refusal(code, &doing, None)))
        })
        .await
    }

    fn deadline(&self) -> (Instant, Duration) {
        let timeout = self.client().options().values().default_api_timeout;
        ((Clock::now() + timeout).into_std(), timeout)
    }

    /// Tries `once` until it succeeds, fails for good, or the deadline passes. `once` is told how many tries went
    /// before.
    async fn with_controller(
        &self,
        deadline: Instant,
        doing: &str,
        once: impl AsyncFn(u32) -> Result<Result<(), Refusal>, Error>,
    ) -> Result<(), Error> {
        let options = self.client().options().values();
        let backoff = Backoff::new(options.retry_backoff, options.retry_backoff_max);
        let mut tries = 0;
        loop {
            let refused = match once(tries).await? {
                Ok(()) => return Ok(()),
                Err(refusal) => refusal,
            };
            tries += 1;
            let wait = backoff.next(tries - 1, fastrand::f64());
            if !refused.retriable {
                return Err(refused.error.with_tries(tries));
            }
            if Clock::now().into_std() + wait >= deadline {
                return Err(Error::new(ErrorKind::Timeout, format!("{doing} in time"))
                    .with_tries(tries)
                    .with_cause(refused.error));
            }
            self.client().refresh_metadata();
            tokio::time::sleep(wait).await;
        }
    }
}

/// A broker's refusal, and whether it may think otherwise later.
struct Refusal {
    error: Error,
    retriable: bool,
}

fn refusal(code: ErrorCode, doing: &str, message: Option<String>) -> Refusal {
    let doing = message.map_or_else(|| doing.to_owned(), |message| format!("{doing} ({message})"));
    Refusal {
        error: Error::from_code(code, doing),
        retriable: code.is_retriable() && code != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
