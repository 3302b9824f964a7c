//! `[quota."/MOUNT"]` and the tables of groups below it: how much the domain's users may keep on a file system.

use std::path::PathBuf;

use toml_edit::{Item, TableLike};

use super::error::Problem;
use super::options::Scope;
use super::parse::Values;

/// The table of tables that holds the groups of a file system.
const GROUPS: &str = "groups";
/// Most file systems, and most groups of one.
const MOST: usize = 64;

/// Quotas of one file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Where it is mounted.
    pub path: PathBuf,
    /// For users whom no group's limits name.
    pub limits: Limits,
    /// Groups, by name or SID, in the file's order, and what their members have.
    pub groups: Vec<(String, Limits)>,
}

/// Limits of one user, in KiB; 0 = none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// What may be passed for the file system's time of grace.
    pub soft: u64,
    /// What may never be passed.
    pub hard: u64,
}

/// Reads the table `quota`; `None` gives no quotas.
pub(super) fn read(item: Option<&Item>) -> Result<Vec<Quota>, Problem> {
    let Some(item) = item else { return Ok(Vec::new()) };
    let tables = item
        .as_table_like()
        .ok_or_else(|| Problem::new("quota is a table of tables; write [quota.\"/srv/share\"]", item.span()))?;
    bounded(tables, item, "file systems")?;
    tables.iter().map(|(path, item)| file_system(tables, path, item)).collect()
}

fn file_system(tables: &dyn TableLike, path: &str, item: &Item) -> Result<Quota, Problem> {
    let span = tables.key(path).and_then(toml_edit::Key::span).or_else(|| item.span());
    let plain = path == "/" || (path.starts_with('/') && !path.ends_with('/') && !path.contains("//"));
    if !plain || path.chars().any(char::is_control) {
        let right = "write where the file system is mounted, in quotes, such as [quota.\"/srv/share\"]";
        return Err(Problem::new(format!("\"{path}\" is no absolute path; {right}"), span));
    }
    let table = item
        .as_table_like()
        .ok_or_else(|| Problem::new(format!("quota.\"{path}\" is no table; write [quota.\"{path}\"]"), span))?;
    let limits = limits(&Values::of(table, Scope::Quota, &[GROUPS])?)?;
    let groups = match table.get(GROUPS) {
        None => Vec::new(),
        Some(item) => {
            let right = format!("write [quota.\"{path}\".groups.\"research\"]");
            let wrong = || Problem::new(format!("groups is a table of tables; {right}"), item.span());
            let groups = item.as_table_like().ok_or_else(wrong)?;
            bounded(groups, item, "groups")?;
            groups.iter().map(|(name, item)| group(name, item, &right)).collect::<Result<_, _>>()?
        }
    };
    Ok(Quota { path: path.into(), limits, groups })
}

fn group(name: &str, item: &Item, right: &str) -> Result<(String, Limits), Problem> {
    let table =
        item.as_table_like().ok_or_else(|| Problem::new(format!("{name} is no table; {right}"), item.span()))?;
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Problem::new(format!("{name:?} is no name of a group; {right}"), item.span()));
    }
    Ok((name.to_owned(), limits(&Values::of(table, Scope::QuotaGroup, &[])?)?))
}

fn limits(values: &Values) -> Result<Limits, Problem> {
    let limits = Limits { soft: values.size("soft")?, hard: values.size("hard")? };
    if limits.hard != 0 && limits.soft > limits.hard {
        return Err(Problem::new("soft is above hard and would never count; lower it", values.span("soft")));
    }
    Ok(limits)
}

fn bounded(tables: &dyn TableLike, item: &Item, what: &str) -> Result<(), Problem> {
    if tables.len() > MOST {
        return Err(Problem::new(format!("more than {MOST} {what}; remove some"), item.span()));
    }
    Ok(())
}
