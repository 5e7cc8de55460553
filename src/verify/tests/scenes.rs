//! What happens in the small shop.

use super::shop::Shop;
use jupan_schemas::{
    BALANCE_MAX, ChangeProduct, ChargeBalance, Line, Micros, Money, OrderId, Payment, PlaceOrder,
    ProductId, ProductPayload, Restock, TopicId, Units, UserId, UserPayload, partition_of,
};

/// A shop where everything happens that this version knows.
pub(crate) fn busy(lanes: u16) -> Shop {
    let mut shop = Shop::new(lanes);
    for (product, price, stock) in [(1, 100, 50), (2, 250, 3), (3, 0, 10), (4, 999, 0), (5, 7, 90)]
    {
        shop.stock(product, price, stock);
    }
    for (user, balance) in [(1, 10_000), (2, 500), (3, 0), (4, 700), (5, 9_000_000)] {
        shop.register(user, balance);
    }
    shop.run();
    shop.order(1, "o1", &[(1, 2), (2, 1), (1, 1)]);
    shop.turn_users();
    shop.order(1, "o1", &[(1, 2), (2, 1), (1, 1)]);
    shop.order(2, "dear", &[(1, 6), (5, 1)]);
    shop.order(3, "free", &[(3, 1)]);
    shop.run();
    shop.order(1, "too-many", &[(2, 5), (5, 3)]);
    shop.order(1, "unknown", &[(77, 1), (1, 1)]);
    shop.order(99, "nobody", &[(1, 1)]);
    shop.order(1, "empty", &[]);
    shop.order(1, "o1", &[(1, 9)]);
    shop.order(1, "o1", &[(1, 2), (2, 1), (1, 1)]);
    shop.register(2, 500);
    shop.publish_top(5);
    shop.run();
    odd_inputs(&mut shop);
    late_orders(&mut shop);
    shop.open();
    shop.order(5, "after", &[(5, 11), (1, 4)]);
    shop.run();
    shop.publish_top(2);
    // And something on its way.
    shop.order(4, "last", &[(1, 1), (5, 2)]);
    shop.turn_users();
    shop.order(5, "unread", &[(1, 1)]);
    shop
}

/// The users of credit and carts: one with money, one with little, one with none.
pub(crate) const RICH: u64 = 11;
pub(crate) const POOR: u64 = 12;
pub(crate) const BROKE: u64 = 13;

/// A shop that sells on credit, gives back and keeps carts.
pub(crate) fn generous(lanes: u16) -> Shop {
    let mut shop = Shop::new(lanes);
    shop.rules.charge_max = Money(i64::MAX);
    for (product, price, stock) in [(21, 30, 40), (22, 500, 6), (23, 0, 10), (24, 70, 0)] {
        shop.stock(product, price, stock);
    }
    for (user, balance) in [(RICH, 10_000), (POOR, 100), (BROKE, 0)] {
        shop.register(user, balance);
    }
    shop.run();
    let paid = paid_later(&mut shop);
    not_paid(&mut shop);
    cancelled(&mut shop);
    given_back(&mut shop, paid);
    shop.publish_top(5);
    full_wallet(&mut shop);
    carts(&mut shop);
    shop.open();
    carts_that_come_back(&mut shop);
    shop.publish_top(3);
    on_its_way(&mut shop);
    shop
}

/// An order that is paid later: 2 * 30 + 3 * 500.
fn paid_later(shop: &mut Shop) -> OrderId {
    let items = [(21, 2), (22, 3), (23, 1)];
    let order = shop.order_later(RICH, "later", &items);
    shop.pay(RICH, "too-early", order);
    shop.turn_users();
    shop.order_later(RICH, "later", &items);
    shop.pay(RICH, "too-early", order);
    shop.run();
    shop.order_later(RICH, "later", &items);
    shop.pay(POOR, "not-mine", order);
    shop.now += 14 * Micros::MINUTE;
    shop.pay(RICH, "pay", order);
    shop.pay(RICH, "pay", order);
    shop.run();
    shop.pay(RICH, "pay", order);
    shop.pay(RICH, "pay-again", order);
    shop.cancel(RICH, "pay", order);
    shop.cancel(RICH, "cancel-paid", order);
    shop.order_later(RICH, "later", &items);
    shop.remind(order);
    shop.run();
    order
}

/// Orders that nobody can or will pay.
fn not_paid(shop: &mut Shop) {
    let dear = shop.order_later(POOR, "dear", &[(22, 1), (21, 1)]);
    shop.run();
    shop.pay(POOR, "pay-dear", dear);
    shop.pay(POOR, "pay-dear", dear);
    shop.order_later(POOR, "dear", &[(22, 1), (21, 1)]);
    shop.pay(POOR, "pay-dear-again", dear);
    shop.refund(POOR, "refund-dear", dear, &[]);
    let slow = shop.order_later(POOR, "slow", &[(21, 1)]);
    shop.run();
    // Its timer is late, too, but not by much.
    shop.now += 15 * Micros::MINUTE + 10 * Micros::SECOND;
    shop.pay(POOR, "pay-late", slow);
    shop.run();
    shop.remind(slow);
    shop.run();
    shop.pay(POOR, "pay-later", slow);
    shop.order_later(POOR, "slow", &[(21, 1)]);
    shop.order_later(POOR, "none-left", &[(24, 1), (21, 1)]);
    shop.run();
}

/// Orders that are cancelled: one that is payable, one whose answers are on their way.
fn cancelled(shop: &mut Shop) {
    let payable = shop.order_later(RICH, "payable", &[(21, 1), (22, 1)]);
    shop.run();
    shop.cancel(POOR, "not-mine-either", payable);
    shop.cancel(RICH, "cancel", payable);
    shop.cancel(RICH, "cancel", payable);
    shop.cancel(RICH, "cancel-again", payable);
    shop.pay(RICH, "pay-cancelled", payable);
    shop.order_later(RICH, "payable", &[(21, 1), (22, 1)]);
    shop.run();
    let open = shop.order(RICH, "open", &[(21, 1), (22, 1)]);
    shop.turn_users();
    shop.order(RICH, "open", &[(21, 1), (22, 1)]);
    shop.cancel(RICH, "cancel-open", open);
    shop.run();
    shop.order(RICH, "open", &[(21, 1), (22, 1)]);
    shop.run();
}

/// An order that goes back in parts, and an imported one that goes back at once.
fn given_back(shop: &mut Shop, paid: OrderId) {
    shop.refund(POOR, "refund-not-mine", paid, &[]);
    shop.refund(RICH, "too-much", paid, &[(22, 4)]);
    shop.refund(RICH, "not-bought", paid, &[(24, 1)]);
    shop.refund(RICH, "none", paid, &[(22, 0)]);
    shop.refund(RICH, "some", paid, &[(22, 1), (21, 1), (22, 1)]);
    shop.refund(RICH, "some", paid, &[(22, 1), (21, 1), (22, 1)]);
    let change = ChangeProduct { name: None, price: Some(Money(40)) };
    shop.product(21, "dearer", ProductPayload::ChangeProduct(change));
    shop.run();
    shop.refund(RICH, "too-much-by-now", paid, &[(22, 2)]);
    shop.refund(RICH, "rest", paid, &[]);
    shop.run();
    shop.refund(RICH, "nothing-left", paid, &[]);
    shop.refund(RICH, "one-more", paid, &[(21, 1)]);
    shop.refund(RICH, "no-such", OrderId::of(UserId(RICH), "no-such-order"), &[]);
    shop.occurred_at = Some(Micros(shop.now - 2 * Micros::DAY));
    let old = shop.order(RICH, "imported", &[(21, 5), (22, 1)]);
    shop.occurred_at = None;
    while shop.turn_users() {}
    while shop.turn_products() {}
    while shop.turn_users() {}
    // The Return is right behind the Settle.
    shop.refund(RICH, "whole", old, &[]);
    shop.run();
}

/// A wallet that has no room for what would come back.
fn full_wallet(shop: &mut Shop) {
    let charge = |amount| UserPayload::ChargeBalance(ChargeBalance { amount: Money(amount) });
    shop.user(BROKE, "a-lot", charge(BALANCE_MAX));
    shop.user(BROKE, "too-much", charge(1));
    let order = shop.order(BROKE, "one", &[(21, 1)]);
    shop.run();
    shop.user(BROKE, "full", charge(10));
    shop.refund(BROKE, "no-room", order, &[]);
    shop.order(BROKE, "room", &[(21, 1)]);
    shop.run();
    shop.refund(BROKE, "no-room", order, &[]);
    shop.refund(BROKE, "some-room", order, &[]);
    shop.run();
}

/// A cart that is filled, emptied and bought.
fn carts(shop: &mut Shop) {
    shop.order_cart(RICH, "empty", Payment::Now);
    for (key, line) in [
        ("c1", (21, 2)),
        ("c2", (22, 1)),
        ("c3", (21, 3)),
        ("c4", (23, 1)),
        ("c5", (24, 0)),
        ("c6", (24, 20_000)),
        ("c7", (1 << 60, 1)),
        ("c3", (21, 3)),
        ("c3", (21, 4)),
    ] {
        shop.add(RICH, key, line);
    }
    shop.add(99, "nobody", (21, 1));
    for (key, product, units) in [
        ("r1", 21, Some(1)),
        ("r2", 23, None),
        ("r3", 24, None),
        ("r4", 22, Some(0)),
        ("r1", 21, Some(1)),
    ] {
        shop.remove(RICH, key, product, units);
    }
    shop.remove(98, "nobody", 21, None);
    shop.run();
    let items = vec![Line { product_id: ProductId(21), quantity: Units(1) }];
    let both = PlaceOrder { items, from_cart: true, payment: Payment::Now };
    shop.place(RICH, "both", both);
    // 4 * 40 + 500.
    shop.order_cart(RICH, "cart", Payment::Now);
    shop.order_cart(RICH, "cart-again", Payment::Now);
    shop.turn_users();
    shop.order_cart(RICH, "cart", Payment::Now);
    shop.run();
}

/// Carts that cannot be bought: what is in them by then stays, and grows beyond its limits.
fn carts_that_come_back(shop: &mut Shop) {
    shop.rules.order_lines_max = 3;
    shop.rules.line_units_max = 6;
    for (user, key) in [(RICH, "too-few"), (POOR, "too-dear")] {
        shop.add(user, &format!("{key}-1"), (22, 5));
        shop.add(user, &format!("{key}-2"), (21, 5));
        shop.add(user, &format!("{key}-3"), (if user == RICH { 24 } else { 23 }, 1));
        shop.run();
        shop.order_cart(user, key, if user == RICH { Payment::Now } else { Payment::Later });
        shop.turn_users();
        shop.add(user, &format!("{key}-4"), (21, 2));
        shop.add(user, &format!("{key}-5"), (25, 1));
        shop.run();
    }
    let order = OrderId::of(UserId(POOR), "too-dear");
    shop.pay(POOR, "pay-cart", order);
    shop.run();
    for (key, line) in [("over-1", (21, 1)), ("over-2", (26, 1))] {
        shop.add(POOR, key, line);
        shop.add(RICH, key, line);
    }
    shop.order_cart(POOR, "over", Payment::Now);
    shop.remove(POOR, "over-3", 21, Some(3));
    shop.order_cart(POOR, "over-again", Payment::Now);
    shop.remove(POOR, "over-4", 25, None);
    shop.add(POOR, "over-5", (22, 1));
    shop.run();
}

/// A payment that is due, an order from a cart, a refund whose Return nobody has read.
fn on_its_way(shop: &mut Shop) {
    let bought = shop.order(RICH, "last-bought", &[(21, 3)]);
    shop.order_later(POOR, "last-later", &[(21, 1), (23, 1)]);
    shop.run();
    shop.refund(RICH, "last-refund", bought, &[(21, 2)]);
    shop.order_cart(POOR, "last-cart", Payment::Later);
    shop.turn_users();
    shop.add(RICH, "last-unread", (21, 1));
}

fn odd_inputs(shop: &mut Shop) {
    shop.append(TopicId::UserCommands, 0, b"1", b"garbage".to_vec());
    shop.append(TopicId::ProductCommands, shop.lanes - 1, b"", Vec::new());
    let other = (partition_of(7, shop.lanes) + 1) % shop.lanes;
    let wish = ChargeBalance { amount: Money(5) };
    // On one lane it lies right, and is refused: nobody knows user 7.
    shop.user_at(other, 7, "misplaced", UserPayload::ChargeBalance(wish));
    let restock = Restock { quantity: Units(40) };
    shop.product(4, "restock", ProductPayload::Restock(restock));
    let change = ChangeProduct { name: None, price: Some(Money(120)) };
    shop.product(1, "dearer", ProductPayload::ChangeProduct(change));
    shop.run();
}

fn late_orders(shop: &mut Shop) {
    let rung = shop.order(4, "rung", &[(1, 1), (5, 2)]);
    shop.turn_users();
    shop.now += 16 * Micros::MINUTE;
    shop.remind(rung);
    shop.remind(rung);
    shop.run();
    shop.order(4, "slow", &[(1, 1), (5, 2)]);
    shop.turn_users();
    shop.now += 16 * Micros::MINUTE;
    shop.run();
}
