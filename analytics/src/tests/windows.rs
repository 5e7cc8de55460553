//! The fold and its windows, property by property.

use super::{BEGIN, brute::Recount, sale};
use crate::{Clock, History, TopError, TopQuery};
use jupan_schemas::{Micros, Money, Sale, Units};
use proptest::{prelude::*, sample::select};

const MINUTE: i64 = Micros::MINUTE;
const DAY: i64 = Micros::DAY;

/// A time by what it lies close to: windows go wrong at their edges.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Days before now, on the clock that counts.
    days_ago: i64,
    /// From the start of that minute.
    minutes: i64,
    /// From the start of that minute.
    micros: i64,
}

impl Place {
    fn at(self, now: i64) -> Micros {
        let minute = (now - self.days_ago * DAY).div_euclid(MINUTE) + self.minutes;
        Micros(minute * MINUTE + self.micros)
    }
}

#[derive(Clone, Debug)]
enum Act {
    Sell {
        product: u64,
        units: i64,
        price: i64,
        at: Place,
    },
    /// Of the nth sale so far, whole or in part.
    Return {
        nth: usize,
        units: i64,
    },
    /// The wall clock goes on, or a little back.
    Tick {
        micros: i64,
    },
    Ask {
        days: u32,
        limit: u32,
        as_of: Option<Place>,
    },
}

fn place(days_ago: impl Strategy<Value = i64>) -> impl Strategy<Value = Place> {
    let micros = prop_oneof![3 => select(vec![-1, 0, 1]), 1 => 0..MINUTE];
    (days_ago, -2..=2_i64, micros).prop_map(|(days_ago, minutes, micros)| Place {
        days_ago,
        minutes,
        micros,
    })
}

fn act() -> impl Strategy<Value = Act> {
    // Three days ago lies an edge of the present window, four an edge of what some histories keep.
    let sold = place(select(vec![-1, 0, 0, 0, 0, 1, 2, 3, 3, 3, 4, 4, 5, 9]));
    let sell = (1..7_u64, 1..4_i64, select(vec![0, 1, 2]), sold);
    let tick = select(vec![
        -90_000_000,
        -1,
        1,
        30_000_000,
        MINUTE,
        3 * MINUTE + 1,
        DAY / 24,
        DAY / 2,
        DAY,
        3 * DAY,
        4 * DAY,
    ]);
    let as_of = prop::option::of(place(select(vec![0, 0, 0, 1, 2, 3])));
    let days = prop_oneof![3 => Just(3), 3 => 1..6_u32, 1 => select(vec![0, 30, 31])];
    let ask = (days, prop_oneof![6 => 1..8_u32, 1 => select(vec![0, 100, 101])], as_of);
    prop_oneof![
        6 => sell.prop_map(|(product, units, price, at)| Act::Sell { product, units, price, at }),
        2 => (0..40_usize, 1..4_i64).prop_map(|(nth, units)| Act::Return { nth, units }),
        2 => tick.prop_map(|micros| Act::Tick { micros }),
        3 => ask.prop_map(|(days, limit, as_of)| Act::Ask { days, limit, as_of }),
    ]
}

/// Takes units back out of a sale, never more than it had.
fn return_of(sales: &[Sale], nth: usize, units: i64) -> Option<Sale> {
    let sold: Vec<_> = sales.iter().filter(|sale| sale.units.0 > 0).collect();
    let sale = *sold.get(nth % sold.len().max(1))?;
    let price = sale.amount.0 / sale.units.0;
    let returned: i64 = sales
        .iter()
        .filter(|other| other.order_id == sale.order_id && other.units.0 < 0)
        .map(|other| -other.units.0)
        .sum();
    let units = units.min(sale.units.0 - returned);
    let amount = Money(-units * price);
    (units > 0).then(|| Sale { units: Units(-units), amount, ..sale.clone() })
}

fn check(clock: Clock, sales_days: u32, acts: &[Act]) {
    let mut history = History::new(clock, sales_days);
    let mut recount = Recount::new(clock, sales_days);
    let mut wall = BEGIN.0;
    let default = TopQuery { days: 3, limit: 4, as_of: None };
    for (number, act) in acts.iter().enumerate() {
        history.advance(Micros(wall));
        recount.tick(wall);
        let mut query = default;
        match act {
            Act::Sell { product, units, price, at } => {
                let mut sale = sale(*product, *units, *price, at.at(recount.now(wall)));
                sale.order_id = number.to_string();
                history.fold(&sale).unwrap();
                recount.sell(&sale, wall);
            }
            Act::Return { nth, units } => {
                if let Some(back) = return_of(&recount.sales, *nth, *units) {
                    history.fold(&back).unwrap();
                    recount.sell(&back, wall);
                }
            }
            Act::Tick { micros } => wall += micros,
            Act::Ask { days, limit, as_of } => {
                let as_of = as_of.map(|place| place.at(recount.now(wall)));
                query = TopQuery { days: *days, limit: *limit, as_of };
            }
        }
        for query in [query, default] {
            let expected = recount.top(&query, wall);
            assert_eq!(history.top(&query, Micros(wall)), expected, "{query:?} after act {number}");
        }
        assert_eq!(history.dropped(), recount.dropped, "dropped after act {number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn windows_equal_a_recount_by_the_wall_clock(
        sales_days in 3..6_u32,
        acts in prop::collection::vec(act(), 1..70),
    ) {
        check(Clock::Wall, sales_days, &acts);
    }

    #[test]
    fn windows_equal_a_recount_by_the_event_clock(
        sales_days in 3..6_u32,
        acts in prop::collection::vec(act(), 1..70),
    ) {
        check(Clock::Event, sales_days, &acts);
    }

    /// Long windows, with whole days inside and parts of days at both ends.
    #[test]
    fn long_windows_equal_a_recount(
        sales in prop::collection::vec((1..9_u64, 1..4_i64, 0..40 * DAY), 1..200),
        asked in prop::collection::vec((1..=30_u32, 0..40 * DAY), 1..10),
    ) {
        let mut history = History::new(Clock::Event, 70);
        let mut recount = Recount::new(Clock::Event, 70);
        for (product, units, offset) in sales {
            let sale = sale(product, units, 3, BEGIN.plus(offset));
            history.fold(&sale).unwrap();
            recount.sell(&sale, 0);
        }
        for (days, offset) in asked {
            let query = TopQuery { days, limit: 5, as_of: Some(BEGIN.plus(offset)) };
            prop_assert_eq!(history.top(&query, Micros(0)), recount.top(&query, 0), "{:?}", query);
        }
    }
}

/// Units of product 1 in the present window after these sales, each of 1 unit.
fn check_present(clock: Clock, wall: Micros, sold: &[Micros], units: i64) {
    let mut history = History::new(clock, 33);
    history.advance(wall);
    sold.iter().for_each(|at| history.fold(&sale(1, 1, 1, *at)).unwrap());
    let answer = history.top(&TopQuery { days: 3, limit: 1, as_of: None }, wall).unwrap();
    let counted = answer.products.first().map_or(0, |product| product.units.0);
    assert_eq!(counted, units, "{clock:?} at {wall:?}: {sold:?}");
}

#[test]
fn the_edges_of_the_present_window() {
    let to = BEGIN;
    let from = to.plus(-3 * DAY);
    // By the wall clock at exactly 00:00 the window is [three days ago, 00:00).
    check_present(Clock::Wall, to, &[from], 1);
    check_present(Clock::Wall, to, &[from.plus(-1)], 0);
    check_present(Clock::Wall, to, &[to.plus(-1)], 1);
    check_present(Clock::Wall, to, &[to], 0);
    // One microsecond later it is a minute further.
    check_present(Clock::Wall, to.plus(1), &[from], 0);
    check_present(Clock::Wall, to.plus(1), &[from.plus(MINUTE)], 1);
    check_present(Clock::Wall, to.plus(1), &[to.plus(MINUTE - 1)], 1);
    check_present(Clock::Wall, to.plus(1), &[to.plus(MINUTE)], 0);
    // By the event clock the newest sale is inside, even on the minute, which pushes the oldest
    // minute out.
    check_present(Clock::Event, Micros(0), &[to], 1);
    check_present(Clock::Event, Micros(0), &[from, to], 1);
    check_present(Clock::Event, Micros(0), &[from.plus(MINUTE), to], 2);
    check_present(Clock::Event, Micros(0), &[from, to.plus(-1)], 2);
}

#[test]
fn an_empty_shop_answers() {
    for clock in [Clock::Wall, Clock::Event] {
        for as_of in [None, Some(BEGIN)] {
            let mut history = History::new(clock, 33);
            let query = TopQuery { days: 30, limit: 5, as_of };
            let answer = history.top(&query, BEGIN).unwrap();
            assert_eq!((answer.products.len(), answer.as_of), (0, BEGIN), "{clock:?}");
        }
    }
}

#[test]
fn a_past_event_sets_the_event_clock_back_from_its_stand_in() {
    let mut history = History::new(Clock::Event, 33);
    let query = TopQuery { days: 3, limit: 5, as_of: None };
    let wall = BEGIN.plus(3_000 * DAY);
    assert_eq!(history.top(&query, wall).unwrap().as_of, wall);
    history.fold(&sale(1, 2, 5, BEGIN)).unwrap();
    let answer = history.top(&query, wall).unwrap();
    assert_eq!((answer.as_of, answer.window_to), (BEGIN, BEGIN.plus(MINUTE)));
    assert_eq!(answer.products[0].units, Units(2));
    let later = TopQuery { as_of: Some(BEGIN.plus(1)), ..query };
    assert_eq!(history.top(&later, wall), Err(TopError::Future { now: BEGIN }));
}

#[test]
fn without_units_a_product_is_not_listed() {
    let mut history = History::new(Clock::Event, 33);
    // Given back for less than it was sold for: money is left over, units are not.
    for (units, price) in [(1, 5), (-1, 3)] {
        history.fold(&sale(1, units, price, BEGIN)).unwrap();
    }
    for days in [2, 3] {
        let query = TopQuery { days, limit: 5, as_of: None };
        assert_eq!(history.top(&query, BEGIN).unwrap().products, []);
    }
}

#[test]
fn sums_beyond_64_bits_are_refused() {
    let mut history = History::new(Clock::Event, 33);
    history.fold(&sale(7, i64::MAX, 1, BEGIN)).unwrap();
    let overflow = history.fold(&sale(7, 1, 1, BEGIN)).unwrap_err();
    assert_eq!(overflow.product.0, 7);
    // Apart by more than the present window each would be fine, but not a window over both.
    let mut history = History::new(Clock::Event, 33);
    history.fold(&sale(7, i64::MAX, 1, BEGIN)).unwrap();
    assert_eq!(history.fold(&sale(7, 1, 1, BEGIN.plus(5 * DAY))), Err(overflow));
    let mut history = History::new(Clock::Event, 33);
    assert_eq!(history.fold(&sale(7, i64::MIN, 1, BEGIN)), Err(overflow));
    // What is refused is in no sum.
    let query = TopQuery { days: 3, limit: 5, as_of: None };
    assert_eq!(history.top(&query, BEGIN).unwrap().products, []);
}

#[test]
fn a_question_under_way_is_not_changed_by_later_sales() {
    let mut history = History::new(Clock::Event, 33);
    history.fold(&sale(1, 1, 1, BEGIN)).unwrap();
    let query = TopQuery { days: 1, limit: 5, as_of: None };
    let crate::Asked::Pending(pending) = history.ask(&query, BEGIN).unwrap() else {
        panic!("a day's window is summed from buckets");
    };
    history.fold(&sale(1, 10, 1, BEGIN)).unwrap();
    assert_eq!(pending.sum().products[0].units, Units(1));
    assert_eq!(history.top(&query, BEGIN).unwrap().products[0].units, Units(11));
}
