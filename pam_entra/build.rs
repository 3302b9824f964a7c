//! How the module is linked: see ld(1).

fn main() {
    for argument in [
        // The name under which PAM's administrators know it; the file is renamed when it is packaged.
        "-Wl,-soname,pam_entra.so",
        // Our calls stay ours, whatever symbols the host program exports.
        "-Wl,-Bsymbolic",
        // A missing symbol fails when the module is loaded, not in the middle of a login.
        "-Wl,-z,now",
        // Rust's runtime keeps thread-local destructors: the code must outlive dlclose.
        "-Wl,-z,nodelete",
    ] {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
