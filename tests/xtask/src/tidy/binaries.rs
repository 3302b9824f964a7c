//! The built modules and libentra as the loader sees them: soname, needed libraries, exported symbols.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Finding, output};
use crate::run::{root, run};

/// What a shared object must be.
struct Rule {
    /// Where cargo puts it.
    built_as: &'static str,
    /// The package that it is built from.
    package: &'static str,
    /// The package's folder, for the message's place.
    folder: &'static str,
    /// The soname; none is asked of what is loaded by its path.
    soname: Option<&'static str>,
    /// Beginnings of the libraries that it may need.
    needed: &'static [&'static str],
    /// What each exported symbol begins with; empty: only `entries` are exported.
    prefix: &'static str,
    /// Symbols that must be there.
    entries: &'static [&'static str],
    /// The symbol version of each of them, where they have one.
    version: Option<&'static str>,
}

const LIBC: [&str; 3] = ["libc.so.6", "libgcc_s.so.1", "ld-linux"];

const RULES: [Rule; 4] = [
    Rule {
        built_as: "libnss_entra.so",
        package: "nss_entra",
        folder: "nss_entra",
        soname: Some("libnss_entra.so.2"),
        needed: &LIBC,
        prefix: "_nss_entra_",
        entries: &[
            "_nss_entra_getpwnam_r",
            "_nss_entra_getpwuid_r",
            "_nss_entra_setpwent",
            "_nss_entra_getpwent_r",
            "_nss_entra_endpwent",
            "_nss_entra_getgrnam_r",
            "_nss_entra_getgrgid_r",
            "_nss_entra_setgrent",
            "_nss_entra_getgrent_r",
            "_nss_entra_endgrent",
            "_nss_entra_initgroups_dyn",
        ],
        version: None,
    },
    Rule {
        built_as: "libpam_entra.so",
        package: "pam_entra",
        folder: "pam_entra",
        soname: None,
        needed: &["libc.so.6", "libgcc_s.so.1", "ld-linux", "libpam.so.0"],
        prefix: "pam_sm_",
        entries: &[
            "pam_sm_authenticate",
            "pam_sm_setcred",
            "pam_sm_acct_mgmt",
            "pam_sm_open_session",
            "pam_sm_close_session",
            "pam_sm_chauthtok",
        ],
        version: None,
    },
    Rule {
        built_as: "libentra_krb5_plugin.so",
        package: "entra-krb5-plugin",
        folder: "common/krb5-plugin",
        soname: None,
        needed: &LIBC,
        // Two interfaces of libkrb5, with a name of its own each.
        prefix: "",
        entries: &["localauth_entra_initvt", "service_locator"],
        version: None,
    },
    Rule {
        built_as: "libentra.so",
        package: "entra-capi",
        folder: "common/capi",
        soname: Some("libentra.so.1"),
        needed: &LIBC,
        // What is exported is kept for ever: nothing that is not listed.
        prefix: "",
        entries: &[
            "entra_version",
            "entra_strerror",
            "entra_sid_parse",
            "entra_sid_from_bytes",
            "entra_sid_length",
            "entra_sid_format",
            "entra_sid_to_id",
            "entra_sids_to_ids",
            "entra_uid_to_sid",
            "entra_gid_to_sid",
            "entra_name_to_sid",
            "entra_sid_to_name",
            "entra_user_by_name",
            "entra_user_by_uid",
            "entra_group_by_name",
            "entra_group_by_gid",
            "entra_groups_of_user",
            "entra_health",
        ],
        version: Some("ENTRA_1"),
    },
];

/// Builds the modules and looks at them.
///
/// # Errors
/// When they do not build or readelf or nm (binutils) is missing.
pub fn check() -> Result<Vec<Finding>, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Release: that is what is installed.
    build.args(["build", "--quiet", "--release", "--target-dir"]).arg(&target).current_dir(root());
    for rule in &RULES {
        build.args(["--package", rule.package]);
    }
    run(&mut build)?;
    let mut findings = Vec::new();
    for rule in &RULES {
        let object = Object::read(&target.join("release").join(rule.built_as))?;
        findings.extend(compare(rule, &object));
    }
    Ok(findings)
}

/// What readelf and nm say of a shared object.
#[derive(Default)]
struct Object {
    dynamic: String,
    /// Names, with `@@VERSION` behind those that have one.
    symbols: BTreeSet<String>,
}

impl Object {
    fn read(path: &Path) -> Result<Self, String> {
        let dynamic = output(Command::new("readelf").args(["--wide", "--dynamic"]).arg(path))?;
        let symbols = output(Command::new("nm").args(["--dynamic", "--defined-only"]).arg(path))?;
        Ok(Self { dynamic, symbols: symbols.lines().filter_map(symbol).map(str::to_owned).collect() })
    }

    /// The names in brackets of the dynamic section's lines of one kind.
    fn names(&self, kind: &str) -> Vec<&str> {
        let lines = self.dynamic.lines().filter(|line| line.contains(kind));
        lines.filter_map(|line| line.split_once('[')?.1.split_once(']')).map(|(name, _)| name).collect()
    }
}

/// `0000000000030810 T _nss_entra_endpwent`, `0000000000009a50 T entra_version@@ENTRA_1`. The name of a version itself
/// (`0000000000000000 A ENTRA_1`) is none.
fn symbol(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip(1);
    let kind = words.next()?;
    words.next().filter(|_| kind != "A")
}

fn compare(rule: &Rule, object: &Object) -> Vec<Finding> {
    let mut wrong = Vec::new();
    if let Some(soname) = rule.soname
        && object.names("(SONAME)") != [soname]
    {
        wrong.push(format!("its soname is {:?} and should be {soname}", object.names("(SONAME)")));
    }
    for library in object.names("(NEEDED)") {
        if !rule.needed.iter().any(|allowed| library.starts_with(allowed)) {
            wrong.push(format!(
                "it needs {library}, which every host process would load: only {:?} are right",
                rule.needed
            ));
        }
    }
    let named =
        |entry: &&str| rule.version.map_or_else(|| (*entry).to_owned(), |version| format!("{entry}@@{version}"));
    let entries: BTreeSet<String> = rule.entries.iter().map(named).collect();
    let is_right =
        |symbol: &str| entries.contains(symbol) || (!rule.prefix.is_empty() && symbol.starts_with(rule.prefix));
    for symbol in object.symbols.iter().filter(|symbol| !is_right(symbol)) {
        let what = if rule.prefix.is_empty() { "what is listed here" } else { rule.prefix };
        wrong.push(format!("it exports {symbol}: only {what} may be, others may shadow a host's function"));
    }
    for entry in entries.difference(&object.symbols) {
        wrong.push(format!("it does not export {entry}"));
    }
    for flag in ["NOW", "NODELETE"] {
        let flags = object.dynamic.lines().filter(|line| line.contains("(FLAGS_1)"));
        if !flags.flat_map(str::split_whitespace).any(|word| word == flag) {
            wrong.push(format!("it is not linked with -z {}", flag.to_lowercase()));
        }
    }
    let place = format!("{}/build.rs", rule.folder);
    wrong.into_iter().map(|what| Finding::new(&place, 1, format!("{}: {what}", rule.built_as))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DYNAMIC: &str = " 0x01 (NEEDED)  Shared library: [libc.so.6]\n 0x01 (NEEDED)  Shared library: [ld-linux-x86-64.so.2]\n 0x0e (SONAME)  Library soname: [libnss_entra.so.2]\n 0x6ffffffb (FLAGS_1)  Flags: NOW NODELETE\n";

    fn good() -> Object {
        Object { dynamic: DYNAMIC.into(), symbols: RULES[0].entries.iter().map(|name| (*name).to_owned()).collect() }
    }

    fn findings(object: &Object) -> Vec<String> {
        compare(&RULES[0], object).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_module_as_it_should_be_is_fine() {
        assert_eq!(findings(&good()), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_is_wrong_is_found() {
        let mut object = good();
        object.dynamic = object.dynamic.replace("libc.so.6", "libssl.so.3");
        assert!(findings(&object)[0].contains("needs libssl.so.3"));
        let mut object = good();
        object.dynamic = object.dynamic.replace("entra.so.2", "entra.so");
        assert!(findings(&object)[0].contains("should be libnss_entra.so.2"));
        let mut object = good();
        object.dynamic = object.dynamic.replace(" NODELETE", "");
        assert!(findings(&object)[0].contains("-z nodelete"));
        let mut object = good();
        object.symbols.insert("getpwnam".into());
        assert!(findings(&object)[0].contains("exports getpwnam"));
        let mut object = good();
        object.symbols.remove("_nss_entra_initgroups_dyn");
        assert!(findings(&object)[0].contains("does not export _nss_entra_initgroups_dyn"));
    }

    #[test]
    fn a_function_without_its_version_is_found() {
        let rule = RULES.iter().find(|rule| rule.package == "entra-capi").unwrap();
        let dynamic = DYNAMIC.replace("libnss_entra.so.2", "libentra.so.1");
        let lines = rule.entries.iter().map(|name| format!("0000000000009a50 T {name}@@ENTRA_1"));
        let lines: Vec<String> = lines.chain(["0000000000000000 A ENTRA_1".into()]).collect();
        let symbols = lines.iter().filter_map(|line| symbol(line)).map(str::to_owned).collect();
        let mut object = Object { dynamic, symbols };
        assert!(compare(rule, &object).is_empty());
        object.symbols = object.symbols.iter().map(|name| name.replace("health@@ENTRA_1", "health")).collect();
        let findings: Vec<String> = compare(rule, &object).into_iter().map(|finding| finding.what).collect();
        assert!(findings[0].contains("exports entra_health:"), "{findings:?}");
        assert!(findings[1].contains("does not export entra_health@@ENTRA_1"), "{findings:?}");
    }

    #[test]
    fn nothing_read_is_not_nothing_wrong() {
        assert!(findings(&Object::default()).len() >= RULES[0].entries.len());
    }
}
