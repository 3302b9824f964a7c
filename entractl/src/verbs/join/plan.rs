//! The preflight of a join: finds everything out and changes nothing, save that it removes what an interrupted join
//! left behind.

use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::PathBuf;

use entra_core::config::{self, Domain};
use entra_core::directory::ldap::RootDse;
use entra_core::discovery::{Pinned, Server};

use super::preset_word;
use crate::adcli;
use crate::cli::{Join, Preset};
use crate::exit::{Exit, Failure};
use crate::host::config::{NewDomain, add_domain};
use crate::host::journal::{Journal, State};
use crate::host::private::PrivateFolder;
use crate::host::{self, Paths, keytab, service};
use crate::output::{Output, Step};
use crate::preflight::credentials::{self, Ticket};
use crate::preflight::place::{self, Place};
use crate::preflight::{clock, computer, connect, dns, root_dse};
use crate::{registration, terminal};

/// Everything that the changes need to know.
pub(super) struct Plan {
    /// The domain as the configuration will describe it.
    pub domain: Domain,
    /// Name of the computer account, without `$`.
    pub computer: String,
    /// Fully qualified name of this host.
    pub fqdn: String,
    /// The DC that all of it is done with.
    pub server: Server,
    /// Its DNS name.
    pub host: String,
    /// KDCs to pin in the krb5 settings.
    pub kdcs: Vec<String>,
    /// The ticket with whose rights it is done.
    pub ticket: Ticket,
    /// A keytab with the key of the one-time password, where that proves the right.
    pub prepared: Option<PathBuf>,
    /// Where the account goes.
    pub place: Place,
    /// This host's addresses, to be registered in the domain's DNS; none where that is not wanted.
    pub addresses: Option<Vec<IpAddr>>,
    /// Where the machine's ticket may be written.
    pub machine_ccache: PathBuf,
    /// entra.toml as it will be.
    pub config: String,
}

/// Finds out; each step is shown as it ends.
pub(super) fn make(
    options: &Join,
    paths: &Paths,
    folder: &PrivateFolder,
    output: &mut Output<'_>,
) -> Result<Plan, Failure> {
    let name = domain_name(&options.domain)?;
    output.take(state(&name, paths))?;
    let (computer, fqdn) = output.pass(names(options, &name))?;
    output.step(Step::ok("name", format!("{computer}$, {fqdn}")));

    let tentative = options.preset.unwrap_or(Preset::ActiveDirectory);
    let (domain, _) = output.pass(configuration(options, paths, &name, tentative))?;
    let servers = output.pass(dns::find(&domain))?;
    output.step(Step::ok("dns", listed(&servers, &domain)));
    let reached = output.pass(connect::first(&servers))?;
    let server = reached.server;
    let (root, ahead) = output.pass(root_dse::read(server.addr))?;
    output.pass(of_domain(&root, &name))?;
    output.step(Step::ok(
        "connect",
        format!("{} ({}), ports 88 and {} open", root.host, server.addr.ip(), server.addr.port()),
    ));
    for closed in reached.closed {
        output.step(Step::warn("connect", closed, "open it if you need that"));
    }
    output.take(clock::judge(ahead, &root.host))?;

    let realm = domain.realm();
    let (ticket, prepared) = output.pass(ticket(options, &realm, &computer, &server, folder))?;
    output.step(Step::ok("credentials", ticket.detail.clone()));
    let question = place::Question {
        domain: &domain,
        server: server.addr,
        ccache: &ticket.ccache,
        krb5_config: &folder.file("krb5.conf"),
        base_dn: &root.base_dn,
        computer: &computer,
        ou: options.ou.as_deref(),
        permit: &options.permit,
        preset: options.preset,
        prepared: prepared.is_some(),
    };
    let place = output.pass(place::find(&question))?;
    output.step(place.step.clone());
    let (domain, config) = output.pass(configuration(options, paths, &name, place.preset))?;
    let kdcs = pinned_kdcs(&domain);
    let towards = servers.iter().map(|server| server.addr);
    let addresses = (!options.no_dns).then(|| registration::own_addresses(towards));
    let machine_ccache = folder.file("machine.ccache");
    let host = root.host;
    Ok(Plan { domain, computer, fqdn, server, host, kdcs, ticket, prepared, place, addresses, machine_ccache, config })
}

/// The domain in lower case.
fn domain_name(text: &str) -> Result<String, Failure> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if name.len() <= 253 && name.contains('.') && name.split('.').all(label) {
        return Ok(name);
    }
    Err(Failure::new(Exit::Usage, "domain", format!("`{text}` is no DNS name of a domain"))
        .remedy("give it as DNS has it, such as aadds.contoso.com"))
}

/// Whether this host is free to join.
fn state(domain: &str, paths: &Paths) -> Result<Step, Failure> {
    if !adcli::is_installed() {
        return Err(
            Failure::no("state", "adcli is not installed").remedy("`apt-get install adcli` or `dnf install adcli`")
        );
    }
    let mut detail = "not joined yet".to_owned();
    if let Some(journal) = Journal::load(paths, "state")? {
        if journal.state == State::Joined {
            return Err(joined_already(&journal, paths));
        }
        let mut left = journal.undo(paths);
        if journal.service_enabled {
            left.extend(service::stop(true).err());
        }
        if !left.is_empty() {
            let error = format!("an interrupted join left traces that cannot be removed: {}", left.join("; "));
            return Err(Failure::no("state", error).remedy("remove them by hand, then join again"));
        }
        let account = if journal.account_begun {
            format!("; its account {}$ may still be in the domain", journal.computer)
        } else {
            String::new()
        };
        detail = format!("what an interrupted join to {} left on this host was removed{account}", journal.domain);
    }
    foreign_keys(&domain.to_uppercase(), paths)?;
    Ok(Step::ok("state", detail))
}

fn joined_already(journal: &Journal, paths: &Paths) -> Failure {
    let error = format!("this host has joined {} already", journal.domain);
    let has_keys = || Some(!keytab::of_realm(&fs::read(&paths.keytab).ok()?, &journal.realm).ok()?.is_empty());
    let missing = if has_keys() != Some(true) {
        format!("{} has no key of it", paths.keytab.display())
    } else if config::load(&paths.config).is_ok_and(|config| config.domains.iter().all(|it| it.name != journal.domain))
    {
        format!("{} does not name it", paths.config.display())
    } else {
        return Failure::no("state", error).remedy("`entractl testjoin` tests it, `entractl leave` undoes it");
    };
    Failure::no("state", format!("{error}, and half of that is gone: {missing}"))
        .remedy("`entractl leave` clears the rest away, then join again")
}

/// Keys of the realm that this program did not write belong to a join by another one.
fn foreign_keys(realm: &str, paths: &Paths) -> Result<(), Failure> {
    let name = paths.keytab.display();
    let wrong = |what: String| Failure::no("state", format!("{name}: {what}"));
    let bytes = match fs::read(&paths.keytab) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        bytes => zeroize::Zeroizing::new(bytes.map_err(|error| wrong(error.to_string()))?),
    };
    let keys = keytab::of_realm(&bytes, realm).map_err(|error| wrong(error.to_string()))?;
    let Some(key) = keys.first() else { return Ok(()) };
    Err(wrong(format!("it has a key of {}@{realm}: another program has joined this host", key.name)).remedy(
        "leave with that program (`realm leave`, `adcli delete-computer`), or move the keytab away if the join is dead",
    ))
}

fn names(options: &Join, domain: &str) -> Result<(String, String), Failure> {
    let host_name = host::host_name().map_err(|error| Failure::no("name", format!("no host name: {error}")))?;
    let computer = computer::name(&host_name, options.computer_name.as_deref())?;
    Ok((computer, computer::fqdn(&host_name, domain)))
}

/// The configuration with the domain in it, checked as the daemon will check it.
fn configuration(options: &Join, paths: &Paths, name: &str, preset: Preset) -> Result<(Domain, String), Failure> {
    let wrong = |what: String| {
        Failure::no("config", format!("{}: {what}", paths.config.display())).remedy("`entractl config check`")
    };
    let text = match fs::read_to_string(&paths.config) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text.map_err(|error| wrong(error.to_string()))?,
    };
    config::parse(&text).map_err(|error| wrong(error.to_string()))?;
    let new =
        NewDomain { name, preset: preset_word(preset), server: options.server.as_deref(), permit: &options.permit };
    let text = add_domain(&text, new).map_err(|error| wrong(error.to_string()))?;
    let config =
        config::parse(&text).map_err(|error| wrong(format!("with this domain it would be refused: {error}")))?;
    let domain = config.domains.into_iter().find(|domain| domain.name == name);
    Ok((domain.ok_or_else(|| wrong(format!("it has no place for the domain {name}")))?, text))
}

/// Whether the rootDSE is that of a DC of this domain.
fn of_domain(root: &RootDse, domain: &str) -> Result<(), Failure> {
    let expected = domain.split('.').map(|label| format!("DC={label}")).collect::<Vec<_>>().join(",");
    if root.base_dn.eq_ignore_ascii_case(&expected) {
        return Ok(());
    }
    Err(Failure::no("connect", format!("{} serves {}, not {expected}", root.host, root.base_dn))
        .remedy("give the domain's DNS name, and a --server of that domain if any"))
}

/// The ticket, and with a one-time password the keytab with its key.
fn ticket(
    options: &Join,
    realm: &str,
    computer: &str,
    server: &Server,
    folder: &PrivateFolder,
) -> Result<(Ticket, Option<PathBuf>), Failure> {
    if options.credentials.one_time_password_stdin {
        let password = terminal::password("credentials", computer, true)?;
        let prepared = credentials::with_one_time_password(realm, server.kdc(), computer, password, folder)?;
        return Ok((prepared.ticket, Some(prepared.keytab)));
    }
    let ticket = match &options.credentials.user {
        Some(user) => {
            let password = terminal::password("credentials", user, options.password_stdin)?;
            credentials::with_password(realm, server.kdc(), user, password, folder)
        }
        None => credentials::current(realm),
    };
    Ok((ticket?, None))
}

/// The servers in one line.
fn listed(servers: &[Server], domain: &Domain) -> String {
    let source = if domain.servers.is_empty() { "named by DNS" } else { "named by you" };
    let names: Vec<_> = servers.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [first, second, third, _, ..] => format!("{first}, {second}, {third} and {} more, {source}", names.len() - 3),
        _ => format!("{}, {source}", names.join(", ")),
    }
}

/// KDCs for the krb5 settings: a host whose DCs are pinned may have no DNS that names them.
fn pinned_kdcs(domain: &Domain) -> Vec<String> {
    let servers = domain.servers.iter().filter_map(|server| server.parse().ok());
    servers
        .map(|server| match server {
            Pinned::Host { host, .. } => host,
            Pinned::Address(addr) if addr.is_ipv6() => format!("[{}]", addr.ip()),
            Pinned::Address(addr) => addr.ip().to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::file::tests::Folder;
    use crate::host::keytab::tests::record;

    #[test]
    fn names_of_domains() {
        assert_eq!(domain_name("AADDS.Contoso.com.").unwrap(), "aadds.contoso.com");
        for wrong in ["", "aadds", "a b.c", "a..b", "dc=x,dc=y", "\u{e4}.example"] {
            assert_eq!(domain_name(wrong).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn a_dc_of_another_domain_is_refused() {
        let root = RootDse { base_dn: "DC=AADDS,DC=contoso,DC=com".into(), host: "dc1".into(), current_time: 0 };
        assert!(of_domain(&root, "aadds.contoso.com").is_ok());
        assert!(of_domain(&root, "contoso.com").unwrap_err().error.contains("not DC=contoso,DC=com"));
    }

    #[test]
    fn keys_of_another_program_are_not_touched() {
        let folder = Folder::new();
        let paths = Paths::below(&folder.0);
        assert!(foreign_keys("R", &paths).is_ok());
        fs::create_dir_all(paths.keytab.parent().unwrap()).unwrap();
        fs::write(&paths.keytab, [&[5, 2][..], &record("HOST$", "R", 2, 18)].concat()).unwrap();
        assert!(foreign_keys("R", &paths).unwrap_err().error.contains("a key of HOST$@R"));
        assert!(foreign_keys("OTHER", &paths).is_ok());
    }

    #[test]
    fn half_a_join_is_recognised() {
        let folder = Folder::new();
        let paths = Paths::below(&folder.0);
        let mut journal = Journal::begin("d.example", "HOST", None);
        journal.state = State::Joined;
        journal.save(&paths).unwrap();
        assert!(joined_already(&journal, &paths).error.contains("half of that is gone"));
        fs::write(&paths.keytab, [&[5, 2][..], &record("HOST$", "D.EXAMPLE", 2, 18)].concat()).unwrap();
        fs::write(&paths.config, "").unwrap();
        assert!(joined_already(&journal, &paths).error.contains("does not name it"));
        fs::write(&paths.config, "[domains.\"d.example\"]\n").unwrap();
        let whole = joined_already(&journal, &paths);
        assert!(!whole.error.contains("half") && whole.remedy.unwrap().contains("testjoin"));
    }
}
