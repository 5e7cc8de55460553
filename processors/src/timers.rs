//! Deadlines of pending orders. A timer decides nothing: it only reminds the lane, through its own
//! inbox, to look at an order; lost, doubled or late reminders do no harm.
//!
//! A reminder is not repeated while it may still be on its way: a lane that lags behind its inbox
//! would bury itself under reminders of the same orders.

use hashbrown::HashMap;
use jupan_log::{Input, ReadLimit};
use jupan_schemas::{Micros, OrderId, Source};
use std::collections::BTreeSet;

/// The pending orders of a lane, by the time of their next reminder.
#[derive(Debug)]
pub(crate) struct Timers {
    due: BTreeSet<(Micros, OrderId)>,
    pending: HashMap<OrderId, Pending>,
    /// What was sent before this has been read by now, unless it was lost.
    read_to: Micros,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    next: Micros,
    /// When it rang last.
    sent: Option<Micros>,
}

impl Default for Timers {
    fn default() -> Self {
        Self { due: BTreeSet::new(), pending: HashMap::new(), read_to: Micros(i64::MIN) }
    }
}

impl Timers {
    /// Sets an order's deadline, or takes it away.
    pub(crate) fn set(&mut self, order: OrderId, deadline: Option<Micros>) {
        self.put(order, deadline.map(|next| Pending { next, sent: None }));
    }

    fn put(&mut self, order: OrderId, pending: Option<Pending>) {
        let earlier = match pending {
            Some(pending) => self.pending.insert(order, pending),
            None => self.pending.remove(&order),
        };
        if let Some(earlier) = earlier {
            self.due.remove(&(earlier.next, order));
        }
        if let Some(pending) = pending {
            self.due.insert((pending.next, order));
        }
    }

    /// Learns how far the lane is through its inbox: what it polled at `now`, up to `limit`.
    pub(crate) fn polled(&mut self, inputs: &[Input], limit: ReadLimit, now: Micros) {
        let bytes: usize = inputs.iter().map(|input| input.record.value.len()).sum();
        if inputs.len() < limit.records_max && bytes < limit.bytes_max {
            // What was sent this very moment may come a little later: then it rings once too often.
            self.read_to = now.plus(1);
        } else if let Some(last) = inputs.iter().rfind(|input| input.source == Source::Inbox) {
            self.read_to = last.record.at;
        }
    }

    /// Up to `max` orders to remind of, now that `now` has come; each is due again after
    /// `repeat_us`.
    pub(crate) fn ring(&mut self, now: Micros, repeat_us: i64, max: usize) -> Vec<OrderId> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now).take(max);
        let mut due: Vec<OrderId> = due.map(|(_, order)| *order).collect();
        due.retain(|order| {
            let sent = self.pending.get(order).and_then(|pending| pending.sent);
            let is_underway = sent.is_some_and(|sent| sent >= self.read_to);
            let sent = if is_underway { sent } else { Some(now) };
            self.put(*order, Some(Pending { next: now.plus(repeat_us), sent }));
            !is_underway
        });
        due
    }

    /// Pending orders.
    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use jupan_log::LogRecord;
    use jupan_schemas::UserId;

    const LIMIT: ReadLimit = ReadLimit { records_max: 2, bytes_max: 100 };

    fn order(name: &str) -> OrderId {
        OrderId::of(UserId(1), name)
    }

    fn input(source: Source, at: i64, bytes: usize) -> Input {
        let value = Bytes::from(vec![0; bytes]);
        let record =
            LogRecord { offset: 0, at: Micros(at), key: Bytes::new(), value, headers: Vec::new() };
        Input { source, record, next: 1 }
    }

    #[test]
    fn a_reminder_rings_when_due_and_again_until_its_order_ends() {
        let mut timers = Timers::default();
        let (a, b) = (order("a"), order("b"));
        timers.set(a, Some(Micros(10)));
        timers.set(b, Some(Micros(20)));
        assert_eq!(timers.ring(Micros(9), 5, 10), []);
        assert_eq!(timers.ring(Micros(10), 5, 10), [a]);
        timers.polled(&[], LIMIT, Micros(11));
        assert_eq!(timers.ring(Micros(14), 5, 10), []);
        assert_eq!(timers.ring(Micros(20), 5, 1), [a], "the repeated one is due first");
        timers.set(a, None);
        assert_eq!(timers.ring(Micros(30), 5, 10), [b]);
        timers.set(b, None);
        timers.set(b, None);
        assert_eq!((timers.len(), timers.ring(Micros(99), 5, 10)), (0, vec![]));
    }

    /// Found by a seed: a lane that took one record a turn got a reminder of each pending order with
    /// every second that passed, and had hundreds of thousands of them to read before it rested.
    #[test]
    fn a_lane_that_lags_is_not_reminded_again() {
        // What is polled at 12 after a reminder at 10, and whether it is repeated at 15.
        let (commands, inbox) = (Source::Commands, Source::Inbox);
        let check = |inputs: &[Input], repeated: bool| {
            let mut timers = Timers::default();
            timers.set(order("a"), Some(Micros(10)));
            assert_eq!(timers.ring(Micros(10), 5, 10), [order("a")]);
            timers.polled(inputs, LIMIT, Micros(12));
            assert_eq!(!timers.ring(Micros(15), 5, 10).is_empty(), repeated, "{inputs:?}");
        };
        check(&[], true);
        check(&[input(inbox, 3, 1)], true);
        check(&[input(inbox, 3, 100)], false);
        check(&[input(inbox, 3, 1), input(inbox, 10, 1)], false);
        check(&[input(commands, 11, 1), input(commands, 11, 1)], false);
        check(&[input(inbox, 11, 1), input(commands, 3, 1)], true);
    }
}
