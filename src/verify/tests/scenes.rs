//! What happens in the small shop.

use super::shop::Shop;
use jupan_schemas::{
    ChangeProduct, ChargeBalance, Micros, Money, ProductPayload, Restock, TopicId, Units,
    UserPayload, partition_of,
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
