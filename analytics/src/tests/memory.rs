//! The analyzer behind lanes, on the log's reference provider.

use super::{BEGIN, brute, sale};
use crate::{Analyzer, Clock, Options, TopQuery};
use jupan_log::{Commit, CommitRecord, LaneLog, Log, ManualClock, NewRecord, ReadLimit, memory};
use jupan_schemas::{Codec, Lane, Micros, Role, Sale, TopProducts, TopicId};
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

fn commit(lane: &mut dyn LaneLog, partition: u16, sales: &[Sale]) {
    let record = |sale: &Sale| CommitRecord {
        topic: TopicId::Sales,
        partition,
        record: NewRecord::new(sale.product_id.to_string(), Codec::embedded().to_bytes(sale)),
    };
    let records = sales.iter().map(record).collect();
    let steps = vec![b"step".to_vec().into()];
    lane.commit(Commit { steps, records, ..Commit::default() }).unwrap();
}

fn published(log: &memory::MemoryLog) -> Vec<TopProducts> {
    let limit = ReadLimit { records_max: 1_000, bytes_max: 1 << 20 };
    let batch = log.read(TopicId::TopProducts, 0, 0, limit).unwrap();
    batch.records.iter().map(|record| Codec::embedded().decode(&record.value).unwrap()).collect()
}

#[test]
fn only_durable_sales_count_and_are_published() {
    let clock = Arc::new(ManualClock::at(BEGIN.plus(Micros::DAY)));
    let settings = memory::Options { auto_sync: false, ..memory::Options::default() };
    let log = Arc::new(memory::MemoryLog::new(settings, clock));
    let mut lanes: Vec<_> = (0..log.partitions())
        .map(|index| log.open(Lane { role: Role::Products, index }).unwrap())
        .collect();
    let options = Options { clock: Clock::Event, publish_interval_ms: 0, ..Options::default() };
    let analyzer = Analyzer::start(Arc::clone(&log) as _, options).unwrap();
    let view = analyzer.view();
    let query = TopQuery { days: 3, limit: 10, as_of: None };

    let mut sold = Vec::new();
    for round in 0..5 {
        for (partition, lane) in (0_u16..).zip(&mut lanes) {
            let product = u64::from(partition) + 1;
            let sales = [
                sale(product, round + 1, 10, BEGIN.plus(round * Micros::MINUTE)),
                sale(product + 10, 1, 10, BEGIN),
            ];
            commit(&mut **lane, partition, &sales);
            sold.extend(sales);
        }
        let before = view.status().positions;
        thread::sleep(Duration::from_millis(3));
        assert_eq!(view.status().positions, before, "nothing counts before it is durable");
        log.sync();
        let since = Instant::now();
        while view.status().lag > 0 {
            assert!(since.elapsed() < Duration::from_secs(20), "lags: {:?}", view.status());
            thread::sleep(Duration::from_millis(1));
        }
        let answer = view.top(&query).unwrap();
        let expected = brute::best(&sold, answer.window_from.0, answer.window_to.0, 10);
        assert_eq!(answer.products, expected);
    }
    analyzer.stop();
    assert_eq!(analyzer.failure(), None);
    log.sync();
    let last = published(&log).pop().unwrap();
    assert_eq!(last.products, view.top(&query).unwrap().products);
    assert_eq!(last.positions, view.status().positions);
}
