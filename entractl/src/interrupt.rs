//! Ctrl-C and the like while a host is being changed: noted, not obeyed at once, so that everything can be undone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// Whether somebody asked to stop.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on SIGINT, SIGTERM and SIGHUP are noted instead of ending this process.
    pub fn watch() -> Self {
        let interrupt = Self::default();
        let noted = interrupt.clone();
        let (ready, watching) = std::sync::mpsc::channel::<()>();
        thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
                let [Ok(mut int), Ok(mut term), Ok(mut hup)] = kinds.map(signal) else { return };
                drop(ready);
                loop {
                    tokio::select! { _ = int.recv() => {}, _ = term.recv() => {}, _ = hup.recv() => {} }
                    noted.0.store(true, Ordering::Release);
                }
            });
        });
        // Ends when the handlers are there, or cannot be had.
        let _ = watching.recv();
        interrupt
    }

    /// Whether a signal came.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
