//! The password: taken from the stack or asked for, then handed on in a stream of its own. It is never put into a
//! message, an argument, the environment or the log.

use std::io::Write;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use entra_wire::protocol::MAX_PASSWORD;
use pam::constants::{PAM_PROMPT_ECHO_OFF, PamResultCode};
use pam::conv::Conv;
use pam::items::AuthTok;
use pam::module::PamHandle;
use pam::secret::SecretBytes;

use crate::options::Call;
use crate::{ffi, status};

/// The password for this authentication: PAM_AUTHTOK where a module before this one left it, else the answer to a
/// prompt, which is then left as PAM_AUTHTOK for the modules behind.
///
/// # Errors
/// [`status::BAD_PASSWORD`] where `use_first_pass` forbids the prompt (as pam_unix answers); a failed conversation.
pub(crate) fn obtain(pamh: &mut PamHandle, call: &Call) -> Result<SecretBytes, PamResultCode> {
    if let Ok(Some(known)) = pamh.get_item::<AuthTok>() {
        return Ok(known.to_owned_secret());
    }
    if call.use_first_pass {
        return Err(status::BAD_PASSWORD);
    }
    let answer = match pamh.get_item::<Conv>() {
        Ok(Some(conversation)) => conversation.send(PAM_PROMPT_ECHO_OFF, "Password: "),
        _ => return Err(status::NO_CONVERSATION),
    };
    let password = answer.map_err(|code| status::of_conversation(&code))?.ok_or(status::NO_CONVERSATION)?;
    ffi::set_authtok(pamh, password.as_bytes());
    Ok(password)
}

/// Whether a password can be sent at all. An empty one is refused here: a KDC would take it for an account without a
/// password.
pub(crate) fn can_be_sent(password: &[u8]) -> bool {
    !password.is_empty() && password.len() <= MAX_PASSWORD && !password.contains(&0)
}

/// The reading end of a stream that holds `password` and then ends; close-on-exec. A stream's buffer takes
/// [`MAX_PASSWORD`] bytes at once, so the write never waits.
///
/// A pipe would end only once nobody holds its writing end: a child that another thread of the host forks in this
/// moment has it too, and the daemon would wait for that child. A socket ends when it is told to.
///
/// # Errors
/// When the process has no descriptor left.
pub(crate) fn stream_of(password: &[u8]) -> std::io::Result<OwnedFd> {
    let (reader, writer) = UnixStream::pair()?;
    let reader = above_stderr(reader.into())?;
    let mut writer = UnixStream::from(above_stderr(writer.into())?);
    writer.write_all(password)?;
    writer.shutdown(Shutdown::Write)?;
    Ok(reader)
}

/// Never descriptor 0, 1 or 2: where the host closed those, another of its threads may be about to write there.
fn above_stderr(fd: OwnedFd) -> std::io::Result<OwnedFd> {
    if fd.as_raw_fd() > 2 { Ok(fd) } else { fd.try_clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn the_longest_password_fits_the_stream_without_a_reader() {
        let password = vec![b'p'; MAX_PASSWORD];
        let mut read = Vec::new();
        UnixStream::from(stream_of(&password).unwrap()).read_to_end(&mut read).unwrap();
        assert_eq!(read, password);
    }

    #[test]
    fn what_cannot_be_a_password_is_not_sent() {
        assert!(can_be_sent(b"correct horse"));
        assert!(!can_be_sent(b"") && !can_be_sent(b"a\0b") && !can_be_sent(&vec![b'p'; MAX_PASSWORD + 1]));
    }
}
