//! Applies rows as lanes do for orders of two lines, and prints what a row and a key cost.
//!
//! `cargo run --release -p jupan-store --features conformance --example apply_orders -- [ORDERS]
//! [DIRECTORY]`

use jupan_schemas::{HoldEnd, OrderStatus, rows::Row};
use jupan_store::{
    LaneStore,
    conformance::samples::{self, PRODUCTS, USERS},
    embedded::{EmbeddedStore, Options},
};
use std::time::Instant;

/// Orders whose rows are applied at once.
const BATCH: u64 = 256;
const USER_COUNT: u64 = 10_000;
const PRODUCT_COUNT: u64 = 1_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let orders: u64 = arguments.next().map_or(Ok(500_000), |text| text.parse())?;
    let temporary = tempfile::tempdir()?;
    let dir = arguments.next().map_or_else(|| temporary.path().to_path_buf(), Into::into);
    let opening = Instant::now();
    let store = EmbeddedStore::open(&dir, Options::default())?;
    println!("opened in {:.0} ms", opening.elapsed().as_secs_f64() * 1e3);

    let cpu_start = cpu_seconds();
    let made: usize =
        (0..orders / BATCH).map(|batch| std::hint::black_box(rows_of(batch)).0.len()).sum();
    let making = cpu_seconds() - cpu_start;
    println!("{made} user rows made in {making:.2} s of CPU, taken off below");

    let (start, cpu_start) = (Instant::now(), cpu_seconds() + making);
    let mut applying = 0.0;
    let mut rows_given = 0;
    for batch in 0..orders / BATCH {
        let (user_rows, product_rows) = rows_of(batch);
        rows_given += user_rows.len() + product_rows.len();
        let now = Instant::now();
        store.apply(USERS, user_rows)?;
        store.apply(PRODUCTS, product_rows)?;
        applying += now.elapsed().as_secs_f64();
        let sequence = (batch + 1) * BATCH * 4;
        for lane in [USERS, PRODUCTS] {
            store.set_watermark(lane, samples::watermark(batch + 1, sequence))?;
        }
    }
    store.close()?;
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu_start);
    let count = (orders / BATCH * BATCH) as f64;
    println!(
        "{count} orders, {rows_given} rows in {seconds:.2} s: {:.0} orders/s",
        count / seconds
    );
    println!("apply: {:.2} us a row, on the lane's thread", applying * 1e6 / rows_given as f64);
    println!(
        "CPU: {:.2} us an order, {:.2} us a row, all threads",
        cpu * 1e6 / count,
        cpu * 1e6 / rows_given as f64
    );
    println!("memory: {:.0} MB at most", peak_memory_mb());
    misses(&*store)?;
    Ok(())
}

/// Each order is placed and ends within the batch, as it does in a shop that answers within
/// milliseconds.
fn rows_of(batch: u64) -> (Vec<Row>, Vec<Row>) {
    let mut user_rows = Vec::new();
    let mut product_rows = Vec::new();
    for n in 0..BATCH {
        let number = batch * BATCH + n;
        let user = 1 + number.wrapping_mul(7_919) % USER_COUNT;
        let placed = number * 4 + 1;
        let pending = samples::order(user, number, placed, placed, OrderStatus::Pending);
        user_rows.push(Row::from(pending));
        let success = samples::order(user, number, placed, placed + 1, OrderStatus::Success);
        user_rows.push(Row::from(success));
        user_rows.push(Row::from(samples::user(user, placed + 1)));
        user_rows.push(Row::from(samples::statement(user, placed + 1)));
        product_rows.push(Row::from(samples::hold(user, number, placed, None)));
        let end = Some(HoldEnd::Settled);
        product_rows.push(Row::from(samples::hold(user, number, placed + 1, end)));
        for line in 0..2 {
            let product = 1 + number.wrapping_mul(104_729 + line) % PRODUCT_COUNT;
            product_rows.push(Row::from(samples::product(product, placed + 1)));
        }
    }
    (user_rows, product_rows)
}

/// What asking for new ids costs: most of what a lane looks up does not exist.
fn misses(store: &impl LaneStore) -> Result<(), Box<dyn std::error::Error>> {
    use jupan_schemas::rows::Key;
    const COUNT: u64 = 200_000;
    let keys: Vec<_> = (0..COUNT)
        .flat_map(|n| {
            let user = 1 + n % USER_COUNT;
            [
                Key::Order(samples::order_id(user, u64::MAX - n)),
                Key::Outcome(samples::command_id(user, n)),
            ]
        })
        .collect();
    let start = cpu_seconds();
    let found = store.load(&keys)?.into_iter().flatten().count();
    let micros = (cpu_seconds() - start) * 1e6 / keys.len() as f64;
    println!("misses: {micros:.2} us of CPU a key ({found} of {} found)", keys.len());
    Ok(())
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn peak_memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}
