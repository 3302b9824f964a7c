//! Every kept input once more, without libFuzzer: what was found stays found.

#![allow(clippy::unwrap_used)] // Test code.

use std::path::Path;

use entra_fuzz::TARGETS;

#[test]
fn every_kept_input_is_taken() {
    for target in TARGETS {
        let mut inputs: Vec<(String, Vec<u8>)> =
            (target.seeds)().into_iter().enumerate().map(|(number, seed)| (format!("seed {number}"), seed)).collect();
        assert!(!inputs.is_empty(), "{} has no seed", target.name);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            inputs.push((file.path().display().to_string(), std::fs::read(file.path()).unwrap()));
        }
        for (name, input) in inputs {
            println!("{}: {name}", target.name);
            (target.run)(&input);
        }
    }
}
