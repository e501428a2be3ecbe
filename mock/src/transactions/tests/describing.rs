use super::*;

fn listed(script: &Script, request: &ListTransactionsRequest) -> Vec<String> {
    let answer = script.coordinator.handle_list(script.now, request, |id| id != "elsewhere");
    answer.transaction_states.into_iter().map(|state| state.transactional_id).collect()
}

fn busy() -> Script {
    let mut script = script();
    for id in ["committed", "elsewhere", "empty", "ongoing", "preparing"] {
        script.init(id).unwrap();
    }
    script.write("committed", (0, 0), 1).unwrap();
    script.end("committed", (0, 0), true).unwrap();
    script.settle();
    script.pass(10);
    script.write("preparing", (4, 0), 1).unwrap();
    script.end("preparing", (4, 0), false).unwrap();
    script.pass(10);
    script.write("ongoing", (3, 0), 2).unwrap();
    script.write("ongoing", (3, 0), 1).unwrap();
    script.admit("ongoing", (3, 0), Target::Group("g".to_owned()), WriterKind::Implicit).unwrap();
    script
}

#[test]
fn a_description_says_what_is_in_the_transaction() {
    let script = busy();
    let described =
        script.coordinator.describe("ongoing", |group| ("__consumer_offsets", group.len() as i32 + 16));
    assert_eq!(described.error_code, ErrorCode::NONE);
    assert_eq!(
        (described.transactional_id.as_str(), described.transaction_state.as_str()),
        ("ongoing", "Ongoing")
    );
    assert_eq!((described.producer_id, described.producer_epoch), (3, 0));
    assert_eq!(described.transaction_timeout_ms, TIMEOUT_MS);
    assert_eq!(described.transaction_start_time_ms, EPOCH_MS + 20);
    let topics: Vec<(&str, &[i32])> =
        described.topics.iter().map(|data| (data.topic.as_str(), &data.partitions[..])).collect();
    assert_eq!(topics, [("__consumer_offsets", &[17][..]), ("t", &[1, 2][..])]);

    let describe = |id: &str| {
        let described = script.coordinator.describe(id, |_| ("", 0));
        (described.error_code, described.transaction_state, described.transaction_start_time_ms)
    };
    assert_eq!(describe("empty"), (ErrorCode::NONE, "Empty".to_owned(), -1));
    assert_eq!(describe("preparing"), (ErrorCode::NONE, "PrepareAbort".to_owned(), EPOCH_MS + 10));
    assert_eq!(describe("committed"), (ErrorCode::NONE, "CompleteCommit".to_owned(), EPOCH_MS));
    assert_eq!(describe("").0, ErrorCode::INVALID_REQUEST);
    assert_eq!(describe("nobody").0, ErrorCode::TRANSACTIONAL_ID_NOT_FOUND);
}

#[test]
fn a_list_holds_what_passes_all_filters() {
    let mut script = busy();
    let all = ListTransactionsRequest::default();
    assert_eq!(listed(&script, &all), ["committed", "empty", "ongoing", "preparing"]);
    let by_state = ListTransactionsRequest {
        state_filters: vec!["Ongoing".to_owned(), "Odd".to_owned(), "Dead".to_owned(), "Empty".to_owned()],
        ..Default::default()
    };
    assert_eq!(listed(&script, &by_state), ["empty", "ongoing"]);
    let answer = script.coordinator.handle_list(script.now, &by_state, |_| true);
    assert_eq!(answer.unknown_state_filters, ["Odd"]);
    assert_eq!(answer.transaction_states[2].producer_id, 3);
    assert_eq!(answer.transaction_states[2].transaction_state, "Ongoing");
    let by_producer = ListTransactionsRequest { producer_id_filters: vec![3, 0, 99], ..Default::default() };
    assert_eq!(listed(&script, &by_producer), ["committed", "ongoing"]);
    script.pass(5);
    let by_duration =
        ListTransactionsRequest { duration_filter: 5, producer_id_filters: vec![3, 4], ..Default::default() };
    assert_eq!(listed(&script, &by_duration), ["preparing"]);
}
