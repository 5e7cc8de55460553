//! Orders paid later, cancelled and refunded, and the races between their inputs.

use super::table::{check, check_with};

/// A shop with a user of 1,000 won and two products, and an order that waits for its payment.
fn payable(table: &str) {
    check(&format!(
        "
        user 1
        user 2
        charge 1 1000
        product 7 price 100 stock 5
        product 8 price 30 stock 5
        order a user 1 later 7x2 8x1        -> PENDING
        deliver
        status a                            -> PENDING 230
        stock 7                             -> 3 2 0
        wallet 1                            -> 1000
        told a                              -> OK
        {table}
        "
    ));
}

/// The same, paid.
fn paid(table: &str) {
    payable(&format!(
        "
        pay a                               -> OK
        deliver
        status a                            -> SUCCESS 230
        wallet 1                            -> 770
        {table}
        "
    ));
}

#[test]
fn an_order_is_paid_later() {
    payable(
        "
        due a                               -> in 14m
        wait 10m
        pay a key=p                         -> OK
        pay a key=p                         -> again OK
        status a                            -> SUCCESS 230
        due a                               -> never
        wallet 1                            -> 770
        deliver
        stock 7                             -> 3 0 2
        told a                              -> OK
        history a                           -> PENDING, SUCCESS
        feed a                              -> PENDING 0, PENDING 230, SUCCESS 230
        order a user 1 later 7x2 8x1        -> again OK
        statement 1                         -> Charge 1000 = 1000, Payment -230 = 770
        ",
    );
}

#[test]
fn an_order_is_paid_once() {
    paid(
        "
        pay a key=p2                        -> ORDER_NOT_PENDING
        pay a by=2                          -> ORDER_NOT_FOUND
        pay a key=a                         -> IDEMPOTENCY_KEY_REUSED
        cancel a                            -> ORDER_NOT_PENDING
        wallet 1                            -> 770
        ",
    );
}

#[test]
fn an_order_is_not_ready_while_answers_are_outstanding() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        order a user 1 later 7x2            -> PENDING
        pay a key=p                         -> ORDER_NOT_READY
        deliver products
        pay a key=p                         -> ORDER_NOT_READY
        due a                               -> never
        deliver
        pay a key=p                         -> OK
        order b user 1 7x1                  -> PENDING
        pay b                               -> ORDER_NOT_READY
        deliver
        pay b                               -> ORDER_NOT_PENDING
        ",
    );
}

#[test]
fn want_of_money_fails_an_order_to_be_paid() {
    check(
        "
        user 1
        charge 1 100
        product 7 price 100 stock 5
        order a user 1 later 7x2            -> PENDING
        deliver
        pay a key=p                         -> INSUFFICIENT_BALANCE
        status a                            -> FAILED INSUFFICIENT_BALANCE 200
        pay a key=p                         -> again INSUFFICIENT_BALANCE
        charge 1 1000
        pay a key=p                         -> again INSUFFICIENT_BALANCE
        pay a                               -> ORDER_NOT_PENDING
        deliver
        stock 7                             -> 5 0 0
        told a                              -> OK
        order a user 1 later 7x2            -> again OK
        history a                           -> PENDING, FAILED
        wallet 1                            -> 1100
        ",
    );
}

/// The table's clock moves a millisecond with each input: at the deadline, and after it.
#[test]
fn payment_at_the_deadline() {
    for (wait, paid) in [("899s", "OK"), ("900s", "ORDER_EXPIRED")] {
        check(&format!(
            "
            user 1
            charge 1 1000
            product 7 price 100 stock 5
            order a user 1 later 7x1        -> PENDING
            deliver
            wait {wait}
            pay a                           -> {paid}
            "
        ));
    }
    check_with(
        // The payment is the input behind order, Reserve and Reserved.
        |rules| rules.order_deadline_us = 3_000,
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        order a user 1 later 7x1            -> PENDING
        deliver
        pay a                               -> OK
        ",
    );
    check_with(
        |rules| rules.order_deadline_us = 2_999,
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        order a user 1 later 7x1            -> PENDING
        deliver
        pay a key=p                         -> ORDER_EXPIRED
        status a                            -> PENDING 100
        wallet 1                            -> 1000
        expire a                            -> ACCEPTED EXPIRED
        pay a key=p                         -> again ORDER_EXPIRED
        pay a                               -> ORDER_EXPIRED
        status a                            -> FAILED EXPIRED 100
        deliver
        stock 7                             -> 5 0 0
        ",
    );
}

#[test]
fn a_payable_order_expires() {
    payable(
        "
        expire a                            -> IGNORED
        wait 15m
        expire a                            -> ACCEPTED EXPIRED
        expire a                            -> IGNORED
        status a                            -> FAILED EXPIRED 230
        pay a                               -> ORDER_EXPIRED
        cancel a                            -> ORDER_NOT_PENDING
        refund a                            -> ORDER_NOT_PAID
        deliver
        stock 7                             -> 5 0 0
        wallet 1                            -> 1000
        told a                              -> OK
        ",
    );
}

/// The payment came first: a timer that rings late finds an order that is over.
#[test]
fn the_timer_rings_after_the_payment() {
    paid(
        "
        wait 15m
        expire a                            -> IGNORED
        status a                            -> SUCCESS 230
        ",
    );
}

#[test]
fn an_order_is_cancelled() {
    payable(
        "
        cancel a by=2                       -> ORDER_NOT_FOUND
        cancel a key=c                      -> OK
        cancel a key=c                      -> again OK
        cancel a                            -> ORDER_NOT_PENDING
        status a                            -> FAILED CANCELLED 230
        pay a                               -> ORDER_NOT_PENDING
        deliver
        stock 7                             -> 5 0 0
        holds                               -> 0
        wallet 1                            -> 1000
        history a                           -> PENDING, FAILED
        feed a                              -> PENDING 0, PENDING 230, FAILED CANCELLED 230
        ",
    );
}

/// Answers that come after a cancel find an order that is over; the Release is behind the Reserve.
#[test]
fn cancel_while_answers_are_outstanding() {
    for later in ["", "later"] {
        check(&format!(
            "
            user 1
            charge 1 1000
            product 1 price 100 stock 5
            product 2 price 100 stock 5
            product 3 price 100 stock 0
            order a user 1 {later} 1x1 2x1 3x1  -> PENDING
            cancel a                        -> OK
            told a                          -> CANCELLED
            deliver
            status a                        -> FAILED CANCELLED 0
            order b user 1 {later} 1x1 2x1  -> PENDING
            deliver products
            cancel b                        -> OK
            deliver users
            deliver
            status b                        -> FAILED CANCELLED 0
            told b                          -> CANCELLED
            order b user 1 {later} 1x1 2x1  -> again CANCELLED
            stock 1                         -> 5 0 0
            stock 2                         -> 5 0 0
            holds                           -> 0
            wallet 1                        -> 1000
            "
        ));
    }
}

#[test]
fn duplicates_join_while_the_order_is_pending() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        order a user 1 later 7x2 reply=1    -> PENDING
        order a user 1 later 7x2 reply=2    -> again PENDING
        order a user 1 7x2 reply=3          -> IDEMPOTENCY_KEY_REUSED
        deliver
        told a                              -> IDEMPOTENCY_KEY_REUSED, OK, OK
        order a user 1 later 7x2 reply=4    -> again OK
        cancel a                            -> OK
        order a user 1 later 7x2 reply=5    -> again OK
        wait 16d
        order a user 1 later 7x2            -> again OK
        ",
    );
}

#[test]
fn an_order_is_refunded_whole() {
    paid(
        "
        refund a by=2                       -> ORDER_NOT_FOUND
        refund a key=r                      -> OK
        refund a key=r                      -> again OK
        status a                            -> REFUNDED 230
        refunded a                          -> 2, 1
        wallet 1                            -> 1000
        stock 7                             -> 3 0 2
        deliver
        stock 7                             -> 5 0 0
        stock 8                             -> 5 0 0
        sales 7                             -> 2 for 200 0d ago, -2 for -200 0d ago
        refund a                            -> REFUND_EXCEEDS
        history a                           -> PENDING, SUCCESS, REFUNDED
        feed a                  -> PENDING 0, PENDING 230, SUCCESS 230, REFUNDED 230
        statement 1     -> Charge 1000 = 1000, Payment -230 = 770, Refund 230 = 1000
        ",
    );
}

#[test]
fn an_order_is_refunded_line_by_line() {
    paid(
        "
        refund a 7x3                        -> REFUND_EXCEEDS of 7
        refund a 9x1                        -> REFUND_EXCEEDS of 9
        refund a 7x0                        -> INVALID_QUANTITY of 7
        refund a 7x-1                       -> INVALID_QUANTITY of 7
        refund a 7x1 7x9223372036854775807  -> REFUND_EXCEEDS of 7
        refund a 7x1 7x2                    -> REFUND_EXCEEDS of 7
        wallet 1                            -> 770
        refund a 7x1                        -> OK
        status a                            -> SUCCESS 230
        refunded a                          -> 1, 0
        wallet 1                            -> 870
        history a                           -> PENDING, SUCCESS
        refund a 7x2                        -> REFUND_EXCEEDS of 7
        refund a 8x1                        -> OK
        refund a                            -> OK
        status a                            -> REFUNDED 230
        refund a 7x1                        -> REFUND_EXCEEDS of 7
        wallet 1                            -> 1000
        deliver
        stock 7                             -> 5 0 0
        sales 7     -> 2 for 200 0d ago, -1 for -100 0d ago, -1 for -100 0d ago
        ",
    );
}

#[test]
fn only_what_is_paid_is_refunded() {
    payable(
        "
        refund a key=r                      -> ORDER_NOT_PAID
        cancel a                            -> OK
        refund a                            -> ORDER_NOT_PAID
        refund a key=r                      -> again ORDER_NOT_PAID
        wallet 1                            -> 1000
        ",
    );
}

/// What is given back is what was paid, whatever it costs today, in the minute of its sale.
#[test]
fn a_refund_has_the_price_and_the_time_of_the_sale() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        product 9 price 0 stock 1
        order a user 1 7x2 9x1 occurred=-2d -> PENDING
        deliver
        change 7 price=500                  -> OK
        wait 1d
        refund a 9x1                        -> OK
        refund a 7x1                        -> OK
        wallet 1                            -> 900
        deliver
        sales 7                             -> 2 for 200 3d ago, -1 for -100 3d ago
        sales 9                             -> 1 for 0 3d ago, -1 for 0 3d ago
        stock 9                             -> 1 0 0
        ",
    );
}

/// The Return is behind the Settle, however late both are.
#[test]
fn a_refund_before_the_sale_has_arrived() {
    check(
        "
        user 1
        charge 1 1000
        product 7 price 100 stock 5
        order a user 1 7x2                  -> PENDING
        deliver products
        deliver users
        status a                            -> SUCCESS 200
        refund a                            -> OK
        stock 7                             -> 3 2 0
        deliver
        stock 7                             -> 5 0 0
        restart
        status a                            -> REFUNDED 200
        ",
    );
}

#[test]
fn a_refund_needs_room_in_the_wallet() {
    check_with(
        |rules| rules.charge_max = jupan_schemas::Money(i64::MAX),
        "
        user 1
        charge 1 1000000000000000           -> OK 1000000000000000
        product 7 price 100 stock 5
        order a user 1 7x1                  -> PENDING
        deliver
        charge 1 1
        refund a key=r                      -> BALANCE_LIMIT
        refund a key=r                      -> again BALANCE_LIMIT
        status a                            -> SUCCESS 100
        order b user 1 7x1                  -> PENDING
        deliver
        refund a                            -> OK
        wallet 1                            -> 999999999999901
        ",
    );
}

#[test]
fn keys_are_free_for_other_commands_of_other_users_only() {
    payable(
        "
        pay a key=k                         -> OK
        refund a key=k                      -> IDEMPOTENCY_KEY_REUSED
        cancel a key=k                      -> IDEMPOTENCY_KEY_REUSED
        order b user 1 7x1 key=k            -> IDEMPOTENCY_KEY_REUSED
        wait 16d
        refund a key=k                      -> OK
        ",
    );
}
