//! Single flight: whoever asks for a key while it is being asked for waits for the same answer.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::Error;

/// Most flights of one kind at once; beyond it a caller is told that the daemon is busy.
const MAX_FLIGHTS: usize = 4096;

type Landing<V> = watch::Receiver<Option<Result<V, Error>>>;

/// The flights of one kind of answer.
pub(super) struct Flights<K, V> {
    running: Arc<Mutex<HashMap<K, Landing<V>>>>,
}

/// The right and duty to answer one key; dropped without an answer, it tells the waiters so.
pub(super) struct Pilot<K: Eq + Hash, V> {
    key: K,
    answer: watch::Sender<Option<Result<V, Error>>>,
    running: Arc<Mutex<HashMap<K, Landing<V>>>>,
}

impl<K: Clone + Eq + Hash + Send + 'static, V: Clone + Send + Sync + 'static> Flights<K, V> {
    pub(super) fn new() -> Self {
        Self { running: Arc::new(Mutex::new(HashMap::new())) }
    }

    /// The answer for `key`: of the flight that is under way, or of `work`, which is started then. The work goes on
    /// when the caller stops waiting.
    pub(super) async fn run(
        &self,
        key: K,
        work: impl FnOnce() -> std::pin::Pin<Box<dyn Future<Output = Result<V, Error>> + Send>>,
    ) -> Result<V, Error> {
        let landing = match self.lead(key.clone())? {
            Ok((pilot, landing)) => {
                let work = work();
                tokio::spawn(async move { pilot.land(work.await) });
                landing
            }
            Err(landing) => landing,
        };
        wait(landing).await
    }

    /// Takes over a key that nobody is asking for, with a promise to [`Pilot::land`]; or the place to wait.
    #[allow(clippy::type_complexity)] // Either the pilot's seat or a passenger's.
    pub(super) fn lead(&self, key: K) -> Result<Result<(Pilot<K, V>, Landing<V>), Landing<V>>, Error> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(landing) = running.get(&key) {
            return Ok(Err(landing.clone()));
        }
        if running.len() >= MAX_FLIGHTS {
            return Err(Error::Busy(format!("{MAX_FLIGHTS} lookups are waiting for the directory")));
        }
        let (answer, landing) = watch::channel(None);
        running.insert(key.clone(), landing.clone());
        Ok(Ok((Pilot { key, answer, running: Arc::clone(&self.running) }, landing)))
    }
}

impl<K: Eq + Hash, V> Pilot<K, V> {
    /// Gives the answer to everybody who waits.
    pub(super) fn land(self, result: Result<V, Error>) {
        let _ = self.answer.send(Some(result));
    }
}

impl<K: Eq + Hash, V> Drop for Pilot<K, V> {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

async fn wait<V: Clone>(mut landing: Landing<V>) -> Result<V, Error> {
    match landing.wait_for(Option::is_some).await {
        Ok(answer) => answer.clone().unwrap_or_else(|| Err(lost())),
        Err(_) => Err(lost()),
    }
}

fn lost() -> Error {
    Error::Io("a lookup ended without an answer".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    #[tokio::test]
    async fn many_askers_cost_one_search() {
        let flights = Arc::new(Flights::<u32, u32>::new());
        let searches = Arc::new(AtomicU32::new(0));
        let mut askers = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (flights, searches) = (Arc::clone(&flights), Arc::clone(&searches));
            askers.spawn(async move {
                flights
                    .run(7, || {
                        Box::pin(async move {
                            searches.fetch_add(1, Ordering::SeqCst);
                            tokio::time::sleep(Duration::from_millis(20)).await;
                            Ok(49)
                        })
                    })
                    .await
            });
        }
        while let Some(answer) = askers.join_next().await {
            assert_eq!(answer.unwrap().unwrap(), 49);
        }
        assert_eq!(searches.load(Ordering::SeqCst), 1);
        assert!(flights.running.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_flight_that_dies_is_told_and_the_next_one_flies() {
        let flights = Flights::<u32, u32>::new();
        let Ok(Ok((pilot, landing))) = flights.lead(1) else { panic!("the key is free") };
        drop(pilot);
        assert!(wait(landing).await.is_err());
        assert_eq!(flights.run(1, || Box::pin(async { Ok(5) })).await.unwrap(), 5);
    }

    #[tokio::test]
    async fn no_more_fly_than_there_is_room_for() {
        let flights = Flights::<u32, u32>::new();
        let aloft: Vec<_> = (0..).map_while(|key| flights.lead(key).ok()).take(MAX_FLIGHTS + 1).collect();
        assert_eq!(aloft.len(), MAX_FLIGHTS);
        assert!(matches!(flights.lead(0), Ok(Err(_))), "whoever asks the same is let in");
        assert!(matches!(flights.lead(u32::MAX), Err(Error::Busy(_))));
        drop(aloft);
        assert!(matches!(flights.lead(u32::MAX), Ok(Ok(_))));
    }

    #[tokio::test]
    async fn the_work_goes_on_when_its_asker_has_left() {
        let flights = Arc::new(Flights::<u32, u32>::new());
        let left = tokio::time::timeout(
            Duration::from_millis(5),
            flights.run(1, || {
                Box::pin(async {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Ok(1)
                })
            }),
        )
        .await;
        assert!(left.is_err());
        let other = flights.run(1, || Box::pin(async { Ok(2) })).await.unwrap();
        assert_eq!(other, 1, "the second asker was answered by the first flight");
    }
}
