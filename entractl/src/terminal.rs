//! A password from the terminal without echo, or from standard input. FFI edge: std has no termios.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

use entra_wire::protocol::MAX_PASSWORD;
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};

/// The password of `user`: one line of standard input where `from_stdin`, else asked for on the terminal.
///
/// # Errors
/// When there is none, it is too long, or it is not UTF-8 text of one line.
pub fn password(verb: &str, user: &str, from_stdin: bool) -> Result<Zeroizing<String>, Failure> {
    let fail = |error: &str, remedy: &str| Failure::new(Exit::Usage, verb, error).remedy(remedy);
    let bytes = if from_stdin {
        line(&mut io::stdin().lock()).map_err(|error| fail(&format!("standard input: {error}"), "give one line"))?
    } else {
        ask(user).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => Failure::no(verb, "interrupted"),
            _ => fail(&format!("no terminal to ask for a password on: {error}"), "use --password-stdin"),
        })?
    };
    if bytes.is_empty() {
        return Err(fail("the password is empty", "give it as one line"));
    }
    let text =
        std::str::from_utf8(&bytes).map_err(|_| fail("the password is not UTF-8", "check the terminal's locale"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// One line, without its end. Read byte by byte into memory that never moves, so that no copy is left behind.
fn line(input: &mut impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_PASSWORD));
    let mut byte = Zeroizing::new([0; 1]);
    loop {
        match input.read(&mut *byte) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) if line.len() == MAX_PASSWORD => {
                return Err(io::Error::other(format!("the password is longer than {MAX_PASSWORD} bytes")));
            }
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

fn ask(user: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let _quiet = Quiet::begin(&terminal)?;
    write!(terminal, "Password of {}: ", crate::output::printable(user))?;
    let typed = typed(&mut terminal);
    writeln!(terminal)?;
    typed
}

/// A line as typed, with the keys that a terminal in its usual state would serve.
fn typed(input: &mut impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_PASSWORD));
    let mut key = Zeroizing::new([0; 1]);
    loop {
        if input.read(&mut *key)? == 0 {
            return Ok(line);
        }
        match key[0] {
            b'\n' | b'\r' | 4 => return Ok(line),               // Enter, Ctrl-D
            3 => return Err(io::ErrorKind::Interrupted.into()), // Ctrl-C
            8 | 127 => {
                // Backspace takes a whole character.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            21 => line.clear(), // Ctrl-U
            byte if line.len() < MAX_PASSWORD => line.push(byte),
            _ => return Err(io::Error::other(format!("the password is longer than {MAX_PASSWORD} bytes"))),
        }
    }
}

/// The terminal without echo, line editing and signals of its own until dropped: Ctrl-C must not leave it mute.
struct Quiet {
    fd: i32,
    before: libc::termios,
}

impl Quiet {
    fn begin(terminal: &File) -> io::Result<Self> {
        let fd = terminal.as_raw_fd();
        let mut before = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: the pointer is to room for one termios.
        if unsafe { libc::tcgetattr(fd, before.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: tcgetattr succeeded, so it filled it.
        let before = unsafe { before.assume_init() };
        let mut quiet = before;
        quiet.c_lflag &= !(libc::ECHO | libc::ICANON | libc::ISIG);
        quiet.c_cc[libc::VMIN] = 1;
        quiet.c_cc[libc::VTIME] = 0;
        // SAFETY: the pointer is to a termios that lives for the call.
        if unsafe { libc::tcsetattr(fd, libc::TCSAFLUSH, &raw const quiet) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { fd, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // SAFETY: the pointer is to a termios that lives for the call. A descriptor that is closed only gives an error.
        unsafe { libc::tcsetattr(self.fd, libc::TCSAFLUSH, &raw const self.before) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_and_nothing_behind_it() {
        let mut input: &[u8] = "p\u{e4}ss w\r\nrest".as_bytes();
        assert_eq!(line(&mut input).unwrap().as_slice(), "p\u{e4}ss w".as_bytes());
        assert_eq!(input, b"rest");
        assert_eq!(line(&mut &b"no newline"[..]).unwrap().as_slice(), b"no newline");
        let long = vec![b'x'; MAX_PASSWORD + 1];
        assert!(line(&mut &long[..]).is_err());
        assert!(line(&mut &long[1..]).is_ok());
    }

    #[test]
    fn keys() {
        assert_eq!(
            typed(&mut "wrong\x15p\u{e4}\x7f\u{f6}x\x08\nrest".as_bytes()).unwrap().as_slice(),
            "p\u{f6}".as_bytes()
        );
        assert_eq!(typed(&mut &b"\x7f\x7fa\x03"[..]).unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
