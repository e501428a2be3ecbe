use super::*;

fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: "t".into(), partition }
}

fn id(sequence: u64) -> Id {
    Id { producer: 1, sequence }
}

fn sent(sequence: u64, outcome: Outcome) -> Sent {
    Sent { id: id(sequence), partition: at(0), outcome }
}

fn acknowledged(sequence: u64, offset: i64) -> Sent {
    sent(sequence, Outcome::Acknowledged { offset: Some(offset) })
}

fn read(sequence: u64, offset: i64) -> Read {
    Read { reader: 7, id: id(sequence), partition: at(0), offset }
}

/// Five records, all acknowledged and all read, to plant a fault in.
fn history() -> (Vec<Sent>, Vec<Read>) {
    let sent = (0..5).map(|n| acknowledged(n, n as i64)).collect();
    let read = (0..5).map(|n| read(n, n as i64)).collect();
    (sent, read)
}

#[test]
fn a_history_without_fault_is_clean() {
    let (sent, read) = history();
    assert_eq!(check(&sent, &read), [""; 0]);
    assert_eq!(check(&[], &[]), [""; 0]);
}

#[test]
fn partitions_and_producers_have_orders_of_their_own() {
    let place = |producer, sequence, partition, offset| {
        let id = Id { producer, sequence };
        let acknowledged = Outcome::Acknowledged { offset: Some(offset) };
        let partition = at(partition);
        (
            Sent { id, partition: partition.clone(), outcome: acknowledged },
            Read { reader: 7, id, partition, offset },
        )
    };
    let (sent, read): (Vec<_>, Vec<_>) =
        [place(1, 4, 0, 0), place(1, 2, 1, 0), place(2, 3, 0, 1), place(2, 9, 0, 2), place(1, 5, 0, 3)]
            .into_iter()
            .unzip();
    assert_eq!(check(&sent, &read), [""; 0]);
}

#[test]
fn a_planted_loss_is_found() {
    let (sent, mut read) = history();
    read.remove(2);
    assert_eq!(check(&sent, &read), ["lost: 1#2 was acknowledged at t-0 offset 2 and never read"]);
}

#[test]
fn a_planted_duplicate_is_found() {
    let (sent, mut history) = history();
    history.push(read(4, 5));
    assert_eq!(check(&sent, &history), ["duplicated: 1#4 is at t-0 offset 4, t-0 offset 5"]);
}

#[test]
fn a_record_handed_out_twice_is_found_unless_that_is_allowed() {
    let (sent, mut history) = history();
    history.insert(3, read(2, 2));
    history[3].reader = 8;
    assert_eq!(check(&sent, &history), ["read twice: 1#2 at t-0 offset 2 by readers 7 and 8"]);
    assert_eq!(check(&sent, &first_reads(&history)), [""; 0]);
}

#[test]
fn a_planted_swap_in_the_log_is_found() {
    let (mut sent, mut read) = history();
    (sent[1].outcome, sent[2].outcome) = (sent[2].outcome, sent[1].outcome);
    (read[1].id, read[2].id) = (id(2), id(1));
    assert_eq!(check(&sent, &read), ["reordered: t-0 has 1#2 at offset 1 before 1#1 at offset 2"]);
}

#[test]
fn a_reader_that_goes_back_is_found() {
    let (sent, mut read) = history();
    read.swap(3, 4);
    assert_eq!(check(&sent, &read), ["reordered: reader 7 got offset 3 of t-0 after offset 4"]);
}

#[test]
fn an_acknowledgement_that_names_a_wrong_place_is_found() {
    let (mut sent, read) = history();
    sent[4] = acknowledged(4, 9);
    assert_eq!(
        check(&sent, &read),
        ["misplaced: 1#4 was acknowledged at t-0 offset 9 and is at t-0 offset 4"]
    );
    sent[4] = acknowledged(4, 3);
    assert_eq!(
        check(&sent, &read),
        [
            "misplaced: 1#4 was acknowledged at t-0 offset 3 and is at t-0 offset 4",
            "misplaced: 1#3 and 1#4 were both acknowledged at t-0 offset 3"
        ]
    );
    sent[4] = Sent { partition: at(1), ..super::tests::sent(4, Outcome::Acknowledged { offset: None }) };
    assert_eq!(check(&sent, &read), ["misplaced: 1#4 was acknowledged at t-1 and is at t-0 offset 4"]);
}

#[test]
fn what_is_unknown_may_be_there_or_not_and_what_was_refused_may_not() {
    let (mut sent, mut read) = history();
    sent[4].outcome = Outcome::Unknown;
    assert_eq!(check(&sent, &read), [""; 0]);
    let last = read.pop();
    assert_eq!(check(&sent, &read), [""; 0]);
    sent[4].outcome = Outcome::Refused;
    assert_eq!(check(&sent, &read), [""; 0]);
    read.extend(last);
    assert_eq!(check(&sent, &read), ["unexpected: 1#4 is at t-0 offset 4 and was refused"]);
    sent.pop();
    assert_eq!(check(&sent, &read), ["unexpected: 1#4 is at t-0 offset 4 and was never sent"]);
}

#[test]
fn a_log_that_changes_is_found() {
    let (mut sent, mut history) = history();
    sent.push(super::tests::sent(5, Outcome::Unknown));
    history.push(read(5, 4));
    assert_eq!(check(&sent, &history), ["changed: t-0 offset 4 held 1#4 and then 1#5"]);
}

#[test]
fn a_payload_gives_its_id_back_and_a_damaged_one_does_not() {
    for len in [0, 16, 17, 100, 5_000] {
        let id = Id { producer: 3, sequence: 70_000_000_000 };
        let mut payload = id.payload(len);
        assert_eq!(payload.len(), len.max(16));
        assert_eq!(Id::parse(&payload), Ok(id));
        let last = payload.len() - 1;
        payload[last] ^= 1;
        assert!(Id::parse(&payload).is_err());
        payload.pop();
        assert!(Id::parse(&payload).is_err());
    }
    assert!(Id::parse(b"").is_err());
}

#[test]
fn a_ledger_judges_by_what_its_user_promises() {
    let ledger = Ledger::default();
    ledger.sent(id(0), at(0), Outcome::Acknowledged { offset: Some(0) });
    assert_eq!((ledger.acknowledged(), ledger.distinct_reads()), (1, 0));
    assert_eq!(ledger.exactly_once().len(), 1);
    for _ in 0..2 {
        ledger.pages().read(read(0, 0));
    }
    assert_eq!(ledger.distinct_reads(), 1);
    assert_eq!(ledger.exactly_once(), ["read twice: 1#0 at t-0 offset 0 by readers 7 and 7"]);
    assert_eq!(ledger.at_least_once(), [""; 0]);
}
