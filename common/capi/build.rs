//! Linker settings of the library: see ld(1).
//!
//! `libentra.map` gives each function its symbol version. rustc hands the linker a script of its own, which knows no
//! versions, and no linker takes two of them: the one here puts ours in its place.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = env::var("OUT_DIR").map_err(std::io::Error::other)?;
    let map = Path::new(&env::var("CARGO_MANIFEST_DIR").map_err(std::io::Error::other)?).join("libentra.map");
    let linker = Path::new(&folder).join("ld.bfd");
    std::fs::write(&linker, linker_with(&map))?;
    std::fs::set_permissions(&linker, std::fs::Permissions::from_mode(0o755))?;
    let arguments = [
        "-Wl,-soname,libentra.so.1",
        // A host process that has functions of the same names keeps them to itself.
        "-Wl,-Bsymbolic",
        // Every symbol is found at load: no lookup in the middle of a call, and a read-only GOT.
        "-Wl,-z,now",
        "-Wl,-z,relro",
        // Never unmapped: another thread may be inside, and Rust's thread-locals have destructors.
        "-Wl,-z,nodelete",
        // A symbol that no library offers is a build failure, not a failed start on somebody's host.
        "-Wl,-z,defs",
        // The one that lies in the folder below, as gcc looks for it.
        "-fuse-ld=bfd",
    ];
    for argument in arguments {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
    println!("cargo::rustc-cdylib-link-arg=-B{folder}");
    println!("cargo::rerun-if-changed=build.rs");
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
