//! The end of a run: everything comes to rest, and a message that is missing is noticed.

use crate::{
    auditor::Facts,
    lanes::{Owner, Place},
    report::{Invariant, Violation},
    world::World,
};
use jupan_processors::Stop;
use jupan_schemas::{
    Codec, Envelope, Lane, Micros, OrderId, Release, Role, Stamp, ToProducts, UserId,
};
use jupan_store::LaneStore;

/// Rounds in which lanes must have come to rest.
const REST_ROUNDS_MAX: usize = 40_000;
/// What passes in a round where rows may lie.
const REST_PAUSE_US: i64 = 1_000;
/// Times that the clock is moved on for orders whose reminder was lost.
const REMINDER_ROUNDS_MAX: usize = 60;

impl World {
    /// Turns every lane until no order is pending and nobody has anything to do.
    pub(crate) fn settle(&mut self) -> Result<(), Violation> {
        self.ports.gate.disarm();
        self.clock_to(self.clock_high);
        for place in 0..self.places.len() {
            self.turn_stale(place)?;
        }
        self.rest()?;
        let deadline = self.mix.shop.order_deadline_us;
        self.clock_to(self.now().plus(deadline + Micros::MINUTE));
        for _ in 0..REMINDER_ROUNDS_MAX {
            self.rest()?;
            let lanes = self.places.iter().map(|place| place.lane);
            let open = |lane| self.ports.store.open_orders(lane).is_ok_and(|open| open.is_empty());
            if lanes.into_iter().all(open) {
                return Ok(());
            }
            self.clock_to(self.now().plus(10 * Micros::SECOND));
        }
        Err(Violation::new(Invariant::Holds, "orders stay pending after their deadline"))
    }

    fn rest(&mut self) -> Result<(), Violation> {
        for _ in 0..REST_ROUNDS_MAX {
            self.ports.log.sync();
            let mut is_idle = true;
            for place in 0..self.places.len() {
                is_idle &= self.turn(place)?.is_idle();
            }
            self.acknowledge();
            if is_idle {
                return Ok(());
            }
            // What lies a moment before it is projected needs one to pass.
            if !self.mix.limits.coalesce_wait.is_zero() {
                self.clock_to(self.now().plus(REST_PAUSE_US));
            }
        }
        Err(Violation::new(Invariant::Rest, "the lanes do not come to rest"))
    }

    /// A message whose predecessor is missing must stop its receiver.
    pub(crate) fn end_with_gap(&mut self, facts: &Facts) -> Result<(), Violation> {
        let receiver = Lane { role: Role::Products, index: 0 };
        let order_id = OrderId::of(UserId(1), "missing");
        let message = Envelope {
            lane: 0,
            number: facts.received(receiver, 0) + 2,
            stamp: Stamp(0),
            command_id: None,
            actor: String::new(),
            trace_id: None,
            payload: ToProducts::Release(Release { order_id }),
        };
        let place = self.places.iter().position(|place| place.lane == receiver).unwrap_or(0);
        let value = Codec::embedded().to_bytes(&message);
        // Commits that are made to fail are tried until the message is there.
        for _ in 0..20 {
            self.inject(receiver, value.clone());
            for _ in 0..3 {
                self.ports.log.sync();
                let Place { owner, .. } = &mut self.places[place];
                let turned = match owner {
                    Some(owner) => owner.turn().map(drop),
                    None => Owner::open(&self.ports.parts(receiver), receiver)
                        .map(|opened| *owner = Some(opened)),
                };
                match turned {
                    Err(Stop::Gap { .. }) => return Ok(()),
                    Err(_) => self.places[place].owner = None,
                    Ok(()) => {}
                }
            }
        }
        let what = "a message whose predecessor is missing did not stop its receiver";
        Err(Violation::new(Invariant::Journal, what).of(receiver))
    }
}
