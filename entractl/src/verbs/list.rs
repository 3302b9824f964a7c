//! `users` and `groups`: lists, page by page from the daemon or whole from the directory.

use std::path::Path;

use entra_core::control::{AccountRef, Accounts, Position, Range, Reply, Request};
use serde_json::json;

use super::ask;
use crate::cli::List;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::output::{Answer, printable};

/// What is listed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Users.
    Users,
    /// Groups.
    Groups,
}

/// Lists.
pub(super) fn run(kind: Kind, options: &List, socket: &Path) -> Result<Answer, Failure> {
    let verb = match kind {
        Kind::Users => "users",
        Kind::Groups => "groups",
    };
    let after = options.after.as_deref().map(|text| position(verb, text)).transpose()?;
    let accounts = collect(after, options.limit, |after| {
        let range = Range { prefix: options.search.clone(), after };
        let request = match kind {
            Kind::Users => Request::Users { range },
            Kind::Groups => Request::Groups { range },
        };
        match ask(verb, request, socket, options.source)? {
            Reply::Accounts(part) => Ok(part),
            _ => Err(daemon::unexpected(verb)),
        }
    })?;
    let key = if matches!(kind, Kind::Users) { "users" } else { "groups" };
    let json = json!({ key: accounts.accounts, "next": accounts.next.as_ref().map(place) });
    Ok(Answer::done(render(&accounts), json))
}

/// Reads part after part, until the end or the limit.
fn collect(
    mut after: Option<Position>,
    limit: Option<usize>,
    mut part: impl FnMut(Option<Position>) -> Result<Accounts, Failure>,
) -> Result<Accounts, Failure> {
    let mut accounts: Vec<AccountRef> = Vec::new();
    loop {
        let read = part(after)?;
        accounts.extend(read.accounts);
        if let Some(limit) =
            limit.filter(|limit| accounts.len() > *limit || accounts.len() == *limit && read.next.is_some())
        {
            accounts.truncate(limit);
            let next = accounts.last().map(|it| Position { domain: it.domain.clone(), name: it.name.clone() });
            return Ok(Accounts { accounts, next });
        }
        match read.next {
            Some(next) => after = Some(next),
            None => return Ok(Accounts { accounts, next: None }),
        }
    }
}

/// A place as `--after` takes it: no name holds a slash.
fn place(position: &Position) -> String {
    format!("{}/{}", position.domain, position.name)
}

fn position(verb: &str, text: &str) -> Result<Position, Failure> {
    match text.split_once('/') {
        Some((domain, name)) => Ok(Position { domain: domain.to_lowercase(), name: name.into() }),
        None => Err(Failure::new(Exit::Usage, verb, format!("--after {text}: no domain is named"))
            .remedy("give it as the list before did: DOMAIN/NAME")),
    }
}

fn render(accounts: &Accounts) -> String {
    let width = accounts.accounts.iter().map(|account| account.name.chars().count()).max().unwrap_or_default();
    let mut lines: Vec<_> = accounts
        .accounts
        .iter()
        .map(|account| format!("{:<width$}  {:>10}  {}", printable(&account.name), account.id, account.domain))
        .collect();
    if let Some(next) = &accounts.next {
        lines.push(format!("more: --after '{}'", place(next)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> AccountRef {
        AccountRef { name: name.into(), domain: "d.example".into(), id: 7, sid: "S-1-5-21-1-2-3-7".into() }
    }

    /// Ten accounts in parts of four.
    #[allow(clippy::unnecessary_wraps)] // It stands for a question, which may fail.
    fn part(after: Option<Position>) -> Result<Accounts, Failure> {
        let start = after.map_or(0, |after| after.name.parse::<usize>().unwrap() + 1);
        let accounts: Vec<_> = (start..10).take(4).map(|at| account(&at.to_string())).collect();
        let next = (start + 4 < 10).then(|| Position { domain: "d.example".into(), name: (start + 3).to_string() });
        Ok(Accounts { accounts, next })
    }

    #[test]
    fn parts_are_put_together_up_to_the_limit() {
        let all = collect(None, None, part).unwrap();
        assert_eq!((all.accounts.len(), &all.next), (10, &None));
        for limit in [3, 4, 5, 9] {
            let some = collect(None, Some(limit), part).unwrap();
            assert_eq!(some.accounts.len(), limit);
            let rest = collect(some.next, None, part).unwrap();
            assert_eq!(rest.accounts.len(), 10 - limit, "behind {limit}");
        }
        assert_eq!(collect(None, Some(10), part).unwrap().next, None, "the list ends with the limit");
    }

    #[test]
    fn the_place_to_go_on_is_taken_back() {
        let accounts = Accounts { accounts: vec![account("zoë"), account("bob")], next: None };
        assert_eq!(render(&accounts), "zoë           7  d.example\nbob           7  d.example");
        let next = Some(Position { domain: "d.example".into(), name: "bob".into() });
        let text = render(&Accounts { next: next.clone(), ..accounts });
        assert!(text.ends_with("\nmore: --after 'd.example/bob'"), "{text}");
        assert_eq!(position("users", "D.example/bob").ok(), next);
        assert_eq!(position("users", "bob").unwrap_err().exit, Exit::Usage);
    }
}
