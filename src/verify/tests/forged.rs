//! Planted faults in credit, refunds and carts: each is found under the invariant that it breaks,
//! in the place where it was planted.

use super::{
    forge::{
        PRODUCTS_0, Planted, USERS_0, at, change_entry, change_record, change_steps, drop_record,
        drop_sales, find, shift_money, steps, text, verify,
    },
    scenes::{BROKE, POOR, RICH, generous},
    shop::Shop,
};
use crate::verify::findings::Invariant;
use jupan_schemas::{
    Account, Answer, Asker, CartChanged, Change, Code, Codec, CommandId, Entry, Fingerprint, Lane,
    Line, LinesRefunded, LinesReturned, Message, Micros, Money, OrderEnded, OrderEvent, OrderId,
    OrderPlaced, OrderReserved, OrderStatus, Outcome, OutcomeStored, Payment, ProductId,
    ProductMessage, Return, Role, Sale, Source, ToProducts, TopProducts, TopicId, Units,
    UserCommand, UserId, Verdict, partition_of,
};

/// Plants a fault into a sound log, and looks for it.
fn check(invariant: Invariant, about: &str, plant: impl FnOnce(&mut Shop) -> Planted) {
    let mut shop = generous(1);
    let planted = plant(&mut shop);
    find(&shop, invariant, about, planted);
}

macro_rules! part {
    ($name:ident, $change:ident) => {
        fn $name(entry: &mut Entry) -> Option<&mut $change> {
            entry.changes.iter_mut().find_map(|change| match change {
                Change::$change(found) => Some(found),
                _ => None,
            })
        }
    };
}
part!(placed, OrderPlaced);
part!(reserved, OrderReserved);
part!(ended, OrderEnded);
part!(refunded, LinesRefunded);
part!(returned, LinesReturned);
part!(stored, OutcomeStored);
part!(cart, CartChanged);

fn given(entry: &mut Entry) -> Option<&mut Return> {
    entry.messages.iter_mut().find_map(|sent| match &mut sent.payload {
        Message::Return(given) => Some(given),
        _ => None,
    })
}

fn id(user: u64, key: &str) -> CommandId {
    CommandId::of(Role::Users, user, key)
}

fn is_command(entry: &Entry, user: u64, key: &str) -> bool {
    entry.command_id == Some(id(user, key))
        && entry.input.is_some_and(|input| input.source == Source::Commands)
}

/// Changes the first entry about a command.
fn forge(shop: &mut Shop, user: u64, key: &str, change: impl Fn(&mut Entry)) -> Planted {
    let place = change_entry(shop, USERS_0, |entry| {
        let is_it = is_command(entry, user, key);
        if is_it {
            change(entry);
        }
        is_it
    });
    at(USERS_0, place)
}

/// Changes the first repetition of a command.
fn forge_again(shop: &mut Shop, user: u64, key: &str, change: impl Fn(&mut Entry)) -> Planted {
    let place = change_entry(shop, USERS_0, |entry| {
        let is_it = is_command(entry, user, key) && entry.verdict == Verdict::Duplicate;
        if is_it {
            change(entry);
        }
        is_it
    });
    at(USERS_0, place)
}

/// Changes the first entry that has such a part.
fn forge_part<T>(
    shop: &mut Shop,
    lane: Lane,
    part: impl Fn(&mut Entry) -> Option<&mut T>,
    change: impl Fn(&mut T),
) -> Planted {
    at(lane, change_entry(shop, lane, |entry| part(entry).map(&change).is_some()))
}

/// Another code, wherever the entry says one.
fn say(entry: &mut Entry, code: Code) {
    entry.code = code;
    stored(entry).into_iter().for_each(|stored| stored.outcome.code = code);
    entry.answers.iter_mut().for_each(|answer| answer.outcome.code = code);
}

/// A deed becomes a refusal.
fn refuse(entry: &mut Entry, code: Code) {
    say(entry, code);
    entry.verdict = Verdict::Refused;
    entry.postings.clear();
    entry.messages.clear();
    entry.changes.retain(|change| matches!(change, Change::OutcomeStored(_)));
}

fn drop_carts(entry: &mut Entry) {
    entry.changes.retain(|change| !matches!(change, Change::CartChanged(_)));
}

fn change_cart(entry: &mut Entry) {
    let lines = vec![Line { product_id: ProductId(21), quantity: Units(7) }];
    entry.changes.push(Change::CartChanged(CartChanged { user_id: UserId(RICH), lines }));
}

#[test]
fn payments_that_are_not_due() {
    check(Invariant::Orders, "payment due of order", |shop| {
        forge_part(shop, USERS_0, reserved, |c| c.payment_due = c.payment_due.plus(1))
    });
    check(Invariant::Orders, "that is to be paid", |shop| {
        forge_part(shop, USERS_0, placed, |c| c.payment = Payment::Now);
        let place = change_entry(shop, USERS_0, |entry| reserved(entry).is_some());
        at(USERS_0, place)
    });
    check(Invariant::Orders, "what the entry does to orders", |shop| {
        let place = change_entry(shop, USERS_0, |entry| {
            let is_payable = reserved(entry).is_some();
            if is_payable {
                entry.changes.retain(|change| !matches!(change, Change::LaneReserved(_)));
            }
            is_payable
        });
        at(USERS_0, place)
    });
    check(Invariant::Orders, "decision on a PayOrder", |shop| {
        forge(shop, RICH, "pay", |entry| refuse(entry, Code::OrderNotPending))
    });
    check(Invariant::Orders, "decision on a PayOrder", |shop| {
        forge(shop, POOR, "not-mine", |entry| say(entry, Code::OrderExpired))
    });
    check(Invariant::Orders, "decision on a PayOrder", |shop| {
        forge(shop, POOR, "pay-late", |entry| say(entry, Code::OrderNotReady))
    });
}

/// The order's deadline was before its payment.
#[test]
fn a_payment_after_the_deadline() {
    for about in ["decision on a PayOrder", "paid after its deadline"] {
        check(Invariant::Orders, about, |shop| {
            let early = |at: Micros| at.plus(-3 * Micros::MINUTE);
            forge_part(shop, USERS_0, placed, |c| c.deadline = early(c.deadline));
            forge_part(shop, USERS_0, reserved, |c| c.payment_due = early(c.payment_due));
            forge(shop, RICH, "pay", |_| {})
        });
    }
}

#[test]
fn ends_that_nobody_asked_for() {
    check(Invariant::Orders, "what the entry does to orders", |shop| {
        let expired = |entry: &mut Entry| {
            let found = ended(entry).filter(|c| c.code == Code::Expired);
            found.map(|c| c.code = Code::Cancelled).is_some()
        };
        at(USERS_0, change_entry(shop, USERS_0, expired))
    });
    check(Invariant::Orders, "decision on a CancelOrder", |shop| {
        forge(shop, RICH, "cancel", |entry| refuse(entry, Code::OrderNotPending))
    });
    check(Invariant::Orders, "what products/0 is told", |shop| {
        forge(shop, RICH, "cancel", |entry| entry.messages.clear())
    });
}

/// Somebody else's command becomes the one that cancels.
#[test]
fn an_order_cancelled_by_another_user() {
    check(Invariant::Orders, "decision on a CancelOrder", |shop| {
        let (mine, theirs) = (id(RICH, "cancel"), id(POOR, "cancel"));
        for record in shop.log.iter_mut().flatten() {
            if record.topic != TopicId::UserCommands {
                continue;
            }
            let Ok(mut command) = shop.codec.decode::<UserCommand>(&record.value) else { continue };
            if command.key == "cancel" {
                command.user_id = UserId(POOR);
                record.key = POOR.to_string().into_bytes();
                record.value = shop.codec.to_bytes(&command);
            }
        }
        change_steps(shop, USERS_0, |step| {
            for entry in step.entries.iter_mut().filter(|entry| entry.command_id == Some(mine)) {
                entry.command_id = Some(theirs);
                stored(entry).into_iter().for_each(|stored| stored.command_id = theirs);
                entry.answers.iter_mut().for_each(|answer| answer.command_id = theirs);
            }
        });
        forge(shop, POOR, "cancel", |_| {})
    });
}

#[test]
fn outcomes_of_payments_that_change() {
    check(Invariant::Outcomes, "code of the stored outcome", |shop| {
        forge(shop, RICH, "pay", |entry| {
            stored(entry).expect("stored").outcome.code = Code::OrderExpired;
        })
    });
    check(Invariant::Outcomes, "stored outcome", |shop| {
        forge(shop, RICH, "pay", |entry| {
            stored(entry).expect("stored").outcome.order_id = None;
            entry.answers.iter_mut().for_each(|answer| answer.outcome.order_id = None);
        })
    });
    check(Invariant::Outcomes, "stored outcome", |shop| {
        forge(shop, RICH, "too-much", |entry| {
            stored(entry).expect("stored").outcome.product_id = Some(ProductId(21));
        })
    });
    for about in ["answers", "code of a duplicate"] {
        check(Invariant::Outcomes, about, |shop| {
            forge_again(shop, RICH, "pay", |entry| say(entry, Code::InsufficientBalance))
        });
    }
    check(Invariant::Outcomes, "outcomes stored by a repetition", |shop| {
        forge(shop, RICH, "too-early", |entry| {
            let outcome = entry.answers[0].outcome;
            let (command_id, fingerprint) = (id(RICH, "too-early"), Fingerprint([0; 16]));
            let stored = OutcomeStored { command_id, fingerprint, outcome };
            entry.changes.push(Change::OutcomeStored(stored));
        })
    });
}

/// The order was payable: whatever its end, its PlaceOrder has been answered.
#[test]
fn a_second_outcome_for_a_payable_order() {
    let order_id = Some(OrderId::of(UserId(RICH), "payable"));
    let cancelled = Outcome { order_id, ..Outcome::of(Code::Cancelled) };
    check(Invariant::Outcomes, "answers", |shop| {
        let command_id = id(RICH, "payable");
        let asker = Asker { reply_to: 1, position: 1 };
        forge(shop, RICH, "cancel", |entry| {
            entry.answers.insert(0, Answer { command_id, asker, outcome: cancelled });
        })
    });
    for about in ["answers", "code of a duplicate"] {
        check(Invariant::Outcomes, about, |shop| {
            forge_again(shop, RICH, "payable", |entry| say(entry, Code::Cancelled))
        });
    }
    check(Invariant::Outcomes, "answers", |shop| {
        let place = change_entry(shop, USERS_0, |entry| {
            let tells = reserved(entry).is_some() && !entry.answers.is_empty();
            entry.answers.truncate(if tells { 0 } else { entry.answers.len() });
            tells
        });
        at(USERS_0, place)
    });
}

#[test]
fn refunds_of_other_units_or_money() {
    check(Invariant::Orders, "refund of order", |shop| {
        forge_part(shop, USERS_0, refunded, |c| c.lines[0].quantity = Units(99))
    });
    check(Invariant::Orders, "what the entry does to orders", |shop| {
        forge_part(shop, USERS_0, refunded, |c| c.lines[0].quantity = Units(2))
    });
    check(Invariant::Orders, "status after the refund", |shop| {
        forge_part(shop, USERS_0, refunded, |c| c.status = OrderStatus::Refunded)
    });
    check(Invariant::Orders, "what the entry moved", |shop| {
        let planted = forge(shop, RICH, "some", |_| {});
        shift_money(shop, planted.sequence.expect("an entry"), Account::Revenue, RICH);
        planted
    });
    check(Invariant::Orders, "decision on a RefundOrder", |shop| {
        forge(shop, RICH, "too-much", |entry| say(entry, Code::BalanceLimit))
    });
    check(Invariant::Orders, "decision on a RefundOrder", |shop| {
        forge(shop, RICH, "rest", |entry| refuse(entry, Code::RefundExceeds))
    });
    check(Invariant::Orders, "decision on a RefundOrder", |shop| {
        forge(shop, BROKE, "no-room", |entry| say(entry, Code::OrderNotPaid))
    });
}

#[test]
fn returns_lost_doubled_or_changed() {
    let spoil: [fn(&mut Entry); 5] = [
        |entry| entry.messages.retain(|sent| !matches!(sent.payload, Message::Return(_))),
        |entry| entry.messages.push(entry.messages[0].clone()),
        |entry| given(entry).expect("a Return").lines[0].price = Money(1),
        |entry| given(entry).expect("a Return").lines[0].quantity = Units(9),
        |entry| given(entry).expect("a Return").sold_at = Micros(7),
    ];
    for change in spoil {
        check(Invariant::Orders, "what products/0 is told", |shop| {
            forge(shop, RICH, "rest", change)
        });
    }
    let mut shop = generous(2);
    let lane = Lane { role: Role::Users, index: partition_of(RICH, 2) };
    let place = change_entry(&mut shop, lane, |entry| {
        let is_it = given(entry).is_some();
        entry.messages.iter_mut().for_each(|sent| {
            sent.lane = if is_it { 1 - sent.lane } else { sent.lane };
        });
        is_it
    });
    find(&shop, Invariant::Orders, "is told", at(lane, place));
}

/// The forger mends the message, what the product lane made of it, and the sale.
#[test]
fn a_return_at_another_price_with_everything_behind_it_mended() {
    let plant = |shop: &mut Shop| {
        let users = forge_part(shop, USERS_0, given, |given| given.lines[0].price = Money(31));
        change_record(shop, TopicId::ProductInbox, |message: &mut ProductMessage| {
            match &mut message.payload {
                ToProducts::Return(given) => given.lines[0].price = Money(31),
                _ => return false,
            }
            true
        });
        let products = forge_part(shop, PRODUCTS_0, returned, |c| c.lines[0].price = Money(31));
        change_record(shop, TopicId::Sales, |sale: &mut Sale| {
            let is_it = sale.units < Units::ZERO;
            sale.amount = if is_it { Money(31 * sale.units.0) } else { sale.amount };
            is_it
        });
        (users, products)
    };
    check(Invariant::Orders, "what products/0 is told", |shop| plant(shop).0);
    check(Invariant::Orders, "price of the units back", |shop| plant(shop).1);
}

#[test]
fn units_that_come_back_otherwise_than_told() {
    let spoil: [fn(&mut LinesReturned); 3] = [
        |c| c.lines[0].quantity = Units(c.lines[0].quantity.0 + 1),
        |c| c.sold_at = c.sold_at.plus(-Micros::MINUTE),
        |c| c.lines.truncate(1),
    ];
    for change in spoil {
        check(Invariant::Orders, "units back from order", |shop| {
            forge_part(shop, PRODUCTS_0, returned, change)
        });
    }
    let swallow = |shop: &mut Shop| {
        let place = change_entry(shop, PRODUCTS_0, |entry| {
            let is_it = returned(entry).is_some();
            if is_it {
                entry.verdict = Verdict::Ignored;
                entry.changes.clear();
                entry.postings.clear();
            }
            is_it
        });
        drop_sales(shop, PRODUCTS_0, place.1);
        at(PRODUCTS_0, place)
    };
    check(Invariant::Orders, "decision on a Return", swallow);
    // And at rest they are missing.
    check(Invariant::Orders, "back from order", |shop| {
        swallow(shop);
        Planted { lane: Some(USERS_0), ..Planted::default() }
    });
}

#[test]
fn carts_bought_twice_or_otherwise() {
    check(Invariant::Carts, "cart of user 11", |shop| forge(shop, RICH, "cart", drop_carts));
    // It is still full then: that the next order found it empty is not true.
    check(Invariant::Orders, "decision on a PlaceOrder", |shop| {
        forge(shop, RICH, "cart", drop_carts);
        forge(shop, RICH, "cart-again", |_| {})
    });
    check(Invariant::Carts, "lines of order", |shop| {
        forge(shop, RICH, "cart", |entry| {
            placed(entry).expect("an order").lines[0].quantity = Units(1);
        })
    });
    check(Invariant::Carts, "lines of order", |shop| {
        forge(shop, RICH, "cart", |entry| placed(entry).expect("an order").lines.truncate(1))
    });
}

#[test]
fn carts_that_do_not_come_back() {
    let fails = |entry: &mut Entry| ended(entry).is_some() && cart(entry).is_some();
    let spoil: [fn(&mut Entry); 3] = [
        drop_carts,
        |entry| cart(entry).expect("a cart").lines.truncate(2),
        |entry| cart(entry).expect("a cart").lines[0].quantity = Units(1),
    ];
    for change in spoil {
        check(Invariant::Carts, "cart of user", |shop| {
            let place = change_entry(shop, USERS_0, |entry| {
                let is_it = fails(entry);
                if is_it {
                    change(entry);
                }
                is_it
            });
            at(USERS_0, place)
        });
    }
}

#[test]
fn carts_that_nobody_or_another_wish_changed() {
    for key in ["charge-11", "pay", "some", "r3", "cancel"] {
        check(Invariant::Carts, "cart of user 11", |shop| forge(shop, RICH, key, change_cart));
    }
    let spoil: [fn(&mut Entry); 3] = [
        drop_carts,
        |entry| cart(entry).expect("a cart").lines[0].quantity = Units(9),
        |entry| cart(entry).expect("a cart").user_id = UserId(POOR),
    ];
    for (key, change) in ["c3", "r1"].into_iter().flat_map(|key| spoil.map(|one| (key, one))) {
        check(Invariant::Carts, "cart of user", |shop| forge(shop, RICH, key, change));
    }
}

#[test]
fn refusals_of_cart_wishes_that_are_not_due() {
    check(Invariant::Carts, "decision on an AddToCart", |shop| {
        forge(shop, RICH, "c1", |entry| refuse(entry, Code::CartFull))
    });
    check(Invariant::Carts, "decision on an AddToCart", |shop| {
        forge(shop, RICH, "c2", |entry| refuse(entry, Code::UserNotFound))
    });
    check(Invariant::Carts, "decision on a RemoveFromCart", |shop| {
        forge(shop, RICH, "r4", |entry| say(entry, Code::UserNotFound))
    });
    check(Invariant::Carts, "decision on a RemoveFromCart", |shop| {
        forge(shop, RICH, "r1", |entry| refuse(entry, Code::InvalidQuantity))
    });
    check(Invariant::Orders, "decision on a PlaceOrder", |shop| {
        forge(shop, RICH, "cart-again", |entry| say(entry, Code::UserNotFound))
    });
}

/// What a shop allows is its own to choose, but not from one wish to the next.
#[test]
fn a_limit_that_was_not_one_before() {
    let told = |is_reopened: bool| {
        let mut shop = Shop::new(1);
        shop.register(1, 0);
        shop.add(1, "much", (7, 9_000));
        shop.remove(1, "all", 7, None);
        shop.run();
        if is_reopened {
            shop.open();
            shop.rules.line_units_max = 7_999;
        }
        shop.add(1, "less", (7, 8_000));
        shop.run();
        shop
    };
    let report = verify(&told(true));
    assert!(report.is_ok(), "{}", text(&report));
    let mut shop = told(false);
    let refuse = |entry: &mut Entry| {
        refuse(entry, Code::InvalidQuantity);
        let product = Some(ProductId(7));
        stored(entry).expect("stored").outcome.product_id = product;
        entry.answers[0].outcome.product_id = product;
    };
    let planted = forge(&mut shop, 1, "less", refuse);
    find(&shop, Invariant::Carts, "decision on an AddToCart", planted);
}

/// The first version of the contract knew no carts: what it refused is no fault, and binds nobody.
#[test]
fn what_version_1_did_not_do() {
    let told = |wish: fn(&mut Shop)| {
        let mut shop = Shop::new(1);
        // Nobody knows user 3, who waits for no answer.
        wish(&mut shop);
        shop.run();
        let planted = forge(&mut shop, 3, "key", |entry| {
            refuse(entry, Code::Unsupported);
            entry.changes.clear();
        });
        (shop, planted)
    };
    let (shop, _) = told(|shop| shop.add(3, "key", (7, 1)));
    let report = verify(&shop);
    assert!(report.is_ok(), "{}", text(&report));
    let (shop, planted) = told(|shop| {
        shop.order(3, "key", &[(7, 1)]);
    });
    find(&shop, Invariant::Outcomes, "wish", planted);
}

#[test]
fn events_of_credit_and_refunds_that_do_not_follow() {
    let is_of = |event: &OrderEvent, status: OrderStatus| event.status == status.as_str();
    check(Invariant::TopSellers, "order event", |shop| {
        change_record(shop, TopicId::OrderEvents, |event: &mut OrderEvent| {
            let is_it = is_of(event, OrderStatus::Refunded);
            event.lines[0].refunded = if is_it { Units(0) } else { event.lines[0].refunded };
            is_it
        });
        forge(shop, RICH, "rest", |_| {})
    });
    check(Invariant::TopSellers, "order event", |shop| {
        let codec = Codec::embedded();
        drop_record(shop, |record| {
            record.topic == TopicId::OrderEvents && {
                let event: OrderEvent = codec.decode(&record.value).expect("an event");
                is_of(&event, OrderStatus::Pending) && event.total_price > Money::ZERO
            }
        });
        let place = change_entry(shop, USERS_0, |entry| reserved(entry).is_some());
        at(USERS_0, place)
    });
    check(Invariant::TopSellers, "sale", |shop| {
        change_record(shop, TopicId::Sales, |sale: &mut Sale| {
            let is_it = sale.units < Units::ZERO;
            sale.sold_at = if is_it { sale.sold_at.plus(Micros::MINUTE) } else { sale.sold_at };
            is_it
        });
        let place = change_entry(shop, PRODUCTS_0, |entry| returned(entry).is_some());
        at(PRODUCTS_0, place)
    });
    check(Invariant::TopSellers, "rank 1", |shop| {
        change_record(shop, TopicId::TopProducts, |list: &mut TopProducts| {
            let best = list.products.first_mut();
            best.map(|best| best.units = Units(best.units.0 + 1)).is_some()
        });
        Planted::default()
    });
}

/// What failed orders bring back has an end: a cart is one record.
#[test]
fn a_cart_that_came_back_too_often_is_sound() {
    let mut shop = Shop::new(1);
    shop.batch_max = 600;
    shop.register(1, 0);
    for order in 0..9 {
        for line in 0..500 {
            let product = 1 + order * 500 + line;
            shop.add(1, &format!("a{product}"), (product, 1));
        }
        shop.order_cart(1, &format!("o{order}"), Payment::Now);
        while shop.turn_users() {}
    }
    shop.run();
    shop.add(1, "one-more", (9_999, 1));
    shop.run();
    let all = steps(&shop, USERS_0).into_iter().flat_map(|(_, step)| step.entries);
    let longest = all.filter_map(|mut entry| Some(cart(&mut entry)?.lines.len())).max();
    assert_eq!(longest, Some(4_000));
    let report = verify(&shop);
    assert!(report.is_ok(), "{}", text(&report));
    assert_eq!((report.facts.carts, report.facts.failed["PRODUCT_NOT_FOUND"]), (1, 9));
}
