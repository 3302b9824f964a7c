//! Who holds how many of a socket's places: no uid but root takes them all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections of one socket that are served at once.
const MOST: usize = 1024;
/// Of these, what only root may take: PAM of sshd and sudo asks as root.
const FOR_ROOT: usize = 128;
/// Of these, what one other uid may take.
const PER_UID: usize = 256;

/// Passwords that are proven at once: what the broker lets wait, and those at work.
const PROOFS: usize = 256;
/// Of these, what only root may take.
const PROOFS_FOR_ROOT: usize = 128;
/// Of these, what one other uid may take: it can ask for itself only, from a screen locker or two.
const PROOFS_PER_UID: usize = 4;

/// The places of one socket, or of one kind of work.
#[derive(Clone)]
pub(super) struct Places {
    taken: Arc<Mutex<HashMap<u32, usize>>>,
    most: usize,
    for_root: usize,
    per_uid: usize,
}

/// One place; given back when dropped.
pub(super) struct Place {
    uid: u32,
    taken: Arc<Mutex<HashMap<u32, usize>>>,
}

impl Places {
    /// For the connections of a socket.
    pub(super) fn of_connections() -> Self {
        Self { taken: Arc::default(), most: MOST, for_root: FOR_ROOT, per_uid: PER_UID }
    }

    /// For proofs of passwords, each of which takes a process.
    pub(super) fn of_proofs() -> Self {
        Self { taken: Arc::default(), most: PROOFS, for_root: PROOFS_FOR_ROOT, per_uid: PROOFS_PER_UID }
    }

    /// A place for `uid`; `None` where it has enough of them, or there are none left.
    pub(super) fn take(&self, uid: u32) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, own) = (taken.values().sum::<usize>(), taken.get(&uid).copied().unwrap_or_default());
        let others = self.most - self.for_root;
        let free = if uid == 0 { all < self.most } else { all < others && own < self.per_uid };
        free.then(|| {
            *taken.entry(uid).or_default() += 1;
            Place { uid, taken: Arc::clone(&self.taken) }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_uid_takes_its_share_and_root_always_finds_a_place() {
        let places = Places::of_connections();
        let greedy: Vec<_> = (0..MOST).map_while(|_| places.take(1000)).collect();
        assert_eq!(greedy.len(), PER_UID);
        let crowd: Vec<_> = (2000..4000).filter_map(|uid| places.take(uid)).collect();
        assert_eq!(crowd.len(), MOST - FOR_ROOT - PER_UID);
        assert!(places.take(5000).is_none());
        assert!(places.take(0).is_some());
        drop(greedy);
        assert!(places.take(1000).is_some(), "places come back");
    }

    #[test]
    fn one_uid_proves_a_few_passwords_at_once() {
        let places = Places::of_proofs();
        let greedy: Vec<_> = (0..100).map_while(|_| places.take(1000)).collect();
        assert_eq!(greedy.len(), PROOFS_PER_UID);
        assert!(places.take(1001).is_some() && places.take(0).is_some());
    }
}
