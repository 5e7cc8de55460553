//! A bounded memory of what was lately used: two generations, of which the older one is forgotten
//! whole. Cheaper than a list of uses, and no entry costs more than its place in a map.

use hashbrown::HashMap;
use std::{hash::Hash, mem};

/// Holds the last `per_generation` to `2 * per_generation` entries.
pub(super) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    per_generation: usize,
}

impl<K: Eq + Hash + Copy, V: Clone> Generations<K, V> {
    pub(super) fn new(per_generation: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), per_generation }
    }

    /// What was put there, if it is not forgotten; using it keeps it.
    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.put(*key, value.clone());
        Some(value)
    }

    /// Puts or replaces an entry.
    pub(super) fn put(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.per_generation && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let mut entries = Generations::new(10);
        for key in 0..1000 {
            entries.put(key, key);
            assert_eq!(entries.get(&0), Some(0), "used after {key}");
            assert!(entries.young.len() + entries.old.len() <= 20);
        }
        assert_eq!(entries.get(&999), Some(999));
        assert_eq!(entries.get(&500), None);
    }

    #[test]
    fn a_newer_value_is_the_only_one() {
        let mut entries = Generations::new(1);
        entries.put(1, "a");
        entries.put(2, "b");
        entries.put(1, "c");
        assert_eq!(entries.get(&1), Some("c"));
        entries.put(3, "d");
        assert_ne!(entries.get(&1), Some("a"));
    }
}
