//! Manifests, the code map, paths of one machine.

use std::path::Path;

use super::{Finding, Text};

/// What may stand right below the root in a path that a tracked file names: the places of the file hierarchy standard
/// and the kernel's. Anything else is a path of the machine that the file was written on.
const TOP: [&str; 21] = [
    "bin",
    "boot",
    "dev",
    "etc",
    "home",
    "lib",
    "lib64",
    "media",
    "mnt",
    // Keys of dconf(7), which are written as paths.
    "org",
    "nonexistent",
    "opt",
    "proc",
    "root",
    "run",
    "sbin",
    "srv",
    "sys",
    "tmp",
    "usr",
    "var",
];

/// What a developer has at home and an administrator has not.
const WORKSHOP: [&str; 5] = [".cargo", ".rustup", "src", "git", "projects"];

/// Every finding in manifests, documents and other texts.
pub fn check(texts: &[Text], root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let checkout = format!("{}/", root.display());
    for text in texts {
        if text.path.ends_with("Cargo.toml") {
            findings.extend(manifest(text));
        }
        if !is_foreign(&text.path) {
            findings.extend(paths_of_a_machine(text, &checkout));
        }
    }
    findings.extend(code_map(texts));
    findings
}

/// Written by tools or by others.
fn is_foreign(path: &str) -> bool {
    path == "Cargo.lock" || path.starts_with("LICENSE")
}

fn manifest(text: &Text) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_crate = text.text.lines().any(|line| line.trim() == "[package]");
    let lines: Vec<&str> = text.text.lines().map(str::trim).collect();
    let inherits = lines.windows(2).any(|pair| pair == ["[lints]", "workspace = true"]);
    if is_crate && !inherits {
        findings.push(Finding::new(
            &text.path,
            1,
            "the workspace's lints are not inherited: add `[lints]` with `workspace = true`",
        ));
    }
    for (at, line) in lines.iter().enumerate() {
        if line.replace(' ', "") == "panic=\"abort\"" {
            let what = "a panic must unwind into a module's guard: with `abort` it ends the host process";
            findings.push(Finding::new(&text.path, at + 1, what));
        }
    }
    findings
}

/// ARCHITECTURE.md names the folder of every crate.
fn code_map(texts: &[Text]) -> Vec<Finding> {
    let Some(map) = texts.iter().find(|text| text.path == "ARCHITECTURE.md") else {
        return vec![Finding::new("ARCHITECTURE.md", 1, "there is none: a reader finds the crates by its code map")];
    };
    let crates = texts.iter().filter_map(|text| text.path.strip_suffix("/Cargo.toml"));
    crates
        .filter(|folder| !map.text.contains(&format!("`{folder}`")))
        .map(|folder| Finding::new(&map.path, 1, format!("the code map does not name `{folder}`")))
        .collect()
}

fn paths_of_a_machine(text: &Text, checkout: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in text.text.lines().enumerate() {
        let paths = absolute_paths(line).filter(|path| !is_common(path) || path.starts_with(checkout));
        findings.extend(paths.map(|path| {
            let what =
                format!("{path} is a path of one machine: say where it is from the workspace's root, or find it out");
            Finding::new(&text.path, at + 1, what)
        }));
    }
    findings
}

fn is_common(path: &str) -> bool {
    let mut parts = path.split('/').skip(1);
    let below = match parts.next() {
        Some("home") => parts.nth(1),
        Some("root") => parts.next(),
        Some(top) if TOP.contains(&top) => None,
        _ => return false,
    };
    below.is_none_or(|below| !WORKSHOP.contains(&below))
}

/// Words of a line that are absolute paths of two parts or more: `/a/b`. A slash inside a word begins none.
fn absolute_paths(line: &str) -> impl Iterator<Item = &str> {
    let is_edge = |c: char| c.is_whitespace() || "\"'`([{<=,;:|".contains(c);
    // What closes a bracket begins no path: in `{root}/etc` the slash goes on with one.
    line.split(is_edge).map(|word| word.trim_end_matches([')', ']', '}', '>', '.'])).filter(|word| {
        let mut parts = word.split('/');
        let is_name =
            |part: &str| part.len() > 1 && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        parts.next() == Some("") && parts.next().is_some_and(is_name) && parts.next().is_some_and(is_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, text: &str) -> Text {
        Text { path: path.into(), text: text.into() }
    }

    #[test]
    fn a_manifest_without_the_lints_is_found() {
        let inherits = "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n";
        assert!(manifest(&text("a/Cargo.toml", inherits)).is_empty());
        assert_eq!(manifest(&text("a/Cargo.toml", "[package]\nname = \"a\"\n")).len(), 1);
        assert!(manifest(&text("Cargo.toml", "[workspace]\n")).is_empty());
    }

    #[test]
    fn an_abort_is_found() {
        assert_eq!(manifest(&text("Cargo.toml", "[profile.release]\npanic = \"abort\"\n"))[0].line, 2);
        assert!(manifest(&text("Cargo.toml", "[profile.release]\npanic = \"unwind\"\n")).is_empty());
    }

    #[test]
    fn a_crate_that_the_code_map_forgets_is_found() {
        let crates = [text("common/wire/Cargo.toml", ""), text("entrad/Cargo.toml", "")];
        let found = |map: &str| {
            let texts: Vec<Text> =
                crates.iter().map(|a| text(&a.path, "")).chain([text("ARCHITECTURE.md", map)]).collect();
            code_map(&texts).len()
        };
        assert_eq!(found("| `common/wire` | `entrad` |"), 0);
        assert_eq!(found("| `common/wire` |"), 1);
        assert_eq!(code_map(&crates).len(), 1, "no map at all");
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        let found = |line: &str| paths_of_a_machine(&text("a", line), "/var/checkout/").len();
        // Put together here: this file is checked too.
        for (before, path) in [
            ("see `", "Users/someone"),
            ("cp x \"", "build/entrad\""),
            ("PATH=", "root/.cargo/bin"),
            ("", "home/me/src/x"),
            ("(see ", "build/entrad)."),
            ("cd ", "var/checkout/target"),
        ] {
            assert_eq!(found(&format!("{before}/{path}")), 1, "{path}");
        }
        for line in [
            "/etc/entra/entra.toml",
            "ldap/host/domain",
            "and/or",
            "https://example.com/a/b",
            "1/2",
            "/home/%u",
            "// comment",
            "root:x:0:0::/root:/bin/sh",
            "/root/.ssh/id_ed25519",
            "s/alpha/beta/",
            "{root}/build/entrad",
            "/a/b",
        ] {
            assert_eq!(found(line), 0, "{line}");
        }
    }
}
