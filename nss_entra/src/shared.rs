//! The shared cache in this process: asked before the socket.

use entra_wire::cache_map::{Limits, Mapped, SharedMap, View};
use entra_wire::settings::Settings;

use crate::status::Failure;

static MAP: SharedMap = SharedMap::new();

/// What `look` finds in the map, within the limits of this host. `None`: the daemon has to be asked.
///
/// No system call while there is a map that answers. Where there is none, the way to the socket is the moment to look
/// for one.
pub(crate) fn ask<T>(
    settings: &Settings,
    look: impl FnOnce(&View<'_, Mapped>, &Limits) -> Result<Option<T>, Failure>,
) -> Result<Option<T>, Failure> {
    if settings.off {
        return Ok(None);
    }
    let place = settings.map.as_ref();
    MAP.read(place, look).unwrap_or(Ok(None))
}
