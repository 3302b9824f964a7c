//! Putting a record into the caller's memory: whole or not at all, with the size that it needs. FFI edge.

use std::ffi::{c_char, c_void};

use crate::status::Failure;

/// The caller's buffer, and where the size goes that it should have.
pub(crate) struct Room {
    at: *mut u8,
    left: usize,
}

impl Room {
    /// Takes `size` bytes at `buffer`, of which `wanted` are needed; tells `needed` how many, where that is not null.
    ///
    /// # Errors
    /// [`Failure::Range`] where they are more.
    ///
    /// # Safety
    /// `buffer` is null or `size` bytes there may be written, and `needed` is null or may be written.
    pub(crate) unsafe fn new(
        buffer: *mut c_void,
        size: usize,
        needed: *mut usize,
        wanted: usize,
    ) -> Result<Self, Failure> {
        if !needed.is_null() {
            // SAFETY: the caller's promise.
            unsafe { needed.write(wanted) };
        }
        if wanted > size || buffer.is_null() {
            return Err(Failure::Range);
        }
        Ok(Self { at: buffer.cast(), left: size })
    }

    /// Copies a string and ends it with NUL. Null where there is no room, which [`Room::new`] has seen to.
    pub(crate) fn string(&mut self, text: &[u8]) -> *const c_char {
        let Some(place) = self.take(text.len() + 1) else { return std::ptr::null() };
        // SAFETY: `take` gave so many bytes, which nobody else uses.
        unsafe {
            place.copy_from_nonoverlapping(text.as_ptr(), text.len());
            place.add(text.len()).write(0);
        }
        place.cast()
    }

    /// Copies numbers; the buffer is aligned for them.
    pub(crate) fn numbers(&mut self, numbers: &[u32]) {
        if let Some(place) = self.take(size_of_val(numbers)) {
            // SAFETY: as above; bytes have no alignment.
            unsafe { place.copy_from_nonoverlapping(numbers.as_ptr().cast(), size_of_val(numbers)) };
        }
    }

    /// Copies strings, and gives an array of pointers to them that ends with a null one.
    pub(crate) fn strings(&mut self, texts: &[Vec<u8>]) -> *const *const c_char {
        let gap = self.at.align_offset(align_of::<*const c_char>());
        let size = (texts.len() + 1) * size_of::<*const c_char>();
        let place = self.take(gap).and_then(|_| self.take(size));
        let Some(array) = place.map(<*mut u8>::cast::<*const c_char>) else { return std::ptr::null() };
        for (at, text) in texts.iter().enumerate() {
            let string = self.string(text);
            // SAFETY: `array` has room for one pointer more than there are texts, and is aligned by the gap before it.
            unsafe { array.add(at).write(string) };
        }
        // SAFETY: as above.
        unsafe { array.add(texts.len()).write(std::ptr::null()) };
        array
    }

    fn take(&mut self, count: usize) -> Option<*mut u8> {
        self.left = self.left.checked_sub(count)?;
        let taken = self.at;
        // SAFETY: `count` bytes from `at` on are the caller's, so the end of them is in or right behind its buffer.
        self.at = unsafe { taken.add(count) };
        Some(taken)
    }
}

/// Bytes that these strings take.
pub(crate) fn of_strings(texts: &[Vec<u8>]) -> usize {
    texts.iter().map(|text| text.len() + 1).sum()
}

/// Bytes that [`Room::strings`] takes at most: the array may have to be moved to where a pointer can stand.
pub(crate) fn of_array(texts: &[Vec<u8>]) -> usize {
    of_strings(texts) + (texts.len() + 1) * size_of::<*const c_char>() + align_of::<*const c_char>() - 1
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn a_record_fits_exactly_or_not_at_all_wherever_the_buffer_starts() {
        let texts = [b"alice".to_vec(), Vec::new(), b"bo".to_vec()];
        for shift in 0..8 {
            let mut memory = [0xee_u8; 128];
            let start: *mut c_void = memory[shift..].as_mut_ptr().cast();
            let (wanted, mut needed) = (of_array(&texts), 0);
            // SAFETY: live memory, of which less is named than there is.
            let short = unsafe { Room::new(start, wanted - 1, &raw mut needed, wanted) };
            assert_eq!((short.err(), needed), (Some(Failure::Range), wanted));
            // SAFETY: as above.
            let mut room = unsafe { Room::new(start, wanted, std::ptr::null_mut(), wanted) }.unwrap();
            let array = room.strings(&texts);
            assert_eq!(array as usize % align_of::<*const c_char>(), 0);
            for (at, text) in texts.iter().enumerate() {
                // SAFETY: the array has these strings.
                assert_eq!(unsafe { CStr::from_ptr(*array.add(at)) }.to_bytes(), text);
            }
            // SAFETY: and a null pointer behind them.
            assert!(unsafe { *array.add(texts.len()) }.is_null());
            assert!(memory[shift + wanted..].iter().all(|byte| *byte == 0xee), "bytes beyond the buffer were written");
        }
    }
}
