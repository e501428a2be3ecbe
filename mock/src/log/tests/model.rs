//! Random producers, transactions and losses against a model that keeps a plain list.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// A producer writes so many records.
    Write { producer: usize, count: usize },
    /// It sends one of its last batches again.
    Repeat { producer: usize, back: usize },
    /// It ends its transaction, with another epoch from then on or not.
    End { producer: usize, commit: bool, bump: bool },
    /// Replicas catch up.
    Replicate,
    /// The leader is lost with what nobody else has.
    Lose,
}

/// What the list keeps of an offset.
#[derive(Clone, Debug)]
struct Entry {
    producer: usize,
    batch: u64,
    sequence: i32,
    epoch: i16,
    value: String,
    /// Of a marker: whether it commits.
    marker: Option<bool>,
}

#[derive(Default)]
struct Model {
    entries: Vec<Entry>,
    replicated: usize,
    batches: u64,
}

/// The first two producers write within transactions.
const PRODUCERS: usize = 4;

fn is_transactional(producer: usize) -> bool {
    producer < 2
}

impl Model {
    fn data(&self, producer: usize) -> impl DoubleEndedIterator<Item = (usize, &Entry)> {
        self.entries.iter().enumerate().filter(move |(_, entry)| entry.producer == producer)
    }

    /// The epoch, and the next sequence in it.
    fn next(&self, producer: usize) -> (i16, i32) {
        let Some((_, last)) = self.data(producer).next_back() else { return (0, 0) };
        let of_epoch = self.data(producer).filter(|(_, e)| e.epoch == last.epoch && e.marker.is_none());
        (last.epoch, of_epoch.map(|(_, entry)| entry.sequence + 1).max().unwrap_or(0))
    }

    fn is_open(&self, producer: usize) -> bool {
        is_transactional(producer)
            && self.data(producer).next_back().is_some_and(|(_, last)| last.marker.is_none())
    }

    /// How the transaction of the record at `index` ended, if it did.
    fn fate(&self, index: usize) -> Option<(usize, bool)> {
        let producer = self.entries[index].producer;
        self.data(producer)
            .find_map(|(at, entry)| entry.marker.filter(|_| at > index).map(|commit| (at, commit)))
    }

    fn committed(&self) -> Vec<(i64, Option<String>, Option<String>)> {
        let mut seen = Vec::new();
        for (index, entry) in self.entries.iter().enumerate().take(self.replicated) {
            let is_decided = match self.fate(index) {
                _ if entry.marker.is_some() || !is_transactional(entry.producer) => true,
                fate => fate.is_some_and(|(marker, _)| marker < self.replicated),
            };
            if !is_decided {
                break;
            }
            let is_aborted =
                is_transactional(entry.producer) && self.fate(index).is_some_and(|(_, commit)| !commit);
            if entry.marker.is_none() && !is_aborted {
                seen.push((index as i64, None, Some(entry.value.clone())));
            }
        }
        seen
    }

    /// The last batches of the producer's epoch, each with its offset.
    fn window(&self, producer: usize) -> Vec<(usize, Vec<Entry>)> {
        let Some((_, last)) = self.data(producer).next_back() else { return Vec::new() };
        let mut batches: Vec<(usize, Vec<Entry>)> = Vec::new();
        for (at, entry) in self.data(producer).filter(|(_, e)| e.marker.is_none() && e.epoch == last.epoch) {
            match batches.last_mut() {
                Some((_, batch)) if batch[0].batch == entry.batch => batch.push(entry.clone()),
                _ => batches.push((at, vec![entry.clone()])),
            }
        }
        batches.split_off(batches.len().saturating_sub(5))
    }
}

fn send(producer: usize, entries: &[Entry]) -> Send {
    let texts: Vec<&str> = entries.iter().map(|entry| entry.value.as_str()).collect();
    let send = values(&texts).of(producer as i64, entries[0].epoch, entries[0].sequence);
    if is_transactional(producer) { send.transactional() } else { send }
}

fn step() -> impl Strategy<Value = Step> {
    let producer = 0..PRODUCERS;
    prop_oneof![
        4 => (producer.clone(), 1..4usize).prop_map(|(producer, count)| Step::Write { producer, count }),
        2 => (producer.clone(), 0..5usize).prop_map(|(producer, back)| Step::Repeat { producer, back }),
        3 => (producer, any::<bool>(), any::<bool>())
            .prop_map(|(producer, commit, bump)| Step::End { producer, commit, bump }),
        2 => Just(Step::Replicate),
        1 => Just(Step::Lose),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn readers_see_what_was_committed_once_and_in_order(
        steps in proptest::collection::vec(step(), 1..60),
        segment_bytes in 130..600i32,
        max_bytes in 1..1000usize,
    ) {
        let mut log = PartitionLog::new(LogConfig { segment_bytes, ..LogConfig::default() });
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Write { producer, count } => {
                    let (epoch, first) = model.next(producer);
                    model.batches += 1;
                    let entries: Vec<Entry> = (0..count as i32)
                        .map(|index| Entry {
                            producer,
                            batch: model.batches,
                            sequence: first + index,
                            epoch,
                            value: format!("{producer}-{}-{index}", model.batches),
                            marker: None,
                        })
                        .collect();
                    let answer = log.append(NOW, &VERIFIED, &send(producer, &entries).bytes()).unwrap();
                    prop_assert_eq!(answer.base_offset, model.entries.len() as i64);
                    prop_assert!(!answer.duplicate);
                    model.entries.extend(entries);
                }
                Step::Repeat { producer, back } => {
                    let window = model.window(producer);
                    let Some((offset, entries)) = window.iter().rev().nth(back) else { continue };
                    let answer = log.append(NOW, &VERIFIED, &send(producer, entries).bytes()).unwrap();
                    prop_assert_eq!((answer.base_offset, answer.duplicate), (*offset as i64, true));
                }
                Step::End { producer, commit, bump } => {
                    if !model.is_open(producer) {
                        continue;
                    }
                    let epoch = model.next(producer).0 + i16::from(bump);
                    let marker = MarkerAppend {
                        producer_id: producer as i64,
                        producer_epoch: epoch,
                        coordinator_epoch: 0,
                        commit,
                        transaction_version: if bump { 2 } else { 0 },
                        leader_epoch: 5,
                    };
                    let offset = log.append_marker(NOW, &marker).unwrap();
                    prop_assert_eq!(offset, model.entries.len() as i64);
                    model.batches += 1;
                    let batch = model.batches;
                    model.entries.push(Entry { producer, batch, sequence: -1, epoch, value: String::new(), marker: Some(commit) });
                }
                Step::Replicate => {
                    log.set_high_watermark(log.end_offset());
                    model.replicated = model.entries.len();
                }
                Step::Lose => {
                    log.truncate(model.replicated as i64);
                    model.entries.truncate(model.replicated);
                }
            }
            prop_assert_eq!(log.end_offset(), model.entries.len() as i64);
            prop_assert_eq!(consume(&log, max_bytes, Isolation::Committed), model.committed());
        }
        let all: Vec<i64> = stored(&log).iter().flat_map(|batch| batch.header().base_offset..=batch.header().last_offset()).collect();
        prop_assert_eq!(all, (0..log.end_offset()).collect::<Vec<_>>());
    }
}
