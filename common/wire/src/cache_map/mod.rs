//! `/run/entra/cache.map`: answers that the daemon gave, in memory that every process on the host shares. A lookup that
//! finds one there costs no system call, no lock and no allocation.
//!
//! | Module | Holds |
//! |---|---|
//! | [`layout`] | where everything stands; both sides use it |
//! | [`memory`] | what a map is read from, each access checked |
//! | [`reader`] | finding a key, copying an answer |
//! | [`limits`] | what no map can go beyond: records are looked up through them |
//! | [`mapping`] | the file in this process |
//!
//! The writer is `entra_core::cache`. The layout is drawn in `docs/design/cache-map.md`.

pub mod layout;
pub mod limits;
#[allow(unsafe_code)] // FFI edge: open, mmap, and the mapped memory as words.
pub mod mapping;
pub mod memory;
pub mod reader;

pub use layout::Key;
pub use limits::{Limits, Nobody};
pub use mapping::{Mapped, Place, SharedMap};
pub use memory::Memory;
pub use reader::View;
