//! Runs lanes: a thread each, started and joined as the log assigns them, drained together.

use crate::{
    lane::{Parts, Worker},
    role::Wired,
    stop::Stop,
};
use jupan_ledger::{products::Products, users::Users};
use jupan_log::{Assignment, AssignmentChange, LaneError};
use jupan_schemas::{Lane, Role};
use jupan_store::StoreError;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How long an assignment is waited for before the host looks whether it must stop.
const ASSIGNMENT_WAIT: Duration = Duration::from_millis(100);
/// Pause between two looks at whether all lanes are idle: longer than a lane's poll, so that a
/// message on its way between two idle lanes shows as a turn.
const DRAIN_PAUSE: Duration = Duration::from_millis(120);
/// Pause before a lane whose commit's fate was unknown, or whose store was away, is taken over again.
const TAKEOVER_PAUSE: Duration = Duration::from_millis(200);
/// How often a pausing lane looks whether it must stop.
const STOP_LOOK: Duration = Duration::from_millis(50);

/// What lanes tell the host while they run.
#[derive(Default)]
struct Status {
    /// Whether the lane is open and reads its inputs.
    open: AtomicBool,
    /// Whether its last turn had nothing to do and waits for nothing.
    idle: AtomicBool,
    /// Turns that did something.
    active_turns: AtomicU64,
}

/// What host and lanes share.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    failure: Mutex<Option<String>>,
    lanes: Mutex<BTreeMap<Lane, Arc<Status>>>,
    /// Roles whose lanes in this process are known.
    settled: Mutex<BTreeSet<Role>>,
}

impl Shared {
    fn fail(&self, cause: String) {
        self.failure.lock().get_or_insert(cause);
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn settle(&self, role: Role, is_settled: bool) {
        let mut settled = self.settled.lock();
        let _changed = if is_settled { settled.insert(role) } else { settled.remove(&role) };
    }

    /// Turns done by all lanes, if every one of them is idle.
    fn idle_turns(&self) -> Option<u64> {
        let lanes = self.lanes.lock();
        let all_idle = lanes.values().all(|status| status.idle.load(Ordering::Acquire));
        let turns = lanes.values().map(|status| status.active_turns.load(Ordering::Acquire)).sum();
        all_idle.then_some(turns)
    }
}

/// The lanes of one process.
pub struct Host {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    roles: usize,
}

impl Host {
    /// Starts the lanes of these roles, as they are assigned.
    ///
    /// # Errors
    /// [`LaneError`] where the log gives no assignment.
    pub fn start(parts: &Parts, roles: &[Role]) -> Result<Self, LaneError> {
        let shared = Arc::new(Shared::default());
        let mut threads = Vec::new();
        for role in roles {
            let assignment = parts.log.assignment(*role)?;
            let (parts, shared, role) = (parts.clone(), shared.clone(), *role);
            let host = RoleHost { parts, shared, role, running: BTreeMap::new() };
            threads.push(spawn(format!("jupan-{}", role.name()), move || host.run(assignment)));
        }
        Ok(Self { shared, threads: Mutex::new(threads), roles: roles.len() })
    }

    /// Whether it is known which lanes run here, and every one of them is open: restored and reading.
    pub fn is_ready(&self) -> bool {
        let is_settled = self.shared.settled.lock().len() == self.roles;
        let lanes = self.shared.lanes.lock();
        let are_open = lanes.values().all(|status| status.open.load(Ordering::Acquire));
        is_settled && are_open && self.shared.failure.lock().is_none()
    }

    /// Why a lane has stopped for good, if one has.
    pub fn failure(&self) -> Option<String> {
        self.shared.failure.lock().clone()
    }

    /// Lets the lanes finish what is in the log, at most for so long, and stops them. What is left
    /// over waits in the log for the next start. Returns whether nothing is left over.
    pub fn drain(&self, within: Duration) -> bool {
        let end = Instant::now() + within;
        let mut quiet = None;
        let mut finished = false;
        while Instant::now() < end && self.shared.failure.lock().is_none() {
            let turns = self.shared.idle_turns();
            if turns.is_some() && turns == quiet {
                finished = true;
                break;
            }
            quiet = turns;
            std::thread::park_timeout(DRAIN_PAUSE);
        }
        self.shared.stop.store(true, Ordering::Release);
        for role in std::mem::take(&mut *self.threads.lock()) {
            finished &= role.join().is_ok();
        }
        finished
    }
}

/// The lanes of one role.
struct RoleHost {
    parts: Parts,
    shared: Arc<Shared>,
    role: Role,
    running: BTreeMap<Lane, (Arc<AtomicBool>, JoinHandle<()>)>,
}

impl RoleHost {
    fn run(mut self, mut assignment: Box<dyn Assignment>) {
        while !self.shared.is_stopping() {
            match assignment.poll(ASSIGNMENT_WAIT) {
                Ok(changes) => {
                    changes.into_iter().for_each(|change| self.apply(change));
                    self.shared.settle(self.role, assignment.is_settled());
                }
                Err(error) => {
                    self.shared.fail(error.to_string());
                    break;
                }
            }
        }
        for lane in self.running.keys().copied().collect::<Vec<_>>() {
            self.revoke(lane);
        }
    }

    fn apply(&mut self, change: AssignmentChange) {
        match change {
            AssignmentChange::Assigned(lane) => self.assign(lane),
            AssignmentChange::Revoked(lane) => self.revoke(lane),
        }
    }

    fn assign(&mut self, lane: Lane) {
        self.revoke(lane);
        let status = Arc::new(Status::default());
        self.shared.lanes.lock().insert(lane, status.clone());
        let revoked = Arc::new(AtomicBool::new(false));
        let thread = LaneThread {
            parts: self.parts.clone(),
            shared: self.shared.clone(),
            lane,
            status,
            revoked: revoked.clone(),
        };
        let role = self.role;
        let handle = spawn(format!("lane-{lane}"), move || {
            let shared = thread.shared.clone();
            let run = AssertUnwindSafe(|| match role {
                Role::Users => thread.run::<Users>(),
                Role::Products => thread.run::<Products>(),
            });
            // A lane that panics has a bug and is gone: the shop must not go on as if it were there.
            if catch_unwind(run).is_err() {
                shared.fail(format!("lane {lane} panicked"));
            }
        });
        self.running.insert(lane, (revoked, handle));
    }

    /// Stops a lane and joins its thread: afterwards nobody here writes as its owner.
    fn revoke(&mut self, lane: Lane) {
        if let Some((revoked, handle)) = self.running.remove(&lane) {
            revoked.store(true, Ordering::Release);
            if handle.join().is_err() {
                self.shared.fail(format!("lane {lane}'s thread broke"));
            }
            self.shared.lanes.lock().remove(&lane);
        }
    }
}

/// One lane's thread.
struct LaneThread {
    parts: Parts,
    shared: Arc<Shared>,
    lane: Lane,
    status: Arc<Status>,
    revoked: Arc<AtomicBool>,
}

impl LaneThread {
    fn must_stop(&self) -> bool {
        self.shared.is_stopping() || self.revoked.load(Ordering::Acquire)
    }

    fn run<C: Wired>(&self) {
        while !self.must_stop() {
            let ended =
                Worker::<C>::open(&self.parts, self.lane).and_then(|worker| self.work(worker));
            self.status.open.store(false, Ordering::Release);
            match ended {
                Ok(()) => return,
                // Whoever took it over has it. Where it is ours all the same, the assignment says so
                // once more.
                Err(Stop::Log(LaneError::Fenced { .. })) => {
                    tracing::warn!(lane = %self.lane, "lane was taken over by another owner");
                    return;
                }
                Err(
                    error @ (Stop::Log(LaneError::Unknown { .. })
                    | Stop::Store(StoreError::Unavailable { .. })),
                ) => {
                    tracing::warn!(lane = %self.lane, %error, "taking over again");
                    self.pause(TAKEOVER_PAUSE);
                }
                Err(stop) => {
                    let cause = with_sources(&stop);
                    tracing::error!(lane = %self.lane, cause, "lane stopped");
                    self.shared.fail(cause);
                    return;
                }
            }
        }
    }

    /// Waits, or less if it must stop.
    fn pause(&self, pause: Duration) {
        let end = Instant::now() + pause;
        while !self.must_stop() && Instant::now() < end {
            std::thread::park_timeout(STOP_LOOK.min(end.saturating_duration_since(Instant::now())));
        }
    }

    /// Turns until told to stop; what is committed by then is durable and projected at the end.
    fn work<C: Wired>(&self, mut worker: Worker<C>) -> Result<(), Stop> {
        self.status.open.store(true, Ordering::Release);
        let wait = self.parts.limits.poll_wait;
        while !self.must_stop() {
            let turn = worker.turn(wait)?;
            self.status.idle.store(turn.is_idle(), Ordering::Release);
            if !turn.is_idle() {
                self.status.active_turns.fetch_add(1, Ordering::AcqRel);
            }
        }
        worker.finish()
    }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let thread = std::thread::Builder::new().name(name);
    #[allow(clippy::expect_used, reason = "without threads there is no shop")]
    thread.spawn(run).expect("the system starts a thread")
}

/// An error with all its sources, for the operator.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
