//! Linker settings of the library: see ld(1).

fn main() {
    for argument in ["-Wl,-soname,libentra.so.1", "-Wl,-Bsymbolic", "-Wl,-z,now", "-Wl,-z,nodelete"] {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
