//! A concurrent map that never holds more than its bound and forgets what has not been used for longest.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

/// A bounded map of cheaply cloned values.
///
/// Entries live in two generations. Reads find both and carry what they find in the old one over to the young one; when
/// the young one is half the bound, it becomes the old one and the former old one is dropped whole. So an entry lives
/// at least as long as half the bound of others are used after it, at the cost of one atomic load on a hit: exact
/// least-recently-used order would make every read a write.
pub struct Bounded<K, V, S> {
    generations: ArcSwap<Generations<K, V, S>>,
    half: usize,
    hasher: S,
}

struct Generations<K, V, S> {
    young: Arc<Generation<K, V, S>>,
    old: Arc<Generation<K, V, S>>,
}

struct Generation<K, V, S> {
    entries: DashMap<K, V, S>,
    /// `DashMap::len` takes every shard's lock; this is what decides when the generation is full.
    count: AtomicUsize,
}

impl<K: Eq + Hash + Clone, V: Clone, S: BuildHasher + Clone> Bounded<K, V, S> {
    /// A map of at most `bound` entries (2 at the least).
    pub fn new(bound: usize, hasher: S) -> Self {
        let generation =
            || Arc::new(Generation { entries: DashMap::with_hasher(hasher.clone()), count: AtomicUsize::new(0) });
        let generations = Generations { young: generation(), old: generation() };
        Self { generations: ArcSwap::from_pointee(generations), half: (bound / 2).max(1), hasher }
    }

    /// A copy of the value at `key`, if it is held.
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let generations = self.generations.load();
        if let Some(entry) = generations.young.entries.get(key) {
            return Some(entry.value().clone());
        }
        // Copied over before it is taken away, so that no other reader misses it; and never over a newer value.
        let (owned, value) = {
            let entry = generations.old.entries.get(key)?;
            (entry.key().clone(), entry.value().clone())
        };
        let value = match generations.young.entries.entry(owned) {
            Entry::Occupied(newer) => newer.get().clone(),
            Entry::Vacant(vacant) => {
                generations.young.count.fetch_add(1, Ordering::Relaxed);
                vacant.insert(value.clone());
                value
            }
        };
        if generations.old.entries.remove(key).is_some() {
            generations.old.count.fetch_sub(1, Ordering::Relaxed);
        }
        Some(value)
    }

    /// Holds `value` at `key`, in place of what was held there.
    pub fn insert(&self, key: K, value: V) {
        let generations = self.generations.load();
        if generations.young.count.load(Ordering::Relaxed) >= self.half {
            drop(generations);
            self.turn();
            return self.insert_young(key, value);
        }
        drop(generations);
        self.insert_young(key, value);
    }

    /// Forgets what is held at `key`.
    pub fn remove<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let generations = self.generations.load();
        // The old one first: a reader carries what it finds there over to the young one.
        for generation in [&generations.old, &generations.young] {
            if generation.entries.remove(key).is_some() {
                generation.count.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// How many entries it holds at the most.
    pub fn bound(&self) -> usize {
        self.half * 2
    }

    /// How many entries are held.
    pub fn count(&self) -> usize {
        let generations = self.generations.load();
        generations.young.count.load(Ordering::Relaxed) + generations.old.count.load(Ordering::Relaxed)
    }

    fn insert_young(&self, key: K, value: V) {
        let generations = self.generations.load();
        if generations.young.entries.insert(key.clone(), value).is_none() {
            generations.young.count.fetch_add(1, Ordering::Relaxed);
        }
        if generations.old.entries.remove(&key).is_some() {
            generations.old.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Makes the young generation the old one. Of several callers at once one succeeds; the others find it done.
    fn turn(&self) {
        let fresh =
            Arc::new(Generation { entries: DashMap::with_hasher(self.hasher.clone()), count: AtomicUsize::new(0) });
        self.generations.rcu(|current| {
            if current.young.count.load(Ordering::Relaxed) < self.half {
                return Arc::clone(current);
            }
            Arc::new(Generations { young: Arc::clone(&fresh), old: Arc::clone(&current.young) })
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::hash_map::RandomState;

    use super::Bounded;

    fn map(bound: usize) -> Bounded<u32, u32, RandomState> {
        Bounded::new(bound, RandomState::new())
    }

    #[test]
    fn it_never_holds_more_than_its_bound() {
        let map = map(100);
        for key in 0..10_000 {
            map.insert(key, key);
            assert!(map.count() <= 100);
        }
        assert_eq!(map.get(&9_999), Some(9_999));
        assert_eq!(map.get(&0), None);
    }

    #[test]
    fn what_is_used_stays() {
        let map = map(100);
        map.insert(7, 70);
        for key in 1_000..6_000 {
            map.insert(key, key);
            assert_eq!(map.get(&7), Some(70), "after {key}");
        }
    }

    #[test]
    fn what_is_removed_is_gone_from_either_generation() {
        let map = map(4);
        map.insert(1, 10);
        map.insert(2, 20);
        map.insert(3, 30);
        for (key, left) in [(1, 2), (3, 1), (7, 1)] {
            map.remove(&key);
            assert_eq!((map.get(&key), map.count()), (None, left));
        }
        assert_eq!(map.get(&2), Some(20));
    }

    #[test]
    fn a_newer_value_replaces_an_older_one_in_either_generation() {
        let map = map(4);
        map.insert(1, 10);
        map.insert(2, 20);
        map.insert(3, 30);
        map.insert(1, 11);
        assert_eq!(map.get(&1), Some(11));
        assert_eq!(map.count(), 3);
    }
}
