//! The little HTTP/1.0 (RFC 1945) that a KDC proxy is asked with: one request, one response until the connection ends.
//! The same version as libkrb5's, so that what a proxy answers here it answers there.

use super::url::ProxyUrl;

/// Longest head of a response, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;
/// Longest response that is read, in bytes.
pub(super) const LONGEST: usize = LONGEST_HEAD + 1024 * 1024;

/// A response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response<'a> {
    /// Its status code.
    pub(super) status: u16,
    /// The server's words for it.
    pub(super) reason: String,
    /// What follows the head.
    pub(super) body: &'a [u8],
}

/// Whether all of a response has come, or what it lacks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// More bytes are needed.
    Incomplete,
    /// It is no HTTP.
    NotHttp,
}

/// The request with this body.
pub(super) fn request(url: &ProxyUrl, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {} HTTP/1.0\r\nHost: {}\r\nContent-Type: application/kerberos\r\nContent-Length: {}\r\n\
         Cache-Control: no-cache\r\nPragma: no-cache\r\nUser-Agent: entractl\r\n\r\n",
        url.path,
        url.host,
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Reads a response of which this much has come. One that names its length is cut to it; one that names none has come
/// wholly once the connection ended, which the caller knows.
///
/// # Errors
/// [`Bad`].
pub(super) fn parse(bytes: &[u8]) -> Result<Response<'_>, Bad> {
    let looks = bytes.starts_with(&b"HTTP/"[..bytes.len().min(5)]);
    let Some(end) = bytes.windows(4).take(LONGEST_HEAD).position(|four| four == b"\r\n\r\n") else {
        return Err(if looks && bytes.len() < LONGEST_HEAD { Bad::Incomplete } else { Bad::NotHttp });
    };
    let (head, body) = (&bytes[..end], &bytes[end + 4..]);
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    // HTTP/1.1 404 Not Found
    let line = lines.next().unwrap_or_default();
    let mut words = line.splitn(3, ' ');
    words.next().filter(|version| version.starts_with("HTTP/1.")).ok_or(Bad::NotHttp)?;
    let status = words.next().filter(|code| code.len() == 3).and_then(|code| code.parse().ok()).ok_or(Bad::NotHttp)?;
    let reason = words.next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(80).collect();
    let length = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    let body = match length {
        Some(length) => body.get(..length).ok_or(Bad::Incomplete)?,
        None => body,
    };
    Ok(Response { status, reason, body })
}

/// Whether a response of which this much has come names its length and has it: nothing more need be awaited.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    let named =
        bytes.windows(4).take(LONGEST_HEAD).position(|four| four == b"\r\n\r\n").is_some_and(|end| {
            String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase().contains("\r\ncontent-length:")
        });
    named && parse(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OK: &[u8] = b"HTTP/1.0 200 OK\r\nServer: x\r\nContent-length: 3\r\n\r\nabc";

    #[test]
    fn a_response_is_taken_apart() {
        assert_eq!(parse(OK), Ok(Response { status: 200, reason: "OK".into(), body: b"abc" }));
        assert!(is_whole(OK));
        assert_eq!(
            parse(b"HTTP/1.1 404 Not\x1b Found\r\n\r\n").map(|it| (it.status, it.reason)),
            Ok((404, "Not Found".into()))
        );
        assert!(!is_whole(b"HTTP/1.1 404 Not Found\r\n\r\n"), "its end is the connection's");
    }

    #[test]
    fn what_is_no_http_is_said_to_be_none() {
        for wrong in [&b"SSH-2.0-x\r\n\r\n"[..], b"HTTP/2 200\r\n\r\n", b"HTTP/1.1 2000 x\r\n\r\n", b"HTTP/1.1\r\n\r\n"]
        {
            assert_eq!(parse(wrong), Err(Bad::NotHttp), "{wrong:?}");
        }
        assert_eq!(parse(&[b"HTTP/1.1 200 ".to_vec(), vec![b'x'; LONGEST_HEAD]].concat()), Err(Bad::NotHttp));
    }

    #[test]
    fn a_request_names_host_path_and_length() {
        let url = ProxyUrl::parse("https://login.example/t/kerberos").unwrap();
        let text = String::from_utf8(request(&url, b"body")).unwrap();
        assert!(text.starts_with("POST /t/kerberos HTTP/1.0\r\nHost: login.example\r\n"), "{text}");
        assert!(text.contains("\r\nContent-Length: 4\r\n") && text.ends_with("\r\n\r\nbody"), "{text}");
    }

    proptest! {
        #[test]
        fn a_part_of_one_is_awaited(cut in 0..OK.len()) {
            prop_assert_eq!(parse(&OK[..cut]), Err(Bad::Incomplete));
            prop_assert!(!is_whole(&OK[..cut]));
        }

        #[test]
        fn garbage_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
            let _ = is_whole(&[b"HTTP/1.0 200 OK\r\nContent-Length: ", &bytes[..], b"\r\n\r\n"].concat());
        }
    }
}
