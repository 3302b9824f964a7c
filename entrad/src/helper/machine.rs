//! `machine-tgt`: the keytab becomes a ticket that the worker may use, and the key itself stays here.

use std::net::SocketAddr;
use std::time::Instant;

use entra_core::auth::MachineTicket;
use entra_krb5::{Ccache, Context, InitialRequest, Keytab, Principal, Profile, Secret, initial};

use super::{Failure, Job, machine_failure, ticket_file};
use crate::privileges;

/// Gets the ticket and puts it where the worker reads it.
pub(crate) fn ticket(job: &Job, realm: &str, kdc: SocketAddr, deadline: Instant) -> Result<MachineTicket, Failure> {
    let path = job.machine_ccache.to_str().ok_or_else(|| Failure::Internal("a path that is no UTF-8".into()))?;
    let profile = Profile::new(realm, &[kdc]).ok_or_else(|| Failure::Refused("a realm that is none".into()))?;
    let context = Context::new(&profile).map_err(machine_failure)?;
    // A change that was broken off leaves a keytab without the directory's key: first things first.
    super::rotate::take_up(job, realm, kdc, deadline);
    let ccache = Ccache::memory(&context).map_err(machine_failure)?;
    let credentials = {
        let keytab = Keytab::file(&context, &job.keytab).map_err(machine_failure)?;
        let name = keytab.machine_principal(realm).map_err(machine_failure)?;
        let client = Principal::parse(&context, &name).map_err(machine_failure)?;
        let request = InitialRequest {
            client: &client,
            secret: Secret::Keytab(&keytab),
            kdc,
            realm,
            deadline,
            armor: None,
            canonicalize: false,
            service: None,
            ccache: Some(&ccache),
        };
        initial(&context, &request).map_err(machine_failure)?
    };
    // The folder is the worker's: written as the worker, so that no link in it leads root anywhere.
    let (uid, gid) = job.worker;
    privileges::become_user(uid, gid)
        .map_err(|error| Failure::Internal(format!("becoming the worker's user: {error}")))?;
    let written = ticket_file::write(&context, &ccache, path).map_err(Failure::Internal)?;
    if written != path {
        let _ = std::fs::remove_file(&written);
        return Err(Failure::Internal(format!("{path} cannot be replaced")));
    }
    Ok(MachineTicket { expires: credentials.end() })
}
