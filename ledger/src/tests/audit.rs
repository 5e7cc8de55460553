//! The auditor: proves the invariants from the journals alone. It shares nothing with the cores but
//! the entries; balances are recomputed from the postings, not believed.

use super::shop::{Lane, Shop};
use crate::Core;
use jupan_schemas::{
    Account, Answer, Asker, CartChanged, Change, Code, CommandId, Entry, HoldEnd, Line,
    LinesRefunded, Micros, Money, OrderEnded, OrderId, OrderPlaced, OrderStatus, PricedLine,
    ProductId, UserId, Verdict,
    rows::{Key, OrderRow, Row},
};
use std::collections::{BTreeMap, BTreeSet};

/// What the journals of all lanes say.
#[derive(Default)]
struct Books {
    balances: BTreeMap<(Account, u64), i64>,
    placed: BTreeMap<OrderId, OrderPlaced>,
    ended: BTreeMap<OrderId, (OrderEnded, Micros)>,
    /// What each order's end took out of its wallet.
    paid: BTreeMap<OrderId, i64>,
    priced: BTreeMap<OrderId, Vec<PricedLine>>,
    /// Who waits for each order.
    askers: BTreeMap<OrderId, Vec<Asker>>,
    open_holds: BTreeSet<(OrderId, u16)>,
    sold: BTreeMap<ProductId, i64>,
    returned: BTreeMap<ProductId, i64>,
    /// What was given back, in units of each order's products and in money.
    refunded: BTreeMap<OrderId, (BTreeMap<ProductId, i64>, i64)>,
    /// Orders whose payment is due.
    payable: BTreeSet<OrderId>,
    carts: BTreeMap<UserId, Vec<Line>>,
    /// The one outcome of each command, as everybody was told who asked.
    told: BTreeMap<CommandId, Vec<Answer>>,
    /// Since when it counts.
    begun: BTreeMap<CommandId, Micros>,
}

/// Checks a shop at any moment.
pub(super) fn audit(shop: &Shop) {
    let books = read(shop);
    check_state(shop);
    check_money(&books);
    check_answers(&books);
    for (order, lane) in &books.open_holds {
        let is_pending = books.placed.contains_key(order) && !books.ended.contains_key(order);
        let is_ending = !shop.pairs().is_empty();
        assert!(is_pending || is_ending, "hold of {order} in lane {lane} belongs to no order");
    }
}

/// Checks a shop where nothing moves any more.
pub(super) fn audit_at_rest(shop: &Shop) {
    assert!(shop.pairs().is_empty(), "nothing is on its way");
    audit(shop);
    let books = read(shop);
    assert!(books.open_holds.is_empty(), "held for nobody: {:?}", books.open_holds);
    for (id, placed) in &books.placed {
        let (ended, at) = books.ended.get(id).unwrap_or_else(|| panic!("{id} is still pending"));
        let is_success = ended.status == OrderStatus::Success;
        assert!(!is_success || *at <= placed.deadline, "{id} succeeds after its deadline");
        check_end(&books, placed, ended);
    }
    let mut bought: BTreeMap<ProductId, i64> = BTreeMap::new();
    let successes = books.ended.values().filter(|(end, _)| end.status == OrderStatus::Success);
    for line in successes.flat_map(|(end, _)| &books.placed[&end.order_id].lines) {
        *bought.entry(line.product_id).or_default() += line.quantity.0;
    }
    assert_eq!(bought, books.sold, "units sold are the units of orders that succeeded");
    let mut given_back: BTreeMap<ProductId, i64> = BTreeMap::new();
    for (product, units) in books.refunded.values().flat_map(|(lines, _)| lines) {
        *given_back.entry(*product).or_default() += units;
    }
    assert_eq!(given_back, books.returned, "units returned are the units refunded");
    for ((account, product), balance) in &books.balances {
        assert!(*account != Account::Reserved || *balance == 0, "reserved of {product}");
    }
}

/// Incremental state and fold agree, and both with the balances of the books.
fn check_state(shop: &Shop) {
    fn of_lane<C: Core>(lane: &Lane<C>) {
        let view = lane.view();
        assert_eq!(view, lane.folded(), "state is the fold of the journal");
        assert_eq!(view, lane.reloaded(), "state is what its rows load");
    }
    shop.users.iter().for_each(of_lane);
    shop.products.iter().for_each(of_lane);
    let books = read(shop);
    let balance = |account, owner: u64| books.balances.get(&(account, owner)).copied().unwrap_or(0);
    let users = shop.users.iter().flat_map(|lane| lane.view());
    for (key, row) in users.chain(shop.products.iter().flat_map(|lane| lane.view())) {
        match (key, row) {
            (Key::User(id), Row::User(row)) => {
                assert_eq!(row.balance.0, balance(Account::Wallet, id.0), "wallet of {id}");
                let cart = books.carts.get(&id).cloned().unwrap_or_default();
                assert_eq!(row.cart, cart, "cart of {id}");
            }
            (Key::Product(id), Row::Product(row)) => {
                assert_eq!(-row.supply.0, balance(Account::Supply, id.0), "supply of {id}");
                assert_eq!(row.available.0, balance(Account::Available, id.0), "{id}");
                assert_eq!(row.reserved.0, balance(Account::Reserved, id.0), "{id}");
                assert_eq!(row.sold.0, balance(Account::Sold, id.0), "{id}");
            }
            (Key::Order(id), Row::Order(row)) => {
                let is_pending = row.status == OrderStatus::Pending;
                let waits = !row.awaits.is_empty() || !row.askers.is_empty();
                assert!(is_pending || !waits, "{id} has ended, and waits for nobody");
                let lane = &shop.users[usize::from(row.lane)];
                let is_payable = is_pending && books.payable.contains(&id);
                assert_eq!(row.payment_due.is_some(), is_payable, "payment of {id}");
                check_refunds(&books, id, &row);
                let deadline = is_pending.then_some(&row.deadline);
                assert_eq!(lane.deadlines.get(&id), deadline, "timer of {id}");
            }
            _ => {}
        }
    }
}

/// An order's lines say what was given back of them.
fn check_refunds(books: &Books, id: OrderId, row: &OrderRow) {
    let refunded = books.refunded.get(&id).map(|(lines, _)| lines);
    for line in &row.lines {
        let units = refunded.and_then(|lines| lines.get(&line.product_id));
        assert_eq!(line.refunded.0, units.copied().unwrap_or(0), "refunds of {id}");
        assert!(line.refunded <= line.quantity, "{id} gives back what it sold");
    }
    let is_all = row.lines.iter().all(|line| line.refunded == line.quantity);
    assert_eq!(row.status == OrderStatus::Refunded, is_all, "{id}");
}

/// Wallets hold what was charged, and what of it was paid and not given back.
fn check_money(books: &Books) {
    let sum = |account| {
        let of = books.balances.iter().filter(|((a, _), _)| *a == account);
        of.map(|(_, balance)| i128::from(*balance)).sum::<i128>()
    };
    let (charged, paid) = (-sum(Account::Funding), sum(Account::Revenue));
    assert_eq!(sum(Account::Wallet), charged - paid, "wallets = charges + refunds - payments");
    let payments = -books.paid.values().map(|delta| i128::from(*delta)).sum::<i128>();
    let refunds = books.refunded.values().map(|(_, money)| i128::from(*money)).sum::<i128>();
    assert_eq!(payments - refunds, paid);
}

/// One outcome a command, and one answer an asker.
fn check_answers(books: &Books) {
    for (command, answers) in &books.told {
        let mut askers = BTreeSet::new();
        for answer in answers {
            assert_eq!(answer.outcome, answers[0].outcome, "outcomes of {command}");
            let asker = (answer.asker.reply_to, answer.asker.position);
            assert!(askers.insert(asker), "{command} is answered twice to {asker:?}");
        }
    }
}

/// An order's end, its money and its units agree.
fn check_end(books: &Books, placed: &OrderPlaced, ended: &OrderEnded) {
    let (id, is_success) = (ended.order_id, ended.status == OrderStatus::Success);
    let paid = books.paid.get(&id).copied().unwrap_or(0);
    if !is_success {
        assert_eq!((ended.status, paid), (OrderStatus::Failed, 0), "{id}");
        assert_ne!(ended.code, Code::Ok, "{id}");
        return;
    }
    let mut priced = books.priced[&id].clone();
    priced.sort_by_key(|line| line.product_id);
    let mut lines = placed.lines.clone();
    lines.sort_by_key(|line| line.product_id);
    let units = |(line, priced): (&jupan_schemas::Line, &PricedLine)| {
        line.product_id == priced.product_id && line.quantity == priced.quantity
    };
    assert_eq!(lines.len(), priced.len(), "{id}");
    assert!(lines.iter().zip(&priced).all(units), "{id} is priced line by line");
    let cost = |line: &PricedLine| i128::from(line.price.0) * i128::from(line.quantity.0);
    assert_eq!(priced.iter().map(cost).sum::<i128>(), i128::from(-paid), "{id} is paid once");
    assert_eq!(Money(-paid), ended.total_price, "{id}");
}

fn read(shop: &Shop) -> Books {
    let mut books = Books::default();
    for lane in &shop.users {
        lane.journal.iter().for_each(|entry| books.read(entry, 0));
    }
    for (index, lane) in (0..).zip(&shop.products) {
        lane.journal.iter().for_each(|entry| books.read(entry, index));
    }
    books
}

impl Books {
    fn read(&mut self, entry: &Entry, lane: u16) {
        self.post(entry);
        for change in &entry.changes {
            self.note(entry, lane, change);
        }
        for answer in &entry.answers {
            let is_refusal = entry.verdict == Verdict::Refused;
            let for_asker_only = answer.outcome.code.is_for_this_asker_only();
            let is_form = matches!(
                answer.outcome.code,
                Code::Unsupported | Code::InvalidId | Code::InvalidKey | Code::InvalidTime
            );
            // Such an answer says nothing about what the key stands for.
            if !(is_refusal && (for_asker_only || is_form)) {
                self.told.entry(answer.command_id).or_default().push(*answer);
            }
        }
    }

    /// Recomputes every balance, and checks the entry as a whole.
    fn post(&mut self, entry: &Entry) {
        let mut sums: BTreeMap<(bool, u64), i128> = BTreeMap::new();
        for posting in &entry.postings {
            let is_money =
                matches!(posting.account, Account::Funding | Account::Wallet | Account::Revenue);
            let asset = (is_money, if is_money { 0 } else { posting.owner });
            *sums.entry(asset).or_default() += i128::from(posting.delta);
            let balance = self.balances.entry((posting.account, posting.owner)).or_default();
            *balance += posting.delta;
            assert_eq!(*balance, posting.balance, "{posting:?}");
            let is_source = matches!(posting.account, Account::Funding | Account::Supply);
            assert!(is_source || *balance >= 0, "below zero: {posting:?}");
        }
        assert!(sums.values().all(|sum| *sum == 0), "sums to zero: {:?}", entry.postings);
        for posting in &entry.postings {
            let of = |account| self.balances.get(&(account, posting.owner)).copied().unwrap_or(0);
            let in_place = of(Account::Available) + of(Account::Reserved) + of(Account::Sold);
            let is_units = matches!(posting.account, Account::Supply | Account::Available)
                || matches!(posting.account, Account::Reserved | Account::Sold);
            assert!(!is_units || -of(Account::Supply) == in_place, "{posting:?}");
        }
    }

    /// A first outcome begins: there is none, or it no longer counts.
    fn begin(&mut self, entry: &Entry, command: CommandId) {
        let at = entry.input.expect("of an input").at;
        let before = self.begun.insert(command, at);
        let kept = |before| at.since(before) <= 15 * Micros::DAY;
        assert!(!before.is_some_and(kept), "{command} has two first outcomes");
        self.told.remove(&command);
    }

    fn note(&mut self, entry: &Entry, lane: u16, change: &Change) {
        match change {
            Change::OutcomeStored(stored) => self.begin(entry, stored.command_id),
            Change::OrderPlaced(placed) => {
                self.begin(entry, placed.order_id.command().expect("an order id"));
                let before = self.placed.insert(placed.order_id, placed.clone());
                assert_eq!(before, None, "placed once");
                self.askers.insert(placed.order_id, placed.asker.into_iter().collect());
            }
            Change::AskerJoined(joined) => {
                self.askers.entry(joined.order_id).or_default().push(joined.asker);
            }
            Change::LaneReserved(reserved) => {
                let lines = self.priced.entry(reserved.order_id).or_default();
                lines.extend_from_slice(&reserved.lines);
            }
            Change::OrderReserved(reserved) => {
                assert!(self.payable.insert(reserved.order_id), "payable once");
                self.all_are_told(entry, reserved.order_id, Code::Ok);
            }
            Change::CartChanged(changed) => self.cart(entry, changed),
            Change::LinesRefunded(refunded) => self.refund(entry, refunded),
            Change::LinesReturned(returned) => {
                for line in &returned.lines {
                    *self.returned.entry(line.product_id).or_default() += line.quantity.0;
                }
            }
            Change::OrderEnded(ended) => {
                let at = entry.input.expect("of an input").at;
                let before = self.ended.insert(ended.order_id, (ended.clone(), at));
                assert_eq!(before, None, "ended once");
                self.all_are_told(entry, ended.order_id, ended.code);
                let wallet = entry.postings.iter().filter(|p| p.account == Account::Wallet);
                let paid = wallet.map(|posting| posting.delta).sum::<i64>();
                assert!(paid <= 0 && (paid == 0 || ended.status == OrderStatus::Success));
                self.paid.insert(ended.order_id, paid);
            }
            Change::HoldOpened(opened) => {
                assert!(self.open_holds.insert((opened.order_id, lane)), "held once");
            }
            Change::HoldEnded(ended) => {
                assert!(self.open_holds.remove(&(ended.order_id, lane)), "ended once");
                let sold = entry.postings.iter().filter(|p| p.account == Account::Sold);
                for posting in sold {
                    assert_eq!(ended.end, HoldEnd::Settled);
                    *self.sold.entry(ProductId(posting.owner)).or_default() += posting.delta;
                }
            }
            _ => {}
        }
    }

    /// Everybody who waits for an order gets its first outcome, and nobody a second one.
    fn all_are_told(&mut self, entry: &Entry, id: OrderId, code: Code) {
        let command = id.command().expect("an order id");
        let told = entry.answers.iter().filter(|answer| answer.command_id == command);
        let (told, codes): (Vec<Asker>, BTreeSet<Code>) =
            told.map(|answer| (answer.asker, answer.outcome.code)).unzip();
        assert!(codes.iter().all(|told| *told == code), "{id}: {codes:?}");
        assert_eq!(Some(told), self.askers.insert(id, Vec::new()), "all are told of {id}");
    }

    /// A cart around an order: its lines leave with it, and come back when it fails.
    fn cart(&mut self, entry: &Entry, changed: &CartChanged) {
        let cart = self.carts.insert(changed.user_id, changed.lines.clone()).unwrap_or_default();
        let units = |lines: &[Line]| -> BTreeMap<ProductId, i64> {
            lines.iter().map(|line| (line.product_id, line.quantity.0)).collect()
        };
        assert_eq!(units(&changed.lines).len(), changed.lines.len(), "each product once");
        let order = entry.changes.iter().find_map(|change| match change {
            Change::OrderPlaced(placed) => Some((placed.order_id, -1)),
            Change::OrderEnded(ended) => Some((ended.order_id, 1)),
            _ => None,
        });
        let Some((id, sign)) = order else { return };
        let placed = &self.placed[&id];
        assert!(placed.from_cart, "only an order from the cart touches it");
        let mut expected = units(&cart);
        for line in &placed.lines {
            *expected.entry(line.product_id).or_default() += sign * line.quantity.0;
        }
        expected.retain(|_, units| *units != 0);
        assert_eq!(units(&changed.lines), expected, "cart around order {id}");
    }

    fn refund(&mut self, entry: &Entry, refunded: &LinesRefunded) {
        let id = refunded.order_id;
        assert_eq!(self.ended[&id].0.status, OrderStatus::Success, "{id} was paid");
        let price = |product| {
            let line = self.priced[&id].iter().find(|line| line.product_id == product);
            line.expect("a line of the order").price.0
        };
        let worth: i64 =
            refunded.lines.iter().map(|line| price(line.product_id) * line.quantity.0).sum();
        let wallet = entry.postings.iter().filter(|p| p.account == Account::Wallet);
        assert_eq!(wallet.map(|p| p.delta).sum::<i64>(), worth, "{id} gives back its worth");
        let (lines, money) = self.refunded.entry(id).or_default();
        *money += worth;
        for line in &refunded.lines {
            *lines.entry(line.product_id).or_default() += line.quantity.0;
        }
    }
}
