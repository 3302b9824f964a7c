//! Ids of today beside ids to come.

use std::collections::BTreeMap;
use std::path::Path;

use entra_wire::guard::ID_FLOOR;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accounts::Account;
use super::peer::VERB;
use crate::exit::Failure;
use crate::host::file;

/// Name of the file that holds the ids that move.
pub(super) const MOVES: &str = "moves.json";
/// Name of the journal of a change of owners.
pub(super) const JOURNAL: &str = "journal";

/// Differences that are shown.
const SHOWN: usize = 5;

/// One account: its id today and the one to come.
#[derive(Clone, Debug)]
pub(super) struct Pair<'a> {
    /// The account.
    pub account: &'a Account,
    /// Today; `None` where it has no id.
    pub today: Option<u32>,
    /// To come.
    pub then: Option<u32>,
}

/// What a change of mapping does to ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// Accounts with another id.
    pub changed: usize,
    /// Accounts whose id is gone.
    pub lost: usize,
    /// Accounts that had none.
    pub gained: usize,
    /// The first that are changed or lost, in words.
    pub first: Vec<String>,
}

impl Figures {
    /// Counts.
    pub fn of(pairs: &[Pair<'_>]) -> Self {
        let mut figures = Self::default();
        for Pair { account, today, then } in pairs {
            let counted = match (today, then) {
                (Some(today), Some(then)) if today != then => &mut figures.changed,
                (Some(_), None) => &mut figures.lost,
                (None, Some(_)) => {
                    figures.gained += 1;
                    continue;
                }
                _ => continue,
            };
            *counted += 1;
            if figures.first.len() < SHOWN {
                let id = |id: &Option<u32>| id.map_or("none".to_owned(), |id| id.to_string());
                let kind = if account.user { "user" } else { "group" };
                figures.first.push(format!("{kind} {}: {} -> {}", account.name, id(today), id(then)));
            }
        }
        figures
    }

    /// Whether every id stays.
    pub fn keeps_all(&self) -> bool {
        self.changed == 0 && self.lost == 0
    }

    /// In one line.
    pub fn render(&self) -> String {
        if self.keeps_all() {
            return "nothing changes".into();
        }
        let lost = if self.lost == 0 { String::new() } else { format!(", {} would have none", self.lost) };
        format!("{} ids would change{lost}", self.changed)
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({ "changed": self.changed, "lost": self.lost, "gained": self.gained, "first": self.first })
    }
}

/// Ids that move, for the owners of files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moves {
    /// By uid of today.
    pub uids: BTreeMap<u32, u32>,
    /// By gid of today.
    pub gids: BTreeMap<u32, u32>,
}

impl Moves {
    /// Those of all pairs. With `both`, an id of a user is also one of a group and the other way round, as with mappings
    /// that compute: files may belong to either.
    pub fn of(pairs: &[Pair<'_>], both: bool) -> Self {
        let mut moves = Self::default();
        let moved: Vec<_> =
            pairs.iter().filter_map(|pair| Some((pair.account.user, pair.today?, pair.then?))).collect();
        for &(user, today, then) in &moved {
            if user { &mut moves.uids } else { &mut moves.gids }.insert(today, then);
        }
        if both {
            for &(user, today, then) in &moved {
                if user { &mut moves.gids } else { &mut moves.uids }.entry(today).or_insert(then);
            }
        }
        moves.uids.retain(|today, then| today != then);
        moves.gids.retain(|today, then| today != then);
        moves
    }

    /// Reads what [`Moves::save`] wrote.
    ///
    /// # Errors
    /// Where it is not there, or would give files to root or nobody.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(MOVES);
        let failed = |error: &dyn std::fmt::Display| {
            Failure::no("idmap chown", format!("{}: {error}", path.display()))
                .remedy("`entractl idmap plan --from PROGRAM --to-config --save DIR` writes one")
        };
        let text = std::fs::read(&path).map_err(|error| failed(&error))?;
        let moves: Self = serde_json::from_slice(&text).map_err(|error| failed(&error))?;
        let wrong = |id: &u32| *id < ID_FLOOR || *id == u32::MAX;
        match moves.uids.values().chain(moves.gids.values()).find(|id| wrong(id)) {
            Some(id) => Err(failed(&format!("no file is given to the id {id}"))),
            None => Ok(moves),
        }
    }

    /// Writes them into a folder, which is made where it is not there.
    ///
    /// # Errors
    /// Where it cannot be written, or holds the journal of a change that began.
    pub fn save(&self, folder: &Path) -> Result<(), Failure> {
        let path = folder.join(MOVES);
        let failed = |error: &dyn std::fmt::Display| Failure::no(VERB, format!("{}: {error}", path.display()));
        if folder.join(JOURNAL).exists() {
            return Err(failed(&"a change of owners began by the plan that lies there").remedy("name another folder"));
        }
        file::make_folders(folder).map_err(|error| failed(&error))?;
        let text = serde_json::to_vec_pretty(self).map_err(|error| failed(&error))?;
        file::replace(&path, &text, 0o600).map_err(|error| failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(user: bool, rid: u32) -> Account {
        let sid = format!("S-1-5-21-1-2-3-{rid}").parse().unwrap();
        Account { user, name: format!("n{rid}"), sid, attribute: None, resolved: None }
    }

    #[test]
    fn figures_and_moves() {
        let (user, group) = (account(true, 1), account(false, 2));
        let pair = |account, today, then| Pair { account, today, then };
        let pairs = [
            pair(&user, Some(10), Some(20)),
            pair(&user, Some(20), Some(10)),
            pair(&user, Some(30), Some(30)),
            pair(&user, None, Some(40)),
            pair(&group, Some(10), Some(11)),
            pair(&group, Some(50), None),
        ];
        let figures = Figures::of(&pairs);
        assert_eq!((figures.changed, figures.lost, figures.gained), (3, 1, 1));
        assert_eq!(figures.first[0], "user n1: 10 -> 20");
        assert_eq!(figures.first[3], "group n2: 50 -> none");
        assert!(!figures.keeps_all());
        assert_eq!(Figures::of(&pairs[2..4]).render(), "nothing changes");
        let moves = Moves::of(&pairs, true);
        assert_eq!(moves.uids, BTreeMap::from([(10, 20), (20, 10)]));
        assert_eq!(moves.gids, BTreeMap::from([(10, 11), (20, 10)]), "a group's own move comes first");
        assert_eq!(Moves::of(&pairs, false).gids, BTreeMap::from([(10, 11)]));
    }
}
