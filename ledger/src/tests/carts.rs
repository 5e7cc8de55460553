//! Carts, and their way into orders and back.

use super::table::{check, check_with};

#[test]
fn a_cart_is_filled_and_emptied() {
    check(
        "
        add 1 7x2                           -> USER_NOT_FOUND
        remove 1 7                          -> USER_NOT_FOUND
        user 1
        cart 1                              ->
        add 1 7x2                           -> OK
        add 1 8x1                           -> OK
        add 1 7x3                           -> OK
        cart 1                              -> 7x5, 8x1
        remove 1 7x1                        -> OK
        cart 1                              -> 7x4, 8x1
        remove 1 7x4                        -> OK
        remove 1 9                          -> OK
        cart 1                              -> 8x1
        remove 1 8x5                        -> OK
        cart 1                              ->
        add 1 7x1 key=k                     -> OK
        add 1 7x1 key=k                     -> again OK
        add 1 7x2 key=k                     -> IDEMPOTENCY_KEY_REUSED
        remove 1 7 key=k                    -> IDEMPOTENCY_KEY_REUSED
        cart 1                              -> 7x1
        ",
    );
}

#[test]
fn a_cart_has_limits() {
    check_with(
        |rules| {
            rules.order_lines_max = 3;
            rules.line_units_max = 10;
        },
        "
        user 1
        add 1 7x0                           -> INVALID_QUANTITY of 7
        add 1 7x-1                          -> INVALID_QUANTITY of 7
        add 1 7x11                          -> INVALID_QUANTITY of 7
        add 1 9007199254740992x1            -> INVALID_ID
        remove 1 7x0                        -> INVALID_QUANTITY of 7
        add 1 7x10                          -> OK
        add 1 7x1                           -> INVALID_QUANTITY of 7
        add 1 7x9223372036854775807         -> INVALID_QUANTITY of 7
        add 1 8x1                           -> OK
        add 1 9x1                           -> OK
        add 1 10x1                          -> CART_FULL
        add 1 8x1                           -> OK
        cart 1                              -> 7x10, 8x2, 9x1
        ",
    );
}

#[test]
fn an_order_buys_the_cart() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        product 8 price 30 stock 5
        order a user 1 cart                 -> CART_EMPTY
        add 1 7x2
        add 1 8x1
        order b user 1 cart 7x1             -> INVALID_LINES
        order c user 1 cart                 -> PENDING
        cart 1                              ->
        order d user 1 cart                 -> CART_EMPTY
        order c user 1 cart                 -> again PENDING
        deliver
        status c                            -> SUCCESS 230
        cart 1                              ->
        order c user 1 cart                 -> again OK
        wallet 1                            -> 770
        ",
    );
}

#[test]
fn two_orders_never_buy_one_cart() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        add 1 7x2
        order a user 1 cart                 -> PENDING
        order b user 1 cart                 -> CART_EMPTY
        add 1 7x1
        order c user 1 cart                 -> PENDING
        deliver
        status a                            -> SUCCESS 200
        status b                            -> none
        status c                            -> SUCCESS 100
        stock 7                             -> 2 0 3
        ",
    );
}

#[test]
fn a_failed_order_puts_its_cart_back() {
    for (end, why) in [
        ("deliver", "FAILED OUT_OF_STOCK of 8 0"),
        ("cancel a -> OK", "FAILED CANCELLED 0"),
        ("wait 15m\nexpire a -> ACCEPTED EXPIRED", "FAILED EXPIRED 0"),
    ] {
        check(&format!(
            "
            user 1
            charge 1 1000
            product 7 price 100 stock 5
            product 8 price 100 stock 0
            add 1 7x2
            add 1 8x1
            order a user 1 cart             -> PENDING
            add 1 9x4
            add 1 7x1
            {end}
            status a                        -> {why}
            cart 1                          -> 9x4, 7x3, 8x1
            deliver
            stock 7                         -> 5 0 0
            cart 1                          -> 9x4, 7x3, 8x1
            wallet 1                        -> 1000
            "
        ));
    }
}

#[test]
fn want_of_money_puts_the_cart_back() {
    check(
        "
        user 1
        product 7 price 100 stock 5
        add 1 7x2
        order a user 1 cart                 -> PENDING
        deliver
        status a                            -> FAILED INSUFFICIENT_BALANCE 200
        cart 1                              -> 7x2
        order b user 1 cart later           -> PENDING
        deliver
        cart 1                              ->
        pay b                               -> INSUFFICIENT_BALANCE
        cart 1                              -> 7x2
        charge 1 200
        order c user 1 cart                 -> PENDING
        deliver
        status c                            -> SUCCESS 200
        cart 1                              ->
        ",
    );
}

/// A cart that failed orders filled beyond its limits can only be emptied.
#[test]
fn an_overfull_cart_only_lets_go() {
    check_with(
        |rules| {
            rules.order_lines_max = 2;
            rules.line_units_max = 5;
        },
        "
        user 1
        product 7 price 100 stock 0
        add 1 7x5
        add 1 8x1
        order a user 1 cart                 -> PENDING
        add 1 7x5
        add 1 9x1
        cancel a                            -> OK
        cart 1                              -> 7x10, 9x1, 8x1
        add 1 7x1                           -> CART_FULL
        add 1 8x1                           -> CART_FULL
        order b user 1 cart                 -> INVALID_QUANTITY of 7
        remove 1 7x5                        -> OK
        add 1 8x1                           -> CART_FULL
        order c user 1 cart                 -> INVALID_LINES
        remove 1 9                          -> OK
        add 1 8x1                           -> OK
        cart 1                              -> 7x5, 8x2
        ",
    );
}

/// Refused refunds and ends leave no cart without bounds: what is beyond them is left out.
#[test]
fn a_cart_stays_one_record() {
    let mut table = "user 1\nproduct 1 price 1 stock 0\n".to_owned();
    for order in 0..9 {
        for line in 0..500 {
            table.push_str(&format!("add 1 {}x1 -> OK\n", 1 + order * 500 + line));
        }
        table.push_str(&format!("order o{order} user 1 cart -> PENDING\n"));
    }
    for order in 0..9 {
        table.push_str(&format!("cancel o{order} -> OK\n"));
    }
    let shop = super::table::run(crate::Rules::new(1), &table);
    let cart = shop.users[0].view().into_values().find_map(|row| match row {
        jupan_schemas::rows::Row::User(row) => Some(row.cart.clone()),
        _ => None,
    });
    assert_eq!(cart.expect("the user is there").len(), crate::limits::CART_LINES_MAX);
}
