//! Which profile of authselect(8) is in force: on RHEL and Fedora it writes nsswitch.conf and the PAM stacks, and nobody
//! else should. On Debian the packages do that by themselves, and there is no authselect.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::Paths;
use crate::process;

/// The profile that the package brings, `/usr/share/authselect/vendor/entra`.
pub const PROFILE: &str = "entra";
/// Homes that nobody makes end a first login in `/`.
const HOMES: &str = "with-mkhomedir";
/// Profiles that an administrator has written; which of them asks us is not ours to judge.
const CUSTOM: &str = "custom/";
/// It writes a handful of files.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The command, where this host has it.
#[derive(Clone, Debug)]
pub struct Authselect {
    program: PathBuf,
}

/// A profile and its features, as `authselect current --raw` has them and `authselect select` takes them.
pub type Choice = Vec<String>;

/// What [`Authselect::adopt`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adopted {
    /// The profile was in force already.
    Before,
    /// It is in force now, with these features.
    Now(Vec<String>),
    /// It is not, and is not to be put in force without an administrator: why.
    Left(String),
}

impl Authselect {
    /// authselect of this host; `None` where there is none.
    pub fn find(paths: &Paths) -> Option<Self> {
        paths.authselect.exists().then(|| Self { program: paths.authselect.clone() })
    }

    /// The choice that is in force; `None` where authselect does not manage this host.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn current(&self) -> Result<Option<Choice>, String> {
        let done = self.run(&["current", "--raw"])?;
        // 2: there is none (ENOENT).
        Ok(done.success.then(|| done.output.split_whitespace().map(str::to_owned).collect()))
    }

    /// Puts our profile in force, with the features of the one before that ours has too, and homes made at the first
    /// login. `note` hears of the choice before, ahead of the change. Never by force: authselect itself refuses where
    /// somebody has edited what it wrote.
    ///
    /// # Errors
    /// When it cannot be run, or `note` fails.
    pub fn adopt(&self, note: impl FnOnce(Choice) -> Result<(), String>) -> Result<Adopted, String> {
        let Some(before) = self.current()? else {
            return Ok(Adopted::Left("authselect does not manage this host".into()));
        };
        let profile = before.first().map(String::as_str).unwrap_or_default();
        if profile == PROFILE {
            return Ok(Adopted::Before);
        }
        if profile.starts_with(CUSTOM) {
            return Ok(Adopted::Left(format!("the profile {profile} is an administrator's own")));
        }
        let known = self.run(&["list-features", PROFILE])?;
        if !known.success {
            return Ok(Adopted::Left(format!("authselect has no profile {PROFILE}: {}", said(&known))));
        }
        let known: Vec<&str> = known.output.split_whitespace().collect();
        let mut features: Vec<String> =
            before.iter().skip(1).filter(|feature| known.contains(&feature.as_str())).cloned().collect();
        if !features.iter().any(|feature| feature == HOMES) {
            features.push(HOMES.into());
        }
        note(before)?;
        let mut words = vec!["select", PROFILE];
        words.extend(features.iter().map(String::as_str));
        let done = self.run(&words)?;
        Ok(if done.success { Adopted::Now(features) } else { Adopted::Left(said(&done)) })
    }

    /// Puts the choice before ours in force again; where another one than ours is, it stays.
    ///
    /// # Errors
    /// What authselect said.
    pub fn restore(&self, before: &[String]) -> Result<(), String> {
        let ours = self.current()?.is_some_and(|choice| choice.first().is_some_and(|profile| profile == PROFILE));
        if !ours {
            return Ok(());
        }
        let mut words = vec!["select"];
        words.extend(before.iter().map(String::as_str));
        let done = self.run(&words)?;
        if done.success { Ok(()) } else { Err(format!("authselect select {}: {}", before.join(" "), said(&done))) }
    }

    fn run(&self, words: &[&str]) -> Result<process::Done, String> {
        process::run(Command::new(&self.program).args(words), TIMEOUT, &|| false)
    }
}

/// Puts back what a join noted; a host without authselect, or without a note, has nothing to put back.
///
/// # Errors
/// What authselect said.
pub fn undo(paths: &Paths, before: Option<&[String]>) -> Result<(), String> {
    match (Authselect::find(paths), before) {
        (Some(tool), Some(before)) => tool.restore(before),
        _ => Ok(()),
    }
}

/// The last sentence of what it said.
fn said(done: &process::Done) -> String {
    let text = if done.errors.trim().is_empty() { &done.output } else { &done.errors };
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it gave no reason");
    line.trim_start_matches("[error] ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::file::tests::Folder;
    use crate::host::journal::Journal;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    /// A command that keeps the choice in a file as authselect does, knows two features of our profile, and refuses
    /// where the file "edited" is.
    const FAKE: &str = r#"#!/bin/sh
here=${0%/usr/bin/authselect}/etc
case $1 in
current) [ -s "$here/choice" ] || { echo "No existing configuration detected."; exit 2; }; cat "$here/choice" ;;
list-features) printf 'with-faillock\nwith-mkhomedir\n' ;;
select)
    [ ! -e "$here/edited" ] || { echo "[error] Unexpected changes were detected." >&2; exit 4; }
    shift; echo "$@" >"$here/choice" ;;
esac
"#;

    /// A host where authselect has this choice in force.
    fn host(choice: &str) -> (Folder, Paths) {
        let folder = Folder::new();
        let paths = Paths::below(&folder.0);
        for name in ["usr/bin", "etc"] {
            fs::create_dir_all(folder.0.join(name)).unwrap();
        }
        fs::write(&paths.authselect, FAKE).unwrap();
        fs::set_permissions(&paths.authselect, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.0.join("etc/choice"), choice).unwrap();
        (folder, paths)
    }

    fn chosen(folder: &Folder) -> String {
        fs::read_to_string(folder.0.join("etc/choice")).unwrap().trim().to_owned()
    }

    #[test]
    fn the_profile_takes_over_what_it_knows_and_gives_all_of_it_back() {
        let (folder, paths) = host("sssd with-sudo with-faillock\n");
        let tool = Authselect::find(&paths).unwrap();
        let mut noted = Vec::new();
        let adopted = tool.adopt(|before| {
            assert_eq!(chosen(&folder), "sssd with-sudo with-faillock", "changed before it was noted");
            noted = before;
            Ok(())
        });
        assert_eq!(adopted, Ok(Adopted::Now(vec!["with-faillock".into(), "with-mkhomedir".into()])));
        assert_eq!(chosen(&folder), "entra with-faillock with-mkhomedir");
        assert_eq!(tool.adopt(|_| Err("noted twice".into())), Ok(Adopted::Before));
        let mut journal = Journal::begin("d.example", "WEB1", None);
        journal.authselect = Some(noted);
        journal.save(&paths).unwrap();
        let read = Journal::load(&paths, "leave").unwrap().unwrap();
        assert_eq!(read.undo(&paths), Vec::<String>::new());
        assert_eq!(chosen(&folder), "sssd with-sudo with-faillock");
    }

    #[test]
    fn what_an_administrator_chose_or_edited_stays() {
        for (choice, edited, why) in [
            ("", false, "does not manage this host"),
            ("custom/ours with-mkhomedir\n", false, "administrator's own"),
            ("minimal\n", true, "Unexpected changes were detected."),
        ] {
            let (folder, paths) = host(choice);
            if edited {
                fs::write(folder.0.join("etc/edited"), "").unwrap();
            }
            let adopted = Authselect::find(&paths).unwrap().adopt(|_| Ok(()));
            assert!(matches!(&adopted, Ok(Adopted::Left(reason)) if reason.contains(why)), "{adopted:?}");
            assert_eq!(chosen(&folder), choice.trim());
        }
    }

    #[test]
    fn another_choice_since_the_join_is_kept() {
        let (folder, paths) = host("winbind with-krb5\n");
        assert_eq!(undo(&paths, Some(&["sssd".into()])), Ok(()));
        assert_eq!(chosen(&folder), "winbind with-krb5");
    }

    #[test]
    fn a_host_without_authselect_has_nothing_to_switch() {
        let folder = Folder::new();
        let paths = Paths::below(&folder.0);
        assert!(Authselect::find(&paths).is_none());
        assert_eq!(undo(&paths, Some(&["sssd".into()])), Ok(()));
    }
}
