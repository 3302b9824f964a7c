//! Reading and writing the grammar's primitives. Nothing here allocates on the reading side.

use crate::protocol::{MAGIC, MAX_CURSOR, Op, Status, VERSION};

/// Why a body could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecError {
    /// The body ends in the middle of a field.
    Truncated,
    /// Bytes are left over after the last field.
    Trailing,
    /// A field has a value that the grammar does not allow (magic, version, operation, NUL in a string, UTF-8).
    Malformed,
    /// A field is longer than the grammar allows.
    TooLong,
}

/// A cursor over one body.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `body`.
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// Reads the head of a request and gives its operation.
    pub fn request_head(&mut self) -> Result<Op, CodecError> {
        self.head().and_then(|number| Op::from_wire(number).ok_or(CodecError::Malformed))
    }

    /// Reads the head of a reply and gives its status.
    pub fn reply_head(&mut self) -> Result<Status, CodecError> {
        self.head().and_then(|number| Status::from_wire(number).ok_or(CodecError::Malformed))
    }

    fn head(&mut self) -> Result<u8, CodecError> {
        if self.u16()? != MAGIC || self.u8()? != VERSION {
            return Err(CodecError::Malformed);
        }
        self.u8()
    }

    /// Takes `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(CodecError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        self.bytes(N)?.try_into().map_err(|_| CodecError::Truncated)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, CodecError> {
        self.array().map(|[byte]| byte)
    }

    /// A 16-bit number.
    pub fn u16(&mut self) -> Result<u16, CodecError> {
        self.array().map(u16::from_le_bytes)
    }

    /// A 32-bit number.
    pub fn u32(&mut self) -> Result<u32, CodecError> {
        self.array().map(u32::from_le_bytes)
    }

    /// A string's bytes; refuses a NUL inside, so that it may become a C string.
    pub fn string(&mut self) -> Result<&'a [u8], CodecError> {
        let length = usize::from(self.u16()?);
        let bytes = self.bytes(length)?;
        if bytes.contains(&0) {
            return Err(CodecError::Malformed);
        }
        Ok(bytes)
    }

    /// A string that must be UTF-8.
    pub fn text(&mut self) -> Result<&'a str, CodecError> {
        std::str::from_utf8(self.string()?).map_err(|_| CodecError::Malformed)
    }

    /// An enumeration's cursor: any bytes, NUL too.
    pub fn cursor(&mut self) -> Result<&'a [u8], CodecError> {
        let length = usize::from(self.u16()?);
        if length > MAX_CURSOR { Err(CodecError::TooLong) } else { self.bytes(length) }
    }

    /// The count of a list whose elements take at least `least` bytes each: refuses a count that the rest of the body
    /// cannot hold, so that a hostile count costs nothing.
    pub fn count(&mut self, least: usize) -> Result<usize, CodecError> {
        let count = usize::try_from(self.u32()?).map_err(|_| CodecError::TooLong)?;
        if count.saturating_mul(least.max(1)) > self.rest.len() {
            return Err(CodecError::Truncated);
        }
        Ok(count)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// The end of the body: refuses bytes that are left over.
    pub fn end(&self) -> Result<(), CodecError> {
        if self.rest.is_empty() { Ok(()) } else { Err(CodecError::Trailing) }
    }
}

/// Builds one frame: the length goes in front when it is finished.
#[derive(Clone, Debug)]
pub struct Writer {
    frame: Vec<u8>,
}

impl Writer {
    /// Starts a request.
    pub fn request(op: Op) -> Self {
        Self::start(op as u8)
    }

    /// Starts a reply.
    pub fn reply(status: Status) -> Self {
        Self::start(status as u8)
    }

    fn start(number: u8) -> Self {
        let mut frame = vec![0; 4];
        frame.extend_from_slice(&MAGIC.to_le_bytes());
        frame.push(VERSION);
        frame.push(number);
        Self { frame }
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.frame.extend_from_slice(bytes);
        self
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    /// Appends a 16-bit number.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Appends a 32-bit number.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Appends a string, cut at its first NUL and at 65,535 bytes: what reaches a module is always a whole C string.
    pub fn string(&mut self, bytes: &[u8]) -> &mut Self {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()).min(usize::from(u16::MAX));
        self.u16(end as u16);
        self.raw(&bytes[..end])
    }

    /// Appends an enumeration's cursor. One that is longer than [`MAX_CURSOR`], which nobody makes, ends the
    /// enumeration.
    pub fn cursor(&mut self, bytes: &[u8]) -> &mut Self {
        let bytes = if bytes.len() > MAX_CURSOR { &[] } else { bytes };
        self.u16(bytes.len() as u16);
        self.raw(bytes)
    }

    /// Appends the count of a list.
    pub fn count(&mut self, count: usize) -> &mut Self {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Bytes written so far, without the length in front.
    pub fn body_len(&self) -> usize {
        self.frame.len() - 4
    }

    /// The frame, length first.
    pub fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.body_len()).unwrap_or(u32::MAX);
        self.frame[..4].copy_from_slice(&length.to_le_bytes());
        self.frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_string_comes_back_as_written(bytes in prop::collection::vec(1u8.., 0..300), number: u32) {
            let mut writer = Writer::request(Op::PasswdByName);
            writer.string(&bytes).u32(number);
            let frame = writer.finish();
            prop_assert_eq!(u32::from_le_bytes(frame[..4].try_into().unwrap()) as usize, frame.len() - 4);
            let mut reader = Reader::new(&frame[4..]);
            prop_assert_eq!(reader.request_head(), Ok(Op::PasswdByName));
            prop_assert_eq!(reader.string(), Ok(&bytes[..]));
            prop_assert_eq!(reader.u32(), Ok(number));
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn a_cursor_comes_back_as_written(bytes in prop::collection::vec(any::<u8>(), 0..=MAX_CURSOR)) {
            let mut writer = Writer::reply(Status::Ok);
            writer.cursor(&bytes);
            let frame = writer.finish();
            let mut reader = Reader::new(&frame[8..]);
            prop_assert_eq!(reader.cursor(), Ok(&bytes[..]));
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            let _ = reader.request_head();
            let _ = reader.string();
            let _ = reader.count(3);
            let _ = reader.cursor();
            let _ = reader.end();
        }
    }

    #[test]
    fn every_prefix_of_a_frame_is_refused() {
        let mut writer = Writer::request(Op::PasswdByName);
        writer.string(b"alice");
        let frame = writer.finish();
        for cut in 4..frame.len() {
            let mut reader = Reader::new(&frame[4..cut]);
            let whole = reader.request_head().and_then(|_| reader.string());
            assert!(whole.is_err(), "a body cut at {cut} was taken");
        }
    }

    #[test]
    fn a_count_beyond_the_body_is_refused() {
        let mut reader = Reader::new(&[0xff, 0xff, 0xff, 0x7f, 0, 0]);
        assert_eq!(reader.count(2), Err(CodecError::Truncated));
    }

    #[test]
    fn a_nul_never_leaves_the_writer() {
        let mut writer = Writer::reply(Status::Ok);
        writer.string(b"ali\0ce");
        let frame = writer.finish();
        let mut reader = Reader::new(&frame[8..]);
        assert_eq!(reader.string(), Ok(&b"ali"[..]));
    }
}
