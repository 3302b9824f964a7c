//! smb.conf(5): `idmap config`, for the domain that the host is a member of.

use std::path::{Path, PathBuf};

use super::super::samba::smb_conf::{self, Setting};
use super::autorid;
use super::peer::{Found, Settings, VERB, below, number, text};
use crate::exit::Failure;

/// autorid's rangesize where nothing is set (idmap_autorid(8)).
const AUTORID_SIZE: u32 = 100_000;

/// Reads the settings of the domain.
///
/// # Errors
/// Where the file is missing, or gives ids in a way that cannot be computed.
pub(super) fn read(root: &Path, config: Option<&Path>, dump: Option<&Path>) -> Result<Found, Failure> {
    let file = config.map_or_else(|| below(root, "/etc/samba/smb.conf"), Path::to_path_buf);
    of_file(file, root, dump)
}

/// Reads `file` as a smb.conf.
///
/// # Errors
/// As [`read`].
pub(super) fn of_file(file: PathBuf, root: &Path, dump: Option<&Path>) -> Result<Found, Failure> {
    let settings = globals(&text(&file)?, root, 0);
    let mut found = parse(&settings)?;
    if let Settings::Autorid { table, .. } = &mut found.settings {
        *table = autorid::table(root, dump)?;
    }
    found.file = file;
    Ok(found)
}

/// `[global]`, with what it includes.
fn globals(text: &str, root: &Path, depth: u32) -> Vec<Setting> {
    // What stands before the first section is [global]'s too, and an included file has seldom a section.
    let text = if depth == 0 { text.to_owned() } else { format!("[global]\n{text}") };
    let mut all = Vec::new();
    for setting in smb_conf::globals(&text) {
        if setting.is("include") && depth < 4 && !setting.value.contains('%') {
            let included = std::fs::read_to_string(below(root, &setting.value)).unwrap_or_default();
            all.extend(globals(&included, root, depth + 1));
        } else {
            all.push(setting);
        }
    }
    all
}

fn parse(settings: &[Setting]) -> Result<Found, Failure> {
    let workgroup = smb_conf::value(settings, "workgroup").unwrap_or("WORKGROUP");
    let domain = smb_conf::value(settings, "realm").map(str::to_lowercase);
    let of = |name: &str, key: &str| smb_conf::value(settings, &format!("idmap config {name} : {key}"));
    // The domain's own lines, else those for everybody (smb.conf(5), "idmap config").
    let name = if of(workgroup, "backend").is_some() { workgroup } else { "*" };
    let backend = of(name, "backend").unwrap_or("tdb").to_lowercase();
    let range = || {
        let text = of(name, "range").ok_or_else(|| {
            Failure::no(VERB, format!("smb.conf has no `idmap config {name} : range`"))
                .remedy("look at `testparm -s`: winbindd gives no ids without a range")
        })?;
        let (low, high) = text.split_once('-').ok_or_else(|| Failure::no(VERB, format!("range = {text}")))?;
        Ok::<_, Failure>((number("range", low)?, number("range", high)?))
    };
    let optional = |key: &str, default: u32| of(name, key).map_or(Ok(default), |text| number(key, text));
    let settings = match backend.as_str() {
        "rid" => Settings::Rid { range: range()?, base_rid: optional("base_rid", 0)? },
        "autorid" => {
            let size = optional("rangesize", AUTORID_SIZE)?;
            if size == 0 {
                return Err(Failure::no(VERB, "smb.conf: rangesize = 0"));
            }
            Settings::Autorid { low: range()?.0, size, table: None }
        }
        "ad" | "rfc2307" => Settings::Attributes { range: range()? },
        other => {
            return Err(Failure::no(
                VERB,
                format!(
                    "the backend {other} gives ids in the order in which accounts are met: no mapping gives the same"
                ),
            )
            .remedy("choose a mapping for new ids, and move the files' owners"));
        }
    };
    Ok(Found { file: PathBuf::new(), domain, settings, notes: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(lines: &str) -> Result<Settings, Failure> {
        let text = format!("[global]\nworkgroup = AADDS\nrealm = AADDS.CONTOSO.COM\n{lines}\n[homes]\n");
        let found = parse(&globals(&text, Path::new("/nonexistent"), 0))?;
        assert_eq!(found.domain.as_deref(), Some("aadds.contoso.com"));
        Ok(found.settings)
    }

    #[test]
    fn backends() {
        let rid = "idmap config * : backend = tdb\nidmap config * : range = 3000-7999\n\
                   idmap config AADDS:backend = rid\nidmap config aadds : range = 10000 - 999999\n";
        assert_eq!(settings(rid), Ok(Settings::Rid { range: (10_000, 999_999), base_rid: 0 }));
        let based = format!("{rid}idmap config AADDS : base_rid = 1000\n");
        assert_eq!(settings(&based), Ok(Settings::Rid { range: (10_000, 999_999), base_rid: 1000 }));
        let autorid = "idmap config * : backend = autorid\nidmap config * : range = 1000000-1999999\n";
        assert_eq!(settings(autorid), Ok(Settings::Autorid { low: 1_000_000, size: 100_000, table: None }));
        let ad = "idmap config AADDS : backend = ad\nidmap config AADDS : range = 5000-9000\n";
        assert_eq!(settings(ad), Ok(Settings::Attributes { range: (5000, 9000) }));
        assert!(settings("").unwrap_err().error.contains("tdb"));
        assert!(settings("idmap config AADDS : backend = rid").unwrap_err().error.contains("range"));
    }
}
