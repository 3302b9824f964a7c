//! The same answers as SSSD: every user and group of the directory, asked on our node and on the reference.
//!
//! What differs on purpose stands in [`KEPT`], each with its reason; README.md says the same to users.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::thread;

use serde::Deserialize;

use super::parity_answers::{self as answers, Answers, Difference, Group, Questions};
use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[("parity: every user and group answers as SSSD answers", everybody)];

/// Fewer answers than this on either side, and there was nothing to compare.
const LEAST: usize = 2200;

/// A difference that is meant: what it is, whether a difference is of this kind, why it stays.
struct Kept {
    what: &'static str,
    is: fn(&Difference) -> bool,
    why: &'static str,
}

const KEPT: [Kept; 3] = [
    Kept {
        what: "groups named sudo and docker carry their domain, also in id",
        is: |difference| match (&difference.ours, &difference.sssd) {
            (Some(ours), Some(sssd)) => ours.replace("@aadds.contoso.com", "") == *sssd,
            _ => false,
        },
        why: "local wins: a group of the directory must not pass for one that gives rights on this host",
    },
    Kept {
        what: "a group named sudo or docker is not found by its bare name, also where this host has none",
        is: |difference| {
            difference.kind == "group" && difference.ours.is_none() && matches!(&*difference.name, "sudo" | "docker")
        },
        why: "local wins: the names on the list reserved_groups are this host's before it has such a group",
    },
    Kept {
        what: "computer accounts",
        is: |difference| difference.name.ends_with('$') && difference.ours.is_none(),
        why: "nobody logs in as a computer, and no file belongs to one",
    },
];

/// The directory as its own database lists it (data/list-accounts.py).
#[derive(Deserialize)]
pub struct Listing {
    /// Names of all users.
    pub users: Vec<String>,
    /// All security groups that have a SID of the domain.
    pub groups: BTreeMap<String, ListedGroup>,
}

/// One group.
#[derive(Deserialize)]
pub struct ListedGroup {
    direct: BTreeSet<String>,
    nested: BTreeSet<String>,
    primary: bool,
}

fn everybody(world: &World) -> Verdict {
    let listing = listing(world)?;
    let (node, reference) = (world.joined()?, world.reference()?);
    node.must(&["entractl", "cache", "flush"])?;
    answers::forget_all(&reference)?;
    let questions = Questions {
        // 3,200 accounts of one pattern stand beside the users' unit, to fill one group; 2,000 of every kind do.
        users: listing
            .users
            .iter()
            .filter(|name| !name.starts_with("bulk"))
            .cloned()
            .chain(["sssd1$".into()])
            .collect(),
        // Of a primary group SSSD lists those whom it has met.
        groups: listing.groups.iter().filter(|(_, group)| !group.primary).map(|(name, _)| name.clone()).collect(),
    };
    let (ours, sssd) = thread::scope(|scope| {
        let sssd = scope.spawn(|| answers::collect(&reference, &questions));
        (answers::collect(&node, &questions), sssd.join())
    });
    let (mut ours, sssd) = (ours?, sssd.map_err(|_| "the thread that asks SSSD ended")??);
    ours.ask_again(&node, &questions)?;
    for (who, answers) in [("entrad", &ours), ("SSSD", &sssd)] {
        check::that(answers.count() >= LEAST, || {
            format!("{who} gave {} answers that are not empty, fewer than {LEAST}", answers.count())
        })?;
    }
    let found = compare(&ours, &sssd, &listing);
    let (kept, meant) = sort(&found);
    // Printed at once: another lane prints too.
    let mut told = format!(
        "        {} users (passwd, id) and {} groups asked; {} answers of entrad, {} of SSSD; {} differ, {} of them on \
         purpose:",
        questions.users.len(),
        questions.groups.len(),
        ours.count(),
        sssd.count(),
        found.len(),
        found.len() - meant.len()
    );
    for (rule, count) in KEPT.iter().zip(&kept) {
        let _ = write!(told, "\n        {count:4}  {} ({})", rule.what, rule.why);
    }
    println!("{told}{}", nested_table(&ours, &sssd, &listing));
    check::that(meant.is_empty(), || meant.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let idle: Vec<&str> = KEPT.iter().zip(&kept).filter(|(_, count)| **count == 0).map(|(rule, _)| rule.what).collect();
    check::equal("differences that are kept, and do not occur", &idle, &Vec::new())?;
    members_are_whole(&ours, &listing)?;
    notices(&ours, &sssd, &listing, found.len())
}

/// Everybody, as the directory's own database lists them.
pub fn listing(world: &World) -> Result<Listing, String> {
    let text = world.dc()?.must(&["/usr/bin/python3", "-c", include_str!("../../../../data/list-accounts.py")])?;
    serde_json::from_str(&text).map_err(|error| format!("list-accounts.py: {error}"))
}

/// Every difference. Members are compared as far as they are direct: how deep SSSD looks into groups of groups depends
/// on what it was asked before.
fn compare(ours: &Answers, sssd: &Answers, listing: &Listing) -> Vec<Difference> {
    let direct = |name: &str, group: &Group| match listing.groups.get(name) {
        Some(listed) if !listed.nested.is_empty() => {
            Group { gid: group.gid, members: group.members.intersection(&listed.direct).cloned().collect() }
        }
        _ => group.clone(),
    };
    let groups = |answers: &Answers| -> BTreeMap<String, String> {
        answers.groups.iter().map(|(name, group)| (name.clone(), direct(name, group).to_string())).collect()
    };
    [
        answers::differences("passwd", &ours.passwd, &sssd.passwd),
        answers::differences("group", &groups(ours), &groups(sssd)),
        answers::differences("id", &ours.ids, &sssd.ids),
    ]
    .concat()
}

/// How often each kept difference occurs, and what is none of them.
fn sort(found: &[Difference]) -> (Vec<usize>, Vec<&Difference>) {
    let mut kept = vec![0; KEPT.len()];
    let mut meant = Vec::new();
    for difference in found {
        match KEPT.iter().position(|rule| (rule.is)(difference)) {
            Some(rule) => kept[rule] += 1,
            None => meant.push(difference),
        }
    }
    (kept, meant)
}

/// Who is shown in a group beyond its direct members, on each side.
fn nested_table(ours: &Answers, sssd: &Answers, listing: &Listing) -> String {
    let mut table = "\n        groups that hold groups: members shown beyond the direct ones".to_owned();
    let _ = write!(table, "\n        {:<40} {:>6} {:>6} {:>6}  groups in it", "", "direct", "entrad", "SSSD");
    for (name, listed) in listing.groups.iter().filter(|(_, listed)| !listed.nested.is_empty()) {
        let beyond = |answers: &Answers| {
            let members = answers.groups.get(name).map(|group| group.members.difference(&listed.direct).count());
            members.map_or_else(|| "-".to_owned(), |count| count.to_string())
        };
        let inside = listed.nested.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let (ours, sssd) = (beyond(ours), beyond(sssd));
        let _ = write!(table, "\n        {name:<40} {:>6} {ours:>6} {sssd:>6}  {inside}", listed.direct.len());
    }
    table
}

/// The directory itself is the judge of who is a direct member.
fn members_are_whole(ours: &Answers, listing: &Listing) -> Verdict {
    let missing: Vec<String> = ours
        .groups
        .iter()
        // The name sudo is answered by /etc/group.
        .filter(|(_, group)| group.gid >= entra_lab::dc::FIRST_ID)
        .filter_map(|(name, group)| {
            let lost = listing.groups.get(name)?.direct.difference(&group.members).count();
            (lost > 0).then(|| format!("{name}: {lost}"))
        })
        .collect();
    check::equal("groups that lack direct members", &missing, &Vec::new())
}

/// The comparison sees what is planted: one field, one member, one group, one answer that is missing.
fn notices(ours: &Answers, sssd: &Answers, listing: &Listing, before: usize) -> Verdict {
    type Plant = fn(&mut Answers) -> Option<()>;
    let plants: [(&str, Plant); 4] = [
        ("passwd alice", |answers| {
            let line = answers.passwd.get_mut("alice")?;
            *line = line.replace("/bin/bash", "/bin/sh");
            Some(())
        }),
        ("group team-001", |answers| answers.groups.get_mut("team-001")?.members.pop_first().map(drop)),
        ("id user0100", |answers| {
            let line = answers.ids.get_mut("user0100")?;
            line.push_str(",674001125(sales (emea))");
            Some(())
        }),
        ("passwd zoë", |answers| answers.passwd.remove("zoë").map(drop)),
    ];
    let mut told = String::new();
    for (what, plant) in plants {
        let mut changed = ours.clone();
        plant(&mut changed).ok_or_else(|| format!("{what}: there is nothing to plant a difference in"))?;
        let found = compare(&changed, sssd, listing);
        let named = found.iter().find(|difference| format!("{} {}", difference.kind, difference.name) == what);
        let _ = writeln!(told, "        planted in {what}, and reported: {}", named.is_some());
        check::equal(
            &format!("a difference planted in {what} is seen"),
            &(found.len(), named.is_some()),
            &(before + 1, true),
        )?;
    }
    print!("{told}");
    Ok(())
}
