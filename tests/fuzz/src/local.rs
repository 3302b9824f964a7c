//! What processes of this host send, and what the daemon says to the modules.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use entra_core::auth::{AuthRequest, CcacheTarget};
use entra_core::control::{self, LookupKey};
use entra_wire::codec::{Reader, Writer};
use entra_wire::identity::{Account, Identity, Subject, Subjects};
use entra_wire::nss::{Group, GroupIds, Passwd, Request};
use entra_wire::pam::{Code, Context, Outcome};
use entra_wire::protocol::{Op, Status};
use entra_wire::ranges::Ranges;
use entrad::broker::{Policy, Realm, read_request};
use entrad::helper;

use crate::block_on;

/// The worker's reading of frames, cut wherever the first byte says.
pub fn frame(data: &[u8]) {
    let Some((cut, bytes)) = data.split_first() else { return };
    let bytes = &bytes[..bytes.len().min(1 << 16)];
    block_on(async {
        let (mut theirs, ours) = std::os::unix::net::UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        ours.set_nonblocking(true).unwrap();
        let (first, rest) = bytes.split_at(usize::from(*cut).min(bytes.len()));
        let ours = tokio::net::UnixStream::from_std(ours).unwrap();
        let sent = theirs.write(first).unwrap_or(0);
        if sent == first.len() {
            let _ = theirs.write(rest);
        }
        drop(theirs);
        if let Some(body) = entrad::worker::read_frame(&ours).await {
            assert!(body.len() + 4 <= bytes.len(), "bytes that nobody sent");
            messages_in(&body);
        }
    });
}

/// Seeds of [`frame`].
pub fn frames() -> Vec<Vec<u8>> {
    let cut = |frame: Vec<u8>| [&[6][..], &frame].concat();
    encoded().into_iter().map(cut).collect()
}

/// Bodies of all sockets, read as requests and as replies.
pub fn protocol(data: &[u8]) {
    messages_in(data);
}

/// Seeds of [`protocol`].
pub fn messages() -> Vec<Vec<u8>> {
    encoded().into_iter().map(|frame| frame[4..].to_vec()).collect()
}

fn encoded() -> Vec<Vec<u8>> {
    let context = Context { user: "alice", service: "sshd", rhost: "192.0.2.7", tty: "ssh", flags: 1 };
    let mut outcome = Outcome::bare(Code::Success);
    outcome.reason = "offline".into();
    outcome.env = vec!["KRB5CCNAME=FILE:/tmp/krb5cc_1103".into()];
    let mut user = Writer::reply(Status::Ok);
    passwd().write(&mut user);
    let mut group = Writer::reply(Status::Ok);
    Group::write(&mut group, b"research", 674_001_200, [&b"alice"[..], b"bob"].into_iter());
    let mut groups = Writer::reply(Status::Ok);
    GroupIds::write(&mut groups, 674_000_513, &[674_001_200, 674_001_201]);
    let mut list = Writer::reply(Status::Ok);
    list.cursor(b"674001103").count(1);
    passwd().write(&mut list);
    let sid = [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0];
    let subjects =
        [Subject::Sid(&sid), Subject::Uid(1103), Subject::Gid(1103), Subject::User(b"a"), Subject::Group(b"b")];
    let mut identities = Writer::reply(Status::Ok);
    let account = Account { id: 674_001_103, sid: &sid, name: b"alice" };
    for identity in [Identity::None, Identity::User(account), Identity::Group(account), Identity::Unknown] {
        identity.write(&mut identities);
    }
    vec![
        Request::Identify(Subjects::new(subjects)).encode(),
        Request::Health.encode(),
        identities.finish(),
        Request::PasswdByName(b"alice@contoso.com").encode(),
        Request::PasswdByUid(674_001_103).encode(),
        Request::GroupByGid(674_001_200).encode(),
        Request::Initgroups(b"AADDS\\alice").encode(),
        Request::PasswdList(b"674001103").encode(),
        context.encode(Op::Authenticate),
        outcome.encode(),
        user.finish(),
        group.finish(),
        groups.finish(),
        list.finish(),
        entra_wire::nss::status_frame(Status::Busy),
    ]
}

fn passwd() -> Passwd<'static> {
    let (name, gecos, home, shell) = (&b"alice"[..], &b"Alice Example"[..], &b"/home/alice"[..], &b"/bin/bash"[..]);
    Passwd { name, gecos, home, shell, uid: 674_001_103, gid: 674_000_513 }
}

fn messages_in(body: &[u8]) {
    if let Ok(request) = Request::decode(body) {
        assert_eq!(&request.encode()[4..], body, "a request has one encoding");
    }
    if let Ok((op, context)) = Context::decode(body) {
        assert_eq!(&context.encode(op)[4..], body);
    }
    let mut reader = Reader::new(body);
    if reader.reply_head() != Ok(Status::Ok) {
        return;
    }
    let each: [fn(&mut Reader<'_>); 6] = [
        |reader| while Identity::read(reader).is_ok() {},
        |reader| {
            let _ = Passwd::read(reader);
        },
        |reader| {
            if let Ok(group) = Group::read(reader) {
                assert_eq!(group.members.clone().count(), group.members.len());
            }
        },
        |reader| {
            if let Ok(groups) = GroupIds::read(reader) {
                let _ = groups.iter().fold(0_u32, u32::wrapping_add);
            }
        },
        |reader| {
            let _ = Outcome::decode(reader);
        },
        |reader| {
            let _ = reader.cursor();
            for _ in 0..reader.count(Passwd::LEAST).unwrap_or(0) {
                if Passwd::read(reader).is_err() {
                    break;
                }
            }
        },
    ];
    for read in each {
        read(&mut reader.clone());
    }
}

/// JSON of `ctl.sock`, both ways.
pub fn control(data: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<control::Request>(data) {
        let again = serde_json::to_vec(&request).unwrap();
        assert_eq!(serde_json::from_slice::<control::Request>(&again).unwrap(), request);
    }
    let _ = serde_json::from_slice::<control::Reply>(data);
}

/// Seeds of [`control`].
pub fn questions() -> Vec<Vec<u8>> {
    let key = LookupKey::Name("alice".into());
    [
        control::Request::Status,
        control::Request::User { key: key.clone() },
        control::Request::Group { key: LookupKey::Id(674_001_200) },
        control::Request::Explain { user: "alice".into(), service: Some("sshd".into()) },
        control::Request::CacheFlush { name: None },
    ]
    .iter()
    .map(|request| serde_json::to_vec(request).unwrap())
    .collect()
}

/// A message of a worker that was taken over: whatever the broker would do is what its list allows.
pub fn broker(data: &[u8]) {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    let policy = POLICY.get_or_init(|| {
        let config: PathBuf = std::env::temp_dir().join(format!("entra-fuzz-policy-{}.toml", std::process::id()));
        std::fs::write(&config, "[domains.\"aadds.contoso.com\"]\nid_range = \"300000-399999\"\n").unwrap();
        let (passwd, group) = ("/etc/passwd".into(), "/etc/group".into());
        let keytab_max_age = Duration::from_secs(86_400);
        let realms = vec![Realm { name: "AADDS.CONTOSO.COM".into(), keytab_max_age }];
        Policy { realms, config, passwd, group, keeps_passwords: true }
    });
    let Some(request) = read_request(policy, data) else { return };
    let allowed = Ranges::parse("[domains.\"aadds.contoso.com\"]\nid_range = \"300000-399999\"\n");
    let target = match &request {
        helper::Request::Authenticate(request) => request.ccache.as_ref(),
        helper::Request::Renew(request) => Some(&request.ccache),
        helper::Request::Fetch(request) => Some(&request.ccache),
        helper::Request::DestroyCcache { ccache, .. } => Some(ccache),
        _ => None,
    };
    if let Some(target) = target {
        assert!(allowed.contains(target.uid) && allowed.contains(target.gid), "{target:?}");
        assert!(!target.name.contains("/../") && !target.name.contains('\0'), "{target:?}");
    }
    assert!(request.timeout() <= Duration::from_secs(60));
}

/// Seeds of [`broker`].
pub fn requests() -> Vec<Vec<u8>> {
    let kdc: SocketAddr = "192.0.2.10:88".parse().unwrap();
    let realm = || "AADDS.CONTOSO.COM".to_owned();
    let timeout = Duration::from_secs(10);
    let ccache = CcacheTarget { uid: 300_001, gid: 300_002, name: "FILE:/tmp/krb5cc_300001".into() };
    let login = AuthRequest {
        realm: realm(),
        kdc,
        other_kdcs: vec![kdc],
        principal: "alice@contoso.com".into(),
        expected_sid: "S-1-5-21-1-2-3-1103".parse().unwrap(),
        ccache: Some(ccache.clone()),
        require_fast: false,
        timeout,
    };
    [
        helper::Request::MachineTgt { realm: realm(), kdc, timeout },
        helper::Request::Authenticate(login),
        helper::Request::DestroyCcache { ccache, timeout },
        helper::Request::MakeVerifier { timeout },
        helper::Request::CheckVerifier {
            verifier: "$argon2id$v=19$m=65536,t=3,p=1$c2FsdA$aGFzaA".into(),
            turn: timeout,
            timeout,
        },
    ]
    .iter()
    .map(|request| [7_u64.to_le_bytes().to_vec(), postcard::to_allocvec(request).unwrap()].concat())
    .collect()
}
