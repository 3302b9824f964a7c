//! Scenes about a person's ccache: a service ticket put into it, a renewal, its end.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use entra_core::Error;
use entra_core::auth::{CcacheTarget, FetchRequest, Kdc, RenewRequest};

use super::support::REALM;
use super::{PASSWORD, PERSON, Stage};

/// The scene after which the person's ccache is looked at, by root.
pub(super) const FETCHED: &str = "a service ticket is put beside the others and survives a renewal";
/// A service of the realm.
pub(super) const SHARE: &str = "cifs/files.test.example";

/// Whether the ccache holds the service ticket.
pub(super) fn has_share(ccache: &Path) -> bool {
    let listed = Command::new("klist").arg("-c").arg(ccache).output().unwrap();
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let found = text.lines().filter(|line| line.contains(SHARE)).count() == 1 && text.contains("krbtgt/");
    if !found {
        println!("  FAILED: {text}{}", String::from_utf8_lossy(&listed.stderr));
    }
    found
}

pub(super) fn fetch(stage: &Stage) {
    let password = entra_krb5::Password::new(zeroize::Zeroizing::new(PASSWORD.into())).unwrap();
    let ticket = |name: &str, owner: u32| {
        let path = stage.path(name);
        let limit = Duration::from_secs(10);
        entra_krb5::initial_with_password(REALM, stage.kdc, "alice", &password, &path, limit).unwrap();
        chown(&path, Some(owner), Some(owner)).unwrap();
    };
    ticket("home/krb5cc", PERSON);
    ticket("roots", 0);
    std::os::unix::fs::symlink(stage.path("home/krb5cc"), stage.path("link")).unwrap();
    Stage::play(stage.settings(), async |channel| {
        let target = |name: &str| CcacheTarget {
            uid: PERSON,
            gid: PERSON,
            name: format!("FILE:{}", stage.path(name).display()),
        };
        let timeout = Duration::from_secs(10);
        let get = async |name: &str, service: &str| {
            let (realm, service) = (REALM.into(), service.into());
            channel.fetch(FetchRequest { realm, kdc: stage.kdc, ccache: target(name), service, timeout }).await
        };
        let before = fs::metadata(stage.path("home/krb5cc")).unwrap();
        let times = get("home/krb5cc", SHARE).await.unwrap();
        let after = fs::metadata(stage.path("home/krb5cc")).unwrap();
        assert_eq!((after.ino(), after.uid(), after.mode() & 0o7777), (before.ino(), PERSON, 0o600));
        assert!(after.len() > before.len() && times.ends > 0);
        // A service that does not exist, a ccache that is not the person's, a link: an error, and nothing is written.
        for (name, service) in [("home/krb5cc", "cifs/nobody.test.example"), ("roots", SHARE), ("link", SHARE)] {
            let error = get(name, service).await.unwrap_err();
            assert!(matches!(error, Error::Io(_)), "{name} {service}: {error}");
        }
        assert_eq!(fs::metadata(stage.path("home/krb5cc")).unwrap().len(), after.len());
        let request = RenewRequest { realm: REALM.into(), kdc: stage.kdc, ccache: target("home/krb5cc"), timeout };
        channel.renew(request).await.unwrap();
    });
}

pub(super) fn renew_and_destroy(stage: &Stage) {
    // The person's own ticket, got outside: MIT's KDC signs no account's SID, so no login writes one here.
    let name = format!("FILE:{}", stage.path("home/krb5cc").display());
    let target = CcacheTarget { uid: PERSON, gid: PERSON, name: name.clone() };
    let ticket = |path: &Path, owner: u32| {
        let password = entra_krb5::Password::new(zeroize::Zeroizing::new(PASSWORD.into())).unwrap();
        let limit = Duration::from_secs(10);
        entra_krb5::initial_with_password(REALM, stage.kdc, "alice", &password, path, limit).unwrap();
        chown(path, Some(owner), Some(owner)).unwrap();
    };
    ticket(&stage.path("home/krb5cc"), PERSON);
    ticket(&stage.path("roots"), 0);
    Stage::play(stage.settings(), async |channel| {
        let request = |ccache: &CcacheTarget| RenewRequest {
            realm: REALM.into(),
            kdc: stage.kdc,
            ccache: ccache.clone(),
            timeout: Duration::from_secs(10),
        };
        let before = fs::metadata(stage.path("home/krb5cc")).unwrap().ino();
        let times = channel.renew(request(&target)).await.unwrap();
        assert!(times.renew_till > times.ends, "{times:?}");
        let meta = fs::metadata(stage.path("home/krb5cc")).unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o7777), (PERSON, 0o600));
        assert_ne!(meta.ino(), before, "a new file in its place");
        // What is not the person's cannot be renewed or removed on their behalf.
        let roots = CcacheTarget { name: format!("FILE:{}", stage.path("roots").display()), ..target.clone() };
        assert!(channel.renew(request(&roots)).await.is_err());
        assert!(channel.destroy_ccache(roots).await.is_err());
        channel.destroy_ccache(target.clone()).await.unwrap();
        channel.destroy_ccache(target.clone()).await.unwrap();
        assert!(matches!(channel.renew(request(&target)).await, Err(Error::Io(_))), "there is none any more");
    });
    assert!(stage.path("roots").exists() && !stage.path("home/krb5cc").exists());
}
