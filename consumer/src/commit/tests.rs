//! The requests of all versions, and what answers mean.

use std::collections::{BTreeMap, HashMap};

use ottla_client::{Cluster, Error, ErrorKind, TopicPartition};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use ottla_protocol::uuid::Uuid;

use super::OffsetAndMetadata;
use super::request::{Judgement, TopicOffset, Topics, fetch_request, judge_fetch};
use super::round::{Commit, Round};
use crate::group::Membership;

fn member() -> Membership {
    Membership { member_id: "m".into(), generation_id: 4, ..Membership::none() }
}

fn offsets() -> BTreeMap<TopicPartition, TopicOffset> {
    let text = OffsetAndMetadata { offset: 7, leader_epoch: Some(3), metadata: "note".into() };
    BTreeMap::from([
        (TopicPartition::new("a", 1), OffsetAndMetadata::new(5).into()),
        (TopicPartition::new("a", 0), text.into()),
        (TopicPartition::new("b", 0), OffsetAndMetadata::new(9).into()),
    ])
}

fn by_name() -> Topics {
    Topics::of(&Cluster::default(), offsets().keys())
}

/// All of [`offsets`], by name.
fn round() -> Round {
    Commit::new(offsets()).next(nothing).expect("something to commit")
}

#[test]
fn a_commit_carries_the_membership_and_the_partitions_by_topic() {
    let partition = |partition_index, committed_offset| OffsetCommitRequestPartition {
        partition_index,
        committed_offset,
        ..Default::default()
    };
    let noted = OffsetCommitRequestPartition {
        committed_leader_epoch: 3,
        committed_metadata: Some("note".into()),
        ..partition(0, 7)
    };
    let topic = |name: &str, partitions| OffsetCommitRequestTopic {
        name: name.into(),
        partitions,
        ..Default::default()
    };
    let expected = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: 4,
        member_id: "m".into(),
        topics: vec![topic("a", vec![noted, partition(1, 5)]), topic("b", vec![partition(0, 9)])],
        ..Default::default()
    };
    assert_eq!(round().request("g", &member()), expected);
}

/// Metadata that know nothing.
fn nothing(_: &str) -> Option<Uuid> {
    None
}

/// The offsets, of the topics of these ids.
fn said(ids: [Option<Uuid>; 3]) -> BTreeMap<TopicPartition, TopicOffset> {
    let mut offsets = offsets();
    offsets.values_mut().zip(ids).for_each(|(offset, said)| offset.topic_id = said);
    offsets
}

const FORMER: Uuid = Uuid([1; 16]);
const NOW: Uuid = Uuid([2; 16]);
const OTHER: Uuid = Uuid([3; 16]);

#[test]
fn no_partition_of_a_topic_that_was_created_anew_is_committed_into_its_successor() {
    let left = |said_of_all: Option<Uuid>, ids: &[(&str, Uuid)]| {
        let mut commit = Commit::new(said([said_of_all; 3]));
        let mut places = Vec::new();
        let known = |topic: &str| ids.iter().find(|(name, _)| *name == topic).map(|(_, id)| *id);
        while let Some(round) = commit.next(known) {
            places.extend(round.partitions().map(ToString::to_string));
        }
        (
            commit.result("g").is_err_and(|error| error.to_string().contains("created anew: a")),
            places.join(" "),
        )
    };
    assert_eq!(left(Some(FORMER), &[("a", NOW), ("b", FORMER)]), (true, "b-0".into()));
    assert_eq!(left(Some(FORMER), &[("a", FORMER), ("b", Uuid::ZERO)]), (false, "a-0 a-1 b-0".into()));
    assert_eq!(left(Some(FORMER), &[]), (false, "a-0 a-1 b-0".into()));
    assert_eq!(left(None, &[("a", NOW), ("b", NOW)]), (false, "a-0 a-1 b-0".into()));
}

#[test]
fn topics_that_have_ids_and_those_that_have_none_go_in_requests_of_their_own_which_take_turns() {
    let mut commit = Commit::new(said([None, None, Some(FORMER)]));
    let mut next = || {
        let round = commit.next(nothing).expect("something to commit");
        let request = round.request("g", &member());
        let topics: Vec<_> = request.topics.into_iter().map(|topic| (topic.name, topic.topic_id)).collect();
        let version = round.newest_version();
        commit.put_back(round);
        (topics, version)
    };
    let (by_id, by_name) = ((vec![("b".into(), FORMER)], i16::MAX), (vec![("a".into(), Uuid::ZERO)], 9));
    assert_eq!([next(), next(), next()], [by_id.clone(), by_name, by_id]);
}

#[test]
fn partitions_of_two_topics_of_one_name_are_committed_each_to_its_own() {
    let mut round = Commit::new(said([Some(NOW), Some(FORMER), Some(OTHER)])).next(nothing).unwrap();
    let request = round.request("g", &member());
    let named = |topic: &OffsetCommitRequestTopic| {
        let rows = topic.partitions.iter().map(|row| row.partition_index).collect::<Vec<_>>();
        (topic.name.clone(), topic.topic_id, rows)
    };
    let topics: Vec<_> = request.topics.iter().map(named).collect();
    assert_eq!(
        topics,
        [("a".into(), FORMER, vec![1]), ("a".into(), NOW, vec![0]), ("b".into(), OTHER, vec![0])]
    );

    let row = |partition_index, error_code| OffsetCommitResponsePartition {
        partition_index,
        error_code,
        ..Default::default()
    };
    let topic =
        |topic_id, partitions| OffsetCommitResponseTopic { topic_id, partitions, ..Default::default() };
    let refused = vec![row(1, ErrorCode::UNKNOWN_TOPIC_ID)];
    // That partition 1 of the other topic is committed was not asked for.
    let committed = vec![row(0, ErrorCode::NONE), row(1, ErrorCode::NONE)];
    let topics = vec![topic(FORMER, refused), topic(NOW, committed)];
    let judgement = round.judge(&OffsetCommitResponse { topics, ..Default::default() });
    assert!(matches!(judgement, Judgement::Retry { code: ErrorCode::UNKNOWN_TOPIC_ID, elsewhere: false }));
    assert_eq!(round.partitions().map(ToString::to_string).collect::<Vec<_>>(), ["a-1", "b-0"]);
}

#[test]
fn what_is_refused_for_good_keeps_nothing_else_from_being_committed() {
    let mut commit = Commit::new(said([None, None, Some(FORMER)]));
    assert!(commit.next(nothing).is_some());
    commit.refuse(Error::new(ErrorKind::Authorization, "not for you"));
    let round = commit.next(nothing).expect("the other request");
    assert_eq!(round.partitions().len(), 2);
    assert!(commit.next(nothing).is_none());
    assert_eq!(commit.result("g").unwrap_err().kind(), ErrorKind::Authorization);
}

#[test]
fn topics_without_ids_go_by_name() {
    assert_eq!(by_name().newest_version(), 9);
    assert_eq!(round().newest_version(), 9);
    assert_eq!(Topics::of(&Cluster::default(), &[]).newest_version(), i16::MAX);
}

fn answered(codes: [ErrorCode; 3]) -> OffsetCommitResponse {
    let partition = |partition_index, error_code| OffsetCommitResponsePartition {
        partition_index,
        error_code,
        ..Default::default()
    };
    let topic = |name: &str, partitions| OffsetCommitResponseTopic {
        name: name.into(),
        partitions,
        ..Default::default()
    };
    let topics = vec![
        topic("a", vec![partition(0, codes[0]), partition(1, codes[1])]),
        topic("b", vec![partition(0, codes[2])]),
    ];
    OffsetCommitResponse { topics, ..Default::default() }
}

#[test]
fn the_gravest_code_of_a_commit_decides_and_what_is_committed_is_settled() {
    const OK: ErrorCode = ErrorCode::NONE;
    let judge = |codes| {
        let mut round = round();
        let judgement = match round.judge(&answered(codes)) {
            Judgement::Done => "done".to_owned(),
            Judgement::Retry { code, elsewhere } => format!("{code:?} elsewhere {elsewhere}"),
            Judgement::Membership(code) => format!("member {code:?}"),
            Judgement::Failed(error) => format!("{:?}", error.kind()),
        };
        (judgement, round.partitions().len())
    };
    let table = [
        ([OK, OK, OK], "done", 0),
        ([ErrorCode::GROUP_ID_NOT_FOUND, OK, OK], "member GROUP_ID_NOT_FOUND", 1),
        (
            [OK, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, OK],
            "COORDINATOR_LOAD_IN_PROGRESS elsewhere false",
            1,
        ),
        ([ErrorCode::NOT_COORDINATOR; 3], "NOT_COORDINATOR elsewhere true", 3),
        ([OK, OK, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION], "UNKNOWN_TOPIC_OR_PARTITION elsewhere false", 1),
        ([OK, ErrorCode::NOT_COORDINATOR, ErrorCode::TOPIC_AUTHORIZATION_FAILED], "Authorization", 2),
        ([ErrorCode::OFFSET_METADATA_TOO_LARGE, OK, OK], "Broker", 1),
        ([ErrorCode::ILLEGAL_GENERATION; 3], "member ILLEGAL_GENERATION", 3),
        ([ErrorCode::REBALANCE_IN_PROGRESS; 3], "member REBALANCE_IN_PROGRESS", 3),
    ];
    for (codes, judgement, left) in table {
        assert_eq!(judge(codes), (judgement.to_owned(), left));
    }
}

#[test]
fn a_partition_that_the_answer_leaves_out_is_not_committed() {
    let mut round = round();
    let judgement = round.judge(&OffsetCommitResponse::default());
    assert!(matches!(judgement, Judgement::Failed(error) if error.kind() == ErrorKind::Protocol));
    assert_eq!(round.partitions().len(), 3);
}

fn wanted() -> Vec<TopicPartition> {
    ["a", "a", "b"]
        .into_iter()
        .zip([1, 0, 0])
        .map(|(topic, partition)| TopicPartition::new(topic, partition))
        .collect()
}

#[test]
fn a_fetch_has_the_form_of_its_version() {
    let old =
        OffsetFetchRequestTopic { name: "a".into(), partition_indexes: vec![1, 0], ..Default::default() };
    let other =
        OffsetFetchRequestTopic { name: "b".into(), partition_indexes: vec![0], ..Default::default() };
    let expected = OffsetFetchRequest {
        group_id: "g".into(),
        topics: Some(vec![old, other]),
        require_stable: false,
        ..Default::default()
    };
    assert_eq!(fetch_request("g", &Membership::none(), &wanted(), &by_name(), 6), expected);
    assert_eq!(
        fetch_request("g", &Membership::none(), &wanted(), &by_name(), 7),
        OffsetFetchRequest { require_stable: true, ..expected }
    );

    let new =
        OffsetFetchRequestTopics { name: "a".into(), partition_indexes: vec![1, 0], ..Default::default() };
    let other =
        OffsetFetchRequestTopics { name: "b".into(), partition_indexes: vec![0], ..Default::default() };
    let group = OffsetFetchRequestGroup {
        group_id: "g".into(),
        topics: Some(vec![new, other]),
        ..Default::default()
    };
    let expected = OffsetFetchRequest { groups: vec![group], require_stable: true, ..Default::default() };
    assert_eq!(fetch_request("g", &Membership::none(), &wanted(), &by_name(), 8), expected);
}

/// The answer in which `a-0` is committed at 7 with all there is, `a-1` is not committed and `b-0` has `code`.
fn fetched(code: ErrorCode, version: i16) -> OffsetFetchResponse {
    if version < 8 {
        let partition = |partition_index, committed_offset, error_code| OffsetFetchResponsePartition {
            partition_index,
            committed_offset,
            error_code,
            ..Default::default()
        };
        let full = OffsetFetchResponsePartition {
            committed_leader_epoch: 3,
            metadata: Some("note".into()),
            ..partition(0, 7, ErrorCode::NONE)
        };
        let topic = |name: &str, partitions| OffsetFetchResponseTopic {
            name: name.into(),
            partitions,
            ..Default::default()
        };
        let topics = vec![
            topic("a", vec![full, partition(1, -1, ErrorCode::NONE)]),
            topic("b", vec![partition(0, -1, code)]),
        ];
        return OffsetFetchResponse { topics, ..Default::default() };
    }
    let partition = |partition_index, committed_offset, error_code| OffsetFetchResponsePartitions {
        partition_index,
        committed_offset,
        error_code,
        ..Default::default()
    };
    let full = OffsetFetchResponsePartitions {
        committed_leader_epoch: 3,
        metadata: Some("note".into()),
        ..partition(0, 7, ErrorCode::NONE)
    };
    let topic = |name: &str, partitions| OffsetFetchResponseTopics {
        name: name.into(),
        partitions,
        ..Default::default()
    };
    let topics = vec![
        topic("a", vec![full, partition(1, -1, ErrorCode::NONE)]),
        topic("b", vec![partition(0, -1, code)]),
    ];
    let group = OffsetFetchResponseGroup { group_id: "g".into(), topics, ..Default::default() };
    OffsetFetchResponse { groups: vec![group], ..Default::default() }
}

#[test]
fn an_error_about_a_partition_is_never_taken_for_no_offset() {
    for version in [6, 9] {
        for (code, expected) in [
            (ErrorCode::UNSTABLE_OFFSET_COMMIT, Some(ErrorCode::UNSTABLE_OFFSET_COMMIT)),
            (ErrorCode::TOPIC_AUTHORIZATION_FAILED, None),
        ] {
            let (mut pending, mut found) = (wanted(), HashMap::new());
            let judgement = judge_fetch("g", &mut pending, &mut found, &by_name(), &fetched(code, version));
            match (judgement, expected) {
                (Judgement::Retry { code, elsewhere: false }, Some(expected)) => assert_eq!(code, expected),
                (Judgement::Failed(error), None) => assert_eq!(error.kind(), ErrorKind::Authorization),
                other => panic!("{other:?}"),
            }
            assert_eq!(pending, [TopicPartition::new("b", 0)]);
            let offset = OffsetAndMetadata { offset: 7, leader_epoch: Some(3), metadata: "note".into() };
            let full = TopicOffset { offset, topic_id: None };
            let expected = HashMap::from([
                (TopicPartition::new("a", 0), Some(full)),
                (TopicPartition::new("a", 1), None),
            ]);
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn an_error_of_the_group_settles_nothing() {
    let group = OffsetFetchResponseGroup {
        group_id: "g".into(),
        error_code: ErrorCode::NOT_COORDINATOR,
        ..Default::default()
    };
    let answers = [
        OffsetFetchResponse { groups: vec![group], ..Default::default() },
        OffsetFetchResponse { error_code: ErrorCode::NOT_COORDINATOR, ..Default::default() },
    ];
    for answer in answers {
        let (mut pending, mut found) = (wanted(), HashMap::new());
        let judgement = judge_fetch("g", &mut pending, &mut found, &by_name(), &answer);
        assert!(matches!(judgement, Judgement::Retry { code: ErrorCode::NOT_COORDINATOR, elsewhere: true }));
        assert_eq!((pending.len(), found.len()), (3, 0));
    }
}

#[test]
fn a_fetch_names_the_member_where_it_has_an_epoch_and_the_version_has_a_place_for_it() {
    let modern = Membership { has_epochs: true, ..member() };
    let named = |member: &Membership, version: i16| {
        let request = fetch_request("g", member, &wanted(), &by_name(), version);
        let group = request.groups.into_iter().next().expect("a group");
        (group.member_id, group.member_epoch)
    };
    assert_eq!(named(&modern, 9), (Some("m".to_owned()), 4));
    assert_eq!(named(&modern, 8), (None, -1));
    assert_eq!(named(&member(), 9), (None, -1));
    assert_eq!(named(&Membership { has_epochs: true, ..Membership::none() }, 9), (None, -1));
}
