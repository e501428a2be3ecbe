//! Many members of a consumer group that do whatever they like.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use ottla_protocol::uuid::Uuid;
use proptest::prelude::*;

use super::{Script, enter, shelf, stay};
use crate::groups::{GroupOptions, ServerAssignor};

const MEMBERS: usize = 7;

/// What one of the members, or the world, does next.
#[derive(Debug, Clone)]
enum Step {
    /// Heartbeats; joins if it is out. It may do as if an answer had got lost.
    Beat {
        member: usize,
        answer_lost: bool,
    },
    /// Lets the partitions go that it should.
    GiveUp(usize),
    /// Subscribes to other topics.
    Subscribe(usize, u8),
    Leave(usize),
    Wait(u64),
    Expire(usize),
    Bump,
    MoveCoordinator,
    Grow,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = 0..MEMBERS;
    let step = prop_oneof![
        12 => (one.clone(), prop::bool::weighted(0.1))
            .prop_map(|(member, answer_lost)| Step::Beat { member, answer_lost }),
        8 => one.clone().prop_map(Step::GiveUp),
        1 => (one.clone(), 0u8..4).prop_map(|(member, choice)| Step::Subscribe(member, choice)),
        1 => one.clone().prop_map(Step::Leave),
        6 => (0u64..4_000).prop_map(Step::Wait),
        1 => one.prop_map(Step::Expire),
        1 => Just(Step::Bump),
        1 => Just(Step::MoveCoordinator),
        1 => Just(Step::Grow),
    ];
    prop::collection::vec(step, 1..200)
}

type Held = BTreeSet<(Uuid, i32)>;

/// A member as it sees itself.
#[derive(Clone, Default)]
struct Client {
    instance_id: Option<String>,
    lives: u32,
    epoch: i32,
    /// What it reads, and what it has been told to read.
    held: Held,
    told: Held,
    /// The last answer got lost, so the next request says everything.
    says_all: bool,
    choice: u8,
}

struct World {
    script: Script,
    clients: Vec<Client>,
    partitions: usize,
}

impl World {
    fn new(assignor: ServerAssignor) -> Self {
        let options = GroupOptions { consumer_assignors: vec![assignor], ..GroupOptions::default() };
        let client = |number: usize| Client {
            instance_id: (number % 3 == 2).then(|| format!("i{number}")),
            ..Client::default()
        };
        World { script: Script::new(options), clients: (0..MEMBERS).map(client).collect(), partitions: 4 }
    }

    fn id(&self, number: usize) -> String {
        format!("m{number}-{}", self.clients[number].lives)
    }

    fn request(&self, number: usize, epoch: i32) -> ConsumerGroupHeartbeatRequest {
        let client = &self.clients[number];
        let topics: &[&str] = match client.choice {
            0 => &["a", "b"],
            1 => &["a"],
            2 => &["b"],
            _ => &[],
        };
        let mut held: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in &client.held {
            held.entry(*topic).or_default().push(*partition);
        }
        let claim = |(topic_id, partitions)| TopicPartitions { topic_id, partitions, ..Default::default() };
        let held: Vec<TopicPartitions> = held.into_iter().map(claim).collect();
        let full = ConsumerGroupHeartbeatRequest {
            instance_id: client.instance_id.clone(),
            member_epoch: epoch,
            topic_partitions: Some(held),
            ..enter(&self.id(number), topics)
        };
        if epoch == 0 || client.says_all {
            return full;
        }
        let instance_id = client.instance_id.clone();
        let topic_partitions = full.topic_partitions;
        ConsumerGroupHeartbeatRequest { instance_id, topic_partitions, ..stay(&self.id(number), epoch) }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Beat { member, answer_lost } => {
                let request = self.request(member, self.clients[member].epoch);
                let response = self.script.heartbeat(&request);
                if answer_lost && request.member_epoch > 0 {
                    self.clients[member].says_all = true;
                } else {
                    self.hear(member, &response);
                }
            }
            Step::GiveUp(member) => {
                let client = &mut self.clients[member];
                client.held = client.held.intersection(&client.told).copied().collect();
            }
            Step::Subscribe(member, choice) => {
                self.clients[member].choice = choice;
                self.clients[member].says_all = true;
            }
            Step::Leave(member) => {
                let epoch = if self.clients[member].instance_id.is_some() { -2 } else { -1 };
                let request = self.request(member, epoch);
                let left = ConsumerGroupHeartbeatRequest { member_epoch: epoch, ..request };
                self.script.heartbeat(&left);
                self.reborn(member);
            }
            Step::Wait(ms) => self.script.pass(Duration::from_millis(ms)),
            Step::Expire(member) => {
                let id = self.id(member);
                self.script.groups.expire_session(self.script.now, "g", &id);
            }
            Step::Bump => drop(self.script.groups.force_rebalance(self.script.now, "g")),
            Step::MoveCoordinator => self.script.groups.handle_coordinator_moved(self.script.now, "g"),
            Step::Grow => {
                self.partitions = (self.partitions + 1).min(9);
                self.script.groups.handle_topics(&shelf(&[("a", self.partitions), ("b", 2)]));
            }
        }
        self.check();
    }

    fn hear(&mut self, member: usize, response: &ConsumerGroupHeartbeatResponse) {
        let client = &mut self.clients[member];
        match response.error_code {
            ErrorCode::NONE => {
                client.epoch = response.member_epoch;
                client.says_all = false;
                if let Some(assignment) = &response.assignment {
                    let told = assignment.topic_partitions.iter();
                    client.told = told
                        .flat_map(|topic| {
                            topic.partitions.iter().map(|partition| (topic.topic_id, *partition))
                        })
                        .collect();
                    // It may read what is new at once; what it must give up, it does in its own time.
                    client.held.extend(client.told.iter().copied());
                }
            }
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::FENCED_INSTANCE_ID => {
                self.reborn(member);
            }
            ErrorCode::UNRELEASED_INSTANCE_ID => {}
            other => panic!("{other} to a heartbeat"),
        }
    }

    fn reborn(&mut self, member: usize) {
        let Client { instance_id, lives, choice, .. } = self.clients[member].clone();
        self.clients[member] = Client { instance_id, lives: lives + 1, choice, ..Client::default() };
    }

    /// No partition is with two members, and the coordinator knows of all that a member reads.
    fn check(&mut self) {
        let group = self.script.groups.describe_consumer_group(self.script.now, "g");
        let mut owners: BTreeMap<(Uuid, i32), String> = BTreeMap::new();
        for member in &group.members {
            assert!(
                member.member_epoch <= group.assignment_epoch && group.assignment_epoch <= group.group_epoch
            );
            for topic in &member.assignment.topic_partitions {
                for partition in &topic.partitions {
                    let owner = owners.insert((topic.topic_id, *partition), member.member_id.clone());
                    assert_eq!(
                        owner, None,
                        "{} holds {partition} of {}, too",
                        member.member_id, topic.topic_name
                    );
                }
            }
        }
        let mut readers: BTreeMap<(Uuid, i32), usize> = BTreeMap::new();
        for number in 0..MEMBERS {
            let id = self.id(number);
            let is_member = group.members.iter().any(|member| member.member_id == id);
            for partition in self.clients[number].held.iter().filter(|_| is_member) {
                assert_eq!(owners.get(partition), Some(&id), "the coordinator has given it away");
                assert_eq!(readers.insert(*partition, number), None);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_partition_is_with_two_members_and_members_that_behave_come_to_the_target(
        steps in steps(),
        range in any::<bool>(),
    ) {
        let assignor = if range { ServerAssignor::Range } else { ServerAssignor::Uniform };
        let mut world = World::new(assignor);
        for step in &steps {
            world.step(step);
        }
        for number in 0..MEMBERS {
            world.step(&Step::Subscribe(number, 0));
        }
        for _ in 0..60 {
            for member in 0..MEMBERS {
                world.step(&Step::Beat { member, answer_lost: false });
                world.step(&Step::GiveUp(member));
            }
            world.step(&Step::Wait(1_500));
        }
        prop_assert_eq!(world.script.state(), "Stable");
        let held: usize = world.clients.iter().map(|client| client.held.len()).sum();
        prop_assert_eq!(held, world.partitions + 2);
        for client in &world.clients {
            prop_assert_eq!(&client.held, &client.told);
        }
        world.script.seconds(120);
        prop_assert_eq!(world.script.state(), "Empty");
    }
}
