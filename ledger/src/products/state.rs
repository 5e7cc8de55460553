//! What a product lane knows.

use crate::{Broken, cells::Cell, postings, postings::Side};
use jupan_schemas::{
    Account, Code, HoldEnd, Micros, Money, PRICE_AND_STOCK_MAX, Posting, PricedLine, ProductId,
    Units, is_name,
};

/// A product with its stock. Every unit that ever came in is available, reserved or sold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) name: String,
    pub(crate) price: Money,
    pub(crate) stock: Stock,
    pub(crate) created_at: Micros,
    pub(crate) updated_at: Micros,
}

impl Cell for Product {}

/// The four accounts of a product's units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stock {
    /// All units that ever came in: the negative of the supply account, which is a source.
    pub(crate) supply: Units,
    pub(crate) available: Units,
    pub(crate) reserved: Units,
    pub(crate) sold: Units,
}

impl Stock {
    /// The postings that move units of a product from one account to the other, or `None` where
    /// one of them cannot be counted.
    pub(crate) fn transfer(
        &self,
        product_id: ProductId,
        units: Units,
        from: Account,
        to: Account,
    ) -> Option<[Posting; 2]> {
        let side = |account| {
            let balance = self.balance(account)?.0;
            Some(Side { account, owner: product_id.0, balance })
        };
        postings::transfer(units.0, side(from)?, side(to)?)
    }

    fn balance(&self, account: Account) -> Option<Units> {
        match account {
            Account::Supply => self.supply.checked_neg(),
            Account::Available => Some(self.available),
            Account::Reserved => Some(self.reserved),
            Account::Sold => Some(self.sold),
            Account::Funding | Account::Wallet | Account::Revenue => None,
        }
    }

    /// Folds a posting.
    pub(crate) fn post(&mut self, posting: &Posting) -> Result<(), Broken> {
        let account = match posting.account {
            Account::Supply => {
                let before = self.supply.0.checked_neg().unwrap_or(i64::MIN);
                let after = postings::balance_after(before, posting)?.checked_neg();
                self.supply = Units(after.filter(|supply| *supply >= 0).ok_or_else(|| {
                    postings::broken(posting, "more units were taken back than ever came in")
                })?);
                return Ok(());
            }
            Account::Available => &mut self.available,
            Account::Reserved => &mut self.reserved,
            Account::Sold => &mut self.sold,
            Account::Funding | Account::Wallet | Account::Revenue => {
                return Err(postings::broken(posting, "money in a product lane"));
            }
        };
        *account = Units(postings::balance_at_least_zero(account.0, posting)?);
        Ok(())
    }

    /// Whether every unit is somewhere, and only there.
    pub(crate) fn is_complete(&self) -> bool {
        let in_place = self.available.checked_add(self.reserved);
        in_place.and_then(|sum| sum.checked_add(self.sold)) == Some(self.supply)
    }

    /// Whether so many more units may come in.
    pub(crate) fn has_room_for(&self, units: Units) -> bool {
        let in_place = self.available.checked_add(self.reserved);
        let after = in_place.and_then(|sum| sum.checked_add(units));
        let is_countable = self.supply.checked_add(units).is_some();
        is_countable && after.is_some_and(|after| after.0 <= PRICE_AND_STOCK_MAX)
    }
}

/// Stock promised to an order. Stays in memory after its end until its last row is projected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    /// The user lane that will end it.
    pub(crate) user_lane: u16,
    /// Each product once.
    pub(crate) lines: Vec<PricedLine>,
    pub(crate) end: Option<HoldEnd>,
}

impl Cell for Hold {
    fn is_spent(&self) -> bool {
        !self.is_open()
    }
}

impl Hold {
    pub(crate) fn is_open(&self) -> bool {
        self.end.is_none()
    }
}

/// Checks a product's name.
pub(crate) fn check_name(name: &str) -> Result<(), Code> {
    if is_name(name) { Ok(()) } else { Err(Code::InvalidName) }
}

/// Checks a product's price.
pub(crate) fn check_price(price: Money) -> Result<(), Code> {
    let is_valid = (0..=PRICE_AND_STOCK_MAX).contains(&price.0);
    if is_valid { Ok(()) } else { Err(Code::InvalidPrice) }
}
