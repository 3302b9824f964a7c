//! `idmap plan`: what would become of the ids that another program gave, and the lines that keep them.

use std::path::Path;

use entra_core::config::{Config, Domain, IdMapping};
use entra_core::idmap::{Choice, IdMapper, Scheme};
use entra_core::store::SliceStore;
use entra_core::types::Sid;
use serde_json::json;
use toml_edit::Value;

use super::accounts::{self, Account};
use super::compare::{Figures, Moves, Pair};
use super::peer::{Found, VERB};
use super::{sssd, truenas, winbind};
use crate::cli::{IdmapPlan, Peer};
use crate::exit::{Exit, Failure};
use crate::host::{Paths, config, file, need_root};
use crate::output::{Answer, fields, printable};

/// What entra.toml gives without a word on ids.
const DEFAULTS: Choice = Choice { mapping: IdMapping::Sssd, range: None, slice: None, blocks: Vec::new() };

/// Plans, and writes the lines where that is asked for.
pub(super) fn run(options: &IdmapPlan) -> Result<Answer, Failure> {
    let offline = options.offline || options.root != Path::new("/");
    if !offline {
        need_root(VERB)?;
    }
    let paths = Paths::below(&options.root);
    let from = options.from.map_or_else(|| present(&options.root), Ok)?;
    let Found { file, domain, settings, mut notes } = read(from, options)?;
    let name = options.domain.as_ref().map(|name| name.to_lowercase()).or(domain).ok_or_else(|| {
        Failure::no(VERB, format!("{} names no domain", file.display())).remedy("name it by --domain")
    })?;
    let own = configured(&paths, &name)?;
    let given = options.domain_sid.as_deref().map(str::parse::<Sid>).transpose();
    let given = given.map_err(|error| Failure::new(Exit::Usage, VERB, error.to_string()))?;
    let mut everybody = if offline {
        Vec::new()
    } else {
        accounts::of_directory(VERB, &name, own.clone()).map_err(|failure| {
            let remedy =
                "with --offline (and --domain-sid, where SSSD's cache does not tell) arithmetic alone is compared";
            Failure { remedy: Some(remedy.into()), ..failure }
        })?
    };
    let of_directory = everybody.iter().find_map(|account| account.sid.domain());
    let sid = given.or(of_directory).or_else(|| settings.sid()).or_else(|| met(&paths, &name)).ok_or_else(|| {
        Failure::no(VERB, format!("the SID of {name} is not known here")).remedy(
            "give it by --domain-sid: `wbinfo --domain-info NETBIOSNAME` and `adcli info` on a joined host tell it",
        )
    })?;
    // Other domains of a forest have plans of their own.
    everybody.retain(|account| account.sid.domain().as_ref() == Some(&sid));
    let scheme = settings.scheme(&sid, &mut notes)?;
    if offline {
        everybody = accounts::sample(&sid);
    } else {
        if matches!(scheme, Scheme::Attributes { .. }) {
            accounts::with_attributes(VERB, &mut everybody, alone(&name, own.clone())?)?;
        }
        accounts::resolve(&mut everybody, from, &name);
    }
    let choice = if options.to_config {
        own.as_ref().map_or(DEFAULTS, of_config)
    } else {
        scheme.choice(&sid).map_err(|why| {
            Failure::no(VERB, format!("no mapping of entra.toml gives the same ids: {why}")).remedy(
                "write another mapping into entra.toml by hand; --to-config says what it changes, and --save keeps that for \
                 `entractl idmap chown`",
            )
        })?
    };
    let plan = Plan { name, sid, scheme, choice, accounts: everybody, offline };
    let (defaults, pairs) = (Figures::of(&plan.pairs(&DEFAULTS)?), plan.pairs(&plan.choice)?);
    let kept = Figures::of(&pairs);
    let disagreeing = plan.disagreeing();
    if disagreeing > 0 {
        notes.push(format!(
            "{disagreeing} ids that this host resolves are not those of its settings: were they changed after it began?"
        ));
    }
    let mut written = if options.apply { Some(plan.write(&paths, &kept)?) } else { None };
    if let Some(folder) = &options.save {
        // Ids of the directory are of users or of groups; computed ones are of both.
        let both = !matches!(plan.scheme, Scheme::Attributes { .. });
        let moves = Moves::of(&pairs, both);
        moves.save(folder)?;
        let said = format!("{}: {} uids and {} gids move", folder.display(), moves.uids.len(), moves.gids.len());
        written = Some(written.map_or(said.clone(), |written| format!("{written}\n{said}")));
    }

    let resolved = plan.accounts.iter().filter(|account| account.resolved.is_some()).count();
    let lines = plan.lines();
    let compared = if offline {
        format!("{} RIDs by arithmetic; nobody was asked", plan.accounts.len())
    } else {
        format!(
            "{} users and groups of the directory; this host resolves {resolved} of them today",
            plan.accounts.len()
        )
    };
    let mut text = vec![fields(&[
        ("settings", Some(file.display().to_string())),
        ("domain", Some(format!("{} ({})", plan.name, plan.sid))),
        ("ids today", Some(describe(&plan.scheme))),
        ("compared", Some(compared)),
        ("with the defaults", Some(defaults.render())),
        (if options.to_config { "with entra.toml" } else { "with the lines below" }, Some(kept.render())),
    ])];
    let shown = if kept.keeps_all() { &defaults } else { &kept };
    text.extend(shown.first.iter().map(|line| format!("  {}", printable(line))));
    text.extend(notes.iter().map(|note| format!("note: {}", printable(note))));
    if !options.to_config {
        text.push(String::new());
        if lines.is_empty() {
            text.push("entra.toml needs no line for ids: the defaults give the same ones".into());
        } else {
            text.push(format!("[domains.\"{}\"]", plan.name));
            text.extend(lines.iter().cloned());
        }
    }
    if let Some(written) = &written {
        text.push(String::new());
        text.push(written.clone());
    }
    let json = json!({
        "from": peer_name(from), "settings": file, "domain": plan.name, "sid": plan.sid.to_string(),
        "ids_today": describe(&plan.scheme), "compared": plan.accounts.len(), "resolved": resolved,
        "disagreeing": disagreeing, "offline": offline, "defaults": defaults.to_json(), "chosen": kept.to_json(),
        "lines": lines, "keeps_all": kept.keeps_all(), "applied": options.apply, "notes": notes,
    });
    let exit = if kept.keeps_all() { Exit::Done } else { Exit::No };
    Ok(Answer { text: text.join("\n"), json, exit })
}

/// Who has settings on this host.
fn present(root: &Path) -> Result<Peer, Failure> {
    let settings = [("etc/sssd/sssd.conf", Peer::Sssd), ("etc/samba/smb.conf", Peer::Winbind)];
    let found = settings.into_iter().find(|(file, _)| root.join(file).exists());
    found.map(|(_, peer)| peer).ok_or_else(|| {
        Failure::no(VERB, "neither SSSD nor winbind has settings here to compare with").remedy(
            "name them by --from and --config, or the root folder of the host that has them by --root; `entractl idmap \
             show` says which ids entra.toml gives",
        )
    })
}

fn read(from: Peer, options: &IdmapPlan) -> Result<Found, Failure> {
    let (root, config, dump) = (options.root.as_path(), options.config.as_deref(), options.autorid.as_deref());
    match from {
        Peer::Sssd => sssd::read(root, config, options.domain.as_deref()),
        Peer::Winbind => winbind::read(root, config, dump),
        Peer::Truenas => truenas::read(root, config, dump),
    }
}

/// The domain as entra.toml has it, where it does.
fn configured(paths: &Paths, name: &str) -> Result<Option<Domain>, Failure> {
    if !paths.config.exists() {
        return Ok(None);
    }
    let config = entra_core::config::load(&paths.config).map_err(|error| Failure::no(VERB, error.to_string()))?;
    Ok(config.domains.into_iter().find(|domain| domain.name == name))
}

/// A configuration of this domain alone.
fn alone(name: &str, own: Option<Domain>) -> Result<Config, Failure> {
    let mut config = entra_core::config::parse(&format!("[domains.\"{name}\"]\n"))
        .map_err(|error| Failure::no(VERB, error.to_string()))?;
    if let Some(own) = own {
        config.domains = vec![own];
    }
    Ok(config)
}

/// The SID under which the domain was met before.
fn met(paths: &Paths, name: &str) -> Option<Sid> {
    let (domains, _) = SliceStore::copy_of(&paths.slices).ok()?.read().ok()?;
    domains.into_iter().rev().find(|domain| domain.name == name).map(|domain| domain.sid)
}

/// Everything that was found out.
struct Plan {
    name: String,
    sid: Sid,
    scheme: Scheme,
    choice: Choice,
    accounts: Vec<Account>,
    offline: bool,
}

impl Plan {
    /// Ids of today and those of a choice.
    fn pairs(&self, choice: &Choice) -> Result<Vec<Pair<'_>>, Failure> {
        let mapper = self.mapper(choice)?;
        Ok(self
            .accounts
            .iter()
            .map(|account| {
                let then = match choice.mapping {
                    IdMapping::Rfc2307 => account.attribute.filter(|id| mapper.posix_id_allowed(&self.name, *id)),
                    _ => mapper.id_of(&account.sid),
                };
                Pair { account, today: self.today(account), then }
            })
            .collect())
    }

    /// What the host says, else what its settings give.
    fn today(&self, account: &Account) -> Option<u32> {
        account.resolved.or_else(|| self.computed(account))
    }

    fn computed(&self, account: &Account) -> Option<u32> {
        match self.scheme {
            Scheme::Attributes { range } => account.attribute.filter(|id| (range.0..=range.1).contains(id)),
            _ => self.scheme.id_of(&account.sid),
        }
    }

    fn disagreeing(&self) -> usize {
        let disagrees = |account: &&Account| {
            let (resolved, computed) = (account.resolved, self.computed(account));
            resolved.is_some() && computed.is_some() && resolved != computed
        };
        self.accounts.iter().filter(disagrees).count()
    }

    /// What the daemon would give, with nothing on its record yet.
    fn mapper(&self, choice: &Choice) -> Result<IdMapper, Failure> {
        let failed = |error: String| Failure::no(VERB, format!("no mapping of entra.toml gives the same ids: {error}"));
        let text = config::set_ids(&format!("[domains.\"{}\"]\n", self.name), &self.name, &options(choice))
            .map_err(|error| failed(error.to_string()))?;
        let config = entra_core::config::parse(&text).map_err(|error| failed(error.to_string()))?;
        SliceStore::temporary()
            .and_then(|slices| IdMapper::open(slices, &config.domains))
            .and_then(|mapper| mapper.learn_domain(&self.name, &self.sid).map(|()| mapper))
            .map_err(|error| failed(error.to_string()))
    }

    fn lines(&self) -> Vec<String> {
        let line = |(key, value): (&str, Option<Value>)| Some(format!("{key} = {}", value?));
        options(&self.choice).into_iter().filter_map(line).collect()
    }

    /// Writes the lines, and says so.
    fn write(&self, paths: &Paths, kept: &Figures) -> Result<String, Failure> {
        if !kept.keeps_all() {
            return Err(Failure::no(VERB, format!("nothing was written: {} even with these lines", kept.render()))
                .remedy("run it without --apply and see which; the lines can be written by hand"));
        }
        let path = &paths.config;
        let failed = |error: String| Failure::no(VERB, format!("{}: {error}", path.display()));
        let before = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| failed(error.to_string()))?,
        };
        let after =
            config::set_ids(&before, &self.name, &options(&self.choice)).map_err(|error| failed(error.to_string()))?;
        let parsed = entra_core::config::parse(&after)
            .map_err(|error| failed(format!("the lines do not fit what stands there: {error}")))?;
        // What this host gave away already stays its owner's.
        SliceStore::copy_of(&paths.slices)
            .and_then(|slices| IdMapper::open(slices, &parsed.domains))
            .and_then(|mapper| {
                let named = parsed.domains.iter().any(|domain| domain.name == self.name);
                if named { mapper.learn_domain(&self.name, &self.sid) } else { Ok(()) }
            })
            .map_err(|error| Failure::no(VERB, format!("nothing was written: {error}")))?;
        if before == after {
            return Ok(format!("{}: nothing had to be written", path.display()));
        }
        if let Some(folder) = path.parent() {
            file::make_folders(folder).map_err(|error| failed(error.to_string()))?;
        }
        file::replace(path, after.as_bytes(), 0o644).map_err(|error| failed(error.to_string()))?;
        let next = if self.offline { "then join, or restart entrad" } else { "restart entrad where it runs" };
        Ok(format!("{}: written; {next}", path.display()))
    }
}

fn of_config(domain: &Domain) -> Choice {
    let default = domain.id_range == entra_wire::ranges::DEFAULT;
    Choice {
        mapping: domain.id_mapping,
        range: (!default).then_some(domain.id_range),
        slice: domain.id_slice,
        blocks: domain.id_blocks.clone(),
    }
}

/// A choice as options of entra.toml, those that stay unset too.
fn options(choice: &Choice) -> [(&'static str, Option<Value>); 4] {
    let mapping = match choice.mapping {
        IdMapping::Sssd => None,
        IdMapping::Rid => Some("rid"),
        IdMapping::Rfc2307 => Some("rfc2307"),
    };
    [
        ("id_mapping", mapping.map(Value::from)),
        ("id_range", choice.range.map(|(low, high)| Value::from(format!("{low}-{high}")))),
        ("id_slice", choice.slice.map(|slice| Value::from(i64::from(slice)))),
        ("id_blocks", (!choice.blocks.is_empty()).then(|| choice.blocks.iter().map(ToString::to_string).collect())),
    ]
}

fn describe(scheme: &Scheme) -> String {
    match scheme {
        Scheme::Slices { range: (low, high), size, slice, .. } => {
            format!("slice {slice} of {low}-{high}, {size} ids each")
        }
        Scheme::Rid { range: (low, high), base_rid: 0 } => format!("{low} + RID, up to {high}"),
        Scheme::Rid { range: (low, high), base_rid } => format!("{low} + RID - {base_rid}, up to {high}"),
        Scheme::Autorid { low, size, ranges } => {
            format!("{} of autorid's ranges of {size} ids from {low} on", ranges.len())
        }
        Scheme::Attributes { range: (low, high) } => format!("uidNumber and gidNumber from {low} to {high}"),
    }
}

fn peer_name(peer: Peer) -> &'static str {
    match peer {
        Peer::Sssd => "sssd",
        Peer::Winbind => "winbind",
        Peer::Truenas => "truenas",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::file::tests::Folder;

    const AADDS: &str = "S-1-5-21-3623811015-3361044348-30300820";
    const SSSD: &str = "[sssd]\ndomains = aadds.contoso.com\n[domain/aadds.contoso.com]\nid_provider = ad\n";

    /// A host whose files lie in a folder.
    struct Host(Folder);

    impl Host {
        fn with(files: &[(&str, &str)]) -> Self {
            let host = Self(Folder::new());
            for (path, text) in files {
                let path = host.0.0.join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            host
        }

        fn plan(&self, from: Peer, apply: bool) -> Result<Answer, Failure> {
            run(&IdmapPlan {
                from: Some(from),
                config: None,
                root: self.0.0.clone(),
                domain: None,
                domain_sid: Some(AADDS.into()),
                autorid: None,
                offline: true,
                to_config: false,
                save: None,
                apply,
            })
        }

        fn toml(&self) -> String {
            std::fs::read_to_string(self.0.0.join("etc/entra/entra.toml")).unwrap_or_default()
        }
    }

    #[test]
    fn nothing_changes_after_sssd_as_it_comes() {
        let host = Host::with(&[("etc/sssd/sssd.conf", SSSD)]);
        let answer = host.plan(Peer::Sssd, true).unwrap();
        assert_eq!(answer.exit, Exit::Done);
        assert_eq!(answer.json["lines"], json!([]));
        assert_eq!(answer.json["defaults"]["changed"], 0);
        assert!(answer.text.contains("with the defaults:    nothing changes"), "{}", answer.text);
        assert_eq!(host.toml(), "");
    }

    #[test]
    fn a_snippet_that_moves_the_slice_is_kept() {
        let snippet = format!("[domain/aadds.contoso.com]\nldap_idmap_default_domain_sid = {AADDS}\n");
        let toml = "# ours\n[domains.\"aadds.contoso.com\"]\nshell = \"/bin/zsh\" # nice\n";
        let host = Host::with(&[
            ("etc/sssd/sssd.conf", SSSD),
            ("etc/sssd/conf.d/10-ids.conf", &snippet),
            ("etc/entra/entra.toml", toml),
        ]);
        let answer = host.plan(Peer::Sssd, false).unwrap();
        assert_eq!(answer.json["lines"], json!(["id_slice = 0"]));
        assert_eq!(answer.json["defaults"]["changed"], 9, "{}", answer.text);
        assert!(answer.text.contains("user RID 500: 200500 -> 674000500"), "{}", answer.text);
        assert_eq!(host.toml(), toml, "written without --apply");
        host.plan(Peer::Sssd, true).unwrap();
        assert_eq!(host.toml(), format!("{toml}id_slice = 0\n"));
    }

    #[test]
    fn winbind_and_truenas_keep_their_ranges() {
        let smb = "[global]\nworkgroup = AADDS\nrealm = AADDS.CONTOSO.COM\nidmap config AADDS : backend = rid\n\
                   idmap config AADDS : range = 100000001-200000000\n";
        for (from, path) in [(Peer::Winbind, "etc/samba/smb.conf"), (Peer::Truenas, "etc/smb4.conf")] {
            let host = Host::with(&[(path, smb)]);
            let answer = host.plan(from, true).unwrap();
            assert_eq!(answer.json["keeps_all"], true, "{}", answer.text);
            let written = "[domains.\"aadds.contoso.com\"]\nid_mapping = \"rid\"\nid_range = \"100000001-200000000\"\n";
            assert_eq!(host.toml(), written);
        }
    }

    #[test]
    fn every_range_of_autorid_is_kept() {
        let smb = "[global]\nworkgroup = AADDS\nrealm = AADDS.CONTOSO.COM\nidmap config * : backend = autorid\n\
                   idmap config * : range = 1000000-1999999\n";
        let entry = |key: &str, number: u32| format!("key(9) = \"{key}\\00\"\ndata(4) = \"\\0{number}\\00\\00\\00\"\n");
        let plan = |dump: &str| {
            let host = Host::with(&[("etc/samba/smb.conf", smb), ("dump", dump)]);
            run(&IdmapPlan {
                from: Some(Peer::Winbind),
                config: None,
                root: host.0.0.clone(),
                domain: None,
                domain_sid: None,
                autorid: Some(host.0.0.join("dump")),
                offline: true,
                to_config: false,
                save: None,
                apply: false,
            })
        };
        let one = plan(&entry(AADDS, 2)).unwrap();
        assert_eq!(one.json["lines"], json!(["id_mapping = \"rid\"", "id_range = \"1200000-1299999\""]));
        assert_eq!(one.json["keeps_all"], true);
        let two = plan(&(entry(AADDS, 2) + &entry(&format!("{AADDS}#1"), 4))).unwrap();
        let blocks = "id_blocks = [\"0:1200000-1299999\", \"100000:1400000-1499999\"]";
        let lines = ["id_mapping = \"rid\"", "id_range = \"1200000-1499999\"", blocks];
        assert_eq!((two.exit, &two.json["lines"]), (Exit::Done, &json!(lines)), "{}", two.text);
    }

    #[test]
    fn ids_that_were_given_away_are_not_changed() {
        let toml = "[domains.\"aadds.contoso.com\"]\n";
        let smb = "[global]\nworkgroup = AADDS\nrealm = AADDS.CONTOSO.COM\nidmap config AADDS : backend = rid\n\
                   idmap config AADDS : range = 10000-999999\n";
        let host = Host::with(&[("etc/samba/smb.conf", smb), ("etc/entra/entra.toml", toml), ("var/lib/entra/x", "")]);
        let slices = SliceStore::open(&host.0.0.join("var/lib/entra/idmap.db")).unwrap();
        let config = entra_core::config::parse(toml).unwrap();
        let mapper = IdMapper::open(slices, &config.domains).unwrap();
        mapper.learn_domain("aadds.contoso.com", &AADDS.parse().unwrap()).unwrap();
        let failure = host.plan(Peer::Winbind, true).unwrap_err();
        assert!(failure.error.contains("nothing was written"), "{}", failure.error);
        assert!(failure.error.contains("stop entrad and remove idmap.db"), "{}", failure.error);
        assert_eq!(host.toml(), toml);
    }
}
