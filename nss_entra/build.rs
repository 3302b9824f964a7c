//! Linker settings of the module.

include!("../common/cdylib.rs");

fn main() {
    // glibc asks for this name.
    link(&["-Wl,-soname,libnss_entra.so.2"]);
}
