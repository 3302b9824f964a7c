//! What a map is read from: words, each access checked. A mapped file, or words that a test made.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// Words that somebody else may be writing. Offsets are in bytes; one that is no multiple of 4 or lies outside reads
/// as `None`, so that no offset of a file has to be believed.
pub trait Memory {
    /// The word at `at`.
    fn word(&self, at: u32) -> Option<u32>;

    /// The word at `at`; what was written before the store that put it there is seen from now on.
    fn acquire(&self, at: u32) -> Option<u32>;

    /// Reads before this are done before reads after it.
    fn fence(&self);

    /// Fills `into` with the bytes from `at` on, and gives them.
    fn copy<'b>(&self, at: u32, into: &'b mut [MaybeUninit<u8>]) -> Option<&'b mut [u8]> {
        let mut at = at;
        for place in into.chunks_mut(4) {
            for (byte, slot) in self.word(at)?.to_ne_bytes().iter().zip(place) {
                slot.write(*byte);
            }
            at = at.checked_add(4)?;
        }
        Some(super::mapping::written(into))
    }

    /// The `count` words from `at` on; fewer, or none, where some of them lie outside.
    fn words(&self, at: u32, count: u32) -> impl Iterator<Item = u32> {
        (0..count).map_while(move |number| self.word(at.checked_add(number.checked_mul(4)?)?))
    }
}

impl Memory for [AtomicU32] {
    #[inline]
    fn word(&self, at: u32) -> Option<u32> {
        place(self, at).map(|word| word.load(Ordering::Relaxed))
    }

    #[inline]
    fn acquire(&self, at: u32) -> Option<u32> {
        place(self, at).map(|word| word.load(Ordering::Acquire))
    }

    #[inline]
    fn fence(&self) {
        fence(Ordering::Acquire);
    }

    #[inline]
    fn words(&self, at: u32, count: u32) -> impl Iterator<Item = u32> {
        let first = at as usize / 4;
        let range = first..first.saturating_add(count as usize);
        let words = if at.is_multiple_of(4) { self.get(range) } else { None };
        words.unwrap_or_default().iter().map(|word| word.load(Ordering::Relaxed))
    }
}

impl<M: Memory + ?Sized> Memory for Arc<M> {
    fn word(&self, at: u32) -> Option<u32> {
        (**self).word(at)
    }

    fn acquire(&self, at: u32) -> Option<u32> {
        (**self).acquire(at)
    }

    fn fence(&self) {
        (**self).fence();
    }
}

#[inline]
fn place(words: &[AtomicU32], at: u32) -> Option<&AtomicU32> {
    if at.is_multiple_of(4) { words.get(at as usize / 4) } else { None }
}
