//! Whose account a principal is (`krb5/localauth_plugin.h`).
//!
//! A principal is a user's when the directory says that it is that very user's: by sAMAccountName in its own realm, or
//! by UPN for an enterprise name (RFC 6806). libkrb5's own rule, "the name before the realm is the local name", would
//! let whoever may name an account in the directory be the local account of that name, root included: it is vetoed.

use entra_wire::guard::name_may_be_ours;

use crate::daemon::Host;

/// Longest configuration that is looked at, as the other modules do.
const MAX_CONFIG: u64 = 256 * 1024;

/// What the plugin says of a principal that wants to be a local account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is that account's.
    Ok,
    /// It is not, whatever libkrb5's own rules say.
    Refused,
    /// Others decide.
    NotOurs,
}

/// The local name of a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LocalName {
    /// This one.
    Is(String),
    /// It has none, whatever libkrb5's own rules say.
    None,
    /// Others decide.
    NotOurs,
}

/// Whether the principal `name@realm` (of one component) may log in as `account`.
pub(crate) fn may_be(host: &Host, name: &str, realm: &str, account: &str) -> Verdict {
    if !is_realm_of_ad(realm) {
        return Verdict::NotOurs;
    }
    let same_name = name == account;
    if host.is_local(account) {
        let taken = same_name && is_configured(host, realm);
        return if taken { Verdict::Refused } else { Verdict::NotOurs };
    }
    if !name_may_be_ours(name.as_bytes()) || !name_may_be_ours(account.as_bytes()) {
        return Verdict::NotOurs;
    }
    let Some(user) = host.user_of_principal(name, realm) else { return Verdict::NotOurs };
    if user.name == account || host.user(account).is_some_and(|found| found == user) {
        Verdict::Ok
    } else if same_name {
        Verdict::Refused
    } else {
        Verdict::NotOurs
    }
}

/// The local name of the principal `name@realm` (of one component).
pub(crate) fn local_name(host: &Host, name: &str, realm: &str) -> LocalName {
    if !is_realm_of_ad(realm) {
        return LocalName::NotOurs;
    }
    if host.is_local(name) {
        return if is_configured(host, realm) { LocalName::None } else { LocalName::NotOurs };
    }
    if !name_may_be_ours(name.as_bytes()) {
        return LocalName::NotOurs;
    }
    host.user_of_principal(name, realm).map_or(LocalName::NotOurs, |user| LocalName::Is(user.name))
}

/// Realms differ by letter case, and Active Directory's have no small letters (MS-KILE 3.1.5.8).
fn is_realm_of_ad(realm: &str) -> bool {
    entra_wire::kdc_file::is_realm(realm) && !realm.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Whether the configuration names this realm's domain. Read here, because a daemon that is down must not open a local
/// account. A comment counts as well: too much is refused then, and nothing is let in.
fn is_configured(host: &Host, realm: &str) -> bool {
    use std::io::Read;
    let mut text = String::new();
    let read = std::fs::File::open(&host.config).and_then(|file| file.take(MAX_CONFIG).read_to_string(&mut text));
    read.is_ok() && text.to_ascii_uppercase().contains(realm)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    use entra_wire::codec::Writer;
    use entra_wire::nss::{Passwd, Request, status_frame};
    use entra_wire::protocol::Status;

    use super::*;

    const REALM: &str = "AADDS.CONTOSO.COM";
    const CONFIG: &str = "[domains.\"aadds.contoso.com\"]\n";

    /// What a daemon of one domain says, in which alice's UPN is alice@contoso.com and bob is bob.
    fn answer(request: &Request<'_>) -> Option<(&'static str, u32)> {
        let name = match request {
            Request::PasswdByPrincipal { name, realm } if *realm == REALM.as_bytes() => name,
            Request::PasswdByName(name) => name,
            _ => return None,
        };
        match *name {
            b"alice" | b"Alice" | b"alice@contoso.com" => Some(("alice", 674_001_103)),
            b"bob" => Some(("bob", 674_001_104)),
            // A daemon that lies: a local name, and an id that is not granted.
            b"eve" => Some(("localuser", 674_001_105)),
            b"mallory" => Some(("mallory", 0)),
            _ => None,
        }
    }

    struct Stage {
        folder: PathBuf,
    }

    impl Stage {
        fn new(config: &str, with_daemon: bool) -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!("entra-localauth-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("entra.toml"), config).unwrap();
            std::fs::write(folder.join("passwd"), "root:x:0:0::/:/bin/sh\nlocaluser:x:1000:1000::/:/bin/sh\n").unwrap();
            if with_daemon {
                let listener = UnixListener::bind(folder.join("nss.sock")).unwrap();
                std::thread::spawn(move || {
                    for stream in listener.incoming() {
                        let mut stream = stream.unwrap();
                        let mut length = [0; 4];
                        stream.read_exact(&mut length).unwrap();
                        let mut body = vec![0; u32::from_le_bytes(length) as usize];
                        stream.read_exact(&mut body).unwrap();
                        let frame = match answer(&Request::decode(&body).unwrap()) {
                            Some((name, uid)) => {
                                let mut writer = Writer::reply(Status::Ok);
                                let (name, gecos, home, shell) = (name.as_bytes(), &b""[..], &b"/h"[..], &b"/s"[..]);
                                Passwd { name, gecos, home, shell, uid, gid: uid }.write(&mut writer);
                                writer.finish()
                            }
                            None => status_frame(Status::NotFound),
                        };
                        stream.write_all(&frame).unwrap();
                    }
                });
            }
            Self { folder }
        }

        fn may_be(&self, name: &str, realm: &str, account: &str) -> Verdict {
            may_be(&self.host(), name, realm, account)
        }

        fn local_name(&self, name: &str, realm: &str) -> LocalName {
            local_name(&self.host(), name, realm)
        }

        fn host(&self) -> Host {
            let file = |name: &str| self.folder.join(name);
            Host::of_test(&file("nss.sock"), &file("entra.toml"), &file("passwd"))
        }
    }

    impl Drop for Stage {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.folder).unwrap();
        }
    }

    #[test]
    fn a_principal_is_its_owner_by_every_name_and_nobody_else() {
        let stage = Stage::new(CONFIG, true);
        for (name, account) in
            [("alice", "alice"), ("alice@contoso.com", "alice"), ("alice", "alice@contoso.com"), ("Alice", "alice")]
        {
            assert_eq!(stage.may_be(name, REALM, account), Verdict::Ok, "{name} as {account}");
        }
        assert_eq!(stage.may_be("alice", REALM, "bob"), Verdict::NotOurs);
        assert_eq!(stage.may_be("nobody-knows", REALM, "alice"), Verdict::NotOurs);
        assert_eq!(stage.local_name("alice@contoso.com", REALM), LocalName::Is("alice".into()));
        assert_eq!(stage.local_name("nobody-knows", REALM), LocalName::NotOurs);
    }

    #[test]
    fn other_realms_are_other_peoples() {
        let stage = Stage::new(CONFIG, true);
        for realm in ["OTHER.EXAMPLE", "aadds.contoso.com", "Aadds.Contoso.Com", "", "../X"] {
            assert_eq!(stage.may_be("alice", realm, "alice"), Verdict::NotOurs, "{realm}");
            assert_eq!(stage.local_name("alice", realm), LocalName::NotOurs, "{realm}");
            assert_eq!(stage.may_be("root", realm, "root"), Verdict::NotOurs, "{realm}");
        }
    }

    #[test]
    fn a_local_account_is_nobodys_of_the_directory_even_without_a_daemon() {
        for with_daemon in [true, false] {
            let stage = Stage::new(CONFIG, with_daemon);
            for name in ["root", "localuser"] {
                assert_eq!(stage.may_be(name, REALM, name), Verdict::Refused, "{name}");
                assert_eq!(stage.local_name(name, REALM), LocalName::None, "{name}");
            }
            // Somebody's .k5login may let her in as another one.
            assert_eq!(stage.may_be("alice", REALM, "localuser"), Verdict::NotOurs);
        }
        let not_joined = Stage::new("# nothing\n", false);
        assert_eq!(not_joined.may_be("root", REALM, "root"), Verdict::NotOurs);
    }

    #[test]
    fn a_daemon_that_lies_opens_no_local_account_and_grants_no_id() {
        let stage = Stage::new(CONFIG, true);
        assert_eq!(stage.local_name("eve", REALM), LocalName::NotOurs);
        assert_eq!(stage.may_be("eve", REALM, "localuser"), Verdict::NotOurs);
        assert_eq!(stage.may_be("mallory", REALM, "mallory"), Verdict::NotOurs);
    }
}
