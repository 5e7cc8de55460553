//! What a seed is made of. Each seed draws its own mix, with many kinds of commands and faults left
//! out altogether: so rare combinations happen, and one kind of trouble does not hide another.

use crate::{auditor::Shop, faults::Fault, random::Random, wishes::Wish};
use jupan_analytics::Clock;
use jupan_ledger::Rules;
use jupan_processors::Limits;
use jupan_schemas::{BALANCE_MAX, Micros, Money, PRICE_AND_STOCK_MAX};

/// Products of a shop whose orders have hundreds of lines.
const LARGE: u64 = 600;

/// The mix of one seed.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    pub(crate) shop: Shop,
    pub(crate) limits: Limits,
    pub(crate) users: u64,
    pub(crate) products: u64,
    pub(crate) price_max: i64,
    pub(crate) stock_max: i64,
    pub(crate) charge_usual: i64,
    pub(crate) quantity_usual: i64,
    pub(crate) lines_usual: usize,
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

impl Mix {
    pub(crate) fn draw(seed: u64, commands: usize) -> Self {
        let mut random = Random::new(seed, 1);
        let random = &mut random;
        let mut shop = shop(random);
        let faults_percent = *random.pick(&[0, 30, 50, 80]).unwrap_or(&50);
        let actions = [
            100,
            20 + weight(random, 200),
            5 + weight(random, 60),
            2 + weight(random, 20),
            if faults_percent == 0 { 0 } else { 1 + weight(random, 12) },
            1 + weight(random, 20),
        ];
        let is_large = random.one_in(50);
        if is_large {
            shop.order_lines_max = 500;
        }
        let users_max = *random.pick(&[3, 8, 40]).unwrap_or(&8);
        let products_max = *random.pick(&[2, 6, 30]).unwrap_or(&6);
        Self {
            limits: limits(random),
            users: 1 + random.below(users_max),
            products: if is_large { LARGE } else { 1 + random.below(products_max) },
            price_max: *random.pick(&[3, 50, 50, 1_000, PRICE_AND_STOCK_MAX]).unwrap_or(&50),
            stock_max: *random.pick(&[5, 60, 2_000]).unwrap_or(&60),
            charge_usual: *random.pick(&[100, 3_000, 60_000]).unwrap_or(&3_000),
            quantity_usual: *random.pick(&[2, 6, 25]).unwrap_or(&6),
            lines_usual: if is_large { 500 } else { *random.pick(&[1, 3, 8]).unwrap_or(&3) },
            queue_bytes_max: *random.pick(&[2_000, 40_000, 8 << 20]).unwrap_or(&40_000),
            auto_sync: random.one_in(6),
            commands,
            wishes: swarm(random, &Wish::USUAL, 75),
            faults: swarm(random, &Fault::ALL.map(|(_, usual)| usual), faults_percent),
            actions,
            retry_percent: random.below(30),
            other_body_percent: random.below(25),
            edge_percent: random.below(12),
            pause_us_max: *random.pick(&[1, 1_000, 400_000, 30_000_000]).unwrap_or(&1_000),
            sales_clock: if random.one_in(3) { Clock::Event } else { Clock::Wall },
            sales_days: *random.pick(&[3, 4, 10, 33]).unwrap_or(&33),
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

fn weight(random: &mut Random, limit: u64) -> u32 {
    u32::try_from(random.below(limit)).unwrap_or(0)
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
        lanes: *random.pick(&[1, 1, 2, 3, 5]).unwrap_or(&2),
        charge_min: 1,
        charge_max: *random.pick(&[500, 100_000, 10_000_000, BALANCE_MAX]).unwrap_or(&500),
        order_lines_max: *random.pick(&[2, 5, 500]).unwrap_or(&5),
        line_units_max: *random.pick(&[9, 100, 10_000]).unwrap_or(&100),
        order_deadline_us: *random
            .pick(&[Micros::SECOND, Micros::MINUTE, 15 * Micros::MINUTE])
            .unwrap_or(&Micros::MINUTE),
    }
}

fn limits(random: &mut Random) -> Limits {
    let usual = Limits::default();
    Limits {
        batch_records_max: *random.pick(&[1, 3, 20, 1024]).unwrap_or(&20),
        batch_bytes_max: *random.pick(&[200, 2_000, 192 * 1024]).unwrap_or(&2_000),
        commit_bytes_max: *random.pick(&[1, 2_000, 512 * 1024]).unwrap_or(&2_000),
        step_bytes_max: *random.pick(&[1, 1_500, 192 * 1024]).unwrap_or(&1_500),
        unprojected_entries_max: *random.pick(&[1, 40, 50_000]).unwrap_or(&40),
        cells_max: *random.pick(&[1, 12, 100, 400_000]).unwrap_or(&12),
        reminder_repeat_us: *random.pick(&[Micros::SECOND, 5 * Micros::SECOND]).unwrap_or(&1),
        reminders_max: *random.pick(&[1, 1_000]).unwrap_or(&1),
        restore_bytes_max: *random.pick(&[1, 3_000, 1 << 20]).unwrap_or(&3_000),
        ..usual
    }
}
