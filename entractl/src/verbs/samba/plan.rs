//! What Samba has to say so that it gives the ids that lookups give, and shares the machine's secret.

use entra_core::config::{Domain, IdMapping};
use entra_core::directory::DomainInfo;
use entra_core::idmap::IdMapper;
use entra_wire::paths;

use super::smb_conf::{self, Setting};
use crate::cli::SambaBackend;
use crate::exit::Failure;

/// Fewest ids for everything that is no account of a configured domain: BUILTIN, well-known SIDs, accounts of domains
/// that are trusted. Each that is met takes one.
const LEAST: u32 = 100_000;
/// As many are set aside where nothing is set.
const OTHERS: u32 = 200_000;
/// Where they are looked for: above every slice of the default range, below 2^31, which some programs take for the end.
const OTHERS_FROM: std::ops::Range<u32> = 2_100_000_000..2_147_000_000;
/// The first version in which winbindd writes the keytab unless it is told not to.
pub(super) const WRITES_KEYTAB: (u32, u32) = (4, 21);
/// The program that answers `idmap_script(8)`.
pub(super) const SCRIPT: &str = "/usr/libexec/entra/samba-idmap";

/// A configured domain that was met.
pub(super) struct Met {
    /// Its configuration.
    pub domain: Domain,
    /// Its SID and its NetBIOS name.
    pub info: DomainInfo,
}

/// Who answers for a domain's ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backend {
    /// `idmap_rid(8)`: arithmetic, in winbindd itself.
    Rid,
    /// `idmap_script(8)`: [`SCRIPT`].
    Script,
}

impl Backend {
    /// What smb.conf calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rid => "rid",
            Self::Script => "script",
        }
    }
}

/// The ids of one domain in Samba.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    /// NetBIOS name.
    pub workgroup: String,
    /// Who answers.
    pub backend: Backend,
    /// First and last id.
    pub range: (u32, u32),
}

/// The ids of a domain, as lookups give them.
///
/// # Errors
/// Where Samba has no way to give the same.
pub(super) fn ids(met: &Met, mapper: &IdMapper, wanted: Option<SambaBackend>) -> Result<Ids, Failure> {
    let (name, sid) = (&met.domain.name, &met.info.sid);
    let wrong = |what: String| Failure::no("ids", what);
    mapper.learn_domain(name, sid).map_err(|error| wrong(error.to_string()).remedy("`entractl config check`"))?;
    let own = mapper.own_range(name).ok_or_else(|| wrong(format!("{name} has no ids yet")))?;
    let arithmetic = met.domain.id_mapping != IdMapping::Rfc2307;
    // Slices and blocks behind the first one: no one distance gives their ids.
    let further = mapper.blocks().iter().any(|block| &block.domain == sid && block.first_rid > 0);
    let beyond = arithmetic && further;
    let backend = match wanted {
        Some(SambaBackend::Script) => Backend::Script,
        Some(SambaBackend::Rid) if !arithmetic => {
            let error = format!("{name} takes ids from the directory (rfc2307): no arithmetic gives them");
            return Err(wrong(error).remedy("leave --backend out, or give `script`"));
        }
        None if !arithmetic || beyond => Backend::Script,
        Some(SambaBackend::Rid) | None => Backend::Rid,
    };
    // Further slices lie anywhere in the range.
    let range = if backend == Backend::Script { met.domain.id_range } else { own };
    Ok(Ids { workgroup: met.info.netbios.clone(), backend, range })
}

/// The range of `idmap config *`: the present one where it serves, else one that nobody uses.
///
/// # Errors
/// Where there is no room for one.
pub(super) fn others(present: &[Setting], ids: &[Ids], configured: &[Domain]) -> Result<(u32, u32), Failure> {
    let known = smb_conf::ranges(present);
    let own: Vec<(u32, u32)> = configured.iter().map(|domain| domain.id_range).collect();
    let taken: Vec<(u32, u32)> = known
        .iter()
        .filter(|(name, _)| name != "*" && !ids.iter().any(|it| it.workgroup.eq_ignore_ascii_case(name)))
        .map(|(_, range)| *range)
        .chain(own)
        .collect();
    let free = |range: (u32, u32)| !taken.iter().any(|other| overlap(*other, range));
    if let Some((_, range)) = known.iter().find(|(name, _)| name == "*")
        && range.1.saturating_sub(range.0) + 1 >= LEAST
        && free(*range)
    {
        return Ok(*range);
    }
    OTHERS_FROM.step_by(OTHERS as usize).map(|low| (low, low + OTHERS - 1)).find(|range| free(*range)).ok_or_else(
        || {
            Failure::no("ids", format!("no {LEAST} ids are free for what is no account of a domain"))
                .remedy("narrow `id_range` in entra.toml, or set `idmap config * : range` in smb.conf yourself")
        },
    )
}

/// Ranges of smb.conf that overlap ours, though they belong to somebody else.
pub(super) fn foreign(present: &[Setting], ids: &[Ids]) -> Vec<String> {
    let theirs = smb_conf::ranges(present).into_iter();
    theirs
        .filter(|(name, range)| {
            let own = |it: &Ids| it.workgroup.eq_ignore_ascii_case(name);
            name != "*" && !ids.iter().any(own) && ids.iter().any(|it| overlap(it.range, *range))
        })
        .map(|(name, (low, high))| format!("idmap config {name} : range = {low}-{high}"))
        .collect()
}

/// Every setting of ours, for the domain that this host has joined (the first of `ids`).
pub(super) fn settings(realm: &str, ids: &[Ids], others: (u32, u32), version: (u32, u32)) -> Vec<Setting> {
    let workgroup = ids.first().map(|ids| ids.workgroup.as_str()).unwrap_or_default();
    let mut settings = vec![
        Setting::new("server role", "member server"),
        Setting::new("security", "ADS"),
        Setting::new("realm", realm),
        Setting::new("workgroup", workgroup),
        // Tickets for a key of a moment ago are opened too, as the keytab keeps it.
        Setting::new("kerberos method", "secrets and keytab"),
        Setting::new("dedicated keytab file", paths::KEYTAB),
        // One owner of the machine's password: entractl keytab rotate.
        Setting::new("machine password timeout", "0"),
    ];
    if version >= WRITES_KEYTAB {
        settings.push(Setting::new("sync machine password to keytab", "disabled"));
    }
    settings.push(Setting::new("idmap config * : backend", "tdb"));
    settings.push(Setting::new("idmap config * : range", format!("{}-{}", others.0, others.1)));
    for Ids { workgroup, backend, range } in ids {
        settings.push(Setting::new(format!("idmap config {workgroup} : backend"), backend.word()));
        settings.push(Setting::new(format!("idmap config {workgroup} : range"), format!("{}-{}", range.0, range.1)));
        if *backend == Backend::Script {
            settings.push(Setting::new(format!("idmap config {workgroup} : script"), SCRIPT));
        }
    }
    // Account and session phases of /etc/pam.d/samba: who may come, and the home directory.
    settings.push(Setting::new("obey pam restrictions", "yes"));
    settings
}

/// The file that smb.conf includes.
pub(super) fn file(settings: &[Setting]) -> String {
    let head =
        "# Written by `entractl samba configure`, and written anew by it. Settings of your own belong in smb.conf.";
    let lines = settings.iter().map(|Setting { key, value }| format!("{key} = {value}\n"));
    format!("{head}\n{}", lines.collect::<String>())
}

fn overlap(one: (u32, u32), other: (u32, u32)) -> bool {
    one.0 <= other.1 && other.0 <= one.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use entra_core::store::SliceStore;

    const SID: &str = "S-1-5-21-3623811015-3361044348-30300820";

    fn met(options: &str) -> (Met, IdMapper, Vec<Domain>) {
        let text = format!("[domains.\"aadds.contoso.com\"]\n{options}\n");
        let config = entra_core::config::parse(&text).unwrap();
        let info = DomainInfo {
            sid: SID.parse().unwrap(),
            netbios: "AADDS".into(),
            dns_name: "aadds.contoso.com".into(),
            base_dn: "DC=aadds,DC=contoso,DC=com".into(),
        };
        let mapper = IdMapper::open(SliceStore::temporary().unwrap(), &config.domains).unwrap();
        (Met { domain: config.domains[0].clone(), info }, mapper, config.domains)
    }

    #[test]
    fn arithmetic_where_it_gives_the_same_ids() {
        let (met_domain, mapper, _) = met("");
        let ids = |wanted| ids(&met_domain, &mapper, wanted).unwrap();
        assert_eq!(
            ids(None),
            Ids { workgroup: "AADDS".into(), backend: Backend::Rid, range: (674_000_000, 674_199_999) }
        );
        assert_eq!(ids(Some(SambaBackend::Script)).backend, Backend::Script);
        // A further slice was given: its RIDs are no longer a distance from one number.
        mapper.id_of(&format!("{SID}-200001").parse().unwrap()).unwrap();
        assert_eq!((ids(None).backend, ids(None).range), (Backend::Script, (200_000, 2_000_199_999)));
    }

    #[test]
    fn ids_of_the_directory_want_the_script() {
        let (met, mapper, _) = met("id_mapping = \"rfc2307\"\nid_range = \"10000-60000\"");
        assert_eq!(ids(&met, &mapper, None).unwrap().backend, Backend::Script);
        assert!(ids(&met, &mapper, Some(SambaBackend::Rid)).unwrap_err().error.contains("rfc2307"));
    }

    #[test]
    fn the_others_have_room_of_their_own() {
        let (met, mapper, domains) = met("");
        let ids = [ids(&met, &mapper, None).unwrap()];
        let range = |value: &str| vec![Setting::new("idmap config * : range", value)];
        assert_eq!(others(&[], &ids, &domains).unwrap(), (2_100_000_000, 2_100_199_999));
        assert_eq!(others(&range("3000-7999"), &ids, &domains).unwrap().0, 2_100_000_000, "too few");
        assert_eq!(others(&range("300000-900000"), &ids, &domains).unwrap().0, 2_100_000_000, "in the slices");
        assert_eq!(others(&range("10000 - 199999"), &ids, &domains).unwrap(), (10_000, 199_999), "kept");
        let corp = Setting::new("idmap config CORP : range", "2100000000-2100000001");
        assert_eq!(others(std::slice::from_ref(&corp), &ids, &domains).unwrap().0, 2_100_200_000);
        assert!(foreign(&[corp], &ids).is_empty());
        let inside = Setting::new("idmap config corp : range", "674100000-700000000");
        assert_eq!(foreign(&[inside], &ids).len(), 1);
    }

    #[test]
    fn the_keytab_is_left_alone_by_every_version() {
        let (met, mapper, _) = met("");
        let ids = [ids(&met, &mapper, None).unwrap()];
        let of = |version| settings("AADDS.CONTOSO.COM", &ids, (2_100_000_000, 2_100_199_999), version);
        let key = "sync machine password to keytab";
        assert_eq!(smb_conf::value(&of((4, 17)), key), None, "it would be refused");
        assert_eq!(smb_conf::value(&of((4, 22)), key), Some("disabled"));
        let text = file(&of((4, 17)));
        assert!(text.contains("\nidmap config AADDS : range = 674000000-674199999\n"), "{text}");
        assert!(text.contains("\nworkgroup = AADDS\n"), "{text}");
    }
}
