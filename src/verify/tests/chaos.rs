//! Clean runs, however wild: real lanes over the embedded log and store, any commands, lanes that
//! turn in any order and are taken over, kills, drains, clocks that jump. At any moment, at rest or
//! beside the running shop, nothing is said to be wrong.

use super::{
    forge::text,
    random::{Numbers, anything, seeds},
    stored::{self, Moment},
};
use crate::{
    inspection::Inspection,
    verify::{Options, Report, of_cluster, run},
};
use jupan_ledger::{Rules, products::Products, users::Users};
use jupan_log::{
    Log, ManualClock, NewRecord,
    embedded::{self, EmbeddedLog},
};
use jupan_processors::{Limits, Parts, Stop, Turn, Worker};
use jupan_schemas::*;
use jupan_store::embedded::{EmbeddedStore, Options as StoreOptions};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How many seeds a run tries, unless `JUPAN_SEEDS` says otherwise.
const SEEDS: u64 = 4;
const ACTS: usize = 350;
/// So often a directory is copied until no file is gone meanwhile.
const COPIES_MAX: usize = 10;
/// A shop that works while it is looked at does not work for ever.
const ACTS_BESIDE_MAX: usize = 600;
const START: Micros = Micros(1_700_000_000_000_000);

/// One lane of either role.
enum AnyLane {
    Users(Worker<Users>),
    Products(Worker<Products>),
}

impl AnyLane {
    fn open(parts: &Parts, lane: Lane) -> Self {
        let opened = match lane.role {
            Role::Users => Worker::open(parts, lane).map(Self::Users),
            Role::Products => Worker::open(parts, lane).map(Self::Products),
        };
        opened.unwrap_or_else(|stop| panic!("{lane} does not open: {stop:?}"))
    }

    fn turn(&mut self) -> Result<Turn, Stop> {
        match self {
            Self::Users(worker) => worker.turn(Duration::ZERO),
            Self::Products(worker) => worker.turn(Duration::ZERO),
        }
    }

    fn finish(self) {
        let finished = match self {
            Self::Users(worker) => worker.finish(),
            Self::Products(worker) => worker.finish(),
        };
        finished.expect("nothing fails");
    }
}

/// What runs between two starts.
struct Running {
    log: Arc<EmbeddedLog>,
    store: Arc<EmbeddedStore>,
    parts: Parts,
    lanes: Vec<AnyLane>,
    _inspection: Inspection,
}

/// A shop to which anything happens.
struct Chaos {
    seed: u64,
    numbers: Numbers,
    /// The data directory's parent; each kill makes another directory in it.
    dir: TempDir,
    starts: usize,
    lanes: u16,
    clock: Arc<ManualClock>,
    runtime: Runtime,
    running: Option<Running>,
    codec: Codec,
    orders: Vec<OrderId>,
    keys: u64,
    reports: usize,
}

fn options(data: &Path, drained: bool) -> Options {
    // Time jumps here while lanes stand still: nobody is late.
    let overdue_slack_ms = 1 << 50;
    Options {
        data: data.to_owned(),
        json: false,
        overdue_slack_ms,
        drained,
        cluster: Default::default(),
    }
}

fn verified(data: &Path, drained: bool, what: &str) -> Report {
    let report = run(&options(data, drained), &mut |_| {});
    let report = report.unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
    assert!(report.is_ok() && report.is_complete, "{what}\n{}", text(&report));
    report
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        numbers.below(2);
        let lanes = numbers.one_of(&[1, 1, 2, 3]);
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        let mut chaos = Self {
            seed,
            numbers,
            dir: TempDir::new().expect("a directory"),
            starts: 0,
            lanes,
            clock: Arc::new(ManualClock::at(START)),
            runtime,
            running: None,
            codec: Codec::embedded(),
            orders: Vec::new(),
            keys: 0,
            reports: 0,
        };
        chaos.start();
        chaos
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join(self.starts.to_string())
    }

    fn what(&self, doing: &str) -> String {
        format!("seed {}, start {}: {doing}", self.seed, self.starts)
    }

    /// Opens everything, each time with other limits.
    fn start(&mut self) {
        let data = self.data();
        let numbers = &mut self.numbers;
        let log_options = embedded::Options {
            lanes: Some(self.lanes),
            segment_bytes: numbers.one_of(&[16 << 10, 64 << 10, 1 << 20]),
            mark_after: Duration::from_millis(2),
            ..embedded::Options::default()
        };
        let log = EmbeddedLog::open(&data, log_options, self.clock.clone()).expect("a log");
        let flush_interval_ms = numbers.one_of(&[1, 5, 20, 300]);
        let store_options = StoreOptions { flush_interval_ms, ..StoreOptions::default() };
        let store = EmbeddedStore::open(data.join("store"), store_options).expect("a store");
        let limits = Limits {
            batch_records_max: 1 + numbers.below(20),
            commit_bytes_max: 2_000,
            step_bytes_max: 1_500,
            cells_max: numbers.one_of(&[10, 100_000]),
            unprojected_entries_max: 1 + numbers.below(200),
            coalesce_wait: Duration::from_millis(numbers.one_of(&[0, 2])),
            ..Limits::default()
        };
        let parts = Parts {
            log: log.clone(),
            store: store.clone(),
            schema_ids: Arc::new(SchemaIds::embedded()),
            rules: Rules { charge_max: Money(i64::MAX), ..Rules::new(self.lanes) },
            limits,
        };
        let both = [Role::Users, Role::Products];
        let all = (0..self.lanes).flat_map(|index| both.map(|role| Lane { role, index }));
        let lanes = all.map(|lane| AnyLane::open(&parts, lane)).collect();
        let _inside = self.runtime.enter();
        let inspection = Inspection::open(&data, log.clone(), store.clone()).expect("a socket");
        self.running = Some(Running { log, store, parts, lanes, _inspection: inspection });
    }

    fn running(&mut self) -> &mut Running {
        self.running.as_mut().expect("it runs")
    }

    /// Everything ends at once. What is on disk goes on in a copy, as after a kill.
    fn kill(&mut self) {
        let before = self.data();
        let Running { log, store, parts, lanes, .. } = self.running.take().expect("it runs");
        drop(lanes);
        drop(parts);
        store.kill();
        drop(store);
        self.starts += 1;
        copy(&before, &self.data());
        log.close();
        let data = self.data();
        verified(&data, false, &self.what("killed"));
        self.reports += 1;
        self.start();
    }

    /// Everything ends well.
    fn drain(&mut self) {
        for _ in 0..3 {
            self.turn_all();
        }
        let Running { log, store, parts, lanes, .. } = self.running.take().expect("it runs");
        lanes.into_iter().for_each(AnyLane::finish);
        drop(parts);
        log.close();
        store.close().expect("a disk");
        drop(store);
        let report = verified(&self.data(), true, &self.what("drained"));
        assert_eq!(report.facts.store.expect("a store").behind, 0);
        self.reports += 1;
        self.start();
    }

    /// Copies the running shop's log and rows through their ports while it goes on, and proves the
    /// copy.
    fn capture(&mut self) {
        let what = self.what("captured");
        let Running { log, store, .. } = self.running();
        let (log, store) = (log.clone(), store.clone());
        let options = options(&self.data(), false);
        let captured = std::thread::spawn(move || {
            let report = of_cluster(log, &*store, Codec::embedded(), &options, &mut |_| {});
            let report = report.unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
            assert!(report.is_ok() && report.is_complete, "{what}\n{}", text(&report));
            report
        });
        for _ in 0..ACTS_BESIDE_MAX {
            if captured.is_finished() {
                break;
            }
            self.act();
        }
        let report = captured.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert_eq!(report.facts.store.expect("a store").source, "the store");
        self.reports += 1;
    }

    /// Looks at the running shop while it goes on.
    fn look(&mut self) {
        let (data, what) = (self.data(), self.what("running"));
        let looked = std::thread::spawn(move || verified(&data, false, &what));
        for _ in 0..ACTS_BESIDE_MAX {
            if looked.is_finished() {
                break;
            }
            self.act();
        }
        let report = looked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert_eq!(report.facts.store.expect("a store").source, "the running shop");
        self.reports += 1;
    }

    fn turn(&mut self, place: usize) {
        let what = self.what("a turn");
        if let Err(stop) = self.running().lanes[place].turn() {
            panic!("{what}: {stop:?}");
        }
    }

    fn turn_all(&mut self) {
        (0..self.running().lanes.len()).for_each(|place| self.turn(place));
    }

    /// Another owner for a lane.
    fn take_over(&mut self, place: usize) {
        let index = u16::try_from(place / 2).expect("few lanes");
        let role = if place.is_multiple_of(2) { Role::Users } else { Role::Products };
        let running = self.running();
        running.lanes[place] = AnyLane::open(&running.parts, Lane { role, index });
    }

    /// Something that a shop goes on with.
    fn act(&mut self) {
        let place = self.numbers.below(2 * usize::from(self.lanes));
        self.clock.advance(1 + i64::try_from(self.numbers.below(3_000)).expect("small"));
        match self.numbers.below(100) {
            0..45 => self.command(),
            45..85 => self.turn(place),
            85..92 => self.turn_all(),
            92..94 => self.take_over(place),
            94 => {
                let minutes = self.numbers.one_of(&[1, 14, 16, 16 * 24 * 60]);
                self.clock.advance(minutes * Micros::MINUTE);
            }
            95 => self.append(TopicId::UserCommands, 1, b"garbage".to_vec()),
            _ => self.turn(place),
        }
    }

    fn run(mut self) -> usize {
        for _ in 0..ACTS {
            match self.numbers.below(120) {
                0 => self.kill(),
                1 => self.drain(),
                2 => self.look(),
                3 => self.capture(),
                _ => self.act(),
            }
        }
        self.look();
        self.capture();
        self.kill();
        self.drain();
        self.reports
    }

    /// Appends without waiting for durability.
    fn append(&mut self, topic: TopicId, id: u64, value: Vec<u8>) {
        let partition = partition_of(id, self.lanes);
        let record = NewRecord::new(id.to_string(), value);
        let log = self.running().log.clone();
        self.runtime.block_on(async move {
            tokio::select! {
                biased;
                appended = log.append(topic, partition, record) => drop(appended),
                () = std::future::ready(()) => {}
            }
        });
    }

    fn user(&mut self, user: u64, key: &str, payload: UserPayload) {
        let command = UserCommand {
            user_id: UserId(user),
            key: key.to_owned(),
            created_at: self.running().log.now(),
            occurred_at: None,
            actor: format!("user:{user}"),
            trace_id: None,
            reply_to: Some(0),
            payload,
        };
        let value = self.codec.to_bytes(&command);
        self.append(TopicId::UserCommands, user, value);
    }

    fn product(&mut self, product: u64, key: &str, payload: ProductPayload) {
        let command = ProductCommand {
            product_id: ProductId(product),
            key: key.to_owned(),
            created_at: self.running().log.now(),
            occurred_at: None,
            actor: "operator".to_owned(),
            trace_id: None,
            reply_to: Some(0),
            payload,
        };
        let value = self.codec.to_bytes(&command);
        self.append(TopicId::ProductCommands, product, value);
    }

    fn small(&mut self, limit: usize) -> i64 {
        i64::try_from(self.numbers.below(limit)).expect("small")
    }

    fn id(&mut self) -> u64 {
        1 + self.numbers.below(6) as u64
    }

    /// One random command, now and then with a key that was used before.
    fn command(&mut self) {
        let (user, product) = (self.id(), self.id());
        self.keys += 1;
        let is_old = self.numbers.below(6) == 0;
        let key = format!("k{}", if is_old { self.keys / 2 } else { self.keys });
        match self.numbers.below(20) {
            0 | 1 => {
                let (name, email) = (format!("User {user}"), "u@example.org".to_owned());
                self.user(user, "new", UserPayload::RegisterUser(RegisterUser { name, email }));
            }
            2 | 3 => {
                let (price, stock) = (Money(self.small(50)), Units(self.small(60)));
                let name = format!("Product {product}");
                let wish = ProductPayload::RegisterProduct(RegisterProduct { name, price, stock });
                self.product(product, "new", wish);
            }
            4 => {
                let quantity = Units(self.small(20));
                self.product(product, &key, ProductPayload::Restock(Restock { quantity }));
            }
            5 => {
                let change = ChangeProduct { name: None, price: Some(Money(self.small(90))) };
                self.product(product, &key, ProductPayload::ChangeProduct(change));
            }
            6 | 7 => {
                let amount = Money(self.small(900) - 5);
                self.user(user, &key, UserPayload::ChargeBalance(ChargeBalance { amount }));
            }
            8..13 => self.about_order(user, &key),
            _ => self.place(user, &key),
        }
    }

    fn line(&mut self) -> Line {
        Line { product_id: ProductId(self.id()), quantity: Units(1 + self.small(4)) }
    }

    fn place(&mut self, user: u64, key: &str) {
        let payment = self.numbers.one_of(&[Payment::Now, Payment::Now, Payment::Later]);
        let from_cart = self.numbers.below(5) == 0;
        let count = if from_cart { 0 } else { 1 + self.numbers.below(3) };
        let items = (0..count).map(|_| self.line()).collect();
        self.orders.push(OrderId::of(UserId(user), key));
        self.user(user, key, UserPayload::PlaceOrder(PlaceOrder { items, from_cart, payment }));
    }

    /// A wish about a cart, or about one of the last orders.
    fn about_order(&mut self, user: u64, key: &str) {
        let Line { product_id, quantity } = self.line();
        let last = self.orders.len().min(6);
        let back = self.numbers.below(last.max(1));
        let Some(order_id) = self.orders.iter().rev().nth(back).copied() else { return };
        let owner = order_id.user().map_or(user, |owner| owner.0);
        let (user, wish) = match self.numbers.below(6) {
            0 => (user, UserPayload::AddToCart(AddToCart { product_id, quantity })),
            1 => {
                let quantity = Some(quantity);
                (user, UserPayload::RemoveFromCart(RemoveFromCart { product_id, quantity }))
            }
            2 | 3 => (owner, UserPayload::PayOrder(PayOrder { order_id })),
            4 => (owner, UserPayload::CancelOrder(CancelOrder { order_id })),
            _ => (owner, UserPayload::RefundOrder(RefundOrder { order_id, items: Vec::new() })),
        };
        self.user(user, key, wish);
    }
}

/// Copies a directory as a kill would leave it. The log's writer may be writing: a file may be gone
/// before it was copied, and what was durable at first is in the copy, wherever that ends.
fn copy(from: &Path, to: &Path) {
    for _ in 0..COPIES_MAX {
        let floor = std::fs::read(from.join("floor"));
        let mut cp = Command::new("cp");
        cp.args(["-a", "--sparse=always"]).args([from, to]);
        if cp.status().expect("cp runs").success() {
            if let Ok(floor) = floor {
                std::fs::write(to.join("floor"), floor).expect("a disk");
            }
            return;
        }
        std::fs::remove_dir_all(to).expect("a disk");
    }
    panic!("{} changes too fast to be copied", from.display());
}

#[test]
fn whatever_happens_to_a_shop_it_is_sound() {
    let runs = seeds(SEEDS);
    let reports: usize = (0..runs).map(|seed| Chaos::new(seed).run()).sum();
    println!("{runs} runs, {reports} reports");
    assert!(reports >= 3 * usize::try_from(runs).expect("small"));
}

/// Stores that were killed anywhere: some rows are flushed before their watermark, some lanes are
/// far behind.
#[test]
fn stores_that_were_killed_anywhere_are_sound() {
    for seed in 0..seeds(SEEDS) {
        let mut numbers = Numbers(seed | 1);
        let shop = anything(seed);
        let dir = stored::save_by(&shop, &mut |store, moment| {
            match (moment, numbers.below(12)) {
                (_, 0 | 1) | (Moment::Applied, 2) => store.flush().expect("a disk"),
                _ => {}
            }
            numbers.below(150) > 0
        });
        verified(dir.path(), false, &format!("seed {seed}"));
    }
}
