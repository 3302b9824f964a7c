//! The shared cache: made at the start, told every second what time it is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use entra_core::cache::{Now, Settings, SharedCache};
use entra_core::config::Config;
use entra_core::lookup::Lookup;
use entra_wire::cache_map::mapping::tick_and_beat;
use entra_wire::local;
use tokio::time::{MissedTickBehavior, interval};

/// How often; a change of `/etc/passwd` is seen as soon.
const TICK: Duration = Duration::from_secs(1);

/// Makes the cache at `path` and starts its task, until the runtime ends.
pub(super) fn start(lookup: &Arc<Lookup>, config: &Config, path: PathBuf) {
    let settings = Settings {
        path,
        max_size: config.cache_map_size,
        ranges: config.domains.iter().map(|domain| domain.id_range).collect(),
        passwd: local::passwd().to_owned(),
        group: local::group().to_owned(),
    };
    lookup.publish_to(SharedCache::start(settings, now()));
    let lookup = Arc::clone(lookup);
    tokio::spawn(async move {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(cache) = lookup.shared_cache() {
                cache.tick(now());
            }
        }
    });
}

fn now() -> Now {
    let (tick, beat) = tick_and_beat();
    Now { tick, beat }
}
