//! Planted faults: each is found under the invariant that it breaks, in the place where it was
//! planted.

use super::{
    forge::{
        PRODUCTS_0, Planted, USERS_0, at, at_step, change_entry, change_record, change_steps,
        double_record, drop_record, drop_sales, find, mend_chain, put_step, renumber, shift_money,
        steps, text, verify,
    },
    scenes::busy,
    shop::Shop,
};
use crate::verify::findings::Invariant;
use jupan_schemas::{
    Account, Change, Code, CommandResult, Entry, HoldEnd, Message, Micros, Money, OrderEvent,
    OrderStatus, Posting, ProductMessage, Sale, Stamp, ToProducts, TopProducts, TopicId, Units,
    Verdict,
};

/// Plants a fault into a sound log, and looks for it.
fn check(invariant: Invariant, about: &str, plant: impl FnOnce(&mut Shop) -> Planted) {
    let mut shop = busy(1);
    let planted = plant(&mut shop);
    find(&shop, invariant, about, planted);
}

fn wallet(entry: &mut Entry) -> Option<&mut Posting> {
    entry.postings.iter_mut().find(|posting| posting.account == Account::Wallet)
}

fn is_charge(entry: &Entry) -> bool {
    entry.postings.iter().any(|posting| posting.account == Account::Funding)
}

fn is_payment(entry: &Entry) -> bool {
    entry.postings.iter().any(|posting| posting.account == Account::Revenue)
}

fn settles(entry: &Entry) -> bool {
    entry
        .changes
        .iter()
        .any(|change| matches!(change, Change::HoldEnded(c) if c.end == HoldEnd::Settled))
}

fn holds(entry: &Entry) -> bool {
    entry.changes.iter().any(|change| matches!(change, Change::HoldOpened(_)))
}

#[test]
fn one_won_more_in_one_posting() {
    check(Invariant::Money, "sum of the postings in money", |shop| {
        let place = change_entry(shop, USERS_0, |entry| {
            wallet(entry).map(|posting| posting.delta += 1).is_some()
        });
        at(USERS_0, place)
    });
    check(Invariant::Money, "balance of Wallet of 1", |shop| {
        let place = change_entry(shop, USERS_0, |entry| {
            is_payment(entry) && wallet(entry).map(|posting| posting.balance += 1).is_some()
        });
        at(USERS_0, place)
    });
}

/// A forger mends both legs, every later balance, every header and the chain: what the command
/// asked for tells.
#[test]
fn one_won_more_with_everything_behind_it_mended() {
    check(Invariant::Money, "what the entry moved", |shop| {
        let mut owner = None;
        let place = change_entry(shop, USERS_0, |entry| {
            let is_it = is_charge(entry);
            owner = wallet(entry).map(|posting| posting.owner);
            is_it
        });
        shift_money(shop, place.1, Account::Funding, owner.expect("a wallet"));
        at(USERS_0, place)
    });
}

#[test]
fn units_and_wallets_that_cannot_be() {
    check(Invariant::Stock, "balance of Available", |shop| {
        let place = change_entry(shop, PRODUCTS_0, |entry| {
            let found = entry.postings.iter_mut().find(|p| p.account == Account::Available);
            found.map(|posting| posting.balance = -1).is_some()
        });
        at(PRODUCTS_0, place)
    });
    check(Invariant::Stock, "sum of the postings in product", |shop| {
        let place = change_entry(shop, PRODUCTS_0, |entry| {
            holds(entry) && entry.postings.iter_mut().take(1).map(|p| p.delta -= 1).count() == 1
        });
        at(PRODUCTS_0, place)
    });
    check(Invariant::Wallets, "balance of Wallet", |shop| {
        let place = change_entry(shop, USERS_0, |entry| {
            is_payment(entry) && wallet(entry).map(|p| p.balance = -7).is_some()
        });
        at(USERS_0, place)
    });
}

#[test]
fn an_order_that_paid_another_total() {
    check(Invariant::Orders, "total of order", |shop| {
        let place = change_entry(shop, USERS_0, |entry| {
            let ended = entry.changes.iter_mut().find_map(|change| match change {
                Change::OrderEnded(c) if c.status == OrderStatus::Success => Some(c),
                _ => None,
            });
            ended.map(|ended| ended.total_price = Money(ended.total_price.0 + 1)).is_some()
        });
        at(USERS_0, place)
    });
}

#[test]
fn steps_left_out_swapped_or_rewritten() {
    check(Invariant::Journal, "step number", |shop| {
        let (place, step) = steps(shop, USERS_0)[3].clone();
        shop.log[place.0].remove(place.1);
        renumber(shop);
        at_step(USERS_0, step.number + 1)
    });
    check(Invariant::Journal, "step number", |shop| {
        let all = steps(shop, PRODUCTS_0);
        let (one, other) = (all[2].clone(), all[3].clone());
        put_step(shop, one.0, &other.1);
        put_step(shop, other.0, &one.1);
        at_step(PRODUCTS_0, other.1.number)
    });
    check(Invariant::Journal, "hash of the previous step", |shop| {
        let (place, mut step) = steps(shop, USERS_0)[4].clone();
        step.entries[0].actor.push('x');
        put_step(shop, place, &step);
        at_step(USERS_0, step.number + 1)
    });
    check(Invariant::Journal, "record", |shop| {
        let (place, step) = steps(shop, USERS_0)[4].clone();
        shop.log[place.0][place.1].value.truncate(20);
        let record = shop.log[place.0][place.1].offset;
        assert_eq!(record + 1, step.number);
        Planted { lane: Some(USERS_0), ..Planted::default() }
    });
}

#[test]
fn headers_that_do_not_say_what_the_entries_come_to() {
    check(Invariant::Journal, "owner epoch", |shop| {
        change_steps(shop, USERS_0, |step| {
            step.epoch = if step.number == 5 { 4 } else { step.epoch }
        });
        at_step(USERS_0, 5)
    });
    check(Invariant::Journal, "owner epoch", |shop| {
        let last = steps(shop, USERS_0).len();
        change_steps(shop, USERS_0, |step| {
            step.epoch =
                if step.number == u64::try_from(last).expect("small") { 1 } else { step.epoch };
        });
        at_step(USERS_0, u64::try_from(last).expect("small"))
    });
    check(Invariant::Journal, "positions after the step", |shop| {
        change_steps(shop, USERS_0, |step| step.positions.inbox += u64::from(step.number == 6));
        at_step(USERS_0, 6)
    });
    check(Invariant::Journal, "message numbers of a peer", |shop| {
        change_steps(shop, PRODUCTS_0, |step| step.peers[0].sent += u64::from(step.number == 6));
        at_step(PRODUCTS_0, 6)
    });
    check(Invariant::Journal, "Revenue after the step", |shop| {
        let mut number = 0;
        change_steps(shop, USERS_0, |step| {
            let revenue = step.balances.iter_mut().find(|b| b.account == Account::Revenue);
            if let (0, Some(revenue)) = (number, revenue) {
                revenue.balance += 1;
                number = step.number;
            }
        });
        at_step(USERS_0, number)
    });
}

#[test]
fn entries_out_of_time_or_order() {
    check(Invariant::Journal, "stamp", |shop| {
        let place = change_entry(shop, PRODUCTS_0, |entry| {
            holds(entry) && {
                entry.stamp = Stamp(entry.stamp.0 - 1_000_000);
                true
            }
        });
        at(PRODUCTS_0, place)
    });
    check(Invariant::Journal, "entry sequence", |shop| {
        let (step, sequence) = change_entry(shop, USERS_0, |entry| {
            is_payment(entry) && {
                entry.sequence += 100;
                true
            }
        });
        at(USERS_0, (step, sequence + 100))
    });
    check(Invariant::Inputs, "next input", |shop| {
        let place = change_entry(shop, USERS_0, |entry| {
            let again = entry.input.as_mut().filter(|input| input.offset > 0);
            again.map(|input| input.offset -= 1).is_some()
        });
        at(USERS_0, place)
    });
    check(Invariant::Inputs, "append time", |shop| {
        let place = change_entry(shop, USERS_0, |entry| {
            entry.input.as_mut().map(|input| input.at = Micros(input.at.0 - 1)).is_some()
        });
        at(USERS_0, place)
    });
}

#[test]
fn messages_dropped_changed_or_made_up() {
    let is_inbox = |topic: TopicId| topic == TopicId::ProductInbox;
    check(Invariant::Journal, "message 1 to products/0", |shop| {
        drop_record(shop, |record| is_inbox(record.topic));
        Planted { lane: Some(USERS_0), ..Planted::default() }
    });
    check(Invariant::Journal, "message 1 to products/0", |shop| {
        change_record(shop, TopicId::ProductInbox, |message: &mut ProductMessage| {
            match &mut message.payload {
                ToProducts::Reserve(reserve) => reserve.lines[0].quantity = Units(1),
                _ => return false,
            }
            true
        });
        Planted { lane: Some(USERS_0), ..Planted::default() }
    });
    check(Invariant::Journal, "message 1 of lane 0 in product-inbox/0", |shop| {
        double_record(shop, |record| is_inbox(record.topic));
        Planted::default()
    });
}

#[test]
fn outcomes_that_change() {
    let changed = |entry: &mut Entry| {
        let stored = entry.changes.iter_mut().find_map(|change| match change {
            Change::OutcomeStored(stored) => Some(stored),
            _ => None,
        });
        stored.map(|stored| stored.outcome.code = Code::UserNotFound).is_some()
    };
    check(Invariant::Outcomes, "code of the stored outcome", |shop| {
        at(USERS_0, change_entry(shop, USERS_0, changed))
    });
    check(Invariant::Outcomes, "answers", |shop| {
        let place = change_entry(shop, USERS_0, |entry| {
            entry.answers.first_mut().map(|a| a.outcome.code = Code::OutOfStock).is_some()
        });
        at(USERS_0, place)
    });
    check(Invariant::Outcomes, "body of a duplicate", |shop| {
        let place = change_entry(shop, USERS_0, |entry| {
            let is_first = is_charge(entry);
            if is_first {
                entry.verdict = Verdict::Duplicate;
            }
            is_first
        });
        at(USERS_0, place)
    });
    check(Invariant::Outcomes, "asker who joins an order", |shop| {
        let place = change_entry(shop, USERS_0, |entry| {
            let joined = entry.changes.iter_mut().find_map(|change| match change {
                Change::AskerJoined(joined) => Some(joined),
                _ => None,
            });
            joined.map(|joined| joined.asker.position += 1).is_some()
        });
        at(USERS_0, place)
    });
    check(Invariant::Outcomes, "result for command", |shop| {
        change_record(shop, TopicId::CommandResults, |result: &mut CommandResult| {
            result.code = Code::Internal;
            true
        });
        Planted::default()
    });
}

#[test]
fn effects_of_what_was_refused() {
    check(Invariant::Inputs, "effect of a verdict Refused", |shop| {
        let place = change_entry(shop, USERS_0, |entry| {
            let is_it = is_charge(entry);
            if is_it {
                entry.verdict = Verdict::Refused;
            }
            is_it
        });
        at(USERS_0, place)
    });
    check(Invariant::Inputs, "dead letter", |shop| {
        drop_record(shop, |record| record.topic == TopicId::DeadLetters);
        Planted { lane: Some(USERS_0), ..Planted::default() }
    });
    check(Invariant::Inputs, "an unusable record", |shop| {
        let place = change_entry(shop, USERS_0, |entry| {
            let is_it = entry.verdict == Verdict::Dead;
            if is_it {
                entry.verdict = Verdict::Ignored;
            }
            is_it
        });
        at(USERS_0, place)
    });
}

#[test]
fn sales_and_lists_that_do_not_follow_from_the_journal() {
    let is_sale = |topic: TopicId| topic == TopicId::Sales;
    check(Invariant::TopSellers, "sale", |shop| {
        double_record(shop, |record| is_sale(record.topic));
        Planted::default()
    });
    check(Invariant::TopSellers, "sale", |shop| {
        drop_record(shop, |record| is_sale(record.topic));
        Planted { lane: Some(PRODUCTS_0), ..Planted::default() }
    });
    check(Invariant::TopSellers, "sale", |shop| {
        change_record(shop, TopicId::Sales, |sale: &mut Sale| {
            sale.units = Units(sale.units.0 + 1);
            true
        });
        Planted { lane: Some(PRODUCTS_0), ..Planted::default() }
    });
    check(Invariant::TopSellers, "order event", |shop| {
        change_record(shop, TopicId::OrderEvents, |event: &mut OrderEvent| {
            event.total_price = Money(event.total_price.0 + 1);
            true
        });
        Planted { lane: Some(USERS_0), ..Planted::default() }
    });
    check(Invariant::TopSellers, "rank 2", |shop| {
        change_record(shop, TopicId::TopProducts, |list: &mut TopProducts| {
            list.products[1].units = Units(list.products[1].units.0 + 1);
            true
        });
        Planted::default()
    });
    check(Invariant::TopSellers, "positions of a list", |shop| {
        change_record(shop, TopicId::TopProducts, |list: &mut TopProducts| {
            list.positions[0] += 1000;
            true
        });
        Planted::default()
    });
}

#[test]
fn holds_at_another_price_or_without_end() {
    check(Invariant::Orders, "price of product", |shop| {
        let place = change_entry(shop, PRODUCTS_0, |entry| {
            let opened = entry.changes.iter_mut().find_map(|change| match change {
                Change::HoldOpened(opened) => Some(opened),
                _ => None,
            });
            opened.map(|opened| opened.lines[0].price = Money(1)).is_some()
        });
        at(PRODUCTS_0, place)
    });
    check(Invariant::Orders, "hold of SUCCESS order", |shop| {
        let mut last = (0, 0);
        for (_, step) in steps(shop, PRODUCTS_0) {
            for entry in step.entries.iter().filter(|entry| settles(entry)) {
                last = (step.number, entry.sequence);
            }
        }
        // The last Settle is read, and does nothing; the sales go with it.
        change_steps(shop, PRODUCTS_0, |step| {
            for entry in step.entries.iter_mut().filter(|entry| entry.sequence == last.1) {
                entry.verdict = Verdict::Ignored;
                entry.changes.clear();
                entry.postings.clear();
            }
        });
        drop_sales(shop, PRODUCTS_0, last.1);
        Planted { lane: Some(USERS_0), ..Planted::default() }
    });
}

#[test]
fn refusals_without_a_reason() {
    check(Invariant::Orders, "that refused order", |shop| {
        let place = change_entry(shop, PRODUCTS_0, |entry| {
            let refused = entry.messages.iter_mut().find_map(|sent| match &mut sent.payload {
                Message::Refused(refused) if refused.code == Code::OutOfStock => Some(refused),
                _ => None,
            });
            refused.map(|refused| refused.code = Code::ProductNotFound).is_some()
        });
        at(PRODUCTS_0, place)
    });
    check(Invariant::Orders, "wallet that refused order", |shop| {
        let place = change_entry(shop, USERS_0, |entry| {
            let ended = entry.changes.iter_mut().find_map(|change| match change {
                Change::OrderEnded(c) if c.code == Code::InsufficientBalance => Some(c),
                _ => None,
            });
            ended.map(|ended| ended.total_price = Money(1)).is_some()
        });
        at(USERS_0, place)
    });
}

#[test]
fn an_order_that_nobody_ends() {
    let mut shop = Shop::new(1);
    shop.stock(1, 10, 10);
    shop.register(1, 100);
    shop.run();
    shop.order(1, "forgotten", &[(1, 1)]);
    shop.turn_users();
    shop.now += 15 * Micros::MINUTE;
    shop.register(2, 100);
    shop.turn_users();
    let report = verify(&shop);
    assert!(report.is_ok(), "within the slack\n{}", text(&report));
    shop.now += 3 * Micros::MINUTE;
    shop.register(3, 100);
    shop.turn_users();
    let lane = Some(USERS_0);
    find(&shop, Invariant::Orders, "pending order", Planted { lane, ..Planted::default() });
    // A new owner gets time of its own.
    shop.open();
    let report = verify(&shop);
    assert!(report.is_ok(), "just opened\n{}", text(&report));
}

#[test]
fn the_chain_alone_proves_nothing_to_a_forger() {
    let mut shop = busy(1);
    mend_chain(&mut shop, USERS_0);
    let report = verify(&shop);
    assert!(report.is_ok(), "mending a sound chain changes nothing\n{}", text(&report));
}
