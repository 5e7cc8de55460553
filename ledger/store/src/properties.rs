//! Random histories: whatever is repeated, reordered, made durable, lost and caught up with, every
//! provider ends at the rows that a brute-force reading of the journal gives.

use crate::{
    LaneStore, Page,
    conformance::{Fixture, View, samples},
};
use jupan_schemas::{
    HoldEnd, Lane, Micros, OrderId, OrderStatus, Role,
    rows::{Key, OrderRow, ProductRow, Row, StatementRow, Watermark},
};
use proptest::{collection::vec, prelude::*, test_runner::Config};
use std::{collections::BTreeMap, sync::Arc};

const LANES: [Lane; 4] = [
    Lane { role: Role::Users, index: 0 },
    Lane { role: Role::Users, index: 1 },
    Lane { role: Role::Products, index: 0 },
    Lane { role: Role::Products, index: 1 },
];
/// Users and products that the histories are about; odd ones belong to lane 1.
const IDS: std::ops::Range<u64> = 0..6;

/// What one entry of a journal is about.
#[derive(Clone, Copy, Debug)]
struct Wish {
    kind: u8,
    id: u64,
    which: usize,
}

#[derive(Clone, Debug)]
struct Step {
    rows: Vec<Row>,
    watermark: Watermark,
}

/// Makes one lane's rows the way a lane does: an order is placed once and ends once, a hold begins
/// once.
#[derive(Default)]
struct Author {
    sequence: u64,
    pending: Vec<(u64, u64, u64)>,
    holds: Vec<(u64, u64)>,
}

impl Author {
    fn rows(&mut self, lane: Lane, wish: Wish) -> Vec<Row> {
        self.sequence += 1;
        let id = wish.id / 2 * 2 + u64::from(lane.index);
        let mut rows = match lane.role {
            Role::Users => self.user_rows(id, wish),
            Role::Products => self.product_rows(id, wish),
        };
        rows.iter_mut().for_each(|row| set_lane(row, lane.index));
        rows
    }

    fn user_rows(&mut self, id: u64, wish: Wish) -> Vec<Row> {
        let n = self.sequence;
        let user = Row::from(samples::user(id, n));
        match wish.kind % 4 {
            0 => vec![user, Row::from(samples::statement(id, n))],
            1 => vec![Row::from(samples::outcome(id, n, n))],
            2 => {
                self.pending.push((id, n, n));
                vec![Row::from(samples::order(id, n, n, n, OrderStatus::Pending))]
            }
            _ if self.pending.is_empty() => vec![user],
            _ => {
                let (id, number, placed) =
                    self.pending.swap_remove(wish.which % self.pending.len());
                let status = [OrderStatus::Success, OrderStatus::Failed][wish.which % 2];
                vec![Row::from(samples::order(id, number, placed, n, status))]
            }
        }
    }

    fn product_rows(&mut self, id: u64, wish: Wish) -> Vec<Row> {
        let n = self.sequence;
        let hold = match wish.kind % 3 {
            0 => None,
            1 if !self.holds.is_empty() => {
                let (user, number) = self.holds.swap_remove(wish.which % self.holds.len());
                Some(samples::hold(user, number, n, Some(HoldEnd::Settled)))
            }
            _ => {
                self.holds.push((id, n));
                Some(samples::hold(id, n, n, None))
            }
        };
        [Row::from(samples::product(id, n))].into_iter().chain(hold.map(Row::from)).collect()
    }
}

fn set_lane(row: &mut Row, lane: u16) {
    match row {
        Row::User(row) => Arc::make_mut(row).lane = lane,
        Row::Product(row) => Arc::make_mut(row).lane = lane,
        Row::Order(row) => Arc::make_mut(row).lane = lane,
        Row::Outcome(row) => Arc::make_mut(row).lane = lane,
        Row::Hold(row) => Arc::make_mut(row).lane = lane,
        Row::Statement(row) => Arc::make_mut(row).lane = lane,
    }
}

/// A journal for each lane.
fn journals(wishes: &[Vec<Wish>]) -> BTreeMap<Lane, Vec<Step>> {
    let mut journals = BTreeMap::new();
    for lane in LANES {
        let mut author = Author::default();
        let steps = (1..).zip(wishes).map(|(number, wishes)| {
            let rows = wishes.iter().flat_map(|wish| author.rows(lane, *wish)).collect();
            Step { rows, watermark: samples::watermark(number, author.sequence) }
        });
        journals.insert(lane, steps.collect());
    }
    journals
}

/// What happens to a store.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A lane applies its next step, in order or shuffled, at once or row by row; it may leave the
    /// watermark for later.
    Advance {
        lane: usize,
        shuffle: Option<u64>,
        one_by_one: bool,
        marks: bool,
    },
    /// A lane applies what it has applied before, from some steps back.
    Repeat {
        lane: usize,
        back: usize,
        shuffle: u64,
    },
    Persist,
    /// Crash, then every lane catches up from its watermark.
    Crash {
        shuffle: Option<u64>,
    },
    Wipe {
        shuffle: Option<u64>,
    },
}

fn shuffled(mut rows: Vec<Row>, seed: Option<u64>) -> Vec<Row> {
    let Some(mut state) = seed else { return rows };
    for last in (1..rows.len()).rev() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = usize::try_from(state >> 33).expect("31 bits") % (last + 1);
        rows.swap(last, pick);
    }
    rows
}

/// A store, and how many steps of each lane it was given.
struct Run<'a, F: Fixture> {
    fixture: &'a F,
    journals: &'a BTreeMap<Lane, Vec<Step>>,
    store: Arc<F::Store>,
    given: BTreeMap<Lane, usize>,
    /// How many of them are below the watermark.
    marked: BTreeMap<Lane, usize>,
}

impl<'a, F: Fixture> Run<'a, F> {
    fn new(fixture: &'a F, journals: &'a BTreeMap<Lane, Vec<Step>>) -> Self {
        let given: BTreeMap<_, _> = LANES.into_iter().map(|lane| (lane, 0)).collect();
        Self { fixture, journals, store: fixture.create(), marked: given.clone(), given }
    }

    fn happen(mut self, event: Event) -> Self {
        match event {
            Event::Advance { lane, shuffle, one_by_one, marks } => {
                self.advance(LANES[lane], shuffle, one_by_one);
                if marks {
                    self.mark(LANES[lane]);
                }
            }
            Event::Repeat { lane, back, shuffle } => {
                let end = self.given[&LANES[lane]];
                let rows = self.rows(LANES[lane], end.saturating_sub(back), end);
                self.apply(LANES[lane], shuffled(rows, Some(shuffle)), false);
            }
            Event::Persist => self.fixture.persist(&self.store),
            Event::Crash { shuffle } => {
                self.store = self.fixture.crash(self.store);
                self.catch_up(shuffle);
            }
            Event::Wipe { shuffle } => {
                self.store = self.fixture.wipe(self.store);
                self.catch_up(shuffle);
            }
        }
        self
    }

    fn rows(&self, lane: Lane, from: usize, to: usize) -> Vec<Row> {
        self.journals[&lane][from..to].iter().flat_map(|step| step.rows.clone()).collect()
    }

    fn apply(&self, lane: Lane, rows: Vec<Row>, one_by_one: bool) {
        let calls =
            if one_by_one { rows.into_iter().map(|row| vec![row]).collect() } else { vec![rows] };
        for rows in calls {
            self.store.apply(lane, rows).expect("rows of the lane");
        }
    }

    fn advance(&mut self, lane: Lane, shuffle: Option<u64>, one_by_one: bool) {
        let next = self.given[&lane];
        let Some(step) = self.journals[&lane].get(next) else { return };
        self.apply(lane, shuffled(step.rows.clone(), shuffle), one_by_one);
        self.given.insert(lane, next + 1);
    }

    fn mark(&mut self, lane: Lane) {
        let given = self.given[&lane];
        if let Some(last) = given.checked_sub(1) {
            let watermark = self.journals[&lane][last].watermark;
            self.store.set_watermark(lane, watermark).expect("a watermark");
        }
        self.marked.insert(lane, given);
    }

    fn catch_up(&mut self, shuffle: Option<u64>) {
        for (lane, given) in self.given.clone() {
            let watermark = self.store.watermark(lane).expect("a watermark");
            let persisted = watermark.map_or(0, |watermark| watermark.step);
            let from = usize::try_from(persisted).expect("a few steps");
            assert!(from <= given, "{lane} is ahead of its journal");
            self.apply(lane, shuffled(self.rows(lane, from, given), shuffle), false);
            self.mark(lane);
        }
    }

    /// Holds everything that can be read against the journals.
    fn check(&self, limit: usize, cursor: u64) {
        let view = View::of(&*self.store);
        let truth = Truth(LANES.map(|lane| self.rows(lane, 0, self.given[&lane])).concat());
        for key in truth.keys() {
            assert_eq!(view.load(key), truth.row(key), "{key:?}");
        }
        for id in IDS {
            assert_eq!(
                view.user(id).map(Row::from),
                truth.row(Key::User(jupan_schemas::UserId(id)))
            );
            let product = truth.row(Key::Product(jupan_schemas::ProductId(id)));
            assert_eq!(view.product(id).map(Row::from), product);
            for before in [None, Some(cursor)] {
                let orders = view.orders(id, before, limit);
                assert_eq!(orders, page(truth.orders(id, before), limit), "orders of {id}");
                let statement = view.statement(id, before, limit);
                assert_eq!(
                    statement,
                    page(truth.statement(id, before), limit),
                    "statement of {id}"
                );
            }
        }
        for after in [None, Some(cursor % 6)] {
            assert_eq!(view.products(after, limit), page(truth.products(after), limit), "products");
        }
        for lane in LANES {
            let mut open = self.store.open_orders(lane).expect("open orders");
            open.sort_unstable();
            assert_eq!(open, truth.open_orders(lane), "open orders of {lane}");
            let last = self.marked[&lane].checked_sub(1).map(|i| self.journals[&lane][i].watermark);
            assert_eq!(view.projected(lane), last, "{lane}");
        }
    }
}

/// All rows ever given. Every question searches all of them.
struct Truth(Vec<Row>);

impl Truth {
    fn keys(&self) -> Vec<Key> {
        self.0.iter().filter_map(Row::key).collect()
    }

    fn newest(&self, key: Key) -> Option<&Row> {
        let of_key = self.0.iter().filter(|row| row.key() == Some(key));
        of_key.max_by_key(|row| row.as_of().sequence)
    }

    fn row(&self, key: Key) -> Option<Row> {
        self.newest(key)
            .filter(|row| !matches!(row, Row::Hold(hold) if hold.end.is_some()))
            .cloned()
    }

    fn all(&self) -> impl Iterator<Item = Row> {
        let keys: std::collections::BTreeSet<_> = self.keys().into_iter().collect();
        keys.into_iter().filter_map(|key| self.row(key))
    }

    fn products(&self, after: Option<u64>) -> Vec<ProductRow> {
        let products = self.all().filter_map(crate::product).map(Arc::unwrap_or_clone);
        products.filter(|row| after.is_none_or(|after| row.product_id.0 > after)).collect()
    }

    fn orders(&self, user: u64, before: Option<u64>) -> Vec<OrderRow> {
        let orders = self.all().filter_map(crate::order).map(Arc::unwrap_or_clone);
        let orders = orders.filter(|row| row.user_id.0 == user);
        let mut orders: Vec<_> =
            orders.filter(|row| before.is_none_or(|before| row.placed < before)).collect();
        orders.sort_by_key(|row| std::cmp::Reverse(row.placed));
        orders
    }

    fn statement(&self, user: u64, before: Option<u64>) -> Vec<StatementRow> {
        let rows = self.0.iter().filter_map(|row| match row {
            Row::Statement(row) if row.user_id.0 == user => Some((**row).clone()),
            _ => None,
        });
        let mut rows: Vec<_> =
            rows.filter(|row| before.is_none_or(|before| row.as_of.sequence < before)).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.as_of.sequence));
        rows
    }

    fn open_orders(&self, lane: Lane) -> Vec<(OrderId, Micros)> {
        let orders = self.all().filter_map(crate::order).filter(|row| row.lane == lane.index);
        let open = orders.filter(|row| lane.role == Role::Users && row.is_pending());
        let mut open: Vec<_> = open.map(|row| (row.order_id, row.deadline)).collect();
        open.sort_unstable();
        open
    }
}

fn page<T>(mut items: Vec<T>, limit: usize) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    Page { items, more }
}

fn wishes() -> impl Strategy<Value = Vec<Vec<Wish>>> {
    let wish = (any::<u8>(), IDS, 0usize..8).prop_map(|(kind, id, which)| Wish { kind, id, which });
    vec(vec(wish, 1..6), 1..12)
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let shuffle = || proptest::option::of(any::<u64>());
    let advance = (0usize..4, shuffle(), any::<bool>(), any::<bool>()).prop_map(
        |(lane, shuffle, one_by_one, marks)| Event::Advance { lane, shuffle, one_by_one, marks },
    );
    let repeat = (0usize..4, 0usize..4, any::<u64>())
        .prop_map(|(lane, back, shuffle)| Event::Repeat { lane, back, shuffle });
    let event = prop_oneof![
        24 => advance,
        4 => repeat,
        5 => Just(Event::Persist),
        2 => shuffle().prop_map(|shuffle| Event::Crash { shuffle }),
        1 => shuffle().prop_map(|shuffle| Event::Wipe { shuffle }),
    ];
    vec(event, 1..50)
}

/// Runs histories against a provider, and checks after each event.
fn check(cases: u32, fixture: &impl Fixture) {
    let config = Config { failure_persistence: None, ..Config::with_cases(cases) };
    let list = (0usize..5, 0u64..40);
    proptest!(config, |(wishes in wishes(), events in events(), (limit, cursor) in list)| {
        let journals = journals(&wishes);
        let mut run = Run::new(fixture, &journals);
        for event in events {
            run = run.happen(event);
            run.check(limit, cursor);
        }
    });
}

#[test]
fn memory_ends_at_the_journals_rows() {
    use crate::memory::tests::Stores;
    check(100, &Stores { some_survive: false });
    check(100, &Stores { some_survive: true });
}

#[test]
fn embedded_ends_at_the_journals_rows() {
    use crate::embedded::tests::{Directories, NEVER};
    check(12, &Directories::new(NEVER));
}
