//! A history by record, transaction, consumer and partition. Entries are named by their index.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::event::{ConsumerId, Event, Place, RecordId, TransactionId};
use super::log::{FinalLog, Logged};
use super::{Entry, History};

#[derive(Debug)]
pub(super) struct Index<'a> {
    pub(super) history: &'a History,
    pub(super) records: BTreeMap<RecordId, Course<'a>>,
    pub(super) logged: BTreeMap<RecordId, Vec<(&'a Place, &'a Logged)>>,
    pub(super) readers: BTreeMap<ConsumerId, Reader<'a>>,
    pub(super) tenures: Vec<Tenure<'a>>,
    by_owner: BTreeMap<(ConsumerId, &'a Place), Vec<usize>>,
    /// Who had the name first of those who took it over.
    firsts: BTreeMap<ConsumerId, ConsumerId>,
    pub(super) transactions: BTreeMap<TransactionId, Transaction>,
    /// When producers were fenced.
    pub(super) fenced: BTreeMap<u32, usize>,
    careless: BTreeSet<u32>,
    /// When each partition's log was replaced last.
    recreated: BTreeMap<&'a Place, usize>,
    /// When each partition lost its leader last.
    endangered: BTreeMap<&'a Place, usize>,
}

/// What became of a record.
#[derive(Debug, Default)]
pub(super) struct Course<'a> {
    pub(super) sent: Option<(usize, &'a Place)>,
    pub(super) transaction: Option<TransactionId>,
    /// Acknowledgements, failures and refusals.
    pub(super) outcomes: Vec<usize>,
}

/// Those who share what they read: a group, or one reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Circle<'a> {
    Group(&'a str),
    Alone(ConsumerId),
}

#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) circle: Circle<'a>,
    pub(super) opened: usize,
    pub(super) topics: Vec<&'a str>,
    pub(super) committed_only: bool,
}

/// The time for which a consumer had a partition.
#[derive(Debug)]
pub(super) struct Tenure<'a> {
    pub(super) consumer: ConsumerId,
    pub(super) place: &'a Place,
    pub(super) from: usize,
    pub(super) until: Option<usize>,
    pub(super) generations: BTreeSet<i32>,
    /// Where the consumer wanted to go on, if it began so.
    pub(super) start: Option<i64>,
}

/// What became of a transaction.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) begun: usize,
    pub(super) ending: Option<(usize, bool)>,
    pub(super) ended: Option<(usize, Option<bool>)>,
}

impl<'a> Index<'a> {
    pub(super) fn new(history: &'a History) -> Self {
        let mut index = Index {
            history,
            records: BTreeMap::new(),
            logged: BTreeMap::new(),
            readers: BTreeMap::new(),
            tenures: Vec::new(),
            by_owner: BTreeMap::new(),
            firsts: BTreeMap::new(),
            transactions: BTreeMap::new(),
            fenced: BTreeMap::new(),
            careless: BTreeSet::new(),
            recreated: BTreeMap::new(),
            endangered: BTreeMap::new(),
        };
        for (at, entry) in history.entries.iter().enumerate() {
            index.take(at, &entry.event);
        }
        for (place, log) in &history.logs {
            for logged in &log.records {
                index.logged.entry(logged.record).or_default().push((place, logged));
            }
        }
        index
    }

    fn take(&mut self, at: usize, event: &'a Event) {
        match event {
            Event::Sent { record, place, transaction } => {
                let course = self.records.entry(*record).or_default();
                course.sent = Some((at, place));
                course.transaction = *transaction;
            }
            Event::Refused { record } | Event::Acknowledged { record, .. } | Event::Failed { record, .. } => {
                self.records.entry(*record).or_default().outcomes.push(at);
            }
            Event::Opened { consumer, group, topics, committed_only } => {
                let circle = group.as_deref().map_or(Circle::Alone(*consumer), Circle::Group);
                let topics = topics.iter().map(|topic| &**topic).collect();
                let reader = Reader { circle, opened: at, topics, committed_only: *committed_only };
                self.readers.insert(*consumer, reader);
            }
            Event::Assigned { consumer, place } => {
                self.begin(*consumer, place, at, BTreeSet::new(), None);
            }
            Event::Sought { consumer, place, offset } => {
                let mut generations = BTreeSet::new();
                for tenure in self.open(*consumer).filter(|tenure| tenure.place == place) {
                    tenure.until = Some(at);
                    generations.append(&mut tenure.generations.clone());
                }
                self.begin(*consumer, place, at, generations, Some(*offset));
            }
            Event::Revoked { consumer, place } | Event::Lost { consumer, place } => {
                self.open(*consumer)
                    .filter(|tenure| tenure.place == place)
                    .for_each(|tenure| tenure.until = Some(at));
            }
            Event::Succeeds { consumer, before } => {
                let first = self.firsts.get(before).copied().unwrap_or(*before);
                self.firsts.insert(*consumer, first);
            }
            Event::Gone { consumer } | Event::Overslept { consumer } => {
                self.open(*consumer).for_each(|tenure| tenure.until = Some(at))
            }
            Event::Generation { consumer, generation } => self.open(*consumer).for_each(|tenure| {
                tenure.generations.insert(*generation);
            }),
            Event::Begun { transaction } => {
                self.transactions.insert(*transaction, Transaction { begun: at, ..Transaction::default() });
            }
            Event::Ending { transaction, commit } => {
                self.transactions.entry(*transaction).or_default().ending = Some((at, *commit));
            }
            Event::Ended { transaction, committed } => {
                self.transactions.entry(*transaction).or_default().ended = Some((at, *committed));
            }
            Event::Fenced { producer } => {
                self.fenced.entry(*producer).or_insert(at);
            }
            Event::Careless { producer } => {
                self.careless.insert(*producer);
            }
            Event::Recreated { place } => {
                self.recreated.insert(place, at);
            }
            Event::Endangered { place } => {
                self.endangered.insert(place, at);
            }
            _ => {}
        }
    }

    fn begin(
        &mut self,
        consumer: ConsumerId,
        place: &'a Place,
        from: usize,
        generations: BTreeSet<i32>,
        start: Option<i64>,
    ) {
        self.by_owner.entry((consumer, place)).or_default().push(self.tenures.len());
        self.tenures.push(Tenure { consumer, place, from, until: None, generations, start });
    }

    /// Whether a producer asks for neither order nor uniqueness.
    pub(super) fn is_careless(&self, producer: u32) -> bool {
        self.careless.contains(&producer)
    }

    /// Whether a record may be in its log again: it was not acknowledged, and then a broker led that had been stopped in good
    /// order. That one knows of each producer its last batch only, calls whatever comes again before that out of order, and a
    /// producer cannot tell.
    pub(super) fn is_rewritten(&self, record: RecordId) -> bool {
        let places = self.logged.get(&record).map_or(&[][..], Vec::as_slice);
        let Some(((place, last), earlier)) = places.split_last().filter(|(_, earlier)| !earlier.is_empty())
        else {
            return false;
        };
        let forgotten_to = self.log(place).map_or(0, |log| log.forgotten_to);
        let is_forgotten = earlier.iter().all(|(at, copy)| at == place && copy.offset < forgotten_to);
        let outcomes = self.records.get(&record).map_or(&[][..], |course| &course.outcomes);
        is_forgotten
            && outcomes.iter().all(|at| match self.history.entries[*at].event {
                Event::Acknowledged { offset, .. } => offset.is_none_or(|offset| offset == last.offset),
                _ => true,
            })
    }

    /// Whether what was sent at an entry may be lost although its leader had it.
    pub(super) fn may_be_lost(&self, producer: u32, place: &Place, sent: usize) -> bool {
        self.is_careless(producer) && self.endangered.get(place).is_some_and(|at| *at > sent)
    }

    fn open(&mut self, consumer: ConsumerId) -> impl Iterator<Item = &mut Tenure<'a>> {
        self.tenures.iter_mut().filter(move |tenure| tenure.consumer == consumer && tenure.until.is_none())
    }

    /// The tenure in which a consumer has a partition at an entry.
    pub(super) fn tenure_at(&self, consumer: ConsumerId, place: &Place, at: usize) -> Option<usize> {
        let theirs = self.by_owner.get(&(consumer, place))?;
        theirs.iter().copied().rev().find(|tenure| self.tenures[*tenure].covers(at))
    }

    /// Whether a partition's log was replaced, so that offsets mean one thing and then another.
    pub(super) fn is_recreated(&self, place: &Place) -> bool {
        self.recreated.contains_key(place)
    }

    /// Whether a partition's log was replaced after an entry.
    pub(super) fn is_replaced(&self, place: &Place, since: usize) -> bool {
        self.recreated.get(place).is_some_and(|at| *at > since)
    }

    /// Whether two consumers have one name (`group.instance.id`).
    pub(super) fn are_namesakes(&self, one: ConsumerId, other: ConsumerId) -> bool {
        let first = |consumer| self.firsts.get(&consumer).copied().unwrap_or(consumer);
        first(one) == first(other)
    }

    /// Those who share what the consumer reads.
    pub(super) fn circle(&self, consumer: ConsumerId) -> Circle<'a> {
        self.readers.get(&consumer).map_or(Circle::Alone(consumer), |reader| reader.circle)
    }

    pub(super) fn committed_only(&self, consumer: ConsumerId) -> bool {
        self.readers.get(&consumer).is_some_and(|reader| reader.committed_only)
    }

    pub(super) fn log(&self, place: &Place) -> Option<&'a FinalLog> {
        self.history.logs.get(place)
    }

    pub(super) fn entries(&self) -> &'a [Entry] {
        &self.history.entries
    }

    pub(super) fn time(&self, at: usize) -> Duration {
        self.history.entries.get(at).map_or(Duration::ZERO, |entry| entry.at)
    }

    /// The run's last entry, if it came to its end.
    pub(super) fn finish(&self) -> Option<usize> {
        self.history.entries.iter().rposition(|entry| entry.event == Event::Finished)
    }

    /// When the cluster was left alone for good, or the start if nobody ever disturbed it.
    pub(super) fn calm_from(&self) -> Duration {
        let calm = self.history.entries.iter().rev().find(|entry| entry.event == Event::Calmed);
        calm.map_or(Duration::ZERO, |entry| entry.at)
    }

    /// Whether nothing disturbed the cluster for this long before an entry.
    pub(super) fn is_calm(&self, at: usize, span: Duration) -> bool {
        let since = self.time(at).saturating_sub(span);
        let mut is_mended = true;
        for entry in &self.history.entries[..at] {
            match entry.event {
                Event::Disturbed { .. } => is_mended = false,
                Event::Calmed => is_mended = entry.at < since,
                _ => {}
            }
        }
        is_mended
    }
}

impl Tenure<'_> {
    pub(super) fn covers(&self, at: usize) -> bool {
        self.from < at && self.until.is_none_or(|until| at < until)
    }
}
