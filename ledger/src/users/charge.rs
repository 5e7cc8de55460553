//! ChargeBalance: `funding -> wallet`.

use super::{Users, state::User};
use crate::{
    Rules,
    idempotency::Ruling,
    postings::{Side, transfer},
};
use jupan_schemas::{Account, BALANCE_MAX, ChargeBalance, Code, Money, Outcome, UserId};

fn check<'a>(
    rules: &Rules,
    user: Option<&'a User>,
    wish: &ChargeBalance,
) -> Result<&'a User, Code> {
    let is_in_limits = (rules.charge_min..=rules.charge_max).contains(&wish.amount);
    if !is_in_limits || wish.amount <= Money::ZERO {
        return Err(Code::InvalidAmount);
    }
    let user = user.ok_or(Code::UserNotFound)?;
    match user.balance.checked_add(wish.amount) {
        Some(Money(..=BALANCE_MAX)) => Ok(user),
        _ => Err(Code::BalanceLimit),
    }
}

pub(super) fn decide(
    users: &Users,
    rules: &Rules,
    user_id: UserId,
    user: Option<&User>,
    wish: &ChargeBalance,
) -> Ruling {
    let user = match check(rules, user, wish) {
        Ok(user) => user,
        Err(code) => return Ruling::refused(code),
    };
    let wallet = wallet(user_id, user);
    let Some(postings) = transfer(wish.amount.0, users.funding.side(users.lane), wallet) else {
        // Only the funding account can be full: the wallet's limit is checked.
        return Ruling::refused(Code::BalanceLimit);
    };
    let balance = Some(Money(postings[1].balance));
    Ruling::Done {
        outcome: Outcome { balance, ..Outcome::of(Code::Ok) },
        changes: Vec::new(),
        postings: postings.to_vec(),
    }
}

/// A user's wallet, as one side of a transfer.
pub(super) fn wallet(user_id: UserId, user: &User) -> Side {
    Side { account: Account::Wallet, owner: user_id.0, balance: user.balance.0 }
}
