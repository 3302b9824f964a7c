//! What the worker keeps of the memory that a burst took. FFI edge: std has none of these calls.
//!
//! glibc gives each thread that allocates at the same time as another an arena of its own, and keeps what is freed. Lookups
//! wait for the network, so two arenas serve them as well as sixteen, and what a large group took is given back.

use std::time::Duration;

/// Arenas of the allocator: one for each thread of the event loop.
const ARENAS: i32 = 2;
/// Pause between two rounds.
const PAUSE: Duration = Duration::from_secs(30);

/// Bounds the arenas; called before the process has threads.
pub(super) fn bound() {
    // SAFETY: mallopt reads two integers; no other thread allocates yet.
    if unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS) } == 0 {
        log::debug!("the allocator's arenas stay unbounded");
    }
}

/// Gives freed memory back now and then, until the runtime ends.
pub(super) fn start() {
    tokio::spawn(async {
        loop {
            tokio::time::sleep(PAUSE).await;
            // SAFETY: malloc_trim takes the arenas' own locks and may be called at any time (malloc_trim(3)).
            unsafe { libc::malloc_trim(0) };
        }
    });
}
