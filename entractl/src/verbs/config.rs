//! `config check`: whether the daemon would take the configuration, and what is wrong where.

use std::path::Path;

use serde_json::json;

use crate::cli::ConfigAction;
use crate::exit::Failure;
use crate::output::Answer;

/// Reads the file as the daemon does.
pub(super) fn run(action: &ConfigAction) -> Result<Answer, Failure> {
    let ConfigAction::Check { file } = action;
    check(file)
}

fn check(file: &Path) -> Result<Answer, Failure> {
    match entra_core::config::load(file) {
        Ok(config) => {
            let domains: Vec<_> = config.domains.iter().map(|domain| domain.name.clone()).collect();
            let named = if domains.is_empty() { "no domain".to_owned() } else { domains.join(", ") };
            let text = format!("{}: in order ({named})", file.display());
            Ok(Answer::done(text, json!({ "file": file, "valid": true, "domains": domains })))
        }
        Err(error) => {
            let mut failure = Failure::no("config check", error.to_string());
            failure.more = Some(json!({
                "file": file, "valid": false, "line": error.line, "column": error.column, "message": error.message,
            }));
            Err(failure)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::file::tests::Folder;

    #[test]
    fn the_place_of_a_mistake_is_told() {
        let folder = Folder::new();
        let file = folder.0.join("entra.toml");
        std::fs::write(&file, "[domains.\"a.example\"]\npreset = \"entra-ds\"\n").unwrap();
        let answer = check(&file).unwrap();
        assert_eq!(answer.json["domains"], json!(["a.example"]));
        std::fs::write(&file, "cache_ttl = \"1h\"\nno_such_key = 1\n").unwrap();
        let failure = check(&file).unwrap_err();
        assert!(failure.error.contains("entra.toml:2:1"), "{}", failure.error);
        assert_eq!(failure.to_json()["line"], 2);
        assert!(check(&folder.0.join("none.toml")).is_err());
    }
}
