//! Many members of a classic group that do whatever they like.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::join_group::JoinGroupRequest;
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use proptest::prelude::*;

use super::{Script, join, protocol, sync};
use crate::call::Ticket;
use crate::groups::{Answer, GroupOptions};

const MEMBERS: usize = 8;

/// What one of the members, or the world, does next.
#[derive(Debug, Clone)]
enum Step {
    /// Joins, with metadata of its choice.
    Join(usize, u8),
    /// Syncs, as a leader with an assignment that no other leader makes.
    Sync(usize),
    Beat(usize),
    Leave(usize),
    /// Loses its connection, and with it the answers that are due.
    Disconnect(usize),
    /// Forgets who it is.
    Forget(usize),
    Wait(u64),
    Expire(usize),
    MoveCoordinator,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = 0..MEMBERS;
    let step = prop_oneof![
        8 => (one.clone(), 0u8..3).prop_map(|(member, data)| Step::Join(member, data / 2)),
        8 => one.clone().prop_map(Step::Sync),
        4 => one.clone().prop_map(Step::Beat),
        1 => one.clone().prop_map(Step::Leave),
        1 => one.clone().prop_map(Step::Disconnect),
        1 => one.clone().prop_map(Step::Forget),
        6 => (0u64..4_000).prop_map(Step::Wait),
        1 => one.prop_map(Step::Expire),
        1 => Just(Step::MoveCoordinator),
    ];
    prop::collection::vec(step, 1..150)
}

/// A member as it sees itself.
#[derive(Default, Clone)]
struct Client {
    instance_id: Option<String>,
    member_id: String,
    generation: i32,
    leads: bool,
    others: Vec<String>,
    waits_for: Option<Ticket>,
}

struct World {
    script: Script,
    clients: Vec<Client>,
    /// The leader and protocol that each generation was announced with.
    generations: BTreeMap<i32, (String, Option<String>)>,
    /// The assignment that the coordinator took for each generation and member.
    assignments: BTreeMap<(i32, String), Bytes>,
    /// The generations that the log has lost, whose numbers come again.
    moves: u32,
}

impl World {
    fn new() -> Self {
        let client = |number: usize| Client {
            instance_id: (number % 4 == 3).then(|| format!("i{number}")),
            ..Client::default()
        };
        World {
            script: Script::new(GroupOptions::default()),
            clients: (0..MEMBERS).map(client).collect(),
            generations: BTreeMap::new(),
            assignments: BTreeMap::new(),
            moves: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Join(number, data) if self.clients[number].waits_for.is_none() => {
                let client = &self.clients[number];
                let request = JoinGroupRequest {
                    group_instance_id: client.instance_id.clone(),
                    protocols: vec![protocol("range", Bytes::from(vec![data]))],
                    ..join(&client.member_id)
                };
                self.clients[number].waits_for = Some(self.script.send_join(9, &request));
            }
            Step::Sync(number) if self.clients[number].waits_for.is_none() => self.sync(number),
            Step::Beat(number) => {
                let client = self.clients[number].clone();
                let code = self.script.beat(&client.member_id, client.generation);
                if code == ErrorCode::UNKNOWN_MEMBER_ID {
                    self.clients[number].member_id.clear();
                }
            }
            Step::Leave(number) => {
                let client = self.clients[number].clone();
                self.script.leave(&[(&client.member_id, client.instance_id.as_deref())]);
            }
            Step::Disconnect(number) => {
                if let Some(ticket) = self.clients[number].waits_for.take() {
                    self.script.groups.drop_tickets(&[ticket]);
                }
            }
            Step::Forget(number) if self.clients[number].waits_for.is_none() => {
                let instance_id = self.clients[number].instance_id.clone();
                self.clients[number] = Client { instance_id, ..Client::default() };
            }
            Step::Wait(ms) => self.script.pass(Duration::from_millis(ms)),
            Step::Expire(number) => {
                let member_id = self.clients[number].member_id.clone();
                self.script.groups.expire_session(self.script.now, "g", &member_id);
            }
            Step::MoveCoordinator => {
                self.script.groups.handle_coordinator_moved(self.script.now, "g");
                self.moves += 1;
                self.generations.clear();
            }
            Step::Join(..) | Step::Sync(_) | Step::Forget(_) => {}
        }
        self.script.collect();
        self.listen();
    }

    fn sync(&mut self, number: usize) {
        let client = self.clients[number].clone();
        let mut request = SyncGroupRequest {
            group_instance_id: client.instance_id.clone(),
            ..sync(&client.member_id, client.generation, &[])
        };
        if client.leads {
            for member_id in &client.others {
                let assignment = Bytes::from(format!("{}/{}/{member_id}", self.moves, client.generation));
                let share = SyncGroupRequestAssignment {
                    member_id: member_id.clone(),
                    assignment,
                    ..Default::default()
                };
                request.assignments.push(share);
            }
        }
        self.clients[number].waits_for = Some(self.script.send_sync(&request));
    }

    /// Hears what the coordinator has to say, and whether all members hear the same.
    fn listen(&mut self) {
        for client in &mut self.clients {
            let Some(answer) = client.waits_for.and_then(|ticket| self.script.answer(ticket)) else {
                continue;
            };
            client.waits_for = None;
            match answer {
                Answer::Join(joined) if joined.error_code.is_ok() => {
                    client.member_id = joined.member_id;
                    client.generation = joined.generation_id;
                    client.leads = joined.leader == client.member_id && !joined.skip_assignment;
                    client.others = joined.members.into_iter().map(|member| member.member_id).collect();
                    // A static leader's id changes when it comes back, and nothing else does within a generation.
                    let known = self.generations.entry(joined.generation_id);
                    let known =
                        known.or_insert_with(|| (joined.leader.clone(), joined.protocol_name.clone()));
                    assert_eq!(known.1, joined.protocol_name);
                    let is_static = known.0.starts_with('i');
                    assert!(known.0 == joined.leader || is_static, "{} and {} lead", known.0, joined.leader);
                }
                Answer::Join(refused) => match refused.error_code {
                    ErrorCode::MEMBER_ID_REQUIRED => client.member_id = refused.member_id,
                    ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_INSTANCE_ID => client.member_id.clear(),
                    ErrorCode::NOT_COORDINATOR => {}
                    other => panic!("{other} to a join"),
                },
                Answer::Sync(synced) if synced.error_code.is_ok() => {
                    let assigned = String::from_utf8(synced.assignment.to_vec()).expect("it is text");
                    // Nothing for members that the leader didn't know, the share of this generation for all others.
                    let mut parts = assigned.splitn(3, '/').skip(1);
                    if let (Some(generation), Some(member_id)) = (parts.next(), parts.next()) {
                        assert_eq!(generation, client.generation.to_string());
                        let same_place =
                            client.instance_id.as_ref().is_some_and(|id| member_id.starts_with(id));
                        assert!(
                            member_id == client.member_id || same_place,
                            "{member_id} is not {}",
                            client.member_id
                        );
                    }
                    let key = (client.generation, client.member_id.clone());
                    let taken = self.assignments.entry(key).or_insert_with(|| synced.assignment.clone());
                    if self.moves == 0 {
                        assert_eq!(
                            *taken, synced.assignment,
                            "a member's assignment changes only with the generation"
                        );
                    }
                }
                Answer::Sync(refused) => match refused.error_code {
                    ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_INSTANCE_ID => client.member_id.clear(),
                    ErrorCode::ILLEGAL_GENERATION
                    | ErrorCode::REBALANCE_IN_PROGRESS
                    | ErrorCode::NOT_COORDINATOR => {}
                    other => panic!("{other} to a sync"),
                },
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn members_agree_on_generation_leader_and_assignment_and_every_request_is_answered(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            let group = world.script.groups.describe(6, "g");
            let mut ids: Vec<&String> = group.members.iter().map(|member| &member.member_id).collect();
            ids.dedup();
            prop_assert_eq!(ids.len(), group.members.len());
        }
        // Once all are silent, nobody is left, and nobody was left waiting.
        world.script.seconds(600);
        world.listen();
        for client in &world.clients {
            prop_assert!(client.waits_for.is_none());
        }
        prop_assert!(matches!(world.script.state().as_str(), "Empty" | ""));
        prop_assert_eq!(world.script.groups.poll_deadline(), None);
    }

    #[test]
    fn members_that_behave_come_to_a_stable_group_whatever_happened_before(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        for _ in 0..200 {
            for number in 0..MEMBERS {
                let client = world.clients[number].clone();
                if client.waits_for.is_some() {
                    continue;
                }
                // Without a generation it has yet to join, perhaps with the id that it was told.
                if client.generation > 0 {
                    match world.script.beat(&client.member_id, client.generation) {
                        ErrorCode::NONE => continue,
                        ErrorCode::UNKNOWN_MEMBER_ID => world.step(&Step::Forget(number)),
                        _ => {}
                    }
                }
                world.step(&Step::Join(number, 0));
            }
            // Whoever has a generation asks for its share of it.
            for number in 0..MEMBERS {
                if world.clients[number].generation > 0 {
                    world.step(&Step::Sync(number));
                }
            }
            world.step(&Step::Wait(500));
        }
        prop_assert_eq!(world.script.state(), "Stable");
        let group = world.script.groups.describe(6, "g");
        prop_assert_eq!(group.members.len(), MEMBERS);
        for client in &world.clients {
            prop_assert!(client.waits_for.is_none());
            prop_assert_eq!(world.script.groups.member_ids("g").contains(&client.member_id), true);
        }
    }
}
