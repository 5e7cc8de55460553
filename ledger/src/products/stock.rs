//! The four accounts of a product's units. Every unit that ever came in is available, reserved or
//! sold; `supply`, which is a source, is the negative of its account.

use super::state::Product;
use crate::{Broken, postings, postings::Side};
use jupan_schemas::{Account, PRICE_AND_STOCK_MAX, Posting, ProductId, Units};

/// The postings that bring the first units in.
pub(crate) fn first(product_id: ProductId, units: Units) -> Option<[Posting; 2]> {
    let side = |account| Side { account, owner: product_id.0, balance: 0 };
    postings::transfer(units.0, side(Account::Supply), side(Account::Available))
}

/// The postings that move units of a product from one account to the other, or `None` where one of
/// them cannot be counted.
pub(crate) fn transfer(
    product: &Product,
    units: Units,
    from: Account,
    to: Account,
) -> Option<[Posting; 2]> {
    let side = |account| {
        let balance = balance(product, account)?.0;
        Some(Side { account, owner: product.product_id.0, balance })
    };
    postings::transfer(units.0, side(from)?, side(to)?)
}

fn balance(product: &Product, account: Account) -> Option<Units> {
    match account {
        Account::Supply => product.supply.checked_neg(),
        Account::Available => Some(product.available),
        Account::Reserved => Some(product.reserved),
        Account::Sold => Some(product.sold),
        Account::Funding | Account::Wallet | Account::Revenue => None,
    }
}

/// Folds a posting.
pub(crate) fn post(product: &mut Product, posting: &Posting) -> Result<(), Broken> {
    let account = match posting.account {
        Account::Supply => {
            let before = product.supply.0.checked_neg().unwrap_or(i64::MIN);
            let after = postings::balance_after(before, posting)?.checked_neg();
            product.supply = Units(after.filter(|supply| *supply >= 0).ok_or_else(|| {
                postings::broken(posting, "more units were taken back than ever came in")
            })?);
            return Ok(());
        }
        Account::Available => &mut product.available,
        Account::Reserved => &mut product.reserved,
        Account::Sold => &mut product.sold,
        Account::Funding | Account::Wallet | Account::Revenue => {
            return Err(postings::broken(posting, "money in a product lane"));
        }
    };
    *account = Units(postings::balance_at_least_zero(account.0, posting)?);
    Ok(())
}

/// Whether every unit is somewhere, and only there.
pub(crate) fn is_complete(product: &Product) -> bool {
    let in_place = product.available.checked_add(product.reserved);
    in_place.and_then(|sum| sum.checked_add(product.sold)) == Some(product.supply)
}

/// Whether so many more units may come in.
pub(crate) fn has_room_for(product: &Product, units: Units) -> bool {
    let in_place = product.available.checked_add(product.reserved);
    let after = in_place.and_then(|sum| sum.checked_add(units));
    let is_countable = product.supply.checked_add(units).is_some();
    is_countable && after.is_some_and(|after| after.0 <= PRICE_AND_STOCK_MAX)
}
