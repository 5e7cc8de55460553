//! One value for each lane of both roles.

use jupan_schemas::{Lane, Role};

/// One value for each lane.
pub(super) struct PerLane<T> {
    lanes: u16,
    values: Vec<(Lane, T)>,
}

impl<T> PerLane<T> {
    /// Makes every lane's value.
    pub(super) fn new(lanes: u16, make: impl Fn(Lane) -> T) -> Self {
        let roles = [Role::Users, Role::Products].into_iter();
        let all = roles.flat_map(|role| (0..lanes).map(move |index| Lane { role, index }));
        Self { lanes, values: all.map(|lane| (lane, make(lane))).collect() }
    }

    /// Makes every lane's value, as far as that goes well.
    pub(super) fn try_new<E>(lanes: u16, make: impl Fn(Lane) -> Result<T, E>) -> Result<Self, E> {
        let all = PerLane::new(lanes, |_| ()).values.into_iter();
        let values = all.map(|(lane, ())| Ok((lane, make(lane)?)));
        Ok(Self { lanes, values: values.collect::<Result<_, E>>()? })
    }

    fn slot(&self, lane: Lane) -> usize {
        let before = if lane.role == Role::Users { 0 } else { usize::from(self.lanes) };
        let index = usize::from(lane.index);
        if lane.index < self.lanes { before + index } else { usize::MAX }
    }

    /// A lane's value, if there is such a lane.
    pub(super) fn get(&self, lane: Lane) -> Option<&T> {
        self.values.get(self.slot(lane)).map(|(_, value)| value)
    }

    /// A lane's value, if there is such a lane.
    pub(super) fn get_mut(&mut self, lane: Lane) -> Option<&mut T> {
        let slot = self.slot(lane);
        self.values.get_mut(slot).map(|(_, value)| value)
    }

    /// Every lane's value, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut (Lane, T)> {
        self.values.iter_mut()
    }

    /// Every lane's value: users first, by rising partition.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Lane, T)> {
        self.values.iter()
    }
}
