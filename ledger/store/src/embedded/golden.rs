//! The bytes on disk, held against files. `JUPAN_GOLDEN=write cargo test -p jupan-store golden`
//! writes them anew, which is right only together with a higher [`FORMAT`](super::layout::FORMAT).

use super::layout::{self, LaneRow};
use crate::conformance::samples;
use jupan_schemas::{
    Code, HoldEnd, Line, Micros, OrderStatus, Payment, ProductId, Role, Units, UserId,
    rows::{Key, OrderRow, Row},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Write, fs, path::PathBuf};

/// Compares one entry with its file, and the value's bytes with what they decode to.
fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    name: &str,
    key: impl AsRef<[u8]>,
    row: &T,
) {
    let mut value = Vec::new();
    layout::encode(row, &mut value).expect("a row's bytes");
    check_bytes(name, key.as_ref(), &value);
    assert_eq!(&layout::decode::<T>(&value).expect("the row"), row, "{name}");
    for cut in 0..value.len() {
        assert!(layout::decode::<T>(&value[..cut]).is_err(), "{name}: cut at {cut}");
    }
    value.push(0);
    assert!(layout::decode::<T>(&value).is_err(), "{name}: a byte is left over");
    value[0] += 1;
    value.pop();
    assert!(layout::decode::<T>(&value).is_err(), "{name}: another format");
}

fn check_bytes(name: &str, key: &[u8], value: &[u8]) {
    let text = format!("key {}\nvalue {}\n", hex(key), hex(value));
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("golden/{name}.txt"));
    if std::env::var("JUPAN_GOLDEN").is_ok_and(|mode| mode == "write") {
        fs::write(&path, &text).expect("a golden file");
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{name}: the bytes changed; raise the store's format");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

/// An order with something in every field.
fn full_order() -> OrderRow {
    let mut order = samples::order(7, 3, 40, 44, OrderStatus::Failed);
    order.reason = Some(Code::InsufficientBalance);
    order.lines[0].price = Some(jupan_schemas::Money(1_500));
    order.lines[0].refunded = Units(1);
    order.awaits = vec![0, 11];
    order.from_cart = true;
    order.payment = Payment::Later;
    order.payment_due = Some(Micros(1_764_000_000_000_123));
    order.occurred_at = Some(Micros(1_763_000_000_000_000));
    order.sold_at = Some(Micros(1_764_000_000_000_456));
    order.askers = vec![jupan_schemas::Asker { reply_to: 3, position: 300 }];
    order
}

#[test]
fn rows_have_their_golden_bytes() {
    let by_key = |row: &Row| layout::row_key(row.key().expect("a key"));
    let mut user = samples::user(7, 41);
    user.cart.push(Line { product_id: ProductId(1 << 40), quantity: Units(-1) });
    check("user", by_key(&Row::from(user.clone())), &user);
    let product = samples::product(9, 42);
    check("product", by_key(&Row::from(product.clone())), &product);
    let order = samples::order(7, 2, 39, 39, OrderStatus::Pending);
    check("order_pending", by_key(&Row::from(order.clone())), &order);
    let order = full_order();
    check("order_full", by_key(&Row::from(order.clone())), &order);
    let outcome = samples::outcome(7, 5, 43);
    check("outcome", by_key(&Row::from(outcome.clone())), &outcome);
    for (name, end) in [("hold", None), ("hold_ended", Some(HoldEnd::Released))] {
        let hold = samples::hold(7, 3, 45, end);
        check(name, layout::row_key(Key::Hold(hold.order_id, 258)), &hold);
    }
    let statement = samples::statement(7, 46);
    check("statement", layout::newest_first_key(UserId(7), 46), &statement);
}

#[test]
fn indexes_and_lanes_have_their_golden_bytes() {
    let order = full_order();
    let by_user = layout::newest_first_key(order.user_id, order.placed);
    check_bytes("orders_by_user", by_user.as_ref(), &order.order_id.0);
    assert_eq!(layout::newest_first_sequence(by_user.as_ref()), Some(order.placed));
    let open = layout::open_order_key(258, order.order_id);
    let deadline = layout::deadline_value(order.deadline);
    check_bytes("open_order", open.as_ref(), &deadline);
    assert_eq!(layout::open_order_id(open.as_ref()), Some(order.order_id));
    assert_eq!(layout::deadline(&deadline), Some(order.deadline));
    let seal = layout::seal(258);
    check_bytes("seal", layout::SEAL_KEY, &seal);
    assert_eq!(layout::sealed_batch(&seal), Some(258));
    for (name, role, watermark) in [
        ("lane_users", Role::Users, Some(samples::watermark(300, 4_000))),
        ("lane_products", Role::Products, None),
    ] {
        let key = layout::lane_key(role, 258);
        check(name, key, &LaneRow { watermark, applied: 4_001 });
        assert_eq!(layout::lane_of_key(key.as_ref()), Some((role, 258)));
    }
}

#[test]
fn keys_sort_as_lists_do() {
    let newest = [u64::MAX, 300, 256, 255, 1, 0].map(|n| layout::newest_first_key(UserId(256), n));
    assert!(newest.is_sorted_by(|a, b| a.as_ref() < b.as_ref()));
    let others =
        [layout::newest_first_key(UserId(255), 0), layout::newest_first_key(UserId(257), 9)];
    assert!(others[0].as_ref() < newest[0].as_ref() && newest[5].as_ref() < others[1].as_ref());
    let products = [0, 1, 255, 256, 1 << 40].map(|id| layout::row_key(Key::Product(ProductId(id))));
    assert!(products.is_sorted_by(|a, b| a.as_ref() < b.as_ref()));
}
