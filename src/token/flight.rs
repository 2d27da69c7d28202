//! One flight per key: callers that need the same thing at the same time share one task that gets it.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::watch;

/// Between two looks whether flights are under way, at the end.
const SETTLE: Duration = Duration::from_millis(20);

/// The flights that are under way.
///
/// Each is a task of its own: a caller that leaves does not take it along, and the callers that stay get its outcome.
/// (A cache whose miss is awaited by the first caller starts over when that caller goes away, which with a rotating
/// refresh token would cost the user the grant.)
pub(super) struct Flights<K: Eq + Hash, V>(Arc<DashMap<K, Landing<V>>>);

impl<K: Eq + Hash, V> Clone for Flights<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Where the outcome of a flight arrives.
pub(super) struct Landing<V>(watch::Receiver<Option<V>>);

impl<V> Clone for Landing<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V: Clone> Landing<V> {
    /// Waits for the outcome; `None` if the flight's task died.
    pub(super) async fn outcome(mut self) -> Option<V> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|value| value.clone())
    }
}

impl<K, V> Flights<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// Waits until none is under way.
    pub(super) async fn settled(&self) {
        while !self.0.is_empty() {
            tokio::time::sleep(SETTLE).await;
        }
    }

    /// Where the outcomes of those arrive that are under way for such a key.
    pub(super) fn under_way(&self, is_meant: impl Fn(&K) -> bool) -> Vec<Landing<V>> {
        self.0.iter().filter(|flight| is_meant(flight.key())).map(|flight| flight.value().clone()).collect()
    }

    /// Joins the flight for `key`, or starts it as `fly`.
    ///
    /// `fly` must leave its outcome where later callers look before it ends: from then on they start a new flight.
    pub(super) fn join<F>(&self, key: &K, fly: impl FnOnce() -> F) -> Landing<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        match self.0.entry(key.clone()) {
            Entry::Occupied(under_way) => under_way.get().clone(),
            Entry::Vacant(vacant) => {
                let (sender, receiver) = watch::channel(None);
                let landing = Landing(receiver);
                vacant.insert(landing.clone());
                let gone = RemoveOnDrop { flights: Arc::clone(&self.0), key: key.clone() };
                let flight = fly();
                tokio::spawn(async move {
                    let value = flight.await;
                    drop(gone);
                    sender.send_replace(Some(value));
                });
                landing
            }
        }
    }
}

/// Removes a flight also when its task panics: an entry that stays would make every later caller wait for nothing.
struct RemoveOnDrop<K: Eq + Hash, V> {
    flights: Arc<DashMap<K, Landing<V>>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for RemoveOnDrop<K, V> {
    fn drop(&mut self) {
        self.flights.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_thousand_callers_share_one_flight_and_the_first_may_leave() {
        let flights = Flights::<u8, u32>::new();
        let flown = Arc::new(AtomicU32::new(0));
        let join = || {
            let flown = Arc::clone(&flown);
            flights.join(&7, || async move {
                tokio::time::sleep(Duration::from_millis(30)).await;
                flown.fetch_add(1, Ordering::Relaxed)
            })
        };
        let first = tokio::spawn(join().outcome());
        tokio::time::sleep(Duration::from_millis(5)).await;
        first.abort();
        let landings: Vec<_> = (0..1000).map(|_| join()).collect();
        for landing in landings {
            assert_eq!(landing.outcome().await, Some(0));
        }
        assert_eq!(flown.load(Ordering::Relaxed), 1);
        assert!(flights.0.is_empty());
    }

    #[tokio::test]
    async fn a_flight_that_dies_is_noticed_and_leaves_nothing_behind() {
        let flights = Flights::<u8, u32>::new();
        let landing = flights.join(&7, || async { panic!("for the test") });
        assert_eq!(landing.outcome().await, None);
        assert!(flights.0.is_empty());
        assert_eq!(flights.join(&7, || async { 5 }).outcome().await, Some(5));
    }
}
