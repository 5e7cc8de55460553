//! Sales as a log has them, made up as they are read: the analyzer counts millions of orders
//! without anybody having to place them.

use crate::bench::engine::Shape;
use async_trait::async_trait;
use jupan_log::{
    AppendError, Appended, Assignment, Batch, Bounds, Clock, LaneError, LaneLog, Log, LogRecord,
    NewRecord, ReadError, ReadLimit, Results, SystemClock,
};
use jupan_schemas::{
    Codec, Lane, Line, Micros, Money, ProductId, Role, Sale, Stamp, TopicId, Units,
};
use parking_lot::{Condvar, Mutex};
use std::{collections::BTreeMap, ops::Range, time::Duration};

/// Days over which the first sales are spread.
const SPAN_MICROS: i64 = 3 * Micros::DAY;
/// The first sale is so much younger than the span: it must not leave the window meanwhile.
const MARGIN_MICROS: i64 = Micros::DAY / 24;

/// A log with one partition that holds nothing but sales.
pub(super) struct SalesLog {
    shape: Shape,
    codec: Codec,
    clock: SystemClock,
    begin: Micros,
    /// Time between two of the first sales, times 2^16.
    step: i64,
    /// Sales that are spread over the span; those behind them are dated now.
    spread: u64,
    /// Sales that are there by now, and when those behind the spread ones came.
    there: Mutex<There>,
    more: Condvar,
}

#[derive(Default)]
struct There {
    count: u64,
    /// From which sale on, dated when.
    arrivals: Vec<(u64, Micros)>,
}

impl SalesLog {
    /// All sales of so many orders, spread evenly over three days.
    pub(super) fn new(shape: Shape, orders: u64) -> Self {
        let clock = SystemClock;
        let spread = orders * shape.lines;
        let per_sale =
            ((SPAN_MICROS - MARGIN_MICROS) << 16) / i64::try_from(spread.max(1)).unwrap_or(1);
        Self {
            shape,
            codec: Codec::embedded(),
            begin: clock.now().plus(MARGIN_MICROS - SPAN_MICROS),
            clock,
            step: per_sale,
            spread,
            there: Mutex::new(There { count: spread, arrivals: Vec::new() }),
            more: Condvar::new(),
        }
    }

    /// The sales of so many more orders arrive now.
    pub(super) fn arrive(&self, orders: u64) {
        let mut there = self.there.lock();
        let first = there.count;
        there.arrivals.push((first, self.clock.now()));
        there.count += orders * self.shape.lines;
        drop(there);
        self.more.notify_all();
    }

    /// How many sales are there.
    pub(super) fn count(&self) -> u64 {
        self.there.lock().count
    }

    /// When a sale was.
    fn sold_at(&self, number: u64, there: &There) -> Micros {
        if number < self.spread {
            let since = (i128::from(self.step) * i128::from(number)) >> 16;
            return self.begin.plus(i64::try_from(since).unwrap_or(i64::MAX));
        }
        let arrived = there.arrivals.partition_point(|(first, _)| *first <= number);
        let arrival = arrived.checked_sub(1).and_then(|index| there.arrivals.get(index));
        arrival.map_or(self.begin, |(_, at)| *at)
    }

    /// Calls with product, units and amount of the sales of these orders.
    fn each_sale(&self, orders: Range<u64>, mut each: impl FnMut(u64, Line, Money)) {
        for order in orders {
            let (_, lines) = self.shape.order(order, false);
            for (line, number) in lines.into_iter().zip(order * self.shape.lines..) {
                // A price for each product, as a shop has it.
                let price = 1 + i64::try_from(line.product_id.0 % 97).unwrap_or(0);
                each(number, line, Money(line.quantity.0 * price));
            }
        }
    }

    /// Units and amount by product of all sales in a window, added up one by one.
    pub(super) fn by_hand(&self, window: Range<Micros>) -> BTreeMap<ProductId, (i64, i64)> {
        let there = self.there.lock();
        let mut sums: BTreeMap<ProductId, (i64, i64)> = BTreeMap::new();
        self.each_sale(0..there.count / self.shape.lines, |number, line, amount| {
            if window.contains(&self.sold_at(number, &there)) {
                let (units, money) = sums.entry(line.product_id).or_default();
                *units += line.quantity.0;
                *money += amount.0;
            }
        });
        sums
    }
}

#[async_trait]
impl Log for SalesLog {
    fn partitions(&self) -> u16 {
        1
    }

    async fn append(
        &self,
        topic: TopicId,
        partition: u16,
        _: NewRecord,
    ) -> Result<Appended, AppendError> {
        Err(AppendError::NoPartition { topic, partition })
    }

    fn read(
        &self,
        topic: TopicId,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError> {
        if topic != TopicId::Sales {
            return Err(ReadError::NoPartition { topic, partition });
        }
        let there = self.there.lock();
        let next = there.count.min(from + limit.records_max as u64);
        let (lines, mut records) = (self.shape.lines, Vec::new());
        let now = self.clock.now();
        self.each_sale(from / lines..next.div_ceil(lines), |number, line, amount| {
            if (from..next).contains(&number) {
                let sale = Sale {
                    event_id: format!("products/0/{number}/{}", line.product_id),
                    product_id: line.product_id,
                    order_id: format!("{:032x}", number / lines),
                    units: Units(line.quantity.0),
                    amount,
                    sold_at: self.sold_at(number, &there),
                    stamp: Stamp(0),
                };
                let (key, value) = (line.product_id.to_string(), self.codec.to_bytes(&sale));
                let NewRecord { key, value, headers, .. } = NewRecord::new(key, value);
                records.push(LogRecord { offset: number, at: now, key, value, headers });
            }
        });
        Ok(Batch { records, next })
    }

    fn bounds(&self, _: TopicId, _: u16) -> Result<Bounds, ReadError> {
        Ok(Bounds { start: 0, end: self.count() })
    }

    fn wait_for_more(&self, wait: Duration) {
        self.more.wait_for(&mut self.there.lock(), wait);
    }

    fn open(&self, lane: Lane) -> Result<Box<dyn LaneLog>, LaneError> {
        Err(LaneError::Broken { lane, cause: "there are sales only".to_owned() })
    }

    fn assignment(&self, role: Role) -> Result<Box<dyn Assignment>, LaneError> {
        let (lane, cause) = (Lane { role, index: 0 }, "there are sales only".to_owned());
        Err(LaneError::Broken { lane, cause })
    }

    fn results(&self) -> Result<Box<dyn Results>, ReadError> {
        Err(ReadError::NoPartition { topic: TopicId::CommandResults, partition: 0 })
    }

    fn publish_top(&self, _: NewRecord) -> Result<(), AppendError> {
        Ok(())
    }

    fn now(&self) -> Micros {
        self.clock.now()
    }

    fn failure(&self) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sales_are_the_same_however_they_are_read() {
        let shape = Shape { users: 10, products: 20, lines: 3 };
        let log = SalesLog::new(shape, 50);
        log.arrive(5);
        let read = |from, records_max| {
            let limit = ReadLimit { records_max, bytes_max: usize::MAX };
            log.read(TopicId::Sales, 0, from, limit).expect("sales")
        };
        let all: Vec<LogRecord> = read(0, 1_000).records;
        assert_eq!(all.len() as u64, log.count());
        let (mut one_by_one, mut from) = (Vec::new(), 0);
        while from < log.count() {
            let batch = read(from, 7);
            one_by_one.extend(batch.records);
            from = batch.next;
        }
        let bytes = |records: &[LogRecord]| -> Vec<_> {
            records.iter().map(|record| (record.offset, record.value.clone())).collect()
        };
        assert_eq!(bytes(&one_by_one), bytes(&all));

        let codec = Codec::embedded();
        let sales = all.iter().map(|record| codec.decode::<Sale>(&record.value).expect("a sale"));
        let sales: Vec<Sale> = sales.collect();
        assert!(sales.is_sorted_by_key(|sale| sale.sold_at));
        let now = log.now();
        let window = now.plus(-SPAN_MICROS)..now.plus(1);
        assert!(sales.iter().all(|sale| window.contains(&sale.sold_at)));
        let units: i64 = sales.iter().map(|sale| sale.units.0).sum();
        let by_hand = log.by_hand(window);
        assert_eq!(by_hand.values().map(|(units, _)| units).sum::<i64>(), units);
        assert!(read(log.count(), 10).records.is_empty());
    }
}
