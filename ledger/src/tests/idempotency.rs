//! Keys: the first outcome again, another body refused, and for how long.

use super::table::check;

#[test]
fn the_first_outcome_again() {
    check(
        "
        charge 1 500 key=c                  -> USER_NOT_FOUND
        user 1 key=u                        -> OK
        user 1 key=u                        -> again OK
        charge 1 500 key=c                  -> again USER_NOT_FOUND
        charge 1 500 key=d                  -> OK 500
        charge 1 500 key=d reply=3 made=-1d -> again OK 500
        charge 1 600 key=d                  -> IDEMPOTENCY_KEY_REUSED
        charge 1 500 key=d                  -> again OK 500
        user 1 key=d                        -> IDEMPOTENCY_KEY_REUSED
        wallet 1                            -> 500
        product 7 price 5 stock 5 key=d     -> OK
        restock 7 5 key=r                   -> OK
        restock 7 5 key=r                   -> again OK
        restock 7 6 key=r                   -> IDEMPOTENCY_KEY_REUSED
        stock 7                             -> 10 0 0
        ",
    );
}

#[test]
fn a_key_counts_for_fifteen_days() {
    check(
        "
        user 1
        charge 1 500 key=c                  -> OK 500
        wait 14d
        charge 1 600 key=c                  -> IDEMPOTENCY_KEY_REUSED
        charge 1 500 key=c                  -> again OK 500
        wait 2d
        charge 1 600 key=c                  -> OK 1100
        charge 1 600 key=c                  -> again OK 1100
        trim
        charge 1 500 key=c                  -> IDEMPOTENCY_KEY_REUSED
        ",
    );
}

#[test]
fn an_order_remembers_its_key_at_any_age() {
    check(
        "
        user 1
        charge 1 500
        product 7 price 100 stock 5
        order a user 1 7x1                  -> PENDING
        deliver
        wait 400d
        trim
        order a user 1 7x1                  -> again OK
        order a user 1 7x2                  -> IDEMPOTENCY_KEY_REUSED
        charge 1 500 key=a                  -> IDEMPOTENCY_KEY_REUSED
        wallet 1                            -> 400
        ",
    );
}

/// A refused PlaceOrder makes no order: its key is kept as that of any command.
#[test]
fn a_refused_order_is_remembered_as_a_command() {
    check(
        "
        product 7 price 100 stock 5
        order a user 1 7x1                  -> USER_NOT_FOUND
        user 1
        charge 1 500
        order a user 1 7x1                  -> again USER_NOT_FOUND
        status a                            -> none
        wait 16d
        order a user 1 7x1                  -> PENDING
        deliver
        status a                            -> SUCCESS 100
        ",
    );
}

/// What is wrong with the envelope never touches what the key stands for.
#[test]
fn a_bad_envelope_keeps_the_first_outcome() {
    check(
        "
        user 1
        charge 1 500 key=c                  -> OK 500
        charge 1 500 key=c made=-15d        -> COMMAND_TOO_OLD
        charge 1 500 key=c made=6m          -> COMMAND_FROM_FUTURE
        charge 1 500 key=c occurred=1m      -> INVALID_TIME
        charge 1 500 key=c                  -> again OK 500
        charge 1 500 key=d occurred=1m      -> INVALID_TIME
        charge 1 500 key=d                  -> OK 1000
        ",
    );
}

#[test]
fn duplicates_of_a_pending_order_wait_with_it() {
    check(
        "
        user 1
        charge 1 500
        product 7 price 100 stock 5
        order a user 1 7x1 reply=none       -> PENDING
        order a user 1 7x1 reply=1          -> again PENDING
        order a user 1 7x1 reply=1          -> again PENDING
        order a user 1 7x1 reply=none       -> again PENDING
        order a user 1 7x2 reply=2          -> IDEMPOTENCY_KEY_REUSED
        told a                              -> IDEMPOTENCY_KEY_REUSED
        trim
        deliver
        told a                              -> IDEMPOTENCY_KEY_REUSED, OK, OK
        order a user 1 7x1 reply=9          -> again OK
        told a                              -> IDEMPOTENCY_KEY_REUSED, OK, OK, OK
        ",
    );
}

#[test]
fn at_most_eight_partitions_wait_for_an_order() {
    let nine: String =
        (0..9).map(|i| format!("order a user 1 7x1 reply={i} -> again PENDING\n")).collect();
    check(&format!(
        "
        user 1
        charge 1 500
        product 7 price 100 stock 5
        order a user 1 7x1 reply=none       -> PENDING
        {nine}
        order a user 1 7x1 reply=0          -> again PENDING
        deliver
        told a                              -> {}
        ",
        ["OK"; 9].join(", "),
    ));
}

#[test]
fn at_most_so_many_askers_wait_for_an_order() {
    let many = "order a user 1 7x1 -> again PENDING\n".repeat(130);
    check(&format!(
        "
        user 1
        charge 1 500
        product 7 price 100 stock 5
        order a user 1 7x1                  -> PENDING
        {many}
        deliver
        told a                              -> {}
        ",
        ["OK"; 128].join(", "),
    ));
}
