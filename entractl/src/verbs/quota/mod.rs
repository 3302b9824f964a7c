//! `quota`: how much the domain's users may keep on a file system, as entra.toml says, through setquota(8).

mod mounts;
mod tools;
mod users;

use std::collections::BTreeMap;
use std::path::Path;

use entra_core::config::{Config, Limits, Quota};
use serde::Serialize;
use serde_json::json;

use self::mounts::Mount;
use self::tools::Kept;
use self::users::{People, Whose};
use crate::cli::{QuotaAction, QuotaApply};
use crate::exit::{Exit, Failure};
use crate::host::{Paths, need_root};
use crate::output::{Answer, Mark, Output, Step};

/// Most changes that are named to people; programs get all of them.
const SHOWN: usize = 20;

/// Does it.
pub(super) fn run(action: &QuotaAction, socket: &Path, output: &mut Output<'_>) -> Result<Answer, Failure> {
    match action {
        QuotaAction::Apply(options) => apply(options, socket, output),
    }
}

fn apply(options: &QuotaApply, socket: &Path, output: &mut Output<'_>) -> Result<Answer, Failure> {
    need_root("quota")?;
    let paths = Paths::installed();
    let config = entra_core::config::load(&paths.config).map_err(|error| Failure::no("quota", error.to_string()))?;
    let wanted = chosen(&config, options)?;
    let mut people = People::new(&config, socket)?;
    let mut done = Vec::new();
    for quota in wanted {
        let applied = one(quota, &mut people, options.dry_run);
        match applied {
            Ok(applied) => {
                output.step(Step::ok("quota", applied.summary(options.dry_run)));
                done.push(applied);
            }
            // The daemon answers nobody: neither for the next one.
            Err(failure) if failure.exit == Exit::NoDaemon => return output.pass(Err(failure)),
            Err(failure) => output.step(Step::fail(&failure)),
        }
    }
    let failed = output.steps().iter().any(|step| step.result == Mark::Fail);
    let text = done.iter().flat_map(Applied::lines).collect::<Vec<_>>().join("\n");
    let json = json!({ "ok": !failed, "dry_run": options.dry_run, "filesystems": done });
    Ok(Answer { text, json, exit: if failed { Exit::No } else { Exit::Done } })
}

/// The quotas that are asked for.
fn chosen<'a>(config: &'a Config, options: &QuotaApply) -> Result<Vec<&'a Quota>, Failure> {
    if config.quotas.is_empty() {
        return Err(Failure::no("quota", "entra.toml has no quotas")
            .remedy("write [quota.\"/MOUNT\"] with soft and hard, as entra.toml(5) says"));
    }
    if options.path.is_empty() {
        return Ok(config.quotas.iter().collect());
    }
    let find = |path: &std::path::PathBuf| {
        config.quotas.iter().find(|quota| quota.path == *path).ok_or_else(|| {
            let known: Vec<_> = config.quotas.iter().map(|quota| quota.path.display().to_string()).collect();
            Failure::new(Exit::Usage, "quota", format!("entra.toml has no quotas of {}", path.display()))
                .remedy(format!("it has those of {}", known.join(", ")))
        })
    };
    options.path.iter().map(find).collect()
}

/// What came of one file system.
#[derive(Debug, Serialize)]
struct Applied {
    path: String,
    device: String,
    kind: String,
    /// Users of the domains that were looked at.
    users: usize,
    changed: Vec<Change>,
    unchanged: usize,
    /// Users whose groups cannot be told now: they keep what they have.
    groups_unknown: usize,
    /// Ids of the domains' ranges that have files here and are no user's: they keep what they have.
    not_users: Vec<u32>,
}

/// A user whose limits are other ones than they should be. Sizes are in KiB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Change {
    uid: u32,
    name: String,
    soft: u64,
    hard: u64,
    soft_before: u64,
    hard_before: u64,
    used: u64,
}

impl Applied {
    fn summary(&self, dry_run: bool) -> String {
        let verb = if dry_run { "would be changed" } else { "changed" };
        let unknown = match self.groups_unknown {
            0 => String::new(),
            count => format!(", {count} stay as they are because their groups are not known"),
        };
        let strangers = match self.not_users.len() {
            0 => String::new(),
            count => format!(", {count} ids with files are nobody's"),
        };
        format!(
            "{} ({}, {}): {} users, {} {verb}, {} had their limits{unknown}{strangers}",
            self.path,
            self.kind,
            self.device,
            self.users,
            self.changed.len(),
            self.unchanged
        )
    }

    fn lines(&self) -> Vec<String> {
        let shown = self.changed.iter().take(SHOWN).map(|it| {
            let (now, before) = ((it.soft, it.hard), (it.soft_before, it.hard_before));
            format!("{}  {}  {} (before: {})", self.path, it.name, both(now), both(before))
        });
        let rest = self.changed.len().saturating_sub(SHOWN);
        shown.chain((rest > 0).then(|| format!("{}  and {rest} more: --json names them", self.path))).collect()
    }
}

fn both((soft, hard): (u64, u64)) -> String {
    format!("soft {}, hard {}", size(soft), size(hard))
}

/// KiB as entra.toml has them.
fn size(kibibytes: u64) -> String {
    match kibibytes {
        0 => "none".into(),
        it if it % (1 << 30) == 0 => format!("{}T", it >> 30),
        it if it % (1 << 20) == 0 => format!("{}G", it >> 20),
        it if it % (1 << 10) == 0 => format!("{}M", it >> 10),
        it => format!("{it}K"),
    }
}

fn one(quota: &Quota, people: &mut People<'_>, dry_run: bool) -> Result<Applied, Failure> {
    let path = quota.path.display().to_string();
    let mount = Mount::find(&quota.path)?;
    mount.has_quotas()?;
    let present = tools::read(&quota.path)?;
    let whose = people.on(&quota.groups, &present)?;
    let (changed, unchanged) = differences(&whose, quota, &present);
    if !dry_run && !changed.is_empty() {
        tools::write(&quota.path, &changed, &present)?;
        let now = tools::read(&quota.path)?;
        let (left, _) = differences(&whose, quota, &now);
        if let Some(first) = left.first() {
            let what = format!("{path}: {} users do not have what was set, {} among them", left.len(), first.name);
            return Err(Failure::no("quota", what).remedy("see `repquota -u` of it, and the kernel's log"));
        }
    }
    let users = whose.users.len();
    Ok(Applied {
        path,
        device: mount.device,
        kind: mount.kind,
        users,
        changed,
        unchanged,
        groups_unknown: whose.users.values().filter(|user| user.groups.is_none()).count(),
        not_users: whose.not_users,
    })
}

/// Who has other limits than they should have, and how many have the right ones.
fn differences(whose: &Whose, quota: &Quota, present: &BTreeMap<u32, Kept>) -> (Vec<Change>, usize) {
    let (mut changed, mut unchanged) = (Vec::new(), 0);
    for (uid, user) in &whose.users {
        let Some(groups) = &user.groups else { continue };
        let theirs: Vec<_> = quota
            .groups
            .iter()
            .zip(&whose.gids)
            .filter(|(_, gid)| groups.contains(gid))
            .map(|((_, limits), _)| *limits)
            .collect();
        let wanted = largest(&theirs).unwrap_or(quota.limits);
        let kept = present.get(uid).copied().unwrap_or_default();
        if kept.limits == wanted {
            unchanged += 1;
            continue;
        }
        changed.push(Change {
            uid: *uid,
            name: user.name.clone(),
            soft: wanted.soft,
            hard: wanted.hard,
            soft_before: kept.limits.soft,
            hard_before: kept.limits.hard,
            used: kept.used,
        });
    }
    (changed, unchanged)
}

/// The largest soft and the largest hard limit; none is larger than any.
fn largest(all: &[Limits]) -> Option<Limits> {
    let most = |of: fn(&Limits) -> u64| all.iter().map(of).max_by_key(|limit| limit.wrapping_sub(1));
    Some(Limits { soft: most(|it| it.soft)?, hard: most(|it| it.hard)? })
}

#[cfg(test)]
mod tests {
    use super::users::User;
    use super::*;

    fn limits(soft: u64, hard: u64) -> Limits {
        Limits { soft, hard }
    }

    #[test]
    fn the_largest_limit_counts_and_none_is_the_largest() {
        assert_eq!(largest(&[]), None);
        assert_eq!(largest(&[limits(5, 9), limits(7, 8)]), Some(limits(7, 9)));
        assert_eq!(largest(&[limits(5, 0), limits(7, 8)]), Some(limits(7, 0)));
        assert_eq!([0, 1023, 1 << 10, 3 << 20, 1 << 30].map(size), ["none", "1023K", "1M", "3G", "1T"]);
    }

    #[test]
    fn only_those_change_whose_limits_differ() {
        let quota = Quota {
            path: "/srv".into(),
            limits: limits(10, 20),
            groups: vec![("staff".into(), limits(100, 200)), ("guests".into(), limits(1, 2))],
        };
        let user = |name: &str, groups: Option<&[u32]>| User {
            name: name.into(),
            groups: groups.map(|groups| groups.iter().copied().collect()),
        };
        let whose = Whose {
            users: BTreeMap::from([
                (1, user("plain", Some(&[]))),
                (2, user("both", Some(&[7, 8]))),
                (3, user("guest", Some(&[8]))),
                (4, user("right", Some(&[7]))),
                (5, user("unknown", None)),
            ]),
            gids: vec![7, 8],
            not_users: Vec::new(),
        };
        let kept = |soft, hard| Kept { limits: limits(soft, hard), used: 3, ..Kept::default() };
        let present = BTreeMap::from([(1, kept(0, 0)), (2, kept(1, 2)), (4, kept(100, 200)), (9, kept(1, 1))]);
        let (changed, unchanged) = differences(&whose, &quota, &present);
        let seen: Vec<_> = changed.iter().map(|it| (it.name.as_str(), it.soft, it.hard, it.soft_before)).collect();
        assert_eq!(seen, [("plain", 10, 20, 0), ("both", 100, 200, 1), ("guest", 1, 2, 0)]);
        assert_eq!(unchanged, 1);
    }
}
