//! Writing the store behind the replies: an answer never waits for the disk.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;

use crate::Error;
use crate::store::{IdentityStore, Member};
use crate::types::{GroupRecord, Sid, UserRecord};

/// Most writes that wait. Beyond it they are dropped: the store is a cache, and the next lookup writes again.
const MAX_WAITING: usize = 4096;

/// One write.
pub(super) enum Write {
    Users(Vec<Arc<UserRecord>>, u64),
    Groups(Vec<Arc<GroupRecord>>, u64),
    Memberships(Sid, Vec<Sid>, u64),
    Members(Sid, Vec<Member>, u64),
    Remove(Sid),
    /// Answered when everything before it is on its way to the disk.
    Mark(oneshot::Sender<()>),
}

/// The way to the thread that writes.
pub(super) struct Writes {
    queue: SyncSender<Write>,
}

impl Writes {
    pub(super) fn start(store: Arc<IdentityStore>) -> Result<Self, Error> {
        let (queue, waiting) = sync_channel(MAX_WAITING);
        std::thread::Builder::new().name("store-writer".into()).spawn(move || work(&store, &waiting))?;
        Ok(Self { queue })
    }

    pub(super) fn push(&self, write: Write) {
        match self.queue.try_send(write) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => log::debug!("the store is behind by {MAX_WAITING} writes: one is left out"),
            Err(TrySendError::Disconnected(_)) => log::error!("the store's writer has ended: answers stay in memory"),
        }
    }

    /// Waits until the writes so far are done.
    pub(super) async fn drain(&self) {
        let (done, wait) = oneshot::channel();
        let mut mark = Write::Mark(done);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(mark) {
            mark = back;
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let _ = wait.await;
    }
}

fn work(store: &IdentityStore, waiting: &Receiver<Write>) {
    while let Ok(write) = waiting.recv() {
        let result = match write {
            Write::Users(users, now) => store.put_users(users.iter().map(AsRef::as_ref), now),
            Write::Groups(groups, now) => store.put_groups(groups.iter().map(AsRef::as_ref), now),
            Write::Memberships(user, groups, now) => store.put_groups_of_user(&user, &groups, now),
            Write::Members(group, members, now) => store.put_members(&group, &members, now),
            Write::Remove(sid) => store.remove(&sid),
            Write::Mark(done) => {
                let _ = done.send(());
                Ok(())
            }
        };
        if let Err(error) = result {
            log::warn!("the store could not be written, answers stay in memory: {error}");
        }
    }
}
