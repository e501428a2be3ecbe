//! [`Proxy`]: stands between clients and brokers, knows a Produce request when it sees one, and has mischief with its answer.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ottla::protocol::api::ApiKey;
use ottla::{Dial, DialFuture, NodeId};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};

use super::run::Dice;

/// Bytes that the proxy takes from a client before the broker has them.
const BUFFER: usize = 64 << 10;

/// More than any frame of a test has.
const LARGEST: usize = 64 << 20;

/// What happens to a Produce request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Nothing.
    Pass,
    /// The connection ends when the answer is there: the request was carried out and nobody hears of it.
    Lose,
    /// The connection ends once the request is with the broker's host: it is carried out or not.
    Cut,
    /// The answer, and all after it, come that much later.
    Hold(Duration),
}

/// Dials with another dialer and passes frames on, with the [`Treatment`] that is chosen for each Produce request.
pub struct Proxy {
    dialer: Arc<dyn Dial>,
    shared: Arc<Shared>,
}

struct Shared {
    choice: Mutex<(Dice, Choice)>,
    cuts: watch::Sender<u64>,
    held: watch::Sender<u64>,
}

type Choice = Box<dyn Fn(&mut Dice) -> Treatment + Send>;

impl Proxy {
    /// Chooses with `choice` for every Produce request.
    pub fn new(
        dialer: Arc<dyn Dial>,
        dice: Dice,
        choice: impl Fn(&mut Dice) -> Treatment + Send + 'static,
    ) -> Proxy {
        Proxy { dialer, shared: Arc::new(Shared::new(dice, choice)) }
    }

    /// How many connections ended between a request and its answer.
    pub fn cuts(&self) -> u64 {
        *self.shared.cuts.borrow()
    }

    /// How many answers were held back.
    pub fn held(&self) -> u64 {
        *self.shared.held.borrow()
    }

    /// Waits until so many connections ended between a request and its answer.
    pub async fn until_cut(&self, count: u64) {
        reached(&self.shared.cuts, count).await;
    }

    /// Waits until so many answers were held back.
    pub async fn until_held(&self, count: u64) {
        reached(&self.shared.held, count).await;
    }
}

async fn reached(counter: &watch::Sender<u64>, count: u64) {
    let reached = counter.subscribe().wait_for(|now| *now >= count).await.is_ok();
    assert!(reached, "the counter is borrowed");
}

impl Dial for Proxy {
    fn dial<'a>(&'a self, node: Option<NodeId>, host: &'a str, port: u16) -> DialFuture<'a> {
        Box::pin(async move {
            let broker = self.dialer.dial(node, host, port).await?;
            let (client, ours) = tokio::io::duplex(BUFFER);
            tokio::spawn(pass_on(ours, broker, Arc::clone(&self.shared)));
            Ok(Box::new(client) as Box<_>)
        })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("cuts", &self.cuts())
            .field("held", &self.held())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn new(dice: Dice, choice: impl Fn(&mut Dice) -> Treatment + Send + 'static) -> Shared {
        let choice: Choice = Box::new(choice);
        Shared {
            choice: Mutex::new((dice, choice)),
            cuts: watch::Sender::new(0),
            held: watch::Sender::new(0),
        }
    }

    fn choose(&self) -> Treatment {
        let mut choice = self.choice.lock().unwrap_or_else(PoisonError::into_inner);
        let (dice, choose) = &mut *choice;
        choose(dice)
    }
}

/// Serves a connection until one side, or a treatment, ends it.
async fn pass_on<C, B>(client: C, broker: B, shared: Arc<Shared>)
where
    C: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let (from_client, to_client) = tokio::io::split(client);
    let (from_broker, to_broker) = tokio::io::split(broker);
    let (treated, treatments) = mpsc::unbounded_channel();
    // Who ended it, and why, is the same to both sides.
    tokio::select! {
        _ = requests(from_client, to_broker, &shared, treated) => {}
        _ = answers(from_broker, to_client, &shared, treatments) => {}
    }
}

async fn requests(
    mut client: impl AsyncRead + Unpin,
    mut broker: impl AsyncWrite + Unpin,
    shared: &Shared,
    treated: mpsc::UnboundedSender<Treatment>,
) -> io::Result<()> {
    loop {
        let frame = read_frame(&mut client).await?;
        let treatment = if is_produce(&frame) { shared.choose() } else { Treatment::Pass };
        // Before the request leaves, so that its answer finds it.
        let _ = treated.send(treatment);
        broker.write_all(&frame).await?;
        broker.flush().await?;
        if treatment == Treatment::Cut {
            shared.cuts.send_modify(|cuts| *cuts += 1);
            return Ok(());
        }
    }
}

async fn answers(
    mut broker: impl AsyncRead + Unpin,
    mut client: impl AsyncWrite + Unpin,
    shared: &Shared,
    mut treatments: mpsc::UnboundedReceiver<Treatment>,
) -> io::Result<()> {
    loop {
        let frame = read_frame(&mut broker).await?;
        match treatments.recv().await {
            Some(Treatment::Lose) => {
                shared.cuts.send_modify(|cuts| *cuts += 1);
                return Ok(());
            }
            Some(Treatment::Hold(time)) => {
                shared.held.send_modify(|held| *held += 1);
                tokio::time::sleep(time).await;
            }
            Some(Treatment::Pass | Treatment::Cut) | None => {}
        }
        client.write_all(&frame).await?;
        client.flush().await?;
    }
}

/// A frame with the length before it.
async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let len = u32::from_be_bytes(head) as usize;
    assert!(len <= LARGEST, "a frame of {len} bytes");
    let mut frame = vec![0; 4 + len];
    frame[..4].copy_from_slice(&head);
    stream.read_exact(&mut frame[4..]).await?;
    Ok(frame)
}

fn is_produce(frame: &[u8]) -> bool {
    frame.get(4..6) == Some(&ApiKey::PRODUCE.0.to_be_bytes()[..])
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;

    const PRODUCE: [u8; 7] = [0, 0, 0, 3, 0, 0, 1];
    const METADATA: [u8; 7] = [0, 0, 0, 3, 0, 3, 2];
    const ANSWER: [u8; 5] = [0, 0, 0, 1, 9];

    /// A client's and a broker's end, with a proxy between them that treats every Produce request alike.
    fn between(treatment: Treatment) -> (DuplexStream, DuplexStream, Arc<Shared>) {
        let ((client, ours), (theirs, broker)) = (tokio::io::duplex(100), tokio::io::duplex(100));
        let shared = Arc::new(Shared::new(Dice::seeded(1), move |_| treatment));
        tokio::spawn(pass_on(ours, theirs, Arc::clone(&shared)));
        (client, broker, shared)
    }

    async fn exchange(
        client: &mut DuplexStream,
        broker: &mut DuplexStream,
        request: &[u8],
    ) -> Option<Vec<u8>> {
        client.write_all(request).await.unwrap();
        assert_eq!(read_frame(broker).await.unwrap(), request);
        // What is cut already takes no answer.
        let _ = broker.write_all(&ANSWER).await;
        read_frame(client).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_answer_to_produce_gets_lost_and_only_after_the_broker_had_the_request() {
        for treatment in [Treatment::Lose, Treatment::Cut] {
            let (mut client, mut broker, shared) = between(treatment);
            let passed = exchange(&mut client, &mut broker, &METADATA).await;
            assert_eq!((passed, *shared.cuts.borrow()), (Some(ANSWER.to_vec()), 0));
            let lost = exchange(&mut client, &mut broker, &PRODUCE).await;
            assert_eq!((lost, *shared.cuts.borrow()), (None, 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_held_answer_comes_when_its_time_is_over() {
        let (mut client, mut broker, shared) = between(Treatment::Hold(Duration::from_secs(3)));
        let began = tokio::time::Instant::now();
        let came = exchange(&mut client, &mut broker, &PRODUCE).await;
        assert_eq!((came, began.elapsed()), (Some(ANSWER.to_vec()), Duration::from_secs(3)));
        assert_eq!(*shared.held.borrow(), 1);
    }
}
