//! What the handles of a connection and its task share, over streams that misbehave.

#![allow(clippy::disallowed_methods, reason = "it plays brokers and submitters, with tasks of their own")]

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::{Context, Poll, Wake, Waker};

use futures_util::FutureExt;
use ottla_protocol::header::encode_response;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

use super::super::frame::FrameReader;
use super::super::handshake::ApiTable;
use super::super::line::ONE_PIECE;
use super::super::task::Task;
use super::super::transport::assemble;
use super::super::wire::DIRECT_UP_TO;
use super::*;

const PIPE: usize = 256 << 10;

/// A connection, after its handshake, and its task, which nobody runs yet.
fn over(stream: impl Stream) -> (Connection, Task) {
    over_with(stream, Spares::default())
}

/// The same, of a client with these buffers.
fn over_with(stream: impl Stream, spares: Spares) -> (Connection, Task) {
    let settings = Settings { client_id: "test".into(), max_frame: 1 << 20, max_idle: IDLE, spares };
    let shaken = (ApiTable::new(&api_versions()), 1);
    assemble(Arc::new(address()), (Box::new(stream), FrameReader::new(1 << 20)), shaken, &settings)
}

/// A connection whose task has had its first turn.
async fn running(stream: impl Stream) -> Connection {
    let (connection, task) = over(stream);
    runtime::detach(task.run());
    tokio::task::yield_now().await;
    connection
}

/// What the peer finds without anybody's having a turn.
fn arrived(peer: &mut DuplexStream) -> Vec<u8> {
    let mut bytes = vec![0; PIPE];
    let count = peer.read(&mut bytes).now_or_never().map_or(0, Result::unwrap);
    bytes.truncate(count);
    bytes
}

fn frames(mut wire: &[u8]) -> usize {
    let mut frames = 0;
    while let Some(len) = wire.first_chunk::<4>() {
        wire = &wire[4 + u32::from_be_bytes(*len) as usize..];
        frames += 1;
    }
    frames
}

/// The answer to request `correlation_id`, sent without anybody's having a turn.
fn answer(peer: &mut DuplexStream, correlation_id: i32) {
    answer_about(&[("t", &[1])], peer, correlation_id);
}

fn answer_about(topics: &[(&str, &[i32])], peer: &mut DuplexStream, correlation_id: i32) {
    let frame = encode_response(&metadata(&[1], topics), 13, correlation_id).unwrap().to_bytes();
    let wire = [&(frame.len() as u32).to_be_bytes()[..], &frame].concat();
    peer.write_all(&wire).now_or_never().unwrap().unwrap();
}

type Write = Box<dyn FnMut(&mut Context<'_>, usize) -> Poll<io::Result<usize>> + Send>;

/// What a stream was asked, and by whom.
#[derive(Default)]
struct Log {
    /// Bytes that each write offered.
    offered: Vec<usize>,
    /// In how many pieces.
    pieces: Vec<usize>,
    writer: Option<Waker>,
    reader: Option<Waker>,
}

/// A stream whose reads are a pipe's and whose writes a closure's, which is asked with how many bytes are offered.
struct Scripted {
    pipe: DuplexStream,
    log: Arc<Mutex<Log>>,
    write: Write,
}

/// A scripted stream, the peer's end of its pipe, and its log.
fn scripted(
    write: impl FnMut(&mut Context<'_>, usize) -> Poll<io::Result<usize>> + Send + 'static,
) -> (Scripted, DuplexStream, Arc<Mutex<Log>>) {
    let (pipe, peer) = tokio::io::duplex(PIPE);
    let log = Arc::<Mutex<Log>>::default();
    (Scripted { pipe, log: Arc::clone(&log), write: Box::new(write) }, peer, log)
}

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.log.lock().unwrap().reader = Some(cx.waker().clone());
        Pin::new(&mut self.pipe).poll_read(cx, buf)
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        {
            let mut log = self.log.lock().unwrap();
            log.offered.push(bytes.len());
            log.pieces.push(slices.len());
            log.writer = Some(cx.waker().clone());
        }
        match (self.write)(cx, bytes.len()) {
            Poll::Ready(Ok(taken)) => Pin::new(&mut self.pipe).poll_write(cx, &bytes[..taken]),
            refused => refused,
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn on_an_idle_connection_the_caller_writes_the_request() {
    let (ours, mut theirs) = tokio::io::duplex(PIPE);
    let connection = running(ours).await;
    for correlation_id in 1..4 {
        let reply = submit(&connection, "t", 5);
        assert_eq!(frames(&arrived(&mut theirs)), 1, "whole, and before anybody had a turn");
        answer(&mut theirs, correlation_id);
        assert_eq!(named(reply).await.unwrap(), "t");
    }
}

#[tokio::test(start_paused = true)]
async fn large_requests_and_those_without_an_answer_are_left_to_the_task() {
    let (ours, mut theirs) = tokio::io::duplex(PIPE);
    let connection = running(ours).await;
    let sent = connection.submit_one_way(&about("t"), 13, within(5)).unwrap();
    assert_eq!(frames(&arrived(&mut theirs)), 0);
    sent.await.unwrap();
    assert_eq!(frames(&arrived(&mut theirs)), 1);
    let _reply = submit(&connection, &"t".repeat(DIRECT_UP_TO), 5);
    assert_eq!(frames(&arrived(&mut theirs)), 0);
    tokio::task::yield_now().await;
    assert_eq!(frames(&arrived(&mut theirs)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_small_request_is_written_in_one_piece_and_a_larger_one_is_not_copied() {
    for (topic, pieces) in [("t".to_owned(), 1), ("t".repeat(ONE_PIECE), 2)] {
        let (stream, mut theirs, log) = scripted(|_, offered| Poll::Ready(Ok(offered)));
        let connection = running(stream).await;
        let _reply = submit(&connection, &topic, 5);
        assert_eq!(frames(&arrived(&mut theirs)), 1);
        assert_eq!(log.lock().unwrap().pieces, [pieces]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_goes_out_in_two_writes() {
    let (stream, mut theirs, log) = scripted(|_, offered| Poll::Ready(Ok(offered)));
    let connection = running(stream).await;
    let _replies: Vec<_> = (0..20).map(|_| submit(&connection, "t", 5)).collect();
    tokio::task::yield_now().await;
    let all = arrived(&mut theirs);
    assert_eq!(frames(&all), 20);
    let one = all.len() / 20;
    assert_eq!(log.lock().unwrap().offered, [one, 19 * one], "the caller's, then the task's");
}

#[tokio::test(start_paused = true)]
async fn what_a_large_answer_lay_in_is_kept_for_the_next_answer_to_the_same_client() {
    let (ours, mut theirs) = tokio::io::duplex(PIPE);
    let spares = Spares::default();
    let (connection, task) = over_with(ours, spares.clone());
    runtime::detach(task.run());
    let reply = submit(&connection, "t", 5);
    tokio::task::yield_now().await;
    assert_eq!(frames(&arrived(&mut theirs)), 1);
    let topic = "t".repeat(20_000);
    answer_about(&[(topic.as_str(), &[1][..]); 10], &mut theirs, 1);
    assert_eq!(reply.await.unwrap().topics.len(), 10);
    assert!(spares.take(10 * topic.len() + 500).is_some(), "nothing of the answer is held any more");
}

/// Dials scripted brokers through streams that take seven bytes at a time, and that only at every other attempt.
#[derive(Debug)]
struct Grudging(ScriptedDialer);

impl Dial for Grudging {
    fn dial<'a>(&'a self, node: Option<i32>, host: &'a str, port: u16) -> DialFuture<'a> {
        Box::pin(async move {
            let mut stream = self.0.dial(node, host, port).await?;
            let mut ready = false;
            let (grudging, mut peer, _) = scripted(move |cx, offered| {
                ready = !ready;
                if ready {
                    return Poll::Ready(Ok(offered.min(7)));
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            });
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut peer, &mut stream).await });
            Ok(Box::new(grudging) as Box<dyn Stream>)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_submitters_keep_their_order_on_a_stream_that_takes_seven_bytes_at_a_time() {
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let record = Arc::clone(&seen);
    let dialer = broker(move |topic, _| {
        record.lock().unwrap().push(topic.to_owned());
        None
    });
    let settings =
        Settings { client_id: "test".into(), max_frame: 1 << 20, max_idle: IDLE, spares: Spares::default() };
    let setup = Backoff::new(MS(10_000), MS(30_000));
    let pool = Pool::new(
        runtime::current().unwrap(),
        Arc::new(Grudging(dialer)),
        settings,
        Backoff::new(MS(50), MS(50)),
        setup,
    );
    let connection = connect(&pool).await.unwrap();
    let submitters: Vec<_> = (0..4)
        .map(|submitter| {
            let connection = connection.clone();
            tokio::spawn(async move {
                let mut waiting = VecDeque::new();
                for i in 0..125 {
                    let name = format!("{submitter}-{i:03}");
                    waiting.push_back((submit(&connection, &name, 60), name));
                    // Between one and ten at a time, so that the connection is idle now and then.
                    while waiting.len() > i % 10 {
                        let (reply, name) = waiting.pop_front().unwrap();
                        assert_eq!(named(reply).await.unwrap(), name);
                    }
                }
                for (reply, name) in waiting {
                    assert_eq!(named(reply).await.unwrap(), name);
                }
            })
        })
        .collect();
    for submitter in submitters {
        submitter.await.unwrap();
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 500);
    for submitter in 0..4 {
        let of = seen.iter().filter(|name| name.starts_with(&format!("{submitter}-")));
        assert!(of.is_sorted(), "in the order of submission");
    }
}

#[tokio::test(start_paused = true)]
async fn the_caller_writes_in_the_name_of_the_task() {
    let room = Arc::new(AtomicU32::new(0));
    let left = Arc::clone(&room);
    let (stream, mut theirs, log) = scripted(move |_, _| match left.swap(0, Ordering::SeqCst) {
        0 => Poll::Pending,
        room => Poll::Ready(Ok(room as usize)),
    });
    let connection = running(stream).await;
    let _reply = submit(&connection, "t", 5);
    {
        let log = log.lock().unwrap();
        assert_eq!(log.offered.len(), 1);
        assert!(log.writer.as_ref().unwrap().will_wake(log.reader.as_ref().unwrap()));
    }
    tokio::task::yield_now().await;
    // What waits for room goes on when the stream wakes the one it knows.
    let whole = log.lock().unwrap().offered[0];
    for room_for in [3, whole - 3] {
        room.store(room_for as u32, Ordering::SeqCst);
        log.lock().unwrap().writer.take().unwrap().wake();
        tokio::task::yield_now().await;
        assert_eq!(arrived(&mut theirs).len(), room_for);
    }
}

#[tokio::test(start_paused = true)]
async fn all_that_a_failed_write_was_offered_is_possibly_written() {
    let reset = |_: &mut Context<'_>, _| Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
    // By the caller, who alone had a request.
    let (stream, _theirs, _) = scripted(reset);
    let connection = running(stream).await;
    let failed = submit(&connection, "t", 5).await.unwrap_err();
    assert_eq!((failed.kind(), failed.possibly_written()), (ErrorKind::Disconnected, true));
    assert_eq!(
        failed.to_string(),
        "the connection to node 1 (node-1:9092) ended (the broker may have received it): the connection to node 1 \
         (node-1:9092) broke: connection reset"
    );
    let refused = connection.submit(&about("t"), 13, within(5)).unwrap_err();
    assert_eq!((refused.kind(), refused.possibly_written()), (ErrorKind::Disconnected, false));
    assert_eq!(refused.cause().map(Error::kind), Some(ErrorKind::Disconnected));
    // By the task, before whose first turn there were several.
    let (stream, _theirs, _) = scripted(reset);
    let (connection, task) = over(stream);
    let replies: Vec<_> = (0..3).map(|_| submit(&connection, "t", 5)).collect();
    runtime::detach(task.run());
    for reply in replies {
        assert!(reply.await.unwrap_err().possibly_written());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_stream_that_takes_nothing_was_offered_is_not_written() {
    let (stream, _theirs, _) = scripted(|_, _| Poll::Ready(Ok(0)));
    let connection = running(stream).await;
    let failed = submit(&connection, "t", 5).await.unwrap_err();
    assert_eq!((failed.kind(), failed.possibly_written()), (ErrorKind::Disconnected, false));
}

#[tokio::test(start_paused = true)]
async fn answers_that_have_arrived_survive_a_failed_write() {
    let (ours, mut theirs) = tokio::io::duplex(PIPE);
    let connection = running(ours).await;
    let first = submit(&connection, "t", 5);
    answer(&mut theirs, 1);
    drop(theirs);
    let second = submit(&connection, "t", 5);
    assert_eq!(named(first).await.unwrap(), "t");
    let second = second.await.unwrap_err();
    assert_eq!((second.kind(), second.possibly_written()), (ErrorKind::Disconnected, true));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_before_the_timer_is_kept() {
    // The timer stands at the idle connection's end; the caller writes the request, so that alone gives the task no turn.
    let (ours, _theirs) = tokio::io::duplex(PIPE);
    let connection = running(ours).await;
    let start = runtime::now();
    assert_eq!(submit(&connection, "t", 2).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(runtime::now() - start, MS(2000));
    // It stands at another request's deadline.
    let (ours, _theirs) = tokio::io::duplex(PIPE);
    let connection = running(ours).await;
    let start = runtime::now();
    let patient = submit(&connection, "t", 30);
    tokio::task::yield_now().await;
    let (two, nine) = (submit(&connection, "t", 2), submit(&connection, "t", 9));
    assert_eq!(two.await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(runtime::now() - start, MS(2000));
    for reply in [patient, nine] {
        let error = reply.await.unwrap_err();
        assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::Disconnected, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_submission_and_the_end_of_an_idle_connection_exclude_each_other() {
    for submitted_first in [true, false] {
        let (ours, mut theirs) = tokio::io::duplex(PIPE);
        let (connection, task) = over(ours);
        let mut task = pin!(task.run());
        assert!(futures_util::poll!(&mut task).is_pending());
        tokio::time::advance(IDLE + MS(1)).await;
        if submitted_first {
            let reply = submit(&connection, "t", 5);
            assert!(futures_util::poll!(&mut task).is_pending(), "it was used just now");
            assert_eq!(frames(&arrived(&mut theirs)), 1);
            answer(&mut theirs, 1);
            assert!(futures_util::poll!(&mut task).is_pending());
            assert_eq!(named(reply).await.unwrap(), "t");
        } else {
            assert!(futures_util::poll!(&mut task).is_ready());
            assert!(connection.is_closed() && connection.end().unwrap().idle);
            let refused = connection.submit(&about("t"), 13, within(5)).unwrap_err();
            assert_eq!((refused.kind(), refused.possibly_written()), (ErrorKind::Disconnected, false));
            assert!(refused.to_string().contains("was idle for 540 s"), "{refused}");
            assert_eq!(
                theirs.read(&mut [0]).await.unwrap(),
                0,
                "the stream is closed while handles are left"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_answered_or_refused_whenever_the_connection_ends() {
    for round in 0..1000 {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let connection = running(ours).await;
        let submitter = connection.clone();
        let submitted = tokio::spawn(async move {
            let mut replies = Vec::new();
            loop {
                match submitter.submit(&about("t"), 13, within(60)) {
                    Ok(reply) => replies.push(reply),
                    Err(refused) if refused.kind() == ErrorKind::Busy => tokio::task::yield_now().await,
                    Err(refused) => {
                        assert!(refused.cause().is_some(), "{refused}");
                        return replies;
                    }
                }
            }
        });
        for _ in 0..round % 50 {
            tokio::task::yield_now().await;
        }
        drop(theirs);
        for reply in submitted.await.unwrap() {
            let told = tokio::time::timeout(MS(30_000), reply).await.expect("every reply resolves");
            assert_eq!(told.unwrap_err().kind(), ErrorKind::Disconnected);
        }
        assert!(connection.is_closed());
    }
}

#[test]
fn a_reply_that_is_awaited_elsewhere_learns_of_the_end_of_the_connections_runtime() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (ours, elsewhere) = (runtime(), runtime());
    let (stream, _theirs) = tokio::io::duplex(PIPE);
    let connection = ours.block_on(running(stream));
    let reply = submit(&connection, "t", 30);
    drop(ours);
    assert!(connection.is_closed() && !connection.end().unwrap().idle);
    elsewhere.block_on(async {
        let told = tokio::time::timeout(MS(30_000), reply).await.unwrap().unwrap_err();
        assert_eq!((told.kind(), told.possibly_written()), (ErrorKind::Disconnected, true));
        assert!(told.to_string().contains("was stopped, by the end of its runtime or a panic"), "{told}");
        tokio::time::timeout(MS(5000), connection.closed()).await.unwrap();
    });
    assert_eq!(connection.submit(&about("t"), 13, within(5)).unwrap_err().kind(), ErrorKind::Disconnected);
    assert_eq!(connection.outstanding(), 0);
}

/// Submits as soon as it is woken, within whatever wakes it.
struct Eager {
    connection: Connection,
    outcomes: Mutex<Vec<Result<Reply<MetadataRequest>, Error>>>,
}

impl Wake for Eager {
    fn wake(self: Arc<Self>) {
        let outcome = self.connection.submit(&about("t"), 13, within(5));
        self.outcomes.lock().unwrap().push(outcome);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_told_may_submit_at_once() {
    let (ours, mut theirs) = tokio::io::duplex(PIPE);
    let connection = running(ours).await;
    let eager = Arc::new(Eager { connection: connection.clone(), outcomes: Mutex::default() });
    let waker = Waker::from(Arc::clone(&eager));
    let mut cx = Context::from_waker(&waker);
    let (mut first, mut second) = (submit(&connection, "t", 5), submit(&connection, "t", 5));
    let mut closed = Box::pin(connection.closed());
    assert!(first.poll_unpin(&mut cx).is_pending() && second.poll_unpin(&mut cx).is_pending());
    assert!(closed.poll_unpin(&mut cx).is_pending());
    tokio::task::yield_now().await;
    answer(&mut theirs, 1);
    tokio::task::yield_now().await;
    drop(theirs);
    tokio::task::yield_now().await;
    let outcomes: Vec<_> = eager.outcomes.lock().unwrap().drain(..).collect();
    let taken: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, false], "by the answer; by the end; by the task's end");
}

/// Refuses to connect, and notes how much time it was given.
#[derive(Debug, Default)]
struct Refusing(Arc<Mutex<Vec<Duration>>>);

impl Dial for Refusing {
    fn dial<'a>(&'a self, _: Option<i32>, _: &'a str, _: u16) -> DialFuture<'a> {
        Box::pin(async { Err(Error::new(ErrorKind::Connect, "refused")) })
    }

    fn dial_within<'a>(
        &'a self,
        node: Option<i32>,
        host: &'a str,
        port: u16,
        budget: Duration,
    ) -> DialFuture<'a> {
        self.0.lock().unwrap().push(budget);
        self.dial(node, host, port)
    }
}

#[tokio::test(start_paused = true)]
async fn dialling_is_given_the_time_that_grows_with_failures() {
    let refusing = Refusing::default();
    let given = Arc::clone(&refusing.0);
    let settings =
        Settings { client_id: "test".into(), max_frame: 1 << 20, max_idle: IDLE, spares: Spares::default() };
    let setup = Backoff::new(MS(10_000), MS(30_000));
    let pool = Pool::new(
        runtime::current().unwrap(),
        Arc::new(refusing),
        settings,
        Backoff::new(MS(50), MS(50)),
        setup,
    );
    for _ in 0..4 {
        connect(&pool).await.unwrap_err();
    }
    assert_eq!(*given.lock().unwrap(), [10_000, 20_000, 30_000, 30_000].map(MS));
}
