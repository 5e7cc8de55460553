//! What cores do with their memory, and with what does not fit into it: journals that were
//! tampered with, and inputs that no lane would send.

use super::{
    shop::{Lane, Shop},
    table,
};
use crate::{Asked, Broken, Core, Rules, products, users};
use jupan_schemas::{
    Account, CartChanged, Change, ChargeBalance, Code, CommandId, Entry, Envelope, Fingerprint,
    Line, LinesRefunded, Message, Micros, Money, Opened, OrderId, OrderReserved, Posting,
    PricedLine, ProductId, Refused, Reserve, Reserved, Role, Settle, Stamp, SystemBalance, Units,
    UserCommand, UserId, UserPayload, Verdict,
    rows::{Key, Row},
};

/// A shop of one lane a role, with an order `a` of two units of product 7.
const BEGUN: &str = "
    user 1
    charge 1 1000
    product 7 price 100 stock 5
    order a user 1 7x2
    deliver products
";

fn shop(table: &str) -> Shop {
    table::run(Rules::new(1), table)
}

fn order() -> OrderId {
    OrderId::of(UserId(1), "a")
}

/// Folds a journal whose last entry was changed; what the core says to it.
fn tampered<C: Core>(lane: &Lane<C>, tamper: impl Fn(&mut Entry)) -> Result<(), Broken> {
    let mut core = C::new(0);
    let (last, before) = lane.journal.split_last().expect("has entries");
    let mut last = last.clone();
    tamper(&mut last);
    for entry in before.iter().chain([&last]) {
        let mut keys = Vec::new();
        core.entry_footprint(entry, &mut keys);
        core.retain_missing(&mut keys);
        keys.into_iter().try_for_each(|key| core.load(key, None))?;
        core.evolve(entry)?;
    }
    Ok(())
}

/// Changes an entry's postings.
type Tamper = fn(&mut Vec<Posting>);

fn what(result: Result<(), Broken>) -> &'static str {
    result.expect_err("must be found").what
}

#[test]
fn evolve_finds_what_does_not_balance() {
    let shop = shop("user 1\ncharge 1 1000");
    let lane = &shop.users[0];
    assert_eq!(tampered(lane, |_| {}), Ok(()));
    let cases: [(&str, Tamper); 6] = [
        ("its postings do not sum to zero", |p| p[1].delta += 1),
        ("its postings do not sum to zero", |p| p.truncate(1)),
        ("the balance after is not the balance before plus the delta", |p| p[1].balance += 1),
        ("the balance is below zero", |p| {
            (p[0].delta, p[1].delta, p[1].balance) = (1000, -1000, -1000);
        }),
        ("the account belongs to another lane", |p| p[0].owner = 9),
        ("units of a product in a user lane", |p| {
            p.iter_mut().for_each(|p| (p.account, p.owner) = (Account::Sold, 7));
        }),
    ];
    for (expected, tamper) in cases {
        assert_eq!(what(tampered(lane, |entry| tamper(&mut entry.postings))), expected);
    }
}

#[test]
fn evolve_finds_stock_that_does_not_balance() {
    let shop = shop(BEGUN);
    let lane = &shop.products[0];
    let cases: [(&str, Tamper); 5] = [
        ("its postings do not sum to zero", |p| p[0].owner = 8),
        ("its postings do not sum to zero", |p| p[1].delta -= 1),
        ("the balance after is not the balance before plus the delta", |p| p[0].balance = 4),
        ("the balance is below zero", |p| {
            (p[0].delta, p[0].balance, p[1].delta, p[1].balance) = (-6, -1, 6, 6);
        }),
        ("money in a product lane", |p| {
            p.iter_mut().for_each(|p| p.account = Account::Wallet);
        }),
    ];
    for (expected, tamper) in cases {
        assert_eq!(what(tampered(lane, |entry| tamper(&mut entry.postings))), expected);
    }
}

#[test]
fn evolve_finds_changes_that_do_not_belong() {
    let shop = shop(BEGUN);
    let (users, products) = (&shop.users[0], &shop.products[0]);
    let opened = |entry: &mut Entry| entry.changes = vec![Change::Opened(Opened { epoch: 2 })];
    assert_eq!(
        what(tampered(users, |entry| entry.input = None)),
        "it changes something without an input"
    );
    assert_eq!(
        tampered(users, |entry| {
            entry.input = None;
            opened(entry);
        }),
        Ok(())
    );
    assert_eq!(
        what(tampered(users, |entry| entry.messages.clear())),
        "placed, but no product lane is asked"
    );
    let foreign = products.journal.last().expect("a hold").changes.clone();
    assert_eq!(what(tampered(users, |e| e.changes = foreign.clone())), "a product lane's change");
    let foreign = users.journal.last().expect("an order").changes.clone();
    assert_eq!(what(tampered(products, |e| e.changes = foreign.clone())), "a user lane's change");
    let line = Line { product_id: ProductId(7), quantity: Units::ZERO };
    let cart = CartChanged { user_id: UserId(1), lines: vec![line] };
    assert_eq!(
        what(tampered(users, |entry| entry.changes = vec![Change::CartChanged(cart.clone())])),
        "a line without units"
    );
    let registered = users.journal[0].changes.clone();
    assert_eq!(what(tampered(users, |e| e.changes = registered.clone())), "exists already");
}

#[test]
fn an_order_ends_once_and_with_what_it_costs() {
    let shop = shop(&format!("{BEGUN}deliver users"));
    let lane = &shop.users[0];
    let tamper = |entry: &mut Entry, end: fn(&mut jupan_schemas::OrderEnded)| {
        for change in &mut entry.changes {
            if let Change::OrderEnded(ended) = change {
                end(ended);
            }
        }
    };
    assert_eq!(tampered(lane, |entry| tamper(entry, |_| {})), Ok(()));
    let expected = "it succeeds without what its lines need";
    let too_much = |entry: &mut Entry| tamper(entry, |ended| ended.total_price = Money(199));
    assert_eq!(what(tampered(lane, too_much)), expected);
    assert_eq!(what(tampered(lane, |entry| drop(entry.changes.remove(0)))), expected);
    let unpaid = |entry: &mut Entry| entry.postings.clear();
    assert_eq!(what(tampered(lane, unpaid)), "its end moves other money than it costs");
    let twice = |entry: &mut Entry| entry.changes.push(entry.changes[1].clone());
    assert_eq!(what(tampered(lane, twice)), "it ends, but is not pending");
    let again = |entry: &mut Entry| entry.changes.insert(0, entry.changes[0].clone());
    assert_eq!(what(tampered(lane, again)), "a lane has reserved that it does not wait for");
}

#[test]
fn a_cart_goes_with_its_order_and_comes_back_with_its_failure() {
    let cart = |change: &Change| matches!(change, Change::CartChanged(_));
    let begun = shop("user 1\nadd 1 7x2\norder a user 1 cart");
    let lane = &begun.users[0];
    assert_eq!(tampered(lane, |_| {}), Ok(()));
    assert_eq!(
        what(tampered(lane, |entry| entry.changes.retain(|change| !cart(change)))),
        "placed from the cart, but the cart stays, or goes for another order"
    );
    let failed = shop("user 1\nadd 1 7x2\norder a user 1 cart\ncancel a");
    assert_eq!(
        what(tampered(&failed.users[0], |entry| entry.changes.retain(|change| !cart(change)))),
        "it fails without its cart, or takes the cart without failing"
    );
}

#[test]
fn a_payable_order_is_held_and_paid_later() {
    let payable = |entry: &mut Entry| {
        let reserved = OrderReserved { order_id: order(), payment_due: Micros(1) };
        entry.changes.push(Change::OrderReserved(reserved));
    };
    let expected = "becomes payable, but is not held, or not to be paid later";
    let now = shop(BEGUN);
    assert_eq!(what(tampered(&now.users[0], payable)), expected);
    let later = shop(&BEGUN.replace("user 1 7x2", "user 1 later 7x2"));
    assert_eq!(what(tampered(&later.users[0], payable)), expected);
    let twice = shop(&format!("{}deliver users", BEGUN.replace("user 1 7x2", "user 1 later 7x2")));
    assert_eq!(what(tampered(&twice.users[0], payable)), expected);
    assert_eq!(tampered(&twice.users[0], |_| {}), Ok(()));
}

#[test]
fn a_refund_is_of_what_was_sold() {
    let shop = shop(&format!("{BEGUN}deliver\nrefund a 7x1\ndeliver"));
    let (users, products) = (&shop.users[0], &shop.products[0]);
    let tamper = |entry: &mut Entry, change: fn(&mut LinesRefunded)| {
        for known in &mut entry.changes {
            if let Change::LinesRefunded(refunded) = known {
                change(refunded);
            }
        }
    };
    assert_eq!(tampered(users, |_| {}), Ok(()));
    type Refund = fn(&mut LinesRefunded);
    let cases: [(&str, Refund); 4] = [
        ("gives back more units than are left, or none", |r| r.lines[0].quantity = Units(3)),
        ("gives back a product that it does not have", |r| r.lines[0].product_id = ProductId(8)),
        ("gives back other money than its lines are worth", |r| r.lines[0].quantity = Units(2)),
        ("gives back other money than its lines are worth", |r| {
            r.status = jupan_schemas::OrderStatus::Refunded;
        }),
    ];
    for (expected, change) in cases {
        assert_eq!(what(tampered(users, |entry| tamper(entry, change))), expected);
    }
    let unpaid = |entry: &mut Entry| entry.postings.clear();
    assert_eq!(what(tampered(users, unpaid)), "gives back other money than its lines are worth");
    assert_eq!(tampered(products, |_| {}), Ok(()));
    assert_eq!(what(tampered(products, unpaid)), "gives back other units than its entry moves");
}

fn message<P>(payload: P) -> Envelope<P> {
    Envelope {
        lane: 0,
        number: 1,
        stamp: Stamp(1),
        command_id: None,
        actor: String::new(),
        trace_id: None,
        payload,
    }
}

fn to_users(shop: &Shop, lane: u16, payload: Message) -> Result<Verdict, Broken> {
    let envelope = message(payload.try_into().expect("for users"));
    let input = users::Input::Message(Envelope { lane, ..envelope });
    let decision = shop.users[0].core.decide(&shop.rules, &input, shop.now)?;
    Ok(decision.verdict)
}

fn to_products(shop: &Shop, lane: u16, payload: Message) -> Result<Verdict, Broken> {
    let envelope = message(payload.try_into().expect("for products"));
    let input = products::Input::Message(Envelope { lane, ..envelope });
    let decision = shop.products[0].core.decide(&shop.rules, &input, shop.now)?;
    Ok(decision.verdict)
}

#[test]
fn answers_that_no_product_lane_would_give() {
    let begun = shop(BEGUN);
    let line = |product, quantity, price| PricedLine {
        product_id: ProductId(product),
        quantity: Units(quantity),
        price: Money(price),
    };
    let reserved = |lines| Message::Reserved(Reserved { order_id: order(), lines });
    let refused = |code, product| {
        let product_id = ProductId(product);
        Message::Refused(Refused { order_id: order(), code, product_id })
    };
    let not_asked = "a product lane answers that was not asked, or has answered";
    let other_line = "what was reserved is not the order's line";
    let cases = [
        (0, reserved(vec![]), "a product lane reserved more or fewer lines than its own"),
        (3, reserved(vec![line(7, 2, 100)]), not_asked),
        (0, reserved(vec![line(7, 1, 100)]), other_line),
        (0, reserved(vec![line(7, 2, -1)]), other_line),
        (
            0,
            reserved(vec![line(8, 2, 1)]),
            "no line of the order has the product that was reserved",
        ),
        (3, refused(Code::OutOfStock, 7), not_asked),
        (0, refused(Code::OutOfStock, 8), "no line of the order has the product that was refused"),
        (0, refused(Code::Ok, 7), "refused without a reason"),
    ];
    for (lane, payload, expected) in cases {
        let broken = to_users(&begun, lane, payload.clone()).expect_err("must be found");
        assert_eq!(broken.what, expected, "{payload:?}");
    }
    assert_eq!(to_users(&begun, 0, reserved(vec![line(7, 2, 100)])), Ok(Verdict::Accepted));
    let ended = shop(&format!("{BEGUN}deliver users"));
    assert_eq!(to_users(&ended, 0, reserved(vec![])), Ok(Verdict::Ignored));
    assert_eq!(to_users(&ended, 0, refused(Code::OutOfStock, 7)), Ok(Verdict::Ignored));

    let mut empty = shop("user 1");
    let expected = "a product lane answers, but it does not exist";
    empty.users[0].core.load(Key::Order(order()), None).expect("is absent");
    let unknown = to_users(&empty, 0, reserved(vec![])).expect_err("must be found");
    assert_eq!(unknown.what, expected);
}

#[test]
fn wishes_that_no_user_lane_would_have() {
    let shop = shop(BEGUN);
    let settle = || Message::Settle(Settle { order_id: order(), sold_at: Micros(1) });
    let reserve = |quantity, product| {
        let line = Line { product_id: ProductId(product), quantity: Units(quantity) };
        let order_id = OrderId::of(UserId(1), "other");
        Message::Reserve(Reserve { order_id, lines: vec![line, line] })
    };
    let told = |lane, payload| to_products(&shop, lane, payload).map_err(|broken| broken.what);
    assert_eq!(told(5, settle()), Err("another user lane wants to end it"));
    assert_eq!(told(0, settle()), Ok(Verdict::Accepted));
    // Product 8 was never looked up.
    assert_eq!(told(0, reserve(1, 8)), Err("not loaded"));

    let mut shop = shop;
    let other = OrderId::of(UserId(1), "other");
    shop.products[0].core.load(Key::Hold(other, 0), None).expect("is absent");
    let told = |lane, payload| to_products(&shop, lane, payload).map_err(|broken| broken.what);
    // Three are left of five: equal lines are added up.
    assert_eq!(told(0, reserve(1, 7)), Ok(Verdict::Accepted));
    assert_eq!(told(0, reserve(2, 7)), Ok(Verdict::Refused));
    assert_eq!(told(0, reserve(0, 7)), Err("asks to hold less than one unit"));
    assert_eq!(told(0, reserve(i64::MAX, 7)), Err("asks for uncountable units"));
    let nothing = Message::Reserve(Reserve { order_id: other, lines: Vec::new() });
    assert_eq!(told(0, nothing), Err("asks to hold nothing"));
    let without = Message::Settle(Settle { order_id: other, sold_at: Micros(1) });
    assert_eq!(told(0, without), Err("settled, but nothing is held for it"));
    shop.rules.lanes = 12;
    let told = |lane, payload| to_products(&shop, lane, payload).map_err(|broken| broken.what);
    let elsewhere = (1..).find(|id| jupan_schemas::partition_of(*id, 12) != 0).expect("a product");
    let expected = "asks this lane to hold a product of another one";
    assert_eq!(told(0, reserve(1, elsewhere)), Err(expected));
}

#[test]
fn a_hold_names_the_products_that_its_end_needs() {
    let mut shop = shop(BEGUN);
    let lane = &mut shop.products[0];
    lane.project();
    lane.trim(0);
    let mut keys = vec![Key::Hold(order(), 0)];
    lane.core.retain_missing(&mut keys);
    assert_eq!(keys, [Key::Hold(order(), 0)]);
    let row = lane.view().remove(&Key::Hold(order(), 0));
    lane.core.load(keys[0], row).expect("its row");
    lane.core.retain_missing(&mut keys);
    assert_eq!(keys, [Key::Product(ProductId(7))]);
    lane.core.load(keys[0], None).expect("is absent");
    let mut keys = vec![Key::Hold(order(), 0)];
    lane.core.retain_missing(&mut keys);
    assert_eq!(keys, []);
}

#[test]
fn only_a_cells_own_row_is_loaded() {
    let shop = shop(BEGUN);
    let (users, products) = (shop.users[0].view(), shop.products[0].view());
    for (key, row) in users.iter().chain(&products) {
        assert!(users::Users::new(1).load(*key, Some(row.clone())).is_err(), "other lane");
        assert!(products::Products::new(1).load(*key, Some(row.clone())).is_err(), "other lane");
        let is_user = users::Users::new(0).load(*key, Some(row.clone())).is_ok();
        let is_product = products::Products::new(0).load(*key, Some(row.clone())).is_ok();
        assert!(if matches!(key, Key::Outcome(_)) {
            is_user && is_product
        } else {
            is_user != is_product
        });
    }
    let wrong = Key::User(UserId(2));
    let row = users.get(&Key::User(UserId(1))).cloned();
    assert!(users::Users::new(0).load(wrong, row).is_err(), "other key");
}

#[test]
fn loading_never_sets_memory_back() {
    let mut shop = shop("user 1\ncharge 1 1000");
    let key = Key::User(UserId(1));
    let core = &mut shop.users[0].core;
    let Some(Row::User(row)) = core.row(key) else { panic!("user 1 is known") };
    let older = jupan_schemas::rows::UserRow { balance: Money(5), ..(*row).clone() };
    core.load(key, Some(Row::from(older))).expect("its row");
    core.load(key, None).expect("its row");
    assert_eq!(core.row(key), Some(Row::User(row)));
}

#[test]
fn trim_keeps_what_the_store_lacks_and_what_is_pending() {
    let mut shop = shop(BEGUN);
    let lane = &mut shop.users[0];
    let all = lane.core.cells();
    lane.release();
    assert_eq!(lane.core.cells(), all - 3, "only what does not exist");
    lane.trim(0);
    assert_eq!(lane.core.cells(), all - 3, "nothing that is not projected");
    lane.project();
    lane.trim(0);
    assert_eq!(lane.core.cells(), 1, "the pending order");
    assert!(lane.core.row(Key::Order(order())).is_some());
    shop.deliver_all();
    let lane = &mut shop.users[0];
    lane.project();
    lane.trim(0);
    assert_eq!(lane.core.cells(), 0);
}

#[test]
fn what_has_ended_leaves_once_the_store_has_it() {
    let mut shop = shop(&format!("{BEGUN}deliver"));
    let (user, product) = (Key::User(UserId(1)), Key::Product(ProductId(7)));
    let (order, hold) = (Key::Order(order()), Key::Hold(order(), 0));
    shop.users[0].release();
    shop.products[0].release();
    assert!(shop.users[0].core.row(order).is_some(), "the store does not have its end");
    assert!(shop.products[0].core.row(hold).is_some(), "the store does not have its end");
    let (users, products) = (&mut shop.users[0], &mut shop.products[0]);
    users.project();
    users.release();
    products.project();
    products.release();
    assert_eq!((users.core.row(order), products.core.row(hold)), (None, None));
    assert!(users.core.row(user).is_some() && products.core.row(product).is_some());
    assert_eq!((users.core.cells(), products.core.cells()), (1, 1));
}

#[test]
fn trim_drops_unused_cells_first() {
    let mut shop = shop(
        "
        user 1
        charge 1 1000
        product 7 price 1 stock 5
        product 8 price 1 stock 5
        product 9 price 1 stock 5
        order a user 1 8x1
        deliver
        ",
    );
    let lane = &mut shop.products[0];
    lane.project();
    lane.release();
    assert_eq!(lane.core.row(Key::Hold(order(), 0)), None);
    // All were used: one goes, and the others have lost their mark.
    let is_there = |core: &products::Products, key: &Key| core.row(*key).is_some();
    let mut left: Vec<Key> = [7, 8, 9].map(|id| Key::Product(ProductId(id))).to_vec();
    lane.trim(2);
    left.retain(|key| is_there(&lane.core, key));
    assert_eq!(left.len(), 2);
    // Used once more, one survives the other, whichever is asked first.
    lane.core.retain_missing(&mut vec![left[0]]);
    lane.trim(1);
    assert!(is_there(&lane.core, &left[0]) && !is_there(&lane.core, &left[1]));
}

#[test]
fn system_accounts_go_on_where_the_journal_ends() {
    let shop = shop("user 1\ncharge 1 1000");
    let (known, charge) = (&shop.users[0], shop.users[0].journal[1].clone());
    let row = known.core.row(Key::User(UserId(1)));
    let funding = |balance| vec![SystemBalance { account: Account::Funding, balance }];
    assert_eq!(known.core.balances(), funding(-1000));

    let mut restored = users::Users::new(0);
    restored.restore_balances(&funding(-1000));
    restored.load(Key::User(UserId(1)), row).expect("its row");
    let command = UserCommand {
        user_id: UserId(1),
        key: "next".to_owned(),
        created_at: shop.now,
        occurred_at: None,
        actor: String::new(),
        trace_id: None,
        reply_to: None,
        payload: UserPayload::ChargeBalance(ChargeBalance { amount: Money(5) }),
    };
    let command_id = CommandId::of(Role::Users, 1, "next");
    let asked = Asked { command, command_id, fingerprint: Fingerprint([1; 16]), position: 9 };
    let input = users::Input::Command(asked);
    let mut keys = Vec::new();
    restored.footprint(&input, &mut keys);
    restored.retain_missing(&mut keys);
    keys.into_iter().for_each(|key| restored.load(key, None).expect("is absent"));
    let decision = restored.decide(&shop.rules, &input, shop.now).expect("decides");
    assert_eq!(decision.postings[0].balance, -1005);

    let mut wrong = users::Users::new(0);
    wrong.restore_balances(&funding(7));
    wrong.load(Key::User(UserId(1)), None).expect("is absent");
    wrong.load(Key::Outcome(charge.command_id.expect("of a command")), None).expect("is absent");
    wrong.evolve(&shop.users[0].journal[0]).expect_err("its outcome is not loaded");
    let expected = "the balance after is not the balance before plus the delta";
    assert_eq!(wrong.evolve(&charge).expect_err("must be found").what, expected);
}
