//! Every call of a lane to its log or its store passes here first. So anything can happen between
//! any two of them: the power fails, the store does, time passes, or somebody else takes the lane
//! over while its owner is in the middle of something.

use crate::{lanes::Owner, ports::Ports};
use jupan_log::{ManualClock, memory::MemoryLog};
use jupan_processors::Stop;
use jupan_schemas::Lane;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Plans that wait for their call.
const PLANS_MAX: usize = 8;
/// What a call is told that does not get through.
const DARK: &str = "the power failed";
const ASKED_FOR: &str = "a fault was asked for";

/// Whether a call failed for no other reason than that the gate did not let it through.
pub(crate) fn is_asked_for(cause: &str) -> bool {
    [DARK, ASKED_FOR].contains(&cause)
}

/// Whom a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Log,
    Store,
}

/// What happens instead of a call, or before it.
pub(crate) enum Interruption {
    /// Nothing gets through any more, to anybody.
    PowerFails,
    /// This call to the store fails.
    StoreFails,
    /// So many calls to the store take so long, the first one of which is this one.
    StoreSlow { calls: u32, call_us: i64 },
    /// Another process opens the lane, and turns it a few times, before this call gets through.
    Takeover { ports: Ports, turns: u32 },
}

/// An interruption, and the calls that get through before it.
struct Plan {
    calls: u64,
    what: Interruption,
}

impl Plan {
    fn is_about(&self, call: Call) -> bool {
        match self.what {
            Interruption::StoreFails | Interruption::StoreSlow { .. } => call == Call::Store,
            Interruption::PowerFails | Interruption::Takeover { .. } => true,
        }
    }
}

/// A lane that was taken over while its owner was in the middle of something: who did it, or why it
/// did not work.
pub(crate) type Entered = (Lane, Result<Owner, Stop>);

struct State {
    log: MemoryLog,
    plans: VecDeque<Plan>,
    slow_calls: u32,
    call_us: i64,
    is_dark: bool,
    entered: Vec<Entered>,
}

/// See the module.
pub(crate) struct Gate {
    clock: Arc<ManualClock>,
    state: Mutex<State>,
}

impl Gate {
    pub(crate) fn new(log: &MemoryLog, clock: Arc<ManualClock>) -> Self {
        let state = State {
            log: log.clone(),
            plans: VecDeque::new(),
            slow_calls: 0,
            call_us: 0,
            is_dark: false,
            entered: Vec::new(),
        };
        Self { clock, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plans an interruption behind so many calls of the kind that it is about.
    pub(crate) fn plan(&self, calls: u64, what: Interruption) {
        let plans = &mut self.state().plans;
        if plans.len() < PLANS_MAX {
            plans.push_back(Plan { calls, what });
        }
    }

    /// Nothing happens any more.
    pub(crate) fn disarm(&self) {
        let mut state = self.state();
        (state.slow_calls, state.plans) = (0, VecDeque::new());
    }

    /// The power is back, and the log is what is left of it.
    pub(crate) fn restart(&self, log: &MemoryLog) {
        let mut state = self.state();
        (state.is_dark, state.log) = (false, log.clone());
        state.entered.clear();
        let State { plans, .. } = &mut *state;
        // Who would take over was another process of the same machine.
        plans.retain(|plan| !matches!(plan.what, Interruption::Takeover { .. }));
    }

    pub(crate) fn is_dark(&self) -> bool {
        self.state().is_dark
    }

    /// Who came in since the last time this was asked.
    pub(crate) fn take_entered(&self) -> Vec<Entered> {
        std::mem::take(&mut self.state().entered)
    }

    /// Lets a lane's call through, or says why not.
    pub(crate) fn pass(&self, lane: Lane, call: Call) -> Result<(), &'static str> {
        match self.next(call)? {
            None | Some(Interruption::StoreSlow { .. }) => Ok(()),
            Some(Interruption::StoreFails) => Err(ASKED_FOR),
            Some(Interruption::PowerFails) => Err(DARK),
            Some(Interruption::Takeover { ports, turns }) => {
                // Nothing is locked: the other one's calls pass here, too.
                let opened = Owner::open(&ports.parts(lane), lane).and_then(|mut owner| {
                    (0..turns).try_for_each(|_| owner.turn().map(drop))?;
                    Ok(owner)
                });
                self.state().entered.push((lane, opened));
                if self.is_dark() { Err(DARK) } else { Ok(()) }
            }
        }
    }

    /// What is due at this call.
    fn next(&self, call: Call) -> Result<Option<Interruption>, &'static str> {
        let mut state = self.state();
        if state.is_dark {
            return Err(DARK);
        }
        if call == Call::Store && state.slow_calls > 0 {
            state.slow_calls -= 1;
            self.clock.advance(state.call_us);
            // Meanwhile the log goes on writing.
            state.log.sync();
        }
        let Some(plan) = state.plans.front_mut().filter(|plan| plan.is_about(call)) else {
            return Ok(None);
        };
        plan.calls = plan.calls.saturating_sub(1);
        if plan.calls > 0 {
            return Ok(None);
        }
        let due = state.plans.pop_front().map(|plan| plan.what);
        match &due {
            Some(Interruption::PowerFails) => state.is_dark = true,
            Some(Interruption::StoreSlow { calls, call_us }) => {
                (state.slow_calls, state.call_us) = (*calls, *call_us);
            }
            _ => {}
        }
        Ok(due)
    }
}
