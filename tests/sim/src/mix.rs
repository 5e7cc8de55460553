//! What a seed is made of. Each seed draws its own mix, with many kinds of commands and faults left
//! out altogether: so rare combinations happen, and one kind of trouble does not hide another.

use crate::{auditor::Shop, faults::Fault, random::Random, wishes::Wish};
use jupan_analytics::Clock;
use jupan_ledger::Rules;
use jupan_processors::Limits;
use jupan_schemas::{BALANCE_MAX, Micros, Money, PRICE_AND_STOCK_MAX};
use std::time::Duration;

/// Products of a shop whose orders have hundreds of lines.
const LARGE: u64 = 600;

/// Of a seed's numbers, those that say how long rows may lie: apart, so that the rest of a seed stays
/// what it was.
const COALESCING: u64 = 5;

/// The mix of one seed.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    pub(crate) shop: Shop,
    pub(crate) limits: Limits,
    pub(crate) users: u64,
    pub(crate) goods: Goods,
    pub(crate) queue_bytes_max: usize,
    pub(crate) auto_sync: bool,
    /// Commands sent, retries and garbage included.
    pub(crate) commands: usize,
    /// By the number of [`Wish`].
    pub(crate) wishes: Vec<u32>,
    /// By the number of [`Fault`].
    pub(crate) faults: Vec<u32>,
    /// Of what happens next: a command, a turn, a sync, a save of the store, a fault, something
    /// about the best sellers.
    pub(crate) actions: [u32; 6],
    pub(crate) retry_percent: u64,
    pub(crate) other_body_percent: u64,
    pub(crate) edge_percent: u64,
    /// Longest pause before an action, in microseconds.
    pub(crate) pause_us_max: u64,
    /// Whose time the best sellers go by.
    pub(crate) sales_clock: Clock,
    pub(crate) sales_days: u32,
    /// Whether the run ends with a message that skips a number.
    pub(crate) ends_with_gap: bool,
}

/// What is sold, and how much of it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Goods {
    pub(crate) products: u64,
    pub(crate) price_max: i64,
    pub(crate) stock_max: i64,
    pub(crate) charge_usual: i64,
    pub(crate) quantity_usual: i64,
    pub(crate) lines_usual: usize,
}

impl Mix {
    pub(crate) fn draw(seed: u64, commands: usize) -> Self {
        let mut random = Random::new(seed, 1);
        let random = &mut random;
        let mut shop = shop(random);
        let faults_percent = random.one_of([0, 30, 50, 80]);
        let actions = [
            100,
            20 + random.count(200),
            5 + random.count(60),
            2 + random.count(20),
            if faults_percent == 0 { 0 } else { 1 + random.count(12) },
            1 + random.count(20),
        ];
        let goods = goods(random, &mut shop);
        let users_max = random.one_of([3, 8, 40]);
        Self {
            limits: limits(random, &mut Random::new(seed, COALESCING)),
            users: 1 + random.below(users_max),
            pause_us_max: pause_us_max(random, &shop),
            goods,
            queue_bytes_max: random.one_of([2_000, 40_000, 8 << 20]),
            auto_sync: random.one_in(6),
            commands,
            wishes: swarm(random, &Wish::USUAL, 75),
            faults: swarm(random, &Fault::ALL.map(|(_, usual)| usual), faults_percent),
            actions,
            retry_percent: random.below(30),
            other_body_percent: random.below(25),
            edge_percent: random.below(12),
            sales_clock: if random.one_in(3) { Clock::Event } else { Clock::Wall },
            sales_days: random.one_of([3, 4, 10, 33]),
            ends_with_gap: random.one_in(8),
            shop,
        }
    }

    /// The shop's rules, as the lanes take them.
    pub(crate) fn rules(&self) -> Rules {
        let shop = &self.shop;
        Rules {
            charge_min: Money(shop.charge_min),
            charge_max: Money(shop.charge_max),
            order_lines_max: shop.order_lines_max,
            line_units_max: shop.line_units_max,
            order_deadline_us: shop.order_deadline_us,
            ..Rules::new(shop.lanes)
        }
    }
}

/// Keeps each kind with a chance; at least one of them.
fn swarm(random: &mut Random, usual: &[u32], keep_percent: u64) -> Vec<u32> {
    let mut kept: Vec<u32> =
        usual.iter().map(|usual| if random.percent(keep_percent) { *usual } else { 0 }).collect();
    let one = random.index(kept.len());
    kept[one] = kept[one].max(usual[one]);
    kept
}

fn shop(random: &mut Random) -> Shop {
    Shop {
        lanes: random.one_of([1, 1, 2, 3, 5]),
        charge_min: 1,
        charge_max: BALANCE_MAX,
        order_lines_max: random.one_of([2, 5, 500]),
        line_units_max: random.one_of([9, 100, 10_000]),
        order_deadline_us: random.one_of([Micros::SECOND, Micros::MINUTE, 15 * Micros::MINUTE]),
    }
}

/// Mostly so that there is enough of everything for some orders and too little for others.
fn goods(random: &mut Random, shop: &mut Shop) -> Goods {
    let is_large = random.one_in(50);
    if is_large {
        shop.order_lines_max = 500;
    }
    let products_max = random.one_of([2, 6, 30]);
    // Now and then a line more than an order may have.
    let lines_most = shop.order_lines_max + random.index(2);
    let lines_usual = if is_large { 500 } else { random.one_of([1, 3, 8]).min(lines_most) };
    let quantity_usual = random.one_of([2, 6, 25]).min(shop.line_units_max);
    let price_max = random.one_of([3, 50, 50, 50, 1_000, 1_000, PRICE_AND_STOCK_MAX]);
    let lines = i64::try_from(lines_usual.min(shop.order_lines_max)).unwrap_or(1);
    // About what an order costs: half of the most, three times over.
    let order = price_max.saturating_mul(quantity_usual * lines / 8 + 1).min(BALANCE_MAX / 100);
    let charge_usual = order.saturating_mul(random.one_of([1, 4, 30])) / 2 + 1;
    shop.charge_max =
        charge_usual.saturating_mul(random.one_of([1, 100, BALANCE_MAX])).min(BALANCE_MAX);
    Goods {
        products: if is_large { LARGE } else { 1 + random.below(products_max) },
        price_max,
        stock_max: quantity_usual * random.one_of([2, 20, 300]),
        charge_usual,
        quantity_usual,
        lines_usual,
    }
}

/// Mostly so short that an order has a chance to be decided before its deadline.
fn pause_us_max(random: &mut Random, shop: &Shop) -> u64 {
    let pause = random.one_of([1, 1_000, 400_000, 30_000_000]);
    let brief = shop.order_deadline_us.unsigned_abs() / 100;
    if random.one_in(4) { pause } else { pause.min(brief) }
}

fn limits(random: &mut Random, coalescing: &mut Random) -> Limits {
    let usual = Limits::default();
    // In half of the seeds, rows lie.
    let coalesce_us = coalescing.one_of([0, 0, 0, 1_000, 20_000, 5_000_000]);
    Limits {
        batch_records_max: random.one_of([1, 3, 20, 1024]),
        batch_bytes_max: random.one_of([200, 2_000, 192 * 1024]),
        commit_bytes_max: random.one_of([1, 2_000, 512 * 1024]),
        step_bytes_max: random.one_of([1, 1_500, 192 * 1024]),
        unprojected_entries_max: random.one_of([1, 40, 50_000]),
        cells_max: random.one_of([1, 12, 100, 400_000]),
        reminder_repeat_us: random.one_of([Micros::SECOND, 5 * Micros::SECOND]),
        reminders_max: random.one_of([1, 1_000]),
        restore_bytes_max: random.one_of([1, 3_000, 1 << 20]),
        coalesce_wait: Duration::from_micros(coalesce_us),
        coalesce_entries_max: coalescing.one_of([1, 5, 1_024]),
        ..usual
    }
}
