//! The worker: sockets, peer credentials, wiring, background tasks. Runs as the user `entra`, for ever.
//!
//! Nothing here decides: a request is read, its peer is checked, a use case of `entra_core` answers, the reply is
//! written. Every connection has one request, a deadline, and a place in a bounded set.

mod cache;
mod ctl;
mod identify;
mod kdc_files;
mod keytab;
mod limits;
#[allow(unsafe_code)] // FFI edge: mallopt and malloc_trim.
mod memory;
mod nss;
mod pam;
mod places;
mod probe;
#[allow(unsafe_code)] // FFI edge: what kind of descriptor came.
mod receive;
mod reload;
mod serve;
mod tickets;
mod upkeep;

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use entra_core::Error;
use entra_core::auth::{Kdc, Login};
use entra_core::config::Config;
use entra_core::directory::ldap::{LdapDirectory, Settings as LdapSettings};
use entra_core::idmap::IdMapper;
use entra_core::lookup::{Allowance, Clock, DomainContext, Lookup, Settings};
use entra_core::store::{CredentialStore, IdentityStore, SliceStore};
use entra_wire::lookup_deadline;
use tokio::signal::unix::{SignalKind, signal};

pub use reload::Read;
use reload::Reload;

/// Threads of the event loop: lookups are short and wait for the network, not for a processor.
const THREADS: usize = 2;
/// Threads beside it that wait for the disk or the Kerberos library: the stores are used by few at a time anyway.
const BLOCKING: usize = 16;
/// Longest wait for the tasks that are still answering when the daemon ends.
const SHUTDOWN: Duration = Duration::from_secs(2);
/// How long the answer to who asked for a reload has before the connections end.
const ANSWERED: Duration = Duration::from_millis(200);
/// Longest wait for the store to take the last answers.
const SETTLING: Duration = Duration::from_secs(2);

/// Reads one request as each socket does; gives its body.
#[cfg(feature = "fuzzing")]
pub async fn read_frame(stream: &tokio::net::UnixStream) -> Option<Vec<u8>> {
    receive::frame(stream, entra_wire::protocol::MAX_REQUEST, 1).await.ok().map(|(body, _)| body)
}

/// What the worker starts with; everything that needed root was done before.
pub struct Startup {
    /// The configuration, already checked.
    pub config: Config,
    /// Reads it anew, and prepares for it what stands outside of the worker.
    pub read: Read,
    /// Lookups; already listening, so that the peer credentials that modules see are root's.
    pub nss: UnixListener,
    /// PAM requests.
    pub pam: UnixListener,
    /// Requests of `entractl`.
    pub ctl: UnixListener,
    /// Makes the Kerberos side, inside the tokio runtime: once, and again after each reload.
    pub kdc: Box<dyn Fn() -> std::io::Result<Arc<dyn Kdc>> + Send>,
    /// Where the stores are: `/var/lib/entra`.
    pub state_dir: PathBuf,
    /// Where lookups are shared with every process: `/run/entra/cache.map`.
    pub cache_map: PathBuf,
    /// Where Kerberos programs find the KDC in use: `/run/entra`.
    pub run_dir: PathBuf,
    /// Where the machine ticket and the krb5 profile are: `/run/entra/private`.
    pub private_dir: PathBuf,
}

/// Runs until SIGTERM or SIGINT. SIGHUP, or root over `ctl.sock`, has it go on with the configuration as it is then:
/// everything behind the sockets is made anew, as after a restart, while the sockets stay and who asks waits.
///
/// # Errors
/// When a store cannot be opened or the runtime cannot start.
pub fn run(startup: &Startup) -> Result<(), Error> {
    memory::bound();
    let started = Instant::now();
    let mut config = startup.config.clone();
    while let Some(next) = round(startup, config, started)? {
        config = next;
    }
    Ok(())
}

/// One life between two reloads; gives the configuration of the next one.
fn round(startup: &Startup, config: Config, started: Instant) -> Result<Option<Config>, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .max_blocking_threads(BLOCKING)
        .thread_name("entrad")
        .enable_all()
        .build()?;
    let result = runtime.block_on(serve(startup, config, started));
    runtime.shutdown_timeout(SHUTDOWN);
    result
}

async fn serve(startup: &Startup, config: Config, started: Instant) -> Result<Option<Config>, Error> {
    let Startup { nss, pam, ctl, kdc, state_dir, cache_map, run_dir, private_dir, .. } = startup;
    let kdc = kdc()?;
    let lookup = wire(&config, state_dir, private_dir, &kdc)?;
    let login = Arc::new(login(&config, &lookup, Arc::clone(&kdc), state_dir));
    cache::start(&lookup, &config, cache_map.clone());
    let (reload, mut asked) = Reload::new(&startup.read);
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    serve::listen(nss.try_clone()?, Arc::new(nss::Service::new(Arc::clone(&lookup))))?;
    serve::listen(pam.try_clone()?, Arc::new(pam::Service::new(Arc::clone(&login))))?;
    let control = ctl::Service::new(Arc::clone(&lookup), Arc::clone(&login), reload.clone(), started);
    serve::listen(ctl.try_clone()?, Arc::new(control))?;
    probe::start(&lookup);
    upkeep::start(&lookup, &login);
    memory::start();
    tickets::start(&login);
    keytab::start(&lookup, kdc);
    let kdc_files = kdc_files::start(&lookup, run_dir);
    tell("READY=1");
    log::info!("entrad {} serves {} domain(s)", env!("CARGO_PKG_VERSION"), config.domains.len());

    let next = loop {
        tokio::select! {
            _ = terminate.recv() => break None,
            _ = interrupt.recv() => break None,
            _ = hangup.recv() => {
                if let Err(error) = reload.ask() {
                    log::error!("the configuration before stays in force: {error}");
                }
            }
            Some(config) = asked.recv() => break Some(config),
        }
    };
    if next.is_some() {
        log::info!("the configuration is read anew");
        // Who asked for it is told before the connections end.
        tokio::time::sleep(ANSWERED).await;
    } else {
        tell("STOPPING=1");
    }
    kdc_files.remove();
    if tokio::time::timeout(SETTLING, lookup.settle()).await.is_err() {
        log::warn!("the store is too slow to take the last answers: they are asked for again after the next start");
    }
    if next.is_none() {
        log::info!("entrad ends");
    }
    Ok(next)
}

/// A host whose store of credentials cannot be opened still lets people in while the domain is there.
fn login(config: &Config, lookup: &Arc<Lookup>, kdc: Arc<dyn Kdc>, state_dir: &std::path::Path) -> Login {
    let login = Login::new(Arc::clone(lookup), kdc).on_host(&host_name());
    match CredentialStore::open(&state_dir.join("credentials.db")) {
        Ok(store) => {
            let domains: Vec<&str> = config.domains.iter().map(|domain| domain.name.as_str()).collect();
            match store.keep_only(&domains) {
                Ok(0) => {}
                Ok(gone) => log::info!("{gone} verifiers for offline logins went with a domain that was left"),
                Err(error) => log::error!("verifiers of a domain that was left may still be there: {error}"),
            }
            login.with_offline(Arc::new(store))
        }
        Err(error) => {
            log::error!("nobody can log in while the domain is away: {error}");
            login
        }
    }
}

/// The kernel's name for this host; empty where it has none that is text.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()).unwrap_or_default()
}

/// Tells the service manager, where there is one; that it cannot be told stops nobody's logins.
fn tell(state: &str) {
    if let Err(error) = crate::notify::notify(state) {
        log::warn!("the service manager could not be told {state}: {error}");
    }
}

/// The one place where use cases meet their adapters.
fn wire(
    config: &Config,
    state_dir: &std::path::Path,
    private_dir: &std::path::Path,
    kdc: &Arc<dyn Kdc>,
) -> Result<Arc<Lookup>, Error> {
    let slices = SliceStore::open(&state_dir.join("idmap.db"))?;
    let mapper = IdMapper::open(slices, &config.domains)?;
    let store = Arc::new(IdentityStore::open(&state_dir.join("identity.db"))?);
    // The rest is for the way of the answer: who asked waits for the whole time and no longer.
    let deadline = config.lookup_deadline.saturating_sub(lookup_deadline::WAY);
    let mut domains = Vec::with_capacity(config.domains.len());
    for domain in &config.domains {
        let settings = LdapSettings::new(domain.clone(), private_dir, deadline);
        let directory = Arc::new(LdapDirectory::new(settings, Arc::clone(kdc))?);
        domains.push(DomainContext::new(domain.clone(), directory));
    }
    let settings = Settings {
        cache_ttl: config.cache_ttl,
        negative_ttl: config.negative_ttl,
        deadline,
        unknown: Allowance::default(),
        reserved_groups: config.reserved_groups.clone(),
        passwd: entra_wire::local::passwd().to_owned(),
        group: entra_wire::local::group().to_owned(),
        known_domains: state_dir.join("domains.json"),
    };
    let clock: Clock = Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
    Lookup::new(domains, mapper, store, settings, clock)
}
