//! What a map is written to: words, as [`entra_wire::cache_map::Memory`] reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use entra_wire::cache_map::Memory;

/// Words that readers see as they change. A store outside of the memory does nothing: offsets are the writer's own, and
/// each append checks for room first.
pub trait MemoryMut: Memory {
    /// Bytes.
    fn size(&self) -> u32;

    /// Changes a word that nothing leads to yet, or one that readers expect to change.
    fn store(&self, at: u32, value: u32);

    /// Changes a word that leads to what was written before: whoever reads it sees all of that.
    fn release(&self, at: u32, value: u32);

    /// Stores after this are not seen before stores before it.
    fn fence_stores(&self);
}

impl MemoryMut for [AtomicU32] {
    fn size(&self) -> u32 {
        u32::try_from(size_of_val(self)).unwrap_or(u32::MAX)
    }

    fn store(&self, at: u32, value: u32) {
        if let Some(word) = self.get(at as usize / 4) {
            word.store(value, Ordering::Relaxed);
        }
    }

    fn release(&self, at: u32, value: u32) {
        if let Some(word) = self.get(at as usize / 4) {
            word.store(value, Ordering::Release);
        }
    }

    fn fence_stores(&self) {
        fence(Ordering::Release);
    }
}

impl<M: MemoryMut + ?Sized> MemoryMut for Arc<M> {
    fn size(&self) -> u32 {
        (**self).size()
    }

    fn store(&self, at: u32, value: u32) {
        (**self).store(at, value);
    }

    fn release(&self, at: u32, value: u32) {
        (**self).release(at, value);
    }

    fn fence_stores(&self) {
        (**self).fence_stores();
    }
}
