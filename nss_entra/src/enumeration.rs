//! Where an enumeration stands: one batch of the daemon's and the cursor of the next one, never the whole list.
//!
//! The place is plain memory and each batch has a connection of its own, so a forked child goes on where its parent
//! was, neither disturbing the other. The lock is never waited for: a child that was forked while another thread held
//! it is told "not now" instead of hanging. (glibc lets one thread at a time in here.)

use std::path::Path;
use std::sync::{Mutex, MutexGuard, TryLockError};

use entra_wire::codec::Reader;
use entra_wire::guard::ID_FLOOR;
use entra_wire::local_names::LocalNames;
use entra_wire::nss::Request;
use entra_wire::reserved::Reserved;
use entra_wire::settings::Settings;
use entra_wire::stated::Stated;

use crate::daemon::{Deadline, ask};
use crate::status::Failure;

/// Most batches that are asked for until one has an entry. The daemon answers each within two seconds.
const MOST_WAITS: u32 = 24;

/// What became of an entry.
pub(crate) enum Next {
    /// It is in the caller's buffer.
    Given,
    /// It is not ours to give: the one after it is asked for.
    Skipped,
}

/// One database's enumeration.
pub(crate) struct Stream {
    state: Mutex<State>,
    request: fn(&[u8]) -> Request<'_>,
    /// Whose names and ids are not given.
    local: fn() -> &'static Path,
    /// Fewest bytes of an entry on the wire.
    least: usize,
}

struct State {
    /// The current batch: the reply's body.
    batch: Vec<u8>,
    /// Where in it the next entry starts.
    position: usize,
    /// How many entries it still has.
    left: usize,
    /// What the configuration stated and who was local when the batch came: read once for a thousand entries, not for each.
    limits: Option<(Stated, LocalNames)>,
    /// Where the next batch starts: empty at the start and at the end, told apart by `begun`.
    cursor: Vec<u8>,
    begun: bool,
}

impl State {
    const START: Self =
        Self { batch: Vec::new(), position: 0, left: 0, limits: None, cursor: Vec::new(), begun: false };
}

impl Stream {
    /// An enumeration of what `request` lists, `least` bytes an entry at least, without those of the `local` file.
    pub(crate) const fn new(request: fn(&[u8]) -> Request<'_>, least: usize, local: fn() -> &'static Path) -> Self {
        Self { state: Mutex::new(State::START), request, local, least }
    }

    /// From the start again; frees the batch.
    pub(crate) fn rewind(&self) {
        if let Some(mut state) = self.lock() {
            *state = State::START;
        }
    }

    /// Hands the next entry to `give`, which reads it and knows what the configuration states and who is local; goes on
    /// while it skips. An entry that `give` fails on, for a buffer that is too small, is the next one again.
    pub(crate) fn next(
        &self,
        settings: &Settings,
        mut give: impl FnMut(&mut Reader<'_>, &Stated, &LocalNames) -> Result<Next, Failure>,
    ) -> Result<(), Failure> {
        let mut state = self.lock().ok_or(Failure::TryLater)?;
        let mut waits = 0;
        loop {
            while state.left > 0 {
                let mut reader = Reader::new(state.batch.get(state.position..).unwrap_or_default());
                let (stated, local) = state.limits.as_ref().ok_or(Failure::TryLater)?;
                let next = give(&mut reader, stated, local)?;
                state.position = state.batch.len() - reader.rest().len();
                state.left -= 1;
                if matches!(next, Next::Given) {
                    return Ok(());
                }
            }
            // A batch without entries says that the directory is still thinking; each has a deadline of its own.
            waits += 1;
            if waits > MOST_WAITS {
                return Err(Failure::NotRunning);
            }
            self.fetch(&mut state, settings, Deadline::start(settings))?;
        }
    }

    /// The batch after the current one.
    fn fetch(&self, state: &mut State, settings: &Settings, deadline: Deadline) -> Result<(), Failure> {
        if state.begun && state.cursor.is_empty() {
            (state.batch, state.limits) = (Vec::new(), None);
            return Err(Failure::NotFound);
        }
        // Before the batch is let go: where nobody can tell who is local, it is asked for again.
        let local = LocalNames::read((self.local)(), usize::MAX, &Reserved::NONE, |id| id >= ID_FLOOR)
            .map_err(|_| Failure::TryLater)?;
        let limits = (Stated::of_config(&settings.config), local);
        let mut batch = std::mem::take(&mut state.batch);
        let mut reader = ask(&(self.request)(&state.cursor), settings, deadline, &mut batch)?;
        let cursor = reader.cursor()?.to_vec();
        let left = reader.count(self.least)?;
        // A batch without entries that leads to itself would be asked for again and again.
        if left == 0 && cursor == state.cursor && !cursor.is_empty() {
            return Err(Failure::NotRunning);
        }
        let rest = reader.rest().len();
        let position = batch.len() - rest;
        *state = State { batch, position, left, limits: Some(limits), cursor, begun: true };
        Ok(())
    }

    fn lock(&self) -> Option<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(state)) => Some(state.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
