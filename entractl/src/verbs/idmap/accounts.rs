//! The users and groups whose ids are compared, and what the host resolves them to today.

use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use entra_core::config::{Config, Domain, IdMapping};
use entra_core::control::AccountRef;
use entra_core::types::{Sid, fold};

use crate::cli::Peer;
use crate::direct;
use crate::exit::Failure;
use crate::process;
use crate::verbs::samba::programs::find;

/// RIDs that stand for accounts where no directory is asked: built-in ones, usual ones, and both sides of a slice's end.
const SAMPLE: [u32; 12] = [500, 512, 513, 514, 1000, 1103, 5000, 50_000, 199_999, 200_000, 200_001, 1_000_000];
/// Accounts of one call of getent or wbinfo.
const BATCH: usize = 100;
/// Longest run of one call: SSSD asks the directory for each account that it has not cached.
const LIMIT: Duration = Duration::from_secs(120);
/// What getent prints, cut to name and id: members would fill megabytes. `$1` is the service, `$2` the database.
const GETENT: &str = "service=$1 database=$2; shift 2; getent -s \"$service\" \"$database\" \"$@\" | cut -d: -f1,3";

/// A user or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// Whether it is a user.
    pub user: bool,
    /// Name, as lookups show it; `RID N` of the sample.
    pub name: String,
    /// SID.
    pub sid: Sid,
    /// uidNumber or gidNumber of the directory, where those were asked for.
    pub attribute: Option<u32>,
    /// What the host resolves it to.
    pub resolved: Option<u32>,
}

/// A few accounts of a domain that nobody was asked for.
pub(super) fn sample(domain: &Sid) -> Vec<Account> {
    let account = |rid: u32| {
        let name = format!("RID {rid}");
        Some(Account { user: true, name, sid: domain.with_rid(rid)?, attribute: None, resolved: None })
    };
    SAMPLE.into_iter().filter_map(account).collect()
}

/// All accounts of the directory, by the host's machine keytab. `own` is the domain as it is configured, if it is.
///
/// # Errors
/// Where the directory is away, or does not accept the machine.
pub(super) fn of_directory(verb: &str, domain: &str, own: Option<Domain>) -> Result<Vec<Account>, Failure> {
    let text = format!("[domains.\"{domain}\"]\n");
    let mut config =
        entra_core::config::parse(&text).map_err(|error| Failure::no(verb, format!("{domain}: {error}")))?;
    let plain = config.domains.pop();
    if let Some(mut wanted) = own.or(plain) {
        // Every account has an id by this mapping, so that none is left out.
        (wanted.id_mapping, wanted.id_range, wanted.id_slice) = (IdMapping::Sssd, entra_wire::ranges::DEFAULT, None);
        config.domains.push(wanted);
    }
    list(verb, config)
}

/// The ids that the directory holds itself, put beside the accounts.
///
/// # Errors
/// As [`of_directory`].
pub(super) fn with_attributes(verb: &str, accounts: &mut [Account], mut config: Config) -> Result<(), Failure> {
    for domain in &mut config.domains {
        domain.id_mapping = IdMapping::Rfc2307;
        domain.id_range = (entra_wire::guard::ID_FLOOR, u32::MAX - 2);
        domain.id_slice = None;
    }
    let (users, groups) = direct::everybody(verb, config)?;
    let ids: HashMap<String, u32> = users.into_iter().chain(groups).map(|it| (it.sid, it.id)).collect();
    for account in accounts {
        account.attribute = ids.get(&account.sid.to_string()).copied();
    }
    Ok(())
}

fn list(verb: &str, config: Config) -> Result<Vec<Account>, Failure> {
    let (users, groups) = direct::everybody(verb, config)?;
    let account = |user: bool| {
        move |it: AccountRef| {
            Some(Account { user, name: it.name, sid: it.sid.parse().ok()?, attribute: None, resolved: None })
        }
    };
    Ok(users.into_iter().filter_map(account(true)).chain(groups.into_iter().filter_map(account(false))).collect())
}

/// Asks the host's present program for every account. What it does not know keeps `resolved` empty.
pub(super) fn resolve(accounts: &mut [Account], by: Peer, domain: &str) {
    for user in [true, false] {
        let mut some: Vec<&mut Account> = accounts.iter_mut().filter(|account| account.user == user).collect();
        for batch in some.chunks_mut(BATCH) {
            match by {
                Peer::Sssd => by_getent(batch, user, domain),
                Peer::Winbind | Peer::Truenas => by_wbinfo(batch, user),
            }
        }
    }
}

fn by_getent(batch: &mut [&mut Account], user: bool, domain: &str) {
    let database = if user { "passwd" } else { "group" };
    let mut command = Command::new("/bin/sh");
    command.args(["-c", GETENT, "sh", "sss", database, "--"]);
    command.args(batch.iter().map(|account| format!("{}@{domain}", short(&account.name))));
    let Ok(done) = process::run(&mut command, LIMIT, &|| false) else { return };
    let ids: HashMap<String, u32> = done.output.lines().filter_map(name_and_id).collect();
    for account in batch {
        account.resolved = ids.get(&fold(short(&account.name))).copied();
    }
}

fn by_wbinfo(batch: &mut [&mut Account], user: bool) {
    let Some(program) = find("wbinfo") else { return };
    let sids: Vec<String> = batch.iter().map(|account| account.sid.to_string()).collect();
    let asked = format!("--sids-to-unix-ids={}", sids.join(","));
    let Ok(done) = process::run(Command::new(program).arg(asked), LIMIT, &|| false) else { return };
    let ids: HashMap<&str, u32> = done.output.lines().filter_map(|line| sid_and_id(line, user)).collect();
    for (account, sid) in batch.iter_mut().zip(&sids) {
        account.resolved = ids.get(sid.as_str()).copied();
    }
}

/// `NAME:ID`, the name without its domain.
fn name_and_id(line: &str) -> Option<(String, u32)> {
    let (name, id) = line.rsplit_once(':')?;
    Some((fold(short(name)), id.parse().ok()?))
}

/// `SID -> uid ID`, `gid ID` or `uid/gid ID` of wbinfo(1).
fn sid_and_id(line: &str, user: bool) -> Option<(&str, u32)> {
    let (sid, answer) = line.split_once(" -> ")?;
    let (kind, id) = answer.trim().split_once(' ')?;
    kind.split('/').any(|kind| kind == if user { "uid" } else { "gid" }).then(|| Some((sid, id.parse().ok()?)))?
}

/// A name without its domain, before or behind it.
fn short(name: &str) -> &str {
    let name = name.rsplit_once('\\').map_or(name, |(_, name)| name);
    name.split_once('@').map_or(name, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_host() {
        assert_eq!(name_and_id("Domain Users@aadds.contoso.com:674000513"), Some(("domain users".into(), 674_000_513)));
        assert_eq!(name_and_id("AADDS\\alice:7"), Some(("alice".into(), 7)));
        assert_eq!(name_and_id(""), None);
        assert_eq!(sid_and_id("S-1-5-21-1-2-3-1103 -> uid 7", true), Some(("S-1-5-21-1-2-3-1103", 7)));
        assert_eq!(sid_and_id("S-1-5-21-1-2-3-1103 -> uid 7", false), None);
        assert_eq!(sid_and_id("S-1-5-21-1-2-3-513 -> uid/gid 8", false), Some(("S-1-5-21-1-2-3-513", 8)));
        assert_eq!(sid_and_id("S-1-5-21-1-2-3-513 -> unmapped", true), None);
    }
}
