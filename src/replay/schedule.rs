//! Which order may be started next: the earliest in the file whose user has none under way. No I/O.

use super::files::Order;
use hashbrown::HashMap;
use jupan_schemas::UserId;
use std::collections::{BTreeMap, VecDeque};

/// Orders that have been read and not yet started.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// Position in the file of the order that is pushed next.
    position: u64,
    /// Orders that may be started, by position. Never two of one user.
    ready: BTreeMap<u64, Order>,
    /// Users with an order that is ready or under way, and what waits behind it.
    behind: HashMap<UserId, VecDeque<(u64, Order)>>,
    waiting: usize,
}

impl Schedule {
    /// Takes the file's next order.
    pub(super) fn push(&mut self, order: Order) {
        let position = self.position;
        self.position += 1;
        self.waiting += 1;
        if let Some(queue) = self.behind.get_mut(&order.user) {
            queue.push_back((position, order));
        } else {
            self.behind.insert(order.user, VecDeque::new());
            self.ready.insert(position, order);
        }
    }

    /// Gives out an order to start.
    pub(super) fn start(&mut self) -> Option<Order> {
        let (_, order) = self.ready.pop_first()?;
        self.waiting -= 1;
        Some(order)
    }

    /// The order of this user that was under way has ended.
    pub(super) fn end(&mut self, user: UserId) {
        match self.behind.get_mut(&user).and_then(VecDeque::pop_front) {
            Some((position, order)) => {
                self.ready.insert(position, order);
            }
            None => {
                self.behind.remove(&user);
            }
        }
    }

    /// How many orders wait to be started.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn order(user: u64, number: usize) -> Order {
        let (items, prices) = (Vec::new(), Vec::new());
        let (reference, line) = (number.to_string(), 0);
        Order { at: Timestamp::UNIX_EPOCH, user: UserId(user), reference, line, items, prices }
    }

    /// Pushes orders of these users, with up to `in_flight` under way; ends them in the order that `pick`
    /// says. Returns the order in which they were started.
    fn run(users: &[u64], in_flight: usize, mut pick: impl FnMut(usize) -> usize) -> Vec<usize> {
        let mut schedule = Schedule::default();
        for (number, user) in users.iter().enumerate() {
            schedule.push(order(*user, number));
        }
        let mut started = Vec::new();
        let mut under_way: Vec<UserId> = Vec::new();
        loop {
            while under_way.len() < in_flight
                && let Some(order) = schedule.start()
            {
                assert!(!under_way.contains(&order.user), "two orders of {} at once", order.user);
                started.push(order.reference.parse().expect("a number"));
                under_way.push(order.user);
            }
            if under_way.is_empty() {
                assert_eq!(schedule.waiting(), 0);
                assert!(schedule.behind.is_empty(), "nobody is left behind");
                return started;
            }
            let ended = under_way.remove(pick(under_way.len()));
            schedule.end(ended);
        }
    }

    #[test]
    fn orders_start_in_file_order_but_one_a_user_at_a_time() {
        for (users, in_flight, expected) in [
            (&[][..], 2, &[][..]),
            (&[1, 1, 1], 2, &[0, 1, 2]),
            (&[1, 1, 2, 1], 2, &[0, 2, 1, 3]),
            (&[1, 2, 1, 2, 3], 3, &[0, 1, 4, 2, 3]),
            (&[1, 2, 3, 4], 1, &[0, 1, 2, 3]),
        ] {
            assert_eq!(run(users, in_flight, |_| 0), expected, "{users:?}");
        }
    }

    #[test]
    fn each_users_orders_start_in_file_order_whatever_ends_first() {
        for seed in 0..200_u64 {
            let mut state = seed;
            let mut random = move |below: usize| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                usize::try_from(state >> 33).expect("64 bits") % below
            };
            let users: Vec<u64> = (0..60).map(|_| random(7) as u64).collect();
            let in_flight = 1 + random(9);
            let started = run(&users, in_flight, &mut random);
            assert_eq!(started.len(), users.len(), "seed {seed}");
            for user in 0..7 {
                let of_user: Vec<_> = started.iter().filter(|n| users[**n] == user).collect();
                assert!(of_user.is_sorted(), "seed {seed}: user {user} got {of_user:?}");
            }
        }
    }
}
