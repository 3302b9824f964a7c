//! Linker settings of the plugin.

include!("../cdylib.rs");

fn main() {
    link(&[]);
}
