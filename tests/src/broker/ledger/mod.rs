//! What was acknowledged against what was read.
//!
//! A test numbers the records of each of its senders ([`Id`], inside the value), notes what became of each ([`Sent`]) and
//! what came back ([`Read`]); [`check`] says everything that is wrong. [`Ledger`] gathers both from several tasks.
//!
//! ```
//! use ottla::TopicPartition;
//! use ottla_tests::broker::{Id, Outcome, Read, Sent, check};
//!
//! let partition = TopicPartition { topic: "t".into(), partition: 0 };
//! let id = |sequence| Id { producer: 1, sequence };
//! let acknowledged = |sequence, offset| Sent {
//!     id: id(sequence),
//!     partition: partition.clone(),
//!     outcome: Outcome::Acknowledged { offset: Some(offset) },
//! };
//! let sent = [acknowledged(0, 0), acknowledged(1, 1)];
//! let read = [Read { reader: 1, id: id(0), partition: partition.clone(), offset: 0 }];
//! assert_eq!(check(&sent, &read), ["lost: 1#1 was acknowledged at t-0 offset 1 and never read"]);
//! ```

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use ottla::consumer::Record;
use ottla::producer::Delivered;
use ottla::{Error, TopicPartition};

use super::run::Dice;

/// Bytes of a value before its filling: producer, sequence, checksum.
const HEAD: usize = 16;

/// Names a record: the `sequence`-th that sender `producer` sent, counted from 0 over all partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// The sender: one task that sends in order.
    pub producer: u32,
    /// Its place among what the sender sent.
    pub sequence: u64,
}

impl Id {
    /// A value of `len` bytes, but at least 16, that holds this id, a checksum, and bytes no codec makes smaller.
    pub fn payload(self, len: usize) -> Vec<u8> {
        let mut payload = Vec::with_capacity(len.max(HEAD));
        payload.extend(self.producer.to_be_bytes());
        payload.extend(self.sequence.to_be_bytes());
        payload.extend([0; 4]);
        let mut dice = Dice::seeded(self.sequence ^ (u64::from(self.producer) << 40));
        payload.extend(dice.bytes(len.saturating_sub(HEAD)));
        let crc = checksum(&payload);
        payload[HEAD - 4..HEAD].copy_from_slice(&crc.to_be_bytes());
        payload
    }

    /// The id in a value.
    ///
    /// # Errors
    /// What is wrong with a value that [`Id::payload`] did not make.
    pub fn parse(payload: &[u8]) -> Result<Id, String> {
        let Some((head, _)) = payload.split_first_chunk::<HEAD>() else {
            return Err(format!("a value of {} bytes holds no id", payload.len()));
        };
        let [p0, p1, p2, p3, sequence @ .., c0, c1, c2, c3] = *head;
        if u32::from_be_bytes([c0, c1, c2, c3]) != checksum(payload) {
            return Err(format!("a value of {} bytes has a wrong checksum", payload.len()));
        }
        Ok(Id { producer: u32::from_be_bytes([p0, p1, p2, p3]), sequence: u64::from_be_bytes(sequence) })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.producer, self.sequence)
    }
}

fn checksum(payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&payload[..HEAD - 4]), &payload[HEAD..])
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log, once.
    Acknowledged {
        /// Where, if the broker said so.
        offset: Option<i64>,
    },
    /// It is in the log once or not at all: the answer was lost, or nobody waited for it.
    Unknown,
    /// It is not in the log.
    Refused,
}

impl Outcome {
    /// The outcome that a delivery tells.
    pub fn of(delivery: &Result<Delivered, Error>) -> Outcome {
        match delivery {
            Ok(delivered) => Outcome::Acknowledged { offset: delivered.offset },
            Err(error) if error.possibly_written() => Outcome::Unknown,
            Err(_) => Outcome::Refused,
        }
    }
}

/// A record that was handed to a producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its name.
    pub id: Id,
    /// Where it went.
    pub partition: TopicPartition,
    /// What became of it.
    pub outcome: Outcome,
}

/// A record that a consumer handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Which consumer.
    pub reader: u32,
    /// Its name.
    pub id: Id,
    /// Where it was.
    pub partition: TopicPartition,
    /// Where in the partition.
    pub offset: i64,
}

impl Read {
    /// What `reader` was handed out.
    ///
    /// # Errors
    /// A value that is none of [`Id::payload`]'s.
    pub fn of(reader: u32, record: &Record) -> Result<Read, String> {
        let (partition, offset) = (record.topic_partition().clone(), record.offset());
        let id = Id::parse(record.value().unwrap_or_default())
            .map_err(|what| format!("broken: {what} at {partition} offset {offset}"))?;
        Ok(Read { reader, id, partition, offset })
    }
}

/// Gathers what several tasks send and read.
#[derive(Debug, Default)]
pub struct Ledger {
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    sent: Vec<Sent>,
    acknowledged: usize,
    read: Vec<Read>,
    /// Where something was read.
    places: HashSet<(TopicPartition, i64)>,
    broken: Vec<String>,
}

impl Pages {
    fn sent(&mut self, sent: Sent) {
        self.acknowledged += usize::from(matches!(sent.outcome, Outcome::Acknowledged { .. }));
        self.sent.push(sent);
    }

    fn read(&mut self, read: Read) {
        self.places.insert((read.partition.clone(), read.offset));
        self.read.push(read);
    }
}

impl Ledger {
    /// Notes what became of a record.
    pub fn sent(&self, id: Id, partition: TopicPartition, outcome: Outcome) {
        self.pages().sent(Sent { id, partition, outcome });
    }

    /// Notes a delivery's outcome. A record that failed is noted for `partition`.
    pub fn delivery(&self, id: Id, partition: TopicPartition, delivery: &Result<Delivered, Error>) {
        let partition = match delivery {
            Ok(delivered) => {
                TopicPartition { topic: delivered.topic.clone(), partition: delivered.partition }
            }
            Err(_) => partition,
        };
        self.sent(id, partition, Outcome::of(delivery));
    }

    /// Notes what `reader` was handed out, in that order.
    pub fn read<'a>(&self, reader: u32, records: impl IntoIterator<Item = &'a Record>) {
        let mut pages = self.pages();
        for record in records {
            match Read::of(reader, record) {
                Ok(read) => pages.read(read),
                Err(what) => pages.broken.push(what),
            }
        }
    }

    /// Everything that was sent so far.
    pub fn all_sent(&self) -> Vec<Sent> {
        self.pages().sent.clone()
    }

    /// How many records were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.pages().acknowledged
    }

    /// How many different places of the log were read so far.
    pub fn distinct_reads(&self) -> usize {
        self.pages().places.len()
    }

    /// [`check`] of what was noted; every record is to be read once.
    pub fn exactly_once(&self) -> Vec<String> {
        let pages = self.pages();
        [pages.broken.clone(), check(&pages.sent, &pages.read)].concat()
    }

    /// [`check`] of what was noted, where readers may see again what they or others saw before.
    pub fn at_least_once(&self) -> Vec<String> {
        let pages = self.pages();
        [pages.broken.clone(), check(&pages.sent, &first_reads(&pages.read))].concat()
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `read` without what was read at the same place before: what is left after a group's rebalances, whose members may
/// read again what nobody committed.
pub fn first_reads(read: &[Read]) -> Vec<Read> {
    let mut seen = BTreeSet::new();
    read.iter().filter(|read| seen.insert((read.partition.clone(), read.offset))).cloned().collect()
}

/// Everything in which `read`, all that consumers handed out in the order of its happening, contradicts `sent`; empty if
/// all is well.
///
/// - lost: acknowledged and not read;
/// - duplicated: in the log more than once;
/// - reordered: in a partition's log, or as handed out by one reader, not in the order of sending;
/// - misplaced: not where the acknowledgement said;
/// - unexpected: refused, or never sent;
/// - read twice: handed out more than once at the same place.
pub fn check(sent: &[Sent], read: &[Read]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut known: HashMap<Id, &Sent> = HashMap::new();
    for sent in sent {
        if known.insert(sent.id, sent).is_some() {
            wrong.push(format!("the test sent {} twice", sent.id));
        }
    }
    let places = places(read, &mut wrong);
    expected(&known, &places, &mut wrong);
    present(sent, &places, &mut wrong);
    in_log_order(read, &mut wrong);
    in_reading_order(read, &mut wrong);
    acknowledged_once(sent, &mut wrong);
    wrong
}

/// Where each record stands in the log.
type Places<'a> = BTreeMap<Id, BTreeSet<(&'a TopicPartition, i64)>>;

fn places<'a>(read: &'a [Read], wrong: &mut Vec<String>) -> Places<'a> {
    let mut places = Places::new();
    let mut taken: HashMap<(&TopicPartition, i64), &Read> = HashMap::new();
    for read in read {
        let place = (&read.partition, read.offset);
        places.entry(read.id).or_default().insert(place);
        if let Some(before) = taken.insert(place, read) {
            let Read { id, partition, offset, .. } = read;
            wrong.push(if before.id == *id {
                let readers = format!("readers {} and {}", before.reader, read.reader);
                format!("read twice: {id} at {partition} offset {offset} by {readers}")
            } else {
                format!("changed: {partition} offset {offset} held {} and then {id}", before.id)
            });
        }
    }
    places
}

fn expected(known: &HashMap<Id, &Sent>, places: &Places<'_>, wrong: &mut Vec<String>) {
    for (id, places) in places {
        let at: Vec<String> =
            places.iter().map(|(partition, offset)| format!("{partition} offset {offset}")).collect();
        let at = at.join(", ");
        if places.len() > 1 {
            wrong.push(format!("duplicated: {id} is at {at}"));
        }
        match known.get(id).map(|sent| sent.outcome) {
            None => wrong.push(format!("unexpected: {id} is at {at} and was never sent")),
            Some(Outcome::Refused) => wrong.push(format!("unexpected: {id} is at {at} and was refused")),
            Some(Outcome::Acknowledged { .. } | Outcome::Unknown) => {}
        }
    }
}

fn present(sent: &[Sent], places: &Places<'_>, wrong: &mut Vec<String>) {
    for Sent { id, partition, outcome } in sent {
        let Outcome::Acknowledged { offset } = *outcome else { continue };
        let told =
            offset.map_or_else(|| partition.to_string(), |offset| format!("{partition} offset {offset}"));
        let Some(places) = places.get(id) else {
            wrong.push(format!("lost: {id} was acknowledged at {told} and never read"));
            continue;
        };
        let here = |&(at, place): &(&TopicPartition, i64)| {
            at == partition && offset.is_none_or(|offset| offset == place)
        };
        if !places.iter().any(here) {
            let (at, place) = places.first().expect("a record that was read is somewhere");
            wrong.push(format!("misplaced: {id} was acknowledged at {told} and is at {at} offset {place}"));
        }
    }
}

fn in_log_order(read: &[Read], wrong: &mut Vec<String>) {
    let mut logs: BTreeMap<(&TopicPartition, u32), BTreeMap<i64, u64>> = BTreeMap::new();
    for read in read {
        let log = logs.entry((&read.partition, read.id.producer)).or_default();
        log.insert(read.offset, read.id.sequence);
    }
    for ((partition, producer), log) in logs {
        for ((before, earlier), (after, later)) in log.iter().zip(log.iter().skip(1)) {
            if earlier > later {
                wrong.push(format!(
                    "reordered: {partition} has {producer}#{earlier} at offset {before} \
                     before {producer}#{later} at offset {after}"
                ));
            }
        }
    }
}

fn in_reading_order(read: &[Read], wrong: &mut Vec<String>) {
    let mut last: HashMap<(u32, &TopicPartition), i64> = HashMap::new();
    for Read { reader, partition, offset, .. } in read {
        if let Some(before) = last.insert((*reader, partition), *offset)
            && before > *offset
        {
            wrong.push(format!(
                "reordered: reader {reader} got offset {offset} of {partition} after offset {before}"
            ));
        }
    }
}

fn acknowledged_once(sent: &[Sent], wrong: &mut Vec<String>) {
    let mut taken: HashMap<(&TopicPartition, i64), Id> = HashMap::new();
    for Sent { id, partition, outcome } in sent {
        if let Outcome::Acknowledged { offset: Some(offset) } = *outcome
            && let Some(other) = taken.insert((partition, offset), *id)
        {
            wrong.push(format!(
                "misplaced: {other} and {id} were both acknowledged at {partition} offset {offset}"
            ));
        }
    }
}
