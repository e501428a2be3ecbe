//! The job itself: produces numbered records with idempotence on, consumes them with a group of two members, and checks
//! that every record arrived once and in order.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use ottla::{Consumer, ConsumerOptions, Error, Kafka, NewTopic, OffsetReset, ProducerOptions, Record};
use tokio::sync::mpsc;

const PARTITIONS: i32 = 6;

/// What is to be done.
pub(crate) struct Job {
    pub(crate) records: u64,
    /// Bytes of each record's value, at least eight.
    pub(crate) size: usize,
}

/// What one member read at a time: the numbers of the records by partition, in the order in which they came.
struct Share {
    member: usize,
    read: Vec<(i32, u64)>,
    checksum: u64,
}

impl Job {
    /// Runs the job and returns what was wrong with its outcome: nothing, if all is well.
    pub(crate) async fn run(&self, kafka: &Kafka) -> Result<Vec<String>, Error> {
        let topic = format!("ottla-quickstart-{}", std::process::id());
        kafka.create_topic(NewTopic::new(&topic).partitions(PARTITIONS)).await?;
        println!("created topic {topic} with {PARTITIONS} partitions");

        let sent = produce(kafka, &topic, self).await?;
        let (read, checksum, mut verdict) = consume(kafka, &topic, self).await?;
        if read != self.records {
            verdict.push(format!("{read} records read, {} written", self.records));
        }
        if checksum != sent {
            verdict.push(format!("checksum {checksum:016x} read, {sent:016x} written"));
        }
        if verdict.is_empty() {
            println!("every record arrived once and in order, checksum {checksum:016x}");
        }
        kafka.delete_topic(&topic).await?;
        Ok(verdict)
    }

    fn value_size(&self) -> usize {
        self.size.max(8)
    }
}

/// Writes the records and returns their checksum.
async fn produce(kafka: &Kafka, topic: &str, job: &Job) -> Result<u64, Error> {
    let producer = kafka.producer(ProducerOptions::default())?;
    let bar = progress("producing", job.records);
    let (start, mut checksum) = (Instant::now(), 0u64);
    let mut value = vec![b'.'; job.value_size()];
    let mut last = None;
    for number in 0..job.records {
        value[..8].copy_from_slice(&number.to_be_bytes());
        checksum = checksum.wrapping_add(hash(&value));
        last = Some(producer.send(Record::new(topic).value(&value)).await?);
        if number % 4096 == 0 {
            bar.set_position(number);
        }
    }
    producer.flush().await?;
    if let Some(delivery) = last {
        delivery.await?;
    }
    bar.finish_and_clear();
    report("produced", job.records, value.len(), start.elapsed());
    producer.close(Duration::from_secs(30)).await?;
    Ok(checksum)
}

/// Reads the records with two members of one group; returns how many, their checksum, and what was wrong.
async fn consume(kafka: &Kafka, topic: &str, job: &Job) -> Result<(u64, u64, Vec<String>), Error> {
    let records = job.records;
    let bar = progress("consuming", records);
    let start = Instant::now();
    let (shares, mut arriving) = mpsc::channel(16);
    let members: Vec<_> = (0..2)
        .map(|member| {
            let options = ConsumerOptions::default().group_id(topic).auto_offset_reset(OffsetReset::Earliest);
            let mut consumer = kafka.consumer(options)?;
            consumer.subscribe([topic])?;
            Ok(tokio::spawn(read(member, consumer, shares.clone())))
        })
        .collect::<Result<_, Error>>()?;
    drop(shares);

    let mut seen = Seen::new(records);
    while seen.count < records {
        match tokio::time::timeout(Duration::from_secs(60), arriving.recv()).await {
            Ok(Some(share)) => seen.add(&share),
            Ok(None) => break,
            Err(_) => {
                seen.wrong.push("no record arrived for a minute".into());
                break;
            }
        }
        bar.set_position(seen.count);
    }
    bar.finish_and_clear();
    report("consumed", seen.count, job.value_size(), start.elapsed());
    // The members stop when nobody listens any more, commit and leave their group.
    drop(arriving);
    for member in members {
        match member.await {
            Ok(outcome) => outcome?,
            Err(panic) => seen.wrong.push(panic.to_string()),
        }
    }
    println!("member 0 read {} records, member 1 read {}", seen.by_member[0], seen.by_member[1]);
    Ok((seen.count, seen.checksum, seen.wrong))
}

/// One member of the group: reads until nobody takes its shares.
async fn read(member: usize, mut consumer: Consumer, shares: mpsc::Sender<Share>) -> Result<(), Error> {
    loop {
        let records = tokio::select! {
            records = consumer.poll(Duration::from_secs(1)) => records?,
            () = shares.closed() => break,
        };
        let mut share = Share { member, read: Vec::with_capacity(records.len()), checksum: 0 };
        for record in records {
            let value = record.value().unwrap_or_default();
            let number = value.first_chunk().map_or(u64::MAX, |number| u64::from_be_bytes(*number));
            share.read.push((record.partition(), number));
            share.checksum = share.checksum.wrapping_add(hash(value));
        }
        if !share.read.is_empty() && shares.send(share).await.is_err() {
            break;
        }
    }
    consumer.close(Duration::from_secs(10)).await
}

/// What arrived so far, and what is wrong with it.
struct Seen {
    count: u64,
    checksum: u64,
    by_member: [u64; 2],
    arrived: Vec<bool>,
    last: Vec<Option<u64>>,
    wrong: Vec<String>,
}

impl Seen {
    fn new(records: u64) -> Seen {
        Seen {
            count: 0,
            checksum: 0,
            by_member: [0; 2],
            arrived: vec![false; records as usize],
            last: vec![None; PARTITIONS as usize],
            wrong: Vec::new(),
        }
    }

    fn add(&mut self, share: &Share) {
        self.count += share.read.len() as u64;
        self.by_member[share.member] += share.read.len() as u64;
        self.checksum = self.checksum.wrapping_add(share.checksum);
        for &(partition, number) in &share.read {
            match self.arrived.get_mut(number as usize) {
                Some(arrived) if !*arrived => *arrived = true,
                Some(_) => self.note(format!("record {number} arrived twice")),
                None => self.note(format!("record {number} was never written")),
            }
            let last = self.last[partition as usize].replace(number);
            if last.is_some_and(|last| last >= number) {
                self.note(format!("partition {partition}: record {number} came after {last:?}"));
            }
        }
    }

    /// Keeps the first few faults: one fault can touch every record.
    fn note(&mut self, fault: String) {
        if self.wrong.len() < 5 {
            self.wrong.push(fault);
        }
    }
}

/// As FNV-1a, but by words: enough to see that no byte changed, and cheap next to what is measured.
fn hash(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}

fn progress(what: &'static str, records: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {per_sec}");
    ProgressBar::new(records)
        .with_message(what)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn report(what: &str, records: u64, size: usize, took: Duration) {
    let rate = records as f64 / took.as_secs_f64();
    let volume = rate * size as f64 / 1e6;
    println!(
        "{what} {records} records in {:.2} s: {rate:.0} records/s, {volume:.1} MB/s",
        took.as_secs_f64()
    );
}
