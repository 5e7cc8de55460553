//! What an input had to lead to, and where an entry differs from it.

use crate::report::{Invariant, Violation};
use jupan_schemas::{
    Account, Answer, Asker, Change, Code, CommandId, Entry, Message, Outcome, Verdict,
};
use std::fmt::Debug;

/// What an entry must say. Lists are compared without their order.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) verdict: Verdict,
    pub(crate) code: Code,
    pub(crate) changes: Vec<Change>,
    pub(crate) moves: Vec<(Account, u64, i64)>,
    pub(crate) messages: Vec<(u16, Message)>,
    pub(crate) answers: Vec<Answer>,
}

impl Expected {
    pub(crate) fn nothing(verdict: Verdict, code: Code) -> Self {
        let (changes, moves) = (Vec::new(), Vec::new());
        Self { verdict, code, changes, moves, messages: Vec::new(), answers: Vec::new() }
    }

    pub(crate) fn accepted() -> Self {
        Self::nothing(Verdict::Accepted, Code::Ok)
    }

    pub(crate) fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// A transfer; of nothing there is none.
    pub(crate) fn transfer(&mut self, amount: i64, from: (Account, u64), to: (Account, u64)) {
        if amount != 0 {
            self.moves.push((from.0, from.1, -amount));
            self.moves.push((to.0, to.1, amount));
        }
    }

    pub(crate) fn tell(&mut self, command_id: CommandId, asker: Option<Asker>, outcome: Outcome) {
        let answer = |asker| Answer { command_id, asker, outcome };
        self.answers.extend(asker.map(answer));
    }

    /// Names the first difference by the invariant that it breaks.
    pub(crate) fn compare(&self, entry: &Entry) -> Result<(), Violation> {
        let moved: Vec<_> =
            entry.postings.iter().map(|post| (post.account, post.owner, post.delta)).collect();
        let is_money = |(account, ..): &(Account, u64, i64)| {
            matches!(account, Account::Funding | Account::Wallet | Account::Revenue)
        };
        let of_money = |all: &[(Account, u64, i64)], money: bool| {
            all.iter().filter(|moved| is_money(moved) == money).copied().collect::<Vec<_>>()
        };
        let (money, units) = (Invariant::Postings, Invariant::Stock);
        let sent: Vec<_> =
            entry.messages.iter().map(|sent| (sent.lane, sent.payload.clone())).collect();
        let is_repeated = [self.verdict, entry.verdict].contains(&Verdict::Duplicate);
        let of_verdict = if is_repeated { Invariant::Outcomes } else { Invariant::Acknowledged };
        same(of_verdict, "verdict", &[self.verdict], &[entry.verdict])?;
        same(Invariant::Outcomes, "code", &[self.code], &[entry.code])?;
        same(money, "money", &of_money(&self.moves, true), &of_money(&moved, true))?;
        same(units, "units", &of_money(&self.moves, false), &of_money(&moved, false))?;
        same(Invariant::Holds, "messages", &self.messages, &sent)?;
        same(Invariant::Outcomes, "answers", &self.answers, &entry.answers)?;
        let (due, found) = (&self.changes, &entry.changes);
        let (due_stored, stored) = (only(due, is_outcome), only(found, is_outcome));
        same(Invariant::Outcomes, "stored outcome", &due_stored, &stored)?;
        same(Invariant::Carts, "cart", &only(due, is_cart), &only(found, is_cart))?;
        same(Invariant::Acknowledged, "changes", due, found)
    }
}

fn is_outcome(change: &Change) -> bool {
    matches!(change, Change::OutcomeStored(_))
}

fn is_cart(change: &Change) -> bool {
    matches!(change, Change::CartChanged(_))
}

fn only(changes: &[Change], is: fn(&Change) -> bool) -> Vec<&Change> {
    changes.iter().filter(|change| is(change)).collect()
}

/// Compares two lists without their order.
fn same<T: Debug + PartialEq>(
    invariant: Invariant,
    what: &str,
    expected: &[T],
    found: &[T],
) -> Result<(), Violation> {
    if expected == found {
        return Ok(());
    }
    let mut left: Vec<&T> = expected.iter().collect();
    for one in found {
        match left.iter().position(|expected| *expected == one) {
            Some(place) => drop(left.swap_remove(place)),
            None => {
                let what = format!("{what}: {one:?} where {expected:?} was due");
                return Err(Violation::new(invariant, what));
            }
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(Violation::new(invariant, format!("{what}: {left:?} is missing among {found:?}")))
}
