//! `check pam`: the module and the stacks that should have it.

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

/// One line per thing that was looked at.
pub(super) fn check() -> Vec<Step> {
    let folder = Path::new("/etc/pam.d");
    let debian = folder.join("common-auth").exists();
    let (stacks, remedy) = if debian {
        (DEBIAN, "`pam-auth-update --enable entra`; if the files were edited by hand, `pam-auth-update --force`")
    } else {
        (AUTHSELECT, "`authselect select entra`")
    };
    let mut steps: Vec<_> = stacks.into_iter().map(|(file, kind)| settle(stack(folder, file, kind, remedy))).collect();
    steps.push(settle(loads()));
    steps
}

fn settle(result: Result<Step, Failure>) -> Step {
    result.unwrap_or_else(|failure| Step::fail(&failure))
}

fn stack(folder: &Path, file: &str, kind: &str, remedy: &str) -> Result<Step, Failure> {
    let path = folder.join(file);
    let shown = path.display();
    let text = fs::read_to_string(&path).map_err(|error| Failure::no("pam", format!("{shown}: {error}")))?;
    if has_module(&text, kind) {
        return Ok(Step::ok("pam", format!("{shown} has {MODULE} for {kind}")));
    }
    Err(Failure::no("pam", format!("{shown} does not ask {MODULE} for {kind}")).remedy(remedy))
}

/// Whether a line of this kind names the module (pam.conf(5)); a leading `-` only silences a missing module.
fn has_module(text: &str, kind: &str) -> bool {
    text.lines().any(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        words.next().is_some_and(|word| word.trim_start_matches('-') == kind)
            && words.any(|word| word == MODULE || word.ends_with("/pam_entra.so"))
    })
}

fn loads() -> Result<Step, Failure> {
    let path = module::find(&format!("security/{MODULE}")).ok_or_else(|| {
        Failure::no("pam", format!("{MODULE} is not installed")).remedy("`apt-get install libpam-entra`")
    })?;
    module::load(&path, "pam_sm_authenticate")
        .map_err(|error| Failure::no("pam", format!("{}: {error}", path.display())).remedy("reinstall libpam-entra"))?;
    Ok(Step::ok("pam", format!("{} loads", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_stack() {
        let text = "auth\t[success=end user_unknown=ignore default=die]\tpam_entra.so use_first_pass\n\
                    # account required pam_entra.so\n-session optional /lib/security/pam_entra.so\n\
                    password requisite pam_other.so # pam_entra.so\n";
        assert!(has_module(text, "auth") && has_module(text, "session"));
        assert!(!has_module(text, "account") && !has_module(text, "password"));
    }
}
