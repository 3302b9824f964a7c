//! Packing a record into the caller's memory: no allocation, nothing cleared that is not used, every pointer array
//! aligned. FFI edge: this is where C's pointers become slices and slices become C's pointers.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::mem::MaybeUninit;

use libc::{c_char, size_t};

use crate::status::Failure;

/// A name as the caller gave it; a null pointer is the empty name, which is nobody's.
///
/// # Safety
/// `name` is null or a C string that outlives the borrow.
pub(crate) unsafe fn text<'a>(name: *const c_char) -> &'a [u8] {
    // SAFETY: the caller's promise.
    if name.is_null() { b"" } else { unsafe { CStr::from_ptr(name) }.to_bytes() }
}

/// The struct that an entry point fills, and the memory for what it points to.
pub(crate) struct Destination<'a, C> {
    /// The caller's struct; written when everything else stands.
    pub(crate) record: &'a mut MaybeUninit<C>,
    /// The caller's buffer.
    pub(crate) buffer: Buffer<'a>,
}

impl<C> Destination<'_, C> {
    /// Takes the caller's pointers.
    ///
    /// # Safety
    /// `record` may be written; `buffer` is null or has `length` bytes; nobody else uses either while this lives.
    pub(crate) unsafe fn new(record: *mut C, buffer: *mut c_char, length: size_t) -> Self {
        let free: &mut [MaybeUninit<u8>] = if buffer.is_null() {
            &mut []
        } else {
            // No slice is longer than isize::MAX; neither is any memory.
            let length = length.min(isize::MAX.cast_unsigned());
            // SAFETY: the caller's promise.
            unsafe { std::slice::from_raw_parts_mut(buffer.cast(), length) }
        };
        // SAFETY: the caller's promise; any bytes are a MaybeUninit.
        Self { record: unsafe { &mut *record.cast() }, buffer: Buffer { free } }
    }

    /// The same for one of several tries: the enumeration offers entries until one is given.
    pub(crate) fn reborrow(&mut self) -> Destination<'_, C> {
        Destination { record: self.record, buffer: Buffer { free: self.buffer.free } }
    }
}

/// What is left of the caller's buffer.
pub(crate) struct Buffer<'a> {
    free: &'a mut [MaybeUninit<u8>],
}

impl<'a> Buffer<'a> {
    /// Copies a string and ends it with NUL.
    ///
    /// # Errors
    /// [`Failure::BufferTooSmall`].
    pub(crate) fn string(&mut self, bytes: &[u8]) -> Result<*mut c_char, Failure> {
        self.mapped(bytes, |byte| byte)
    }

    /// Copies a text that stands between colons in a line: what would end the field or the line becomes a space.
    ///
    /// # Errors
    /// [`Failure::BufferTooSmall`].
    pub(crate) fn field(&mut self, bytes: &[u8]) -> Result<*mut c_char, Failure> {
        self.mapped(bytes, |byte| if byte == b':' || byte.is_ascii_control() { b' ' } else { byte })
    }

    fn mapped(&mut self, bytes: &[u8], map: impl Fn(u8) -> u8) -> Result<*mut c_char, Failure> {
        let place = self.take(bytes.len().saturating_add(1))?;
        for (slot, byte) in place.iter_mut().zip(bytes) {
            slot.write(map(*byte));
        }
        if let Some(end) = place.last_mut() {
            end.write(0);
        }
        Ok(place.as_mut_ptr().cast())
    }

    /// Room for `count` pointers, aligned, all null.
    ///
    /// # Errors
    /// [`Failure::BufferTooSmall`].
    pub(crate) fn pointers(&mut self, count: usize) -> Result<&'a mut [*mut c_char], Failure> {
        let gap = self.free.as_ptr().align_offset(align_of::<*mut c_char>());
        let size = count.checked_mul(size_of::<*mut c_char>()).ok_or(Failure::BufferTooSmall)?;
        // Both or nothing.
        if gap.saturating_add(size) > self.free.len() {
            return Err(Failure::BufferTooSmall);
        }
        self.take(gap)?;
        let place = self.take(size)?;
        place.fill(MaybeUninit::zeroed());
        // SAFETY: `place` is aligned for pointers (the gap before it), has room for `count` of them, is borrowed from
        // the caller's buffer for 'a and from nothing else, and zero bytes are null pointers.
        Ok(unsafe { std::slice::from_raw_parts_mut(place.as_mut_ptr().cast(), count) })
    }

    /// Room for so many bytes.
    ///
    /// # Errors
    /// [`Failure::BufferTooSmall`].
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a mut [MaybeUninit<u8>], Failure> {
        let free = std::mem::take(&mut self.free);
        match free.split_at_mut_checked(count) {
            None => Err(Failure::BufferTooSmall),
            Some((taken, rest)) => {
                self.free = rest;
                Ok(taken)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(memory: &mut [u8]) -> Buffer<'_> {
        let mut record = 0_u8;
        // SAFETY: both are live and borrowed for as long as the buffer.
        unsafe { Destination::new(&raw mut record, memory.as_mut_ptr().cast(), memory.len()) }.buffer
    }

    #[test]
    fn a_string_fits_exactly_or_not_at_all() {
        for length in 0..8 {
            let mut memory = vec![0xee; length];
            let packed = over(&mut memory).string(b"alice");
            assert_eq!(packed.is_ok(), length >= 6, "{length}");
            if packed.is_ok() {
                assert_eq!(&memory[..6], b"alice\0");
            }
            assert!(memory.iter().skip(6).all(|byte| *byte == 0xee), "bytes beyond the string were written");
        }
    }

    #[test]
    fn pointers_are_aligned_wherever_the_buffer_starts() {
        let mut memory = [0xee_u8; 128];
        for shift in 0..8 {
            let mut buffer = over(&mut memory[shift..]);
            buffer.string(b"ab").unwrap();
            let pointers = buffer.pointers(3).unwrap();
            assert_eq!(pointers.as_ptr() as usize % align_of::<*mut c_char>(), 0);
            assert!(pointers.iter().all(|pointer| pointer.is_null()));
        }
    }

    #[test]
    fn an_array_that_does_not_fit_is_refused_whatever_its_size() {
        let mut memory = [0_u8; 64];
        for count in [8, 9, usize::MAX / 8, usize::MAX] {
            let mut buffer = over(&mut memory[1..]);
            assert_eq!(buffer.pointers(count).err(), Some(Failure::BufferTooSmall), "{count}");
        }
    }

    #[test]
    fn a_field_cannot_end_its_line() {
        let mut memory = [0_u8; 32];
        over(&mut memory).field("Zoë:\n0".as_bytes()).unwrap();
        assert!(memory.starts_with("Zoë  0\0".as_bytes()));
    }

    #[test]
    fn no_buffer_is_an_empty_one() {
        let mut record = 0_u8;
        // SAFETY: no buffer is given.
        let mut into = unsafe { Destination::new(&raw mut record, std::ptr::null_mut(), 100) };
        assert_eq!(into.buffer.string(b""), Err(Failure::BufferTooSmall));
    }
}
