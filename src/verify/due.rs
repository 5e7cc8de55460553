//! What an input must come to, by what the own model knows before its entry: the entry is compared
//! with that, whatever it says of itself.
//!
//! What a shop allows (how many lines, how many units, how much a charge) is its own to choose, and
//! in no record. There both the deed and its refusal may be due; everywhere else one of them is.

use super::{
    accounts::Accounts,
    findings::{Desk, Invariant},
    inputs::{Body, Input},
    orders::Orders,
};
use jupan_schemas::{
    Account, BALANCE_MAX, Change, ChargeBalance, Code, Entry, Lane, Line, Money, OrderId,
    OrderStatus, Outcome, ProductId, UserCommand, UserId, UserPayload, Verdict,
};
use std::fmt;

/// What an entry does to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is PENDING.
    Placed,
    /// A product lane holds its share.
    Held(u16),
    /// Payment is due.
    Payable,
    /// It is over; why, and for which product.
    Ended(OrderStatus, Code, Option<ProductId>),
    /// These units are paid back.
    Refunded(Vec<Line>),
    /// One more waits for its outcome.
    Joined,
}

impl Turn {
    /// SUCCESS or FAILED.
    pub(super) fn end(code: Code, product_id: Option<ProductId>) -> Self {
        let is_success = code == Code::Ok;
        let status = if is_success { OrderStatus::Success } else { OrderStatus::Failed };
        Self::Ended(status, code, product_id)
    }

    /// The code of the entry that ends an order; others are just done.
    fn code(&self) -> Code {
        if let Self::Ended(_, code, _) = self { *code } else { Code::Ok }
    }
}

/// What a change does to which order.
pub(super) fn turn_of(change: &Change) -> Option<(OrderId, Turn)> {
    match change {
        Change::OrderPlaced(c) => Some((c.order_id, Turn::Placed)),
        Change::LaneReserved(c) => Some((c.order_id, Turn::Held(c.lane))),
        Change::OrderReserved(c) => Some((c.order_id, Turn::Payable)),
        Change::OrderEnded(c) => Some((c.order_id, Turn::Ended(c.status, c.code, c.product_id))),
        Change::LinesRefunded(c) => Some((c.order_id, Turn::Refunded(c.lines.clone()))),
        Change::AskerJoined(c) => Some((c.order_id, Turn::Joined)),
        _ => None,
    }
}

/// What an input leads to where it is done.
#[derive(Clone, Debug)]
pub(super) struct Done {
    /// What the asker is told; of a message, and of an order that begins, only the code counts.
    pub(super) outcome: Outcome,
    /// What happens to orders.
    pub(super) turns: Vec<(OrderId, Turn)>,
    /// The cart that changes, as it is then.
    pub(super) cart: Option<(UserId, Vec<Line>)>,
    /// Whether somebody or something is registered, or changed in the catalogue.
    pub(super) registers: bool,
}

impl Done {
    /// Done, and nothing but this is said.
    pub(super) fn told(outcome: Outcome) -> Self {
        Self { outcome, turns: Vec::new(), cart: None, registers: false }
    }

    /// An order moves on; the last turn says the code.
    pub(super) fn moved(id: OrderId, turns: impl IntoIterator<Item = Turn>) -> Self {
        let turns: Vec<(OrderId, Turn)> = turns.into_iter().map(|turn| (id, turn)).collect();
        let code = turns.last().map_or(Code::Ok, |(_, turn)| turn.code());
        Self { turns, ..Self::told(Outcome::of(code)) }
    }
}

/// What an input must come to.
#[derive(Clone, Debug)]
pub(super) struct Due {
    rule: Invariant,
    /// What the input is, for findings.
    name: &'static str,
    /// `None`: it cannot be done.
    done: Option<Done>,
    /// Refusals that are due, or (beside `done`) may be.
    refusals: Vec<Outcome>,
}

impl Due {
    /// It has nothing to do: too late, or for nobody.
    pub(super) fn nothing(rule: Invariant, name: &'static str) -> Self {
        Self { rule, name, done: None, refusals: Vec::new() }
    }

    /// It must be done.
    pub(super) fn done(rule: Invariant, name: &'static str, done: Done) -> Self {
        Self { done: Some(done), ..Self::nothing(rule, name) }
    }

    /// It must be refused.
    pub(super) fn refused(rule: Invariant, name: &'static str, outcome: Outcome) -> Self {
        Self::nothing(rule, name).unless(true, outcome)
    }

    /// If so, it cannot be done, and this refusal is due.
    #[must_use]
    pub(super) fn unless(mut self, is_so: bool, outcome: Outcome) -> Self {
        if is_so {
            self.done = None;
            self.refusals.push(outcome);
        }
        self
    }

    /// If so, the shop's own limits may forbid it.
    #[must_use]
    pub(super) fn perhaps(mut self, is_so: bool, outcome: Outcome) -> Self {
        self.refusals.extend(is_so.then_some(outcome));
        self
    }

    /// Whether nothing speaks against it so far.
    pub(super) fn is_free(&self) -> bool {
        self.refusals.is_empty()
    }

    /// What an entry with this verdict must have done.
    pub(super) fn deed(&self, verdict: Verdict) -> Option<&Done> {
        self.done.as_ref().filter(|_| verdict == Verdict::Accepted)
    }

    /// The refusal with this code, where one is due.
    pub(super) fn refusal(&self, code: Code) -> Option<&Outcome> {
        self.refusals.iter().find(|refusal| refusal.code == code)
    }

    /// Compares an entry's verdict and code.
    pub(super) fn check(&self, entry: &Entry, desk: &mut Desk<'_>) {
        let holds = match entry.verdict {
            Verdict::Accepted => {
                self.done.as_ref().is_some_and(|done| done.outcome.code == entry.code)
            }
            Verdict::Refused => self.refusal(entry.code).is_some(),
            Verdict::Ignored => self.done.is_none() && self.refusals.is_empty(),
            _ => false,
        };
        if !holds {
            let about = format_args!("decision on {}", self.name);
            desk.fault(self.rule, about, self, format_args!("{:?} {}", entry.verdict, entry.code));
        }
    }

    /// Whether an outcome is one that an entry with this verdict may store.
    pub(super) fn is_outcome(&self, verdict: Verdict, outcome: &Outcome) -> bool {
        match verdict {
            Verdict::Accepted => self.done.as_ref().is_some_and(|done| done.outcome == *outcome),
            _ => self.refusals.contains(outcome),
        }
    }
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        if let Some(done) = &self.done {
            write!(f, "Accepted {}", done.outcome.code)?;
            before = " or ";
        }
        for refusal in &self.refusals {
            write!(f, "{before}Refused {}", refusal.code)?;
            before = " or ";
        }
        if before.is_empty() { f.write_str("Ignored") } else { Ok(()) }
    }
}

impl Orders {
    /// What an input must come to; `None` where it says nothing.
    pub(super) fn due(&self, lane: Lane, input: &Input, accounts: &Accounts) -> Option<Due> {
        match &input.body {
            Body::User(command) => Some(self.due_command(lane, command, input, accounts)),
            Body::ToUsers(told) => Some(self.due_answer(lane, told, input.at, accounts)),
            Body::ToProducts(told) => Some(self.due_message(lane, &told.payload)),
            Body::Product(command) => Some(self.due_product(command, accounts)),
            Body::Unreadable => None,
        }
    }

    fn due_command(
        &self,
        lane: Lane,
        command: &UserCommand,
        input: &Input,
        accounts: &Accounts,
    ) -> Due {
        let (user, at) = (command.user_id, input.at);
        match &command.payload {
            UserPayload::RegisterUser(_) => self.due_register(user),
            UserPayload::ChargeBalance(wish) => self.due_charge(lane, user, wish, accounts),
            UserPayload::PlaceOrder(wish) => self.due_place(lane, command, wish),
            UserPayload::AddToCart(wish) => self.due_add(lane, user, wish),
            UserPayload::RemoveFromCart(wish) => self.due_remove(user, wish),
            UserPayload::PayOrder(wish) => self.due_pay(lane, user, wish.order_id, at, accounts),
            UserPayload::CancelOrder(wish) => self.due_cancel(user, wish.order_id),
            UserPayload::RefundOrder(wish) => self.due_refund(user, wish, accounts),
        }
    }

    fn due_charge(
        &self,
        lane: Lane,
        user: UserId,
        wish: &ChargeBalance,
        accounts: &Accounts,
    ) -> Due {
        let sum = accounts.wallet(user.0).checked_add(wish.amount.0);
        let balance = sum.filter(|sum| *sum <= BALANCE_MAX).map(Money);
        let is_known = self.users.contains(&user);
        let funding = accounts.system(Account::Funding, lane.index);
        let is_full = balance.is_none() || funding.checked_sub(wish.amount.0).is_none();
        let outcome = Outcome { balance, ..Outcome::of(Code::Ok) };
        Due::done(Invariant::Money, "a ChargeBalance", Done::told(outcome))
            .unless(wish.amount <= Money::ZERO, Outcome::of(Code::InvalidAmount))
            .unless(!is_known, Outcome::of(Code::UserNotFound))
            .unless(is_known && is_full, Outcome::of(Code::BalanceLimit))
            .perhaps(true, Outcome::of(Code::InvalidAmount))
    }
}
