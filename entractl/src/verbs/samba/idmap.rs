//! `idmap_script(8)`: winbindd asks for one mapping by running a program. Arithmetic answers where the daemon has
//! written down what it takes; else the daemon does.

use std::path::Path;

use entra_core::control::{LookupKey, Reply, Request};
use entra_core::idmap::IdMapper;
use entra_core::store::SliceStore;
use entra_core::types::Sid;
use serde_json::json;

use crate::daemon;
use crate::exit::Exit;
use crate::host::Paths;
use crate::output::{Answer, printable};

/// Answers `SIDTOID SID`, `IDTOSID UID NUMBER` and `IDTOSID GID NUMBER` in the words of `idmap_script(8)`.
pub(super) fn answer(words: &[String], socket: &Path) -> Answer {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let answered = mapper(&Paths::installed()).and_then(|mapper| match words.as_slice() {
        ["SIDTOID", sid] => {
            let sid: Sid = sid.parse().map_err(|_| "no SID".to_owned())?;
            known_id(&mapper, &sid).map_or_else(|| id_by_daemon(&sid, socket), |id| Ok(format!("XID:{id}")))
        }
        ["IDTOSID", kind @ ("UID" | "GID"), id] => {
            let id: u32 = id.parse().map_err(|_| "no id".to_owned())?;
            let known = mapper.sid_of(id).map(|(_, sid)| sid.to_string());
            known.map_or_else(|| sid_by_daemon(*kind == "UID", id, socket), Ok).map(|sid| format!("SID:{sid}"))
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

fn mapper(paths: &Paths) -> Result<IdMapper, String> {
    let config = entra_core::config::load(&paths.config).map_err(|error| error.to_string())?;
    let slices = SliceStore::copy_of(&paths.slices).map_err(|error| error.to_string())?;
    IdMapper::open(slices, &config.domains).map_err(|error| error.to_string())
}

fn id_by_daemon(sid: &Sid, socket: &Path) -> Result<String, String> {
    match ask(socket, &Request::Sid { sid: sid.to_string() })? {
        Reply::User(user) => Ok(format!("UID:{}", user.uid)),
        Reply::Group(group) => Ok(format!("GID:{}", group.gid)),
        _ => Err("no such account".into()),
    }
}

fn sid_by_daemon(user: bool, id: u32, socket: &Path) -> Result<String, String> {
    let key = LookupKey::Id(id);
    match ask(socket, &if user { Request::User { key } } else { Request::Group { key } })? {
        Reply::User(user) => Ok(user.sid),
        Reply::Group(group) => Ok(group.sid),
        _ => Err("no such account".into()),
    }
}

fn ask(socket: &Path, request: &Request) -> Result<Reply, String> {
    daemon::ask(socket, "idmap", request).map_err(|failure| failure.error)
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
