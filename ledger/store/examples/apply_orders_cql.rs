//! Applies rows as lanes do for orders of three lines to a CQL server, and prints what an order
//! costs in mutations. The keyspace is dropped first.
//!
//! `cargo run --release -p jupan-store --features conformance,cql --example apply_orders_cql --
//! HOST:PORT [ORDERS]`

use jupan_schemas::{
    HoldEnd, Lane, Micros, OrderStatus, Stamp,
    rows::{AsOf, OrderRow, Row, Watermark},
};
use jupan_store::{
    LaneStore,
    conformance::samples,
    cql::{self, CqlStore, Options},
};
use scylla::client::session_builder::SessionBuilder;
use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

const KEYSPACE: &str = "jupan_apply_orders";
const LANES: u16 = 1;
/// Orders whose rows are applied at once.
const BATCH: u64 = 256;
const LINES: u64 = 3;
const USER_COUNT: u64 = 10_000;
const PRODUCT_COUNT: u64 = 1_000;

/// How the rows of an order's life come.
#[derive(Clone, Copy)]
enum Pace {
    /// It is placed in one call, and ends in the next: the answers of the product lanes take a
    /// commit's time.
    TwoCalls,
    /// It is placed and ends within one call: a lane that is behind, or that waits for more.
    OneCall,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("usage: apply_orders_cql HOST:PORT [ORDERS]")?;
    let orders: u64 = arguments.next().map_or(Ok(20_000), |text| text.parse())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let options = Options {
        keyspace: KEYSPACE.to_owned(),
        replicas: 1,
        ..Options::new(vec![address.clone()], LANES)
    };
    runtime.block_on(async {
        let session = SessionBuilder::new().known_node(address).build().await?;
        let drop = format!("DROP KEYSPACE IF EXISTS {KEYSPACE}");
        session.query_unpaged(drop, ()).await?;
        cql::init(&options).await?;
        Ok::<(), Box<dyn std::error::Error>>(())
    })?;
    let store = runtime.block_on(CqlStore::open(&options))?;
    fill(&store)?;
    let batches = orders / BATCH;
    for (turn, (pace, name)) in (0..).zip([
        (Pace::TwoCalls, "placed and ended in two calls"),
        (Pace::OneCall, "placed and ended in one call"),
        (Pace::TwoCalls, "two calls again"),
    ]) {
        run(&store, pace, name, turn * batches..(turn + 1) * batches)?;
    }
    store.flush()?;
    Ok(())
}

/// Users and products are there, as they are for a lane that has loaded them.
fn fill(store: &CqlStore) -> Result<(), jupan_store::StoreError> {
    let users: Vec<Row> =
        (0..USER_COUNT).map(|id| as_of(Row::from(samples::user(id, 1)), 1)).collect();
    for rows in users.chunks(1_000) {
        store.apply(samples::USERS, rows.to_vec())?;
    }
    let products = (0..PRODUCT_COUNT).map(|id| as_of(Row::from(samples::product(id, 1)), 1));
    store.apply(samples::PRODUCTS, products.collect())
}

fn run(
    store: &CqlStore,
    pace: Pace,
    name: &str,
    batches: Range<u64>,
) -> Result<(), Box<dyn std::error::Error>> {
    let (start, mutations) = (Instant::now(), store.mutations());
    let (mut rows, mut calls, mut slowest) = (0, 0, Duration::ZERO);
    let count = ((batches.end - batches.start) * BATCH) as f64;
    for batch in batches {
        for (lane, rows_of_call) in calls_of(pace, batch) {
            let sequence = next_sequence(&rows_of_call);
            rows += rows_of_call.len();
            calls += 1;
            let call = Instant::now();
            store.apply(lane, rows_of_call)?;
            slowest = slowest.max(call.elapsed());
            store.set_watermark(lane, watermark(sequence))?;
        }
    }
    store.flush()?;
    let seconds = start.elapsed().as_secs_f64();
    let mutations = (store.mutations() - mutations) as f64;
    println!("{name}: {count} orders of {LINES} lines, {rows} rows in {seconds:.2} s");
    println!(
        "  {:.0} orders/s, {:.0} rows/s, {:.0} mutations/s; {:.2} mutations an order",
        count / seconds,
        rows as f64 / seconds,
        mutations / seconds,
        mutations / count
    );
    println!(
        "  a call: {:.1} ms, {:.0} ms at most",
        seconds * 1e3 / f64::from(calls),
        slowest.as_secs_f64() * 1e3
    );
    Ok(())
}

/// The calls that a batch of orders leads to.
fn calls_of(pace: Pace, batch: u64) -> Vec<(Lane, Vec<Row>)> {
    let (mut placed, mut held, mut ended, mut settled) = (vec![], vec![], vec![], vec![]);
    for n in 0..BATCH {
        let number = batch * BATCH + n;
        let user = number.wrapping_mul(7_919) % USER_COUNT;
        let sequence = 2 + 8 * number;
        let order = |sequence, status| {
            let row = samples::order(user, number, 2 + 8 * number, sequence, status);
            as_of(Row::from(with_lines(row, number)), sequence)
        };
        let hold =
            |sequence, end| as_of(Row::from(samples::hold(user, number, sequence, end)), sequence);
        placed.push(order(sequence, OrderStatus::Pending));
        held.push(hold(sequence, None));
        ended.push(order(sequence + 4, OrderStatus::Success));
        ended.push(as_of(Row::from(samples::user(user, sequence + 4)), sequence + 4));
        ended.push(as_of(Row::from(samples::statement(user, sequence + 4)), sequence + 4));
        settled.push(hold(sequence + 4, Some(HoldEnd::Settled)));
        for line in 0..LINES {
            let id = number.wrapping_mul(104_729 + line) % PRODUCT_COUNT;
            held.push(as_of(Row::from(samples::product(id, sequence)), sequence));
            settled.push(as_of(Row::from(samples::product(id, sequence + 4)), sequence + 4));
        }
    }
    let (users, products) = (samples::USERS, samples::PRODUCTS);
    match pace {
        Pace::TwoCalls => {
            vec![(users, placed), (products, held), (users, ended), (products, settled)]
        }
        Pace::OneCall => {
            placed.append(&mut ended);
            held.append(&mut settled);
            vec![(users, placed), (products, held)]
        }
    }
}

fn with_lines(mut row: OrderRow, number: u64) -> OrderRow {
    let line = row.lines[0];
    row.lines = (0..LINES).map(|_| line).collect();
    // About a hundred orders a second: their deadlines move on from minute to minute.
    row.deadline = at(number / 100 + 900);
    row
}

/// A time so many seconds after the first entry.
fn at(seconds: u64) -> Micros {
    Micros(1_764_000_000_000_000).plus(i64::try_from(seconds).unwrap_or(0) * Micros::SECOND)
}

/// The row as of this entry, in the time of the orders.
fn as_of(mut row: Row, sequence: u64) -> Row {
    let stamp = Stamp(at(sequence / 800).0 + i64::try_from(sequence).unwrap_or(0));
    let now = AsOf { sequence, stamp };
    match &mut row {
        Row::User(row) => Arc::make_mut(row).as_of = now,
        Row::Product(row) => Arc::make_mut(row).as_of = now,
        Row::Order(row) => Arc::make_mut(row).as_of = now,
        Row::Outcome(row) => Arc::make_mut(row).as_of = now,
        Row::Hold(row) => Arc::make_mut(row).as_of = now,
        Row::Statement(row) => Arc::make_mut(row).as_of = now,
    }
    row
}

fn next_sequence(rows: &[Row]) -> u64 {
    rows.iter().map(|row| row.as_of().sequence).max().unwrap_or(0)
}

fn watermark(sequence: u64) -> Watermark {
    let stamp = Stamp(at(sequence / 800).0 + i64::try_from(sequence).unwrap_or(0));
    Watermark { stamp, ..samples::watermark(sequence, sequence) }
}
