//! `id:u64 body`: the number that brings an answer back to its request, before the message itself.

use serde::Serialize;

use super::seqpacket::MAX_MESSAGE;

/// Puts the id before the message in postcard.
pub(crate) fn join<T: Serialize>(id: u64, message: &T) -> Result<Vec<u8>, String> {
    let bytes = postcard::to_extend(message, id.to_le_bytes().to_vec()).map_err(|error| error.to_string())?;
    if bytes.len() > MAX_MESSAGE { Err("longer than a message may be".into()) } else { Ok(bytes) }
}

/// Takes both apart; `None` for a message without an id.
pub(crate) fn split(message: &[u8]) -> Option<(u64, &[u8])> {
    let (id, body) = message.split_first_chunk()?;
    Some((u64::from_le_bytes(*id), body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_come_back_and_a_giant_is_refused() {
        let message = join(7, &"text").unwrap();
        let (id, body) = split(&message).unwrap();
        assert_eq!((id, postcard::from_bytes::<&str>(body)), (7, Ok("text")));
        assert!(split(&message[..7]).is_none());
        assert!(join(7, &"x".repeat(MAX_MESSAGE)).is_err());
    }
}
