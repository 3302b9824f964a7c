//! The shared cache, the daemon's socket and the local files, as this process sees them.

use std::path::Path;
use std::time::Instant;

use entra_wire::cache_map::{Limits, Mapped, SharedMap, View};
use entra_wire::codec::Reader;
use entra_wire::local;
use entra_wire::local_names::LocalNames;
use entra_wire::nss::Request;
use entra_wire::protocol::Status;
use entra_wire::question;
use entra_wire::ranges::Ranges;
use entra_wire::reserved::Reserved;
use entra_wire::settings::Settings;
use entra_wire::stated::Stated;

use crate::status::Failure;

static MAP: SharedMap = SharedMap::new();

/// What `look` makes of the shared cache. `None`: there is none that answers.
pub(crate) fn in_map<T>(look: impl FnOnce(&View<'_, Mapped>, &Limits) -> T) -> Option<T> {
    let settings = Settings::current();
    if settings.off {
        return None;
    }
    MAP.read(settings.map.as_ref(), look)
}

/// Asks the daemon, and gives a reader over the answer's payload in `body`.
pub(crate) fn ask<'b>(request: &Request<'_>, body: &'b mut Vec<u8>) -> Result<Reader<'b>, Failure> {
    let settings = Settings::current();
    if settings.off {
        return Err(Failure::Unavailable);
    }
    let deadline = Instant::now() + Stated::of_config(&settings.config).lookup_deadline;
    match question::ask(request, &settings.socket, settings.trust, deadline, body)? {
        (Status::Ok, payload) => Ok(payload),
        (status, _) => Err(status.into()),
    }
}

/// What an answer of the socket cannot go beyond: read for each one, as for a map they are kept beside it.
pub(crate) struct Bounds {
    /// Ids that the configuration grants.
    pub(crate) ranges: Ranges,
    /// `/etc/passwd`
    pub(crate) users: LocalNames,
    /// `/etc/group`, and the reserved names
    pub(crate) groups: LocalNames,
}

impl Bounds {
    /// Reads them. [`Failure::Unavailable`] where a file cannot be read: then nobody can tell who is local.
    pub(crate) fn read() -> Result<Self, Failure> {
        let names = |path: &Path, reserved: &Reserved| {
            LocalNames::read(path, usize::MAX, reserved, |_| true).map_err(|_| Failure::Unavailable)
        };
        let stated = Stated::of_config(&Settings::current().config);
        let users = names(local::passwd(), &Reserved::NONE)?;
        Ok(Self { ranges: stated.ranges, users, groups: names(local::group(), &stated.reserved)? })
    }
}
