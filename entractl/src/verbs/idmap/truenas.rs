//! TrueNAS: what it wrote for winbindd (smb4.conf), or its settings as `midclt call directoryservices.config` prints them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::peer::{Found, Settings, VERB, below, text};
use super::winbind;
use crate::exit::Failure;

/// The range of a TrueNAS where nobody chose one.
const DEFAULT: (u32, u32) = (100_000_001, 200_000_000);
/// Where TrueNAS SCALE and CORE keep what winbindd reads.
const SMB_CONFS: [&str; 2] = ["/etc/smb4.conf", "/usr/local/etc/smb4.conf"];

/// Reads the settings of the domain.
///
/// # Errors
/// Where there are none, or they give ids in a way that cannot be computed.
pub(super) fn read(root: &Path, config: Option<&Path>, dump: Option<&Path>) -> Result<Found, Failure> {
    let usual = || SMB_CONFS.iter().map(|path| below(root, path)).find(|path| path.exists());
    let Some(file) = config.map(Path::to_path_buf).or_else(usual) else {
        return Err(Failure::no(VERB, "there is no smb4.conf of a TrueNAS here").remedy(
            "write down `midclt call directoryservices.config` (or `midclt call idmap.query`) on the TrueNAS, and give it by \
             --config FILE",
        ));
    };
    match serde_json::from_str(&text(&file)?) {
        Ok(json) => parse(&json, file),
        Err(_) => winbind::of_file(file, root, dump),
    }
}

fn parse(json: &Value, file: PathBuf) -> Result<Found, Failure> {
    let domain = find(json, &|value| value.get("domain").and_then(Value::as_str).filter(|name| name.contains('.')));
    let own = find(json, &|value| {
        let backend = value.get("idmap_backend")?.as_str()?;
        // Older releases list the ranges of LDAP and of local accounts beside the domain's.
        let name = value.get("name").and_then(Value::as_str);
        name.is_none_or(|name| !matches!(name, "DS_TYPE_LDAP" | "DS_TYPE_DEFAULT_DOMAIN")).then_some((value, backend))
    });
    let number = |value: &Value, key: &str, default: u32| {
        value.get(key).and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok()).unwrap_or(default)
    };
    let settings = match own {
        None => Settings::Rid { range: DEFAULT, base_rid: 0 },
        Some((own, backend)) => {
            let range = (number(own, "range_low", DEFAULT.0), number(own, "range_high", DEFAULT.1));
            let compat = |value: &Value| value.get("sssd_compat").and_then(Value::as_bool).unwrap_or(false);
            match backend.to_lowercase().as_str() {
                // Older releases write the range that they computed down.
                "rid" if compat(own) => Settings::Compat,
                "rid" => Settings::Rid { range, base_rid: 0 },
                "ad" | "rfc2307" => Settings::Attributes { range },
                "autorid" => {
                    return Err(Failure::no(VERB, "the settings say autorid, whose ranges stand in another file")
                        .remedy("give its smb4.conf by --config, and `tdbdump autorid.tdb` by --autorid"));
                }
                other => {
                    return Err(Failure::no(VERB, format!("the backend {other} of TrueNAS cannot be computed"))
                        .remedy("choose a mapping for new ids, and move the files' owners"));
                }
            }
        }
    };
    Ok(Found { file, domain: domain.map(str::to_lowercase), settings, notes: Vec::new() })
}

/// The first object, from the outside in, of which `pick` makes something.
fn find<'a, T>(value: &'a Value, pick: &impl Fn(&'a Value) -> Option<T>) -> Option<T> {
    pick(value).or_else(|| match value {
        Value::Object(fields) => fields.values().find_map(|inner| find(inner, pick)),
        Value::Array(items) => items.iter().find_map(|inner| find(inner, pick)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(own: &Value) -> Settings {
        let json = json!({
            "service_type": "ACTIVEDIRECTORY",
            "configuration": {
                "domain": "AADDS.contoso.com",
                "idmap": {"builtin": {"range_low": 90_000_001, "range_high": 100_000_000}, "idmap_domain": own},
            },
        });
        let found = parse(&json, PathBuf::new()).unwrap();
        assert_eq!(found.domain.as_deref(), Some("aadds.contoso.com"));
        found.settings
    }

    #[test]
    fn settings_of_a_release() {
        let own =
            json!({"idmap_backend": "RID", "range_low": 100_000_001, "range_high": 200_000_000, "sssd_compat": false});
        assert_eq!(settings(&own), Settings::Rid { range: DEFAULT, base_rid: 0 });
        let compat = json!({"idmap_backend": "RID", "range_low": 1, "range_high": 2, "sssd_compat": true});
        assert_eq!(settings(&compat), Settings::Compat);
        let ad = json!({"idmap_backend": "AD", "range_low": 10_000, "range_high": 20_000});
        assert_eq!(settings(&ad), Settings::Attributes { range: (10_000, 20_000) });
    }

    #[test]
    fn settings_of_an_older_release() {
        let list = json!([
            {"name": "DS_TYPE_DEFAULT_DOMAIN", "range_low": 90_000_001, "range_high": 90_100_000, "idmap_backend": "TDB"},
            {"name": "DS_TYPE_ACTIVEDIRECTORY", "range_low": 674_000_000, "range_high": 774_000_000,
             "idmap_backend": "RID", "options": {"sssd_compat": true}},
        ]);
        let found = parse(&list, PathBuf::new()).unwrap();
        assert_eq!(found.settings, Settings::Rid { range: (674_000_000, 774_000_000), base_rid: 0 });
        assert_eq!(found.domain, None);
    }
}
