//! libFuzzer over one target: `ENTRA_FUZZ_TARGET=NAME fuzz FOLDER… -max_total_time=SECONDS`. With `ENTRA_FUZZ_SEEDS=FOLDER`
//! it prints the targets' names instead and writes what each begins with. `cargo xtask fuzz` builds it with the
//! instrumentation that it needs, and does both.

#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use entra_fuzz::{TARGETS, Target};

libfuzzer_sys::fuzz_target!(init: { prepare() }, |data: &[u8]| {
    (chosen().run)(data);
});

fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&'static Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("ENTRA_FUZZ_TARGET").unwrap_or_default();
        TARGETS.iter().find(|target| target.name == name).expect("ENTRA_FUZZ_TARGET names a target")
    })
}

fn prepare() {
    let Some(folder) = std::env::var_os("ENTRA_FUZZ_SEEDS") else { return };
    for target in TARGETS {
        let folder = Path::new(&folder).join(target.name);
        std::fs::create_dir_all(&folder).expect("a folder for the seeds");
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), seed).expect("room for a seed");
        }
        println!("{}", target.name);
    }
    std::process::exit(0);
}
