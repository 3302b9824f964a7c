//! `idmap show`: the mapping in force, and the arithmetic behind one id.

use std::path::Path;

use entra_core::config::{Config, Domain, IdMapping};
use entra_core::control::{LookupKey, Reply, Request};
use entra_core::idmap::{IdMapper, SLICE_SIZE, natural_slice};
use entra_core::store::{Block, SliceStore};
use entra_core::types::Sid;
use serde_json::{Value, json};

use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::host::{Paths, need_root};
use crate::output::{Answer, fields};

const VERB: &str = "idmap show";

/// Reads the configuration and the record of slices; a name is the daemon's to resolve.
pub(super) fn run(account: Option<&str>, socket: &Path) -> Result<Answer, Failure> {
    need_root(VERB)?;
    let ids = Ids::read(&Paths::installed())?;
    let Some(text) = account else { return Ok(ids.all()) };
    if let Ok(sid) = text.parse::<Sid>() {
        return ids.account(&sid, None, || ask(&Request::Sid { sid: sid.to_string() }, socket));
    }
    let known = ask_name(text, socket)?;
    let sid: Sid = known.sid.parse().map_err(|_| daemon::unexpected(VERB))?;
    ids.account(&sid, Some(&known.name.clone()), || Ok(known))
}

/// What the daemon says of an account.
struct Known {
    name: String,
    sid: String,
    id: u32,
}

fn ask(request: &Request, socket: &Path) -> Result<Known, Failure> {
    match daemon::ask(socket, VERB, request)? {
        Reply::User(user) => Ok(Known { name: user.name, sid: user.sid, id: user.uid }),
        Reply::Group(group) => Ok(Known { name: group.name, sid: group.sid, id: group.gid }),
        _ => Err(daemon::unexpected(VERB)),
    }
}

/// A user of this name, else a group.
fn ask_name(name: &str, socket: &Path) -> Result<Known, Failure> {
    let key = || LookupKey::Name(name.to_owned());
    match ask(&Request::User { key: key() }, socket) {
        Err(failure) if failure.exit == Exit::No => ask(&Request::Group { key: key() }, socket),
        other => other,
    }
}

/// The configuration and what was given away by it.
struct Ids {
    config: Config,
    mapper: IdMapper,
}

impl Ids {
    fn read(paths: &Paths) -> Result<Self, Failure> {
        let failed = |error: String| Failure::no(VERB, error).remedy("`entractl config check`");
        let config = entra_core::config::load(&paths.config).map_err(|error| failed(error.to_string()))?;
        if config.domains.is_empty() {
            return Err(Failure::no(VERB, "no domain is configured").remedy("`entractl join DOMAIN`"));
        }
        let mapper = SliceStore::copy_of(&paths.slices)
            .and_then(|slices| IdMapper::open(slices, &config.domains))
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { config, mapper })
    }

    fn all(&self) -> Answer {
        let (mut text, mut list) = (Vec::new(), Vec::new());
        for domain in &self.config.domains {
            let sid = self.mapper.domain_sid(&domain.name);
            let blocks: Vec<Block> =
                self.mapper.blocks().into_iter().filter(|block| Some(&block.domain) == sid.as_ref()).collect();
            text.push(render(domain, sid.as_ref(), &blocks));
            list.push(to_json(domain, sid.as_ref(), &blocks));
        }
        Answer::done(text.join("\n\n"), json!({ "domains": list }))
    }

    /// The id of a SID and why; `ask` says what the daemon gives it, where arithmetic does not.
    fn account(
        &self,
        sid: &Sid,
        name: Option<&str>,
        ask: impl FnOnce() -> Result<Known, Failure>,
    ) -> Result<Answer, Failure> {
        let own = |domain: &&Domain| self.mapper.domain_sid(&domain.name).is_some_and(|own| sid.domain() == Some(own));
        let Some(domain) = self.config.domains.iter().find(own) else {
            let why = "it belongs to none of the configured domains, or to one that was never reached from here";
            return Err(Failure::no(VERB, format!("{sid} has no id: {why}"))
                .remedy("`entractl idmap show` lists the domains that have ids"));
        };
        let (id, why) = if domain.id_mapping == IdMapping::Rfc2307 {
            (Some(ask()?.id), "uidNumber or gidNumber of the directory (id_mapping = \"rfc2307\")".to_owned())
        } else {
            (self.mapper.id_of(sid), self.why(domain, sid))
        };
        let Some(id) = id else {
            return Err(Failure::no(VERB, format!("{sid} has no id: {why}")));
        };
        let text = fields(&[
            ("name", name.map(str::to_owned)),
            ("SID", Some(sid.to_string())),
            ("domain", Some(domain.name.clone())),
            ("id", Some(id.to_string())),
            ("why", Some(why.clone())),
        ]);
        let json = json!({
            "name": name, "sid": sid.to_string(), "domain": domain.name, "id": id, "rid": sid.rid(), "why": why,
        });
        Ok(Answer::done(text, json))
    }

    /// The sum that gives a SID its id. Ask for the id first: that takes up the slice.
    fn why(&self, domain: &Domain, sid: &Sid) -> String {
        let (rid, own) = (sid.rid(), sid.domain());
        let holds = |block: &&Block| {
            Some(&block.domain) == own.as_ref()
                && rid.checked_sub(block.first_rid).is_some_and(|at| at <= block.last_id - block.first_id)
        };
        let blocks = self.mapper.blocks();
        let Some(block) = blocks.iter().find(holds) else {
            let (low, high) = domain.id_range;
            return if domain.id_blocks.is_empty() {
                format!("RID {rid} lies beyond id_range {low}-{high}")
            } else {
                format!("RID {rid} lies in none of id_blocks: winbind's autorid would give it another range")
            };
        };
        let slice = slice_of(domain, block);
        let from = match slice {
            Some(slice) => format!("first id of slice {slice}, {}", chosen(domain, block, slice)),
            None if !domain.id_blocks.is_empty() => "a block of id_blocks".into(),
            None => "first id of id_range (id_mapping = \"rid\")".into(),
        };
        let offset =
            if block.first_rid == 0 { format!("RID {rid}") } else { format!("(RID {rid} - {})", block.first_rid) };
        format!("{} ({from}) + {offset}", block.first_id)
    }
}

/// Number of the slice that a block is; `None` with another mapping.
fn slice_of(domain: &Domain, block: &Block) -> Option<u32> {
    let ids = block.first_id.checked_sub(domain.id_range.0).filter(|_| domain.id_mapping == IdMapping::Sssd)?;
    Some(ids / SLICE_SIZE)
}

/// Who chose a slice.
fn chosen(domain: &Domain, block: &Block, slice: u32) -> &'static str {
    if block.first_rid != 0 {
        "chosen by the hash of SID and first RID"
    } else if domain.id_slice.is_some() {
        "pinned by id_slice"
    } else if natural_slice(&block.domain, domain.id_range, SLICE_SIZE) == Some(slice) {
        "chosen by the SID's hash"
    } else {
        "the next free one behind the SID's hash"
    }
}

fn mapping(domain: &Domain) -> &'static str {
    match domain.id_mapping {
        IdMapping::Sssd => "sssd",
        IdMapping::Rid => "rid",
        IdMapping::Rfc2307 => "rfc2307",
    }
}

fn render(domain: &Domain, sid: Option<&Sid>, blocks: &[Block]) -> String {
    let unknown = || "not known yet: no domain controller was reached from here".to_owned();
    let mut lines = vec![fields(&[
        ("domain", Some(domain.name.clone())),
        ("SID", Some(sid.map_or_else(unknown, ToString::to_string))),
        ("id_mapping", Some(mapping(domain).into())),
        ("id_range", Some(format!("{}-{}", domain.id_range.0, domain.id_range.1))),
        ("id_slice", domain.id_slice.map(|slice| format!("{slice} (pinned)"))),
    ])];
    lines.extend(blocks.iter().map(|block| {
        let what = match slice_of(domain, block) {
            Some(slice) => format!("slice {slice}, {}", chosen(domain, block, slice)),
            None if !domain.id_blocks.is_empty() => "of id_blocks".into(),
            None => "the whole range".into(),
        };
        format!("  ids {}-{}: RIDs from {} on ({what})", block.first_id, block.last_id, block.first_rid)
    }));
    lines.join("\n")
}

fn to_json(domain: &Domain, sid: Option<&Sid>, blocks: &[Block]) -> Value {
    let blocks: Vec<Value> = blocks
        .iter()
        .map(|block| {
            json!({
                "first_rid": block.first_rid, "first_id": block.first_id, "last_id": block.last_id,
                "slice": slice_of(domain, block),
            })
        })
        .collect();
    json!({
        "domain": domain.name, "sid": sid.map(ToString::to_string), "id_mapping": mapping(domain),
        "id_range": domain.id_range, "id_slice": domain.id_slice, "pinned": domain.id_slice.is_some(),
        "blocks": blocks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AADDS: &str = "S-1-5-21-3623811015-3361044348-30300820";

    fn ids(options: &str) -> Ids {
        let config = entra_core::config::parse(&format!("[domains.\"d.example\"]\n{options}")).unwrap();
        let mapper = IdMapper::open(SliceStore::temporary().unwrap(), &config.domains).unwrap();
        mapper.learn_domain("d.example", &AADDS.parse().unwrap()).unwrap();
        Ids { config, mapper }
    }

    fn why(options: &str, rid: u32) -> Result<(u64, String), Failure> {
        let sid: Sid = format!("{AADDS}-{rid}").parse().unwrap();
        let answer = ids(options).account(&sid, None, || Err(Failure::no(VERB, "asked")))?;
        Ok((answer.json["id"].as_u64().unwrap(), answer.json["why"].as_str().unwrap().to_owned()))
    }

    #[test]
    fn every_id_has_its_sum() {
        let plain = "674000000 (first id of slice 3369, chosen by the SID's hash) + RID 1103";
        assert_eq!(why("", 1103), Ok((674_001_103, plain.into())));
        let (id, sum) = why("", 200_001).unwrap();
        assert_eq!(id, 1_787_200_001);
        assert!(sum.ends_with("+ (RID 200001 - 200000)"), "{sum}");
        assert!(why("id_slice = 0", 1103).unwrap().1.contains("pinned by id_slice"));
        let rid = "id_mapping = \"rid\"\nid_range = \"100000001-200000000\"";
        let sum = "100000001 (first id of id_range (id_mapping = \"rid\")) + RID 513";
        assert_eq!(why(rid, 513), Ok((100_000_514, sum.into())));
        assert!(why(rid, 100_000_000).unwrap_err().error.contains("beyond id_range"));
        assert_eq!(why("id_mapping = \"rfc2307\"", 513).unwrap_err().error, "asked");
        let foreign = ids("").account(&"S-1-5-32-544".parse().unwrap(), None, || Err(Failure::no(VERB, "asked")));
        assert!(foreign.unwrap_err().error.contains("none of the configured domains"));
    }

    #[test]
    fn domains_with_their_slices() {
        let answer = ids("id_slice = 5").all();
        assert!(answer.text.contains("id_slice:   5 (pinned)"), "{}", answer.text);
        assert!(answer.text.contains("ids 1200000-1399999: RIDs from 0 on (slice 5, pinned by id_slice)"));
        assert_eq!(answer.json["domains"][0]["blocks"][0]["slice"], 5);
        assert_eq!(answer.json["domains"][0]["sid"], AADDS);
    }
}
