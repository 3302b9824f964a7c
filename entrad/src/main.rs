//! `entrad`: takes what needs root, forks the broker, gives up root, and becomes the worker.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use clap::Parser;
use entra_core::Error;
use entra_core::auth::{AuthAnswer, AuthRequest, Kdc, MachineTicket, PasswordPipe};
use entra_core::config::{self, Config};
use entra_core::whole_file;
use entra_krb5::Profile;
use entra_wire::{local, paths};
use entrad::account::{self, Account};
use entrad::broker::{self, Channel, Policy};
use entrad::places::{Places, SOCKET_MASK};
use entrad::worker::{self, Startup};
use entrad::{apparmor, journal, privileges, seccomp};

/// Resolves users and groups of Entra Domain Services and Active Directory, and logs them in.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Stay in the foreground and log to standard error. This is what happens anyway; the option is for those who
    /// expect it.
    #[arg(long)]
    foreground: bool,
    /// Configuration file.
    #[arg(long, value_name = "PATH", default_value = paths::CONFIG)]
    config: PathBuf,
    /// Folder of the sockets. One of its own is what a daemon needs that is not root's; lookups go there where
    /// ENTRA_RUN_DIR names it.
    #[arg(long, value_name = "PATH", default_value = paths::RUN_DIR)]
    run_dir: PathBuf,
    /// Folder of the stores.
    #[arg(long, value_name = "PATH", default_value = paths::STATE_DIR)]
    state_dir: PathBuf,
    /// User that the worker becomes.
    #[arg(long, value_name = "NAME", default_value = paths::USER, hide = true)]
    user: String,
    /// The Kerberos helper.
    #[arg(long, value_name = "PATH", default_value = paths::HELPER, hide = true)]
    helper: PathBuf,
    /// Machine keytab.
    #[arg(long, value_name = "PATH", default_value = paths::KEYTAB, hide = true)]
    keytab: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // Before the configuration is read there is no log level yet; an error is shown at every one.
            journal::start(log::LevelFilter::Error);
            log::error!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// The order matters: the lock before anything is touched, the broker before sockets that it must not hold, the sockets
/// before root is gone, so that clients see root behind them.
fn run(arguments: &Arguments) -> Result<(), String> {
    let config = load(&arguments.config)?;
    journal::start(config.log_level);
    let places = Places { run: absolute(&arguments.run_dir)?, state: absolute(&arguments.state_dir)? };
    let text = |error: std::io::Error| error.to_string();
    let root = privileges::is_root();
    let account = if root { Some(account::find(&arguments.user, local::passwd(), local::group())?) } else { None };
    places.make(account.as_ref()).map_err(text)?;
    let lock = places.lock().map_err(text)?;
    let broker = match &account {
        Some(account) => Some(
            broker::start(broker_settings(arguments, &config, &places, account)?)
                .map_err(|error| format!("the broker cannot be started: {error}"))?,
        ),
        None => None,
    };
    let umask = privileges::set_umask(SOCKET_MASK);
    let (nss, pam, ctl) = (
        places.listen("nss.sock").map_err(text)?,
        places.listen("pam.sock").map_err(text)?,
        places.listen("ctl.sock").map_err(text)?,
    );
    privileges::set_umask(umask);
    set_kerberos_environment(&places)?;
    privileges::allow_descriptors().map_err(|error| format!("the limit of descriptors: {error}"))?;
    if let Some(account) = &account {
        privileges::drop_to(account).map_err(|error| format!("the rights of root cannot be given up: {error}"))?;
        // Both before any thread is there: all of them inherit it.
        if let Err(error) = apparmor::confine() {
            log::warn!(
                "the worker stays under the profile that the broker has: {error}; `apparmor_parser -r \
                 /etc/apparmor.d/usr.sbin.entrad` loads the one that belongs to this version"
            );
        }
        if !seccomp::confine().map_err(|error| format!("the filter of system calls: {error}"))? {
            log::warn!(
                "no filter of system calls: none is made for this architecture, or seccomp(2) is not allowed here"
            );
        }
    } else {
        log::info!("not started as root: names are resolved, nobody can log in");
    }
    write_krb5_conf(&places, &config).map_err(text)?;
    let read = {
        let (path, places) = (absolute(&arguments.config)?, places.clone());
        move || {
            let config = load(&path)?;
            write_krb5_conf(&places, &config).map_err(|error| error.to_string())?;
            log::set_max_level(config.log_level);
            Ok(config)
        }
    };
    let startup = Startup {
        config,
        read: Arc::new(read),
        nss,
        pam,
        ctl,
        kdc: Box::new(move || match &broker {
            Some(socket) => {
                Channel::new(socket.try_clone()?, end_without_broker).map(|channel| Arc::new(channel) as Arc<dyn Kdc>)
            }
            None => Ok(Arc::new(NoBroker) as Arc<dyn Kdc>),
        }),
        cache_map: places.cache_map(),
        run_dir: places.run.clone(),
        private_dir: places.private(),
        state_dir: places.state,
    };
    let outcome = worker::run(&startup).map_err(|error| error.to_string());
    drop(lock);
    outcome
}

fn load(path: &Path) -> Result<Config, String> {
    match config::load(path) {
        Ok(config) => Ok(config),
        // A host that has not joined yet: every name is somebody else's.
        Err(error) if error.missing => config::parse("").map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

fn broker_settings(
    arguments: &Arguments,
    config: &Config,
    places: &Places,
    account: &Account,
) -> Result<broker::Settings, String> {
    let (helpers, queue) = broker::LIMITS;
    Ok(broker::Settings {
        policy: Policy::of(
            config,
            absolute(&arguments.config)?,
            entra_wire::local::passwd().to_owned(),
            entra_wire::local::group().to_owned(),
        ),
        program: absolute(&arguments.helper)?,
        keytab: absolute(&arguments.keytab)?,
        machine_ccache: places.machine_ccache(),
        worker: (account.uid, account.gid),
        helpers,
        queue,
    })
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// For GSSAPI in the worker: our own krb5 settings, the machine's ticket, and no locator plugin of SSSD, which would
/// name KDCs out of files that nobody updates. And none of our processes resolves a name through our own module: it would
/// wait for itself.
fn set_kerberos_environment(places: &Places) -> Result<(), String> {
    let (conf, ccache) = (places.krb5_conf(), places.machine_ccache());
    let (Some(conf), Some(ccache)) = (conf.to_str(), ccache.to_str()) else {
        return Err("the run folder's path has to be UTF-8".into());
    };
    let ccache = format!("FILE:{ccache}");
    let values =
        [("KRB5_CONFIG", conf), ("KRB5CCNAME", &ccache), ("SSSD_KRB5_LOCATOR_DISABLE", "1"), ("ENTRA_NSS_OFF", "1")];
    let removed = ["KRB5_KTNAME", "KRB5_CLIENT_KTNAME", "KRB5_TRACE", "KRB5RCACHENAME", "GSS_MECH_CONFIG"];
    privileges::set_environment(&values, &removed).map_err(|error| error.to_string())
}

/// The settings until the worker knows a KDC; it replaces the file then.
fn write_krb5_conf(places: &Places, config: &Config) -> std::io::Result<()> {
    let realm = config.domains.first().map_or_else(|| "UNJOINED.INVALID".into(), config::Domain::realm);
    let profile = Profile::new(&realm, &[])
        .ok_or_else(|| std::io::Error::other(format!("{realm} cannot be a Kerberos realm: check the domain's name")))?;
    whole_file::replace(&places.krb5_conf(), profile.to_text().as_bytes(), 0o644)
}

/// Without the broker nobody can log in any more. The service manager starts both anew.
fn end_without_broker() {
    log::error!("the broker has ended, so this process does too");
    std::process::exit(1);
}

/// Kerberos where there is no broker.
struct NoBroker;

impl NoBroker {
    fn refuse<T>() -> Result<T, Error> {
        Err(Error::Config("entrad runs without root, so it has no access to the machine's keytab".into()))
    }
}

#[async_trait]
impl Kdc for NoBroker {
    async fn machine_ticket(&self, _: &str, _: std::net::SocketAddr) -> Result<MachineTicket, Error> {
        Self::refuse()
    }

    async fn authenticate(&self, _: AuthRequest, _: PasswordPipe) -> Result<AuthAnswer, Error> {
        Self::refuse()
    }
}
