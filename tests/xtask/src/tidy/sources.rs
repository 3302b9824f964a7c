//! The length of a file, words that a crate must not use, libraries that one folder alone names.

use super::rust_text::{has_word, lines, tests_begin};
use super::{Finding, Text};

/// Lines of a Rust file at most. Long before that there is a seam to cut at.
const LONGEST: usize = 500;

/// Words that may not stand in the code (tests aside) of these folders, and what is right instead.
const WORDS: &[(&[&str], &[&str], &str)] = &[
    (
        &["nss_entra/src/", "pam_entra/src/", "common/wire/src/"],
        &["println!", "eprintln!", "print!", "eprint!", "dbg!"],
        "a module prints nothing: standard output belongs to the host process",
    ),
    (
        &["nss_entra/src/", "pam_entra/src/", "common/wire/src/"],
        &["thread::spawn", "thread::scope", "thread::Builder"],
        "a module starts no thread: the host process may fork or end at any time",
    ),
    (
        &["nss_entra/src/", "pam_entra/src/", "common/wire/src/"],
        &["process::exit", "process::abort", "libc::exit", "libc::_exit", "libc::abort"],
        "a module never ends the host process: answer with a status",
    ),
    (
        &["pam_entra/src/"],
        &["env::var", "env::var_os", "env::vars", "getenv", "secure_getenv"],
        "pam_entra honours no environment variable: whoever starts a login program would decide about it",
    ),
    (&["common/core/src/"], &["UnixListener", "TcpListener"], "core serves no socket: entrad does"),
    (
        &[
            "nss_entra/src/",
            "pam_entra/src/",
            "common/wire/src/",
            "common/core/src/",
            "common/krb5/src/",
            "common/capi/src/",
            "entrad/src/",
            "entractl/src/",
        ],
        &["allow(clippy::unwrap_used", "allow(clippy::expect_used", "allow(clippy::panic"],
        "outside of tests an error is handled: no crate that is installed allows itself to panic",
    ),
];

/// A library is named by its adapter alone, and by nothing else in the crate.
const ADAPTERS: &[(&str, &[&str])] = &[
    ("ldap3", &["common/core/src/directory/"]),
    ("hickory_resolver", &["common/core/src/discovery/"]),
    ("rusqlite", &["common/core/src/store/"]),
];

/// Every finding in the workspace's Rust files.
pub fn check(texts: &[Text]) -> Vec<Finding> {
    let sources = texts.iter().filter(|text| text.is_rust());
    sources.flat_map(|text| [too_long(text), words(text), adapters(text)].concat()).collect()
}

fn too_long(text: &Text) -> Vec<Finding> {
    match text.text.lines().count() {
        count if count > LONGEST => {
            let what = format!("{count} lines: a file has {LONGEST} at most, find the seam and cut there");
            vec![Finding::new(&text.path, LONGEST + 1, what)]
        }
        _ => Vec::new(),
    }
}

fn words(text: &Text) -> Vec<Finding> {
    let rules: Vec<_> =
        WORDS.iter().filter(|(folders, ..)| folders.iter().any(|folder| text.path.starts_with(folder))).collect();
    if rules.is_empty() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let lines = lines(&text.text);
    for (at, line) in lines[..tests_begin(&lines)].iter().enumerate() {
        for (_, words, right) in &rules {
            for word in words.iter().filter(|word| stands(&line.code, word)) {
                findings.push(Finding::new(&text.path, at + 1, format!("`{word}`: {right}")));
            }
        }
    }
    findings
}

fn stands(code: &str, word: &str) -> bool {
    // A word that ends in a sign has its end there.
    match word.strip_suffix('!') {
        Some(name) => code.match_indices(word).any(|(at, _)| {
            has_word(&code[at..=at + name.len()], name)
                && !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
        }),
        None => has_word(code, word),
    }
}

fn adapters(text: &Text) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (library, folders) in ADAPTERS {
        if folders.iter().any(|folder| text.path.starts_with(folder)) || text.path.starts_with("tests/") {
            continue;
        }
        for (at, line) in lines(&text.text).iter().enumerate() {
            if has_word(&line.code, library) {
                let what =
                    format!("`{library}` is named outside of {}: use the trait that stands before it", folders[0]);
                findings.push(Finding::new(&text.path, at + 1, what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<usize> {
        let text = Text { path: path.into(), text: text.into() };
        check(&[text]).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_file_of_501_lines_is_found() {
        assert_eq!(findings("entrad/src/a.rs", &"\n".repeat(501)), [501]);
        assert!(findings("entrad/src/a.rs", &"\n".repeat(500)).is_empty());
    }

    #[test]
    fn words_that_a_module_must_not_use_are_found() {
        for code in ["println!(\"x\");", "std::thread::spawn(f);", "std::process::exit(1);", "eprintln!();"] {
            assert_eq!(findings("nss_entra/src/a.rs", code).len(), 1, "{code}");
            assert!(findings("entractl/src/a.rs", code).is_empty(), "{code}");
        }
        assert_eq!(findings("pam_entra/src/a.rs", "\nstd::env::var_os(\"ENTRA_RUN_DIR\");"), [2]);
        assert_eq!(findings("common/core/src/a.rs", "use tokio::net::UnixListener;"), [1]);
        assert_eq!(findings("entrad/src/a.rs", "#[allow(clippy::unwrap_used)]"), [1]);
    }

    #[test]
    fn comments_strings_and_unit_tests_may_use_them() {
        for text in ["// println!()", "\"println!()\"", "#[cfg(test)]\nmod tests {\n    println!();\n}", "sprintln!()"]
        {
            assert!(findings("nss_entra/src/a.rs", text).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_library_outside_of_its_adapter_is_found() {
        assert_eq!(findings("common/core/src/lookup/mod.rs", "use ldap3::Ldap;"), [1]);
        assert_eq!(findings("entrad/src/worker/mod.rs", "\nuse rusqlite::Connection;"), [2]);
        assert!(findings("common/core/src/directory/ldap.rs", "use ldap3::Ldap;").is_empty());
    }
}
