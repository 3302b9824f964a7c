//! Templates of home directories (`%u %d %U %s`, and `%%` for a percent sign) and of ccache names (`%U`).

/// The placeholders, and what each stands for.
pub(super) const PLACEHOLDERS: &str = "%u (user), %d (domain), %U (uid), %s (sAMAccountName) and %% (a percent sign)";

/// What fills a template in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateValues<'a> {
    /// `%u`: the canonical name.
    pub user: &'a str,
    /// `%d`: the domain's DNS name.
    pub domain: &'a str,
    /// `%U`: the uid.
    pub uid: u32,
    /// `%s`: the sAMAccountName, in the letter case that is wanted.
    pub sam: &'a str,
}

/// Fills a template in. What a directory's names bring can lead no path elsewhere: `/`, `\` and control characters
/// become `_`, and so does the first dot of a name that is `.` or `..`. Templates of a loaded configuration hold known
/// placeholders only; any other is left as it stands.
pub fn expand(template: &str, values: &TemplateValues<'_>) -> String {
    let mut filled = String::with_capacity(template.len() + 32);
    let mut rest = template.chars();
    while let Some(char) = rest.next() {
        if char != '%' {
            filled.push(char);
            continue;
        }
        match rest.next() {
            Some('u') => push_name(&mut filled, values.user),
            Some('d') => push_name(&mut filled, values.domain),
            Some('U') => filled.push_str(&values.uid.to_string()),
            Some('s') => push_name(&mut filled, values.sam),
            Some('%') | None => filled.push('%'),
            Some(other) => filled.extend(['%', other]),
        }
    }
    filled
}

/// Refuses placeholders that [`expand`] does not know. The error names the first one.
pub(super) fn check(template: &str) -> Result<(), String> {
    let mut rest = template.chars();
    while let Some(char) = rest.next() {
        if char == '%' {
            match rest.next() {
                Some('u' | 'd' | 'U' | 's' | '%') => {}
                Some(other) => return Err(format!("unknown placeholder %{other}; known are {PLACEHOLDERS}")),
                None => return Err(format!("a lone % at the end; known placeholders are {PLACEHOLDERS}")),
            }
        }
    }
    Ok(())
}

/// Refuses ccache names with any placeholder but `%U`, or without it: names of the directory have no place in a path
/// that root writes to, and one ccache for all users is nobody's.
pub(super) fn check_ccache(template: &str) -> Result<(), String> {
    match template.replace("%U", "").find('%') {
        Some(_) => Err(format!("\"{template}\" has another placeholder than %U (uid); use %U alone")),
        None if !template.contains("%U") => {
            Err(format!("\"{template}\" is one ccache for all users; put %U into it, such as \"FILE:/tmp/krb5cc_%U\""))
        }
        None => Ok(()),
    }
}

fn push_name(filled: &mut String, name: &str) {
    let dots_only = matches!(name, "." | "..");
    filled.extend(name.chars().enumerate().map(|(at, char)| match char {
        '/' | '\\' => '_',
        '.' if dots_only && at == 0 => '_',
        control if control.is_control() => '_',
        other => other,
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: TemplateValues<'_> =
        TemplateValues { user: "alice@contoso.com", domain: "aadds.contoso.com", uid: 674_001_103, sam: "alice" };

    #[test]
    fn every_placeholder_is_filled_in() {
        assert_eq!(expand("/home/%d/%s", &ALICE), "/home/aadds.contoso.com/alice");
        assert_eq!(expand("/home/%u", &ALICE), "/home/alice@contoso.com");
        assert_eq!(expand("FILE:/tmp/krb5cc_%U_100%%", &ALICE), "FILE:/tmp/krb5cc_674001103_100%");
    }

    #[test]
    fn a_name_leads_no_path_elsewhere() {
        for (user, home) in [("..", "/home/_."), (".", "/home/_"), ("a/../b", "/home/a_.._b"), ("D\\al", "/home/D_al")]
        {
            assert_eq!(expand("/home/%u", &TemplateValues { user, ..ALICE }), home);
        }
    }

    #[test]
    fn what_a_name_contains_is_no_placeholder() {
        assert_eq!(expand("/home/%u", &TemplateValues { user: "%U", ..ALICE }), "/home/%U");
    }

    #[test]
    fn unknown_placeholders_are_named() {
        assert!(check("/home/%f").unwrap_err().contains("%f"));
        assert!(check("/home/%").is_err());
        assert!(check("/home/%u/%%/%d").is_ok());
        assert!(check_ccache("/tmp/krb5cc_%U").is_ok());
        for template in ["/tmp/%%U", "/tmp/%u_%U", "/tmp/%d", "/tmp/x", "/tmp/%U%"] {
            assert!(check_ccache(template).is_err(), "{template}");
        }
    }
}
