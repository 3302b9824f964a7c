//! sssd.conf(5) with sssd-ad(5) and sssd-ldap(5), and the slices that SSSD's cache remembers.

use std::path::{Path, PathBuf};

use entra_core::idmap::SLICE_SIZE;
use entra_core::types::Sid;
use entra_wire::ranges;

use super::peer::{Found, Settings, VERB, below, number, text};
use crate::exit::Failure;

/// Most bytes of a cache that are looked through: 50,000 users take 300 MB.
const MAX_CACHE: u64 = 1 << 30;

/// Reads the settings of one domain: of `wanted`, else of the first one that maps ids.
///
/// # Errors
/// Where the file is missing or names no such domain.
pub(super) fn read(root: &Path, config: Option<&Path>, wanted: Option<&str>) -> Result<Found, Failure> {
    let file = config.map_or_else(|| below(root, "/etc/sssd/sssd.conf"), Path::to_path_buf);
    let mut whole = text(&file)?;
    if config.is_none() {
        // Read behind it, in the order of their names (sssd.conf(5), "CONFIGURATION SNIPPETS").
        for snippet in snippets(&below(root, "/etc/sssd/conf.d")) {
            whole.push('\n');
            whole.push_str(&text(&snippet)?);
        }
    }
    let mut found = parse(&whole, wanted)?;
    found.file = file;
    if let (Settings::Slices { cached, .. }, Some(domain)) = (&mut found.settings, &found.domain) {
        let cache = below(root, "/var/lib/sss/db").join(format!("cache_{domain}.ldb"));
        let readable = std::fs::metadata(&cache).is_ok_and(|meta| meta.len() <= MAX_CACHE);
        if let Some(bytes) = readable.then(|| std::fs::read(&cache).ok()).flatten() {
            *cached = slices(&bytes);
        } else {
            found.notes.push(format!("{} cannot be read: slices are computed", cache.display()));
        }
    }
    // The section's name need not be the domain's.
    if let Some(name) = value(&whole, found.domain.as_deref().unwrap_or_default(), "ad_domain") {
        found.domain = Some(name.to_lowercase());
    }
    Ok(found)
}

fn snippets(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|end| end == "conf"))
        .filter(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')))
        .collect();
    files.sort();
    files
}

/// The settings of one domain of a sssd.conf. Its `domain` is the name of the section.
fn parse(text: &str, wanted: Option<&str>) -> Result<Found, Failure> {
    let names = domains(text);
    let of_wanted = |name: &&String| {
        wanted.is_none_or(|wanted| {
            name.eq_ignore_ascii_case(wanted)
                || value(text, name, "ad_domain").is_some_and(|own| own.eq_ignore_ascii_case(wanted))
        })
    };
    let maps = |name: &&String| matches!(value(text, name, "id_provider"), Some("ad" | "ldap"));
    let Some(domain) = names.iter().filter(of_wanted).find(maps) else {
        return Err(Failure::no(VERB, "sssd.conf has no such domain with id_provider = ad or ldap")
            .remedy("name the domain by --domain, or the file by --config"));
    };
    let get = |key: &str| value(text, domain, key);
    let id = |key: &str, default: u32| get(key).map_or(Ok(default), |text| number(key, text));
    let yes = |key: &str, default: bool| get(key).map_or(default, |text| text.eq_ignore_ascii_case("true"));
    let mut notes = Vec::new();
    if names.iter().filter(maps).count() > 1 {
        notes.push(format!("sssd.conf has other domains too ({}): --domain plans for one of them", names.join(", ")));
    }
    let settings = if yes("ldap_id_mapping", get("id_provider") == Some("ad")) {
        let first = id("ldap_idmap_range_min", ranges::DEFAULT.0)?;
        let behind = id("ldap_idmap_range_max", ranges::DEFAULT.1 + 1)?;
        let size = id("ldap_idmap_range_size", SLICE_SIZE)?;
        if size == 0 || behind <= first {
            return Err(Failure::no(VERB, format!("sssd.conf: ids from {first} to {behind} in slices of {size}")));
        }
        let default_sid = get("ldap_idmap_default_domain_sid").map(str::parse::<Sid>).transpose();
        Settings::Slices {
            range: (first, behind - 1),
            size,
            default_sid: default_sid.map_err(|error| Failure::no(VERB, error.to_string()))?,
            autorid: yes("ldap_idmap_autorid_compat", false),
            cached: Vec::new(),
        }
    } else {
        let low = id("min_id", 1)?.max(entra_wire::guard::ID_FLOOR);
        let high = id("max_id", 0)?;
        Settings::Attributes { range: (low, if high == 0 { u32::MAX - 2 } else { high }) }
    };
    Ok(Found { file: PathBuf::new(), domain: Some(domain.clone()), settings, notes })
}

/// The domains of `[sssd] domains`, else every section `[domain/NAME]`.
fn domains(text: &str) -> Vec<String> {
    let sections = text.lines().filter_map(|line| line.trim().strip_prefix("[domain/")?.strip_suffix(']'));
    match option(text, "sssd", "domains") {
        Some(list) => list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect(),
        None => sections.map(str::to_owned).collect(),
    }
}

fn value<'a>(text: &'a str, domain: &str, key: &str) -> Option<&'a str> {
    option(text, &format!("domain/{domain}"), key)
}

/// The last value of a key in a section.
fn option<'a>(text: &'a str, section: &str, key: &str) -> Option<&'a str> {
    let mut inside = false;
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name.eq_ignore_ascii_case(section);
        } else if inside
            && let Some((name, value)) = line.split_once('=')
            && name.trim() == key
        {
            found = Some(value.trim());
        }
    }
    found
}

/// The domains of an ldb file of SSSD (`cn=id_mappings`), with their slices where the record shows them. Records that ldb
/// wrote (format 0x26011967) hold each attribute as name, count, length and value; newer ones keep values elsewhere.
fn slices(bytes: &[u8]) -> Vec<(Sid, Option<u32>)> {
    const IN_NAME: &[u8] = b",cn=id_mappings,";
    let mut found: Vec<(Sid, Option<u32>)> = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(IN_NAME.len()).position(|window| window == IN_NAME) {
        let (before, after) = rest.split_at(at);
        rest = &after[IN_NAME.len()..];
        let Some(sid) = before.rsplit(|byte| *byte == b'=').next().and_then(as_sid) else { continue };
        // The record's own attributes follow its name; the next record begins with another name.
        let end = rest.windows(IN_NAME.len()).position(|window| window == IN_NAME).unwrap_or(rest.len()).min(1024);
        let slice = attribute(&rest[..end], b"\0slice\0").and_then(|text| text.parse().ok());
        match found.iter_mut().find(|(known, _)| *known == sid) {
            Some((_, known)) => *known = known.or(slice),
            None => found.push((sid, slice)),
        }
    }
    found
}

fn as_sid(bytes: &[u8]) -> Option<Sid> {
    let sid: Sid = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    // Whole domains only: further slices of a domain are computed.
    (sid.is_of_a_domain() && !sid.domain().is_some_and(|parent| parent.is_of_a_domain())).then_some(sid)
}

/// The one value of an attribute in a packed record.
fn attribute<'a>(record: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let at = record.windows(name.len()).position(|window| window == name)? + name.len();
    let rest = record.get(at..)?.strip_prefix(&1u32.to_le_bytes())?;
    let (length, value) = rest.split_at_checked(4)?;
    let length = u32::from_le_bytes(length.try_into().ok()?);
    std::str::from_utf8(value.get(..usize::try_from(length).ok()?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AADDS: &str = "S-1-5-21-3623811015-3361044348-30300820";

    #[test]
    fn settings_of_a_domain() {
        let plain = "[sssd]\ndomains = a.example\n[domain/a.example]\nid_provider = ad\n";
        let found = parse(plain, None).unwrap();
        assert_eq!(found.domain.as_deref(), Some("a.example"));
        let Settings::Slices { range, size, autorid: false, default_sid: None, .. } = found.settings else {
            panic!("{found:?}")
        };
        assert_eq!((range, size), (ranges::DEFAULT, SLICE_SIZE));

        let set = format!(
            "{plain}ldap_idmap_range_min = 1000000\nldap_idmap_range_max=2001000000\nldap_idmap_range_size = 1000000\n\
             # ldap_id_mapping = false\nldap_idmap_default_domain_sid = {AADDS}\nldap_idmap_autorid_compat = True\n"
        );
        let Settings::Slices { range, size, autorid: true, default_sid: Some(sid), .. } =
            parse(&set, None).unwrap().settings
        else {
            panic!("{set}")
        };
        assert_eq!((range, size, sid.to_string()), ((1_000_000, 2_000_999_999), 1_000_000, AADDS.to_owned()));

        let posix = format!("{plain}ldap_id_mapping = False\nmin_id = 5000\nmax_id = 9000\n");
        assert_eq!(parse(&posix, None).unwrap().settings, Settings::Attributes { range: (5000, 9000) });
    }

    #[test]
    fn the_domain_that_is_meant() {
        let two = "[sssd]\ndomains = files, a, b.example\n[domain/files]\nid_provider = files\n[domain/a]\nid_provider = ad\n\
                   ad_domain = A.example\n[domain/b.example]\nid_provider = ad\n";
        assert_eq!(parse(two, None).unwrap().domain.as_deref(), Some("a"));
        assert!(parse(two, None).unwrap().notes[0].contains("b.example"));
        assert_eq!(parse(two, Some("a.example")).unwrap().domain.as_deref(), Some("a"));
        assert_eq!(parse(two, Some("B.example")).unwrap().domain.as_deref(), Some("b.example"));
        assert!(parse(two, Some("files")).is_err());
        assert!(parse("[sssd]\n", None).is_err());
    }

    #[test]
    fn slices_of_a_cache() {
        let value =
            |text: &str| [&1u32.to_le_bytes()[..], &(text.len() as u32).to_le_bytes(), text.as_bytes(), b"\0"].concat();
        let name = format!("objectSID={AADDS},cn=id_mappings,cn=a.example,cn=sysdb\0");
        let record = [
            name.as_bytes(),
            b"name\0",
            &value("a.example"),
            b"objectSID\0",
            &value(AADDS),
            b"slice\0",
            &value("3370"),
        ]
        .concat();
        let other = b"objectSID=S-1-5-21-1-2-3,cn=id_mappings,cn=a.example,cn=sysdb\0packed otherwise".to_vec();
        let bytes = [name.as_bytes(), &[0; 64], &record, &other, &record].concat();
        let expected = vec![(AADDS.parse().unwrap(), Some(3370)), ("S-1-5-21-1-2-3".parse().unwrap(), None)];
        assert_eq!(slices(&bytes), expected);
        assert!(slices(b"nothing").is_empty());
        for end in 0..bytes.len() {
            slices(&bytes[..end]);
        }
    }
}
