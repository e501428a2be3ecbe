use std::sync::Mutex;

use super::*;
use crate::completion::{Completion, Outcome, Part, Teller};
use crate::delivery::Delivery;
use crate::interceptor::{Interceptor, Interceptors, Sending};
use crate::record::Record;

type Log = Arc<Mutex<Vec<String>>>;

fn note(log: &Log, text: impl Into<String>) {
    log.lock().unwrap().push(text.into());
}

fn taken(log: &Log) -> Vec<String> {
    std::mem::take(&mut log.lock().unwrap())
}

/// A partition, its batches, and what its callbacks were told.
struct Bench {
    outbox: Arc<Outbox>,
    lineup: Lineup,
    log: Log,
}

impl Bench {
    fn new() -> Self {
        Bench { outbox: Arc::default(), lineup: Lineup::default(), log: Log::default() }
    }

    /// A batch with a callback at each of these places.
    fn batch(&mut self, callbacks: &[(u32, &'static str)]) -> Teller {
        let mut teller = Teller::new("t".into(), 0);
        for (index, name) in callbacks {
            let (log, name) = (Arc::clone(&self.log), *name);
            let callback: Callback = Box::new(move |outcome| {
                note(&log, format!("{name} {:?}", outcome.map(|delivered| delivered.offset)));
                assert_ne!(name, "panics", "as it should");
            });
            let mut unaccepted = Unaccepted::new(&self.outbox, "t", None, None, Some(callback));
            let delivery = Delivery::new(teller.share(), *index, 0);
            teller.attach(&delivery, &mut unaccepted.attach(), &mut self.lineup);
        }
        teller
    }
}

fn written(base: i64) -> Outcome {
    Outcome::Acknowledged { base_offset: Some(base), log_append_time: None }
}

#[test]
fn callbacks_wait_for_the_task_and_follow_the_order_of_records_not_of_outcomes() {
    let mut bench = Bench::new();
    let mut first = bench.batch(&[(0, "a"), (2, "b")]);
    let mut none = bench.batch(&[]);
    let mut second = bench.batch(&[(1, "c")]);
    second.tell(written(30));
    none.tell(written(20));
    bench.outbox.deliver();
    assert_eq!(taken(&bench.log), [""; 0], "the first batch's outcome is not known");
    first.tell(written(10));
    assert_eq!(taken(&bench.log), [""; 0], "nobody is called by whoever tells");
    bench.outbox.deliver();
    assert_eq!(taken(&bench.log), ["a Ok(Some(10))", "b Ok(Some(12))", "c Ok(Some(31))"]);
    bench.outbox.deliver();
    assert_eq!(taken(&bench.log), [""; 0]);
}

#[test]
fn other_partitions_are_not_waited_for() {
    let mut bench = Bench::new();
    let _first = bench.batch(&[(0, "a")]);
    bench.lineup = Lineup::default();
    bench.batch(&[(0, "b")]).tell(written(0));
    bench.outbox.deliver();
    assert_eq!(taken(&bench.log), ["b Ok(Some(0))"]);
}

#[test]
fn the_parts_of_a_split_batch_take_their_callbacks_along() {
    let mut bench = Bench::new();
    let mut whole = bench.batch(&[(0, "a"), (1, "b"), (3, "c")]);
    let mut last = bench.batch(&[(0, "d")]);
    let (mut left, mut right) = (whole.part(), whole.part());
    whole.hand_on(2, &mut left, &mut right);
    let part = |first, completion: Arc<Completion>| Part { first, completion };
    whole.tell(Outcome::Split([part(0, left.share()), part(2, right.share())].into()));
    last.tell(written(90));
    right.tell(written(50));
    bench.outbox.deliver();
    assert_eq!(taken(&bench.log), [""; 0]);
    let (mut one, mut two) = (left.part(), left.part());
    left.hand_on(1, &mut one, &mut two);
    left.tell(Outcome::Split([part(0, one.share()), part(1, two.share())].into()));
    two.tell(written(8));
    one.tell(written(7));
    bench.outbox.deliver();
    assert_eq!(taken(&bench.log), ["a Ok(Some(7))", "b Ok(Some(8))", "c Ok(Some(51))", "d Ok(Some(90))"]);
}

#[test]
fn a_part_without_attachments_holds_nobody_up() {
    let mut bench = Bench::new();
    let mut whole = bench.batch(&[(3, "a")]);
    let (mut left, mut right) = (whole.part(), whole.part());
    whole.hand_on(2, &mut left, &mut right);
    right.tell(written(5));
    bench.outbox.deliver();
    assert_eq!(taken(&bench.log), ["a Ok(Some(6))"]);
    whole.tell(written(0));
    left.tell(written(0));
}

#[test]
fn a_panic_concerns_nobody_else() {
    let mut bench = Bench::new();
    bench.batch(&[(0, "panics"), (1, "b")]).tell(written(0));
    bench.outbox.deliver();
    assert_eq!(taken(&bench.log), ["panics Ok(Some(0))", "b Ok(Some(1))"]);
    bench.batch(&[(0, "c")]).tell(written(5));
    bench.outbox.deliver();
    assert_eq!(taken(&bench.log), ["c Ok(Some(5))"]);
}

#[test]
fn when_the_task_is_gone_whoever_drops_a_batch_delivers() {
    let mut bench = Bench::new();
    let (told, untold) = (bench.batch(&[(0, "a")]), bench.batch(&[(0, "b")]));
    drop(told);
    bench.outbox.abandon();
    let text =
        "the producer's task ended before records for t-0 had an outcome (the broker may have received it)";
    assert_eq!(taken(&bench.log), [format!("a Err(Error(Closed: {text}))")]);
    drop(untold);
    assert_eq!(taken(&bench.log), [format!("b Err(Error(Closed: {text}))")]);
}

#[test]
fn a_completion_that_was_told_past_its_teller_still_reaches_the_callbacks() {
    let mut bench = Bench::new();
    let teller = bench.batch(&[(0, "a")]);
    teller.share().tell(written(4));
    drop(teller);
    bench.outbox.deliver();
    assert_eq!(taken(&bench.log), ["a Ok(Some(4))"]);
}

#[test]
fn a_callback_may_lead_to_further_callbacks() {
    let bench = Arc::new(Mutex::new(Bench::new()));
    let (outbox, log) = {
        let bench = bench.lock().unwrap();
        (Arc::clone(&bench.outbox), Arc::clone(&bench.log))
    };
    outbox.abandon();
    let again = Arc::clone(&bench);
    let callback: Callback = Box::new(move |_| {
        again.lock().unwrap().batch(&[(0, "b")]).tell(written(0));
        note(&again.lock().unwrap().log, "a");
    });
    let mut teller = Teller::new("t".into(), 1);
    let mut unaccepted = Unaccepted::new(&outbox, "t", None, None, Some(callback));
    let delivery = Delivery::new(teller.share(), 0, 0);
    teller.attach(&delivery, &mut unaccepted.attach(), &mut Lineup::default());
    drop(unaccepted);
    teller.tell(written(0));
    assert_eq!(taken(&log), ["a", "b Ok(Some(0))"], "one after the other");
}

struct Watches(&'static str, Log);

impl Interceptor for Watches {
    fn on_send(&self, sending: &mut Sending<'_>) {
        note(&self.1, format!("{} sends {}", self.0, sending.id().number()));
    }

    fn on_acknowledgement(&self, acknowledgement: &Acknowledgement<'_>) {
        let kind = acknowledgement.outcome().map_err(Error::kind).err();
        note(&self.1, format!("{} knows {} {kind:?}", self.0, acknowledgement.id().number()));
        assert_eq!((acknowledgement.topic(), acknowledgement.partition()), ("t", Some(3)));
        assert_ne!(self.0, "panics", "as it should");
    }
}

#[test]
fn a_record_that_is_in_no_batch_is_acknowledged_when_it_fails_or_is_dropped() {
    let log = Log::default();
    let all: Vec<Arc<dyn Interceptor>> =
        vec![Arc::new(Watches("panics", Arc::clone(&log))), Arc::new(Watches("second", Arc::clone(&log)))];
    let outbox = Outbox::new(Interceptors::new(all));
    for fails in [true, false] {
        let (id, _) = outbox.interceptors().on_send(&Record::new("t"));
        let told = Arc::clone(&log);
        let callback: Callback =
            Box::new(move |outcome| note(&told, format!("{:?}", outcome.unwrap_err().kind())));
        let mut unaccepted = Unaccepted::new(&outbox, "t", Some(3), id, Some(callback));
        if fails {
            unaccepted.failed(&Error::new(ErrorKind::BufferFull, "no room"));
        }
    }
    let expected = [
        "panics sends 0",
        "second sends 0",
        "panics knows 0 Some(BufferFull)",
        "second knows 0 Some(BufferFull)",
        "BufferFull",
        "panics sends 1",
        "second sends 1",
        "panics knows 1 Some(Aborted)",
        "second knows 1 Some(Aborted)",
        "Aborted",
    ];
    assert_eq!(taken(&log), expected);
}

// Without checks for overflow nothing goes badly here.
#[cfg(debug_assertions)]
#[test]
fn a_turn_that_ends_badly_leaves_the_next_batches_to_others() {
    let mut bench = Bench::new();
    // No broker's answer gets this far: the third record's offset is none.
    bench.batch(&[(2, "beyond")]).tell(written(i64::MAX));
    bench.batch(&[(0, "next")]).tell(written(5));
    let outbox = Arc::clone(&bench.outbox);
    assert!(catch_unwind(AssertUnwindSafe(|| outbox.deliver())).is_err());
    bench.outbox.deliver();
    assert_eq!(taken(&bench.log), ["next Ok(Some(5))"]);
}
