//! What a mistyped key was meant to be.

use super::options::{OPTIONS, Scope, of_scope};

/// The message for a key that its table does not have; `tables` are the tables that it may hold.
pub(super) fn unknown_key(key: &str, scope: Scope, tables: &[&'static str]) -> String {
    let shown: String = key.chars().take(60).collect();
    // A key of several tables belongs into the one that lies nearest above; the table of options is in that order.
    if let Some(elsewhere) = OPTIONS.iter().find(|opt| opt.key == key && opt.scope != scope) {
        return format!("{shown} does not belong here; put it {}", place(elsewhere.scope));
    }
    let known = || of_scope(scope).map(|opt| opt.key).chain(tables.iter().copied());
    let nearest = known().map(|known| (distance(key, known), known)).min();
    match nearest {
        Some((steps, known)) if steps <= 1 + known.len() / 4 => {
            format!("unknown key {shown}; did you mean {known}?")
        }
        _ => {
            let known = known().collect::<Vec<_>>().join(", ");
            format!("unknown key {shown}; this table knows {known}")
        }
    }
}

fn place(scope: Scope) -> &'static str {
    match scope {
        Scope::Global => "at the top of the file, before the first [table]",
        Scope::Domain => "into the domain's table, such as [domains.\"aadds.contoso.com\"]",
        Scope::Access => "into the domain's access table, such as [domains.\"aadds.contoso.com\".access]",
        Scope::Service => {
            "into the table of a PAM service, such as [domains.\"aadds.contoso.com\".access.services.sshd]"
        }
        Scope::Quota => "into the table of a file system, such as [quota.\"/srv/share\"]",
        Scope::QuotaGroup => "into the table of a group, such as [quota.\"/srv/share\".groups.\"research\"]",
    }
}

/// Levenshtein distance in bytes, of at most the first 60 of each.
fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (&left.as_bytes()[..left.len().min(60)], &right.as_bytes()[..right.len().min(60)]);
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, l) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (to, r) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(l != r);
            diagonal = row[to + 1];
            row[to + 1] = substituted.min(diagonal + 1).min(row[to] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (left, right, steps) in [("", "abc", 3), ("home", "home", 0), ("hmoe", "home", 2), ("shel", "shell", 1)] {
            assert_eq!(distance(left, right), steps, "{left} {right}");
            assert_eq!(distance(right, left), steps, "{right} {left}");
        }
    }
}
