//! Power cuts under the real lanes: a script of 10,000 commands runs over the embedded log on a
//! simulated disk. Again and again every moment of what it did last is crashed, with everything
//! surviving that may, and with a store that lost what it had not saved; each time the lanes restore,
//! nothing acknowledged is missing, and the script goes on from one of these crashes.
//!
//! A failure prints its point. `JUPAN_CRASH_SEED` is for another run.

mod audit;
mod commands;
mod shop;

use audit::Told;
use jupan_log::{
    ManualClock,
    simulated::{Disk, Moment, Random, Survival},
};
use jupan_schemas::Micros;
use jupan_store::memory::MemoryStore;
use shop::{Shop, clock};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

const COMMANDS: u64 = 10_000;
/// Turns of the script between crashes.
const CRASH_EVERY: u64 = 40;
/// Of what people were told, so much is looked for at every crash.
const TOLD_LATELY: usize = 40;

/// What is surely so at every moment of a turn: it was so before.
struct Before {
    store: MemoryStore,
    told: Told,
}

/// What the script is made of.
struct Script {
    random: Random,
    clock: Arc<ManualClock>,
    sent: u64,
    told: Told,
    points: u64,
    crashes: u64,
}

impl Script {
    /// Some commands, some batches, some writes. Every moment on the way is kept.
    fn turn(&mut self, shop: &mut Shop) {
        self.clock.advance(Micros::MINUTE / 10);
        for _ in 0..self.random.below(9) {
            shop.send(self.sent);
            self.sent += 1;
        }
        shop.turn_some(&mut self.random);
        match self.random.below(40) {
            0 => shop.log.idle(),
            1..20 => shop.write(),
            20..35 => drop(shop.log.write_first(1 + self.random.index(5))),
            _ => {}
        }
        shop.turn_some(&mut self.random);
        if self.random.one_in(5) {
            shop.store.persist();
        }
    }

    /// Crashes at every moment of the last turn.
    fn crash_everywhere(&mut self, moments: &[Moment], before: &Before) {
        for moment in moments {
            for survival in moment.survivals(0) {
                self.points += 1;
                let point = AssertUnwindSafe(|| self.crash(moment, survival, before));
                if let Err(failure) = catch_unwind(point) {
                    let after = self.sent;
                    println!("after {after} commands, {} ({survival:?})", moment.number());
                    resume_unwind(failure);
                }
            }
        }
    }

    /// A crash of its own, from which nothing goes on.
    fn crash(&self, moment: &Moment, survival: Survival, before: &Before) {
        let mut random = Random::new(Random::of(&[moment.number(), self.points]));
        let store = before.store.copy();
        store.crash(|_| random.one_in(2));
        let mut left = Shop::open(moment.power_cut(survival), Arc::new(store), &self.clock);
        left.settle();
        before.told.check(&left);
    }

    /// The crash that the script goes on from; what was sent and not acknowledged may be gone.
    fn go_on(&mut self, shop: Shop) -> Shop {
        self.crashes += 1;
        let moment = shop.disk.moment();
        let survivals = moment.survivals(self.crashes);
        let survival = survivals[self.random.index(survivals.len())];
        let disk = match self.random.one_in(3) {
            true => moment.kill(),
            false => moment.power_cut(survival),
        };
        let store = shop.store.clone();
        drop(shop);
        store.crash(|_| self.random.one_in(2));
        disk.keep_moments();
        Shop::open(disk, store, &self.clock)
    }
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

#[test]
fn the_lanes_restore_wherever_power_fails() {
    let seed = from_environment("JUPAN_CRASH_SEED").unwrap_or(1);
    let commands = from_environment("JUPAN_CRASH_COMMANDS").unwrap_or(COMMANDS);
    let random = Random::new(seed);
    let (told, clock) = (Told::default(), clock());
    let mut script = Script { random, clock, sent: 0, told, points: 0, crashes: 0 };
    let disk = Disk::default();
    disk.keep_moments();
    let mut shop = Shop::open(disk, Arc::new(MemoryStore::that_crashes()), &script.clock);
    for turn in 1.. {
        if turn % CRASH_EVERY > 0 {
            script.turn(&mut shop);
            shop.disk.take_moments();
        } else {
            let (store, told) = (shop.store.copy(), script.told.newest(TOLD_LATELY));
            script.turn(&mut shop);
            let moments = shop.disk.take_moments();
            script.crash_everywhere(&moments, &Before { store, told });
            // What the last turn acknowledged was told before the crash.
            script.told.listen(&mut shop);
            shop = script.go_on(shop);
        }
        script.told.listen(&mut shop);
        if script.sent >= commands {
            break;
        }
    }
    // No order is left to wait for its payment.
    script.clock.advance(60 * Micros::MINUTE);
    shop.settle();
    script.told.listen(&mut shop);
    script.told.check(&shop);
    let keys = audit::check_whole(&shop);
    let Script { sent, points, crashes, told, .. } = script;
    let (acknowledged, outcomes) = (told.acknowledged.len(), told.outcomes.len());
    println!("{sent} commands, {acknowledged} acknowledged, {outcomes} outcomes, {keys} keys");
    println!("{points} crash points, {crashes} of them gone on from");
    let is_whole = commands >= COMMANDS;
    assert!(!is_whole || points > 700 && acknowledged > 8_000, "the run did something");
}
