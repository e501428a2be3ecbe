use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::uuid::Uuid;

use super::{Script, Shelf, claims, enter, hold, join, shelf, stay, topic_id};
use crate::groups::GroupOptions;

fn script() -> Script {
    Script::new(GroupOptions::default())
}

fn by(member_id: &str, generation: i32, offset: i64) -> OffsetCommitRequest {
    at(member_id, generation, "a", 0, offset)
}

fn at(member_id: &str, generation: i32, topic: &str, partition: i32, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        partition_index: partition,
        committed_offset: offset,
        committed_leader_epoch: 3,
        committed_metadata: Some("note".into()),
        ..Default::default()
    };
    let topic =
        OffsetCommitRequestTopic { name: topic.into(), partitions: vec![partition], ..Default::default() };
    OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: generation,
        member_id: member_id.into(),
        topics: vec![topic],
        ..Default::default()
    }
}

fn in_transaction(producer_id: i64, epoch: i16, offset: i64) -> TxnOffsetCommitRequest {
    let partition = TxnOffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
    let topic =
        TxnOffsetCommitRequestTopic { name: "a".into(), partitions: vec![partition], ..Default::default() };
    TxnOffsetCommitRequest {
        transactional_id: "t".into(),
        group_id: "g".into(),
        producer_id,
        producer_epoch: epoch,
        topics: vec![topic],
        ..Default::default()
    }
}

impl Script {
    fn commit(&mut self, version: i16, request: &OffsetCommitRequest) -> ErrorCode {
        let response = self.groups.handle_offset_commit(self.now, version, request);
        assert_eq!(response.topics[0].name, request.topics[0].name);
        response.topics[0].partitions[0].error_code
    }

    fn commit_pending(&mut self, request: &TxnOffsetCommitRequest) -> ErrorCode {
        let response = self.groups.handle_txn_offset_commit(self.now, 3, request);
        response.topics[0].partitions[0].error_code
    }

    /// Offset, leader epoch, metadata and error of partition 0 of `a`.
    fn fetch(&mut self, require_stable: bool) -> (i64, i32, String, ErrorCode) {
        let topic =
            OffsetFetchRequestTopics { name: "a".into(), partition_indexes: vec![0], ..Default::default() };
        let request =
            OffsetFetchRequestGroup { group_id: "g".into(), topics: Some(vec![topic]), ..Default::default() };
        let group = self.groups.handle_offset_fetch(8, &request, require_stable);
        assert_eq!(group.error_code, ErrorCode::NONE);
        let one = group.topics[0].partitions[0].clone();
        (one.committed_offset, one.committed_leader_epoch, one.metadata.unwrap_or_default(), one.error_code)
    }

    fn offset(&mut self) -> i64 {
        self.fetch(false).0
    }
}

#[test]
fn anybody_may_commit_for_a_group_without_members_and_fetch_it_again() {
    let mut script = script();
    assert_eq!(script.fetch(true), (-1, -1, String::new(), ErrorCode::NONE));
    assert_eq!(script.commit(9, &by("", -1, 7)), ErrorCode::NONE);
    assert_eq!(script.fetch(true), (7, 3, "note".into(), ErrorCode::NONE));
    assert_eq!(script.state(), "Empty");
    assert_eq!(script.groups.list(&Default::default())[0].protocol_type, "");
}

#[test]
fn a_commit_without_membership_is_refused_while_there_are_members() {
    let mut script = script();
    script.stable(1);
    assert_eq!(script.commit(8, &by("", -1, 7)), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_classic_member_commits_in_its_generation_and_not_while_it_should_sync() {
    let mut script = script();
    let (ids, generation) = script.stable(1);
    assert_eq!(script.commit(8, &by(&ids[0], generation, 7)), ErrorCode::NONE);
    assert_eq!(script.commit(8, &by(&ids[0], generation - 1, 7)), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(script.commit(8, &by("nobody", generation, 7)), ErrorCode::UNKNOWN_MEMBER_ID);
    let newcomer = script.new_id();
    script.send_join(9, &join(&newcomer));
    assert_eq!(script.commit(8, &by(&ids[0], generation, 8)), ErrorCode::NONE, "before it joins again");
    script.send_join(9, &join(&ids[0]));
    assert_eq!(script.commit(8, &by(&ids[0], generation + 1, 9)), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(script.offset(), 8);
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let mut script = script();
    let (ids, generation) = script.stable(1);
    for offset in 0..4 {
        script.seconds(8);
        assert_eq!(script.commit(8, &by(&ids[0], generation, offset)), ErrorCode::NONE);
    }
}

#[test]
fn a_member_of_a_group_that_is_gone_hears_so_in_the_words_of_its_version() {
    let mut script = script();
    assert_eq!(script.commit(8, &by("m", 3, 7)), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(script.commit(9, &by("m", 3, 7)), ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(script.state(), "");
}

#[test]
fn what_does_not_exist_or_is_too_long_is_refused_by_itself() {
    let mut script = script();
    assert_eq!(script.commit(9, &at("", -1, "none", 0, 7)), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(script.commit(9, &at("", -1, "a", 4, 7)), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(script.commit(9, &at("", -1, "a", -1, 7)), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let mut long = by("", -1, 7);
    long.topics[0].partitions[0].committed_metadata = Some("x".repeat(4_097));
    assert_eq!(script.commit(9, &long), ErrorCode::OFFSET_METADATA_TOO_LARGE);
    long.topics[0].partitions[0].committed_metadata = Some("x".repeat(4_096));
    assert_eq!(script.commit(9, &long), ErrorCode::NONE);
}

#[test]
fn from_version_10_on_topics_go_by_id() {
    let mut script = script();
    let mut request = at("", -1, "", 0, 7);
    request.topics[0].topic_id = topic_id("a", 1);
    assert_eq!(script.commit(10, &request), ErrorCode::NONE);
    request.topics[0].topic_id = topic_id("a", 2);
    assert_eq!(script.commit(10, &request), ErrorCode::UNKNOWN_TOPIC_ID);
    let fetch = |ids: Option<&[Uuid]>| OffsetFetchRequestGroup {
        group_id: "g".into(),
        topics: ids.map(|ids| {
            let topic = |id: &Uuid| OffsetFetchRequestTopics {
                topic_id: *id,
                partition_indexes: vec![0],
                ..Default::default()
            };
            ids.iter().map(topic).collect()
        }),
        ..Default::default()
    };
    let some =
        script.groups.handle_offset_fetch(10, &fetch(Some(&[topic_id("a", 1), topic_id("z", 1)])), true);
    assert_eq!(some.topics[0].partitions[0].committed_offset, 7);
    assert_eq!(some.topics[1].partitions[0].error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    let all = script.groups.handle_offset_fetch(10, &fetch(None), true);
    assert_eq!((all.topics.len(), all.topics[0].topic_id), (1, topic_id("a", 1)));
}

#[test]
fn offsets_of_a_topic_go_with_it() {
    let mut script = script();
    script.commit(9, &by("", -1, 7));
    let anew = Shelf([("a", (2, 4))].into());
    script.groups.handle_topics(&anew);
    assert_eq!(script.offset(), -1);
    script.commit(9, &by("", -1, 8));
    assert_eq!(script.offset(), 8);
}

#[test]
fn a_consumer_group_member_commits_in_its_epoch_or_what_it_has_had_since() {
    let mut script = script();
    script.heartbeat(&enter("m1", &["a"]));
    assert_eq!(script.commit(9, &by("m1", 2, 5)), ErrorCode::NONE);
    assert_eq!(script.commit(8, &by("m1", 2, 5)), ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!(script.commit(9, &by("m1", 3, 6)), ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!(script.commit(9, &by("m2", 2, 6)), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(script.commit(9, &by("", -1, 6)), ErrorCode::UNKNOWN_MEMBER_ID);
    script.heartbeat(&enter("m2", &["a"]));
    script.seconds(1);
    script.heartbeat(&stay("m1", 2));
    assert_eq!(script.commit(9, &at("m1", 2, "a", 3, 6)), ErrorCode::NONE, "it has yet to give it up");
    script.heartbeat(&hold("m1", 2, &[("a", &[0, 1])]));
    script.heartbeat(&stay("m2", 2));
    assert_eq!(script.commit(9, &by("m1", 2, 6)), ErrorCode::NONE, "it has had partition 0 since epoch 2");
    assert_eq!(script.commit(9, &at("m1", 2, "a", 3, 6)), ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!(
        script.commit(9, &at("m2", 2, "a", 3, 6)),
        ErrorCode::STALE_MEMBER_EPOCH,
        "only since epoch 3"
    );
    assert_eq!(script.commit(9, &at("m2", 3, "a", 3, 6)), ErrorCode::NONE);
}

#[test]
fn a_consumer_group_member_fetches_in_its_epoch_only() {
    let mut script = script();
    script.heartbeat(&enter("m1", &["a"]));
    let fetch = |member_id: Option<&str>, member_epoch| OffsetFetchRequestGroup {
        group_id: "g".into(),
        member_id: member_id.map(Into::into),
        member_epoch,
        topics: None,
        ..Default::default()
    };
    let mut code = |request| script.groups.handle_offset_fetch(9, &request, true).error_code;
    assert_eq!(code(fetch(Some("m1"), 2)), ErrorCode::NONE);
    assert_eq!(code(fetch(Some("m1"), 1)), ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!(code(fetch(Some("m2"), 2)), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(code(fetch(None, -1)), ErrorCode::NONE);
}

#[test]
fn pending_offsets_are_unstable_until_their_transaction_ends() {
    let mut script = script();
    script.commit(9, &by("", -1, 5));
    assert_eq!(script.commit_pending(&in_transaction(1, 0, 9)), ErrorCode::NONE);
    assert_eq!(script.fetch(true), (-1, -1, String::new(), ErrorCode::UNSTABLE_OFFSET_COMMIT));
    assert_eq!(script.fetch(false), (5, 3, "note".into(), ErrorCode::NONE));
    script.groups.complete_transaction(1, 0, true);
    assert_eq!(script.fetch(true), (9, -1, String::new(), ErrorCode::NONE));
    script.commit_pending(&in_transaction(1, 0, 11));
    script.groups.complete_transaction(1, 0, false);
    assert_eq!(script.fetch(true).0, 9);
}

#[test]
fn of_two_commits_the_later_counts_however_late_the_transaction_ends() {
    let mut script = script();
    script.commit_pending(&in_transaction(1, 0, 9));
    script.commit(9, &by("", -1, 12));
    script.groups.complete_transaction(1, 0, true);
    assert_eq!(script.offset(), 12);
}

#[test]
fn transactions_end_by_themselves() {
    let mut script = script();
    script.commit_pending(&in_transaction(1, 0, 9));
    script.commit_pending(&in_transaction(2, 0, 10));
    script.groups.complete_transaction(1, 0, true);
    assert_eq!(script.fetch(true).3, ErrorCode::UNSTABLE_OFFSET_COMMIT);
    script.groups.complete_transaction(2, 0, true);
    assert_eq!(script.fetch(true).0, 10);
}

#[test]
fn a_producer_of_an_older_epoch_is_refused() {
    let mut script = script();
    script.commit_pending(&in_transaction(1, 4, 9));
    assert_eq!(script.commit_pending(&in_transaction(1, 3, 10)), ErrorCode::INVALID_PRODUCER_EPOCH);
    script.groups.complete_transaction(1, 5, false);
    assert_eq!(script.commit_pending(&in_transaction(1, 4, 10)), ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(script.commit_pending(&in_transaction(1, 5, 10)), ErrorCode::NONE);
}

#[test]
fn transactional_commits_name_the_member_or_none() {
    let mut script = script();
    let (ids, generation) = script.stable(1);
    let by = |member_id: &str, generation_id| TxnOffsetCommitRequest {
        member_id: member_id.into(),
        generation_id,
        ..in_transaction(1, 0, 9)
    };
    assert_eq!(script.commit_pending(&in_transaction(1, 0, 9)), ErrorCode::NONE, "older clients don't say");
    assert_eq!(script.commit_pending(&by(&ids[0], generation)), ErrorCode::NONE);
    assert_eq!(script.commit_pending(&by(&ids[0], generation - 1)), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(script.commit_pending(&by("nobody", generation)), ErrorCode::UNKNOWN_MEMBER_ID);
    let elsewhere = TxnOffsetCommitRequest { group_id: "other".into(), ..by("m", 3) };
    assert_eq!(script.commit_pending(&elsewhere), ErrorCode::ILLEGAL_GENERATION);
    let nowhere = TxnOffsetCommitRequest { group_id: String::new(), ..by("m", 3) };
    assert_eq!(script.commit_pending(&nowhere), ErrorCode::INVALID_GROUP_ID);
}

#[test]
fn a_stale_epoch_in_a_transaction_is_an_illegal_generation() {
    let mut script = script();
    script.heartbeat(&enter("m1", &["a"]));
    let by = |generation_id| TxnOffsetCommitRequest {
        member_id: "m1".into(),
        generation_id,
        ..in_transaction(1, 0, 9)
    };
    assert_eq!(script.commit_pending(&by(2)), ErrorCode::NONE);
    assert_eq!(script.commit_pending(&by(3)), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(script.commit_pending(&by(1)), ErrorCode::ILLEGAL_GENERATION);
}

#[test]
fn offsets_are_deleted_but_for_topics_that_members_read() {
    let mut script = script();
    let delete = |topic: &str| OffsetDeleteRequest {
        group_id: "g".into(),
        topics: vec![OffsetDeleteRequestTopic {
            name: topic.into(),
            partitions: vec![OffsetDeleteRequestPartition { partition_index: 0, ..Default::default() }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let code = |script: &mut Script, topic: &str| {
        let response = script.groups.handle_offset_delete(&delete(topic));
        assert_eq!(response.error_code, ErrorCode::NONE);
        response.topics[0].partitions[0].error_code
    };
    assert_eq!(script.groups.handle_offset_delete(&delete("a")).error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    let (ids, generation) = script.stable(1);
    script.commit(8, &by(&ids[0], generation, 7));
    assert_eq!(code(&mut script, "a"), ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);
    assert_eq!(code(&mut script, "b"), ErrorCode::NONE);
    assert_eq!(script.offset(), 7);
    script.leave(&[(&ids[0], None)]);
    assert_eq!(code(&mut script, "a"), ErrorCode::NONE);
    assert_eq!(script.offset(), -1);
    assert_eq!(code(&mut script, "none"), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn deleting_a_group_deletes_its_offsets_pending_ones_included() {
    let mut script = script();
    script.commit(9, &by("", -1, 7));
    script.commit_pending(&in_transaction(1, 0, 9));
    assert_eq!(script.groups.delete("g").error_code, ErrorCode::NONE);
    assert_eq!(script.fetch(true), (-1, -1, String::new(), ErrorCode::NONE));
    script.groups.complete_transaction(1, 0, true);
    assert_eq!(script.offset(), -1);
}

#[test]
fn offsets_stay_when_an_empty_group_changes_its_kind() {
    let mut script = script();
    script.groups.handle_topics(&shelf(&[("a", 4)]));
    script.commit(9, &by("", -1, 7));
    let entered = script.heartbeat(&enter("m1", &["a"]));
    assert_eq!(super::assigned(&entered), Some(claims(&[("a", &[0, 1, 2, 3])])));
    assert_eq!(script.offset(), 7);
}

const DAY: u64 = 24 * 60 * 60;

#[test]
fn offsets_of_a_group_that_nobody_joined_expire_by_their_commit_and_the_group_goes_with_them() {
    let mut script = script();
    script.commit(9, &by("", -1, 7));
    script.seconds(4 * DAY);
    script.commit(9, &at("", -1, "a", 1, 8));
    script.seconds(3 * DAY + 600);
    assert_eq!(script.offset(), -1);
    assert_eq!(script.state(), "Empty");
    script.seconds(4 * DAY + 600);
    assert_eq!(script.groups.list(&Default::default()), []);
}

#[test]
fn offsets_expire_by_when_the_last_member_left_and_never_before() {
    let hour = 60 * 60;
    let offsets_retention = std::time::Duration::from_secs(hour);
    let mut script = Script::new(GroupOptions { offsets_retention, ..GroupOptions::default() });
    let (ids, generation) = script.stable(1);
    script.commit(8, &by(&ids[0], generation, 7));
    for _ in 0..2 * hour / 8 {
        script.seconds(8);
        assert_eq!(script.beat(&ids[0], generation), ErrorCode::NONE);
    }
    assert_eq!(script.offset(), 7);
    script.leave(&[(&ids[0], None)]);
    script.seconds(hour - 1);
    assert_eq!(script.offset(), 7);
    script.seconds(601);
    assert_eq!(script.offset(), -1);
    assert_eq!(script.groups.list(&Default::default()), []);
}
