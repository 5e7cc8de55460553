//! The edges of what can be counted: every overflow is a refusal.

use super::table::check_with;
use crate::Rules;
use jupan_schemas::{BALANCE_MAX, Money};

fn large(rules: &mut Rules) {
    rules.charge_max = Money(i64::MAX);
    rules.line_units_max = i64::MAX;
}

#[test]
fn a_wallet_holds_ten_to_the_fifteenth() {
    check_with(
        large,
        &format!(
            "
            user 1
            charge 1 {BALANCE_MAX}                -> OK {BALANCE_MAX}
            charge 1 1                            -> BALANCE_LIMIT
            charge 1 9223372036854775807          -> BALANCE_LIMIT
            product 7 price 1000000000000 stock 1000
            order a user 1 7x1000                 -> PENDING
            deliver
            status a                              -> SUCCESS {BALANCE_MAX}
            wallet 1                              -> 0
            charge 1 {BALANCE_MAX}                -> OK {BALANCE_MAX}
            "
        ),
    );
}

#[test]
fn a_product_has_ten_to_the_twelfth_units() {
    check_with(
        large,
        "
        user 1
        product 7 price 0 stock 1000000000000 -> OK
        restock 7 1                           -> STOCK_LIMIT
        restock 7 9223372036854775807         -> STOCK_LIMIT
        order a user 1 7x1000000000000        -> PENDING
        deliver products
        restock 7 1                           -> STOCK_LIMIT
        deliver
        stock 7                               -> 0 0 1000000000000
        restock 7 1000000000000               -> OK
        restock 7 1                           -> STOCK_LIMIT
        stock 7                               -> 1000000000000 0 1000000000000
        ",
    );
}

#[test]
fn the_largest_order_of_a_shop_can_be_counted() {
    let products: String = (1..=500)
        .map(|id| format!("product {id} price 1000000000000 stock 10000 -> OK\n"))
        .collect();
    let lines: String = (1..=500).map(|id| format!(" {id}x10000")).collect();
    check_with(
        |_| {},
        &format!(
            "
            user 1
            {products}
            order a user 1 {lines} 501x1          -> INVALID_LINES
            order b user 1 {lines}                -> PENDING
            deliver
            status b                 -> FAILED INSUFFICIENT_BALANCE 5000000000000000000
            holds                                 -> 0
            "
        ),
    );
}

#[test]
fn a_total_that_cannot_be_counted_fails_the_order() {
    check_with(
        large,
        "
        user 1
        product 7 price 1000000000000 stock 1000000000000
        product 8 price 1 stock 5
        order a user 1 7x9223373 8x1            -> PENDING
        deliver
        status a                              -> FAILED TOTAL_LIMIT 0
        stock 7                               -> 1000000000000 0 0
        stock 8                               -> 5 0 0
        order b user 1 7x9223372036854775807 7x1 -> INVALID_QUANTITY of 7
        order c user 1 7x9223372036854775807  -> PENDING
        deliver
        status c                              -> FAILED OUT_OF_STOCK of 7 0
        ",
    );
}
