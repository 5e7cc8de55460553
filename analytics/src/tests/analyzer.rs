//! The analyzer as a whole: fed from a log, saved, killed, started again.

use super::{BEGIN, brute, fake::FakeLog, sale};
use crate::{Analyzer, Clock, Options, StartError, TopQuery, View};
use jupan_schemas::{Micros, Sale, TopProduct};
use std::{
    fs,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

const DAY: i64 = Micros::DAY;
const TOP: TopQuery = TopQuery { days: 3, limit: 5, as_of: None };

fn options(data: Option<&Path>) -> Options {
    Options {
        clock: Clock::Event,
        sales_days: 10,
        data: data.map(Into::into),
        published_limit: 5,
        publish_interval_ms: 0,
        save_interval_ms: 0,
        ..Options::default()
    }
}

fn start(log: &Arc<FakeLog>, options: Options) -> Analyzer {
    Analyzer::start(Arc::clone(log) as _, options).unwrap()
}

fn stop(analyzer: &Analyzer) {
    analyzer.stop();
    assert_eq!(analyzer.failure(), None);
}

/// Waits until everything in the log is counted.
fn caught_up(analyzer: &Analyzer) -> View {
    let (view, since) = (analyzer.view(), Instant::now());
    while view.status().lag > 0 {
        assert!(since.elapsed() < Duration::from_secs(20), "lags: {:?}", view.status());
        assert!(analyzer.failure().is_none(), "failed: {:?}", analyzer.failure());
        thread::sleep(Duration::from_millis(1));
    }
    view
}

/// Waits until it has stopped by itself; returns why.
fn failed(analyzer: &Analyzer) -> String {
    let since = Instant::now();
    while analyzer.failure().is_none() && since.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(1));
    }
    analyzer.stop();
    analyzer.failure().unwrap()
}

/// Sales of 6 products over 8 days, in 2 partitions.
fn sales(count: usize) -> Vec<(usize, Sale)> {
    let mut random = 17_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        (random >> 33) % below
    };
    let day = u64::try_from(DAY).unwrap();
    (0..count)
        .map(|_| {
            let (product, units) = (next(6), i64::try_from(next(4)).unwrap() + 1);
            let offset = i64::try_from(next(8 * day)).unwrap();
            (usize::from(product % 2 == 1), sale(product, units, 10, BEGIN.plus(offset)))
        })
        .collect()
}

fn log_of(sales: &[(usize, Sale)]) -> Arc<FakeLog> {
    let log = FakeLog::new(2, BEGIN.plus(100 * DAY));
    sales.iter().for_each(|(partition, sale)| log.sell(*partition, sale));
    Arc::new(log)
}

/// The best of the 3 days before the minute after the newest of these sales.
fn expected(sales: &[(usize, Sale)]) -> Vec<TopProduct> {
    let sales: Vec<_> = sales.iter().map(|(_, sale)| sale.clone()).collect();
    let newest = sales.iter().map(|sale| sale.sold_at.0).max().unwrap();
    let to = (newest / Micros::MINUTE + 1) * Micros::MINUTE;
    brute::best(&sales, to - 3 * DAY, to, 5)
}

#[test]
fn counts_publishes_and_tells_how_far_it_is() {
    let sales = sales(300);
    let log = log_of(&sales);
    let analyzer = start(&log, options(None));
    let view = caught_up(&analyzer);
    assert_eq!(view.top(&TOP).unwrap().products, expected(&sales));
    let status = view.status();
    assert_eq!((status.lag, status.dropped, status.unreadable), (0, 0, 0));
    assert_eq!(status.newest_sale, sales.iter().map(|(_, sale)| sale.sold_at).max());
    stop(&analyzer);
    assert_eq!(view.top(&TOP).unwrap().products, expected(&sales), "a view outlives its analyzer");

    let published = log.published();
    assert_eq!(published.last().unwrap().1.products, expected(&sales));
    for (key, list) in published {
        assert_eq!(key, list.window_to.0.to_string());
        let mut positions = [0_u64; 2];
        let mut counted = Vec::new();
        for (partition, sale) in &sales {
            if positions[*partition] < list.positions[*partition] {
                counted.push(sale.clone());
            }
            positions[*partition] += 2;
        }
        let recount = brute::best(&counted, list.window_from.0, list.window_to.0, 5);
        assert_eq!(list.products, recount, "at {:?}", list.positions);
    }
}

#[test]
fn what_cannot_be_read_is_skipped() {
    let sales = sales(50);
    let log = log_of(&sales[..25]);
    log.put(0, b"garbage".to_vec());
    log.put(1, Vec::new());
    log.sell(0, &sale(1 << 60, 1, 1, BEGIN));
    log.sell(1, &sale(1, 1_000, 1, BEGIN.plus(200 * DAY)));
    sales[25..].iter().for_each(|(partition, sale)| log.sell(*partition, sale));
    let analyzer = start(&log, options(None));
    let view = caught_up(&analyzer);
    assert_eq!(view.status().unreadable, 4);
    assert_eq!(view.top(&TOP).unwrap().products, expected(&sales));
}

#[test]
fn goes_on_at_the_start_of_what_the_log_keeps() {
    let sales = sales(50);
    let log = log_of(&sales);
    log.cut_before(1, 20);
    let analyzer = start(&log, options(None));
    let view = caught_up(&analyzer);
    let mut seen = 0;
    let mut kept = sales;
    kept.retain(|(partition, _)| {
        seen += partition;
        *partition == 0 || seen > 10
    });
    assert_eq!(view.top(&TOP).unwrap().products, expected(&kept));
}

#[test]
fn a_sum_beyond_64_bits_stops_it_with_a_name() {
    let log = log_of(&[(0, sale(4, i64::MAX, 1, BEGIN)), (0, sale(4, 1, 1, BEGIN))]);
    let failure = failed(&start(&log, options(None)));
    assert!(failure.contains("sales/0") && failure.contains("product 4"), "{failure}");
}

#[test]
fn a_restart_neither_loses_nor_doubles() {
    let data = tempfile::tempdir().unwrap();
    let sales = sales(400);
    let log = log_of(&[]);
    let mut counted = 0;
    for part in sales.chunks(57) {
        part.iter().for_each(|(partition, sale)| log.sell(*partition, sale));
        counted += part.len();
        let analyzer = start(&log, options(Some(data.path())));
        let view = caught_up(&analyzer);
        assert_eq!(view.top(&TOP).unwrap().products, expected(&sales[..counted]));
        stop(&analyzer);
        // Nothing saved is read again: without the log's records the next start still knows them.
        let positions = view.status().positions;
        positions.iter().enumerate().for_each(|(index, position)| log.cut_before(index, *position));
    }
}

#[test]
fn a_question_right_after_a_start_waits_for_what_was_saved() {
    let data = tempfile::tempdir().unwrap();
    let sales = sales(400);
    let log = log_of(&sales);
    let analyzer = start(&log, options(Some(data.path())));
    caught_up(&analyzer);
    stop(&analyzer);
    for _ in 0..20 {
        let analyzer = start(&log, options(Some(data.path())));
        assert_eq!(analyzer.view().top(&TOP).unwrap().products, expected(&sales));
        stop(&analyzer);
    }
}

#[test]
fn a_state_that_cannot_be_looked_at_holds_nobody_up() {
    let data = tempfile::tempdir().unwrap();
    let log = log_of(&sales(10));
    // A folder where the manifest should be cannot be read as a file.
    fs::create_dir(data.path().join("manifest")).unwrap();
    let analyzer = start(&log, options(Some(data.path())));
    assert!(analyzer.view().top(&TOP).is_ok());
    let failure = failed(&analyzer);
    assert!(failure.contains("manifest"), "{failure}");
}

/// A state that the log or the options contradict is counted again.
fn check_counted_again(
    change: impl FnOnce(&Path, &mut Options),
    log_after: Option<Arc<FakeLog>>,
    sales_after: &[(usize, Sale)],
) {
    let data = tempfile::tempdir().unwrap();
    let log = log_of(&sales(100));
    let analyzer = start(&log, options(Some(data.path())));
    caught_up(&analyzer);
    stop(&analyzer);
    let mut options = options(Some(data.path()));
    change(data.path(), &mut options);
    let analyzer = start(&log_after.unwrap_or(log), options);
    let view = caught_up(&analyzer);
    assert_eq!(view.top(&TOP).unwrap().products, expected(sales_after));
    stop(&analyzer);
}

fn a_day_file(state: &Path) -> std::path::PathBuf {
    let names = fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path());
    names.into_iter().find(|path| path.to_string_lossy().contains("day-")).unwrap()
}

#[test]
fn a_state_that_cannot_be_used_is_counted_again() {
    let all = sales(100);
    let flip = |path: &Path, place: usize| {
        let mut bytes = fs::read(path).unwrap();
        bytes[place] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    check_counted_again(|state, _| flip(&state.join("manifest"), 0), None, &all);
    check_counted_again(|state, _| flip(&state.join("manifest"), 9), None, &all);
    check_counted_again(|state, _| fs::write(state.join("manifest"), b"").unwrap(), None, &all);
    check_counted_again(|state, _| flip(&a_day_file(state), 20), None, &all);
    check_counted_again(|state, _| fs::remove_file(a_day_file(state)).unwrap(), None, &all);
    check_counted_again(|_, options| options.sales_days = 11, None, &all);
    check_counted_again(|_, _| (), Some(log_of(&all[..40])), &all[..40]);
    let four = Arc::new(FakeLog::new(4, BEGIN.plus(100 * DAY)));
    four.sell(3, &all[0].1);
    check_counted_again(|_, _| (), Some(four), &all[..1]);
}

#[test]
fn a_state_has_one_owner() {
    let data = tempfile::tempdir().unwrap();
    let log = log_of(&sales(10));
    let first = start(&log, options(Some(data.path())));
    let second = Analyzer::start(Arc::clone(&log) as _, options(Some(data.path())));
    assert!(matches!(second, Err(StartError::State(_))));
    drop(first);
    start(&log, options(Some(data.path())));
}

#[test]
fn options_out_of_bounds_are_refused() {
    let log = log_of(&[]);
    for sales_days in [0, 2, 401] {
        let started =
            Analyzer::start(Arc::clone(&log) as _, Options { sales_days, ..options(None) });
        assert!(matches!(started, Err(StartError::SalesDays { .. })), "{sales_days}");
    }
    for published_limit in [0, 101] {
        let started =
            Analyzer::start(Arc::clone(&log) as _, Options { published_limit, ..options(None) });
        assert!(matches!(started, Err(StartError::PublishedLimit { .. })), "{published_limit}");
    }
}

#[test]
fn a_refused_publication_is_tried_again() {
    let sales = sales(20);
    let log = log_of(&sales);
    *log.refusals.lock() = 3;
    let analyzer = start(&log, options(None));
    caught_up(&analyzer);
    let since = Instant::now();
    while log.published().is_empty() && since.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(1));
    }
    stop(&analyzer);
    let published = log.published();
    assert_eq!(published.last().unwrap().1.products, expected(&sales));
    assert!(published.windows(2).all(|two| two[0] != two[1]), "nothing is said twice");
}

#[test]
fn an_idle_shop_publishes_nothing() {
    for clock in [Clock::Wall, Clock::Event] {
        let log = log_of(&[]);
        let analyzer = start(&log, Options { clock, ..options(None) });
        for minute in 0..5 {
            log.set_now(BEGIN.plus(100 * DAY + minute * Micros::MINUTE));
            thread::sleep(Duration::from_millis(5));
        }
        stop(&analyzer);
        assert!(log.published().is_empty(), "{clock:?}");
    }
}

#[test]
fn a_clock_that_falls_back_brings_sales_back() {
    let sales = sales(100);
    let log = log_of(&sales);
    let analyzer = start(&log, Options { clock: Clock::Wall, ..options(None) });
    let view = caught_up(&analyzer);
    assert_eq!((view.top(&TOP).unwrap().products.len(), view.status().dropped), (0, 100));
    log.set_now(sales.iter().map(|(_, sale)| sale.sold_at).max().unwrap());
    let since = Instant::now();
    while view.top(&TOP).ok().is_none_or(|answer| answer.products != expected(&sales)) {
        assert!(since.elapsed() < Duration::from_secs(20), "still {:?}", view.top(&TOP));
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(view.status().dropped, 0);
}
