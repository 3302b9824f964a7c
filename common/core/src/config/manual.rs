//! What an administrator reads: the example configuration and entra.toml(5), both made from the table of options.

use std::fmt::Write;

use super::options::{Kind, OPTIONS, Opt, Scope, of_scope};
use super::value::in_words;

/// How the rules of access are combined: `common/core/src/auth/rules.rs`.
const RULES: [&str; 4] = [
    "Root and local users are never judged. For a domain's user the account comes first: disabled, expired, locked, \
     logonHours (UTC), userWorkstations (the host's NetBIOS name). Then these rules, and the first that decides does:",
    "1. deny_users and deny_groups of the domain, then those of the service: whoever is named is refused. 2. filter of \
     the domain, then that of the service: whoever does not match is refused. 3. allow_users and allow_groups of the \
     service let in. 4. default of the service, where it is set, decides. 5. allow_users, permit and allow_groups of the \
     domain let in. 6. default of the domain decides.",
    "A table with default = \"deny\", a filter and no list that allows anybody lets in, in the place of its default, \
     whoever matches the filter.",
    "\"entractl explain USER --service SERVICE\" shows each rule with what came of it.",
];

/// Width of the example's comments, in characters.
const WIDTH: usize = 100;

/// An `entra.toml` that says everything and sets nothing: prose behind `# `, options behind `#`, with their defaults,
/// or an example where they have none.
pub fn example() -> String {
    let mut out = String::new();
    comment(&mut out, "", "Configuration of entrad. See entra.toml(5); check it with \"entractl config check\".");
    comment(
        &mut out,
        "",
        "Every option has a default, so a joined host needs no more than the two lines that \"entractl join\" writes. \
         Options are shown with their defaults, or with an example where they are unset.",
    );
    for opt in of_scope(Scope::Global) {
        example_option(&mut out, opt);
    }
    out.push('\n');
    comment(&mut out, "", "One table per domain, named by the domain's DNS name in quotes.");
    out.push_str("#[domains.\"aadds.contoso.com\"]\n");
    for opt in of_scope(Scope::Domain) {
        example_option(&mut out, opt);
    }
    out.push('\n');
    comment(&mut out, "", "Who may log in.");
    out.push_str("#[domains.\"aadds.contoso.com\".access]\n");
    for opt in of_scope(Scope::Access) {
        example_option(&mut out, opt);
    }
    out.push('\n');
    comment(&mut out, "", "Who may log in through one PAM service, named as its file in /etc/pam.d.");
    out.push_str("#[domains.\"aadds.contoso.com\".access.services.sshd]\n");
    for opt in of_scope(Scope::Service) {
        example_option(&mut out, opt);
    }
    out.push('\n');
    comment(&mut out, "", "How much the domain's users may keep on a file system: \"entractl quota apply\" sets it.");
    out.push_str("#[quota.\"/srv/share\"]\n");
    for opt in of_scope(Scope::Quota) {
        example_option(&mut out, opt);
    }
    out.push('\n');
    comment(&mut out, "", "What the members of a group have instead.");
    out.push_str("#[quota.\"/srv/share\".groups.\"research\"]\n");
    for opt in of_scope(Scope::QuotaGroup) {
        example_option(&mut out, opt);
    }
    out
}

fn example_option(out: &mut String, opt: &Opt) {
    out.push('\n');
    comment(out, "", &format!("{} {}", opt.summary, opt.details));
    if let Kind::Choice { served, .. } = opt.kind
        && served.len() > 1
    {
        comment(out, "", &format!("One of {}.", served.join(", ")));
    }
    let value = opt.default.filter(|default| *default != "[]");
    let _ = writeln!(out, "#{} = {}", opt.key, value.unwrap_or(opt.example));
}

fn comment(out: &mut String, indent: &str, text: &str) {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + word.chars().count() + 3 > WIDTH {
            let _ = writeln!(out, "{indent}# {line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        let _ = writeln!(out, "{indent}# {line}");
    }
}

/// entra.toml(5) in roff, man macros.
pub fn man_page() -> String {
    let mut out = String::from(
        ".\\\" Made from the table of options in common/core/src/config/options.rs: change that.\n\
         .TH ENTRA.TOML 5 \"\" entrad \"File formats\"\n\
         .nh\n\
         .ad l\n\
         .SH NAME\n\
         entra.toml \\- configuration of entrad and its NSS and PAM modules\n\
         .SH SYNOPSIS\n\
         .I /etc/entra/entra.toml\n\
         .SH DESCRIPTION\n",
    );
    for paragraph in [
        "The file is TOML, at most 256 KiB, owned by root with mode 0644; it holds no secret. entractl(8) join writes it. \
         A missing file means that no domain is configured.",
        "An unknown key, a value of the wrong type or overlapping id ranges are refused when entrad starts, with file, \
         line and column, and with what would be right; \"entractl config check\" says the same beforehand.",
        "Durations are a number and one of the units s, m, h and d, in quotes, or several of these, the largest first: \"15s\", \"90m\", \"1h30m\", \"30d\".",
    ] {
        let _ = writeln!(out, ".PP\n{}", roff(paragraph));
    }
    section(&mut out, "OPTIONS AT THE TOP OF THE FILE", "These stand before the first table.", Scope::Global);
    section(
        &mut out,
        "OPTIONS OF A DOMAIN",
        "These stand in a table of the domain's DNS name, in quotes: [domains.\"aadds.contoso.com\"].",
        Scope::Domain,
    );
    section(
        &mut out,
        "ACCESS",
        "These stand in a table below the domain's, such as [domains.\"aadds.contoso.com\".access].",
        Scope::Access,
    );
    section(
        &mut out,
        "ACCESS THROUGH ONE SERVICE",
        "These stand in a table of the PAM service, named as its file in /etc/pam.d, such as \
         [domains.\"aadds.contoso.com\".access.services.sshd].",
        Scope::Service,
    );
    section(
        &mut out,
        "QUOTAS",
        "These stand in a table of a file system, named by where it is mounted: [quota.\"/srv/share\"]. \"entractl quota \
         apply\" gives these limits to every user of the domains who has files there or is known to entrad. Nothing else \
         sets them: run it by a timer. entrad itself does not read them.",
        Scope::Quota,
    );
    section(
        &mut out,
        "QUOTAS OF A GROUP",
        "These stand in a table of a group below the file system's, such as [quota.\"/srv/share\".groups.\"research\"], by \
         any form of its name or by its SID. They are limits of each member, not of the group, in the place of the file \
         system's; members of nested groups count. Whoever is in several of these groups has the largest soft and the \
         largest hard limit among them, and none where one of them has none.",
        Scope::QuotaGroup,
    );
    out.push_str(".SH ORDER OF THE RULES\n");
    for paragraph in RULES {
        let _ = writeln!(out, ".PP\n{}", roff(paragraph));
    }
    out.push_str(
        ".SH EXAMPLES\nA managed domain: only the members of two groups may log in, and through sshd those of one:\n\
         .PP\n.RS\n.nf\n",
    );
    for line in [
        "[domains.\"aadds.contoso.com\"]",
        "preset = \"entra-ds\"",
        "",
        "[domains.\"aadds.contoso.com\".access]",
        "default = \"deny\"",
        "allow_groups = [\"linux-users\", \"linux-admins\"]",
        "deny_users = [\"mallory\"]",
        "",
        "[domains.\"aadds.contoso.com\".access.services.sshd]",
        "default = \"deny\"",
        "allow_groups = [\"linux-admins\"]",
        "",
        "[quota.\"/srv/share\"]",
        "soft = \"10G\"",
        "hard = \"12G\"",
    ] {
        let _ = writeln!(out, "{}", roff(line));
    }
    out.push_str(".fi\n.RE\n.SH SEE ALSO\n.BR entrad (8),\n.BR entractl (8),\n.BR nss_entra (8),\n.BR pam_entra (8)\n");
    out
}

fn section(out: &mut String, title: &str, intro: &str, scope: Scope) {
    let _ = writeln!(out, ".SH {}\n{}", roff(title), roff(intro));
    for opt in OPTIONS.iter().filter(|opt| opt.scope == scope) {
        let _ = writeln!(out, ".TP\n.BR {} {}", roff(opt.key), quoted(&format!(" = {}", takes(opt.kind))));
        let _ = writeln!(out, "{}", roff(opt.summary));
        if !opt.details.is_empty() {
            let _ = writeln!(out, "{}", roff(opt.details));
        }
        match opt.default {
            Some("[]") => out.push_str(".br\nDefault: empty.\n"),
            Some(default) => {
                let _ = writeln!(out, ".br\nDefault: {}.", roff(default));
            }
            None => out.push_str(".br\nDefault: unset.\n"),
        }
        if opt.default != Some(opt.example) {
            let _ = writeln!(out, ".br\nExample: {}.", roff(&format!("{} = {}", opt.key, opt.example)));
        }
    }
}

fn takes(kind: Kind) -> String {
    match kind {
        Kind::Bool => "true | false".into(),
        Kind::Duration { least, most } => format!("duration, {} to {}", in_words(least), in_words(most)),
        Kind::Integer => "number".into(),
        Kind::Mebibytes { most } => format!("number, 0 to {most}"),
        Kind::Size => "size".into(),
        Kind::Text => "text".into(),
        Kind::TextList => "list of texts".into(),
        Kind::Accounts => "list of names or SIDs".into(),
        Kind::Choice { served, .. } => served.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" | "),
        Kind::IdRange => "\"LOW-HIGH\"".into(),
        Kind::Hosts => "list of hosts".into(),
        Kind::DnsServers => "list of addresses".into(),
        Kind::Dn => "DN".into(),
        Kind::DnList => "list of DNs".into(),
        Kind::IdBlocks => "list of \"RID:LOW-HIGH\"".into(),
        Kind::AttributeList => "list of attributes".into(),
        Kind::Services => "list of services".into(),
        Kind::Filter => "LDAP filter".into(),
        Kind::Path => "path".into(),
        Kind::HomeTemplate => "path template".into(),
        Kind::CcacheTemplate => "ccache template".into(),
    }
}

/// One argument of a macro: in double quotes, its own doubled (groff_man(7)).
fn quoted(text: &str) -> String {
    format!("\"{}\"", roff(text).replace('"', "\"\""))
}

/// Text as roff shows it: backslashes and hyphens are escaped, and no line begins with a control character.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}
