//! `users` and `groups`: lists, page by page from the daemon or whole from the directory, printed as they come.

use std::path::Path;

use entra_core::control::{AccountRef, Accounts, Position, Range, Reply, Request};
use serde_json::json;

use super::ask;
use crate::cli::List;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::output::{Answer, Output, printable};

/// What is listed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Users.
    Users,
    /// Groups.
    Groups,
}

/// Lists.
pub(super) fn run(kind: Kind, options: &List, socket: &Path, output: &mut Output<'_>) -> Result<Answer, Failure> {
    let verb = match kind {
        Kind::Users => "users",
        Kind::Groups => "groups",
    };
    let after = options.after.as_deref().map(|text| position(verb, text)).transpose()?;
    let mut width = 0;
    let end = each_part(
        after,
        options.limit,
        |after, limit| {
            let range = Range { prefix: options.search.clone(), after, limit };
            let request = match kind {
                Kind::Users => Request::Users { range },
                Kind::Groups => Request::Groups { range },
            };
            match ask(verb, request, socket, options.source)? {
                Reply::Accounts(part) => Ok(part),
                _ => Err(daemon::unexpected(verb)),
            }
        },
        |accounts| output.rows(verb, &render(accounts, &mut width), accounts),
    )?;
    let more = end.next.as_ref().map(place);
    let text = more.as_ref().map(|place| format!("more: --after '{place}'")).unwrap_or_default();
    Ok(Answer::done(text, json!({ "next": more, "complete": end.complete })))
}

/// Where a list ended.
#[derive(Debug, PartialEq, Eq)]
struct End {
    next: Option<Position>,
    complete: bool,
}

/// Reads part after part, until the end or the limit.
fn each_part(
    mut after: Option<Position>,
    limit: Option<u32>,
    mut part: impl FnMut(Option<Position>, Option<u32>) -> Result<Accounts, Failure>,
    mut take: impl FnMut(&[AccountRef]) -> Result<(), Failure>,
) -> Result<End, Failure> {
    let mut left = limit;
    loop {
        let mut read = part(after, left)?;
        // A directory that is asked itself, and a daemon of an older version, give all that they have.
        let most = left.map_or(usize::MAX, |left| left as usize);
        if read.accounts.len() > most {
            read.accounts.truncate(most);
            let last = read.accounts.last();
            read.next = last.map(|it| Position { domain: it.domain.clone(), name: it.name.clone() });
        }
        take(&read.accounts)?;
        left = left.map(|left| left.saturating_sub(u32::try_from(read.accounts.len()).unwrap_or(u32::MAX)));
        if read.next.is_none() || left == Some(0) {
            return Ok(End { next: read.next, complete: read.complete });
        }
        after = read.next;
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

/// Lines of one part; `width` is that of the widest name so far.
fn render(accounts: &[AccountRef], width: &mut usize) -> String {
    *width = accounts.iter().map(|account| account.name.chars().count()).fold(*width, usize::max);
    let width = *width;
    let lines: Vec<_> = accounts
        .iter()
        .map(|account| format!("{:<width$}  {:>10}  {}", printable(&account.name), account.id, account.domain))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> AccountRef {
        AccountRef { name: name.into(), domain: "d.example".into(), id: 7, sid: "S-1-5-21-1-2-3-7".into() }
    }

    /// Ten accounts in parts of four at most, as the daemon gives them: no more than were asked for.
    #[allow(clippy::unnecessary_wraps)] // It stands for a question, which may fail.
    fn part(after: Option<Position>, limit: Option<u32>) -> Result<Accounts, Failure> {
        let start = after.map_or(0, |after| after.name.parse::<usize>().unwrap() + 1);
        let most = limit.map_or(4, |limit| 4.min(limit as usize));
        let accounts: Vec<_> = (start..10).take(most).map(|at| account(&at.to_string())).collect();
        let last = start + accounts.len() - 1;
        let next = (last < 9).then(|| Position { domain: "d.example".into(), name: last.to_string() });
        Ok(Accounts { accounts, next, complete: true })
    }

    fn collect(after: Option<Position>, limit: Option<u32>) -> (usize, End) {
        let mut count = 0;
        let end = each_part(after, limit, part, |accounts| {
            count += accounts.len();
            Ok(())
        });
        (count, end.unwrap())
    }

    #[test]
    fn parts_are_put_together_up_to_the_limit() {
        assert_eq!(collect(None, None), (10, End { next: None, complete: true }));
        for limit in [3, 4, 5, 9] {
            let (count, end) = collect(None, Some(limit));
            assert_eq!(count, limit as usize);
            assert_eq!(collect(end.next, None).0, 10 - count, "behind {limit}");
        }
        assert_eq!(collect(None, Some(10)).1.next, None, "the list ends with the limit");
        // Whoever gives more than was asked for is cut.
        let all = |_: Option<Position>, _: Option<u32>| part(None, None);
        let end = each_part(None, Some(2), all, |accounts| {
            assert_eq!(accounts.len(), 2);
            Ok(())
        });
        assert_eq!(end.unwrap().next.unwrap().name, "1");
    }

    #[test]
    fn the_place_to_go_on_is_taken_back() {
        let mut width = 0;
        let text = render(&[account("zoë"), account("bob")], &mut width);
        assert_eq!(text, "zoë           7  d.example\nbob           7  d.example");
        assert_eq!(render(&[account("a")], &mut width), "a             7  d.example", "no narrower than before");
        let next = Position { domain: "d.example".into(), name: "bob".into() };
        assert_eq!(place(&next), "d.example/bob");
        assert_eq!(position("users", "D.example/bob").ok(), Some(next));
        assert_eq!(position("users", "bob").unwrap_err().exit, Exit::Usage);
    }
}
