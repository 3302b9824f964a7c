//! Single values: a TOML value becomes the value that its option takes, or the reason why it does not.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use entra_wire::guard::ID_FLOOR;
use entra_wire::ranges::parse_range;
use toml_edit::{Formatted, Value as Toml};

use super::IdBlock;
use super::error::Problem;
use super::options::Kind;
use super::template;
use crate::directory::ldap::is_filter;
use crate::types::{NameForm, Sid};

/// Highest id of any range: the two above it mean "none" to system calls.
const ID_CEILING: u32 = u32::MAX - 2;
/// Longest text of one value, in bytes.
const MAX_TEXT: usize = 4096;
/// Most entries of a list.
const MAX_LIST: usize = 256;

/// A value of the right type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Bool(bool),
    Duration(Duration),
    Integer(u32),
    /// In KiB.
    Size(u64),
    Text(String),
    List(Vec<String>),
    Addresses(Vec<SocketAddr>),
    Range((u32, u32)),
    Blocks(Vec<IdBlock>),
}

/// Reads `toml` as an option of this kind.
pub(super) fn read(kind: Kind, toml: &Toml) -> Result<Value, Problem> {
    match kind {
        Kind::Bool => toml.as_bool().map(Value::Bool).ok_or_else(|| wrong_type(toml, "true or false")),
        Kind::Integer => toml
            .as_integer()
            .and_then(|number| u32::try_from(number).ok())
            .map(Value::Integer)
            .ok_or_else(|| wrong_type(toml, "a whole number from 0")),
        Kind::Mebibytes { most } => {
            let expected = format!("a whole number from 0 to {most}");
            let number = toml.as_integer().ok_or_else(|| wrong_type(toml, &expected))?;
            let number = u32::try_from(number).ok().filter(|number| *number <= most);
            number.map(Value::Integer).ok_or_else(|| {
                Problem::new(format!("this is out of bounds; write {expected}, which counts MiB"), toml.span())
            })
        }
        Kind::Duration { least, most } => {
            checked(toml, "a number with a unit in quotes, such as \"90m\"", |text| duration(text, least, most))
                .map(Value::Duration)
        }
        Kind::Size => checked(toml, "a size in quotes, such as \"10G\"", size).map(Value::Size),
        Kind::Text => checked(toml, "a text in quotes", |text| Ok(text.to_owned())).map(Value::Text),
        Kind::Choice { served, later } => {
            checked(toml, &listed(served), |text| choice(text, served, later)).map(Value::Text)
        }
        Kind::IdRange => id_range(toml).map(Value::Range),
        Kind::IdBlocks => list(toml, "RIDs and ids in quotes, \"RID:LOW-HIGH\",", id_block).map(Value::Blocks),
        Kind::Dn => checked(toml, "a distinguished name in quotes", dn).map(Value::Text),
        Kind::Filter => {
            checked(toml, "an LDAP filter in quotes, such as \"(department=Research)\"", filter).map(Value::Text)
        }
        Kind::Path => checked(toml, "an absolute path in quotes", path).map(Value::Text),
        Kind::HomeTemplate => checked(toml, "an absolute path in quotes, such as \"/home/%u\"", home).map(Value::Text),
        Kind::CcacheTemplate => {
            checked(toml, "a ccache name in quotes, such as \"FILE:/tmp/krb5cc_%U\"", ccache).map(Value::Text)
        }
        Kind::TextList => list(toml, "a text in quotes", |text| Ok(text.to_owned())).map(Value::List),
        Kind::Accounts => list(toml, "a name or SID in quotes", account).map(Value::List),
        Kind::Hosts => list(toml, "a host name or address in quotes", host).map(Value::List),
        Kind::DnList => list(toml, "a distinguished name in quotes", dn).map(Value::List),
        Kind::AttributeList => list(toml, "an attribute's name in quotes", attribute).map(Value::List),
        Kind::Services => {
            list(toml, "a service in quotes, such as \"cifs/files.contoso.com\"", service).map(Value::List)
        }
        Kind::DnsServers => list(toml, "an address in quotes, such as \"10.0.0.4\"", address).map(Value::Addresses),
    }
}

/// Whether `name` is a DNS name of at least two labels, without a final dot, in any letter case.
pub(super) fn is_dns_domain(name: &str) -> bool {
    name.contains('.') && is_host_name(name)
}

fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last_is_a_number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= 253 && name.split('.').all(label) && !last_is_a_number
}

fn checked<T>(toml: &Toml, expected: &str, check: impl Fn(&str) -> Result<T, String>) -> Result<T, Problem> {
    let text = toml.as_str().ok_or_else(|| wrong_type(toml, expected))?;
    sound(text).and_then(|()| check(text)).map_err(|message| Problem::new(message, toml.span()))
}

/// What no value may be, whatever its kind.
fn sound(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("an empty value; give one, or leave the line out for the default".into());
    }
    if text.len() > MAX_TEXT {
        return Err(format!("{} bytes are too long; at most {MAX_TEXT} are taken", text.len()));
    }
    match text.chars().find(|char| char.is_control()) {
        Some(char) => Err(format!("the control character {char:?} cannot stand here; remove it")),
        None => Ok(()),
    }
}

fn list<T>(toml: &Toml, each: &str, check: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, Problem> {
    let array = toml.as_array().ok_or_else(|| wrong_type(toml, &format!("a list in brackets, each entry {each}")))?;
    if array.len() > MAX_LIST {
        return Err(Problem::new(
            format!("{} entries are too many; at most {MAX_LIST} are taken", array.len()),
            toml.span(),
        ));
    }
    array.iter().map(|entry| checked(entry, each, &check)).collect()
}

fn wrong_type(toml: &Toml, expected: &str) -> Problem {
    Problem::new(format!("{} where {expected} belongs; write that instead", type_of(toml)), toml.span())
}

/// The type of a TOML value, in words.
pub(super) fn type_of(toml: &Toml) -> &'static str {
    match toml {
        Toml::String(_) => "a text",
        Toml::Integer(_) => "a number",
        Toml::Float(_) => "a decimal number",
        Toml::Boolean(_) => "true or false",
        Toml::Datetime(_) => "a date",
        Toml::Array(_) => "a list",
        Toml::InlineTable(_) => "a table",
    }
}

fn duration(text: &str, least: u64, most: u64) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "\"{text}\" is no duration; write a number and one of the units s, m, h and d, such as \"90m\" or \"1h30m\""
        )
    };
    // Each unit once, the largest first.
    let (mut seconds, mut rest, mut larger) = (0_u64, text, u64::MAX);
    while !rest.is_empty() {
        let (number, unit) = rest.split_at(rest.find(|char: char| !char.is_ascii_digit()).ok_or_else(wrong)?);
        let factor = match unit.as_bytes().first() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3600,
            Some(b'd') => 86_400,
            _ => return Err(wrong()),
        };
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)?;
        seconds = seconds.checked_add(part).filter(|_| factor < larger).ok_or_else(wrong)?;
        (rest, larger) = (&unit[1..], factor);
    }
    if !(least..=most).contains(&seconds) {
        return Err(format!("\"{text}\" is out of bounds; write \"{}\" to \"{}\"", in_words(least), in_words(most)));
    }
    Ok(Duration::from_secs(seconds))
}

/// A size in KiB.
fn size(text: &str) -> Result<u64, String> {
    /// As many KiB as fit into 2^63 bytes.
    const MOST: u64 = 1 << 53;
    let wrong = || {
        format!(
            "\"{text}\" is no size; write a whole number and one of the units K, M, G and T, such as \"10G\", or \"0\""
        )
    };
    if text == "0" {
        return Ok(0);
    }
    let (number, unit) = text.split_at(text.find(|char: char| !char.is_ascii_digit()).ok_or_else(wrong)?);
    let power = match unit {
        "K" => 0,
        "M" => 1,
        "G" => 2,
        "T" => 3,
        _ => return Err(wrong()),
    };
    let kibibytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << (10 * power)));
    kibibytes.filter(|kibibytes| *kibibytes <= MOST).ok_or_else(wrong)
}

/// Seconds as [`duration`] reads them.
pub(super) fn in_words(seconds: u64) -> String {
    match seconds {
        whole if whole >= 86_400 && whole % 86_400 == 0 => format!("{}d", whole / 86_400),
        whole if whole >= 3600 && whole % 3600 == 0 => format!("{}h", whole / 3600),
        whole if whole >= 60 && whole % 60 == 0 => format!("{}m", whole / 60),
        other => format!("{other}s"),
    }
}

fn choice(text: &str, served: &[&str], later: &[&str]) -> Result<String, String> {
    if served.contains(&text) {
        return Ok(text.to_owned());
    }
    if later.contains(&text) {
        return Err(format!("\"{text}\" is not served by this version; use {}", listed(served)));
    }
    Err(format!("\"{text}\" is not known here; write {}", listed(served)))
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
}

fn id_range(toml: &Toml) -> Result<(u32, u32), Problem> {
    const RIGHT: &str = "write the first and the last id, such as \"200000-2000199999\"";
    let Toml::String(string) = toml else { return Err(wrong_type(toml, "a range in quotes, \"LOW-HIGH\",")) };
    let text = string.value();
    let refuse = |message: String| Problem::new(message, toml.span());
    if !is_plain(string) {
        return Err(refuse(format!("id_range must be a plain string without escapes; {RIGHT}")));
    }
    let (low, high) = parse_range(text).ok_or_else(|| refuse(format!("\"{text}\" is no id range; {RIGHT}")))?;
    if low < ID_FLOOR {
        return Err(refuse(format!(
            "ids below {ID_FLOOR} belong to the host; let the range begin at {ID_FLOOR} or above"
        )));
    }
    if high > ID_CEILING {
        return Err(refuse(format!(
            "{high} is no id that a user can have; let the range end at {ID_CEILING} or below"
        )));
    }
    Ok((low, high))
}

fn id_block(text: &str) -> Result<IdBlock, String> {
    let block = text.split_once(':').and_then(|(rid, ids)| Some((rid.trim().parse::<u32>().ok()?, parse_range(ids)?)));
    let (first_rid, (first_id, last_id)) = block.ok_or_else(|| {
        format!("\"{text}\" is no block of ids; write the first RID and its ids, such as \"100000:1400000-1499999\"")
    })?;
    if first_rid.checked_add(last_id - first_id).is_none() {
        return Err(format!("\"{text}\" runs beyond the last RID; let it end earlier"));
    }
    Ok(IdBlock { first_rid, first_id, last_id })
}

/// Whether a string stands in the file as it is: one line, in simple quotes, without escapes.
fn is_plain(string: &Formatted<String>) -> bool {
    // A value that was not read from a file (a default) has no span and is plain.
    let Some(Range { start, end }) = string.span() else { return true };
    end - start == string.value().len() + 2
}

fn dn(text: &str) -> Result<String, String> {
    // The first type and its equals sign: what tells a DN from a domain name or a path. The directory judges the rest.
    let named = text.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    });
    if named {
        return Ok(text.to_owned());
    }
    Err(format!("\"{text}\" is no distinguished name; write one such as \"OU=AADDC Users,DC=aadds,DC=contoso,DC=com\""))
}

fn attribute(text: &str) -> Result<String, String> {
    // RFC 4512 1.4: a descriptor or a numeric OID. An option behind a semicolon is not asked for.
    let sound = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    if sound {
        return Ok(text.to_owned());
    }
    Err(format!("\"{text}\" is no attribute's name; write one such as \"sshPublicKey\""))
}

fn filter(text: &str) -> Result<String, String> {
    const RIGHT: &str =
        "write one such as \"(department=Research)\"; parentheses in values are written \\\\28 and \\\\29";
    let mut depth = 0_i32;
    for (at, byte) in text.bytes().enumerate() {
        depth += i32::from(byte == b'(') - i32::from(byte == b')');
        let closed_early = depth <= 0 && at + 1 < text.len();
        if closed_early {
            return Err(format!("\"{text}\" is not one LDAP filter in parentheses; {RIGHT}"));
        }
    }
    if depth != 0 || !text.contains('=') || !is_filter(text) {
        return Err(format!("\"{text}\" is no LDAP filter (RFC 4515); {RIGHT}"));
    }
    Ok(text.to_owned())
}

fn path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err(format!("\"{text}\" is not an absolute path; begin it with a slash"));
    }
    // A colon would end the field in a passwd line.
    if text.contains(':') {
        return Err(format!("\"{text}\" contains a colon; choose a path without one"));
    }
    Ok(text.to_owned())
}

fn home(text: &str) -> Result<String, String> {
    template::check(text)?;
    path(text)
}

fn ccache(text: &str) -> Result<String, String> {
    const RIGHT: &str =
        "use \"FILE:/tmp/krb5cc_%U\", \"DIR:/run/user/%U/krb5cc\", \"KEYRING:persistent:%U\" or \"KCM:%U\"";
    let (kind, residual) = text.split_once(':').unwrap_or(("", text));
    match kind {
        "FILE" | "DIR" => {
            path(residual)?;
            template::check_ccache(residual)?;
        }
        "KEYRING" if residual.starts_with("session") || residual.starts_with("process") => {
            return Err(format!(
                "\"{text}\" would lie in the keyring of the helper that gets the ticket, where no session sees it; {RIGHT}"
            ));
        }
        "KEYRING" if matches!(residual, "persistent:%U" | "user:%U") => {}
        "KCM" if residual == "%U" => {}
        "KEYRING" | "KCM" => return Err(format!("\"{text}\" is not a user's own ccache of that type; {RIGHT}")),
        "MEMORY" => return Err(format!("a MEMORY ccache ends with the process that made it; {RIGHT}")),
        "" => return Err(format!("\"{text}\" names no ccache type; {RIGHT}")),
        other => return Err(format!("ccaches of type {other} are not known here; {RIGHT}")),
    }
    Ok(text.to_owned())
}

fn account(text: &str) -> Result<String, String> {
    const RIGHT: &str = "write a name such as \"alice\", \"AADDS\\\\alice\" or \"alice@contoso.com\", or a SID such as \"S-1-5-21-1-2-3-1103\"";
    // What looks like a SID is meant as one: as a name it would be nobody's.
    if text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("S-1-")) {
        let sid: Sid = text.parse().map_err(|_| format!("\"{text}\" is no SID; {RIGHT}"))?;
        if !sid.is_of_a_domain() {
            return Err(format!("\"{text}\" is no account of a domain, so nobody would match it; {RIGHT}"));
        }
        return Ok(sid.to_string());
    }
    match NameForm::parse(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!("\"{text}\" names nobody; {RIGHT}")),
    }
}

fn host(text: &str) -> Result<String, String> {
    if text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok_and(|address| address.port() != 0) {
        return Ok(text.to_owned());
    }
    let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    let port_is_one = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0));
    if is_host_name(name) && port_is_one {
        return Ok(text.to_owned());
    }
    Err(format!("\"{text}\" is no host; write \"dc1.aadds.contoso.com\", \"10.0.0.4\" or either with \":PORT\""))
}

/// A service of a host, `SERVICE/HOST` in the letters that KDCs know it by; a host alone has a file service.
fn service(text: &str) -> Result<String, String> {
    let (service, host) = text.split_once('/').unwrap_or(("cifs", text));
    let plain = (1..=63).contains(&service.len())
        && service.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !plain || !is_dns_domain(host) {
        return Err(format!("\"{text}\" is no service of a host; write one such as \"cifs/files.contoso.com\""));
    }
    Ok(format!("{service}/{}", host.to_ascii_lowercase()))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    const DNS_PORT: u16 = 53;
    text.parse::<IpAddr>()
        .map(|address| SocketAddr::new(address, DNS_PORT))
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0))
        .ok_or_else(|| format!("\"{text}\" is no address; write \"10.0.0.4\" or \"10.0.0.4:53\""))
}
