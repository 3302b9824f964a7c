//! `check pam`: the module, and whether the stacks ask it where and how they should.

use std::fs;
use std::path::Path;

use crate::exit::Failure;
use crate::module;
use crate::output::Step;

/// The module's file.
const MODULE: &str = "pam_entra.so";
/// Debian's stacks, and the kind of line that each has to have; session modules are asked for in both.
const DEBIAN: [(&str, &str); 5] = [
    ("common-auth", "auth"),
    ("common-account", "account"),
    ("common-password", "password"),
    ("common-session", "session"),
    ("common-session-noninteractive", "session"),
];
/// Those of authselect.
const AUTHSELECT: [(&str, &str); 5] = [
    ("system-auth", "auth"),
    ("system-auth", "account"),
    ("system-auth", "session"),
    ("password-auth", "auth"),
    ("password-auth", "account"),
];
/// What pam-auth-update writes around its lines; without it, it takes the file for edited and leaves it alone.
const MARK: &str = "here are the per-package modules (the \"Primary\" block)";
/// Modules of other directory clients.
const OTHERS: [&str; 4] = ["pam_sss.so", "pam_winbind.so", "pam_ldap.so", "pam_krb5.so"];
/// Modules that make a home directory at the first login.
const HOME_MAKERS: [&str; 2] = ["pam_mkhomedir.so", "pam_oddjob_mkhomedir.so"];

/// One line of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    control: String,
    module: String,
}

/// One line per thing that was looked at.
pub(super) fn check() -> Vec<Step> {
    let folder = Path::new("/etc/pam.d");
    let mut steps = in_folder(folder);
    steps.push(settle(loads()));
    steps
}

fn in_folder(folder: &Path) -> Vec<Step> {
    let debian = folder.join("common-auth").exists();
    let (stacks, remedy) = if debian {
        (
            DEBIAN,
            "`pam-auth-update --enable entra entra-mkhomedir`; it leaves files alone that were edited by hand: then add \
             the lines of pam_entra(8), or let `pam-auth-update --force --enable entra entra-mkhomedir` write them anew",
        )
    } else {
        (
            AUTHSELECT,
            "`authselect select entra with-mkhomedir`; it leaves files alone that were edited by hand: `--force` writes them anew",
        )
    };
    let mut steps: Vec<_> = stacks.into_iter().map(|(file, kind)| settle(stack(folder, file, kind, remedy))).collect();
    let text = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default();
    let (auth, session) = if debian { ("common-auth", "common-session") } else { ("system-auth", "system-auth") };
    if debian && !text(auth).contains(MARK) {
        let detail = "/etc/pam.d/common-auth was edited by hand: pam-auth-update leaves it as it is";
        steps.push(Step::warn("pam", detail, "`pam-auth-update --force` writes it afresh, and drops the edits"));
    }
    let makes_homes = lines(&text(session), "session").iter().any(|line| HOME_MAKERS.contains(&line.module.as_str()));
    steps.push(if makes_homes {
        Step::ok("pam", "home directories are made at the first login")
    } else {
        let remedy = if debian {
            "`pam-auth-update --enable entra-mkhomedir`"
        } else {
            "`authselect enable-feature with-mkhomedir`"
        };
        Step::warn("pam", "nobody makes home directories: a first login ends in /", remedy)
    });
    let others: Vec<_> =
        lines(&text(auth), "auth").into_iter().filter(|line| OTHERS.contains(&line.module.as_str())).collect();
    if let Some(other) = others.first() {
        let detail = format!(
            "{} is asked for passwords too: two clients of a directory count every wrong one twice",
            other.module
        );
        steps.push(Step::warn(
            "pam",
            detail,
            if debian {
                "remove the other client's packages, or its profile by `pam-auth-update`"
            } else {
                "`authselect select entra with-mkhomedir`"
            },
        ));
    }
    steps
}

fn settle(result: Result<Step, Failure>) -> Step {
    result.unwrap_or_else(|failure| Step::fail(&failure))
}

fn stack(folder: &Path, file: &str, kind: &str, remedy: &str) -> Result<Step, Failure> {
    let path = folder.join(file);
    let shown = path.display();
    let fail = |what: String| Failure::no("pam", what).remedy(remedy);
    let text = fs::read_to_string(&path).map_err(|error| fail(format!("{shown}: {error}")))?;
    let lines = lines(&text, kind);
    let Some(at) = lines.iter().position(|line| line.module == MODULE) else {
        return Err(fail(format!("{shown} does not ask {MODULE} for {kind}")));
    };
    match misplaced(&lines, at, kind) {
        None => Ok(Step::ok("pam", format!("{shown} has {MODULE} for {kind}"))),
        Some(what) => Err(fail(format!("{shown}: {what}"))),
    }
}

/// What is wrong with the line at `at`, by what its place and its control make of an answer (pam.conf(5)).
fn misplaced(lines: &[Line], at: usize, kind: &str) -> Option<String> {
    let line = &lines[at];
    let decides = matches!(kind, "auth" | "password");
    if decides && lines[..at].iter().any(|line| line.module == "pam_deny.so") {
        return Some(format!("{MODULE} for {kind} stands behind pam_deny.so, which ends the stack: it is never asked"));
    }
    if decides && matches!(line.control.as_str(), "required" | "requisite") {
        return Some(format!("{MODULE} is `{}` for {kind}: users of this host are locked out", line.control));
    }
    if kind == "account" && matches!(line.control.as_str(), "optional" | "sufficient") {
        return Some(format!("{MODULE} is `{}` for account: its refusals do not count", line.control));
    }
    let jump: usize =
        line.control.split(['[', ']', ' ']).find_map(|word| word.strip_prefix("success="))?.parse().ok()?;
    match lines.get(at + jump + 1) {
        Some(target) if target.module == "pam_deny.so" => {
            Some(format!("the right password leads from {MODULE} to pam_deny.so (success={jump})"))
        }
        None => Some(format!("the right password leads from {MODULE} past the stack's end (success={jump})")),
        Some(_) => None,
    }
}

/// The lines of a kind; a leading `-` only silences a missing module.
fn lines(text: &str, kind: &str) -> Vec<Line> {
    let parsed = text.lines().filter_map(|line| {
        let line = line.split('#').next().unwrap_or_default().trim();
        let (first, rest) = line.split_once(char::is_whitespace)?;
        if first.trim_start_matches('-') != kind {
            return None;
        }
        let rest = rest.trim_start();
        let end = if rest.starts_with('[') { rest.find(']')? + 1 } else { rest.find(char::is_whitespace)? };
        let (control, rest) = rest.split_at(end);
        let module = rest.split_whitespace().next()?.rsplit('/').next()?;
        Some(Line { control: control.to_owned(), module: module.to_owned() })
    });
    parsed.collect()
}

fn loads() -> Result<Step, Failure> {
    let path = module::find(&format!("security/{MODULE}")).ok_or_else(|| {
        Failure::no("pam", format!("{MODULE} is not installed"))
            .remedy("`apt-get install libpam-entra` (RHEL, Fedora: `dnf`)")
    })?;
    module::load(&path, "pam_sm_authenticate")
        .map_err(|error| Failure::no("pam", format!("{}: {error}", path.display())).remedy("reinstall libpam-entra"))?;
    Ok(Step::ok("pam", format!("{} loads", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::file::tests::Folder;
    use crate::output::Mark;

    const AUTH: &str = "# here are the per-package modules (the \"Primary\" block)\n\
        auth\t[success=2 default=ignore]\tpam_unix.so nullok\n\
        auth\t[success=1 user_unknown=ignore authinfo_unavail=ignore default=die]\tpam_entra.so use_first_pass\n\
        auth\trequisite\tpam_deny.so\nauth\trequired\tpam_permit.so\n";

    fn judged(text: &str, kind: &str) -> Option<String> {
        let lines = lines(text, kind);
        misplaced(&lines, lines.iter().position(|line| line.module == MODULE).unwrap(), kind)
    }

    #[test]
    fn lines_of_a_stack() {
        let text = "auth [success=end default=die] pam_entra.so use_first_pass\n# account required pam_entra.so\n\
                    -session optional /lib/security/pam_entra.so\npassword requisite pam_other.so # pam_entra.so\n";
        let has = |kind| lines(text, kind).iter().any(|line| line.module == MODULE);
        assert!(has("auth") && has("session"));
        assert!(!has("account") && !has("password"));
        assert_eq!(lines(text, "auth")[0].control, "[success=end default=die]");
    }

    #[test]
    fn the_place_and_the_control_are_judged() {
        assert_eq!(judged(AUTH, "auth"), None);
        assert!(judged(&AUTH.replace("success=1 ", "success=0 "), "auth").unwrap().contains("to pam_deny.so"));
        assert!(judged(&AUTH.replace("success=1 ", "success=9 "), "auth").unwrap().contains("past the stack's end"));
        let late = "auth requisite pam_deny.so\nauth sufficient pam_entra.so\n";
        assert!(judged(late, "auth").unwrap().contains("behind pam_deny.so"));
        assert!(judged("auth required pam_entra.so\n", "auth").unwrap().contains("locked out"));
        let account =
            "account requisite pam_deny.so\naccount [default=bad success=ok user_unknown=ignore] pam_entra.so\n";
        assert_eq!(judged(account, "account"), None);
        assert!(judged("account optional pam_entra.so\n", "account").unwrap().contains("do not count"));
    }

    #[test]
    fn the_profile_of_authselect_is_right() {
        let folder = Folder::new();
        for (name, text) in [
            ("system-auth", include_str!("../../../../packaging/authselect/system-auth")),
            ("password-auth", include_str!("../../../../packaging/authselect/password-auth")),
        ] {
            fs::write(folder.0.join(name), text).unwrap();
        }
        let steps = in_folder(&folder.0);
        assert!(steps.iter().all(|step| step.result == Mark::Ok), "{steps:?}");
        let text = fs::read_to_string(folder.0.join("password-auth")).unwrap();
        fs::write(folder.0.join("password-auth"), text.replace("success=done", "success=9")).unwrap();
        assert!(in_folder(&folder.0).iter().any(|step| step.result == Mark::Fail));
    }

    #[test]
    fn edits_homes_and_other_clients_are_warned_of() {
        let folder = Folder::new();
        let warned = |auth: &str, session: &str| -> Vec<String> {
            fs::write(folder.0.join("common-auth"), auth).unwrap();
            fs::write(folder.0.join("common-session"), session).unwrap();
            let steps = in_folder(&folder.0).into_iter().filter(|step| step.result == Mark::Warn);
            steps.map(|step| step.detail).collect()
        };
        let session = "session optional pam_entra.so\nsession optional pam_mkhomedir.so umask=0077\n";
        assert_eq!(warned(AUTH, session), Vec::<String>::new());
        assert!(warned(AUTH, "session optional pam_entra.so\n")[0].contains("nobody makes home directories"));
        assert!(warned(&AUTH.replace("here are", "mine are"), session)[0].contains("edited by hand"));
        let other = format!("{AUTH}auth sufficient pam_sss.so forward_pass\n");
        assert!(warned(&other, session)[0].contains("pam_sss.so is asked"));
    }
}
