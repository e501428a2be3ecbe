//! Members subscribe to different topics: moves partitions from fuller to emptier members until no single move helps.
//!
//! Members with the same subscriptions and rack form a *class*, ordered by load; the emptiest subscriber of a topic
//! is the emptiest of the classes that subscribe to it. A search costs as many steps as there are classes and a move the
//! logarithm of a class's size.
//!
//! Racks decide where partitions without an owner go first and which ones move first, never how many: a partition stays with
//! its owner even in a wrong rack.
//!
//! Guarantee: at the end no partition's owner has two partitions more than another subscriber of the topic, and partitions
//! that are new to their owner were moved in preference to those that it had before.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::super::group::{Group, NOBODY};
use super::super::racks::Racks;
use super::claims::Claims;

/// The member that gets each partition.
pub(super) fn place(group: &Group<'_>, claims: &Claims, racks: Option<&Racks>) -> Vec<u32> {
    let mut balance = Balance::new(group, claims, racks);
    balance.keep_owned();
    balance.place_rest();
    // Each step lowers the unevenness of the loads, or keeps it and lowers the number of moved partitions: there is an end.
    loop {
        balance.level(Scope::Gained);
        balance.pass_on();
        balance.level(Scope::All);
        if !balance.give_back() {
            return balance.placed;
        }
    }
}

/// What may be moved: partitions that are new to the member that has them, or all.
#[derive(Clone, Copy, PartialEq)]
enum Scope {
    Gained,
    All,
}

/// Members that are interchangeable but for what they have.
struct Class {
    rack: Option<u32>,
    by_load: BTreeSet<(u32, u32)>,
}

/// A member's partitions of one topic.
#[derive(Default)]
struct Stock {
    gained: Vec<u32>,
    kept: Vec<u32>,
}

struct Balance<'a> {
    group: &'a Group<'a>,
    claims: &'a Claims,
    racks: Option<&'a Racks>,
    topic_of: Vec<u32>,
    placed: Vec<u32>,
    load: Vec<u32>,
    /// By member, then topic; no entry is empty.
    stocks: Vec<BTreeMap<u32, Stock>>,
    classes: Vec<Class>,
    class_of: Vec<u32>,
    classes_of_topic: Vec<Vec<u32>>,
}

impl<'a> Balance<'a> {
    fn new(group: &'a Group<'a>, claims: &'a Claims, racks: Option<&'a Racks>) -> Self {
        let members = group.members.len();
        let mut topics_of_member: Vec<Vec<u32>> = vec![Vec::new(); members];
        for (number, topic) in (0..).zip(&group.topics) {
            topic.subscribers.iter().for_each(|&member| topics_of_member[member as usize].push(number));
        }
        let mut numbers: HashMap<(&[u32], Option<u32>), u32> = HashMap::new();
        let mut classes: Vec<Class> = Vec::new();
        let mut class_of = Vec::with_capacity(members);
        let mut classes_of_topic: Vec<Vec<u32>> = vec![Vec::new(); group.topics.len()];
        for (member, topics) in (0..).zip(&topics_of_member) {
            let rack = racks.and_then(|racks| racks.rack(member));
            let class = *numbers.entry((topics, rack)).or_insert_with(|| {
                let class = classes.len() as u32;
                classes.push(Class { rack, by_load: BTreeSet::new() });
                topics.iter().for_each(|&topic| classes_of_topic[topic as usize].push(class));
                class
            });
            classes[class as usize].by_load.insert((0, member));
            class_of.push(class);
        }
        Self {
            group,
            claims,
            racks,
            topic_of: group.topics_of_partitions(),
            placed: vec![NOBODY; group.partition_count as usize],
            load: vec![0; members],
            stocks: (0..members).map(|_| BTreeMap::new()).collect(),
            classes,
            class_of,
            classes_of_topic,
        }
    }

    fn keep_owned(&mut self) {
        for partition in 0..self.group.partition_count {
            if let Some(owner) = self.claims.owner(partition)
                && self.subscribes(owner, partition)
            {
                self.give(partition, owner);
            }
        }
    }

    /// Gives what nobody has to the emptiest subscriber, partitions with few subscribers first.
    fn place_rest(&mut self) {
        let mut topics: Vec<usize> = (0..self.group.topics.len()).collect();
        topics.sort_by_key(|&topic| self.group.topics[topic].subscribers.len());
        for topic in topics {
            for partition in self.group.topics[topic].partitions.clone() {
                if self.placed[partition as usize] == NOBODY {
                    let local = self.emptiest(topic as u32, |rack| self.is_local(partition, rack));
                    if let Some((_, member)) = local.or_else(|| self.emptiest(topic as u32, |_| true)) {
                        self.give(partition, member);
                    }
                }
            }
        }
    }

    /// Lets the fuller members shed partitions until no move makes the loads more even.
    fn level(&mut self, scope: Scope) {
        let mut members: Vec<u32> = (0..self.load.len() as u32).collect();
        let mut moved = true;
        while moved {
            moved = false;
            members.sort_by_key(|&member| Reverse(self.load[member as usize]));
            for &member in &members {
                while self.shed(member, scope) {
                    moved = true;
                }
            }
        }
    }

    /// Moves one partition from the member to an emptier one, if that makes the two more even.
    fn shed(&mut self, from: u32, scope: Scope) -> bool {
        let load = self.load[from as usize];
        let candidates = self.stocks[from as usize].iter().filter_map(|(&topic, stock)| {
            let new = !stock.gained.is_empty();
            let (emptiest, to) = self.emptiest(topic, |_| true)?;
            (load > emptiest + 1 && (new || scope == Scope::All)).then_some((emptiest, !new, topic, to))
        });
        let Some((_, _, topic, to)) = candidates.min() else { return false };
        let stock = &self.stocks[from as usize][&topic];
        let list = if stock.gained.is_empty() { &stock.kept } else { &stock.gained };
        let near = list.iter().rfind(|&&partition| self.near(partition, to));
        let Some(&partition) = near.or(list.last()) else { return false };
        self.follow(&[(partition, to)]);
        true
    }

    /// Levels out over several members what single moves can not, without moving anything that a member had before.
    fn pass_on(&mut self) {
        for member in 0..self.load.len() as u32 {
            while self.load.iter().min().is_some_and(|least| self.load[member as usize] > least + 1) {
                let reach = Reach::from(self, member);
                if self.load[member as usize] <= self.load[reach.emptiest as usize] + 1 {
                    break;
                }
                self.follow(&reach.path(reach.emptiest));
            }
        }
    }

    /// Returns moved partitions to those who had them where the loads stay as even. Answers whether it did anything.
    ///
    /// When a partition goes back from its holder to its owner, the owner may pass a partition that is new to it to another
    /// member, that one likewise, and so on; the loads stay as even if the last one has less than the holder had, or is
    /// the holder.
    fn give_back(&mut self) -> bool {
        let mut displaced: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for partition in 0..self.group.partition_count {
            if let Some(owner) = self.claims.owner(partition)
                && owner != self.placed[partition as usize]
                && self.subscribes(owner, partition)
            {
                displaced.entry(owner).or_default().push(partition);
            }
        }
        let mut changed = false;
        for (owner, partitions) in displaced {
            let mut reach = None;
            for partition in partitions {
                let holder = self.placed[partition as usize];
                if self.load[owner as usize] >= self.load[holder as usize] {
                    let reach = reach.get_or_insert_with(|| Reach::from(self, owner));
                    let Some(end) = reach.end(&self.load, holder) else { continue };
                    self.follow(&reach.path(end));
                }
                self.follow(&[(partition, owner)]);
                (reach, changed) = (None, true);
            }
        }
        changed
    }

    fn follow(&mut self, moves: &[(u32, u32)]) {
        for &(partition, to) in moves {
            self.take(partition);
            self.give(partition, to);
        }
    }

    fn give(&mut self, partition: u32, member: u32) {
        let kept = self.claims.owner(partition) == Some(member);
        let stock = self.stocks[member as usize].entry(self.topic_of[partition as usize]).or_default();
        if kept {
            stock.kept.push(partition)
        } else {
            stock.gained.push(partition)
        }
        self.placed[partition as usize] = member;
        self.set_load(member, self.load[member as usize] + 1);
    }

    fn take(&mut self, partition: u32) {
        let member = std::mem::replace(&mut self.placed[partition as usize], NOBODY);
        let topic = self.topic_of[partition as usize];
        let stocks = &mut self.stocks[member as usize];
        if let Some(stock) = stocks.get_mut(&topic) {
            stock.gained.retain(|&other| other != partition);
            stock.kept.retain(|&other| other != partition);
            if stock.gained.is_empty() && stock.kept.is_empty() {
                stocks.remove(&topic);
            }
        }
        self.set_load(member, self.load[member as usize] - 1);
    }

    fn set_load(&mut self, member: u32, load: u32) {
        let by_load = &mut self.classes[self.class_of[member as usize] as usize].by_load;
        by_load.remove(&(self.load[member as usize], member));
        by_load.insert((load, member));
        self.load[member as usize] = load;
    }

    /// The load and the number of the emptiest subscriber of the topic whose rack is fine.
    fn emptiest(&self, topic: u32, rack: impl Fn(Option<u32>) -> bool) -> Option<(u32, u32)> {
        let classes =
            self.classes_of_topic[topic as usize].iter().map(|&class| &self.classes[class as usize]);
        classes.filter(|class| rack(class.rack)).filter_map(|class| class.by_load.first().copied()).min()
    }

    fn is_local(&self, partition: u32, rack: Option<u32>) -> bool {
        self.racks.zip(rack).is_some_and(|(racks, rack)| racks.replica_racks(partition).contains(&rack))
    }

    /// Whether the partition is among the first to move to the member: it had it before, or has a replica nearby.
    fn near(&self, partition: u32, member: u32) -> bool {
        self.claims.owner(partition) == Some(member)
            || self.racks.is_some_and(|racks| racks.local(member, partition))
    }

    fn subscribes(&self, member: u32, partition: u32) -> bool {
        let topic = &self.group.topics[self.topic_of[partition as usize] as usize];
        topic.subscribers.binary_search(&member).is_ok()
    }
}

/// The members to which a member can pass on a load of one, by moves of partitions that are new to those who pass them.
struct Reach {
    /// The partition that the member would get, and from whom; `None` for the first member and those out of reach.
    step_to: Vec<Option<(u32, u32)>>,
    first: u32,
    emptiest: u32,
}

impl Reach {
    fn from(balance: &Balance<'_>, first: u32) -> Self {
        let mut reach = Self { step_to: vec![None; balance.load.len()], first, emptiest: first };
        let mut seen_topics = vec![false; balance.group.topics.len()];
        let mut queue = VecDeque::from([first]);
        while let Some(from) = queue.pop_front() {
            if balance.load[from as usize] < balance.load[reach.emptiest as usize] {
                reach.emptiest = from;
            }
            for (&topic, Stock { gained, .. }) in &balance.stocks[from as usize] {
                // The first member with a partition of the topic reaches all its subscribers.
                if gained.is_empty() || std::mem::replace(&mut seen_topics[topic as usize], true) {
                    continue;
                }
                for &to in &balance.group.topics[topic as usize].subscribers {
                    if to != first && reach.step_to[to as usize].is_none() {
                        let step = gained.iter().find(|&&partition| balance.near(partition, to));
                        reach.step_to[to as usize] = step.or(gained.first()).map(|&step| (step, from));
                        queue.push_back(to);
                    }
                }
            }
        }
        reach
    }

    /// Who may take a load of one in place of `holder`.
    fn end(&self, load: &[u32], holder: u32) -> Option<u32> {
        if self.step_to[holder as usize].is_some() {
            Some(holder)
        } else {
            (load[self.emptiest as usize] < load[holder as usize]).then_some(self.emptiest)
        }
    }

    /// The moves that pass a load of one from the first member to `end`: partitions and who gets them.
    fn path(&self, end: u32) -> Vec<(u32, u32)> {
        let mut moves = Vec::new();
        let mut to = end;
        while to != self.first
            && let Some((partition, from)) = self.step_to[to as usize]
        {
            moves.push((partition, to));
            to = from;
        }
        moves
    }
}
