//! Links MIT libkrb5. Its ABI has been stable since 1.7 (`krb5_3_MIT`), so neither headers nor pkg-config are asked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-lib=krb5");
    // Names of encryption types.
    println!("cargo:rustc-link-lib=k5crypto");
}
