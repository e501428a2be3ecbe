use super::*;
use crate::subscription::{Start, Subscription};

fn generation() -> Generation {
    let mut subscription = Subscription::default();
    subscription.add(TopicPartition::new("x", 0), Start::Offset(0), false);
    subscription.iter().next().unwrap().1.generation
}

fn want(topic: &str, partition: i32, offset: i64) -> (TopicPartition, Wanted) {
    let topic_id = Uuid([topic.as_bytes()[0]; 16]);
    let wanted = Wanted { topic_id, leader_epoch: 3, offset, max_bytes: 100, generation: generation() };
    (TopicPartition::new(topic, partition), wanted)
}

/// `topic-partition@offset` of what is sent, and of what is forgotten.
fn shape(request: &SessionRequest) -> (i32, i32, Vec<String>, Vec<String>) {
    let sent = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|p| format!("{}-{}@{}", topic.topic, p.partition, p.fetch_offset))
    });
    let forgotten = request
        .forgotten
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| format!("{}-{partition}", topic.topic)));
    (request.session_id, request.session_epoch, sent.collect(), forgotten.collect())
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn after_the_first_request_only_changes_are_sent() {
    let mut session = FetchSession::default();
    let first = session.request(vec![want("a", 0, 5), want("a", 1, 6), want("b", 0, 7)], true);
    assert_eq!(shape(&first), (0, 0, strings(&["a-0@5", "a-1@6", "b-0@7"]), vec![]));
    assert_eq!(first.topics.len(), 2);
    session.handle_response(77, ErrorCode::NONE);

    let second = session.request(vec![want("a", 0, 5), want("a", 1, 9), want("c", 0, 1)], true);
    assert_eq!(shape(&second), (77, 1, strings(&["a-1@9", "c-0@1"]), strings(&["b-0"])));
    session.handle_response(77, ErrorCode::NONE);
    assert_eq!(
        shape(&session.request(vec![want("a", 0, 5), want("a", 1, 9), want("c", 0, 1)], true)),
        (77, 2, vec![], vec![])
    );
}

#[test]
fn a_broker_without_room_for_sessions_is_told_everything_each_time() {
    let mut session = FetchSession::default();
    for _ in 0..3 {
        assert_eq!(shape(&session.request(vec![want("a", 0, 5)], true)), (0, 0, strings(&["a-0@5"]), vec![]));
        session.handle_response(0, ErrorCode::NONE);
    }
}

#[test]
fn a_session_that_the_broker_forgot_is_opened_anew() {
    let mut session = FetchSession::default();
    session.request(vec![want("a", 0, 5)], true);
    session.handle_response(77, ErrorCode::NONE);
    session.request(vec![want("a", 0, 5)], true);
    session.handle_response(0, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    assert_eq!(shape(&session.request(vec![want("a", 0, 5)], true)), (0, 0, strings(&["a-0@5"]), vec![]));
}

#[test]
fn after_an_epoch_that_disagrees_or_a_lost_answer_the_old_session_is_closed_by_the_full_request() {
    for fail in [
        |session: &mut FetchSession| session.handle_response(0, ErrorCode::INVALID_FETCH_SESSION_EPOCH),
        |session: &mut FetchSession| session.handle_response(0, ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR),
        |session: &mut FetchSession| session.handle_failure(),
    ] {
        let mut session = FetchSession::default();
        session.request(vec![want("a", 0, 5)], true);
        session.handle_response(77, ErrorCode::NONE);
        session.request(vec![want("a", 0, 6)], true);
        fail(&mut session);
        assert_eq!(
            shape(&session.request(vec![want("a", 0, 6)], true)),
            (77, 0, strings(&["a-0@6"]), vec![])
        );
        session.handle_response(78, ErrorCode::NONE);
        assert_eq!(shape(&session.request(vec![want("a", 0, 6)], true)), (78, 1, vec![], vec![]));
    }
}

#[test]
fn a_topic_that_was_made_anew_is_forgotten_by_its_old_id_and_sent_by_the_new_one() {
    let mut session = FetchSession::default();
    session.request(vec![want("a", 0, 5)], true);
    session.handle_response(77, ErrorCode::NONE);
    let (name, old) = want("a", 0, 5);
    let new = Wanted { topic_id: Uuid([9; 16]), ..old };
    let request = session.request(vec![(name.clone(), new)], true);
    assert_eq!(shape(&request), (77, 1, strings(&["a-0@5"]), strings(&["a-0"])));
    assert_eq!((request.topics[0].topic_id, request.forgotten[0].topic_id), (Uuid([9; 16]), old.topic_id));
    assert_eq!(session.asked("", Uuid([9; 16]), 0), Some((name, new)));
    assert_eq!(session.asked("", old.topic_id, 0), None);
}

#[test]
fn a_change_between_names_and_ids_opens_another_session() {
    let mut session = FetchSession::default();
    session.request(vec![want("a", 0, 5)], true);
    session.handle_response(77, ErrorCode::NONE);
    assert_eq!(shape(&session.request(vec![want("a", 0, 5)], false)), (77, 0, strings(&["a-0@5"]), vec![]));
    assert_eq!(session.asked("a", Uuid::ZERO, 0).map(|(_, wanted)| wanted.offset), Some(5));
}

#[test]
fn a_seek_to_the_same_offset_is_not_sent_but_remembered() {
    let mut session = FetchSession::default();
    session.request(vec![want("a", 0, 5)], true);
    session.handle_response(77, ErrorCode::NONE);
    let mut subscription = Subscription::default();
    subscription.add(TopicPartition::new("x", 0), Start::Offset(0), false);
    subscription.seek(&TopicPartition::new("x", 0), Start::Offset(0));
    let sought = subscription.iter().next().unwrap().1.generation;
    let (name, wanted) = want("a", 0, 5);
    let request = session.request(vec![(name, Wanted { generation: sought, ..wanted })], true);
    assert_eq!(shape(&request), (77, 1, vec![], vec![]));
    assert_eq!(session.asked("", wanted.topic_id, 0).map(|(_, wanted)| wanted.generation), Some(sought));
}

#[test]
fn whoever_asks_anew_for_what_the_broker_says_nothing_of_is_told_where_the_log_ended() {
    let mut session = FetchSession::default();
    session.request(vec![want("a", 0, 5), want("b", 0, 6)], true);
    session.handle_response(77, ErrorCode::NONE);
    session.heard_end(&TopicPartition::new("a", 0), 5);
    assert_eq!(session.request(vec![want("a", 0, 5), want("b", 0, 6)], true).told, []);
    let mut subscription = Subscription::default();
    subscription.add(TopicPartition::new("x", 0), Start::Offset(0), false);
    subscription.seek(&TopicPartition::new("x", 0), Start::Offset(0));
    let sought = subscription.iter().next().unwrap().1.generation;
    let anew = |topic, offset| {
        let (name, wanted) = want(topic, 0, offset);
        (name, Wanted { generation: sought, ..wanted })
    };
    let told = [Told { partition: TopicPartition::new("a", 0), generation: sought, end: 5 }];
    let changes = [anew("a", 3), anew("b", 6)].map(|(name, wanted)| (name, Some(wanted)));
    session.handle_response(77, ErrorCode::NONE);
    assert_eq!(session.request_changes(changes.to_vec()).told, told);
    // What a session says is said anew by the next.
    session.handle_failure();
    assert_eq!(session.request(vec![want("a", 0, 3)], true).told, []);
}

#[test]
fn in_a_session_by_names_a_topic_that_was_made_anew_is_not_forgotten() {
    for by_changes in [false, true] {
        let mut session = FetchSession::default();
        session.request(vec![want("a", 0, 5)], false);
        session.handle_response(77, ErrorCode::NONE);
        let (name, old) = want("a", 0, 5);
        let new = Wanted { topic_id: Uuid([9; 16]), offset: 0, ..old };
        let request = match by_changes {
            true => session.request_changes(vec![(name, Some(new))]),
            false => session.request(vec![(name, new)], false),
        };
        assert_eq!(shape(&request), (77, 1, strings(&["a-0@0"]), vec![]));
    }
}

#[test]
fn only_a_session_that_is_open_is_closed_and_only_once() {
    let mut session = FetchSession::default();
    assert_eq!(session.close(), None);
    session.request(vec![want("a", 0, 5)], true);
    session.handle_response(77, ErrorCode::NONE);
    assert_eq!(session.close().as_ref().map(shape), Some((77, -1, vec![], vec![])));
    assert_eq!(session.close(), None);
}

#[test]
fn epochs_wrap_to_one() {
    let mut session = FetchSession { id: 5, epoch: i32::MAX, with_ids: true, ..Default::default() };
    session.handle_response(5, ErrorCode::NONE);
    assert_eq!(session.epoch, 1);
}

#[test]
fn a_topic_that_the_turn_of_the_list_splits_is_sent_once() {
    let mut session = FetchSession::default();
    let wanted = vec![want("a", 1, 5), want("b", 0, 6), want("c", 0, 7), want("a", 0, 8)];
    let request = session.request(wanted, true);
    assert_eq!(shape(&request).2, strings(&["a-1@5", "a-0@8", "b-0@6", "c-0@7"]));
    assert_eq!(request.topics.len(), 3);
}
