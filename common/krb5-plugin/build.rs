//! Linker settings of the plugin.

fn main() {
    let arguments = [
        // A host process that has functions of the same names keeps them to itself.
        "-Wl,-Bsymbolic",
        // Every symbol is found at load: no lookup in the middle of a call, and a read-only GOT.
        "-Wl,-z,now",
        "-Wl,-z,relro",
        // Never unmapped: another thread may be inside, and Rust's thread-locals have destructors.
        "-Wl,-z,nodelete",
        // A symbol that no library offers is a build failure, not a failed dlopen on somebody's host.
        "-Wl,-z,defs",
    ];
    for argument in arguments {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
