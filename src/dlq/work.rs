//! `redrive` and `discard`: a letter at a time, in their order, so many on their way at once.
//!
//! First the command, then the mark. Whoever is killed in between sends the command twice, which
//! decides it once.

use super::{
    Chosen, DiscardOptions, RedriveOptions,
    desk::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Desk, Failed},
    letters::{Done, Letter, Mark, Origin, mark, marks},
    standing::{Home, Standing},
    tell::{find, standing},
};
use crate::{FINE, FOUND_A_FAULT};
use anyhow::bail;
use jupan_log::NewRecord;
use jupan_schemas::{Codec, Micros, TopicId, dead_letters::REDRIVES};
use serde_json::json;
use std::{
    collections::BTreeMap,
    io::{Write, stdout},
};

/// What became of the chosen letters.
#[derive(Debug, Default)]
struct Tally {
    done: u64,
    /// Something was done with them before.
    skipped: u64,
    /// They can't be sent again.
    refused: u64,
    missing: u64,
}

/// A call in the making.
struct Work<'a> {
    desk: &'a Desk,
    chosen: &'a Chosen,
    marks: BTreeMap<u64, Mark>,
    codec: Codec,
    now: Micros,
    tally: Tally,
    batch: Vec<Task>,
    batch_bytes: usize,
}

/// What is to be done with a letter.
struct Task {
    number: u64,
    done: Done,
    /// The record that is sent again.
    sent: Option<(Home, NewRecord)>,
}

/// Sends letters again; the exit code.
///
/// # Errors
/// Where the log cannot be used, or what was done there is unknown.
pub(super) fn redrive(options: &RedriveOptions) -> anyhow::Result<u8> {
    Work::through(&options.chosen, "redriven", &mut |work, letter| {
        work.redrive(letter, options.redrives_max)
    })
}

/// Marks letters as unwanted; the exit code.
///
/// # Errors
/// Where the log cannot be used, or what was done there is unknown.
pub(super) fn discard(options: &DiscardOptions) -> anyhow::Result<u8> {
    Work::through(&options.chosen, "discarded", &mut |work, letter| {
        let done = Done::Discarded(options.reason.clone());
        let told = format!("discard {}", letter.origin);
        work.take(letter.number, &told, Task { number: letter.number, done, sent: None })
    })
}

type Treat<'t> = &'t mut dyn FnMut(&mut Work<'_>, &Letter) -> anyhow::Result<()>;

impl Work<'_> {
    /// Goes through the chosen letters.
    fn through(chosen: &Chosen, word: &str, treat: Treat<'_>) -> anyhow::Result<u8> {
        let desk = Desk::open(&chosen.place)?;
        let mut work = Work {
            desk: &desk,
            chosen,
            marks: marks(&desk)?,
            codec: desk.codec(),
            now: desk.now(),
            tally: Tally::default(),
            batch: Vec::new(),
            batch_bytes: 0,
        };
        if chosen.all {
            desk.each(TopicId::DeadLetters, 0, &mut |record| {
                let letter = Letter::from(record);
                let is_open = !work.marks.contains_key(&letter.number);
                if is_open && chosen.filter.lets(&letter) {
                    treat(&mut work, &letter)?;
                }
                Ok(true)
            })?;
        }
        for number in &chosen.letters {
            work.one(*number, treat)?;
        }
        work.flush()?;
        work.end(word)
    }

    fn one(&mut self, number: u64, treat: Treat<'_>) -> anyhow::Result<()> {
        if let Some(mark) = self.marks.get(&number).cloned() {
            self.tally.skipped += 1;
            return self.tell(number, "skipped", &Standing::Marked(mark).to_string());
        }
        match find(self.desk, number)? {
            Some(letter) if self.chosen.filter.lets(&letter) => treat(self, &letter),
            Some(_) => {
                self.tally.skipped += 1;
                self.tell(number, "skipped", "--code or --topic leave it out")
            }
            None => {
                self.tally.missing += 1;
                self.tell(number, "missing", "there is no such letter")
            }
        }
    }

    fn redrive(&mut self, letter: &Letter, redrives_max: u32) -> anyhow::Result<()> {
        let standing = standing(None, &self.codec, letter, self.desk.lanes(), self.now);
        let why = match standing {
            Standing::Usable(home) if letter.redrives < redrives_max => {
                let told = format!("{}/{} {}", home.topic.name(), home.partition, home.command_id);
                let mut record = NewRecord::new(home.key.clone(), letter.value.clone());
                let redrives = (letter.redrives + 1).to_string();
                record.headers.push((REDRIVES.to_owned(), redrives.into()));
                let done = Done::Redriven(Origin {
                    topic: home.topic.name().to_owned(),
                    partition: home.partition.to_string(),
                    offset: String::new(),
                });
                let task = Task { number: letter.number, done, sent: Some((home, record)) };
                return self.take(letter.number, &told, task);
            }
            Standing::Usable(_) => {
                format!("sent again {} times already: --redrives-max", letter.redrives)
            }
            Standing::Useless(why) => why,
            Standing::Marked(_) => return Ok(()),
        };
        self.tally.refused += 1;
        self.tell(letter.number, "refused", &why)
    }

    /// Puts a task into the batch, or says what it would be.
    fn take(&mut self, number: u64, told: &str, task: Task) -> anyhow::Result<()> {
        if self.chosen.dry_run {
            self.tally.done += 1;
            return self.tell(number, "would", told);
        }
        let bytes = task.sent.as_ref().map_or(0, |(_, record)| record.value.len());
        if self.batch.len() == BATCH_RECORDS_MAX || self.batch_bytes + bytes > BATCH_BYTES_MAX {
            self.flush()?;
        }
        self.batch_bytes += bytes;
        self.batch.push(task);
        Ok(())
    }

    /// Sends what is in the batch, and marks what was sent.
    fn flush(&mut self) -> anyhow::Result<()> {
        self.batch_bytes = 0;
        let mut tasks = std::mem::take(&mut self.batch);
        let sent = tasks.iter().filter_map(|task| task.sent.as_ref());
        let records = sent.map(|(home, record)| (home.topic, home.partition, record.clone()));
        let failure = self.send(records.collect(), &mut tasks)?;
        let is_there =
            |task: &&Task| !matches!(&task.done, Done::Redriven(to) if to.offset.is_empty());
        let done: Vec<_> = tasks.iter().filter(is_there).collect();
        let record = |task: &&Task| {
            let record = mark(task.number, &self.chosen.actor, &task.done);
            (TopicId::DeadLetterMarks, 0, record)
        };
        let marked = match done.is_empty() {
            true => Vec::new(),
            false => self.desk.append(done.iter().map(record).collect())?,
        };
        for (task, marked) in done.iter().zip(marked) {
            if let Err(Failed { cause, .. }) = marked {
                bail!("letter {} may not be marked: {cause}. Run this again", task.number);
            }
            self.tally.done += 1;
            let told = match &task.done {
                Done::Redriven(to) => to.to_string(),
                _ => String::new(),
            };
            self.tell(task.number, "done", &told)?;
        }
        failure.map_or(Ok(()), |(number, failed)| {
            let certainly = if failed.is_not_appended { "was not" } else { "may not be" };
            bail!("letter {number} {certainly} sent again: {}. Run this again", failed.cause)
        })
    }

    /// Notes where each record went, and which was the first that did not go.
    fn send(
        &self,
        records: Vec<(TopicId, u16, NewRecord)>,
        tasks: &mut [Task],
    ) -> anyhow::Result<Option<(u64, Failed)>> {
        if records.is_empty() {
            return Ok(None);
        }
        let results = self.desk.append(records)?;
        let mut failure = None;
        let sent = tasks.iter_mut().filter(|task| task.sent.is_some());
        for (task, result) in sent.zip(results) {
            match (result, &mut task.done) {
                (Ok(offset), Done::Redriven(to)) => to.offset = offset.to_string(),
                (Ok(_), _) => {}
                (Err(failed), _) => {
                    failure.get_or_insert((task.number, failed));
                }
            }
        }
        Ok(failure)
    }

    fn tell(&self, number: u64, word: &str, told: &str) -> anyhow::Result<()> {
        let line = match self.chosen.place.json {
            true => json!({"letter": number, "result": word, "told": told}).to_string(),
            false => format!("{number:>8}  {word:8}  {}", told.escape_debug()),
        };
        Ok(writeln!(stdout(), "{line}")?)
    }

    fn end(&self, word: &str) -> anyhow::Result<u8> {
        let Tally { done, skipped, refused, missing } = self.tally;
        let is_dry = self.chosen.dry_run;
        let line = match self.chosen.place.json {
            true => json!({word: done, "skipped": skipped, "refused": refused, "missing": missing,
                "dryRun": is_dry})
            .to_string(),
            false => {
                let would = if is_dry { "would be " } else { "" };
                format!(
                    "{done} {would}{word}, {skipped} skipped, {refused} refused, {missing} missing"
                )
            }
        };
        writeln!(stdout(), "{line}")?;
        Ok(if refused + missing == 0 { FINE } else { FOUND_A_FAULT })
    }
}
