//! `[domains."NAME".access]` and the tables of PAM services below it: who may log in.

use toml_edit::{Item, Table, TableLike};

use super::error::Problem;
use super::options::Scope;
use super::parse::Values;

/// The table of tables that holds the rules of services.
const SERVICES: &str = "services";
/// Longest name of a PAM service: it is a file's name.
const MAX_SERVICE: usize = 64;

/// Who may log in: `[domains.X.access]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Whether users whom no rule names may log in.
    pub default_allow: bool,
    /// Groups whose members may log in (`permit`, as `entractl join` writes it), names or SIDs.
    pub permit: Vec<String>,
    /// Rules for every service.
    pub rules: AccessRules,
    /// Rules of single services, in the file's order.
    pub services: Vec<ServiceAccess>,
}

/// Lists of accounts, by name or SID, and a filter. All may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessRules {
    /// Users who may log in.
    pub allow_users: Vec<String>,
    /// Groups whose members may log in.
    pub allow_groups: Vec<String>,
    /// Users who may not.
    pub deny_users: Vec<String>,
    /// Groups whose members may not.
    pub deny_groups: Vec<String>,
    /// LDAP filter that a user must match.
    pub filter: Option<String>,
}

/// Rules of one PAM service: `[domains.X.access.services.SERVICE]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceAccess {
    /// The service's name in lower case, as libpam has it.
    pub service: String,
    /// What holds for users whom no rule of this table names; `None` = the domain's rules go on.
    pub default_allow: Option<bool>,
    /// The rules.
    pub rules: AccessRules,
}

impl Access {
    /// The rules of a PAM service, where it has some.
    pub fn service(&self, service: &str) -> Option<&ServiceAccess> {
        self.services.iter().find(|own| own.service.eq_ignore_ascii_case(service))
    }
}

/// Reads the table `access` of a domain; `None` gives the defaults.
pub(super) fn read(item: Option<&Item>, domain: &str) -> Result<Access, Problem> {
    let empty = Table::new();
    let table: &dyn TableLike = match item {
        None => &empty,
        Some(item) => item.as_table_like().ok_or_else(|| {
            Problem::new(format!("access is a table; write [domains.\"{domain}\".access]"), item.span())
        })?,
    };
    let values = Values::of(table, Scope::Access, &[SERVICES])?;
    let default_allow = values.choice("default", &[("allow", true), ("deny", false)])?;
    if default_allow {
        narrowing(&values, &["permit", "allow_users", "allow_groups"])?;
    }
    let services = match table.get(SERVICES) {
        None => Vec::new(),
        Some(item) => {
            let span = item.span();
            let tables = item.as_table_like().ok_or_else(|| {
                let right = format!("write [domains.\"{domain}\".access.services.sshd]");
                Problem::new(format!("services is a table of tables; {right}"), span)
            })?;
            tables.iter().map(|(name, item)| service(tables, name, item, default_allow)).collect::<Result<_, _>>()?
        }
    };
    twice(table.get(SERVICES).and_then(Item::as_table_like), &services)?;
    Ok(Access { default_allow, permit: values.list("permit")?, rules: rules(&values)?, services })
}

fn service(tables: &dyn TableLike, name: &str, item: &Item, domain_allows: bool) -> Result<ServiceAccess, Problem> {
    let span = tables.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
    let sound = (1..=MAX_SERVICE).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@' | b'+'));
    if !sound {
        let right = "write the name of a file in /etc/pam.d, such as sshd";
        return Err(Problem::new(format!("\"{name}\" is no name of a PAM service; {right}"), span));
    }
    let table = item.as_table_like().ok_or_else(|| {
        Problem::new(format!("{name} is no table; write [domains.\"NAME\".access.services.{name}]"), span)
    })?;
    let values = Values::of(table, Scope::Service, &[])?;
    let default_allow = match values.text("default") {
        None => None,
        Some(_) => Some(values.choice("default", &[("allow", true), ("deny", false)])?),
    };
    if default_allow.unwrap_or(domain_allows) {
        narrowing(&values, &["allow_users", "allow_groups"])?;
    }
    Ok(ServiceAccess { service: name.to_ascii_lowercase(), default_allow, rules: rules(&values)? })
}

fn rules(values: &Values) -> Result<AccessRules, Problem> {
    Ok(AccessRules {
        allow_users: values.list("allow_users")?,
        allow_groups: values.list("allow_groups")?,
        deny_users: values.list("deny_users")?,
        deny_groups: values.list("deny_groups")?,
        filter: values.text("filter"),
    })
}

/// Who writes a list of those who may log in means it to narrow something.
fn narrowing(values: &Values, lists: &[&str]) -> Result<(), Problem> {
    for list in lists {
        if !values.list(list)?.is_empty() {
            return Err(Problem::new(
                format!("{list} narrows nothing while everybody may log in; add default = \"deny\" beside it"),
                values.span(list),
            ));
        }
    }
    Ok(())
}

fn twice(tables: Option<&dyn TableLike>, services: &[ServiceAccess]) -> Result<(), Problem> {
    let names = tables.into_iter().flat_map(|tables| tables.iter().map(move |(name, item)| (tables, name, item)));
    for (at, (tables, name, item)) in names.enumerate() {
        if services.iter().take(at).any(|other| other.service.eq_ignore_ascii_case(name)) {
            let span = tables.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
            let why = format!("{name} stands here twice: PAM's names of services have no upper case; remove one");
            return Err(Problem::new(why, span));
        }
    }
    Ok(())
}
