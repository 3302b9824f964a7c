//! A shared cache as the daemon's own writer makes it, where the module of a stage reads it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use entra_core::cache::{Now, Settings, SharedCache};
use entra_core::types::{AccountState, GroupRecord, Sid, UserRecord};
use entra_plugin_tests::directory::DOMAIN_USERS;
use entra_plugin_tests::nss_stage::Stage;
use entra_wire::cache_map::mapping::tick_and_beat;

/// The uid of [`alice`].
pub const UID: u32 = 674_001_103;
/// The gid of a first group.
pub const GID: u32 = 674_001_200;

/// A stage whose folder a map may lie in.
pub fn stage(driver: &str) -> Stage {
    let stage = Stage::new(driver);
    fs::set_permissions(stage.path(), Permissions::from_mode(0o755)).unwrap();
    stage
}

/// A map of a domain with the usual ids.
pub fn cache(stage: &Stage) -> SharedCache {
    cache_of(stage, (200_000, 2_000_199_999))
}

/// A map whose writer serves these ids, and knows of no local account.
pub fn cache_of(stage: &Stage, range: (u32, u32)) -> SharedCache {
    cache_in(stage.path(), range)
}

/// The same in a folder.
pub fn cache_in(folder: &Path, range: (u32, u32)) -> SharedCache {
    let empty = folder.join("empty");
    fs::write(&empty, "").unwrap();
    let settings = Settings {
        path: folder.join("cache.map"),
        max_size: 8 << 20,
        ranges: vec![range],
        passwd: empty.clone(),
        group: empty,
    };
    SharedCache::start(settings, now())
}

fn now() -> Now {
    let (tick, beat) = tick_and_beat();
    Now { tick, beat }
}

pub fn sid(rid: u32) -> Sid {
    "S-1-5-21-1-2-3".parse::<Sid>().unwrap().with_rid(rid).unwrap()
}

pub fn alice() -> UserRecord {
    UserRecord {
        domain: "aadds.contoso.com".into(),
        sid: sid(1103),
        former_sids: Vec::new(),
        guid: Vec::new(),
        dn: String::new(),
        sam: String::new(),
        upn: None,
        name: "alice".into(),
        uid: UID,
        gid: DOMAIN_USERS,
        primary_group: sid(513),
        gecos: "Alice Example".into(),
        home: "/home/alice".into(),
        shell: "/bin/bash".into(),
        state: AccountState::default(),
        ssh_keys: Vec::new(),
    }
}

pub fn group(name: &str, gid: u32) -> GroupRecord {
    let (domain, guid, dn, sam) = (String::new(), Vec::new(), String::new(), String::new());
    GroupRecord { domain, sid: sid(gid), former_sids: Vec::new(), guid, dn, sam, name: name.into(), gid }
}
