//! Linker settings of the module.

include!("../common/cdylib.rs");

fn main() {
    // The name under which PAM's administrators know it; the file is renamed when it is packaged.
    link(&["-Wl,-soname,pam_entra.so"]);
}
