//! Invariants 1 to 3: the double entry, added up from deltas alone. What a posting says it left
//! behind is compared, never believed.

use super::findings::{Desk, Invariant};
use hashbrown::HashMap;
use jupan_schemas::{Account, Entry, Lane, Posting, Role, partition_of};
use std::fmt;

/// What an entry moved, as its postings show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Flow {
    /// Money: funding to wallet.
    Charge,
    /// Money: wallet to revenue.
    Payment,
    /// Money: revenue to wallet.
    Refund,
    /// Units: supply to available.
    Restock,
    /// Units: available to reserved.
    Hold,
    /// Units: reserved to sold.
    Settle,
    /// Units: reserved to available.
    Release,
    /// Units: sold to available.
    Return,
}

/// One transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moved {
    pub(super) flow: Flow,
    /// The user of the wallet, or the product.
    pub(super) owner: u64,
    /// Always above zero.
    pub(super) amount: i64,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} for {}", self.flow, self.amount, self.owner)
    }
}

/// Where a product's units are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stock {
    /// Minus all units that ever came in.
    pub(super) supply: i64,
    pub(super) available: i64,
    pub(super) reserved: i64,
    pub(super) sold: i64,
}

/// Money of one lane's system accounts.
#[derive(Clone, Copy, Debug, Default)]
struct System {
    funding: i64,
    revenue: i64,
}

/// Sums over the whole log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) charged: i128,
    pub(super) paid: i128,
    pub(super) refunded: i128,
}

/// Every account's balance.
pub(super) struct Accounts {
    lanes: u16,
    wallets: HashMap<u64, i64>,
    stocks: HashMap<u64, Stock>,
    systems: Vec<System>,
    totals: Totals,
    /// Net change of each account of the entry at hand: asset, account, delta.
    nets: Vec<(u64, Account, i64)>,
}

/// Which invariant speaks of an account.
fn rule(account: Account) -> Invariant {
    if is_money(account) { Invariant::Money } else { Invariant::Stock }
}

fn is_money(account: Account) -> bool {
    matches!(account, Account::Funding | Account::Wallet | Account::Revenue)
}

impl Accounts {
    pub(super) fn new(lanes: u16) -> Self {
        Self {
            lanes,
            wallets: HashMap::new(),
            stocks: HashMap::new(),
            systems: vec![System::default(); usize::from(lanes)],
            totals: Totals::default(),
            nets: Vec::new(),
        }
    }

    /// Books an entry's postings, and says what they moved.
    pub(super) fn entry(
        &mut self,
        lane: Lane,
        entry: &Entry,
        moved: &mut Vec<Moved>,
        desk: &mut Desk<'_>,
    ) {
        moved.clear();
        self.nets.clear();
        for posting in &entry.postings {
            self.post(lane, posting, desk);
            let asset = if is_money(posting.account) { u64::MAX } else { posting.owner };
            self.nets.push((asset, posting.account, posting.delta));
        }
        self.nets.sort_unstable_by_key(|(asset, account, _)| (*asset, *account));
        let mut wallets = entry.postings.iter().filter(|p| p.account == Account::Wallet);
        let wallet = wallets.next().map_or(0, |posting| posting.owner);
        if let Some(other) = wallets.find(|posting| posting.owner != wallet) {
            let found = Name(Account::Wallet, other.owner);
            desk.fault(
                Invariant::Money,
                "wallets of one entry",
                Name(Account::Wallet, wallet),
                found,
            );
        }
        for of_asset in self.nets.chunk_by(|a, b| a.0 == b.0) {
            let owner = if of_asset[0].0 == u64::MAX { wallet } else { of_asset[0].0 };
            if let Some(transfer) = transfer(owner, of_asset, desk) {
                self.totals.count(transfer);
                moved.push(transfer);
            }
        }
    }

    fn post(&mut self, lane: Lane, posting: &Posting, desk: &mut Desk<'_>) {
        let Posting { account, owner, delta, balance } = *posting;
        let (about, rule) = (Name(account, owner), rule(account));
        let home = match account {
            Account::Funding | Account::Revenue => Lane { role: Role::Users, index: lane.index },
            Account::Wallet => Lane { role: Role::Users, index: partition_of(owner, self.lanes) },
            _ => Lane { role: Role::Products, index: partition_of(owner, self.lanes) },
        };
        let is_system = matches!(account, Account::Funding | Account::Revenue);
        if lane != home || (is_system && owner != u64::from(lane.index)) {
            desk.fault(rule, format_args!("owner of {about}"), home, lane);
        }
        let Some(cell) = self.cell(account, owner) else { return };
        let sum = cell.checked_add(delta);
        *cell = sum.unwrap_or(balance);
        let own = *cell;
        if !desk.same(rule, format_args!("balance of {about}"), sum, Some(balance)) {
            // Later balances build on what this one says: report it once.
            if let Some(cell) = self.cell(account, owner) {
                *cell = balance;
            }
        }
        let may_be_negative = matches!(account, Account::Funding | Account::Supply);
        if !may_be_negative && own.min(balance) < 0 {
            let rule = if account == Account::Wallet { Invariant::Wallets } else { rule };
            let holds = "at least 0";
            desk.fault(rule, format_args!("balance of {about}"), holds, own.min(balance));
        }
    }

    fn cell(&mut self, account: Account, owner: u64) -> Option<&mut i64> {
        let system = |systems: &mut Vec<System>| -> Option<usize> {
            let slot = usize::try_from(owner).ok()?;
            (slot < systems.len()).then_some(slot)
        };
        Some(match account {
            Account::Wallet => self.wallets.entry(owner).or_default(),
            Account::Funding => {
                let slot = system(&mut self.systems)?;
                &mut self.systems[slot].funding
            }
            Account::Revenue => {
                let slot = system(&mut self.systems)?;
                &mut self.systems[slot].revenue
            }
            Account::Supply => &mut self.stocks.entry(owner).or_default().supply,
            Account::Available => &mut self.stocks.entry(owner).or_default().available,
            Account::Reserved => &mut self.stocks.entry(owner).or_default().reserved,
            Account::Sold => &mut self.stocks.entry(owner).or_default().sold,
        })
    }

    /// A lane's system account.
    pub(super) fn system(&self, account: Account, lane: u16) -> i64 {
        let system = self.systems.get(usize::from(lane)).copied().unwrap_or_default();
        if account == Account::Funding { system.funding } else { system.revenue }
    }

    /// What a wallet holds.
    pub(super) fn wallet(&self, user: u64) -> i64 {
        self.wallets.get(&user).copied().unwrap_or(0)
    }

    /// Where a product's units are.
    pub(super) fn stock(&self, product: u64) -> Stock {
        self.stocks.get(&product).copied().unwrap_or_default()
    }

    /// Stock of every product that ever had units.
    pub(super) fn stocks(&self) -> impl Iterator<Item = &Stock> {
        self.stocks.values()
    }

    /// What is in all wallets together.
    pub(super) fn held(&self) -> i128 {
        self.wallets.values().map(|balance| i128::from(*balance)).sum()
    }

    /// Sums over the whole log.
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// Invariants 1 and 2 over everything.
    pub(super) fn finish(&self, desk: &mut Desk<'_>) {
        let totals = self.totals;
        let expected = totals.charged + totals.refunded - totals.paid;
        desk.same(Invariant::Money, "all wallets together", expected, self.held());
        let system = self.systems.iter().map(|s| i128::from(s.funding) + i128::from(s.revenue));
        let all = self.held() + system.sum::<i128>();
        desk.same(Invariant::Money, "funding + wallets + revenue", 0, all);
        let mut products: Vec<(&u64, &Stock)> = self.stocks.iter().collect();
        products.sort_unstable_by_key(|(product, _)| **product);
        for (product, stock) in products {
            let inside = [stock.available, stock.reserved, stock.sold];
            let inside: i128 = inside.into_iter().map(i128::from).sum();
            let about = format_args!("available + reserved + sold of product {product}");
            desk.same(Invariant::Stock, about, -i128::from(stock.supply), inside);
        }
    }
}

impl Totals {
    fn count(&mut self, moved: Moved) {
        let amount = i128::from(moved.amount);
        match moved.flow {
            Flow::Charge => self.charged += amount,
            Flow::Payment => self.paid += amount,
            Flow::Refund => self.refunded += amount,
            _ => {}
        }
    }
}

/// What the postings of one asset moved: from one account to another, or nothing.
fn transfer(owner: u64, nets: &[(u64, Account, i64)], desk: &mut Desk<'_>) -> Option<Moved> {
    let rule = rule(nets[0].1);
    let asset = Asset(nets[0].1, owner);
    let sum: i128 = nets.iter().map(|(_, _, delta)| i128::from(*delta)).sum();
    if !desk.same(rule, format_args!("sum of the postings in {asset}"), 0, sum) {
        return None;
    }
    let mut legs = nets.chunk_by(|a, b| a.1 == b.1).filter_map(|legs| {
        let net: i128 = legs.iter().map(|(_, _, delta)| i128::from(*delta)).sum();
        (net != 0).then_some((legs[0].1, net))
    });
    let (one, other) = match (legs.next(), legs.next(), legs.next()) {
        (None, ..) => return None,
        (Some(one), Some(other), None) => (one, other),
        _ => {
            desk.fault(rule, format_args!("transfer of {asset}"), "between two accounts", "more");
            return None;
        }
    };
    let ((from, _), (to, amount)) = if one.1 < 0 { (one, other) } else { (other, one) };
    let flow = match (from, to) {
        (Account::Funding, Account::Wallet) => Flow::Charge,
        (Account::Wallet, Account::Revenue) => Flow::Payment,
        (Account::Revenue, Account::Wallet) => Flow::Refund,
        (Account::Supply, Account::Available) => Flow::Restock,
        (Account::Available, Account::Reserved) => Flow::Hold,
        (Account::Reserved, Account::Sold) => Flow::Settle,
        (Account::Reserved, Account::Available) => Flow::Release,
        (Account::Sold, Account::Available) => Flow::Return,
        _ => {
            let found = format_args!("from {from:?} to {to:?}");
            desk.fault(rule, format_args!("transfer of {asset}"), "one that exists", found);
            return None;
        }
    };
    Some(Moved { flow, owner, amount: i64::try_from(amount).unwrap_or(i64::MAX) })
}

/// An account in a finding.
#[derive(Clone, Copy)]
struct Name(Account, u64);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {}", self.0, self.1)
    }
}

/// What sums to zero, in a finding.
#[derive(Clone, Copy)]
struct Asset(Account, u64);

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_money(self.0) { f.write_str("money") } else { write!(f, "product {}", self.1) }
    }
}
