//! What `jupan verify` says: facts about the shop, and for each invariant that it holds, or where
//! it first does not.

use super::{
    findings::{Finding, Findings, Invariant},
    rows::StoreFacts,
};
use jupan_schemas::{Micros, TopProduct};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

/// What the log holds, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Facts {
    /// Lanes of each role.
    pub(crate) lanes: u16,
    /// Segment files.
    pub(crate) segments: usize,
    /// Bytes of all frames.
    pub(crate) log_bytes: u64,
    /// Bytes behind them of a write that never finished.
    pub(crate) unfinished_bytes: u64,
    /// Whole frames.
    pub(crate) frames: u64,
    /// Steps of all lanes.
    pub(crate) steps: u64,
    /// Entries of all lanes.
    pub(crate) entries: u64,
    /// Commands and messages that no entry is about yet.
    pub(crate) unread_inputs: usize,
    /// Registered users.
    pub(crate) users: usize,
    /// Registered products.
    pub(crate) products: usize,
    /// Orders by status.
    pub(crate) orders: BTreeMap<&'static str, u64>,
    /// Pending orders that wait for their payment.
    pub(crate) payable: u64,
    /// Failed orders by code.
    pub(crate) failed: BTreeMap<&'static str, u64>,
    /// Money, in minor units.
    pub(crate) money: MoneyFacts,
    /// Units of all products.
    pub(crate) units: UnitFacts,
    /// Carts with something in them.
    pub(crate) carts: usize,
    /// Published lists of best sellers.
    pub(crate) top_lists: u64,
    /// Best sellers of the three days up to the newest sale.
    pub(crate) top: Vec<TopProduct>,
    /// Where that window ends.
    pub(crate) top_window_to: Option<Micros>,
    /// What of the store was compared; absent where there was none.
    pub(crate) store: Option<StoreFacts>,
    /// Hash over the rows of all lanes; absent where a lane could not be folded.
    pub(crate) state_hash: Option<String>,
}

/// Where money came from and went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct MoneyFacts {
    pub(crate) charged: i128,
    pub(crate) paid: i128,
    pub(crate) refunded: i128,
    /// What all wallets hold.
    pub(crate) held: i128,
}

/// Where units are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct UnitFacts {
    pub(crate) supplied: i128,
    pub(crate) available: i128,
    pub(crate) reserved: i128,
    /// Sold, and not taken back.
    pub(crate) sold: i128,
    /// Paid back.
    pub(crate) refunded: i128,
    /// Of these, taken back into stock; the others are on their way.
    pub(crate) returned: i128,
}

/// How fast it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Speed {
    /// From the first byte to the last check.
    pub(crate) took_ms: u64,
    /// Entries of all lanes, each of which is folded twice and checked.
    pub(crate) entries_per_second: u64,
}

impl Speed {
    pub(super) fn new(entries: u64, took: Duration) -> Self {
        let took_us = took.as_micros().max(1);
        let entries_per_second = u128::from(entries) * 1_000_000 / took_us;
        Self {
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            entries_per_second: u64::try_from(entries_per_second).unwrap_or(u64::MAX),
        }
    }
}

/// The result of a verification.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) facts: Facts,
    pub(crate) findings: Findings,
    /// Whether the log could be read to its end; what is at rest is only checked then.
    pub(crate) is_complete: bool,
    pub(crate) speed: Speed,
}

/// One invariant in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Judged<'a> {
    number: Option<u8>,
    statement: &'static str,
    ok: bool,
    findings: u64,
    first: Vec<&'a Finding>,
}

/// The report in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    ok: bool,
    complete: bool,
    facts: &'a Facts,
    speed: Speed,
    invariants: Vec<Judged<'a>>,
}

impl Report {
    /// Whether every invariant holds.
    pub(crate) fn is_ok(&self) -> bool {
        self.findings.is_empty()
    }

    /// 0: fine; 1: found a fault.
    pub(crate) fn exit_code(&self) -> u8 {
        u8::from(!self.is_ok())
    }

    /// Writes the report, for people or as one JSON document.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn print(&self, json: bool, out: &mut dyn Write) -> io::Result<()> {
        if json { self.print_json(out) } else { self.print_text(out) }
    }

    fn print_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let judged = Invariant::ALL.into_iter().map(|invariant| Judged {
            number: invariant.number(),
            statement: invariant.statement(),
            ok: self.findings.count(invariant) == 0,
            findings: self.findings.count(invariant),
            first: self.findings.of(invariant).collect(),
        });
        let document = Document {
            ok: self.is_ok(),
            complete: self.is_complete,
            facts: &self.facts,
            speed: self.speed,
            invariants: judged.collect(),
        };
        serde_json::to_writer(&mut *out, &document)?;
        writeln!(out)
    }

    fn print_text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.facts.print(out)?;
        let Speed { took_ms, entries_per_second } = self.speed;
        writeln!(out, "speed      {entries_per_second} entries/s, {took_ms} ms")?;
        for invariant in Invariant::ALL {
            let count = self.findings.count(invariant);
            let number = invariant.number().map_or_else(|| "log".to_owned(), |n| n.to_string());
            let verdict = if count == 0 { "ok   " } else { "FAULT" };
            writeln!(out, "{verdict} {number:>3}  {}", invariant.statement())?;
            for finding in self.findings.of(invariant) {
                writeln!(out, "           {}", finding.place)?;
                writeln!(out, "             {}", finding.about)?;
                writeln!(out, "             expected {}", finding.expected)?;
                writeln!(out, "             found    {}", finding.found)?;
            }
            let shown = u64::try_from(self.findings.of(invariant).count()).unwrap_or(0);
            if count > shown {
                writeln!(out, "           and {} more", count - shown)?;
            }
        }
        match (self.is_ok(), self.is_complete) {
            (true, _) => writeln!(out, "every invariant holds"),
            (false, true) => writeln!(out, "the shop has a fault"),
            (false, false) => writeln!(out, "the log is damaged: nothing behind that was checked"),
        }
    }
}

impl Facts {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { lanes, segments, log_bytes, frames, steps, entries, .. } = self;
        writeln!(
            out,
            "log        {lanes} + {lanes} lanes, {segments} segments, {log_bytes} bytes"
        )?;
        if self.unfinished_bytes > 0 {
            let bytes = self.unfinished_bytes;
            writeln!(out, "           and {bytes} bytes of a write that never finished")?;
        }
        writeln!(out, "journal    {steps} steps, {entries} entries in {frames} frames")?;
        writeln!(out, "in flight  {} inputs", self.unread_inputs)?;
        let Self { users, products, carts, payable, .. } = self;
        writeln!(out, "shop       {users} users, {products} products, {carts} filled carts")?;
        writeln!(out, "orders     {}", listed(&self.orders))?;
        if *payable > 0 {
            writeln!(out, "payable    {payable} of the PENDING")?;
        }
        if !self.failed.is_empty() {
            writeln!(out, "failed     {}", listed(&self.failed))?;
        }
        let MoneyFacts { charged, paid, refunded, held } = self.money;
        writeln!(
            out,
            "money      {charged} charged, {paid} paid, {refunded} refunded, {held} in wallets"
        )?;
        let UnitFacts { supplied, available, reserved, sold, refunded, returned } = self.units;
        writeln!(
            out,
            "units      {supplied} in, {available} available, {reserved} reserved, {sold} sold"
        )?;
        if refunded > 0 {
            writeln!(
                out,
                "returns    {refunded} units paid back, {returned} of them back in stock"
            )?;
        }
        writeln!(out, "lists      {} published lists of best sellers", self.top_lists)?;
        for TopProduct { rank, product_id, units, amount } in &self.top {
            writeln!(out, "top {rank:<6} product {product_id}: {units} units for {amount}")?;
        }
        match self.store {
            Some(StoreFacts { source, rows, behind }) => {
                writeln!(out, "store      {rows} rows of {source}, {behind} entries behind")?;
            }
            None => writeln!(out, "store      none that could be compared")?,
        }
        if let Some(hash) = &self.state_hash {
            writeln!(out, "state      {hash}")?;
        }
        Ok(())
    }
}

fn listed(counts: &BTreeMap<&'static str, u64>) -> String {
    let parts: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}
