//! `/etc/entra/entra.toml`: putting a domain in and taking it out, everything else kept as it stands.

use toml_edit::{Array, DocumentMut, Item, Table, TomlError, Value, value};

/// What join writes for a domain.
#[derive(Clone, Copy, Debug)]
pub struct NewDomain<'a> {
    /// DNS name in lower case.
    pub name: &'a str,
    /// Value of `preset`.
    pub preset: &'a str,
    /// DC to use instead of those that DNS names.
    pub server: Option<&'a str>,
    /// Groups whose members may log in; empty = everybody.
    pub permit: &'a [String],
}

/// Whether the configuration names the domain.
///
/// # Errors
/// When the text is no TOML.
pub fn has_domain(text: &str, name: &str) -> Result<bool, TomlError> {
    let document: DocumentMut = text.parse()?;
    Ok(document.get("domains").and_then(|domains| domains.get(name)).is_some())
}

/// Domains that the configuration names.
///
/// # Errors
/// When the text is no TOML.
pub fn domains(text: &str) -> Result<Vec<String>, TomlError> {
    let document: DocumentMut = text.parse()?;
    let table = document.get("domains").and_then(Item::as_table_like);
    Ok(table.map(|table| table.iter().map(|(name, _)| name.to_owned()).collect()).unwrap_or_default())
}

/// Puts a domain in. A section that an administrator prepared keeps its other keys.
///
/// # Errors
/// When the text is no TOML.
pub fn add_domain(text: &str, new: NewDomain<'_>) -> Result<String, TomlError> {
    let mut document: DocumentMut = text.parse()?;
    let mut fresh = Table::new();
    // TOML has comments alone stand behind everything: what is said at the top of the file stays there.
    if document.is_empty() && !text.trim().is_empty() {
        fresh.decor_mut().set_prefix(format!("{}\n\n", text.strip_suffix('\n').unwrap_or(text)));
        document.set_trailing("");
    }
    let domains = document.entry("domains").or_insert_with(|| implicit(Table::new()));
    if let Some(domains) = domains.as_table_like_mut() {
        let domain = domains.entry(new.name).or_insert(Item::Table(fresh));
        if let Some(domain) = domain.as_table_like_mut() {
            set(domain, "preset", value(new.preset));
            if let Some(server) = new.server {
                set(domain, "servers", value(Array::from_iter([server])));
            }
            if !new.permit.is_empty() {
                let access = domain.entry("access").or_insert_with(|| Item::Table(Table::new()));
                if let Some(access) = access.as_table_like_mut() {
                    set(access, "default", value("deny"));
                    set(access, "permit", value(new.permit.iter().map(String::as_str).collect::<Array>()));
                }
            }
        }
    }
    Ok(document.to_string())
}

/// Takes a domain out, with everything below it.
///
/// # Errors
/// When the text is no TOML.
pub fn remove_domain(text: &str, name: &str) -> Result<String, TomlError> {
    let mut document: DocumentMut = text.parse()?;
    let mut empty = false;
    let mut removed = None;
    if let Some(domains) = document.get_mut("domains").and_then(Item::as_table_like_mut) {
        removed = domains.remove(name);
        empty = domains.is_empty();
    }
    if empty {
        document.remove("domains");
    }
    // What is said at the top of the file is not the domain's, though nothing else stands between them.
    let above = removed.as_ref().and_then(Item::as_table).and_then(|table| table.decor().prefix()?.as_str());
    let above = above.filter(|above| !above.trim().is_empty() && text.starts_with(above)).unwrap_or_default();
    let above = if above.ends_with("\n\n") { &above[..above.len() - 1] } else { above };
    Ok(format!("{above}{document}"))
}

/// Sets the options of a domain's ids, and takes those out that are `None`. A domain that is not there yet is put in where
/// there is something to set; join then keeps these keys.
///
/// # Errors
/// When the text is no TOML.
pub fn set_ids(text: &str, name: &str, options: &[(&str, Option<Value>)]) -> Result<String, TomlError> {
    let mut document: DocumentMut = text.parse()?;
    let known = document.get("domains").and_then(|domains| domains.get(name)).is_some();
    if !known && options.iter().all(|(_, option)| option.is_none()) {
        return Ok(text.to_owned());
    }
    let domains = document.entry("domains").or_insert_with(|| implicit(Table::new()));
    let domain = domains
        .as_table_like_mut()
        .map(|domains| domains.entry(name).or_insert_with(|| Item::Table(Table::new())))
        .and_then(Item::as_table_like_mut);
    if let Some(domain) = domain {
        for (key, option) in options {
            match option {
                Some(option) => set(domain, key, Item::Value(option.clone())),
                None => drop(domain.remove(key)),
            }
        }
    }
    Ok(document.to_string())
}

/// Changes a value in place, so that comments beside it stay.
fn set(table: &mut dyn toml_edit::TableLike, key: &str, mut new: Item) {
    if let (Some(old), Some(new)) = (table.get(key).and_then(Item::as_value), new.as_value_mut()) {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert(key, new);
}

/// A table without a header of its own: `[domains]` above `[domains."x"]` would say nothing.
fn implicit(mut table: Table) -> Item {
    table.set_implicit(true);
    Item::Table(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: NewDomain<'_> = NewDomain { name: "aadds.contoso.com", preset: "entra-ds", server: None, permit: &[] };

    #[test]
    fn a_new_file_is_what_the_contract_shows() {
        let text = add_domain("", NEW).unwrap();
        assert_eq!(text, "[domains.\"aadds.contoso.com\"]\npreset = \"entra-ds\"\n");
        assert!(has_domain(&text, "aadds.contoso.com").unwrap());
        assert_eq!(domains(&text).unwrap(), ["aadds.contoso.com"]);
        assert_eq!(remove_domain(&text, "aadds.contoso.com").unwrap(), "");
    }

    #[test]
    fn everything_else_stays_as_it_was() {
        let before = "# ours\ncache_ttl = \"10m\"   # short\n\n[domains.\"other.example\"]\nshell = \"/bin/zsh\"\n";
        let text = add_domain(before, NEW).unwrap();
        assert!(text.starts_with(before), "{text}");
        assert_eq!(remove_domain(&text, NEW.name).unwrap(), before);
    }

    #[test]
    fn what_is_said_at_the_top_of_the_file_stays_there() {
        for before in ["# the package's words\n#\n#   more\n", "\n# one\n\n# two\n"] {
            let text = add_domain(before, NEW).unwrap();
            assert_eq!(text, format!("{before}\n[domains.\"aadds.contoso.com\"]\npreset = \"entra-ds\"\n"));
            assert_eq!(remove_domain(&text, NEW.name).unwrap(), before);
        }
        let text = add_domain("# no newline", NEW).unwrap();
        assert!(text.starts_with("# no newline\n\n[domains."), "{text}");
        let two = "# ours\n[domains.\"a.example\"]\n\n[domains.\"b.example\"]\n";
        assert_eq!(remove_domain(two, "a.example").unwrap(), "# ours\n\n[domains.\"b.example\"]\n");
    }

    #[test]
    fn a_prepared_section_keeps_its_keys_and_comments() {
        let before =
            "[domains.\"aadds.contoso.com\"]\nshell = \"/bin/sh\" # plain\npreset = \"active-directory\" # why\n";
        let text = add_domain(before, NEW).unwrap();
        assert_eq!(text, "[domains.\"aadds.contoso.com\"]\nshell = \"/bin/sh\" # plain\npreset = \"entra-ds\" # why\n");
    }

    #[test]
    fn permit_closes_the_door_for_the_rest() {
        let permit = ["Linux Admins".to_owned(), "ops".to_owned()];
        let text = add_domain("", NewDomain { server: Some("dc1"), permit: &permit, ..NEW }).unwrap();
        assert_eq!(
            text,
            "[domains.\"aadds.contoso.com\"]\npreset = \"entra-ds\"\nservers = [\"dc1\"]\n\n\
             [domains.\"aadds.contoso.com\".access]\ndefault = \"deny\"\npermit = [\"Linux Admins\", \"ops\"]\n"
        );
        assert_eq!(remove_domain(&text, NEW.name).unwrap(), "");
    }

    #[test]
    fn ids_are_set_beside_what_stands_there() {
        let keys = |mapping: Option<&str>, slice: Option<i64>| {
            [("id_mapping", mapping.map(Value::from)), ("id_slice", slice.map(Value::from))]
        };
        let before = "# ours\n[domains.\"a.example\"] # home\nshell = \"/bin/sh\"\nid_mapping = \"rid\" # why\n";
        let text = set_ids(before, "a.example", &keys(Some("sssd"), Some(7))).unwrap();
        assert_eq!(
            text,
            "# ours\n[domains.\"a.example\"] # home\nshell = \"/bin/sh\"\nid_mapping = \"sssd\" # why\nid_slice = 7\n"
        );
        let text = set_ids(&text, "a.example", &keys(None, None)).unwrap();
        assert_eq!(text, "# ours\n[domains.\"a.example\"] # home\nshell = \"/bin/sh\"\n");
        assert_eq!(set_ids("", "b.example", &keys(None, None)).unwrap(), "");
        let text = set_ids("", "b.example", &keys(None, Some(0))).unwrap();
        assert_eq!(text, "[domains.\"b.example\"]\nid_slice = 0\n");
        assert_eq!(
            add_domain(&text, NewDomain { name: "b.example", ..NEW }).unwrap(),
            text + "preset = \"entra-ds\"\n"
        );
    }

    #[test]
    fn broken_toml_is_an_error_with_a_place() {
        let error = add_domain("cache_ttl = = 1\n", NEW).unwrap_err();
        assert!(error.to_string().contains("line 1, column"), "{error}");
    }
}
