//! `/etc/entra/entra.toml` into [`Config`]: every key against the table of options, then what only shows between
//! several of them ([`super::check`]).

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml_edit::{Document, Item, TableLike};

use super::error::Problem;
use super::options::{OPTIONS, Scope, of_scope};
use super::value::{self, Value};
use super::{
    Config, ConfigError, Domain, Fast, IdBlock, IdMapping, LdapSecurity, Preset, PrimaryGroup, UsernameFormat, access,
    check, quota, suggest,
};
use crate::types::fold;

/// Longest configuration that is read, in bytes; the modules stop at the same length.
const MAX_CONFIG: u64 = 256 * 1024;
/// The table of tables that holds the domains.
const DOMAINS: &str = "domains";
/// The table of tables that holds the quotas.
const QUOTA: &str = "quota";
/// The table below a domain that says who may log in.
const ACCESS: &str = "access";

/// Reads the configuration at `path`.
///
/// # Errors
/// [`ConfigError`] with file, line and column; [`ConfigError::missing`] is set where there is no such file, which a
/// caller may take for "no domain" (then `parse("")` gives the defaults).
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let whole = |message: String, missing| ConfigError {
        file: path.into(),
        line: 0,
        column: 0,
        message,
        missing,
        not_permitted: false,
    };
    let file = std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            whole("there is no such file; join a domain, or write one as entra.toml(5) says".into(), true)
        }
        kind => ConfigError {
            not_permitted: kind == std::io::ErrorKind::PermissionDenied,
            ..whole(format!("cannot be opened: {error}; let everybody read it (mode 0644)"), false)
        },
    })?;
    let meta = file.metadata().map_err(|error| whole(format!("cannot be examined: {error}; try again"), false))?;
    if !meta.is_file() {
        return Err(whole("is not a file; put the configuration there".into(), false));
    }
    // The modules grant nothing on the word of a file that others may write; the daemon must not differ from them.
    if meta.mode() & 0o022 != 0 {
        return Err(whole("can be written by others than its owner; run chmod 0644 on it".into(), false));
    }
    let mut bytes = Vec::new();
    file.take(MAX_CONFIG + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| whole(format!("cannot be read: {error}; try again"), false))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
        let message = "not UTF-8; save the file in that encoding".to_owned();
        ConfigError { file: path.into(), line, column: 1, message, missing: false, not_permitted: false }
    })?;
    parse_named(path, &text)
}

/// Reads a configuration's text. An empty text gives every default and no domain.
///
/// # Errors
/// [`ConfigError`] with the name `entra.toml`, line and column.
pub fn parse(text: &str) -> Result<Config, ConfigError> {
    parse_named(Path::new("entra.toml"), text)
}

fn parse_named(path: &Path, text: &str) -> Result<Config, ConfigError> {
    read(text).map_err(|problem| problem.at(PathBuf::from(path), text))
}

/// A domain as it stands in the file: what the checks between several options need besides the values.
pub(super) struct Placed {
    pub domain: Domain,
    /// The domain's name.
    pub name: Option<Range<usize>>,
    /// The value of `id_range`, where one is given.
    pub id_range: Option<Range<usize>>,
    /// The value of `id_slice`, where one is given.
    pub id_slice: Option<Range<usize>>,
    /// The value of `id_blocks`, where one is given.
    pub id_blocks: Option<Range<usize>>,
    /// The value of `id_mapping`, where one is given.
    pub id_mapping: Option<Range<usize>>,
}

fn read(text: &str) -> Result<Config, Problem> {
    if text.len() as u64 > MAX_CONFIG {
        return Err(Problem::new(format!("longer than {} KiB; shorten it", MAX_CONFIG / 1024), None));
    }
    // The TOML parser passes over it, and the modules would not see the first line behind it.
    if text.starts_with('\u{feff}') {
        let message = "the file begins with a byte order mark; save it as UTF-8 without one";
        return Err(Problem::new(message, Some(0..0)));
    }
    let document = Document::parse(text).map_err(|error| {
        // The library's message may run over several lines; the reader gets one.
        let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
        Problem::new(format!("not TOML: {message}; entra.toml(5) shows how it is written"), error.span())
    })?;
    let global = Values::of(document.as_table(), Scope::Global, &[DOMAINS, QUOTA])?;
    let placed = match document.get(DOMAINS) {
        None => Vec::new(),
        Some(item) => {
            let span = item.span();
            let tables = item.as_table_like().ok_or_else(|| {
                Problem::new("domains is a table of tables; write [domains.\"aadds.contoso.com\"]", span)
            })?;
            if tables.is_empty() {
                let message = "domains names none; write [domains.\"aadds.contoso.com\"], or remove it";
                return Err(Problem::new(message, item.span().or(Some(0..0))));
            }
            tables.iter().map(|(name, item)| domain(tables, name, item)).collect::<Result<Vec<_>, _>>()?
        }
    };
    check::all(&placed, text)?;
    Ok(Config {
        cache_ttl: global.duration("cache_ttl")?,
        negative_ttl: global.duration("negative_ttl")?,
        cache_map_size: global
            .integer("cache_map_size")
            .ok_or_else(|| internal("cache_map_size"))?
            .saturating_mul(1 << 20),
        lookup_deadline: global.duration("lookup_deadline")?,
        log_level: global.choice(
            "log_level",
            &[
                ("off", log::LevelFilter::Off),
                ("error", log::LevelFilter::Error),
                ("warn", log::LevelFilter::Warn),
                ("info", log::LevelFilter::Info),
                ("debug", log::LevelFilter::Debug),
                ("trace", log::LevelFilter::Trace),
            ],
        )?,
        reserved_groups: global.list("reserved_groups")?.iter().map(|name| fold(name)).collect(),
        domains: placed.into_iter().map(|placed| placed.domain).collect(),
        quotas: quota::read(document.get(QUOTA))?,
    })
}

fn domain(tables: &dyn TableLike, name: &str, item: &Item) -> Result<Placed, Problem> {
    const RIGHT: &str = "write the domain's DNS name in quotes, such as [domains.\"aadds.contoso.com\"]";
    let name_span = tables.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
    let Some(table) = item.as_table_like() else {
        return Err(Problem::new(format!("\"{name}\" is no table; {RIGHT}"), item.span().or(name_span)));
    };
    // [domains.aadds.contoso.com] without quotes nests tables: one of them is no table of ours.
    if let Some((inner, _)) = table.iter().find(|(key, item)| item.is_table_like() && *key != ACCESS)
        && !name.contains('.')
    {
        return Err(Problem::new(format!("{name}.{inner} is a domain's name without quotes; {RIGHT}"), name_span));
    }
    if !value::is_dns_domain(name) {
        return Err(Problem::new(format!("\"{name}\" is no DNS name of a domain; {RIGHT}"), name_span));
    }
    let own = Values::of(table, Scope::Domain, &[ACCESS])?;
    let access = access::read(table.get(ACCESS), name)?;
    let domain = Domain {
        name: name.to_ascii_lowercase(),
        preset: own
            .choice("preset", &[("active-directory", Preset::ActiveDirectory), ("entra-ds", Preset::EntraDs)])?,
        servers: own.list("servers")?,
        dns_servers: own.addresses("dns_servers")?,
        base_dn: own.text("base_dn"),
        user_bases: own.list("user_bases")?,
        group_bases: own.list("group_bases")?,
        user_filter: own.text("user_filter"),
        group_filter: own.text("group_filter"),
        ldap_security: own.choice(
            "ldap_security",
            &[("seal", LdapSecurity::Seal), ("ldaps", LdapSecurity::Ldaps), ("starttls", LdapSecurity::StartTls)],
        )?,
        tls_ca: own.text("tls_ca").map(PathBuf::from),
        id_mapping: own.choice(
            "id_mapping",
            &[("sssd", IdMapping::Sssd), ("rid", IdMapping::Rid), ("rfc2307", IdMapping::Rfc2307)],
        )?,
        id_range: own.range("id_range")?,
        id_slice: own.integer("id_slice"),
        id_blocks: own.blocks("id_blocks"),
        username_format: own.choice(
            "username_format",
            &[("sam", UsernameFormat::Sam), ("upn", UsernameFormat::Upn), ("down-level", UsernameFormat::DownLevel)],
        )?,
        home: own.required_text("home")?,
        shell: own.required_text("shell")?,
        ssh_key_attributes: own.list("ssh_key_attributes")?,
        primary_group: own.choice(
            "primary_group",
            &[("directory", PrimaryGroup::Directory), ("user-private", PrimaryGroup::UserPrivate)],
        )?,
        enumerate: own.bool("enumerate")?,
        offline_login: own.bool("offline_login")?,
        offline_max_age: own.duration("offline_max_age")?,
        offline_keep_password: own.bool("offline_keep_password")?,
        keytab_max_age: own.duration("keytab_max_age")?,
        password_change_hint: own.text("password_change_hint"),
        password_warning: own.duration("password_warning")?,
        fast: own.choice("fast", &[("try", Fast::Try), ("require", Fast::Require)])?,
        ccache: own.required_text("ccache")?,
        service_tickets: own.list("service_tickets")?,
        service_ticket_groups: own.list("service_ticket_groups")?,
        access,
    };
    Ok(Placed {
        domain,
        name: name_span,
        id_range: own.span("id_range"),
        id_slice: own.span("id_slice"),
        id_blocks: own.span("id_blocks"),
        id_mapping: own.span("id_mapping"),
    })
}

/// One table's values by key, defaults filled in, and where the given ones stand.
pub(super) struct Values(BTreeMap<&'static str, (Value, Option<Range<usize>>)>);

impl Values {
    /// Reads every key of `table` as an option of `scope`; `tables` are keys that others read.
    pub(super) fn of(table: &dyn TableLike, scope: Scope, tables: &[&'static str]) -> Result<Self, Problem> {
        let mut values = BTreeMap::new();
        for opt in of_scope(scope) {
            if let Some(default) = opt.default {
                let toml = default.parse::<toml_edit::Value>().map_err(|_| internal(opt.key))?;
                values.insert(opt.key, (value::read(opt.kind, &toml).map_err(|_| internal(opt.key))?, None));
            }
        }
        for (key, item) in table.iter().filter(|(key, _)| !tables.contains(key)) {
            let span = table.key(key).and_then(toml_edit::Key::span).or_else(|| item.span());
            let Some(opt) = OPTIONS.iter().find(|opt| opt.scope == scope && opt.key == key) else {
                return Err(Problem::new(suggest::unknown_key(key, scope, tables), span));
            };
            let toml = item.as_value().ok_or_else(|| {
                Problem::new(format!("{key} is an option, not a table; write {key} = {}", opt.example), span.clone())
            })?;
            let value = value::read(opt.kind, toml).map_err(|problem| problem.or_span(span.clone()))?;
            values.insert(opt.key, (value, toml.span().or(span)));
        }
        Ok(Self(values))
    }

    pub(super) fn span(&self, key: &str) -> Option<Range<usize>> {
        self.0.get(key).and_then(|(_, span)| span.clone())
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).map(|(value, _)| value)
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        match self.get(key) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    fn required_text(&self, key: &str) -> Result<String, Problem> {
        self.text(key).ok_or_else(|| internal(key))
    }

    fn integer(&self, key: &str) -> Option<u32> {
        match self.get(key) {
            Some(Value::Integer(number)) => Some(*number),
            _ => None,
        }
    }

    fn blocks(&self, key: &str) -> Vec<IdBlock> {
        match self.get(key) {
            Some(Value::Blocks(blocks)) => blocks.clone(),
            _ => Vec::new(),
        }
    }

    pub(super) fn size(&self, key: &str) -> Result<u64, Problem> {
        match self.get(key) {
            Some(Value::Size(kibibytes)) => Ok(*kibibytes),
            _ => Err(internal(key)),
        }
    }

    fn bool(&self, key: &str) -> Result<bool, Problem> {
        match self.get(key) {
            Some(Value::Bool(value)) => Ok(*value),
            _ => Err(internal(key)),
        }
    }

    fn duration(&self, key: &str) -> Result<Duration, Problem> {
        match self.get(key) {
            Some(Value::Duration(value)) => Ok(*value),
            _ => Err(internal(key)),
        }
    }

    fn range(&self, key: &str) -> Result<(u32, u32), Problem> {
        match self.get(key) {
            Some(Value::Range(range)) => Ok(*range),
            _ => Err(internal(key)),
        }
    }

    pub(super) fn list(&self, key: &str) -> Result<Vec<String>, Problem> {
        match self.get(key) {
            Some(Value::List(list)) => Ok(list.clone()),
            _ => Err(internal(key)),
        }
    }

    fn addresses(&self, key: &str) -> Result<Vec<SocketAddr>, Problem> {
        match self.get(key) {
            Some(Value::Addresses(list)) => Ok(list.clone()),
            _ => Err(internal(key)),
        }
    }

    pub(super) fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<T, Problem> {
        let Some(Value::Text(text)) = self.get(key) else { return Err(internal(key)) };
        choices.iter().find(|(word, _)| word == text).map(|(_, value)| *value).ok_or_else(|| internal(key))
    }
}

/// The table of options and this file disagree: tests keep that from happening.
fn internal(key: &str) -> Problem {
    Problem::new(format!("the option {key} cannot be read by this version; leave it out and report this"), None)
}
