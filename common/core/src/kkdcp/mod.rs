//! A client of the Kerberos KDC Proxy Protocol (MS-KKDCP): Kerberos messages in the body of an HTTPS POST. libkrb5 speaks
//! it by itself (with its plugin k5tls), and says of a failure only that no KDC can be contacted. Here each part can be
//! taken alone: the host's addresses, the connection, TLS, the request.
//!
//! | Module | Holds |
//! |---|---|
//! | `url` | the proxy's URL, as `kdc =` in krb5.conf names it |
//! | `message` | `KDC-PROXY-MESSAGE`, both ways |
//! | `http` | the request's head, and reading the response |
//! | `channel` | addresses, connection and TLS, each before a deadline |

mod channel;
mod http;
mod message;
mod url;

pub use channel::{Anchors, Channel, ProxyError, connect, resolve};
pub use message::{decode, encode};
pub use url::ProxyUrl;

/// Any bytes, for the fuzzer: as a response of the proxy, and as a message.
#[cfg(feature = "fuzzing")]
pub fn read_response(bytes: &[u8]) {
    if let Ok(http::Response { body, .. }) = http::parse(bytes) {
        let _ = decode(body);
    }
    let _ = decode(bytes);
}
