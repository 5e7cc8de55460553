//! Turns of lanes: by their owners, and by former ones that do not know that they are.

use crate::{
    gate::is_asked_for,
    lanes::{Owner, Place},
    report::{Invariant, Violation},
    world::{START, World},
};
use jupan_log::LaneError;
use jupan_processors::{Stop, Turn};
use jupan_schemas::{Lane, Micros};
use jupan_store::StoreError;

/// What a turn that did something looks like.
const BUSY: Turn = Turn { inputs: 1, projected: 0, unprojected: 0 };

impl World {
    /// One turn of a lane's owner, or its takeover where it has none.
    pub(crate) fn turn(&mut self, place: usize) -> Result<Turn, Violation> {
        let Place { lane, owner, .. } = &mut self.places[place];
        let lane = *lane;
        let turned = match owner {
            Some(owner) => owner.turn(),
            None => Owner::open(&self.ports.parts(lane), lane).map(|opened| {
                *owner = Some(opened);
                BUSY
            }),
        };
        let turned = turned.or_else(|stop| {
            self.places[place].owner = None;
            self.excuse(lane, &stop).map(|()| BUSY)
        });
        self.look_around()?;
        turned
    }

    /// An owner that was replaced and does not know.
    pub(crate) fn turn_stale(&mut self, place: usize) -> Result<(), Violation> {
        if self.places[place].stale.is_empty() {
            return Ok(());
        }
        let (lane, mut stale) = (self.places[place].lane, self.places[place].stale.remove(0));
        match stale.turn() {
            Ok(_) => self.places[place].stale.push(stale),
            Err(stop) => self.excuse(lane, &stop)?,
        }
        self.look_around()
    }

    /// Sees what came of a turn: time that passed in it, lanes that were taken over in the middle of
    /// it, outcomes, and whether the power is still on.
    fn look_around(&mut self) -> Result<(), Violation> {
        self.clock_high = self.clock_high.max(self.now());
        for (lane, opened) in self.ports.gate.take_entered() {
            match opened {
                Ok(owner) => self.enter(lane, owner),
                Err(stop) => self.excuse(lane, &stop)?,
            }
        }
        self.listen()?;
        if self.ports.gate.is_dark() { self.crash() } else { Ok(()) }
    }

    /// The lane has a new owner; the present one does not know.
    fn enter(&mut self, lane: Lane, owner: Owner) {
        for place in self.places.iter_mut().filter(|place| place.lane == lane) {
            place.retire();
        }
        if let Some(place) = self.places.iter_mut().find(|place| place.lane == lane) {
            place.owner = Some(owner);
        }
    }

    /// Whether a lane may have stopped for this.
    fn excuse(&mut self, lane: Lane, stop: &Stop) -> Result<(), Violation> {
        self.clock_high = self.clock_high.max(self.now());
        let is_excused = match stop {
            Stop::Log(LaneError::Fenced { .. } | LaneError::Unknown { .. }) => true,
            Stop::Log(LaneError::Broken { cause, .. })
            | Stop::Store(StoreError::Broken { cause, .. }) => is_asked_for(cause),
            // By the clock as it was: since a takeover in the middle of a turn it may have caught up.
            Stop::ClockAhead { at, now, .. } => now < at && *at <= self.clock_high,
            _ => false,
        };
        if let Stop::ClockAhead { .. } = stop
            && self.random.one_in(4)
        {
            self.clock_to(self.clock_high);
        }
        if is_excused {
            return Ok(());
        }
        let source = std::error::Error::source(stop).map(ToString::to_string).unwrap_or_default();
        Err(Violation::new(Invariant::Stops, format!("{stop}: {source}")).of(lane))
    }

    /// Hears what was told since the last time, and looks it up at once.
    fn listen(&mut self) -> Result<(), Violation> {
        let keeps_all = self.clock_high.since(START) < 14 * Micros::DAY;
        self.told.listen(&self.ports.store, keeps_all)
    }
}
