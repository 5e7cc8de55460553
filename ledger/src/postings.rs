//! Double entry: the two legs of a transfer, and the checks that read them back.

use crate::Broken;
use jupan_schemas::{Account, Posting, SystemBalance};
use std::collections::BTreeMap;

/// One side of a transfer: an account and what it holds before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    pub(crate) account: Account,
    /// User, product or lane.
    pub(crate) owner: u64,
    pub(crate) balance: i64,
}

impl Side {
    fn post(self, delta: i64) -> Option<Posting> {
        let balance = self.balance.checked_add(delta)?;
        Some(Posting { account: self.account, owner: self.owner, delta, balance })
    }
}

/// Both postings of a transfer, or `None` where a balance cannot be counted. They sum to zero by
/// construction.
pub(crate) fn transfer(amount: i64, from: Side, to: Side) -> Option<[Posting; 2]> {
    assert!(amount > 0, "a transfer moves something, and forwards");
    Some([from.post(amount.checked_neg()?)?, to.post(amount)?])
}

/// What sums to zero: all money together, the units of each product.
fn asset(posting: &Posting) -> Option<u64> {
    match posting.account {
        Account::Funding | Account::Wallet | Account::Revenue => None,
        Account::Supply | Account::Available | Account::Reserved | Account::Sold => {
            Some(posting.owner)
        }
    }
}

/// Checks that an entry's postings sum to zero per asset.
pub(crate) fn check_balanced(sequence: u64, postings: &[Posting]) -> Result<(), Broken> {
    // Postings come in pairs, as `transfer` made them: the usual case needs no table.
    let cancel = |pair: &[Posting]| match pair {
        [a, b] => asset(a) == asset(b) && a.delta.checked_add(b.delta) == Some(0),
        _ => false,
    };
    if postings.chunks(2).all(cancel) {
        return Ok(());
    }
    let mut sums: BTreeMap<Option<u64>, i128> = BTreeMap::new();
    for posting in postings {
        *sums.entry(asset(posting)).or_default() += i128::from(posting.delta);
    }
    if sums.values().all(|sum| *sum == 0) {
        return Ok(());
    }
    Err(Broken::about("entry", sequence, "its postings do not sum to zero"))
}

/// What an entry's postings add to the accounts of one kind, together.
pub(crate) fn moved(postings: &[Posting], account: Account) -> i128 {
    let of_kind = postings.iter().filter(|posting| posting.account == account);
    of_kind.map(|posting| i128::from(posting.delta)).sum()
}

/// The balance after a posting, checked against the one that the posting states.
pub(crate) fn balance_after(before: i64, posting: &Posting) -> Result<i64, Broken> {
    if before.checked_add(posting.delta) == Some(posting.balance) {
        return Ok(posting.balance);
    }
    Err(broken(posting, "the balance after is not the balance before plus the delta"))
}

/// Like [`balance_after`], for accounts that never fall below zero.
pub(crate) fn balance_at_least_zero(before: i64, posting: &Posting) -> Result<i64, Broken> {
    match balance_after(before, posting)? {
        ..0 => Err(broken(posting, "the balance is below zero")),
        after => Ok(after),
    }
}

/// A posting that does not belong where it stands.
pub(crate) fn broken(posting: &Posting, what: &'static str) -> Broken {
    Broken { about: format!("{:?} of {}", posting.account, posting.owner), what }
}

/// One of a lane's own accounts. Its balance is not a row: the journal's steps carry it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemAccount {
    account: Account,
    known: Option<Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    balance: i64,
    /// Of the last entry that posted to it; 0 where it was restored.
    sequence: u64,
}

impl SystemAccount {
    pub(crate) fn new(account: Account) -> Self {
        Self { account, known: None }
    }

    /// As one side of a transfer. Before the first posting of a journal it holds nothing.
    pub(crate) fn side(&self, lane: u16) -> Side {
        let balance = self.known.map_or(0, |known| known.balance);
        Side { account: self.account, owner: u64::from(lane), balance }
    }

    /// Its balance, where it is known.
    pub(crate) fn balance(&self) -> Option<SystemBalance> {
        let account = self.account;
        self.known.map(|Known { balance, .. }| SystemBalance { account, balance })
    }

    /// Takes over its balance, if the list has one.
    pub(crate) fn restore(&mut self, balances: &[SystemBalance]) {
        if let Some(found) = balances.iter().find(|balance| balance.account == self.account) {
            self.known = Some(Known { balance: found.balance, sequence: 0 });
        }
    }

    /// Folds a posting. Where the balance before is not known, the posting tells it.
    pub(crate) fn post(
        &mut self,
        lane: u16,
        sequence: u64,
        posting: &Posting,
    ) -> Result<(), Broken> {
        if posting.owner != u64::from(lane) {
            return Err(broken(posting, "the account belongs to another lane"));
        }
        match self.known {
            Some(known) if known.sequence >= sequence => return Ok(()),
            Some(known) => balance_after(known.balance, posting)?,
            None => posting.balance,
        };
        self.known = Some(Known { balance: posting.balance, sequence });
        Ok(())
    }
}
