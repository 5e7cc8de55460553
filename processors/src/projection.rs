//! What follows a commit once it is durable: rows, then answers, then the watermark. So an outcome
//! is never early (whoever has seen it also reads it) and never lost (a restore sends it again
//! unless the watermark is past it).

use jupan_log::LaneLog;
use jupan_schemas::{
    Answer, Codec, CommandResult, Lane,
    planted::{Bug, is_planted},
    rows::{Key, Row, Watermark},
};
use jupan_store::{LaneStore, StoreError};
use std::{collections::VecDeque, sync::Arc};

/// A commit that waits to be durable and projected.
pub(crate) struct Pending {
    /// Compared with what is durable.
    pub(crate) ticket: u64,
    /// How many entries.
    pub(crate) entries: usize,
    /// How many of them went to the dead letters.
    pub(crate) dead_letters: usize,
    /// The rows after it.
    pub(crate) rows: Vec<Row>,
    /// Its outcomes.
    pub(crate) answers: Vec<Answer>,
    /// Where the lane stands after it.
    pub(crate) watermark: Watermark,
}

/// What became durable and was projected.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Projected {
    pub(crate) commits: usize,
    pub(crate) entries: usize,
    pub(crate) dead_letters: usize,
}

/// The commits of one lane on their way to the store.
pub(crate) struct Projection {
    lane: Lane,
    store: Arc<dyn LaneStore>,
    waiting: VecDeque<Pending>,
    entries: usize,
    acknowledged: u64,
}

impl Projection {
    pub(crate) fn new(lane: Lane, store: Arc<dyn LaneStore>) -> Self {
        Self { lane, store, waiting: VecDeque::new(), entries: 0, acknowledged: 0 }
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

    /// Projects every waiting commit up to the durable ticket.
    pub(crate) fn advance(
        &mut self,
        durable: u64,
        codec: &mut Codec,
        log: &mut dyn LaneLog,
    ) -> Result<Projected, StoreError> {
        let ready = self.waiting.iter().take_while(|pending| pending.ticket <= durable).count();
        let mut projected = Projected { commits: ready, ..Projected::default() };
        for pending in self.waiting.drain(..ready) {
            projected.entries += pending.entries;
            projected.dead_letters += pending.dead_letters;
            if is_planted(Bug::WatermarkBeforeRows) {
                self.store.set_watermark(self.lane, pending.watermark)?;
            }
            project(self.lane, self.store.as_ref(), pending.rows, &pending.answers, codec, log)?;
            self.store.set_watermark(self.lane, pending.watermark)?;
            self.acknowledged = pending.watermark.sequence;
        }
        self.entries -= projected.entries;
        Ok(projected)
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
        project(self.lane, self.store.as_ref(), rows, answers, codec, log)?;
        self.store.set_watermark(self.lane, watermark)?;
        self.acknowledged = watermark.sequence;
        Ok(())
    }
}

fn project(
    lane: Lane,
    store: &dyn LaneStore,
    rows: Vec<Row>,
    answers: &[Answer],
    codec: &mut Codec,
    log: &mut dyn LaneLog,
) -> Result<(), StoreError> {
    if is_planted(Bug::OutcomeBeforeRow) {
        tell(answers, codec, log);
    }
    if !rows.is_empty() {
        store.apply(lane, rows)?;
    }
    tell(answers, codec, log);
    Ok(())
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
