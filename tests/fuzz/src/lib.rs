//! Everything of ours that reads what somebody else wrote, each as a function of any bytes that must come back: no
//! panic, no endless loop, no memory beyond its bound, nothing given that is not allowed.
//!
//! libFuzzer makes the bytes (`cargo xtask fuzz`); what was found once is kept in `corpus/TARGET/` and run by every
//! `cargo test`. Each target begins with real encodings, made by our own writers.
//!
//! | Module | Whose bytes |
//! |---|---|
//! | [`local`] | processes of this host, and the daemon as a module sees it: protocol, control, broker |
//! | [`map`] | whoever may write the shared cache |
//! | [`server`] | a domain controller or a KDC proxy, or who poses as one: LDAP, sealing, TLS, PAC, DNS, group policies |
//! | [`host`] | files of the host, and what people type: configuration, keytab, names, SIDs |
//! | [`nss`] | the daemon or a map, as the NSS module takes them into a caller's buffer |

#![deny(unsafe_code)]
// All of this is test code: a broken promise ends the run with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

#[allow(unsafe_code)] // FFI edge: the module's entry points.
pub mod entries;
pub mod host;
pub mod local;
pub mod map;
pub mod nss;
pub mod server;

/// One reader.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line, and that of its folder of kept cases.
    pub name: &'static str,
    /// Has it read these bytes.
    pub run: fn(&[u8]),
    /// What it begins with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "frame", run: local::frame, seeds: local::frames },
    Target { name: "protocol", run: local::protocol, seeds: local::messages },
    Target { name: "cache", run: map::read, seeds: map::patches },
    Target { name: "control", run: local::control, seeds: local::questions },
    Target { name: "broker", run: local::broker, seeds: local::requests },
    Target { name: "nss-reply", run: nss::reply, seeds: nss::replies },
    Target { name: "nss-map", run: nss::map, seeds: nss::patches },
    Target { name: "ldap-bind", run: server::bind, seeds: server::binds },
    Target { name: "ldap-entry", run: server::entry, seeds: server::entries },
    Target { name: "gss-frames", run: server::sealed, seeds: server::sealed_frames },
    Target { name: "certificate", run: server::certificate, seeds: server::certificates },
    Target { name: "pac", run: server::pac, seeds: server::pacs },
    Target { name: "dns", run: server::dns, seeds: server::answers },
    Target { name: "cldap", run: server::ping, seeds: server::pongs },
    Target { name: "tls-answer", run: server::tls_answer, seeds: server::tls_answers },
    Target { name: "srv", run: server::srv, seeds: server::targets },
    Target { name: "kkdcp", run: server::kkdcp, seeds: server::proxied },
    Target { name: "gpo", run: server::gpo, seeds: server::templates },
    Target { name: "config", run: host::config, seeds: host::configs },
    Target { name: "keytab", run: host::keytab, seeds: host::keytabs },
    Target { name: "names", run: host::names, seeds: host::typed },
    Target { name: "sid", run: host::sid, seeds: host::sids },
    Target { name: "accounts", run: host::accounts, seeds: host::account_files },
];

/// Runs a future to its end, on a runtime of this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}
