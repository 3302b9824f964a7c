//! Asking one node about everybody, and comparing what two nodes said.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use entra_lab::Node;

use crate::check;

/// Whom to ask about.
pub struct Questions {
    /// For `id` and `getent passwd`.
    pub users: Vec<String>,
    /// For `getent group`.
    pub groups: Vec<String>,
}

/// What a node said, by the name that stands in the answer. Who was not found is not here.
#[derive(Clone, Default)]
pub struct Answers {
    /// Lines of `getent passwd`.
    pub passwd: BTreeMap<String, String>,
    /// Lines of `getent group`.
    pub groups: BTreeMap<String, Group>,
    /// Lines of `id`, groups in the order of their numbers.
    pub ids: BTreeMap<String, String>,
}

/// A line of `getent group`.
#[derive(Clone, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub gid: u32,
    /// Its members.
    pub members: BTreeSet<String>,
}

/// One question that two nodes answer differently.
#[derive(Clone)]
pub struct Difference {
    /// passwd, group or id.
    pub kind: &'static str,
    /// Who was asked about.
    pub name: String,
    /// Our answer; `None`: not found.
    pub ours: Option<String>,
    /// SSSD's answer.
    pub sssd: Option<String>,
}

/// Groups go first, each asked once: SSSD's later answers depend on its earlier ones. passwd stands before id because
/// SSSD takes ten times as long for the `id` of a user that it has not met. Four at a time hide the directory's latency.
const SCRIPT: &str = r#"
cd /tmp
rm -f parity-part.*
split -n l/4 parity-users parity-part.
everybody() {
    for part in parity-part.??; do xargs -d '\n' "$@" <"$part" >"$part.out" 2>/dev/null & done
    wait
    cat parity-part.??.out
}
xargs -d '\n' getent group <parity-groups
echo '---'
everybody getent passwd
echo '---'
everybody id
exit 0"#;

/// Far beyond what SSSD takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

impl Answers {
    /// Users and groups that were found.
    pub fn count(&self) -> usize {
        self.passwd.len() + self.groups.len()
    }

    /// Asks once more for groups that gave no answer: on a busy machine, the members of the largest ones take longer
    /// than `lookup_deadline`, which is told as "try again".
    pub fn ask_again(&mut self, node: &Node, questions: &Questions) -> Result<(), String> {
        let late: Vec<&str> =
            questions.groups.iter().map(String::as_str).filter(|name| !self.groups.contains_key(*name)).collect();
        let output = node.run_with(&[&["getent", "group"], late.as_slice()].concat(), None, LIMIT)?;
        self.add_groups(node, &output.stdout)
    }

    fn add_groups(&mut self, node: &Node, lines: &str) -> Result<(), String> {
        for line in lines.lines() {
            let (name, group) = group(line).ok_or_else(|| format!("{}: no line of a group: {line}", node.name()))?;
            self.groups.insert(name, group);
        }
        Ok(())
    }
}

/// Asks a node about everybody.
pub fn collect(node: &Node, questions: &Questions) -> Result<Answers, String> {
    node.put_file("/tmp/parity-users", questions.users.join("\n"), 0o644)?;
    node.put_file("/tmp/parity-groups", questions.groups.join("\n"), 0o644)?;
    let output = node.run_with(&["sh", "-c", SCRIPT], None, LIMIT)?;
    check::that(output.status == 0, || format!("{}: status {} after {:?}", node.name(), output.status, output.took))?;
    let text = output.stdout;
    let [groups, passwd, ids] = text.split("---\n").collect::<Vec<_>>()[..] else {
        return Err(format!("{}: the answer breaks off", node.name()));
    };
    let mut answers = Answers::default();
    answers.add_groups(node, groups)?;
    for line in ids.lines() {
        let (name, line) = id(line).ok_or_else(|| format!("{}: no line of id: {line}", node.name()))?;
        answers.ids.insert(name, line);
    }
    for line in passwd.lines() {
        let name = line.split(':').next().unwrap_or_default();
        answers.passwd.insert(name.to_owned(), line.to_owned());
    }
    Ok(answers)
}

/// Removes what SSSD has cached, on disk and in memory.
pub fn forget_all(reference: &Node) -> Result<(), String> {
    reference.stop("sssd")?;
    reference.must(&["sh", "-c", "rm -rf /var/lib/sss/db/* /var/lib/sss/mc/*"])?;
    reference.start("sssd", &["sssd", "--interactive", "--logger=stderr"])?;
    let script = "for step in $(seq 300); do getent passwd alice >/dev/null && exit; sleep 0.1; done; exit 1";
    check::status("SSSD after its cache was removed", &reference.sh(script, &[])?, 0)
}

/// The questions whose answers are not the same.
pub fn differences(
    kind: &'static str,
    ours: &BTreeMap<String, String>,
    sssd: &BTreeMap<String, String>,
) -> Vec<Difference> {
    let names: BTreeSet<&String> = ours.keys().chain(sssd.keys()).collect();
    names
        .into_iter()
        .filter(|name| ours.get(*name) != sssd.get(*name))
        .map(|name| Difference {
            kind,
            name: name.clone(),
            ours: ours.get(name).cloned(),
            sssd: sssd.get(name).cloned(),
        })
        .collect()
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members: Vec<&str> = self.members.iter().map(String::as_str).collect();
        write!(f, "{}:{}", self.gid, members.join(","))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown =
            |answer: &Option<String>| answer.as_deref().unwrap_or("not found").chars().take(300).collect::<String>();
        write!(f, "{} {}\n  entrad {}\n  SSSD   {}", self.kind, self.name, shown(&self.ours), shown(&self.sssd))
    }
}

fn group(line: &str) -> Option<(String, Group)> {
    let [name, _, gid, members] = line.split(':').collect::<Vec<_>>()[..] else { return None };
    let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
    Some((name.to_owned(), Group { gid: gid.parse().ok()?, members }))
}

/// `uid=1(a) gid=2(b) groups=2(b),3(c (d))`, groups sorted. A group's name may hold commas and parentheses, so a group
/// begins where a number and a parenthesis follow a comma.
fn id(line: &str) -> Option<(String, String)> {
    let (head, groups) = line.split_once(" groups=")?;
    let name = head.strip_prefix("uid=")?.split_once('(')?.1.rsplit_once(") gid=")?.0;
    let mut sorted: Vec<String> = Vec::new();
    for part in groups.split(',') {
        let is_start = part.split_once('(').is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        match sorted.last_mut() {
            Some(last) if !is_start => {
                last.push(',');
                last.push_str(part);
            }
            _ => sorted.push(part.to_owned()),
        }
    }
    sorted.sort();
    Some((name.to_owned(), format!("{head} groups={}", sorted.join(","))))
}
