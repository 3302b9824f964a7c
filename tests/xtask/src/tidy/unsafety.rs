//! Where `unsafe` may stand, and that each block says why it is sound.

use super::rust_text::{Line, has_word, lines};
use super::{Finding, Text};

/// The FFI edges: files, and folders that end with a slash. Nothing else needs `unsafe`; what would, goes behind one
/// of these.
const PLACES: [&str; 37] = [
    // Peer credentials, deadlines on connect; descriptors in messages.
    "common/wire/src/socket.rs",
    "common/wire/src/rights.rs",
    // The shared cache: mapped memory, in the modules and in the daemon.
    "common/wire/src/cache_map/mapping.rs",
    // AT_SECURE and the process's user; settings that are read once.
    "common/wire/src/settings.rs",
    "common/core/src/cache/region.rs",
    // MIT libkrb5 and its GSSAPI.
    "common/krb5/src/",
    // libkrb5's plugin interfaces.
    "common/krb5-plugin/src/abi.rs",
    // The C ABI.
    "common/capi/src/",
    // nsswitch: C's pointers become borrows, and glibc's arrays grow.
    "nss_entra/src/lib.rs",
    "nss_entra/src/buffer.rs",
    "nss_entra/src/initgroups.rs",
    "nss_entra/src/status.rs",
    // PAM: the handle, and who the caller is.
    "pam_entra/src/ffi.rs",
    "pam_entra/src/uid.rs",
    // fork, capabilities, sockets of whole messages, kinds of descriptors, and calls that drop rights.
    "entrad/src/broker/child.rs",
    "entrad/src/broker/copy.rs",
    "entrad/src/broker/seqpacket.rs",
    "entrad/src/helper/password.rs",
    "entrad/src/worker/receive.rs",
    // The allocator's bounds.
    "entrad/src/worker/memory.rs",
    // Keys of the kernel.
    "entrad/src/keyring.rs",
    "entrad/src/places.rs",
    "entrad/src/privileges.rs",
    "entrad/src/seccomp/mod.rs",
    // A module loaded as glibc would, a lock between processes, the terminal's echo, Samba's libtdb.
    "entractl/src/module.rs",
    "entractl/src/host/lock.rs",
    "entractl/src/terminal.rs",
    "entractl/src/verbs/samba/tdb.rs",
    // Namespaces, mounts and processes of the lab.
    "tests/lab/src/place.rs",
    "tests/lab/src/process.rs",
    // The bench: modules called as glibc calls them, and a module that does nothing.
    "tests/bench/src/null.rs",
    "tests/bench/src/bin/bench-driver/ffi.rs",
    // The fault table's load: glibc's lookups.
    "tests/chaos/src/bin/chaos-load/ffi.rs",
    // Programs that do to themselves what the tests want done.
    "tests/plugin/src/bin/nss-driver/ffi.rs",
    "tests/plugin/src/bin/nss-driver/pace.rs",
    "tests/plugin/tests/pam/",
    // The NSS module's entries, called with buffers of every size.
    "tests/fuzz/src/entries.rs",
];

/// Every finding in the workspace's Rust files.
pub fn check(texts: &[Text]) -> Vec<Finding> {
    let sources = texts.iter().filter(|text| text.is_rust());
    sources.flat_map(in_file).chain(no_longer_needed(texts, &PLACES)).collect()
}

fn in_file(text: &Text) -> Vec<Finding> {
    [in_places(text), with_reasons(text), refused_elsewhere(text)].concat()
}

/// A place without `unsafe` is an invitation.
fn no_longer_needed(texts: &[Text], places: &[&str]) -> Vec<Finding> {
    let used = |place: &&&str| {
        texts.iter().any(|text| {
            text.is_rust() && text.path.starts_with(**place) && lines_with_unsafe(&lines(&text.text)).next().is_some()
        })
    };
    let unused = places.iter().filter(|place| !used(place));
    unused.map(|place| Finding::new(file!(), 1, format!("{place} has no `unsafe`: take it from the list"))).collect()
}

fn may_be_unsafe(path: &str) -> bool {
    PLACES.iter().any(|place| path == *place || (place.ends_with('/') && path.starts_with(place)))
}

fn in_places(text: &Text) -> Vec<Finding> {
    if may_be_unsafe(&text.path) {
        return Vec::new();
    }
    let what =
        "`unsafe` stands outside of the FFI edges: put the call behind one of them (tidy/unsafety.rs lists them)";
    lines_with_unsafe(&lines(&text.text)).map(|at| Finding::new(&text.path, at + 1, what)).collect()
}

fn with_reasons(text: &Text) -> Vec<Finding> {
    let lines = lines(&text.text);
    lines_with_unsafe(&lines)
        .filter(|at| needs_reason(&lines, *at) && !has_reason(&lines, *at))
        .map(|at| {
            let what = "this `unsafe` has no `// SAFETY:` comment before it: say why what it relies on holds";
            Finding::new(&text.path, at + 1, what)
        })
        .collect()
}

/// A crate root refuses `unsafe` for the rest of the crate, so that the compiler holds the rule too.
fn refused_elsewhere(text: &Text) -> Vec<Finding> {
    let (folder, file) = text.path.rsplit_once('/').unwrap_or(("", &text.path));
    let is_root = ["lib.rs", "main.rs"].contains(&file) && folder.ends_with("src");
    let free = PLACES.contains(&format!("{folder}/").as_str());
    if !is_root || free || text.text.contains("deny(unsafe_code)") || text.text.contains("forbid(unsafe_code)") {
        return Vec::new();
    }
    vec![Finding::new(
        &text.path,
        1,
        "this crate root says neither `#![forbid(unsafe_code)]` nor `#![deny(unsafe_code)]`",
    )]
}

fn lines_with_unsafe(lines: &[Line]) -> impl Iterator<Item = usize> {
    lines.iter().enumerate().filter(|(_, line)| has_word(&line.code, "unsafe")).map(|(at, _)| at)
}

/// A block or an impl; a function, a function type, an `extern` block and an attribute promise nothing themselves.
fn needs_reason(lines: &[Line], at: usize) -> bool {
    let code = &lines[at].code;
    code.match_indices("unsafe").any(|(start, word)| {
        let after = code[start + word.len()..].trim_start();
        let after = if after.is_empty() { lines.get(at + 1).map_or("", |next| next.code.trim_start()) } else { after };
        after.starts_with('{') || after.starts_with("impl")
    })
}

/// The comment stands on the line itself or above it, within the same statement.
fn has_reason(lines: &[Line], at: usize) -> bool {
    if lines[at].comment.contains("SAFETY:") {
        return true;
    }
    for line in lines[..at].iter().rev() {
        if line.comment.contains("SAFETY:") {
            return true;
        }
        let code = line.code.trim_end();
        let is_attribute = code.trim_start().starts_with("#[");
        let ends_before = code.ends_with([';', '}', '{']) || (code.is_empty() && line.comment.is_empty());
        if ends_before && !is_attribute {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<usize> {
        let text = Text { path: path.into(), text: text.into() };
        in_file(&text).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_block_without_its_reason_is_found() {
        let edge = "nss_entra/src/buffer.rs";
        assert_eq!(findings(edge, "fn a() {\n    unsafe { b() }\n}"), [2]);
        assert_eq!(findings(edge, "unsafe impl Send for A {}"), [1]);
        assert_eq!(findings(edge, "// SAFETY: of another one.\na();\nunsafe { b() };"), [3]);
        assert_eq!(findings(edge, "// SAFETY: far above.\n\nunsafe { b() };"), [3]);
        assert_eq!(findings(edge, "let text = \"// SAFETY: no comment\"; unsafe { b() };"), [1]);
    }

    #[test]
    fn a_block_with_its_reason_is_fine() {
        let edge = "nss_entra/src/buffer.rs";
        for text in [
            "// SAFETY: because.\nunsafe { b() }",
            "// SAFETY: because.\nlet (a, b) =\n    unsafe { b() };",
            "// SAFETY: because.\n#[allow(x)]\nunsafe impl Send for A {}",
            "a(unsafe { b() }); // SAFETY: because.",
            "unsafe extern \"C\" {\n    fn f();\n}",
            "unsafe fn f() {}",
            "#[unsafe(no_mangle)]\nunsafe extern \"C\" fn f() {}",
            "// unsafe { } in a comment",
        ] {
            assert!(findings(edge, text).is_empty(), "{text}");
        }
    }

    #[test]
    fn unsafe_outside_of_the_edges_is_found() {
        let text = "// SAFETY: because.\nunsafe { b() }";
        assert_eq!(findings("common/core/src/lookup/mod.rs", text), [2]);
        assert_eq!(findings("nss_entra/src/passwd.rs", "#[unsafe(no_mangle)]\nfn f() {}"), [1]);
        assert!(findings("common/krb5/src/context.rs", text).is_empty());
    }

    #[test]
    fn a_crate_root_that_refuses_nothing_is_found() {
        assert_eq!(findings("common/core/src/lib.rs", "mod a;"), [1]);
        assert!(findings("common/core/src/lib.rs", "#![forbid(unsafe_code)]\nmod a;").is_empty());
        assert!(findings("common/krb5/src/lib.rs", "mod a;").is_empty());
    }

    #[test]
    fn a_place_that_is_no_longer_needed_is_found() {
        let texts = [Text { path: "a/src/edge.rs".into(), text: "unsafe fn f() {}".into() }];
        assert!(no_longer_needed(&texts, &["a/src/edge.rs", "a/src/"]).is_empty());
        assert_eq!(no_longer_needed(&texts, &["a/src/edge.rs", "b/src/"]).len(), 1);
    }
}
