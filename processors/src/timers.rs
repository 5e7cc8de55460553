//! Deadlines of pending orders. A timer decides nothing: it only reminds the lane, through its own
//! inbox, to look at an order; lost, doubled or late reminders do no harm.

use hashbrown::HashMap;
use jupan_schemas::{Micros, OrderId};
use std::collections::BTreeSet;

/// The pending orders of a lane, by the time of their next reminder.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Micros, OrderId)>,
    next: HashMap<OrderId, Micros>,
}

impl Timers {
    /// Sets an order's next reminder, or takes it away.
    pub(crate) fn set(&mut self, order: OrderId, at: Option<Micros>) {
        let earlier = match at {
            Some(at) => self.next.insert(order, at),
            None => self.next.remove(&order),
        };
        if let Some(earlier) = earlier {
            self.due.remove(&(earlier, order));
        }
        if let Some(at) = at {
            self.due.insert((at, order));
        }
    }

    /// Up to `max` orders whose reminder is due; each is due again after `repeat_us`.
    pub(crate) fn ring(&mut self, now: Micros, repeat_us: i64, max: usize) -> Vec<OrderId> {
        let rung: Vec<OrderId> =
            self.due.iter().take_while(|(at, _)| *at <= now).take(max).map(|(_, id)| *id).collect();
        for order in &rung {
            self.set(*order, Some(now.plus(repeat_us)));
        }
        rung
    }

    /// Pending orders.
    pub(crate) fn len(&self) -> usize {
        self.next.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jupan_schemas::UserId;

    #[test]
    fn a_reminder_rings_when_due_and_again_until_its_order_ends() {
        let mut timers = Timers::default();
        let (a, b) = (OrderId::of(UserId(1), "a"), OrderId::of(UserId(1), "b"));
        timers.set(a, Some(Micros(10)));
        timers.set(b, Some(Micros(20)));
        assert_eq!(timers.ring(Micros(9), 5, 10), []);
        assert_eq!(timers.ring(Micros(10), 5, 10), [a]);
        assert_eq!(timers.ring(Micros(14), 5, 10), []);
        assert_eq!(timers.ring(Micros(20), 5, 1), [a], "the repeated one is due first");
        timers.set(a, None);
        assert_eq!(timers.ring(Micros(30), 5, 10), [b]);
        timers.set(b, None);
        timers.set(b, None);
        assert_eq!((timers.len(), timers.ring(Micros(99), 5, 10)), (0, vec![]));
    }
}
