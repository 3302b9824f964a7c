//! Tells the service manager how we are: sd_notify(3) without the library.

use std::io::Result;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Sends `state`, such as `READY=1` or `STOPPING=1`, to the socket that `NOTIFY_SOCKET` names. Gives whether there was
/// somebody to tell.
///
/// # Errors
/// When the socket that is named cannot be reached.
pub fn notify(state: &str) -> Result<bool> {
    match std::env::var("NOTIFY_SOCKET") {
        Ok(name) if !name.is_empty() => send(&name, state).map(|()| true),
        _ => Ok(false),
    }
}

/// `name` is a path, or `@name` in the abstract namespace.
fn send(name: &str, state: &str) -> Result<()> {
    let address = match name.strip_prefix('@') {
        Some(rest) => SocketAddr::from_abstract_name(rest)?,
        None => SocketAddr::from_pathname(name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_socket_are_reached() {
        let path = std::env::temp_dir().join(format!("entra-notify-{}", std::process::id()));
        let by_path = UnixDatagram::bind(&path).unwrap();
        let abstract_name = format!("entra-notify-{}", std::process::id());
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&abstract_name).unwrap()).unwrap();
        send(path.to_str().unwrap(), "READY=1").unwrap();
        send(&format!("@{abstract_name}"), "STOPPING=1").unwrap();
        let mut buffer = [0; 64];
        let length = by_path.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1");
        let length = by_name.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"STOPPING=1");
        std::fs::remove_file(&path).unwrap();
        assert!(send(path.to_str().unwrap(), "READY=1").is_err());
    }
}
