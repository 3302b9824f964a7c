//! `check nss`: nsswitch.conf, the module, and the daemon behind it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use entra_core::control::Request;
use entra_wire::client::{CallError, Trust, call, open_reply};
use entra_wire::codec::Writer;
use entra_wire::paths::{CTL_SOCKET, NSS_SOCKET};
use entra_wire::protocol::{MAX_REPLY, Op, Status};

use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::module;
use crate::output::Step;

/// The module's file.
const MODULE: &str = "libnss_entra.so.2";
/// Longest wait for an answer; the daemon's own deadline is shorter by default.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A name that nobody has: the answer shows that the daemon and the directory behind it are asked.
const NOBODY: &[u8] = b"entractl-check-nobody";

/// The databases that the module serves.
const SERVED: [&str; 3] = ["passwd", "group", "initgroups"];
/// Sources of other directory clients: SSSD, winbind, nslcd, One Identity, Centrify.
const OTHERS: [&str; 5] = ["sss", "winbind", "ldap", "vas4", "centrifydc"];

/// One line per thing that was looked at.
pub(super) fn check(ctl: &Path) -> Vec<Step> {
    let text = fs::read_to_string("/etc/nsswitch.conf").unwrap_or_default();
    let mut steps: Vec<_> = ["passwd", "group"].into_iter().map(|database| settle(line(&text, database))).collect();
    steps.extend(initgroups(&text).map(settle));
    steps.extend(strays(&text));
    steps.extend(others(&text));
    steps.push(settle(loads()));
    steps.push(settle(answers(&beside(ctl), ctl)));
    steps
}

fn settle(result: Result<Step, Failure>) -> Step {
    result.unwrap_or_else(|failure| Step::fail(&failure))
}

/// What stands behind the colon of a database's line, without its comment (nsswitch.conf(5)).
fn value<'a>(text: &'a str, database: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let (name, value) = line.split_once(':')?;
        (name.trim() == database).then_some(value)
    })
}

/// The first action before entra that ends the search when a source has no such entry; "not" one of the other results
/// is that, too.
fn ends_before(text: &str, database: &str) -> Option<String> {
    let before = value(text, database)?.split_once("entra")?.0;
    let mut actions = before.split('[').skip(1).filter_map(|rest| Some(rest.split_once(']')?.0.trim()));
    let ends = |action: &&str| {
        let action = action.replace(char::is_whitespace, " ").replace(" =", "=").replace("= ", "=").to_uppercase();
        action
            .split(' ')
            .filter_map(|one| one.strip_suffix("=RETURN"))
            .any(|result| result.strip_prefix('!').map_or(result == "NOTFOUND", |other| other != "NOTFOUND"))
    };
    actions.find(ends).map(|action| format!("[{action}]"))
}

/// The sources of a database, actions in brackets left out (nsswitch.conf(5)).
fn sources<'a>(text: &'a str, database: &str) -> Option<Vec<&'a str>> {
    let value = value(text, database)?;
    let mut inside = false;
    let outside = |word: &&str| {
        let starts = word.starts_with('[');
        let keep = !inside && !starts;
        inside = (inside || starts) && !word.ends_with(']');
        keep
    };
    Some(value.split_whitespace().filter(outside).collect())
}

fn line(text: &str, database: &str) -> Result<Step, Failure> {
    let found = sources(text, database).unwrap_or_default();
    let at = |name: &str| found.iter().position(|source| *source == name);
    let line = format!("{database}: {}", found.join(" "));
    let remedy = "it has to read `files systemd entra`, others behind: edit /etc/nsswitch.conf or reinstall libnss-entra \
         (RHEL, Fedora: `authselect select entra`)";
    match (at("files"), at("systemd"), at("entra")) {
        (_, _, None) => Err(Failure::no("nss", format!("nsswitch.conf does not ask entra ({line})")).remedy(remedy)),
        (files, systemd, Some(entra)) if files.is_none_or(|at| at > entra) || systemd.is_some_and(|at| at > entra) => {
            Err(Failure::no("nss", format!("nsswitch.conf asks entra before local sources ({line})")).remedy(remedy))
        }
        _ => match ends_before(text, database) {
            Some(action) => {
                let error = format!("nsswitch.conf has {action} before entra, which is never asked then ({line})");
                Err(Failure::no("nss", error).remedy(format!("take {action} out of that line of /etc/nsswitch.conf")))
            }
            None => Ok(Step::ok("nss", format!("nsswitch.conf has {line}"))),
        },
    }
}

/// Without this line glibc takes the one of group; with it, it has to name entra.
fn initgroups(text: &str) -> Option<Result<Step, Failure>> {
    sources(text, "initgroups").map(|_| line(text, "initgroups"))
}

fn loads() -> Result<Step, Failure> {
    let remedy = "reinstall libnss-entra";
    let path = module::find(MODULE).ok_or_else(|| {
        Failure::no("nss", format!("{MODULE} is not installed"))
            .remedy("`apt-get install libnss-entra` (RHEL, Fedora: `dnf`)")
    })?;
    module::load(&path, "_nss_entra_getpwnam_r")
        .map_err(|error| Failure::no("nss", format!("{}: {error}", path.display())).remedy(remedy))?;
    Ok(Step::ok("nss", format!("{} loads", path.display())))
}

/// The socket for lookups beside the one for control.
fn beside(ctl: &Path) -> std::path::PathBuf {
    if ctl == Path::new(CTL_SOCKET) { NSS_SOCKET.into() } else { ctl.with_file_name("nss.sock") }
}

/// Databases that ask us and that we do not serve: each lookup there is one question for nothing.
fn strays(text: &str) -> Vec<Step> {
    let names = text.lines().filter_map(|line| line.split('#').next()?.split_once(':')).map(|(name, _)| name.trim());
    let asking = |name: &&str| !SERVED.contains(name) && sources(text, name).is_some_and(|it| it.contains(&"entra"));
    names
        .filter(asking)
        .map(|name| {
            let error = format!("nsswitch.conf asks entra for {name}, which it does not serve");
            Step::fail(
                &Failure::no("nss", error).remedy(format!("take entra out of the line {name}: in /etc/nsswitch.conf")),
            )
        })
        .collect()
}

/// Other directory clients: where both know a user, the first one's ids count, and files belong to whom they say.
fn others(text: &str) -> Option<Step> {
    let asked = ["passwd", "group"].into_iter().filter_map(|database| sources(text, database)).flatten();
    let other = asked.into_iter().find(|source| OTHERS.contains(source))?;
    let detail = format!("nsswitch.conf asks {other} too: two directory clients may give one user two ids");
    Some(Step::warn("nss", detail, format!("take {other} out of /etc/nsswitch.conf, or remove its packages")))
}

fn answers(socket: &Path, ctl: &Path) -> Result<Step, Failure> {
    let mut frame = Writer::request(Op::PasswdByName);
    frame.string(NOBODY);
    let mut body = Vec::new();
    let trust = Trust::RootOr(crate::host::effective_uid());
    let status = call(socket, trust, &frame.finish(), &[], MAX_REPLY, TIMEOUT, &mut body)
        .and_then(|()| open_reply(&body).map(|(status, _)| status));
    let shown = socket.display();
    let (exit, error, remedy) = match status {
        Ok(Status::NotFound | Status::Ok) => return Ok(Step::ok("nss", format!("entrad answers lookups on {shown}"))),
        Ok(Status::Offline) => (
            Exit::NoDirectory,
            format!("entrad answers on {shown}, and the directory is away"),
            "`entractl status` has the reason",
        ),
        Ok(Status::Busy) => (Exit::No, "entrad has too much to do".into(), "see its log"),
        Ok(Status::Refused | Status::BadRequest) => {
            (Exit::No, "entrad refuses lookups".into(), "restart it after an upgrade")
        }
        Err(CallError::NotRunning) if daemon::ask(ctl, "nss", &Request::CacheStats).is_ok() => {
            (Exit::No, format!("entrad runs, and its socket {shown} is gone"), "`systemctl restart entrad`")
        }
        Err(CallError::NotRunning) => {
            (Exit::NoDaemon, format!("nobody listens on {shown}"), "`systemctl start entrad`")
        }
        Err(error) => (Exit::NoDaemon, format!("no answer on {shown}: {error:?}"), "see the daemon's log"),
    };
    Err(Failure::new(exit, "nss", error).remedy(remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_entra_is_judged() {
        let text = "# x\npasswd:\tfiles systemd entra\ngroup: entra files # files entra\nshadow: files\n";
        assert!(line(text, "passwd").is_ok());
        assert!(line(text, "group").unwrap_err().error.contains("before local sources (group: entra files)"));
        assert!(line(text, "shadow").unwrap_err().error.contains("does not ask entra"));
        assert!(line("", "passwd").is_err());
        let late = "passwd: files entra systemd";
        assert!(line(late, "passwd").is_err());
        let action = "passwd: files [SUCCESS=return NOTFOUND = continue] entra sss";
        assert_eq!(sources(action, "passwd").unwrap(), ["files", "entra", "sss"]);
    }

    #[test]
    fn what_does_not_belong_there_is_named() {
        let text = "passwd: files entra sss\ngroup: files entra\nshadow: files entra\nhosts: files dns # entra\n";
        let strays = strays(text);
        assert_eq!(strays.len(), 1);
        assert_eq!(strays[0].detail, "nsswitch.conf asks entra for shadow, which it does not serve");
        assert!(others(text).unwrap().detail.contains("asks sss too"));
        assert_eq!(others("passwd: files entra\ngroup: files\n"), None);
    }

    #[test]
    fn an_action_that_ends_the_search_before_entra_is_named() {
        for action in ["[NOTFOUND=return]", "[SUCCESS=merge  notfound = RETURN]", "[!UNAVAIL=return]"] {
            let failure = line(&format!("passwd: files {action} entra"), "passwd").unwrap_err();
            assert!(failure.error.contains(action), "{}", failure.error);
            assert!(line(&format!("passwd: files entra {action} sss"), "passwd").is_ok());
        }
        for action in ["[NOTFOUND=continue]", "[UNAVAIL=return]", "[!NOTFOUND=return]", "[SUCCESS=merge]"] {
            assert!(line(&format!("passwd: files {action} entra"), "passwd").is_ok(), "{action}");
        }
    }

    #[test]
    fn initgroups_counts_only_where_it_stands() {
        assert!(initgroups("group: files").is_none());
        assert!(initgroups("initgroups: files").unwrap().is_err());
        assert!(initgroups("initgroups: files entra").unwrap().is_ok());
    }

    #[test]
    fn nobody_listens() {
        let failure = answers(Path::new("/nonexistent/nss.sock"), Path::new("/nonexistent/ctl.sock")).unwrap_err();
        assert!(failure.error.contains("nobody listens on /nonexistent/nss.sock"));
    }
}
