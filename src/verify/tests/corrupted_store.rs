//! One thing in the store is changed behind its back, anything: it is found under its invariant, in
//! its row, at its entry, and nothing else is said to be wrong.

use super::{
    forge::{options, steps, text, verify_directory},
    scenes::{BROKE, POOR, RICH, generous},
    shop::Shop,
    stored::save,
};
use crate::verify::{
    Report,
    findings::{Finding, Invariant, RowName},
    run,
};
use Invariant::{Reads, Rows};
use jupan_schemas::{
    Account, Code, CommandId, Lane, Line, Micros, Money, OrderId, OrderStatus, Posting, ProductId,
    Role, Stamp, Step, Units, UserId, partition_of,
    rows::{HoldRow, Key, OrderRow, Row, StatementKind, StatementRow, Watermark},
};
use jupan_store::embedded::tamper::Tamper;
use std::{process::Command, sync::Arc};
use tempfile::TempDir;

const LANES: u16 = 2;

/// A sound shop with its store, about to be corrupted.
struct Victim<'a> {
    shop: &'a Shop,
    store: Tamper,
}

/// Where a corruption must be found: lane, entry, row; what does not apply is absent.
#[derive(Default)]
struct Spot {
    lane: Option<Lane>,
    sequence: Option<u64>,
    row: Option<RowName>,
}

/// Name, broken invariants, what the finding is about, and how it is done.
type Corruption = (&'static str, &'static [Invariant], &'static str, fn(&Victim<'_>) -> Spot);

fn lane(role: Role, id: u64) -> Lane {
    Lane { role, index: partition_of(id, LANES) }
}

fn user(id: u64) -> Key {
    Key::User(UserId(id))
}

fn product(id: u64) -> Key {
    Key::Product(ProductId(id))
}

fn order_id(key: &str) -> OrderId {
    OrderId::of(
        UserId(if key.starts_with("last-") && key != "last-bought" { POOR } else { RICH }),
        key,
    )
}

fn order(key: &str) -> Key {
    Key::Order(order_id(key))
}

fn outcome(user: u64, key: &str) -> Key {
    Key::Outcome(CommandId::of(Role::Users, user, key))
}

impl Victim<'_> {
    fn lane_of(&self, key: Key) -> Lane {
        match key {
            Key::User(id) => lane(Role::Users, id.0),
            Key::Product(id) => lane(Role::Products, id.0),
            Key::Order(id) => lane(Role::Users, id.user().expect("an order id").0),
            Key::Hold(_, index) => Lane { role: Role::Products, index },
            Key::Outcome(id) => {
                let (role, id) = id.target().expect("a command id");
                lane(role, id)
            }
        }
    }

    /// Changes a row; it is to be found as of its own entry.
    fn change(&self, key: Key, change: impl FnOnce(&mut Row)) -> Spot {
        let sequence = self.store.row(key).as_of().sequence;
        self.store.change(key, change);
        self.spot(key, sequence)
    }

    fn spot(&self, key: Key, sequence: u64) -> Spot {
        let (lane, row) = (Some(self.lane_of(key)), Some(RowName::Key(key)));
        Spot { lane, sequence: Some(sequence), row }
    }

    /// Removes a row; it is missed as of its own entry.
    fn remove(&self, key: Key) -> Spot {
        let sequence = self.store.row(key).as_of().sequence;
        self.store.remove(key);
        self.spot(key, sequence)
    }

    fn order(&self, key: &str) -> OrderRow {
        let Row::Order(row) = self.store.row(order(key)) else { panic!("an order") };
        Arc::unwrap_or_clone(row)
    }

    /// A hold that is still open.
    fn hold(&self) -> HoldRow {
        let id = order_id("last-later");
        let lines = self.order("last-later").lines;
        let index = partition_of(lines[0].product_id.0, LANES);
        let Row::Hold(row) = self.store.row(Key::Hold(id, index)) else { panic!("a hold") };
        Arc::unwrap_or_clone(row)
    }

    /// The last change of a user's wallet.
    fn last_change(&self, user: u64) -> u64 {
        let all = steps(self.shop, lane(Role::Users, user)).into_iter();
        let entries = all.flat_map(|(_, step)| step.entries);
        let is_of_wallet =
            |posting: &Posting| posting.account == Account::Wallet && posting.owner == user;
        let mut changes = entries.filter(|entry| entry.postings.iter().any(is_of_wallet));
        changes.next_back().expect("a change").sequence
    }

    fn last_step(&self, lane: Lane) -> Step {
        steps(self.shop, lane).pop().expect("a step").1
    }

    /// Changes a lane's watermark and highest sequence.
    fn change_lane(&self, lane: Lane, change: impl FnOnce(&mut Watermark, &mut u64)) -> Spot {
        let (mut watermark, mut applied) = self.store.lane(lane);
        change(&mut watermark, &mut applied);
        self.store.set_lane(lane, watermark, applied);
        Spot { lane: Some(lane), sequence: None, row: Some(RowName::Watermark) }
    }
}

macro_rules! edit {
    ($kind:ident, $row:ident, $edit:expr) => {
        |row: &mut Row| match row {
            Row::$kind($row) => {
                let $row = Arc::make_mut($row);
                $edit
            }
            other => panic!("{other:?}"),
        }
    };
}

fn line() -> Line {
    Line { product_id: ProductId(21), quantity: Units(9) }
}

const ROWS: &[Corruption] = &[
    ("a wallet's balance", &[Rows], "balance", |v| {
        v.change(user(RICH), edit!(User, row, row.balance.0 += 1))
    }),
    ("a user's address", &[Rows], "email", |v| {
        v.change(user(POOR), edit!(User, row, row.email = "x@example.com".into()))
    }),
    ("a user's first moment", &[Rows], "created_at", |v| {
        v.change(user(BROKE), edit!(User, row, row.created_at.0 -= 1))
    }),
    ("a cart", &[Rows], "cart", |v| v.change(user(POOR), edit!(User, row, row.cart.push(line())))),
    ("a product's price", &[Rows], "price", |v| {
        v.change(product(21), edit!(Product, row, row.price = Money(1)))
    }),
    ("a product's name", &[Rows], "name", |v| {
        v.change(product(22), edit!(Product, row, row.name = "".into()))
    }),
    ("available units", &[Rows], "available", |v| {
        v.change(product(23), edit!(Product, row, row.available.0 += 1))
    }),
    ("units from nowhere", &[Rows], "available, supply", |v| {
        v.change(
            product(24),
            edit!(Product, row, {
                row.available.0 += 5;
                row.supply.0 += 5;
            }),
        )
    }),
    ("an order's status", &[Rows], "status", |v| {
        v.change(order("later"), edit!(Order, row, row.status = OrderStatus::Success))
    }),
    ("an order's reason", &[Rows], "reason", |v| {
        v.change(order("open"), edit!(Order, row, row.reason = Some(Code::Expired)))
    }),
    ("an order's total", &[Rows], "total", |v| {
        v.change(order("imported"), edit!(Order, row, row.total.0 -= 7))
    }),
    ("refunded units", &[Rows], "lines", |v| {
        v.change(order("last-bought"), edit!(Order, row, row.lines[0].refunded = Units::ZERO))
    }),
    ("an order's history", &[Rows], "history", |v| {
        v.change(order("cart"), edit!(Order, row, row.history.truncate(row.history.len() - 1)))
    }),
    ("an order's fingerprint", &[Rows], "fingerprint", |v| {
        v.change(order("cart"), edit!(Order, row, row.fingerprint.0[2] ^= 8))
    }),
    ("a deadline", &[Rows], "deadline", |v| {
        v.change(order("cart"), edit!(Order, row, row.deadline.0 += 1))
    }),
    ("who is told of an order", &[Rows], "askers", |v| {
        v.change(order("last-cart"), edit!(Order, row, row.askers.clear()))
    }),
    ("an outcome's code", &[Rows], "outcome", |v| {
        v.change(outcome(RICH, "pay"), edit!(Outcome, row, row.outcome.code = Code::OrderExpired))
    }),
    ("an outcome's fingerprint", &[Rows], "fingerprint", |v| {
        v.change(outcome(RICH, "some"), edit!(Outcome, row, row.fingerprint.0[0] ^= 1))
    }),
    ("since when an outcome counts", &[Rows], "at", |v| {
        v.change(outcome(POOR, "pay-late"), edit!(Outcome, row, row.at.0 -= Micros::DAY))
    }),
    ("held units", &[Rows], "lines", |v| {
        let hold = v.hold();
        let change = edit!(Hold, row, row.lines[0].quantity.0 += 1);
        v.change(Key::Hold(hold.order_id, hold.lane), change)
    }),
    ("whose hold it is", &[Rows], "user_lane", |v| {
        let hold = v.hold();
        v.change(Key::Hold(hold.order_id, hold.lane), edit!(Hold, row, row.user_lane += 1))
    }),
    ("a balance in a statement", &[Rows], "change of a wallet", |v| {
        statement(v, |row| row.balance.0 += 1)
    }),
    ("what a statement's line is", &[Rows], "change of a wallet", |v| {
        statement(v, |row| row.kind = StatementKind::Charge)
    }),
    ("which order a statement names", &[Rows], "change of a wallet", |v| {
        statement(v, |row| row.order_id = None)
    }),
];

fn statement(v: &Victim<'_>, change: impl FnOnce(&mut StatementRow)) -> Spot {
    let sequence = v.last_change(RICH);
    v.store.change_statement(UserId(RICH), sequence, change);
    let row = Some(RowName::Statement(UserId(RICH), sequence));
    Spot { lane: Some(lane(Role::Users, RICH)), sequence: Some(sequence), row }
}

const GONE: &[Corruption] = &[
    ("a user is gone", &[Reads], "row", |v| v.remove(user(BROKE))),
    ("a product is gone", &[Reads], "row", |v| v.remove(product(24))),
    ("an order is gone", &[Reads], "row", |v| v.remove(order("payable"))),
    ("an outcome is gone", &[Reads], "row", |v| v.remove(outcome(RICH, "cancel"))),
    ("a hold is gone", &[Reads], "row", |v| {
        let hold = v.hold();
        v.remove(Key::Hold(hold.order_id, hold.lane))
    }),
    ("a statement's line is gone", &[Reads], "row", |v| {
        let sequence = v.last_change(POOR);
        v.store.remove_statement(UserId(POOR), sequence);
        let row = Some(RowName::Statement(UserId(POOR), sequence));
        Spot { lane: Some(lane(Role::Users, POOR)), sequence: Some(sequence), row }
    }),
    ("an order is in no list", &[Reads], "row", |v| {
        let row = v.order("later");
        v.store.unlist(&row);
        let name = RowName::Listed(row.user_id, row.placed);
        Spot { lane: Some(lane(Role::Users, RICH)), sequence: None, row: Some(name) }
    }),
    ("a pending order has no timer", &[Reads], "row", |v| {
        let row = v.order("last-later");
        v.store.close_order(row.lane, row.order_id);
        let name = RowName::Open(row.lane, row.order_id);
        Spot { lane: Some(lane(Role::Users, POOR)), sequence: None, row: Some(name) }
    }),
    ("an older version of a user", &[Reads], "entry that the row is as of", |v| {
        let sequence = v.store.row(user(RICH)).as_of().sequence;
        v.store.change(user(RICH), edit!(User, row, row.as_of.sequence -= 1));
        v.spot(user(RICH), sequence)
    }),
];

const PLACES: &[Corruption] = &[
    ("a user in another lane", &[Rows], "lane of the row", |v| {
        v.change(user(RICH), edit!(User, row, row.lane = 1 - row.lane))
    }),
    ("an outcome in another lane", &[Rows], "lane of the row", |v| {
        v.change(outcome(RICH, "pay"), edit!(Outcome, row, row.lane = 7))
    }),
    ("a hold doubled in another lane", &[Rows], "entry that the row is as of", |v| {
        let mut hold = v.hold();
        hold.lane = 1 - hold.lane;
        let key = Key::Hold(hold.order_id, hold.lane);
        let sequence = hold.as_of.sequence;
        v.store.put(&Row::from(hold));
        v.spot(key, sequence)
    }),
    ("a row ahead of the journal", &[Rows], "entry that the row is as of", |v| {
        let last = v.last_step(lane(Role::Users, RICH)).entries.len();
        let change = edit!(User, row, row.as_of.sequence += 1_000 + last as u64);
        let mut spot = v.change(user(RICH), change);
        spot.sequence = Some(v.store.row(user(RICH)).as_of().sequence);
        spot
    }),
    ("a row as of another entry", &[Rows], "entry that the row is as of", |v| {
        v.store.change(user(BROKE), edit!(User, row, row.as_of.sequence += 1));
        v.spot(user(BROKE), v.store.row(user(BROKE)).as_of().sequence)
    }),
    ("a row as of another moment", &[Rows], "as_of", |v| {
        v.change(product(21), edit!(Product, row, row.as_of.stamp = Stamp(row.as_of.stamp.0 + 1)))
    }),
    ("a user whom nobody registered", &[Rows], "row", |v| {
        let Row::User(row) = v.store.row(user(RICH)) else { panic!("a user") };
        let mut row = Arc::unwrap_or_clone(row);
        row.user_id = UserId(4_711);
        row.lane = partition_of(4_711, LANES);
        row.as_of.sequence = 1;
        v.store.put(&Row::from(row));
        v.spot(user(4_711), 1)
    }),
    ("an order that nobody placed", &[Rows], "row", |v| {
        let mut row = v.order("cart");
        row.order_id = OrderId::of(UserId(RICH), "made up");
        let (key, sequence) = (Key::Order(row.order_id), row.as_of.sequence);
        v.store.put(&Row::from(row.clone()));
        // Its place in the list would be that of the real one.
        v.store.list(row.user_id, row.placed, order_id("cart"));
        v.spot(key, sequence)
    }),
    ("a row under another's key", &[Rows], "table users, key 0000000000001267", |v| {
        let row = v.store.row(user(RICH));
        v.store.misplace(user(4_711), &row);
        Spot::default()
    }),
    ("a row that nobody can read", &[Rows, Reads], "table products", |v| {
        v.store.garble(product(22), b"\x01garbage");
        Spot::default()
    }),
    ("a line of a statement that nobody posted", &[Rows], "change of a wallet", |v| {
        let sequence = v.last_change(RICH);
        v.store.change_statement(UserId(RICH), sequence, |row| row.as_of.sequence = 1);
        let row = Some(RowName::Statement(UserId(RICH), 1));
        Spot { lane: Some(lane(Role::Users, RICH)), sequence: Some(1), row }
    }),
    ("an order in somebody else's list", &[Rows], "place in a list", |v| {
        let row = v.order("later");
        v.store.list(UserId(BROKE), row.placed, row.order_id);
        let name = RowName::Listed(UserId(BROKE), row.placed);
        Spot { lane: Some(lane(Role::Users, BROKE)), sequence: Some(row.placed), row: Some(name) }
    }),
    ("a place in a list for nothing", &[Rows], "place in a list", |v| {
        v.store.list(UserId(RICH), 3, OrderId::of(UserId(RICH), "made up"));
        let name = RowName::Listed(UserId(RICH), 3);
        Spot { lane: Some(lane(Role::Users, RICH)), sequence: Some(3), row: Some(name) }
    }),
    ("a timer for an order that has ended", &[Rows], "place among the pending orders", |v| {
        let row = v.order("later");
        v.store.open_order(row.lane, row.order_id, row.deadline);
        let name = RowName::Open(row.lane, row.order_id);
        Spot { lane: Some(lane(Role::Users, RICH)), sequence: None, row: Some(name) }
    }),
    ("a timer that rings at another time", &[Rows], "place among the pending orders", |v| {
        let row = v.order("last-later");
        v.store.open_order(row.lane, row.order_id, row.deadline.plus(1));
        let name = RowName::Open(row.lane, row.order_id);
        Spot { lane: Some(lane(Role::Users, POOR)), sequence: None, row: Some(name) }
    }),
];

const WATERMARKS: &[Corruption] = &[
    ("a watermark beyond the journal", &[Rows], "journal offset of the watermark", |v| {
        v.change_lane(lane(Role::Users, RICH), |watermark, _| {
            watermark.journal += 1;
            watermark.step += 1;
        })
    }),
    ("a watermark's step", &[Rows], "watermark", |v| {
        v.change_lane(lane(Role::Products, 21), |watermark, _| watermark.step -= 1)
    }),
    ("a watermark's sequence", &[Rows], "watermark", |v| {
        v.change_lane(lane(Role::Users, RICH), |watermark, _| watermark.sequence += 1)
    }),
    ("a watermark's moment", &[Rows], "watermark", |v| {
        v.change_lane(lane(Role::Users, RICH), |watermark, _| watermark.stamp.0 -= 1)
    }),
    ("a watermark's positions", &[Rows], "watermark", |v| {
        v.change_lane(lane(Role::Products, 22), |watermark, _| watermark.positions.inbox += 1)
    }),
    ("a highest sequence below a row's", &[Rows], "highest sequence", |v| {
        v.change_lane(lane(Role::Users, POOR), |_, applied| *applied -= 2)
    }),
];

/// A copy of a sound shop's directory, and the shop. The original is made once a table.
struct Sound(TempDir, Shop);

impl Sound {
    fn make() -> Self {
        let shop = generous(LANES);
        Self(save(&shop), shop)
    }

    fn copy(&self) -> (TempDir, Victim<'_>) {
        let dir = TempDir::new().expect("a temporary directory");
        let source = self.0.path().join(".");
        let mut copy = Command::new("cp");
        copy.args(["-a", "--sparse=always"]).args([&source, dir.path()]);
        assert!(copy.status().expect("cp runs").success());
        let store = Tamper::open(&dir.path().join("store"));
        (dir, Victim { shop: &self.1, store })
    }
}

fn is_at(finding: &Finding, spot: &Spot) -> bool {
    let place = finding.place;
    spot.lane.is_none_or(|lane| place.lane == Some(lane))
        && spot.sequence.is_none_or(|sequence| place.sequence == Some(sequence))
        && spot.row.is_none_or(|row| place.row == Some(row))
}

/// Exactly these invariants are broken, and what was done is named in its place.
fn check(name: &str, report: &Report, broken: &[Invariant], about: &str, spot: &Spot) {
    let text = text(report);
    let found: Vec<Invariant> =
        Invariant::ALL.into_iter().filter(|rule| report.findings.count(*rule) > 0).collect();
    assert_eq!(found, broken, "{name}\n{text}");
    let finding = report.findings.of(broken[0]).next().expect("a finding");
    let is_it = finding.about.contains(about) && is_at(finding, spot);
    assert!(is_it, "{name}: not about {about:?}, or elsewhere\n{text}");
    assert_eq!(report.findings.count(broken[0]), 1, "{name}: one fault is one finding\n{text}");
}

/// An entry that the journal has is told with its place there.
fn check_place(name: &str, shop: &Shop, report: &Report) {
    for finding in Invariant::ALL.into_iter().flat_map(|rule| report.findings.of(rule)) {
        let place = finding.place;
        let (Some(lane), Some(sequence)) = (place.lane, place.sequence) else { continue };
        let all = steps(shop, lane).into_iter().flat_map(|(_, step)| step.entries);
        let is_there = all.into_iter().any(|entry| entry.sequence == sequence);
        let is_placed = place.step.is_some() && place.record.is_some() && place.position.is_some();
        assert_eq!(is_placed, is_there, "{name}: {place}");
    }
}

/// Every corruption of the store, with its table.
pub(crate) fn names() -> Vec<&'static str> {
    [ROWS, GONE, PLACES, WATERMARKS].concat().into_iter().map(|(name, ..)| name).collect()
}

fn check_all(table: &[Corruption]) {
    let sound = Sound::make();
    for (name, broken, about, corrupt) in table {
        let (dir, victim) = sound.copy();
        let spot = corrupt(&victim);
        drop(victim);
        let report = verify_directory(&dir);
        check(name, &report, broken, about, &spot);
        check_place(name, &sound.1, &report);
    }
}

#[test]
fn fields_of_rows() {
    check_all(ROWS);
}

#[test]
fn rows_that_are_gone_or_old() {
    check_all(GONE);
}

#[test]
fn rows_in_places_that_are_not_theirs() {
    check_all(PLACES);
}

#[test]
fn what_the_store_says_about_its_lanes() {
    check_all(WATERMARKS);
}

#[test]
fn after_a_drain_nothing_may_be_missing() {
    let drained = |dir: &TempDir| {
        let options = crate::verify::Options { drained: true, ..options(dir) };
        run(&options, &mut |_| {}).expect("a directory that can be read")
    };
    let Sound(dir, shop) = Sound::make();
    let report = drained(&dir);
    assert!(report.is_ok(), "{}", text(&report));
    assert_eq!(report.facts.store.expect("a store").behind, 0);
    let home = lane(Role::Users, RICH);
    let before = steps(&shop, home).len() - 2;
    let (_, step) = steps(&shop, home).swap_remove(before);
    let tamper = Tamper::open(&dir.path().join("store"));
    let (mut watermark, applied) = tamper.lane(home);
    let last = step.entries.last().expect("an entry");
    (watermark.step, watermark.journal) = (step.number, step.number);
    (watermark.sequence, watermark.stamp) = (last.sequence, last.stamp);
    watermark.positions = step.positions;
    tamper.set_lane(home, watermark, applied);
    drop(tamper);
    let report = verify_directory(&dir);
    assert!(report.is_ok(), "it may lie behind\n{}", text(&report));
    assert!(report.facts.store.expect("a store").behind > 0);
    let spot = Spot { lane: Some(home), sequence: None, row: Some(RowName::Watermark) };
    check("a watermark behind", &drained(&dir), &[Reads], "after a drain", &spot);
    std::fs::remove_dir_all(dir.path().join("store")).expect("a store");
    assert!(verify_directory(&dir).is_ok(), "a store that is gone is made anew");
    check("no store", &drained(&dir), &[Reads], "store after a drain", &Spot::default());
}
