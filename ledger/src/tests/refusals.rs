//! Commands that are decided against.

use super::table::check;

#[test]
fn users() {
    let (long, bell) = ("x".repeat(101), "\u{7}");
    check(&format!(
        "
        user 1 name=                        -> INVALID_NAME
        user 1 name={long}                  -> INVALID_NAME
        user 1 name=a{bell}b                -> INVALID_NAME
        user 1 email=ab                     -> INVALID_EMAIL
        user 1 email=kim                    -> INVALID_EMAIL
        user 1 email=@kim                   -> INVALID_EMAIL
        user 1 email=kim@                   -> INVALID_EMAIL
        user 1 email=k@i@m                  -> INVALID_EMAIL
        user 1 email=k@i{bell}m              -> INVALID_EMAIL
        user 1 email={long}{long}{long}@x   -> INVALID_EMAIL
        user 9007199254740992               -> INVALID_ID
        wallet 1                            -> none
        user 9007199254740991               -> OK
        user 1 name=김철수 email=a@b        -> OK
        user 1                              -> ALREADY_EXISTS
        user 1 key=                         -> INVALID_KEY
        user 2 key={}                       -> INVALID_KEY
        user 2 key={}                       -> OK
        ",
        "k".repeat(256),
        "한".repeat(255),
    ));
}

#[test]
fn charges() {
    check(
        "
        charge 1 500                        -> USER_NOT_FOUND
        user 1
        charge 1 0                          -> INVALID_AMOUNT
        charge 1 -5                         -> INVALID_AMOUNT
        charge 1 10000001                   -> INVALID_AMOUNT
        charge 1 9223372036854775807        -> INVALID_AMOUNT
        charge 1 1                          -> OK 1
        charge 1 10000000                   -> OK 10000001
        wallet 1                            -> 10000001
        ",
    );
}

#[test]
fn products() {
    check(
        "
        product 7 price -1 stock 0          -> INVALID_PRICE
        product 7 price 1000000000001 stock 0 -> INVALID_PRICE
        product 7 price 1 stock -1          -> INVALID_QUANTITY
        product 7 price 1 stock 1000000000001 -> INVALID_QUANTITY
        product 7 price 1 stock 0 name=     -> INVALID_NAME
        product 9007199254740992 price 1 stock 0 -> INVALID_ID
        change 7 price=5                    -> PRODUCT_NOT_FOUND
        restock 7 5                         -> PRODUCT_NOT_FOUND
        product 7 price 1 stock 0           -> OK
        product 7 price 1 stock 0           -> ALREADY_EXISTS
        change 7                            -> MALFORMED
        change 7 price=-1                   -> INVALID_PRICE
        change 7 name=                      -> INVALID_NAME
        change 7 name=green price=9         -> OK
        restock 7 0                         -> INVALID_QUANTITY
        restock 7 -3                        -> INVALID_QUANTITY
        restock 7 5                         -> OK
        stock 7                             -> 5 0 0
        ",
    );
}

#[test]
fn times() {
    check(
        "
        user 1 made=-15d                    -> COMMAND_TOO_OLD
        user 1 made=6m                      -> COMMAND_FROM_FUTURE
        wallet 1                            -> none
        user 1 made=-14d                    -> COMMAND_TOO_OLD
        user 1 made=4m                      -> OK
        charge 1 100 made=-13d              -> OK 100
        charge 1 100 occurred=1m            -> INVALID_TIME
        ",
    );
}
