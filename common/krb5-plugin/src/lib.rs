//! Plugins of MIT libkrb5, loaded into every process that uses Kerberos: sshd, ssh, kinit, smbclient, a web server.
//!
//! | Module | Holds |
//! |---|---|
//! | [`localauth`] | whose account a principal is: `ssh` with a ticket lands in the right one, and in no local one |
//! | [`locator`] | the domain controller that the daemon uses, for every Kerberos program |
//! | [`daemon`] | one question to `nss.sock`, one deadline |
//! | [`abi`] | the C interfaces (`krb5/localauth_plugin.h`, `krb5/locate_plugin.h`) |
//!
//! The rules of the modules hold: libc and the wire protocol alone, no thread, no descriptor between calls, nothing
//! printed, every entry catches panics, every wait has a deadline. Where there is no answer the plugins say so
//! (`KRB5_PLUGIN_NO_HANDLE`), and libkrb5 goes on with its own means. `ENTRA_NSS_OFF` turns them off for a process: the
//! daemon sets it for itself and its helpers, which know better.

#![deny(unsafe_code)]

#[allow(unsafe_code)]
mod abi;
mod daemon;
mod localauth;
mod locator;

/// Whether this process does without us.
fn is_off() -> bool {
    std::env::var_os("ENTRA_NSS_OFF").is_some()
}
