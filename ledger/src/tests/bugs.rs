//! Bugs that users of other shops reported, each as a table that would show it here. The name says
//! whose thread it was: bl Blnk, et Eventuate, fl Formance, ftgo its order example, me Medusa, re
//! Restate, sa Saleor, sk flash-sale projects, ve Vendure.

use super::table::{check, check_with};

#[test]
fn me_16502_same_product_twice() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 3
        order a user 1 7x2 7x2              -> PENDING
        deliver
        status a                            -> FAILED OUT_OF_STOCK of 7 0
        order b user 1 7x2 7x1              -> PENDING
        deliver
        status b                            -> SUCCESS 300
        stock 7                             -> 0 0 3
        sales 7                             -> 3 for 300 0d ago
        ",
    );
}

#[test]
fn me_16569_concurrent_reserve() {
    check(
        "
        user 1
        user 2
        charge 1 1000
        charge 2 1000
        product 7 price 100 stock 3
        product 8 price 100 stock 3
        order a user 1 7x2 8x2              -> PENDING
        order b user 2 8x2 7x2              -> PENDING
        deliver products
        deliver users
        deliver products
        rest
        stock 7                             -> 1 0 2
        stock 8                             -> 1 0 2
        holds                               -> 0
        ",
    );
}

#[test]
fn ve_3508_last_unit_two_buyers() {
    check(
        "
        user 1
        user 2
        charge 1 1000
        charge 2 1000
        product 7 price 100 stock 1
        order a user 1 7x1                  -> PENDING
        order b user 2 7x1                  -> PENDING
        rest
        stock 7                             -> 0 0 1
        sales 7                             -> 1 for 100 0d ago
        ",
    );
}

#[test]
fn sa_543_summed_baskets() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 3
        order a user 1 7x2                  -> PENDING
        order b user 1 7x2                  -> PENDING
        deliver
        status a                            -> SUCCESS 200
        status b                            -> FAILED OUT_OF_STOCK of 7 0
        stock 7                             -> 1 0 2
        ",
    );
}

#[test]
fn bl_181_holds_not_counted() {
    let orders: String = (1..=6).map(|i| format!("order o{i} user 1 7x1 -> PENDING\n")).collect();
    check(&format!(
        "
        user 1
        charge 1 10000
        product 7 price 1000 stock 5
        {orders}
        deliver products
        stock 7                             -> 0 5 0
        deliver users
        status o5                           -> SUCCESS 1000
        status o6                           -> FAILED OUT_OF_STOCK of 7 0
        deliver
        stock 7                             -> 0 0 5
        wallet 1                            -> 5000
        ",
    ));
}

#[test]
fn me_14770_double_payment() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        order a user 1 7x1                  -> PENDING
        order a user 1 7x1                  -> again PENDING
        deliver
        order a user 1 7x1                  -> again OK
        deliver
        wallet 1                            -> 900
        stock 7                             -> 4 0 1
        told a                              -> OK, OK, OK
        statement 1                         -> Charge 1000 = 1000, Payment -100 = 900
        ",
    );
}

#[test]
fn fl_1633_same_key_twice_in_one_batch() {
    check(
        "
        user 1
        charge 1 500 key=k                  -> OK 500
        charge 1 500 key=k                  -> again OK 500
        charge 1 500 key=k                  -> again OK 500
        product 7 price 1 stock 1 key=k     -> OK
        restock 7 5 key=r                   -> OK
        restock 7 5 key=r                   -> again OK
        wallet 1                            -> 500
        stock 7                             -> 6 0 0
        ",
    );
}

/// A key belongs to one user's or one product's commands, of whatever kind.
#[test]
fn fl_1896_key_scope() {
    check(
        "
        user 1
        user 2
        charge 1 500 key=k                  -> OK 500
        charge 2 700 key=k                  -> OK 700
        product 1 price 100 stock 5 key=k   -> OK
        product 2 price 100 stock 5 key=k   -> OK
        user 1 key=k                        -> IDEMPOTENCY_KEY_REUSED
        order a user 1 1x1 key=k            -> IDEMPOTENCY_KEY_REUSED
        order a user 1 1x1 key=o            -> PENDING
        order b user 2 1x1 key=o            -> PENDING
        deliver
        status a                            -> SUCCESS 100
        status b                            -> SUCCESS 100
        ",
    );
}

#[test]
fn et_75_ftgo_107_compensation_chain() {
    check(
        "
        user 1
        charge 1 1000
        product 1 price 10 stock 5
        product 2 price 10 stock 5
        product 3 price 10 stock 0
        product 4 price 10 stock 5
        product 5 price 10 stock 5
        order a user 1 1x1 2x2 3x1 4x4 5x5  -> PENDING
        deliver
        status a                            -> FAILED OUT_OF_STOCK of 3 0
        stock 1                             -> 5 0 0
        stock 2                             -> 5 0 0
        stock 4                             -> 5 0 0
        stock 5                             -> 5 0 0
        holds                               -> 0
        wallet 1                            -> 1000
        told a                              -> OUT_OF_STOCK
        ",
    );
}

#[test]
fn sk_41_late_payment() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        order a user 1 7x1                  -> PENDING
        deliver products
        wait 16m
        deliver users
        status a                            -> FAILED EXPIRED 0
        told a                              -> EXPIRED
        deliver
        wallet 1                            -> 1000
        stock 7                             -> 5 0 0
        holds                               -> 0
        ",
    );
}

/// Stock is only ever taken for an order that exists, and comes back when it does not succeed.
#[test]
fn sk_97_pre_deduct_without_order() {
    check(
        "
        product 7 price 100 stock 5
        order a user 1 7x5                  -> USER_NOT_FOUND
        deliver
        stock 7                             -> 5 0 0
        user 1
        order b user 1 7x5                  -> PENDING
        deliver
        status b                            -> FAILED INSUFFICIENT_BALANCE 500
        stock 7                             -> 5 0 0
        order c user 1 7x5                  -> PENDING
        wait 15m
        expire c                            -> ACCEPTED EXPIRED
        deliver
        stock 7                             -> 5 0 0
        ",
    );
}

#[test]
fn me_15397_cancel_restore_drives_reserved_negative() {
    check(
        "
        user 1
        product 7 price 100 stock 5
        order a user 1 7x2                  -> PENDING
        deliver products
        release a                           -> ACCEPTED
        stock 7                             -> 5 0 0
        release a                           -> IGNORED
        deliver
        release a                           -> IGNORED
        stock 7                             -> 5 0 0
        ",
    );
}

#[test]
fn re_5269_resubscribe_duplicates() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        order a user 1 7x1 reply=1          -> PENDING
        order a user 1 7x1 reply=2          -> again PENDING
        deliver products
        order a user 1 7x1 reply=1          -> again PENDING
        deliver
        told a                              -> OK, OK, OK
        rest
        told a                              -> OK, OK, OK
        ",
    );
}

/// Two lanes refuse, and both answers come: the first one ends the order, the second is ignored.
#[test]
fn two_refusals_end_an_order_once() {
    check_with(
        |rules| rules.order_deadline_us = 1_000_000_000,
        "
        user 1
        order a user 1 1x1 2x1 3x1 4x1      -> PENDING
        deliver
        history a                           -> PENDING, FAILED
        told a                              -> PRODUCT_NOT_FOUND
        ",
    );
}

/// A cart knows no stock: what sold out since it was filled is refused, and nothing of it is bought.
#[test]
fn ve_1738_stale_cart_buys_sold_out() {
    check(
        "
        user 1
        user 2
        charge 1 1000
        charge 2 1000
        product 7 price 100 stock 1
        product 8 price 100 stock 5
        add 1 7x1
        add 1 8x1
        order a user 2 7x1                  -> PENDING
        deliver
        order b user 1 cart                 -> PENDING
        deliver
        status b                            -> FAILED OUT_OF_STOCK of 7 0
        stock 8                             -> 5 0 0
        cart 1                              -> 7x1, 8x1
        wallet 1                            -> 1000
        ",
    );
}

/// The hold and the right to pay end together: whichever input comes first decides for both.
#[test]
fn sa_15246_pay_outlives_hold() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 1
        order a user 1 later 7x1            -> PENDING
        deliver
        wait 15m
        expire a                            -> ACCEPTED EXPIRED
        deliver
        stock 7                             -> 1 0 0
        pay a                               -> ORDER_EXPIRED
        wallet 1                            -> 1000
        stock 7                             -> 1 0 0
        ",
    );
}

#[test]
fn bl_195_bulk_hold_cannot_commit() {
    let products: String = (1..=40).map(|id| format!("product {id} price 10 stock 3\n")).collect();
    let lines: String = (1..=40).map(|id| format!(" {id}x3")).collect();
    check(&format!(
        "
        user 1
        charge 1 10000
        {products}
        order a user 1 later {lines}        -> PENDING
        deliver
        stock 1                             -> 0 3 0
        pay a                               -> OK
        deliver
        status a                            -> SUCCESS 1200
        stock 1                             -> 0 0 3
        stock 40                            -> 0 0 3
        holds                               -> 0
        ",
    ));
}

#[test]
fn bl_315_double_refund() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        order a user 1 7x2                  -> PENDING
        deliver
        refund a key=r1                     -> OK
        refund a key=r2                     -> REFUND_EXCEEDS
        refund a key=r1                     -> again OK
        deliver
        wallet 1                            -> 1000
        stock 7                             -> 5 0 0
        ",
    );
}

#[test]
fn ve_868_repeated_partial_refund() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        order a user 1 7x5                  -> PENDING
        deliver
        refund a 7x2                        -> OK
        refund a 7x3                        -> OK
        refund a 7x1                        -> REFUND_EXCEEDS of 7
        status a                            -> REFUNDED 500
        wallet 1                            -> 1000
        ",
    );
}

/// What was not paid, or cost nothing, gives no money back.
#[test]
fn ve_4013_refund_not_due() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        product 9 price 0 stock 5
        order a user 1 later 7x2            -> PENDING
        deliver
        refund a                            -> ORDER_NOT_PAID
        order b user 1 9x5                  -> PENDING
        deliver
        refund b                            -> OK
        deliver
        status b                            -> REFUNDED 0
        stock 9                             -> 5 0 0
        statement 1                         -> Charge 1000 = 1000
        ",
    );
}

/// Before its first entry a wallet holds nothing, and says so.
#[test]
fn tb_2045_no_zero_opening_balance() {
    check(
        "
        user 1
        wallet 1                            -> 0
        statement 1                         ->
        charge 1 5                          -> OK 5
        statement 1                         -> Charge 5 = 5
        ",
    );
}
