//! Linker settings of the library: see ld(1).
//!
//! `libentra.map` gives each function its symbol version. rustc hands the linker a script of its own, which knows no
//! versions, and no linker takes two of them: the one here puts ours in its place.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

include!("../cdylib.rs");

fn main() -> std::io::Result<()> {
    let folder = env::var("OUT_DIR").map_err(std::io::Error::other)?;
    let map = Path::new(&env::var("CARGO_MANIFEST_DIR").map_err(std::io::Error::other)?).join("libentra.map");
    let linker = Path::new(&folder).join("ld.bfd");
    std::fs::write(&linker, linker_with(&map))?;
    std::fs::set_permissions(&linker, std::fs::Permissions::from_mode(0o755))?;
    // The linker is the one that lies in the folder, as gcc looks for it.
    link(&["-Wl,-soname,libentra.so.1", "-fuse-ld=bfd", &format!("-B{folder}")]);
    println!("cargo::rerun-if-changed={}", map.display());
    Ok(())
}

/// A program that is ld(1) with another version script.
fn linker_with(map: &Path) -> String {
    format!(
        "#!/bin/sh\n\
         for argument do\n\
         \tshift\n\
         \tcase $argument in --version-script=*) argument='--version-script={}' ;; esac\n\
         \tset -- \"$@\" \"$argument\"\n\
         done\n\
         exec ld.bfd \"$@\"\n",
        map.display()
    )
}
