use super::*;

const BOUND: usize = 100;
const WORTH: usize = 10;

fn terms() -> Terms {
    Terms { bound: BOUND, request: 50, answer: WORTH, worth: WORTH }
}

fn budget(claims: &[Claim]) -> Budget {
    let held = claims.iter().map(|claim| claim.held).sum();
    Budget::new(terms(), held, (1..).zip(claims.iter().copied()).collect())
}

/// Nothing is held of ten partitions.
fn idle(share: usize) -> Claim {
    Claim { share, askable: 10, is_dry: true, ..Claim::default() }
}

#[test]
fn a_broker_is_asked_for_no_more_than_its_partitions_can_bring() {
    let few = Claim { askable: 2, ..idle(50) };
    let budget = budget(&[few, idle(50)]);
    assert_eq!((budget.allowance(1), budget.allowance(2)), (Some(20), Some(50)));
    assert_eq!(budget.allowance(3), None);
}

#[test]
fn a_worth_is_set_aside_for_each_dry_broker_even_by_one_that_waits_longer() {
    let resting = Claim { held: 50, asked: 7, ..idle(50) };
    assert_eq!(budget(&[idle(50), resting]).allowance(1), Some(40));
    assert_eq!(budget(&[Claim { asked: 8, ..idle(50) }, resting]).allowance(1), Some(40));
    // One that is not to be asked now needs none.
    let put_off = Claim { asking: Asking::PutOff, ..resting };
    assert_eq!(budget(&[idle(50), put_off]).allowance(1), Some(50));
}

#[test]
fn where_there_is_enough_for_one_it_goes_to_whoever_waits_longest() {
    let first = Claim { held: 85, asked: 3, ..idle(50) };
    let second = Claim { asked: 2, ..idle(50) };
    let budget = budget(&[first, second]);
    assert_eq!((budget.allowance(1), budget.allowance(2)), (None, Some(10)));
    assert!(budget.is_short());
}

#[test]
fn nobody_waits_for_a_broker_that_failed() {
    let failed = Claim { has_failed: true, ..idle(50) };
    let other = Claim { held: 85, asked: 3, ..idle(50) };
    let budget = budget(&[failed, other]);
    assert_eq!((budget.allowance(1), budget.allowance(2)), (Some(10), Some(10)));
}

#[test]
fn a_broker_with_something_to_read_waits_for_those_that_have_run_dry() {
    let reading = Claim { held: 35, is_dry: false, ..idle(50) };
    let resting = Claim { held: 50, asked: 1, ..idle(50) };
    assert_eq!(budget(&[reading, resting]).allowance(1), None);
    assert_eq!(budget(&[reading, Claim { held: 40, ..resting }]).allowance(1), Some(15));
}

/// Brokers whose partitions are read, rest and come back as it happens.
struct Model {
    random: fastrand::Rng,
    brokers: Vec<Broker>,
    turn: u64,
    /// Whether those that are ready ask in any order, or the last always last.
    is_shuffled: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Broker {
    active: usize,
    resting: usize,
    asking: Asking,
    asked: u64,
    has_failed: bool,
    /// Answers of others since it has been waiting for room.
    waited: usize,
}

impl Model {
    fn budget(&self) -> Budget {
        let share = BOUND / self.brokers.len();
        let claims = self.brokers.iter().map(|broker| Claim {
            share,
            held: broker.active + broker.resting,
            askable: 10,
            is_dry: broker.active == 0,
            asking: broker.asking,
            has_failed: broker.has_failed,
            asked: broker.asked,
        });
        budget(&claims.collect::<Vec<_>>())
    }

    fn unread(&self) -> usize {
        self.brokers.iter().map(|broker| broker.active + broker.resting).sum()
    }

    fn taken(&self) -> usize {
        let asked = self.brokers.iter().map(|broker| match broker.asking {
            Asking::For(bytes) => bytes,
            _ => 0,
        });
        self.unread() + asked.sum::<usize>()
    }

    /// Whoever may be asked is connected to, and asked, in some order, unless that takes a while.
    fn ask(&mut self) {
        let budget = self.budget();
        for (node, broker) in (1..).zip(&mut self.brokers) {
            if broker.asking == Asking::Idle && budget.allowance(node).is_some() {
                broker.asking = Asking::Begun;
            }
        }
        let mut order: Vec<usize> = (0..self.brokers.len()).collect();
        if self.is_shuffled {
            self.random.shuffle(&mut order);
        }
        for at in order {
            if self.brokers[at].asking != Asking::Begun || self.random.u8(..) < 60 {
                continue;
            }
            self.brokers[at].asking = match self.budget().allowance(at as NodeId + 1) {
                Some(bytes) => {
                    self.turn += 1;
                    (self.brokers[at].asked, self.brokers[at].waited) = (self.turn, 0);
                    Asking::For(bytes)
                }
                None => Asking::Idle,
            };
            assert!(self.taken() <= BOUND, "{:?}", self.brokers);
        }
    }

    fn step(&mut self) {
        let at = self.random.usize(0..self.brokers.len());
        let broker = &mut self.brokers[at];
        match (self.random.u8(0..8), broker.asking) {
            (0, _) => (broker.active, broker.resting) = (0, broker.resting + broker.active),
            (1, _) if self.random.u8(..) < 30 => broker.resting = 0,
            (2 | 3, _) => broker.active = 0,
            (_, Asking::For(bytes)) => {
                broker.active += self.random.usize(0..=bytes);
                broker.asking = Asking::Idle;
                for (other, broker) in self.brokers.iter_mut().enumerate() {
                    let waits = broker.active == 0 && broker.asking == Asking::Idle && !broker.has_failed;
                    broker.waited = if waits && other != at { broker.waited + 1 } else { 0 };
                }
            }
            _ => {}
        }
        if self.unread() + WORTH > BOUND {
            self.brokers.iter_mut().for_each(|broker| broker.waited = 0);
        }
    }
}

#[test]
fn every_dry_broker_is_asked_within_its_turn_unless_what_is_unread_fills_the_bound() {
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = random.usize(1..8);
        let mut model =
            Model { brokers: vec![Broker::default(); count], turn: 0, is_shuffled: seed % 2 == 0, random };
        model.brokers[0].has_failed = seed % 3 == 0;
        for _ in 0..500 {
            model.step();
            model.ask();
            let longest = model.brokers.iter().map(|broker| broker.waited).max();
            assert!(longest <= Some(3 * count), "seed {seed}: {:?}", model.brokers);
        }
    }
}
