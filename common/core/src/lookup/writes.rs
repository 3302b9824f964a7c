//! Writing the store behind the replies: an answer never waits for the disk, and what comes within a moment shares one
//! transaction.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::Thread;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::Error;
use crate::store::{Change, IdentityStore};

/// Most writes that wait. Beyond it they are dropped: the store is a cache, and the next lookup writes again.
const MAX_WAITING: usize = 4096;
/// Most writes of one transaction, so that nobody who needs the store's lock waits long.
const BATCH: usize = 256;
/// How long a write waits for others: a commit costs more than twenty rows.
const GATHER: Duration = Duration::from_millis(20);

/// One write.
enum Write {
    Change(Change),
    /// Answered when everything before it is on its way to the disk.
    Mark(oneshot::Sender<()>),
}

/// The way to the thread that writes.
pub(super) struct Writes {
    queue: SyncSender<Write>,
    writer: Thread,
}

impl Writes {
    pub(super) fn start(store: Arc<IdentityStore>) -> Result<Self, Error> {
        let (queue, waiting) = sync_channel(MAX_WAITING);
        let writer = std::thread::Builder::new().name("store-writer".into()).spawn(move || work(&store, &waiting))?;
        Ok(Self { queue, writer: writer.thread().clone() })
    }

    /// Whether it will be written.
    pub(super) fn push(&self, change: Change) -> bool {
        let sent = self.queue.try_send(Write::Change(change));
        match &sent {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => log::debug!("the store is behind by {MAX_WAITING} writes: one is left out"),
            Err(TrySendError::Disconnected(_)) => log::error!("the store's writer has ended: answers stay in memory"),
        }
        sent.is_ok()
    }

    /// Waits until the writes so far are done.
    pub(super) async fn drain(&self) {
        let (done, wait) = oneshot::channel();
        let mut mark = Write::Mark(done);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(mark) {
            mark = back;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.writer.unpark();
        let _ = wait.await;
    }
}

fn work(store: &IdentityStore, waiting: &Receiver<Write>) {
    let mut changes = Vec::new();
    while let Ok(first) = waiting.recv() {
        let mark = gather(first, waiting, &mut changes);
        if !changes.is_empty()
            && let Err(error) = store.apply(&changes)
        {
            log::warn!("the store could not be written, answers stay in memory: {error}");
        }
        changes.clear();
        if let Some(mark) = mark {
            let _ = mark.send(());
        }
    }
}

/// Takes what is there and what comes within a moment; a mark ends it at once, and gives who waits for it.
fn gather(first: Write, waiting: &Receiver<Write>, changes: &mut Vec<Change>) -> Option<oneshot::Sender<()>> {
    let mut rested = false;
    let mut next = Some(first);
    loop {
        match next {
            Some(Write::Change(change)) => changes.push(change),
            Some(Write::Mark(mark)) => return Some(mark),
            None if rested => return None,
            None => {
                // Asleep, because a wait in the queue would wake for each write.
                std::thread::park_timeout(GATHER);
                rested = true;
            }
        }
        if changes.len() == BATCH {
            return None;
        }
        next = waiting.try_recv().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Sid;

    fn change(rid: u32) -> Write {
        let sid: Sid = "S-1-5-21-1-2-3".parse().unwrap();
        Write::Change(Change::Remove(sid.with_rid(rid).unwrap()))
    }

    #[test]
    fn what_comes_together_is_written_together() {
        let (queue, waiting) = sync_channel(MAX_WAITING);
        for rid in 0..BATCH as u32 + 10 {
            queue.send(change(rid)).unwrap();
        }
        let (done, _wait) = oneshot::channel();
        queue.send(Write::Mark(done)).unwrap();
        queue.send(change(9999)).unwrap();
        let mut sizes = Vec::new();
        let mut marks = Vec::new();
        while let Ok(first) = waiting.try_recv() {
            let mut changes = Vec::new();
            marks.push(gather(first, &waiting, &mut changes).is_some());
            sizes.push(changes.len());
        }
        assert_eq!(sizes, [BATCH, 10, 1]);
        assert_eq!(marks, [false, true, false], "who waits for the disk is told before the next writes");
    }
}
