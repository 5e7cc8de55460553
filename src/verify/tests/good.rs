//! Sound logs, and what the report says about them.

use super::{
    forge::{text, verify, verify_directory},
    scenes::{busy, generous},
    shop::Shop,
    writer,
};
use jupan_schemas::{OrderStatus, TopProduct};
use tempfile::TempDir;

#[test]
fn a_busy_shop_is_sound_whatever_its_lanes() {
    for (scene, lanes) in [busy, generous].into_iter().flat_map(|s| [1, 2, 3, 12].map(|l| (s, l))) {
        let report = verify(&scene(lanes));
        assert!(report.is_ok() && report.is_complete, "{lanes} lanes\n{}", text(&report));
        assert_eq!(report.exit_code(), 0);
        assert!(report.facts.state_hash.is_some());
    }
}

#[test]
fn an_empty_shop_is_sound() {
    let report = verify(&Shop::new(2));
    assert!(report.is_ok(), "{}", text(&report));
    assert_eq!((report.facts.steps, report.facts.entries), (4, 4));
    let dir = TempDir::new().expect("a temporary directory");
    writer::directory(dir.path(), 1);
    let report = verify_directory(&dir);
    assert!(report.is_ok(), "{}", text(&report));
}

/// A commit is whole or not at all, so that a log may end behind any frame: what is half done is on
/// its way.
#[test]
fn every_prefix_of_a_sound_log_is_sound() {
    for whole in [busy(3), generous(3)] {
        for frames in 0..whole.log.len() {
            let mut shop = Shop::new(3);
            shop.log = whole.log[..frames].to_vec();
            let report = verify(&shop);
            assert!(report.is_ok(), "{frames} frames\n{}", text(&report));
        }
    }
}

#[test]
fn facts_are_what_happened() {
    let facts = verify(&busy(2)).facts;
    let count = |status: OrderStatus| facts.orders.get(status.as_str()).copied().unwrap_or(0);
    assert_eq!(count(OrderStatus::Success), 3, "{facts:?}");
    assert_eq!(count(OrderStatus::Failed), 5, "{facts:?}");
    assert_eq!(count(OrderStatus::Pending), 1, "{facts:?}");
    assert_eq!(facts.failed["EXPIRED"], 2);
    assert_eq!(facts.failed["OUT_OF_STOCK"], 1);
    assert_eq!((facts.users, facts.products), (5, 5));
    // 3 * 100 + 250, and 11 * 7 + 4 * 120.
    assert_eq!(facts.money.paid, 1107);
    assert_eq!(facts.money.charged, 10_000 + 500 + 700 + 9_000_000);
    assert_eq!(facts.money.held, facts.money.charged - facts.money.paid);
    assert_eq!(facts.units.supplied, 50 + 3 + 10 + 90 + 40);
    assert_eq!((facts.units.sold, facts.units.reserved), (4 + 1 + 15, 0));
    assert_eq!(facts.units.available, facts.units.supplied - facts.units.sold);
    let top: Vec<(u64, i64, i64)> = facts
        .top
        .iter()
        .map(|TopProduct { product_id, units, amount, .. }| (product_id.0, units.0, amount.0))
        .collect();
    assert_eq!(top, [(5, 11, 77), (1, 7, 780), (2, 1, 250), (3, 1, 0)]);
    assert_eq!(facts.top_lists, 2);
    assert!(facts.unread_inputs > 0);
}

#[test]
fn facts_of_credit_refunds_and_carts() {
    let report = verify(&generous(2));
    let facts = &report.facts;
    let orders: Vec<(&str, u64)> = facts.orders.iter().map(|(s, count)| (*s, *count)).collect();
    assert_eq!(orders, [("FAILED", 7), ("PENDING", 2), ("REFUNDED", 3), ("SUCCESS", 3)]);
    let failed: Vec<(&str, u64)> = facts.failed.iter().map(|(c, count)| (*c, *count)).collect();
    let causes = ["CANCELLED", "EXPIRED", "INSUFFICIENT_BALANCE", "OUT_OF_STOCK"];
    assert_eq!(failed, causes.into_iter().zip([2, 1, 2, 2]).collect::<Vec<_>>());
    assert_eq!((facts.payable, facts.carts), (1, 1));
    // later, imported, one and room, cart, last-bought.
    assert_eq!(facts.money.paid, 1560 + 700 + 2 * 40 + 660 + 120);
    // some and rest, whole, some-room, last-refund.
    assert_eq!(facts.money.refunded, 1030 + 530 + 700 + 40 + 80);
    let units = facts.units;
    assert_eq!((units.refunded, units.returned), (6 + 6 + 1 + 2, 6 + 6 + 1));
    assert_eq!(units.sold, 1 + 4 + 1 + 3);
    let top: Vec<(u64, i64, i64)> =
        facts.top.iter().map(|top| (top.product_id.0, top.units.0, top.amount.0)).collect();
    assert_eq!(top, [(21, 8, 320), (22, 1, 500)]);
    let text = text(&report);
    for line in ["payable    1 of the PENDING", "15 units paid back, 13 of them", "1 filled carts"]
    {
        assert!(text.contains(line), "`{line}` is missing\n{text}");
    }
}

#[test]
fn the_report_is_one_json_document() {
    let report = verify(&busy(1));
    let mut out = Vec::new();
    report.print(true, &mut out).expect("memory");
    let json: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
    assert_eq!(json["ok"], true);
    assert_eq!(json["complete"], true);
    assert_eq!(json["facts"]["money"]["paid"], 1107);
    assert_eq!(json["invariants"].as_array().map(Vec::len), Some(12));
    assert_eq!(json["invariants"][10]["number"], 10);
    assert_eq!(json["invariants"][11]["number"], 11);
}
