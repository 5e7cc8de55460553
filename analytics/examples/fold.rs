//! How long the fold takes: `cargo run --release -p jupan-analytics --example fold [MILLIONS]
//! [PRODUCTS]`.

use jupan_analytics::{Clock, History, TopQuery};
use jupan_schemas::{Codec, Micros, Money, ProductId, Sale, Stamp, Units};
use std::time::{Duration, Instant};

const BEGIN: Micros = Micros(1_767_225_600_000_000);
/// Sales are spread evenly over this time.
const SPAN_MICROS: i64 = 33 * Micros::DAY;

/// A small generator, so that every run folds the same sales.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let millions: u64 = arguments.next().unwrap_or(10);
    let products: u64 = arguments.next().unwrap_or(1_000);
    let count = millions * 1_000_000;
    let step = SPAN_MICROS / i64::try_from(count.max(1)).unwrap_or(1);

    let mut random = Random(88_172_645_463_325_252);
    let mut history = History::new(Clock::Event, 33);
    let mut sale = Sale {
        event_id: String::new(),
        product_id: ProductId(0),
        order_id: String::new(),
        units: Units(1),
        amount: Money(1_000),
        sold_at: BEGIN,
        stamp: Stamp(0),
    };
    let since = Instant::now();
    for _ in 0..count {
        // One in a hundred comes late, by up to a day.
        let late = if random.below(100) == 0 { random.below(86_400_000_000) } else { 0 };
        let place = sale.sold_at;
        sale.product_id = ProductId(random.below(products));
        sale.sold_at = place.plus(-i64::try_from(late).unwrap_or(0));
        if let Err(cause) = history.fold(&sale) {
            eprintln!("{cause}");
            return;
        }
        sale.sold_at = place.plus(step);
    }
    tell("fold", since.elapsed(), count);

    for (name, days) in [("top of the present 3 days", 3), ("top of 30 days, summed", 30)] {
        let since = Instant::now();
        let answer = history.top(&TopQuery { days, limit: 5, as_of: None }, BEGIN);
        let found = answer.map_or(0, |answer| answer.products.len());
        println!("{name}: {:.3} ms, {found} found", since.elapsed().as_secs_f64() * 1e3);
    }

    let bytes = Codec::embedded().to_bytes(&sale);
    let codec = Codec::embedded();
    let since = Instant::now();
    let decoded = (0..1_000_000).filter(|_| codec.decode::<Sale>(&bytes).is_ok()).count();
    tell("decode", since.elapsed(), u64::try_from(decoded).unwrap_or(0));
}

fn tell(what: &str, took: Duration, count: u64) {
    let nanos = took.as_secs_f64() * 1e9 / f64::from(u32::try_from(count.max(1)).unwrap_or(1));
    println!("{what}: {count} sales in {:.2} s, {nanos:.0} ns a sale", took.as_secs_f64());
}
