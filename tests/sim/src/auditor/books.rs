//! Balances, recomputed from the postings: never believed.

use crate::report::{Invariant, Violation};
use jupan_schemas::{Account, Entry, Posting};
use std::collections::BTreeMap;

/// The accounts of one lane.
#[derive(Default)]
pub(crate) struct Books {
    balances: BTreeMap<(Account, u64), i128>,
}

fn is_money(account: Account) -> bool {
    matches!(account, Account::Funding | Account::Wallet | Account::Revenue)
}

impl Books {
    pub(crate) fn balance(&self, account: Account, owner: u64) -> i128 {
        self.balances.get(&(account, owner)).copied().unwrap_or(0)
    }

    /// Books an entry's postings.
    pub(crate) fn post(&mut self, entry: &Entry) -> Result<(), Violation> {
        let mut sums: BTreeMap<Option<u64>, i128> = BTreeMap::new();
        for posting in &entry.postings {
            let Posting { account, owner, delta, balance } = *posting;
            let asset = (!is_money(account)).then_some(owner);
            *sums.entry(asset).or_default() += i128::from(delta);
            let sum = self.balances.entry((account, owner)).or_default();
            *sum += i128::from(delta);
            if *sum != i128::from(balance) {
                let what = format!("{posting:?}, but its postings add up to {sum}");
                return Err(Violation::new(Invariant::Postings, what));
            }
            let is_source = matches!(account, Account::Funding | Account::Supply);
            if *sum < 0 && !is_source {
                let wallet = is_money(account);
                let invariant = if wallet { Invariant::Wallets } else { Invariant::Stock };
                return Err(Violation::new(invariant, format!("{posting:?} is below zero")));
            }
        }
        match sums.iter().find(|(_, sum)| **sum != 0) {
            Some((_, sum)) => {
                let what = format!("postings sum to {sum}: {:?}", entry.postings);
                Err(Violation::new(Invariant::Postings, what))
            }
            None => self.check_units(entry),
        }
    }

    fn check_units(&self, entry: &Entry) -> Result<(), Violation> {
        for posting in entry.postings.iter().filter(|posting| !is_money(posting.account)) {
            let of = |account| self.balance(account, posting.owner);
            let places = of(Account::Available) + of(Account::Reserved) + of(Account::Sold);
            if places + of(Account::Supply) != 0 {
                let what = format!("units of product {} are lost or made up", posting.owner);
                return Err(Violation::new(Invariant::Stock, what));
            }
        }
        Ok(())
    }

    /// Wallets hold what was charged and not paid.
    pub(crate) fn check_money(&self) -> Result<(), Violation> {
        let sum = |wanted| -> i128 {
            let of = self.balances.iter().filter(|((account, _), _)| *account == wanted);
            of.map(|(_, balance)| *balance).sum()
        };
        let total = sum(Account::Funding) + sum(Account::Wallet) + sum(Account::Revenue);
        if total == 0 {
            return Ok(());
        }
        Err(Violation::new(Invariant::Postings, format!("money sums to {total}")))
    }
}
