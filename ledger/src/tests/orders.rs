//! Orders paid now, as a shopkeeper would tell them.

use super::table::{check, check_with};

#[test]
fn an_order_is_paid_and_sold() {
    check(
        "
        user 1                              -> OK
        charge 1 1000                       -> OK 1000
        product 7 price 100 stock 5         -> OK
        product 8 price 30 stock 5          -> OK
        product 9 price 0 stock 5           -> OK
        order a user 1 7x2 8x1 9x5          -> PENDING
        status a                            -> PENDING 0
        stock 7                             -> 5 0 0
        deliver products
        stock 7                             -> 3 2 0
        wallet 1                            -> 1000
        deliver users
        status a                            -> SUCCESS 230
        wallet 1                            -> 770
        stock 7                             -> 3 2 0
        deliver products
        stock 7                             -> 3 0 2
        stock 9                             -> 0 0 5
        told a                              -> OK
        history a                           -> PENDING, SUCCESS
        feed a                              -> PENDING 0, SUCCESS 230
        sales 7                             -> 2 for 200 0d ago
        sales 9                             -> 5 for 0 0d ago
        statement 1                         -> Charge 1000 = 1000, Payment -230 = 770
        holds                               -> 0
        ",
    );
}

#[test]
fn an_order_that_costs_nothing_moves_no_money() {
    check(
        "
        user 1
        product 7 price 0 stock 1
        order a user 1 7x1                  -> PENDING
        deliver
        status a                            -> SUCCESS 0
        stock 7                             -> 0 0 1
        statement 1                         ->
        wallet 1                            -> 0
        ",
    );
}

#[test]
fn the_price_is_that_of_the_hold() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        order a user 1 7x1                  -> PENDING
        deliver products
        change 7 price=500                  -> OK
        order b user 1 7x1                  -> PENDING
        deliver
        status a                            -> SUCCESS 100
        status b                            -> SUCCESS 500
        wallet 1                            -> 400
        ",
    );
}

#[test]
fn an_import_is_dated_back() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        order a user 1 7x1 occurred=-3d     -> PENDING
        deliver
        sales 7                             -> 1 for 100 3d ago
        order b user 1 7x1 occurred=1s      -> INVALID_TIME
        status b                            -> none
        order b user 1 7x1 occurred=0s      -> PENDING
        ",
    );
}

#[test]
fn a_failed_order_gives_everything_back() {
    check(
        "
        user 1
        charge 1 100
        product 7 price 60 stock 5
        product 8 price 60 stock 5
        order a user 1 7x1 8x1              -> PENDING
        deliver
        status a                            -> FAILED INSUFFICIENT_BALANCE 120
        told a                              -> INSUFFICIENT_BALANCE
        feed a                              -> PENDING 0, FAILED INSUFFICIENT_BALANCE 120
        stock 7                             -> 5 0 0
        wallet 1                            -> 100
        order b user 1 7x1 99x1             -> PENDING
        deliver
        status b                            -> FAILED PRODUCT_NOT_FOUND of 99 0
        stock 7                             -> 5 0 0
        order c user 1 7x1 8x6              -> PENDING
        deliver
        status c                            -> FAILED OUT_OF_STOCK of 8 0
        told c                              -> OUT_OF_STOCK
        history c                           -> PENDING, FAILED
        stock 7                             -> 5 0 0
        stock 8                             -> 5 0 0
        ",
    );
}

#[test]
fn a_timer_decides_nothing_by_itself() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        order a user 1 7x1                  -> PENDING
        expire a                            -> IGNORED
        wait 14m
        expire a                            -> IGNORED
        deliver products
        stock 7                             -> 4 1 0
        wait 1m
        expire a                            -> ACCEPTED EXPIRED
        expire a                            -> IGNORED
        status a                            -> FAILED EXPIRED 0
        told a                              -> EXPIRED
        deliver
        stock 7                             -> 5 0 0
        wallet 1                            -> 1000
        order b user 1 7x1                  -> PENDING
        deliver
        wait 16m
        expire b                            -> IGNORED
        status b                            -> SUCCESS 100
        ",
    );
}

#[test]
fn memory_may_forget_what_the_store_has() {
    check(
        "
        user 1
        charge 1 1000 key=c                 -> OK 1000
        product 7 price 100 stock 5 key=p
        trim
        order a user 1 7x1                  -> PENDING
        trim
        deliver products
        trim
        stock 7                             -> 4 1 0
        restart
        deliver users
        trim
        deliver
        trim
        stock 7                             -> 4 0 1
        charge 1 1000 key=c                 -> again OK 1000
        product 7 price 100 stock 5 key=p   -> again OK
        order a user 1 7x1                  -> again OK
        restart
        release a                           -> IGNORED
        wallet 1                            -> 900
        ",
    );
}

#[test]
fn limits_of_an_order_are_the_shops() {
    let rules = |rules: &mut crate::Rules| {
        rules.order_lines_max = 2;
        rules.line_units_max = 3;
    };
    check_with(
        rules,
        "
        user 1
        product 7 price 1 stock 9
        order a user 1                      -> INVALID_LINES
        order b user 1 7x1 8x1 9x1          -> INVALID_LINES
        order c user 1 7x4                  -> INVALID_QUANTITY of 7
        order d user 1 7x2 7x2              -> INVALID_QUANTITY of 7
        order e user 1 7x0                  -> INVALID_QUANTITY of 7
        order f user 1 7x-1 7x2             -> INVALID_QUANTITY of 7
        order g user 1 9007199254740992x1   -> INVALID_ID
        order h user 1 7x1 8x1 7x2          -> PENDING
        order i user 2 7x1                  -> USER_NOT_FOUND
        ",
    );
}
