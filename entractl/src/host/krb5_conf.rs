//! The krb5 settings of a joined host: a snippet of our own, and the `includedir` line that makes libkrb5 read it
//! (krb5.conf(5)).

/// The line that join puts on top of krb5.conf where nothing includes the folder yet.
pub const INCLUDE: &str = "includedir /etc/krb5.conf.d/";

/// How every snippet of ours begins.
pub const HEADER: &str = "# Written by `entractl join`";

/// The plugin that knows whose account a principal is; below libkrb5's own folder, which has the architecture's name. A
/// host without it goes by libkrb5's own rules. The locator beside it needs no line.
const LOCALAUTH: &str = "entra:libkrb5/entra.so";

/// The snippet for a realm. `kdcs` pins the KDCs; without any, DNS names them.
pub fn snippet(domain: &str, realm: &str, kdcs: &[String]) -> String {
    let pinned = if kdcs.is_empty() {
        String::new()
    } else {
        let kdcs = kdcs.join("\n        kdc = ");
        format!("[realms]\n    {realm} = {{\n        kdc = {kdcs}\n    }}\n")
    };
    format!(
        "{HEADER} for {realm}; `entractl leave` removes it.\n\
         [libdefaults]\n    \
         default_realm = {realm}\n    \
         rdns = false\n    \
         dns_canonicalize_hostname = false\n    \
         dns_lookup_realm = false\n    \
         dns_lookup_kdc = true\n    \
         permitted_enctypes = aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96\n\
         [plugins]\n    \
         localauth = {{\n        \
         module = {LOCALAUTH}\n    \
         }}\n\
         {pinned}\
         [domain_realm]\n    \
         {domain} = {realm}\n    \
         .{domain} = {realm}\n"
    )
}

/// krb5.conf with [`INCLUDE`] as its first line; `None` where the folder is included before the first section already.
///
/// The first line, because libkrb5 takes the first value that it reads: behind a `default_realm` of the file's own,
/// ours would count for nothing.
pub fn with_include(text: &[u8]) -> Option<Vec<u8>> {
    let included = lines(text).take_while(|line| !line.trim_ascii_start().starts_with(b"[")).any(includes_the_folder);
    if included {
        return None;
    }
    let mut edited = format!("{INCLUDE}\n").into_bytes();
    edited.extend_from_slice(text);
    Some(edited)
}

/// krb5.conf without the first line that is [`INCLUDE`]; `None` where there is none.
pub fn without_include(text: &[u8]) -> Option<Vec<u8>> {
    let mut start = 0;
    for line in lines(text) {
        if line.trim_ascii() == INCLUDE.as_bytes() {
            let mut edited = text[..start].to_vec();
            edited.extend_from_slice(&text[start + line.len()..]);
            return Some(edited);
        }
        start += line.len();
    }
    None
}

/// Lines with their newline.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

fn includes_the_folder(line: &[u8]) -> bool {
    // libkrb5 knows the directive at the very start of a line only.
    let Some(folder) = line.strip_prefix(b"includedir") else { return false };
    folder.first().is_some_and(u8::is_ascii_whitespace)
        && matches!(folder.trim_ascii(), b"/etc/krb5.conf.d/" | b"/etc/krb5.conf.d")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &[u8] = b"[libdefaults]\n\tdefault_realm = ATHENA.MIT.EDU\n\n# caf\xe9 in Latin-1\n[realms]\n";

    #[test]
    fn the_line_comes_first_and_goes_without_a_trace() {
        let joined = with_include(DEBIAN).unwrap();
        assert!(joined.starts_with(b"includedir /etc/krb5.conf.d/\n[libdefaults]\n"));
        assert_eq!(with_include(&joined), None, "a second join adds a second line");
        assert_eq!(without_include(&joined).unwrap(), DEBIAN);
        assert_eq!(without_include(DEBIAN), None);
        assert_eq!(without_include(&with_include(b"").unwrap()).unwrap(), b"");
    }

    #[test]
    fn an_include_behind_a_section_does_not_count() {
        let red_hat = b"# To opt out ...\nincludedir /etc/krb5.conf.d/\n\n[logging]\n";
        assert_eq!(with_include(red_hat), None);
        let late = b"[libdefaults]\n default_realm = X\nincludedir /etc/krb5.conf.d/\n";
        assert!(with_include(late).is_some());
        assert!(with_include(b"# includedir /etc/krb5.conf.d/\n").is_some());
        assert!(with_include(b"includedir /etc/krb5.conf.d.old/\n").is_some());
    }

    #[test]
    fn what_others_wrote_meanwhile_stays() {
        let mut edited = b"# mine\n".to_vec();
        edited.extend(with_include(DEBIAN).unwrap());
        edited.extend(b"[logging]\n");
        let left = without_include(&edited).unwrap();
        assert_eq!(left, [b"# mine\n", DEBIAN, b"[logging]\n"].concat());
    }

    #[test]
    fn a_kdc_is_pinned_only_when_named() {
        let free = snippet("aadds.contoso.com", "AADDS.CONTOSO.COM", &[]);
        assert!(free.contains("    rdns = false\n") && free.contains("    dns_canonicalize_hostname = false\n"));
        assert!(free.contains("permitted_enctypes = aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96\n"));
        assert!(!free.contains("  kdc =") && !free.contains("rc4"));
        let pinned = snippet("aadds.contoso.com", "AADDS.CONTOSO.COM", &["dc1.aadds.contoso.com".to_owned()]);
        assert!(pinned.contains("    AADDS.CONTOSO.COM = {\n        kdc = dc1.aadds.contoso.com\n    }\n"));
    }
}
