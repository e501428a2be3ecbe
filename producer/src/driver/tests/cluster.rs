//! A cluster in memory behind scripted connections: metadata, producer ids, and logs that check sequence numbers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use ottla_client::test_support::{Answer, Received, ScriptedDialer, metadata, topic_error};
use ottla_client::{Client, ClientOptions, NodeId};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use ottla_protocol::messages::metadata::MetadataRequest;
use ottla_protocol::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};

use crate::model::Log;

/// Decides about a produce request before it is taken; `None` takes it and answers.
type Fault = Box<dyn FnMut(&mut State, &Received) -> Option<Answer> + Send>;

/// The cluster: nodes 1 and 2, and topic `t`.
#[derive(Clone)]
pub(super) struct Cluster(Arc<Mutex<State>>);

pub(super) struct State {
    /// Of topic `t`.
    pub(super) leaders: Vec<NodeId>,
    pub(super) logs: HashMap<i32, Log>,
    pub(super) metadata_requests: usize,
    pub(super) produce_requests: usize,
    pub(super) last_version: i16,
    /// What producers are to be called, one after the other; then 7.
    pub(super) producer_ids: VecDeque<i64>,
    fault: Option<Fault>,
}

impl Cluster {
    pub(super) fn new(leaders: &[NodeId]) -> Self {
        Cluster(Arc::new(Mutex::new(State {
            leaders: leaders.to_vec(),
            logs: HashMap::new(),
            metadata_requests: 0,
            produce_requests: 0,
            last_version: -1,
            producer_ids: VecDeque::new(),
            fault: None,
        })))
    }

    pub(super) fn client(&self) -> Client {
        let state = Arc::clone(&self.0);
        let dialer = ScriptedDialer::new(move |request| State::serve(&state, request));
        let options = ClientOptions::new().bootstrap_servers("boot:9092");
        Client::with_dialer(options, Arc::new(dialer)).unwrap()
    }

    pub(super) fn on_produce(
        &self,
        fault: impl FnMut(&mut State, &Received) -> Option<Answer> + Send + 'static,
    ) {
        self.0.lock().unwrap().fault = Some(Box::new(fault));
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// All values in the log of a partition.
    pub(super) fn log(&self, partition: i32) -> Vec<u32> {
        self.with(|state| state.logs.entry(partition).or_default().values.clone())
    }
}

impl State {
    fn serve(state: &Mutex<State>, received: &Received) -> Answer {
        let mut state = state.lock().unwrap();
        if let Some(request) = received.decode::<MetadataRequest>() {
            state.metadata_requests += 1;
            let mut response = metadata(&[1, 2], &[("t", &state.leaders)]);
            let asked = request.topics.unwrap_or_default();
            let others = asked.iter().filter_map(|topic| topic.name.as_deref()).filter(|name| *name != "t");
            response
                .topics
                .extend(others.map(|name| topic_error(name, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)));
            return received.reply::<MetadataRequest>(&response);
        }
        if received.decode::<InitProducerIdRequest>().is_some() {
            let producer_id = state.producer_ids.pop_front().unwrap_or(7);
            let response = InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() };
            return received.reply::<InitProducerIdRequest>(&response);
        }
        if received.decode::<ProduceRequest>().is_none() {
            return Answer::Default;
        }
        state.produce_requests += 1;
        state.last_version = received.version;
        if let Some(mut fault) = state.fault.take() {
            let answer = fault(&mut state, received);
            state.fault.get_or_insert(fault);
            if let Some(answer) = answer {
                return answer;
            }
        }
        state.take(received)
    }

    /// Appends what a produce request holds, and answers.
    pub(super) fn take(&mut self, received: &Received) -> Answer {
        let request = received.decode::<ProduceRequest>().unwrap();
        let mut response = ProduceResponse::default();
        for topic in request.topic_data {
            let mut answer =
                TopicProduceResponse { name: topic.name, topic_id: topic.topic_id, ..Default::default() };
            for data in topic.partition_data {
                let leads = Some(self.leaders[data.index as usize]) == received.node;
                let result = match leads {
                    true => self.logs.entry(data.index).or_default().append(&data.records.unwrap()),
                    false => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
                };
                answer.partition_responses.push(PartitionProduceResponse {
                    index: data.index,
                    error_code: result.err().unwrap_or_default(),
                    base_offset: result.unwrap_or(-1),
                    ..Default::default()
                });
            }
            response.responses.push(answer);
        }
        match request.acks {
            0 => Answer::Nothing,
            _ => received.reply::<ProduceRequest>(&response),
        }
    }
}

/// An answer that gives every partition this error.
pub(super) fn refuse(received: &Received, code: ErrorCode, leader: Option<NodeId>) -> Answer {
    let request = received.decode::<ProduceRequest>().unwrap();
    let mut response = ProduceResponse::default();
    for topic in request.topic_data {
        let partitions = topic.partition_data.iter().map(|data| {
            let mut answer = PartitionProduceResponse {
                index: data.index,
                error_code: code,
                base_offset: -1,
                ..Default::default()
            };
            if let Some(leader) = leader {
                answer.current_leader.leader_id = leader;
                answer.current_leader.leader_epoch = 1;
            }
            answer
        });
        response.responses.push(TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses: partitions.collect(),
            ..Default::default()
        });
    }
    received.reply::<ProduceRequest>(&response)
}
