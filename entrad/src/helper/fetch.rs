//! A service ticket for a person's ccache, got and put there as that person.
//!
//! Unlike all else here this goes by the host's krb5.conf: where the KDCs of another realm are, among them the KDC proxy of
//! a cloud trust (`entractl cloud-trust configure`), and libkrb5's plugins, which reach that one by TLS (k5tls). So it is
//! read as the person, never as root. The person's own realm stays with the one KDC that the daemon chose.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use entra_core::auth::{CcacheTarget, FetchRequest, TicketTimes};
use entra_krb5::{Ccache, Context, Principal, Profile, service_ticket_anywhere};

use super::{Failure, ticket};
use crate::privileges;

/// The host's configuration of Kerberos.
const KRB5_CONF: &str = "/etc/krb5.conf";
/// Longest ccache that is read, in bytes.
const MAX_CCACHE: u64 = 4 * 1024 * 1024;

/// `fetch`: the ticket goes beside the others in the ccache that was opened. Whoever removed or replaced that one
/// meanwhile gets nothing back.
pub(super) fn run(request: &FetchRequest) -> Result<TicketTimes, Failure> {
    let (realm, target) = (&request.realm, &request.ccache);
    let refused = |why: &str| Failure::Refused(why.into());
    let profile = Profile::new(realm, &[request.kdc]).ok_or_else(|| refused("a realm that is none"))?;
    let (service, host) = request.service.split_once('/').ok_or_else(|| refused("a service that is none"))?;
    privileges::become_user(target.uid, target.gid)
        .map_err(|error| Failure::Internal(format!("becoming uid {}: {error}", target.uid)))?;
    let context = Context::before_host(&profile, Path::new(KRB5_CONF)).map_err(ticket::failure)?;
    let opened = Opened::open(target)?;
    let theirs = Ccache::resolve(&context, &opened.name).map_err(ticket::failure)?;
    let tgt = theirs.tgt(realm).map_err(ticket::failure)?;
    let tgt = tgt.ok_or_else(|| Failure::Internal(format!("{} holds no ticket of {realm} any more", target.name)))?;
    // In a ccache of its own, with the TGT alone: the ticket is a new one, also where an older one is there.
    let own = Ccache::memory(&context).map_err(ticket::failure)?;
    own.initialize(&theirs.owner().map_err(ticket::failure)?).map_err(ticket::failure)?;
    own.store(&tgt).map_err(ticket::failure)?;
    let wanted = Principal::of_host(&context, service, host).map_err(ticket::failure)?;
    let got = service_ticket_anywhere(&context, &own, &wanted).map_err(ticket::failure)?;
    theirs.store(&got).map_err(ticket::failure)?;
    Ok(ticket::times(&got))
}

/// A person's ccache: of a file, what was checked is what is read and written.
struct Opened {
    name: String,
    _file: Option<File>,
}

impl Opened {
    fn open(target: &CcacheTarget) -> Result<Self, Failure> {
        let Some(path) = target.name.strip_prefix("FILE:") else {
            return Ok(Self { name: target.name.clone(), _file: None });
        };
        let failed = |why: String| Failure::Internal(format!("{path}: {why}"));
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = File::options().read(true).write(true).custom_flags(flags).open(path);
        let file = file.map_err(|error| failed(error.to_string()))?;
        let meta = file.metadata().map_err(|error| failed(error.to_string()))?;
        if !meta.is_file() || meta.uid() != target.uid || meta.len() > MAX_CCACHE {
            return Err(failed("is not the ccache of this person any more".into()));
        }
        let name = format!("FILE:/proc/self/fd/{}", file.as_raw_fd());
        Ok(Self { name, _file: Some(file) })
    }
}
