//! `dns`: which DNS servers this host asks, who decides that, and changing it.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::testjoin::configured;
use crate::cli::{DnsAction, DnsSet};
use crate::exit::{Exit, Failure};
use crate::host::resolver::{MOST, Resolver, Ruler, Seen};
use crate::host::{Paths, need_root};
use crate::output::{Answer, Output, Step, fields};
use crate::preflight::dns;
use crate::process;

/// Port of DNS.
const PORT: u16 = 53;

/// Does it.
pub(super) fn run(action: &DnsAction, output: &mut Output<'_>) -> Result<Answer, Failure> {
    let resolver = Resolver::below(Path::new("/"));
    match action {
        DnsAction::Show => Ok(show(&resolver.seen())),
        DnsAction::Set(options) if options.revert => revert(&resolver, options, output),
        DnsAction::Set(options) => set(&resolver, options, output),
    }
}

fn show(seen: &Seen) -> Answer {
    let listed = |texts: &[String]| if texts.is_empty() { "none".to_owned() } else { texts.join(", ") };
    let text = fields(&[
        ("ruled by", Some(seen.ruler.name().to_owned())),
        ("servers", Some(listed(&seen.servers))),
        ("search", Some(listed(&seen.search))),
    ]);
    Answer::done(text, seen)
}

fn set(resolver: &Resolver, options: &DnsSet, output: &mut Output<'_>) -> Result<Answer, Failure> {
    if options.addresses.len() > MOST {
        let error = format!("{} addresses: the resolver asks {MOST} at most", options.addresses.len());
        return Err(Failure::new(Exit::Usage, "dns set", error));
    }
    let domains = domains(options)?;
    let ruler = resolver.ruler();
    let path = resolver.file(ruler).ok_or_else(|| {
        Failure::no("dns set", format!("{} rules /etc/resolv.conf, and has no file for this", ruler.name()))
            .remedy("name the servers where it takes them: /etc/network/interfaces, /etc/resolvconf.conf or DHCP")
    })?;
    output.step(Step::ok("ruler", format!("{} rules; {} is written", ruler.name(), path.display())));
    for addr in &options.addresses {
        for domain in &domains {
            output.step(knows(*addr, domain));
        }
    }
    let content = resolver.content(ruler, &options.addresses, &domains);
    let content = content.map_err(|error| Failure::no("dns set", format!("{}: {error}", path.display())))?;
    let json = json!({
        "ruler": ruler, "file": path, "content": String::from_utf8_lossy(&content), "servers": options.addresses,
        "changed": !options.dry_run,
    });
    if options.dry_run {
        let text = format!("\n{} would hold:\n{}", path.display(), String::from_utf8_lossy(&content).trim_end());
        return Ok(Answer::done(text, json));
    }
    need_root("dns set")?;
    let written = resolver.write(ruler, &content);
    written.map_err(|error| Failure::no("dns set", format!("{}: {error}", path.display())))?;
    output.step(Step::ok("write", format!("{} written", path.display())));
    output.step(reload(ruler));
    Ok(Answer::done("", json))
}

fn revert(resolver: &Resolver, options: &DnsSet, output: &mut Output<'_>) -> Result<Answer, Failure> {
    let failed = |error: std::io::Error| Failure::no("dns set", format!("{error}"));
    let Some(undo) = resolver.undo().map_err(failed)? else {
        return Err(Failure::no("dns set", "nothing was set here").remedy("there is nothing to take back"));
    };
    let path = resolver.file(undo.ruler).unwrap_or_default();
    if options.dry_run {
        let text = format!("{} would be as it was before `dns set`", path.display());
        return Ok(Answer::done(text, json!({ "file": path, "changed": false })));
    }
    need_root("dns set")?;
    if !resolver.revert(&undo).map_err(failed)? {
        return Err(Failure::no("dns set", format!("{} was changed by somebody since", path.display()))
            .remedy("edit it by hand, and remove /etc/entra/dns.json"));
    }
    output.step(Step::ok("write", format!("{} is as it was", path.display())));
    output.step(reload(undo.ruler));
    Ok(Answer::done("", json!({ "file": path, "changed": true })))
}

/// The domains that are asked there.
fn domains(options: &DnsSet) -> Result<Vec<String>, Failure> {
    if !options.domain.is_empty() {
        return options.domain.iter().map(|domain| name(domain)).collect();
    }
    Ok(configured(&Paths::installed(), "dns set")?.into_iter().map(|domain| domain.name).collect())
}

/// A domain that may stand in a file of another program.
fn name(text: &str) -> Result<String, Failure> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(allowed) {
        return Err(Failure::new(Exit::Usage, "dns set", format!("`{text}` is no DNS name of a domain")));
    }
    Ok(name)
}

/// Whether a server has the domain's records; one that has not is set all the same, somebody may bring it up later.
fn knows(addr: IpAddr, domain: &str) -> Step {
    match dns::records(domain, &[SocketAddr::new(addr, PORT)]) {
        Ok(servers) => Step::ok("ask", format!("{addr} names {} domain controllers of {domain}", servers.len())),
        Err(failure) => Step::warn("ask", failure.error, "see whether it is the address of a domain controller"),
    }
}

/// Makes the change count.
fn reload(ruler: Ruler) -> Step {
    let words: &[&str] = match ruler {
        Ruler::Resolved => &["/usr/bin/systemctl", "restart", "systemd-resolved.service"],
        Ruler::NetworkManager => &["/usr/bin/nmcli", "general", "reload"],
        Ruler::Resolvconf | Ruler::Nobody => {
            return Step::ok("reload", "every program that looks something up reads the file anew");
        }
    };
    let line = words.join(" ");
    let done = process::run(Command::new(words[0]).args(&words[1..]), process::SERVICE_TIMEOUT, &|| false);
    match done {
        Ok(done) if done.success => Step::ok("reload", format!("{} reads it", ruler.name())),
        Ok(done) => Step::warn("reload", format!("{line}: {}", done.errors.trim()), format!("run `{line}`")),
        Err(error) => Step::warn("reload", error, format!("run `{line}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_rules_is_said_first() {
        let seen = Seen { ruler: Ruler::Resolved, servers: vec!["10.0.0.4".into()], search: Vec::new() };
        let answer = show(&seen);
        assert_eq!(answer.text, "ruled by: systemd-resolved\nservers:  10.0.0.4\nsearch:   none");
        assert_eq!(answer.json["ruler"], "resolved");
    }

    #[test]
    fn a_domain_cannot_bring_lines_of_its_own() {
        assert_eq!(name("D.Example.").unwrap(), "d.example");
        for wrong in ["", "a b", "a\nDNS=6.6.6.6", "~."] {
            assert_eq!(name(wrong).unwrap_err().exit, Exit::Usage, "{wrong:?}");
        }
    }
}
