//! `idmap_script(8)`: winbindd asks for one mapping by running a program. Arithmetic answers where the daemon has
//! written down what it takes; else the daemon does, and while it does not run its store, for ids of the directory
//! (`id_mapping = "rfc2307"`).

use std::path::{Path, PathBuf};

use entra_core::Error;
use entra_core::config::{Config, IdMapping};
use entra_core::control::{LookupKey, Reply, Request};
use entra_core::idmap::IdMapper;
use entra_core::store::{SliceStore, StoreAtRest};
use entra_core::types::Sid;
use serde_json::json;

use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::host::Paths;
use crate::output::{Answer, printable};

/// Answers `SIDTOID SID`, `IDTOSID UID NUMBER` and `IDTOSID GID NUMBER` in the words of `idmap_script(8)`.
pub(super) fn answer(words: &[String], socket: &Path) -> Answer {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let paths = Paths::installed();
    let answered = ids(&paths).and_then(|ids| match words.as_slice() {
        ["SIDTOID", sid] => {
            let sid: Sid = sid.parse().map_err(|_| "no SID".to_owned())?;
            match known_id(&ids.mapper, &sid) {
                Some(id) => Ok(format!("XID:{id}")),
                None => id_by_daemon(&sid, socket).or_else(|failure| or_at_rest(failure, || ids.id_at_rest(&sid))),
            }
        }
        ["IDTOSID", kind @ ("UID" | "GID"), id] => {
            let (user, id): (_, u32) = (*kind == "UID", id.parse().map_err(|_| "no id".to_owned())?);
            let sid = match ids.mapper.sid_of(id) {
                Some((_, sid)) => Ok(sid.to_string()),
                None => {
                    sid_by_daemon(user, id, socket).or_else(|failure| or_at_rest(failure, || ids.sid_at_rest(user, id)))
                }
            };
            sid.map(|sid| format!("SID:{sid}"))
        }
        _ => Err("SIDTOID SID, IDTOSID UID NUMBER or IDTOSID GID NUMBER".to_owned()),
    });
    match answered {
        Ok(text) => Answer::done(text.clone(), json!({ "answer": text })),
        Err(error) => {
            let text = format!("ERR:{}", printable(&error));
            Answer { json: json!({ "answer": text }), text, exit: Exit::No }
        }
    }
}

/// What arithmetic gives by now: a slice that nobody wrote down yet is the daemon's to give.
fn known_id(mapper: &IdMapper, sid: &Sid) -> Option<u32> {
    let (domain, rid) = (sid.domain()?, sid.rid());
    let given = |block: &entra_core::store::Block| {
        block.domain == domain && rid >= block.first_rid && rid - block.first_rid <= block.last_id - block.first_id
    };
    mapper.blocks().iter().any(given).then(|| mapper.id_of(sid))?
}

/// What is known here without the daemon.
struct Ids {
    config: Config,
    mapper: IdMapper,
    store: PathBuf,
}

fn ids(paths: &Paths) -> Result<Ids, String> {
    let config = entra_core::config::load(&paths.config).map_err(|error| error.to_string())?;
    let slices = SliceStore::copy_of(&paths.slices).map_err(|error| error.to_string())?;
    let mapper = IdMapper::open(slices, &config.domains).map_err(|error| error.to_string())?;
    Ok(Ids { config, mapper, store: paths.identities.clone() })
}

impl Ids {
    /// The id of a SID by the store that the daemon left.
    fn id_at_rest(&self, sid: &Sid) -> Result<Option<String>, Error> {
        let Some(store) = StoreAtRest::open(&self.store)? else { return Ok(None) };
        if let Some(user) = store.user_of_sid(sid)? {
            return Ok(self.may_be(&user.domain, user.uid).then(|| format!("UID:{}", user.uid)));
        }
        let group = store.group_of_sid(sid)?.filter(|group| self.may_be(&group.domain, group.gid));
        Ok(group.map(|group| format!("GID:{}", group.gid)))
    }

    /// The SID of a uid or gid by the same.
    fn sid_at_rest(&self, user: bool, id: u32) -> Result<Option<String>, Error> {
        let Some(store) = StoreAtRest::open(&self.store)? else { return Ok(None) };
        let account = if user {
            store.user_by_uid(id)?.map(|user| (user.domain, user.sid))
        } else {
            store.group_by_gid(id)?.map(|group| (group.domain, group.sid))
        };
        Ok(account.filter(|(domain, _)| self.may_be(domain, id)).map(|(_, sid)| sid.to_string()))
    }

    /// Whether the configuration of now lets a record of then have this id: another mapping may be in force since.
    fn may_be(&self, domain: &str, id: u32) -> bool {
        let domain = self.config.domains.iter().find(|own| own.name == domain);
        domain.is_some_and(|own| own.id_mapping == IdMapping::Rfc2307 && self.mapper.posix_id_allowed(&own.name, id))
    }
}

/// What `look` finds where the daemon does not run; else its own failure stands.
fn or_at_rest(failure: Failure, look: impl FnOnce() -> Result<Option<String>, Error>) -> Result<String, String> {
    if failure.exit != Exit::NoDaemon {
        return Err(failure.error);
    }
    look().ok().flatten().ok_or(failure.error)
}

fn id_by_daemon(sid: &Sid, socket: &Path) -> Result<String, Failure> {
    match ask(socket, &Request::Sid { sid: sid.to_string() })? {
        Reply::User(user) => Ok(format!("UID:{}", user.uid)),
        Reply::Group(group) => Ok(format!("GID:{}", group.gid)),
        _ => Err(daemon::unexpected("idmap")),
    }
}

fn sid_by_daemon(user: bool, id: u32, socket: &Path) -> Result<String, Failure> {
    let key = LookupKey::Id(id);
    match ask(socket, &if user { Request::User { key } } else { Request::Group { key } })? {
        Reply::User(user) => Ok(user.sid),
        Reply::Group(group) => Ok(group.sid),
        _ => Err(daemon::unexpected("idmap")),
    }
}

fn ask(socket: &Path, request: &Request) -> Result<Reply, Failure> {
    daemon::ask(socket, "idmap", request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_down_is_arithmetic() {
        let config = entra_core::config::parse("[domains.\"d.example\"]\n").unwrap();
        let mapper = IdMapper::open(SliceStore::temporary().unwrap(), &config.domains).unwrap();
        let sid: Sid = "S-1-5-21-3623811015-3361044348-30300820".parse().unwrap();
        mapper.learn_domain("d.example", &sid).unwrap();
        assert_eq!(known_id(&mapper, &sid.with_rid(1103).unwrap()), Some(674_001_103));
        let beyond = sid.with_rid(200_001).unwrap();
        assert_eq!(known_id(&mapper, &beyond), None);
        mapper.id_of(&beyond).unwrap();
        assert_eq!(known_id(&mapper, &beyond), Some(1_787_200_001));
        assert_eq!(known_id(&mapper, &"S-1-5-32-544".parse().unwrap()), None);
    }
}
