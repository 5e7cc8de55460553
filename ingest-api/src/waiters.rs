//! Who waits for which outcome. A waiter is seated before its command is appended, so that no
//! outcome can come too early for it, and is told by the command id and its own command's position:
//! one command may be asked twice.

use jupan_schemas::{CommandId, CommandResult, Fingerprint, Outcome};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};
use tokio::sync::oneshot;

/// Command ids are hashes: their last byte spreads them evenly.
const SHARDS: usize = 64;

/// Everybody who waits. Bounded by the gate in front of the log: who is not let in does not wait.
pub(crate) struct Waiters {
    shards: Vec<Mutex<HashMap<CommandId, Table>>>,
    seats_given: AtomicU64,
    seated: AtomicUsize,
    closed: AtomicBool,
}

/// All who wait for one command id.
#[derive(Default)]
struct Table {
    seats: Vec<Seat>,
    /// Outcomes at positions that no seat has yet: the lane was faster than the append's
    /// acknowledgement.
    early: Vec<CommandResult>,
}

struct Seat {
    number: u64,
    /// Absent for a key that nobody else has.
    fingerprint: Option<Fingerprint>,
    /// Where the command was appended, once that is known.
    position: Option<u64>,
    tell: Option<oneshot::Sender<Outcome>>,
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            seats_given: AtomicU64::new(0),
            seated: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    fn shard(&self, id: CommandId) -> &Mutex<HashMap<CommandId, Table>> {
        &self.shards[usize::from(id.0[15]) % SHARDS]
    }

    /// Takes a seat for the outcome of a command that is about to be appended.
    pub(crate) fn seat(
        self: &Arc<Self>,
        id: CommandId,
        fingerprint: Option<Fingerprint>,
    ) -> Waiter {
        let number = self.seats_given.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        let seat = Seat { number, fingerprint, position: None, tell: Some(tell) };
        self.shard(id).lock().entry(id).or_default().seats.push(seat);
        self.seated.fetch_add(1, Ordering::Relaxed);
        Waiter { waiters: Arc::clone(self), id, number, told }
    }

    /// Hands an outcome to those whom it is for.
    pub(crate) fn tell(&self, result: &CommandResult) {
        let mut shard = self.shard(result.command_id).lock();
        let Some(table) = shard.get_mut(&result.command_id) else { return };
        if table.tell(result) {
            return;
        }
        let is_known = table.early.iter().any(|early| early.position == result.position);
        let expected = table.seats.iter().filter(|seat| seat.position.is_none()).count();
        if !is_known && table.early.len() < expected {
            table.early.push(*result);
        }
    }

    /// How many wait.
    pub(crate) fn seated(&self) -> usize {
        self.seated.load(Ordering::Relaxed)
    }

    /// No outcome will come any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

impl Table {
    /// Tells the seat at the result's position and, where the outcome is the command's own, all who
    /// sent the same body under the same key. Returns whether the position is anybody's.
    fn tell(&mut self, result: &CommandResult) -> bool {
        let Some(asker) = self.seats.iter().find(|seat| seat.position == Some(result.position))
        else {
            return false;
        };
        let (number, fingerprint) = (asker.number, asker.fingerprint);
        let is_shared = fingerprint.is_some() && !result.code.is_for_this_asker_only();
        let outcome = Outcome {
            code: result.code,
            order_id: result.order_id,
            balance: result.balance,
            product_id: result.product_id,
        };
        for seat in &mut self.seats {
            if seat.number == number || (is_shared && seat.fingerprint == fingerprint) {
                // Nobody is there if the request ended in this very moment.
                let _ = seat.tell.take().map(|tell| tell.send(outcome));
            }
        }
        true
    }
}

/// One request that waits; gives its seat back when dropped.
pub(crate) struct Waiter {
    waiters: Arc<Waiters>,
    id: CommandId,
    number: u64,
    told: oneshot::Receiver<Outcome>,
}

impl Waiter {
    /// Says where the command lies: from now on its outcome is known by that.
    pub(crate) fn appended_at(&self, position: u64) {
        let mut shard = self.waiters.shard(self.id).lock();
        let Some(table) = shard.get_mut(&self.id) else { return };
        if let Some(seat) = table.seats.iter_mut().find(|seat| seat.number == self.number) {
            seat.position = Some(position);
        }
        if let Some(at) = table.early.iter().position(|early| early.position == position) {
            let result = table.early.swap_remove(at);
            table.tell(&result);
        }
    }

    /// The outcome; for ever pending where none comes.
    pub(crate) async fn outcome(&mut self) -> Outcome {
        match (&mut self.told).await {
            Ok(outcome) => outcome,
            // The sender lives as long as the seat, and the seat as long as this waiter.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters.seated.fetch_sub(1, Ordering::Relaxed);
        let mut shard = self.waiters.shard(self.id).lock();
        let Some(table) = shard.get_mut(&self.id) else { return };
        table.seats.retain(|seat| seat.number != self.number);
        if table.seats.is_empty() {
            shard.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jupan_schemas::{Code, Money, Role};

    fn id() -> CommandId {
        CommandId::of(Role::Users, 7, "k")
    }

    fn result(position: u64, code: Code) -> CommandResult {
        let balance = Some(Money(5));
        CommandResult {
            command_id: id(),
            position,
            code,
            order_id: None,
            balance,
            product_id: None,
        }
    }

    fn code(waiter: &mut Waiter) -> Option<Code> {
        waiter.told.try_recv().ok().map(|outcome| outcome.code)
    }

    const BODY: Option<Fingerprint> = Some(Fingerprint([1; 16]));
    const OTHER: Option<Fingerprint> = Some(Fingerprint([2; 16]));

    #[test]
    fn an_outcome_that_comes_before_the_position_is_kept() {
        let waiters = Arc::new(Waiters::new());
        let mut waiter = waiters.seat(id(), None);
        waiters.tell(&result(4, Code::Ok));
        waiters.tell(&result(4, Code::Ok));
        waiters.tell(&result(3, Code::OutOfStock));
        waiter.appended_at(4);
        assert_eq!(code(&mut waiter), Some(Code::Ok));
    }

    #[test]
    fn only_the_position_and_the_same_body_are_told() {
        let waiters = Arc::new(Waiters::new());
        let mut one = waiters.seat(id(), BODY);
        let mut same = waiters.seat(id(), BODY);
        let mut other = waiters.seat(id(), OTHER);
        one.appended_at(1);
        other.appended_at(2);
        waiters.tell(&result(2, Code::IdempotencyKeyReused));
        assert_eq!((code(&mut one), code(&mut other)), (None, Some(Code::IdempotencyKeyReused)));
        waiters.tell(&result(1, Code::OutOfStock));
        assert_eq!(
            (code(&mut one), code(&mut same)),
            (Some(Code::OutOfStock), Some(Code::OutOfStock))
        );
    }

    #[test]
    fn an_answer_for_one_asker_only_is_not_shared() {
        let waiters = Arc::new(Waiters::new());
        let mut one = waiters.seat(id(), BODY);
        let mut same = waiters.seat(id(), BODY);
        one.appended_at(1);
        same.appended_at(2);
        waiters.tell(&result(1, Code::CommandTooOld));
        assert_eq!((code(&mut one), code(&mut same)), (Some(Code::CommandTooOld), None));
    }

    #[test]
    fn seats_are_given_back() {
        let waiters = Arc::new(Waiters::new());
        let one = waiters.seat(id(), BODY);
        let other = waiters.seat(id(), BODY);
        assert_eq!(waiters.seated(), 2);
        drop(one);
        other.appended_at(1);
        drop(other);
        waiters.tell(&result(1, Code::Ok));
        assert_eq!(waiters.seated(), 0);
        assert!(waiters.shards.iter().all(|shard| shard.lock().is_empty()));
    }
}
