//! Which crate may depend on which. Imports go down only, and what is loaded into other people's processes brings
//! nothing but what stands here.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::{Finding, output};
use crate::run::root;

/// Crates of this workspace that a crate may depend on (its tests aside).
const OURS: &[(&str, &[&str])] = &[
    ("entra-wire", &[]),
    ("entra-krb5", &[]),
    ("entra-core", &["entra-wire", "entra-krb5"]),
    ("entra-capi", &["entra-wire"]),
    ("entra-krb5-plugin", &["entra-wire"]),
    ("nss_entra", &["entra-wire"]),
    ("pam_entra", &["entra-wire"]),
    ("entrad", &["entra-wire", "entra-core", "entra-krb5"]),
    ("entractl", &["entra-wire", "entra-core", "entra-krb5"]),
    ("entra-lab", &[]),
    ("entra-bench", &["entra-lab"]),
    ("entra-chaos", &["entra-lab"]),
    ("entra-plugin-tests", &["entra-wire"]),
    ("entra-fuzz", &["entra-wire", "entra-core", "entra-krb5", "entrad", "entractl", "entra-fuzz-nss"]),
    ("entra-fuzz-nss", &["entra-wire"]),
    ("xtask", &["entra-lab"]),
];

/// Everything that these crates may bring with them, however far down.
const CLOSURES: &[(&str, &[&str])] = &[
    ("entra-wire", &["libc"]),
    ("entra-capi", &["entra-wire", "libc"]),
    ("entra-krb5-plugin", &["entra-wire", "libc"]),
    // lazy_static and paste come with libnss, whose macros we do not use.
    ("nss_entra", &["entra-wire", "libc", "libnss", "lazy_static", "paste"]),
    (
        "pam_entra",
        &[
            "entra-wire",
            "libc",
            "pam-bindings",
            "zeroize",
            "zeroize_derive",
            "proc-macro2",
            "quote",
            "syn",
            "unicode-ident",
        ],
    ),
    (
        "entra-krb5",
        &[
            "libc",
            "thiserror",
            "thiserror-impl",
            "zeroize",
            "zeroize_derive",
            "proc-macro2",
            "quote",
            "syn",
            "unicode-ident",
        ],
    ),
];

/// Asks cargo, and compares.
///
/// # Errors
/// When cargo does not answer.
pub fn check() -> Result<Vec<Finding>, String> {
    let mut metadata = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    metadata.args(["metadata", "--format-version", "1"]).current_dir(root());
    let metadata: Value = serde_json::from_str(&output(&mut metadata)?).map_err(|error| error.to_string())?;
    let graph = Graph::read(&metadata).ok_or("cargo metadata has another shape than this knows")?;
    Ok(compare(&graph, OURS, CLOSURES))
}

/// Crates by name, without what only their tests use.
#[derive(Default)]
struct Graph {
    /// Members of the workspace, with the path of their manifest.
    members: BTreeMap<String, String>,
    /// What each crate depends on directly.
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read(metadata: &Value) -> Option<Self> {
        let mut graph = Self::default();
        let root = metadata["workspace_root"].as_str()?;
        let mut names = BTreeMap::new();
        for package in metadata["packages"].as_array()? {
            names.insert(package["id"].as_str()?, package["name"].as_str()?);
        }
        for package in metadata["packages"].as_array()? {
            let (id, name) = (&package["id"], package["name"].as_str()?);
            if metadata["workspace_members"].as_array()?.contains(id) {
                let manifest = package["manifest_path"].as_str()?;
                let manifest = manifest.strip_prefix(root).unwrap_or(manifest).trim_start_matches('/');
                graph.members.insert(name.into(), manifest.into());
            }
        }
        for node in metadata["resolve"]["nodes"].as_array()? {
            let from = (*names.get(node["id"].as_str()?)?).to_owned();
            let edges = graph.edges.entry(from).or_default();
            for dependency in node["deps"].as_array()? {
                let kinds = dependency["dep_kinds"].as_array()?;
                let used = kinds.iter().any(|kind| kind["kind"] != "dev" && may_be_linux(&kind["target"]));
                if used {
                    edges.insert((*names.get(dependency["pkg"].as_str()?)?).to_owned());
                }
            }
        }
        Some(graph)
    }

    /// Everything below `name`.
    fn closure(&self, name: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![name.to_owned()];
        while let Some(next) = open.pop() {
            for edge in self.edges.get(&next).into_iter().flatten() {
                if found.insert(edge.clone()) {
                    open.push(edge.clone());
                }
            }
        }
        found
    }
}

fn may_be_linux(target: &Value) -> bool {
    target
        .as_str()
        .is_none_or(|target| !["windows", "wasm", "macos", "apple"].iter().any(|other| target.contains(other)))
}

fn compare(graph: &Graph, ours: &[(&str, &[&str])], closures: &[(&str, &[&str])]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (member, manifest) in &graph.members {
        let Some((_, allowed)) = ours.iter().find(|(name, _)| name == member) else {
            let what = format!("the crate {member} has no floor: add it to tidy/floors.rs");
            findings.push(Finding::new(manifest, 1, what));
            continue;
        };
        for edge in graph.edges.get(member).into_iter().flatten().filter(|edge| graph.members.contains_key(*edge)) {
            if !allowed.contains(&edge.as_str()) {
                let what = format!("{member} depends on {edge}, which is not below it: imports go down only");
                findings.push(Finding::new(manifest, line_of(manifest, edge), what));
            }
        }
    }
    for (name, allowed) in closures {
        let Some(manifest) = graph.members.get(*name) else {
            findings.push(Finding::new(
                "Cargo.toml",
                1,
                format!("the crate {name} is gone: take it from tidy/floors.rs"),
            ));
            continue;
        };
        for extra in graph.closure(name).iter().filter(|extra| !allowed.contains(&extra.as_str())) {
            let what = format!("{name} brings {extra} into every process that loads it: it may bring {allowed:?} only");
            findings.push(Finding::new(manifest, line_of(manifest, extra), what));
        }
    }
    findings
}

/// The line of the manifest that names a dependency; the first where it comes from further down.
fn line_of(manifest: &str, dependency: &str) -> usize {
    let text = std::fs::read_to_string(root().join(manifest)).unwrap_or_default();
    text.lines().position(|line| line.starts_with(dependency)).map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> Graph {
        let mut graph = Graph::default();
        for (name, to) in edges {
            graph.members.insert((*name).into(), format!("{name}/Cargo.toml"));
            graph.edges.insert((*name).into(), to.iter().map(|to| (*to).to_owned()).collect());
        }
        graph
    }

    #[test]
    fn an_edge_upwards_is_found() {
        let floors: &[(&str, &[&str])] = &[("low", &[]), ("high", &["low"])];
        assert!(compare(&graph(&[("low", &[]), ("high", &["low"])]), floors, &[]).is_empty());
        let findings = compare(&graph(&[("low", &["high"]), ("high", &[])]), floors, &[]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.starts_with("low depends on high"), "{}", findings[0]);
    }

    #[test]
    fn a_crate_without_a_floor_is_found() {
        assert_eq!(compare(&graph(&[("new", &[])]), &[], &[]).len(), 1);
    }

    #[test]
    fn what_a_module_brings_along_is_found_however_far_down() {
        let mut graph = graph(&[("module", &["thin"])]);
        graph.edges.insert("thin".into(), ["serde".to_owned()].into());
        let findings = compare(&graph, &[("module", &[])], &[("module", &["thin"])]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.contains("brings serde"), "{}", findings[0]);
    }

    #[test]
    fn a_rule_for_a_crate_that_is_gone_is_found() {
        assert_eq!(compare(&graph(&[]), &[], &[("gone", &[])]).len(), 1);
    }

    #[test]
    fn dependencies_of_tests_do_not_count() {
        let metadata = serde_json::json!({
            "workspace_root": "/w",
            "workspace_members": ["a"],
            "packages": [
                {"id": "a", "name": "a", "manifest_path": "/w/a/Cargo.toml"},
                {"id": "p", "name": "proptest", "manifest_path": "/r/p/Cargo.toml"},
                {"id": "l", "name": "libc", "manifest_path": "/r/l/Cargo.toml"},
                {"id": "w", "name": "windows-sys", "manifest_path": "/r/w/Cargo.toml"},
            ],
            "resolve": {"nodes": [{"id": "a", "deps": [
                {"pkg": "p", "dep_kinds": [{"kind": "dev", "target": null}]},
                {"pkg": "l", "dep_kinds": [{"kind": null, "target": null}, {"kind": "dev", "target": null}]},
                {"pkg": "w", "dep_kinds": [{"kind": null, "target": "cfg(windows)"}]},
            ]}]},
        });
        let graph = Graph::read(&metadata).unwrap();
        assert_eq!(graph.members["a"], "a/Cargo.toml");
        assert_eq!(graph.closure("a"), ["libc".to_owned()].into());
    }
}
