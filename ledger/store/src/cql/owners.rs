//! Whose a user or product is: a guard against a second lane that writes its rows, as a wrong number
//! of partitions would bring about. Learnt from every row that is read or written, and asked for
//! where it is not known; it is no protection from two lanes that begin at the same moment.

use super::{asker::Asker, mutations::target, statements::Name};
use crate::{StoreError, limits, ownership::key_to_blame};
use hashbrown::HashMap;
use jupan_schemas::{
    Lane, Role,
    rows::{Key, Row},
};
use parking_lot::Mutex;
use std::mem;

/// A user or product.
pub(super) type Owned = (Role, u64);

/// What is known of a user or product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It has no row.
    Nobody,
    /// The lane of this partition.
    Lane(u16),
}

/// What was learnt: two generations, of which the older one is forgotten when the younger is full.
#[derive(Default)]
pub(super) struct Owners(Mutex<[HashMap<Owned, Owner>; 2]>);

impl Owners {
    pub(super) fn get(&self, owned: Owned) -> Option<Owner> {
        let mut generations = self.0.lock();
        let [young, old] = &*generations;
        if let Some(owner) = young.get(&owned) {
            return Some(*owner);
        }
        let owner = *old.get(&owned)?;
        put(&mut generations, owned, owner);
        Some(owner)
    }

    /// A lane that is known stays: that there is no row was seen before it was written.
    pub(super) fn learn(&self, owned: Owned, owner: Owner) {
        if owner == Owner::Nobody && matches!(self.get(owned), Some(Owner::Lane(_))) {
            return;
        }
        put(&mut self.0.lock(), owned, owner);
    }

    /// Learns from what a lane asked for and got.
    pub(super) fn learn_loaded(&self, key: Key, row: Option<&Row>) {
        match (key, row) {
            (Key::User(id), None) => self.learn((Role::Users, id.0), Owner::Nobody),
            (Key::Product(id), None) => self.learn((Role::Products, id.0), Owner::Nobody),
            (Key::User(id), Some(Row::User(row))) => {
                self.learn((Role::Users, id.0), Owner::Lane(row.lane));
            }
            (Key::Product(id), Some(Row::Product(row))) => {
                self.learn((Role::Products, id.0), Owner::Lane(row.lane));
            }
            _ => {}
        }
    }
}

fn put(generations: &mut [HashMap<Owned, Owner>; 2], owned: Owned, owner: Owner) {
    let [young, old] = generations;
    if young.len() >= limits::CQL_OWNERS_MAX {
        *old = mem::take(young);
    }
    young.insert(owned, owner);
}

/// The user or product that a row belongs to; a hold is its lane's own.
pub(super) fn owned(row: &Row) -> Result<Option<Owned>, StoreError> {
    Ok(match row {
        Row::User(row) => Some((Role::Users, row.user_id.0)),
        Row::Order(row) => Some((Role::Users, row.user_id.0)),
        Row::Statement(row) => Some((Role::Users, row.user_id.0)),
        Row::Product(row) => Some((Role::Products, row.product_id.0)),
        Row::Outcome(row) => Some(target(row)?),
        Row::Hold(_) => None,
    })
}

/// Refuses a row whose user or product is known to be another lane's.
pub(super) fn check(
    lane: Lane,
    rows: &[Row],
    owner: impl Fn(Owned) -> Option<Owner>,
) -> Result<(), StoreError> {
    for row in rows {
        let Some(owned) = owned(row)? else { continue };
        if let Some(Owner::Lane(owner)) = owner(owned)
            && owner != lane.index
        {
            return Err(StoreError::WrongLane { key: key_to_blame(row), owner, lane });
        }
    }
    Ok(())
}

impl Asker {
    /// What the row of a user or product says.
    pub(super) async fn owner(&self, (role, id): Owned) -> Result<Owner, StoreError> {
        const DOING: &str = "read an owner";
        let name = match role {
            Role::Users => Name::UserLane,
            Role::Products => Name::ProductLane,
        };
        let row: Option<(i32,)> = self.row(DOING, name, &(id.cast_signed(),)).await?;
        let Some((lane,)) = row else { return Ok(Owner::Nobody) };
        let lane = u16::try_from(lane).map_err(|_| StoreError::Broken {
            doing: DOING,
            cause: format!("lane {lane} of {} {id}", role.name()),
        })?;
        Ok(Owner::Lane(lane))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::samples;

    #[test]
    fn what_is_known_stays_and_memory_is_bounded() {
        let owners = Owners::default();
        let first = (Role::Users, 0);
        owners.learn(first, Owner::Lane(3));
        owners.learn(first, Owner::Nobody);
        assert_eq!(owners.get(first), Some(Owner::Lane(3)));
        for id in 1..=2 * limits::CQL_OWNERS_MAX as u64 {
            owners.learn((Role::Users, id), Owner::Lane(1));
            if id.is_multiple_of(1_000) {
                assert_eq!(owners.get(first), Some(Owner::Lane(3)), "in use, so not forgotten");
            }
        }
        let known = owners.0.lock().iter().map(HashMap::len).sum::<usize>();
        assert!(known <= 2 * limits::CQL_OWNERS_MAX, "{known} are known");
        assert_eq!(owners.get((Role::Users, 1)), None, "forgotten");
    }

    #[test]
    fn rows_of_another_lane_are_refused() {
        let lane = samples::USERS;
        let row = [Row::from(samples::user(7, 1))];
        for (owner, is_fine) in
            [(None, true), (Some(Owner::Nobody), true), (Some(Owner::Lane(0)), true)]
                .into_iter()
                .chain([(Some(Owner::Lane(1)), false)])
        {
            assert_eq!(check(lane, &row, |_| owner).is_ok(), is_fine, "{owner:?}");
        }
    }
}
