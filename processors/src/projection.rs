//! What follows a commit once it is durable: rows, then answers, then the watermark. So an outcome
//! is never early (whoever has seen it also reads it) and never lost (a restore sends it again
//! unless the watermark is past it).
//!
//! Commits that nobody waits for may lie a moment, so that what they change again and again (a hot
//! product, a hold that ends at once) goes to the store once. The last version of a row always goes
//! there, even of a hold that began meanwhile: a successor that restores may have written it as open,
//! and our watermark says that its end is there.

use jupan_log::LaneLog;
use jupan_schemas::{
    Answer, Code, Codec, CommandResult, Lane, Micros,
    planted::{Bug, is_planted},
    rows::{Key, Row, Watermark},
};
use jupan_store::{Applying, LaneStore, StoreError};
use std::{collections::VecDeque, mem, sync::Arc, time::Duration};

/// A commit that waits to be durable and projected.
pub(crate) struct Pending {
    /// Compared with what is durable.
    pub(crate) ticket: u64,
    /// When it was committed.
    pub(crate) at: Micros,
    /// How many entries.
    pub(crate) entries: usize,
    /// How many of them went to the dead letters.
    pub(crate) dead_letters: usize,
    /// What its orders ended with, one code each.
    pub(crate) ended: Vec<Code>,
    /// The rows after it.
    pub(crate) rows: Vec<Row>,
    /// Its outcomes.
    pub(crate) answers: Vec<Answer>,
    /// Where the lane stands after it.
    pub(crate) watermark: Watermark,
}

/// What became durable and was projected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Projected {
    pub(crate) commits: usize,
    pub(crate) entries: usize,
    pub(crate) dead_letters: usize,
    /// What orders ended with, one code each.
    pub(crate) ended: Vec<Code>,
    /// When the oldest of the commits was made, if there was one.
    pub(crate) oldest: Option<Micros>,
}

impl Projected {
    fn of(pending: &mut Pending) -> Self {
        let Pending { entries, dead_letters, at, .. } = *pending;
        let ended = mem::take(&mut pending.ended);
        Self { commits: 1, entries, dead_letters, ended, oldest: Some(at) }
    }

    fn add(&mut self, later: Self) {
        self.commits += later.commits;
        self.entries += later.entries;
        self.dead_letters += later.dead_letters;
        self.ended.extend(later.ended);
        self.oldest = self.oldest.or(later.oldest);
    }
}

/// Commits that go to the store as one.
struct Merged {
    rows: Vec<Row>,
    answers: Vec<Answer>,
    watermark: Watermark,
    counted: Projected,
}

impl Merged {
    fn of(mut pending: Pending) -> Self {
        let counted = Projected::of(&mut pending);
        let Pending { rows, answers, watermark, .. } = pending;
        Self { rows, answers, watermark, counted }
    }

    fn add(&mut self, mut pending: Pending) {
        self.counted.add(Projected::of(&mut pending));
        self.rows.extend(pending.rows);
        self.answers.extend(pending.answers);
        self.watermark = pending.watermark;
    }
}

/// Commits whose rows are on their way into the store.
struct UnderWay {
    /// Without the rows.
    merged: Merged,
    applying: Applying,
}

/// How often a lane that has nothing else to do looks whether rows have arrived in the store.
const APPLY_LOOK: Duration = Duration::from_millis(1);

/// Bounds of a projection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coalescing {
    /// How long a commit may lie that nobody waits for.
    pub(crate) wait: Duration,
    /// Entries that lie no longer, together.
    pub(crate) entries_max: usize,
}

/// The commits of one lane on their way to the store.
pub(crate) struct Projection {
    lane: Lane,
    store: Arc<dyn LaneStore>,
    waiting: VecDeque<Pending>,
    under_way: Option<UnderWay>,
    entries: usize,
    acknowledged: u64,
    coalescing: Coalescing,
}

impl Projection {
    pub(crate) fn new(lane: Lane, store: Arc<dyn LaneStore>, coalescing: Coalescing) -> Self {
        let waiting = VecDeque::new();
        let under_way = None;
        Self { lane, store, waiting, under_way, entries: 0, acknowledged: 0, coalescing }
    }

    /// Entries that are committed and not yet projected.
    pub(crate) fn entries(&self) -> usize {
        self.entries
    }

    /// Sequence of the last entry that the store has.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    pub(crate) fn push(&mut self, pending: Pending) {
        self.entries += pending.entries;
        self.waiting.push_back(pending);
    }

    pub(crate) fn load(&self, keys: &[Key]) -> Result<Vec<Option<Row>>, StoreError> {
        self.store.load(keys)
    }

    /// Whether the waiting commits up to the durable ticket have lain long enough, or somebody waits
    /// for one of them.
    fn is_due(&self, durable: u64, now: Micros) -> bool {
        let Some(oldest) = self.durable(durable).next() else { return false };
        let lain_us = now.0.saturating_sub(oldest.at.0);
        let wait_us = i64::try_from(self.coalescing.wait.as_micros()).unwrap_or(i64::MAX);
        // A clock that was set back must not keep them.
        let is_old = !(0..wait_us).contains(&lain_us);
        let is_much = self.entries >= self.coalescing.entries_max;
        is_old || is_much || self.durable(durable).any(|pending| !pending.answers.is_empty())
    }

    fn durable(&self, ticket: u64) -> impl Iterator<Item = &Pending> {
        self.waiting.iter().take_while(move |pending| pending.ticket <= ticket)
    }

    /// How long the lane may look elsewhere, if anything waits here.
    pub(crate) fn patience(&self) -> Option<Duration> {
        if self.under_way.is_some() {
            Some(APPLY_LOOK)
        } else {
            let lies = self.entries > 0 && !self.coalescing.wait.is_zero();
            lies.then_some(self.coalescing.wait)
        }
    }

    /// Projects the waiting commits up to the durable ticket, as far as they are due `now`; all of
    /// them without a `now`. Several go to the store as one, as far as the bound on entries goes; while
    /// the store is at it, the lane goes on.
    pub(crate) fn advance(
        &mut self,
        durable: u64,
        now: Option<Micros>,
        codec: &mut Codec,
        log: &mut dyn LaneLog,
    ) -> Result<Projected, StoreError> {
        let mut projected = Projected::default();
        loop {
            if let Some(mut under_way) = self.under_way.take() {
                let Some(result) = under_way.applying.result() else {
                    self.under_way = Some(under_way);
                    break;
                };
                result?;
                let Merged { answers, watermark, counted, .. } = under_way.merged;
                self.conclude(&answers, watermark, codec, log)?;
                projected.add(counted);
            }
            if now.is_some_and(|now| !self.is_due(durable, now)) {
                break;
            }
            let Some(merged) = self.take(durable) else { break };
            self.under_way = Some(self.begin(merged, codec, log)?);
        }
        self.entries -= projected.entries;
        Ok(projected)
    }

    fn begin(
        &self,
        mut merged: Merged,
        codec: &mut Codec,
        log: &mut dyn LaneLog,
    ) -> Result<UnderWay, StoreError> {
        if is_planted(Bug::WatermarkBeforeRows) {
            self.store.set_watermark(self.lane, merged.watermark)?;
        }
        if is_planted(Bug::OutcomeBeforeRow) {
            tell(&merged.answers, codec, log);
        }
        let rows = mem::take(&mut merged.rows);
        let applying = match rows.is_empty() {
            true => Applying::ended(Ok(())),
            false => self.store.begin(self.lane, rows),
        };
        Ok(UnderWay { merged, applying })
    }

    /// Takes the oldest durable commits that go to the store together.
    fn take(&mut self, durable: u64) -> Option<Merged> {
        let mut merged = None::<Merged>;
        while let Some(next) = self.waiting.front()
            && next.ticket <= durable
            && merged.as_ref().is_none_or(|merged| self.has_room(merged, next))
            && let Some(next) = self.waiting.pop_front()
        {
            match &mut merged {
                None => merged = Some(Merged::of(next)),
                Some(merged) => merged.add(next),
            }
        }
        merged
    }

    fn has_room(&self, merged: &Merged, next: &Pending) -> bool {
        merged.counted.entries + next.entries <= self.coalescing.entries_max
    }

    /// Projects what a restore folded from the journal: it is durable already.
    pub(crate) fn catch_up(
        &mut self,
        rows: Vec<Row>,
        answers: &[Answer],
        watermark: Watermark,
        codec: &mut Codec,
        log: &mut dyn LaneLog,
    ) -> Result<(), StoreError> {
        if is_planted(Bug::OutcomeBeforeRow) {
            tell(answers, codec, log);
        }
        if !rows.is_empty() {
            self.store.apply(self.lane, rows)?;
        }
        self.conclude(answers, watermark, codec, log)
    }

    /// What follows rows that are in the store: first whoever waits is told.
    fn conclude(
        &mut self,
        answers: &[Answer],
        watermark: Watermark,
        codec: &mut Codec,
        log: &mut dyn LaneLog,
    ) -> Result<(), StoreError> {
        tell(answers, codec, log);
        self.store.set_watermark(self.lane, watermark)?;
        self.acknowledged = watermark.sequence;
        Ok(())
    }
}

fn tell(answers: &[Answer], codec: &mut Codec, log: &mut dyn LaneLog) {
    for answer in answers {
        let result = CommandResult {
            command_id: answer.command_id,
            position: answer.asker.position,
            code: answer.outcome.code,
            order_id: answer.outcome.order_id,
            balance: answer.outcome.balance,
            product_id: answer.outcome.product_id,
        };
        log.answer(answer.asker.reply_to, codec.to_bytes(&result).into());
    }
}
