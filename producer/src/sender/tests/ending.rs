//! What becomes of records when they are given up, time out or end badly: wherever their bytes are just then.

#[cfg(feature = "lz4")]
use ottla_protocol::records::ProducerState;

use super::*;
#[cfg(feature = "lz4")]
use crate::body::Body;

#[cfg(feature = "lz4")]
fn gone() -> Error {
    Error::new(ErrorKind::Closed, "the end")
}

#[cfg(feature = "lz4")]
fn lz4() -> Compressor {
    Compressor::new(ottla_protocol::compression::Compression::Lz4.default_level()).expect("built in")
}

#[cfg(feature = "lz4")]
fn compress(body: Body) -> Result<Body, Error> {
    Ok(body.seal(ProducerState::NONE, &mut lz4()).expect("it takes everything"))
}

impl Bench {
    /// With a codec, so that large batches are compressed elsewhere.
    #[cfg(feature = "lz4")]
    fn compressing(partitions: usize) -> Self {
        let mut bench = Bench::new(partitions, 20_000, |rules| rules.linger = Duration::ZERO);
        bench.sender.compressor = lz4();
        bench
    }

    /// Sends a record that is worth it to be compressed, of which the test plays the codec.
    #[cfg(feature = "lz4")]
    fn send_to_codec(&mut self) -> (Delivery, SealJob) {
        let sent = self.send(0, &[0; 15_000]);
        self.absorb();
        let mut jobs = self.sender.seal_jobs();
        assert_eq!(jobs.len(), 1);
        (sent, jobs.remove(0))
    }

    fn charged(&self) -> usize {
        self.accumulator.memory.charged()
    }
}

#[cfg(feature = "lz4")]
#[test]
fn records_that_are_being_compressed_are_told_at_once_and_were_in_no_request() {
    let ends: [fn(&mut Bench); 3] = [
        |bench| bench.sender.abort(&gone(), bench.now, |_, _| Some(1)),
        |bench| bench.sender.abandon(&gone(), bench.now),
        |bench| bench.at(2_000),
    ];
    for (at, end) in ends.into_iter().enumerate() {
        let mut bench = Bench::compressing(1);
        let (mut sent, SealJob { index, job, body }) = bench.send_to_codec();
        end(&mut bench);
        let error = failure(&mut sent);
        assert_eq!((error.tries(), error.possibly_written()), (0, false), "end {at}");
        assert!(error.kind() == ErrorKind::Closed || error.to_string().contains("compressed"), "{error}");
        assert_eq!(bench.accumulator.memory.meter.snapshot().total.records_failed, 1, "end {at}");
        assert!(bench.sender.is_idle(), "end {at}");
        assert!(bench.charged() > 0, "the codec has the bytes yet");
        bench.sender.sealed(index, job, compress(body), bench.now);
        assert_eq!(bench.charged(), 0, "end {at}");
    }
}

#[cfg(feature = "lz4")]
#[test]
fn records_that_wait_for_the_codec_when_all_is_given_up_give_their_memory_back() {
    let mut bench = Bench::compressing(1);
    let mut sent = bench.send(0, &[0; 15_000]);
    bench.absorb();
    bench.sender.abandon(&gone(), bench.now);
    assert_eq!((failure(&mut sent).kind(), bench.charged()), (ErrorKind::Closed, 0));
    assert!(bench.sender.seal_jobs().is_empty() && bench.sender.staging.is_idle());
}

#[cfg(feature = "lz4")]
#[test]
fn a_codec_that_panics_fails_its_batch_and_keeps_no_memory() {
    let mut bench = Bench::compressing(1);
    let (mut sent, SealJob { index, job, body }) = bench.send_to_codec();
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _body = body;
        panic!("as a codec might");
    }));
    assert!(unwound.is_err());
    bench.sender.sealed(index, job, Err(Error::new(ErrorKind::Encode, "it panicked")), bench.now);
    let error = failure(&mut sent);
    assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::Encode, false));
    assert!(error.to_string().contains("a batch for t-0: it panicked"), "{error}");
    assert_eq!(bench.charged(), 0);
    let (_next, _) = bench.send_to_codec();
}

#[cfg(feature = "lz4")]
#[test]
fn compressed_records_of_a_forgotten_topic_do_not_get_into_the_batch_of_another() {
    let mut bench = Bench::compressing(1);
    let (_given_up, SealJob { index, job, body }) = bench.send_to_codec();
    bench.sender.abort(&gone(), bench.now, |_, _| Some(1));
    assert!(bench.sender.forget("t"));
    bench.accumulator.update_topic(&"other".into(), vec![Some(1)]);
    let record = Record::new("other").partition(0).value(&[1; 15_000]);
    let now = bench.now;
    let sent = bench.accumulator.append(&record, 1, &mut Attempt::default(), || now, || 0).expect("room");
    bench.absorb();
    let mut others = bench.sender.seal_jobs();
    let other = others.remove(0);
    assert_eq!(other.index, index, "its place was free");
    bench.sender.sealed(index, job, compress(body), bench.now);
    assert!(bench.sender.plan(1, bench.now).is_none(), "its own records are not back");
    bench.sender.sealed(other.index, other.job, compress(other.body), bench.now);
    let planned = bench.sender.plan(1, bench.now).expect("they are");
    assert_eq!((planned.items.len(), &*planned.items[0].topic), (1, "other"));
    drop(sent);
}

#[test]
fn bytes_that_a_request_holds_stay_charged_until_it_is_over() {
    for over in [ErrorCode::NONE, ErrorCode::NOT_ENOUGH_REPLICAS] {
        let mut bench = Bench::new(1, 200, |_| {});
        let mut sent = bench.send(0, b"v");
        bench.at(5);
        let planned = bench.sender.plan(1, bench.now).expect("due");
        bench.at(2_000);
        assert_eq!(failure(&mut sent).kind(), ErrorKind::Timeout);
        assert_eq!(bench.charged(), 200, "the connection may have them yet");
        let id = planned.id;
        drop(planned);
        bench.answer(id, over);
        assert_eq!(bench.charged(), 0);
    }
}

#[test]
fn bytes_that_were_written_are_free_when_their_records_are_told() {
    let mut bench = Bench::new(1, 200, |_| {});
    let _sent = bench.send(0, b"v");
    bench.at(5);
    let (_under_way, _) = bench.plan().expect("due");
    bench.at(2_000);
    assert_eq!(bench.charged(), 0);
}

#[test]
fn a_record_of_an_unanswered_try_stays_possibly_written_under_a_new_number() {
    let mut bench = Bench::new(1, 200, |_| {});
    let _first = bench.send(0, b"first");
    bench.at(5);
    let (id, _) = bench.plan().expect("due");
    bench.answer(id, ErrorCode::NONE);
    let mut sent = [bench.send(0, &[0; 100]), bench.send(0, &[0; 100])];
    bench.at(10);
    let ids = [(); 2].map(|()| bench.plan().expect("due").0);
    // The broker takes both and stops before it answers; when it is back, it remembers the second alone.
    let cut = Error::new(ErrorKind::Disconnected, "cut").with_possibly_written(true);
    for id in ids {
        bench.sender.answered(id, |_| Answer::Failed(cut.clone()), Duration::ZERO, bench.now, 0.5);
    }
    bench.at(60);
    let (again, numbers) = bench.plan_numbers().expect("after the pause");
    assert_eq!(numbers, [(0, 0, 1)]);
    bench.answer(again, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    bench.at(200);
    let (anew, numbers) = bench.plan_numbers().expect("numbered anew");
    assert_eq!(numbers, [(0, 1, 0)]);
    bench.answer(anew, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    let error = failure(&mut sent[0]);
    assert_eq!((error.code(), error.possibly_written()), (Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED), true));
    bench.at(3_000);
    assert!(failure(&mut sent[1]).possibly_written());
}

#[test]
fn a_part_of_a_batch_with_an_unanswered_try_is_possibly_written() {
    let mut bench = Bench::new(1, 400, |_| {});
    let mut sent = [10, 150].map(|len| bench.send(0, &vec![b'v'; len]));
    bench.at(5);
    let (whole, _) = bench.plan().expect("due");
    let cut = Error::new(ErrorKind::Disconnected, "cut").with_possibly_written(true);
    bench.sender.answered(whole, |_| Answer::Failed(cut.clone()), Duration::ZERO, bench.now, 0.5);
    bench.at(60);
    let (again, _) = bench.plan().expect("after the pause");
    bench.answer(again, ErrorCode::MESSAGE_TOO_LARGE);
    let (part, _) = bench.plan().expect("the first part");
    bench.answer(part, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert!(failure(&mut sent[0]).possibly_written());
}

#[test]
fn a_base_offset_without_room_for_the_batch_is_none() {
    let mut bench = Bench::new(1, 400, |_| {});
    for base in [i64::MAX, i64::MAX - 1, i64::MAX - 2] {
        let mut sent = [bench.send(0, b"a"), bench.send(0, b"b")];
        bench.now += MS(10);
        let (id, _) = bench.plan().expect("due");
        let said = Said { base_offset: Some(base), ..Said::default() };
        bench.sender.answered(id, |_| Answer::Said(said.clone()), Duration::ZERO, bench.now, 0.5);
        let offsets = sent.each_mut().map(|sent| sent.outcome().expect("told").expect("written").offset);
        match base {
            9_223_372_036_854_775_805 => assert_eq!(offsets, [Some(base), Some(base + 1)]),
            _ => assert_eq!(offsets, [None; 2]),
        }
    }
}

#[test]
fn an_answer_after_the_end_finds_its_topic_forgotten() {
    let mut bench = Bench::new(2, 200, |rules| rules.max_request_size = 1);
    let mut sent = [0, 1].map(|partition| bench.send(partition, b"v"));
    bench.at(5);
    let ids = [(); 2].map(|()| bench.plan().expect("due").0);
    bench.answer(ids[0], ErrorCode::PRODUCER_FENCED);
    assert!(sent.iter_mut().all(|sent| failure(sent).kind() == ErrorKind::Fenced));
    assert!(bench.sender.forget("t"));
    bench.answer(ids[1], ErrorCode::NONE);
}

#[test]
fn what_the_task_meets_after_closing_began_does_not_linger_either() {
    let mut bench = Bench::new(1, 400, |rules| rules.linger = MS(1_000));
    let _seen = bench.send(0, b"v");
    bench.absorb();
    assert!(bench.sender.plan(1, bench.now).is_none());
    // Accepted before the end, but the task learns of the topic afterwards.
    bench.accumulator.update_topic(&"new".into(), vec![Some(1)]);
    let record = Record::new("new").partition(0).value(b"v");
    let now = bench.now;
    let late = bench.accumulator.append(&record, 1, &mut Attempt::default(), || now, || 0);
    bench.accumulator.close();
    bench.sender.wake(bench.now);
    let (_, items) = bench.plan().expect("what was open, and what is met now");
    assert_eq!(items.len(), 2);
    drop(late);
}
