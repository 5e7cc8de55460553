//! Providers that break exactly one rule each: the memory log behind a wrapper with one flaw. Each
//! must fail a check of its rule, or that check proves nothing.

mod lane;
mod log;

use super::{ALL, CHECKS, Fixture, USERS, run_all};
use crate::clock::ManualClock;
use crate::memory::{Fault, MemoryLog, Options};
use crate::{Commit, Log};
use jupan_schemas::{Micros, TopicId};
use log::{Flawed, FlawedLog};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const QUEUE_BYTES_MAX: usize = 8_000;

/// What a provider does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    ChangesTimes,
    ReversesReads,
    AcknowledgesEarly,
    AppendsWhatItRefuses,
    ReordersAppends,
    ReversesCommits,
    TearsCommits,
    SwapsCommits,
    FencesNobody,
    FencesTooLate,
    CallsAnyoneOwner,
    CallsNobodyOwner,
    HidesTail,
    OpensOverUndurable,
    DecidesUnknownLater,
    PollsTwice,
    SkipsInputs,
    IgnoresSeek,
    ShowsUndurable,
    LosesWhatLanesActedUpon,
    DurableTooHigh,
    DurableFalls,
    NeverDurable,
    SilentBelowStart,
    SilentSeekBelowStart,
    UnboundedAppends,
    UnboundedCommits,
    ChangesAnswers,
    Misdelivers,
}

/// Each flaw with the rule that it breaks.
const FLAWS: [(Flaw, &str); 29] = [
    (Flaw::ChangesTimes, "1 "),
    (Flaw::ReversesReads, "1 "),
    (Flaw::AcknowledgesEarly, "2 "),
    (Flaw::AppendsWhatItRefuses, "2 "),
    (Flaw::ReordersAppends, "3 "),
    (Flaw::ReversesCommits, "3 "),
    (Flaw::TearsCommits, "4 "),
    (Flaw::SwapsCommits, "4 "),
    (Flaw::FencesNobody, "5"),
    (Flaw::FencesTooLate, "5"),
    (Flaw::CallsAnyoneOwner, "5"),
    (Flaw::CallsNobodyOwner, "5"),
    (Flaw::HidesTail, "6"),
    (Flaw::OpensOverUndurable, "6"),
    (Flaw::DecidesUnknownLater, "7 "),
    (Flaw::PollsTwice, "8 "),
    (Flaw::SkipsInputs, "8 "),
    (Flaw::IgnoresSeek, "8 "),
    (Flaw::ShowsUndurable, "9 "),
    (Flaw::LosesWhatLanesActedUpon, "9 "),
    (Flaw::DurableTooHigh, "10 "),
    (Flaw::DurableFalls, "10 "),
    (Flaw::NeverDurable, "10 "),
    (Flaw::SilentBelowStart, "11 "),
    (Flaw::SilentSeekBelowStart, "11 "),
    (Flaw::UnboundedAppends, "12 "),
    (Flaw::UnboundedCommits, "12 "),
    (Flaw::ChangesAnswers, "13 "),
    (Flaw::Misdelivers, "13 "),
];

/// Opens memory logs with a flaw, and crashes them with another number of survivors each time.
struct FlawedFixture {
    flaw: Flaw,
    last: Mutex<Option<Arc<Flawed>>>,
    crashes: AtomicU64,
}

impl FlawedFixture {
    fn new(flaw: Flaw) -> Self {
        Self { flaw, last: Mutex::new(None), crashes: AtomicU64::new(0) }
    }

    fn wrap(&self, inner: MemoryLog) -> Arc<dyn Log> {
        let flawed = Arc::new(Flawed::new(inner, self.flaw));
        *self.last.lock() = Some(flawed.clone());
        Arc::new(FlawedLog(flawed))
    }

    fn last(&self) -> Arc<Flawed> {
        self.last.lock().clone().expect("a log is open")
    }
}

impl Fixture for FlawedFixture {
    fn open(&self) -> Arc<dyn Log> {
        let is_bounded = !matches!(self.flaw, Flaw::UnboundedAppends | Flaw::UnboundedCommits);
        let queue_bytes_max = if is_bounded { QUEUE_BYTES_MAX } else { usize::MAX };
        let options = Options { auto_sync: false, queue_bytes_max, ..Options::default() };
        self.wrap(MemoryLog::new(options, Arc::new(ManualClock::at(Micros(1)))))
    }

    fn reopen_after_crash(&self, _log: Arc<dyn Log>) -> Arc<dyn Log> {
        let inner = self.last().inner.clone();
        let seed = self.crashes.fetch_add(1, Ordering::SeqCst);
        if self.flaw == Flaw::LosesWhatLanesActedUpon && inner.unsynced() > 0 {
            return self.wrap(without_commands(&inner.crash(usize::MAX)));
        }
        self.wrap(inner.crash_by(seed))
    }

    fn queue_bytes_max(&self) -> usize {
        QUEUE_BYTES_MAX
    }

    fn hold_syncs(&self) -> bool {
        self.last().is_held.store(true, Ordering::SeqCst);
        true
    }

    fn release_syncs(&self) {
        self.last().is_held.store(false, Ordering::SeqCst);
        self.last().inner.sync();
    }

    fn next_commit_unknown(&self, happened: bool) -> bool {
        self.last().inner.fail_next(Fault::CommitUnknown { lane: None, happened });
        true
    }

    fn trim(&self, topic: TopicId, partition: u16, start: u64) -> bool {
        self.last().inner.trim(topic, partition, start).is_ok()
    }
}

/// A log with the steps of another one and none of its commands.
fn without_commands(old: &MemoryLog) -> MemoryLog {
    let options = Options { auto_sync: false, ..Options::default() };
    let new = MemoryLog::new(options, Arc::new(ManualClock::at(Micros(2))));
    let steps = old.read(TopicId::UserJournal, 0, 0, ALL).expect("read").records;
    let mut lane = new.open(USERS).expect("open");
    for step in steps {
        let commit = Commit { steps: vec![step.value], ..Commit::default() };
        lane.commit(commit).expect("commit");
    }
    new.sync();
    new
}

#[test]
fn the_wrapper_without_a_flaw_passes() {
    run_all(&FlawedFixture::new(Flaw::None));
}

/// Every check of a flaw's rule in a thread of its own; it ends with a panic where the check fails.
fn run_checks(flaw: Flaw, rule: &str) -> Vec<(&'static str, thread::JoinHandle<()>)> {
    let of_rule = CHECKS.iter().filter(|(name, _)| name.starts_with(rule));
    let run = |check: fn(&dyn Fixture)| thread::spawn(move || check(&FlawedFixture::new(flaw)));
    of_rule.map(|(name, check)| (*name, run(*check))).collect()
}

#[test]
fn every_flaw_fails_a_check_of_its_rule() {
    let running = FLAWS.map(|(flaw, rule)| (flaw, rule, run_checks(flaw, rule)));
    let mut caught = Vec::new();
    for (flaw, rule, checks) in running {
        let failed = checks.into_iter().filter_map(|(name, run)| run.join().err().map(|_| name));
        let failed: Vec<_> = failed.collect();
        assert!(!failed.is_empty(), "{flaw:?} passes every check of rule {rule}");
        caught.extend(failed);
    }
    for (name, _) in CHECKS {
        assert!(caught.contains(&name), "no flaw fails the check of {name}");
    }
}
