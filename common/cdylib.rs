// How a library is linked that other people's programs load: see ld(1). Included by the build scripts of all of them.

/// Arguments for the compiler that links.
const ARGUMENTS: [&str; 5] = [
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

/// Has Cargo pass them on; `more` are the library's own.
fn link(more: &[&str]) {
    for argument in ARGUMENTS.iter().chain(more) {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
