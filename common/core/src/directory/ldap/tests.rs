//! A server in memory that says what a test tells it to, behind a security layer that does nothing; and what the adapter
//! makes of it. What a real server does is tested in `tests/directory.rs`.

mod large;
mod waits;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::connection::Connection;
use super::seal::Layer;
use super::{LdapDirectory, Settings};
use crate::Error;
use crate::auth::{AuthAnswer, AuthRequest, Kdc, MachineTicket, PasswordPipe};
use crate::ber::{self, Parsed};
use crate::config::{Access, Domain, Fast, IdMapping, LdapSecurity, Preset, PrimaryGroup, UsernameFormat};
use crate::directory::{Directory, Key};
use crate::discovery::Server;
use crate::types::{Entry, Sid, UserEntry};

const ROOT: &str = "DC=example,DC=com";
const PAGING: &str = "1.2.840.113556.1.4.319";

/// A search as it came.
#[derive(Debug)]
struct Asked {
    base: String,
    /// The content of the filter, encoded.
    filter: Vec<u8>,
    attribute: String,
    cookie: Option<Vec<u8>>,
}

/// An entry: its DN and attributes.
type Given = (String, Vec<(String, Vec<Vec<u8>>)>);

/// What a test answers.
enum Answer {
    /// Entries, a result code, and the cookie of the next page.
    Entries(Vec<Given>, u32, &'static [u8]),
    /// Bytes that are no LDAP.
    Garbage,
    /// A message nested deeper than the stack of whoever follows it down.
    Abyss,
    Silence,
    Close,
}

struct Nothing;

impl Layer for Nothing {
    fn seal(&mut self, plain: &[u8]) -> io::Result<Vec<u8>> {
        Ok(plain.to_vec())
    }

    fn open(&mut self, sealed: &[u8]) -> io::Result<Vec<u8>> {
        Ok(sealed.to_vec())
    }
}

struct Nobody;

#[async_trait]
impl Kdc for Nobody {
    async fn machine_ticket(&self, _: &str, _: SocketAddr) -> Result<MachineTicket, Error> {
        Err(Error::Offline("no KDC in this test".into()))
    }

    async fn authenticate(&self, _: AuthRequest, _: PasswordPipe) -> Result<AuthAnswer, Error> {
        Err(Error::Offline("no KDC in this test".into()))
    }
}

/// A directory on a server that answers so. The domain's own description is answered here.
async fn directory(answer: impl Fn(&Asked) -> Answer + Send + 'static) -> LdapDirectory {
    let directory = unconnected();
    let connection = connection(answer).await;
    directory.link.adopt(&connection);
    directory.second.adopt(&connection);
    directory
}

/// A directory whose servers cannot be reached.
fn unconnected() -> LdapDirectory {
    over(nobody(), Arc::new(Nobody))
}

fn over(server: SocketAddr, kdc: Arc<dyn Kdc>) -> LdapDirectory {
    let settings = Settings {
        domain: domain(server),
        profile_path: "/nonexistent/krb5.conf".into(),
        machine_ccache: "FILE:/nonexistent/ccache".into(),
        lookup_deadline: Duration::from_secs(2),
        bulk_deadline: Duration::from_secs(10),
    };
    LdapDirectory::new(settings, kdc).unwrap()
}

async fn connection(answer: impl Fn(&Asked) -> Answer + Send + 'static) -> Arc<Connection> {
    let (near, far) = duplex(1 << 16);
    tokio::spawn(serve(far, answer));
    let server = Server { host: "dc1.example.com".into(), addr: nobody() };
    Arc::new(Connection::sealed(server, Nothing, 1000, near).await.unwrap())
}

fn nobody() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

fn domain(server: SocketAddr) -> Domain {
    Domain {
        name: "example.com".into(),
        preset: Preset::ActiveDirectory,
        servers: vec![server.to_string()],
        dns_servers: Vec::new(),
        base_dn: None,
        user_bases: Vec::new(),
        group_bases: Vec::new(),
        user_filter: None,
        group_filter: None,
        ldap_security: LdapSecurity::Seal,
        tls_ca: None,
        id_mapping: IdMapping::Sssd,
        id_range: (200_000, 2_000_200_000),
        id_slice: None,
        id_blocks: Vec::new(),
        username_format: UsernameFormat::Sam,
        home: "/home/%u".into(),
        shell: "/bin/bash".into(),
        ssh_key_attributes: Vec::new(),
        primary_group: PrimaryGroup::Directory,
        enumerate: false,
        offline_login: true,
        offline_max_age: Duration::from_secs(1),
        offline_keep_password: false,
        keytab_max_age: Duration::ZERO,
        password_change_hint: None,
        password_warning: Duration::from_secs(0),
        fast: Fast::Try,
        ccache: "FILE:/tmp/krb5cc_%U".into(),
        service_tickets: Vec::new(),
        service_ticket_groups: Vec::new(),
        access: Access::default(),
    }
}

async fn serve(mut wire: DuplexStream, answer: impl Fn(&Asked) -> Answer) {
    let mut plain = Vec::new();
    while let Ok(length) = wire.read_u32().await {
        let mut frame = vec![0; length as usize];
        wire.read_exact(&mut frame).await.unwrap();
        plain.extend_from_slice(&frame);
        while let Parsed::Element(0x30, message, rest) = ber::parse(&plain, 1 << 20) {
            let (id, asked) = read(message);
            let answer = description(&asked).unwrap_or_else(|| answer(&asked));
            plain = rest.to_vec();
            let bytes = match answer {
                Answer::Entries(entries, code, cookie) => write(id, entries, code, cookie),
                Answer::Garbage => ber::element(0x30, &[2, 1, 1, 0x65, 0]),
                Answer::Abyss => (0..5000).fold(Vec::new(), |content, _| ber::element(0x30, &content)),
                Answer::Silence => continue,
                Answer::Close => return,
            };
            // Frames of an odd size: messages and frames never line up.
            for frame in bytes.chunks(777) {
                wire.write_u32(frame.len() as u32).await.unwrap();
                wire.write_all(frame).await.unwrap();
            }
        }
    }
}

fn read(message: &[u8]) -> (u32, Asked) {
    let parts: Vec<_> = ber::children(message).collect();
    let search: Vec<_> = ber::children(parts[1].1).collect();
    let attribute = ber::children(search[7].1).next().map(|(_, name)| name).unwrap_or_default();
    let cookie = parts.get(2).map(|(_, controls)| {
        let (_, control) = ber::children(controls).next().unwrap();
        let (_, value) = ber::children(control).last().unwrap();
        let (_, value) = ber::children(value).next().unwrap();
        ber::children(value).nth(1).unwrap().1.to_vec()
    });
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let asked = Asked { base: text(search[0].1), filter: search[6].1.to_vec(), attribute: text(attribute), cookie };
    (ber::unsigned(parts[0].1).unwrap(), asked)
}

fn write(id: u32, entries: Vec<Given>, code: u32, cookie: &[u8]) -> Vec<u8> {
    let octets = |bytes: &[u8]| ber::element(4, bytes);
    let message = |operation: Vec<u8>, controls: Vec<u8>| {
        ber::element(0x30, &[ber::integer(2, id), operation, controls].concat())
    };
    let mut bytes = Vec::new();
    for (dn, attributes) in entries {
        let attributes: Vec<u8> = attributes
            .into_iter()
            .flat_map(|(name, values)| {
                let values: Vec<u8> = values.iter().flat_map(|value| octets(value)).collect();
                ber::element(0x30, &[octets(name.as_bytes()), ber::element(0x31, &values)].concat())
            })
            .collect();
        let entry = [octets(dn.as_bytes()), ber::element(0x30, &attributes)].concat();
        bytes.extend(message(ber::element(0x64, &entry), Vec::new()));
    }
    let done = [ber::integer(0x0a, code), octets(b""), octets(b"said so")].concat();
    let value = ber::element(0x30, &[ber::integer(2, 0), octets(cookie)].concat());
    let control = ber::element(0x30, &[octets(PAGING.as_bytes()), octets(&value)].concat());
    bytes.extend(message(ber::element(0x65, &done), ber::element(0xa0, &control)));
    bytes
}

/// Answers to the questions about the domain itself.
fn description(asked: &Asked) -> Option<Answer> {
    let sid = sid(0).domain().unwrap();
    match asked.attribute.as_str() {
        "defaultNamingContext" => Some(one(
            "",
            vec![("defaultNamingContext", ROOT.into()), ("configurationNamingContext", b"CN=Configuration".to_vec())],
        )),
        "objectSid" if asked.base == ROOT => Some(one(ROOT, vec![("objectSid", sid.to_bytes())])),
        "nETBIOSName" => Some(one("CN=EXAMPLE", vec![("nETBIOSName", b"EXAMPLE".to_vec())])),
        _ => None,
    }
}

fn one(dn: &str, attributes: Vec<(&str, Vec<u8>)>) -> Answer {
    let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), vec![value])).collect();
    Answer::Entries(vec![(dn.to_owned(), attributes)], 0, b"")
}

fn sid(rid: u32) -> Sid {
    "S-1-5-21-1-2-3".parse::<Sid>().unwrap().with_rid(rid).unwrap()
}

fn person(dn: &str, rid: u32) -> Given {
    let sam = dn.split([',', '=']).nth(1).unwrap().as_bytes().to_vec();
    let attributes = vec![
        ("objectClass".to_owned(), vec![b"top".to_vec(), b"user".to_vec()]),
        ("objectSid".to_owned(), vec![sid(rid).to_bytes()]),
        ("sAMAccountName".to_owned(), vec![sam]),
        ("sAMAccountType".to_owned(), vec![b"805306368".to_vec()]),
    ];
    (dn.to_owned(), attributes)
}

fn user_name(entry: &Entry) -> &str {
    match entry {
        Entry::User(user) => &user.sam,
        Entry::Group(group) => &group.sam,
    }
}

#[tokio::test]
async fn the_domain_describes_itself() {
    let info = directory(|_| Answer::Silence).await.domain_info().await.unwrap();
    assert_eq!((info.netbios.as_str(), info.base_dn.as_str()), ("EXAMPLE", ROOT));
    assert_eq!(info.sid.to_string(), "S-1-5-21-1-2-3");
}

/// The SID of the object that the tests below know.
fn known() -> Sid {
    "S-1-5-21-1-2-3-1103".parse().unwrap()
}

/// DN of a member of the group that the tests below read.
fn member_dn(index: usize) -> String {
    format!("CN=m{index},{ROOT}")
}

/// A server with a group of `count` members, whose domain has given `rids` away, and which answers a search by `memberOf`
/// so. Counts searches by DN.
fn group_of(
    count: usize,
    rids: u64,
    by_member_of: impl Fn() -> Answer + Send + 'static,
) -> (impl Fn(&Asked) -> Answer + Send + 'static, Arc<AtomicUsize>) {
    let by_dn = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&by_dn);
    let answer = move |asked: &Asked| {
        if asked.attribute == "rIDAvailablePool" {
            return one(&asked.base, vec![("rIDAvailablePool", (0x3fff_ffff << 32 | rids).to_string().into_bytes())]);
        }
        if let Some(range) = asked.attribute.strip_prefix("member") {
            let first = range.strip_prefix(";range=").map_or(0, |range| range.trim_end_matches("-*").parse().unwrap());
            let end = count.min(first + 1500);
            let last = if end == count { "*".to_owned() } else { (end - 1).to_string() };
            let values = (first..end).map(|index| member_dn(index).into_bytes()).collect();
            let attributes = vec![
                ("objectSid".to_owned(), vec![known().to_bytes()]),
                ("member".to_owned(), vec![]),
                (format!("member;range={first}-{last}"), values),
            ];
            return Answer::Entries(vec![("CN=g".into(), attributes)], 0, b"");
        }
        if asked.filter.windows(8).any(|part| part == b"memberOf") {
            return by_member_of();
        }
        counter.fetch_add(1, Ordering::SeqCst);
        // The batch is an "or" of comparisons with one DN each.
        let wanted = ber::children(&asked.filter).map(|(_, comparison)| {
            let (_, dn) = ber::children(comparison).nth(1).unwrap();
            std::str::from_utf8(dn).unwrap()
        });
        let found = wanted.enumerate().map(|(index, dn)| person(dn, 1000 + index as u32));
        Answer::Entries(found.collect(), 0, b"")
    };
    (answer, by_dn)
}

async fn members_of(answer: impl Fn(&Asked) -> Answer + Send + 'static) -> Vec<String> {
    let directory = directory(answer).await;
    let members = directory.read_members("CN=g", &known(), Instant::now() + Duration::from_secs(120)).await.unwrap();
    let mut names: Vec<_> = members.iter().map(|member| user_name(member).to_owned()).collect();
    names.sort_unstable();
    names
}

fn everybody(count: usize) -> Vec<String> {
    let mut names: Vec<_> = (0..count).map(|index| format!("m{index}")).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn members_in_ranges_are_all_read() {
    let (answer, _) = group_of(3_700, 100_000, || panic!("a large domain is not searched through for a small group"));
    assert_eq!(members_of(answer).await, everybody(3_700));
}

#[tokio::test]
async fn a_group_of_most_accounts_is_read_by_back_links_and_who_is_missing_there_by_dn() {
    for (count, given, by_dns) in [(1_400, 1_400, 0), (1_400, 1_000, 27), (3_700, 3_690, 1)] {
        let (answer, by_dn) = group_of(count, 5_000, move || {
            let people = (0..given).map(|index| person(&member_dn(index).replace("CN=", "cn="), 1000 + index as u32));
            // Too many to be given at once.
            Answer::Entries(people.collect(), if given == 1_000 { 4 } else { 0 }, b"")
        });
        assert_eq!(members_of(answer).await, everybody(count), "{count}, {given}");
        assert_eq!(by_dn.load(Ordering::SeqCst), by_dns, "searches by DN");
    }
}

#[tokio::test]
async fn the_work_of_a_large_group_stands_before_nobodys_lookup() {
    let directory = Arc::new(unconnected());
    let (usual, _) = group_of(1_400, 5_000, || panic!("long work on the connection for lookups"));
    let alice = |asked: &Asked| asked.filter.windows(5).any(|part| part == b"alice");
    let first = move |asked: &Asked| {
        if alice(asked) { Answer::Entries(vec![person("CN=alice,DC=x", 1)], 0, b"") } else { usual(asked) }
    };
    directory.link.adopt(&connection(first).await);
    let busy = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&busy);
    let second = move |_: &Asked| {
        counter.fetch_add(1, Ordering::SeqCst);
        Answer::Silence
    };
    directory.second.adopt(&connection(second).await);
    let members = {
        let directory = Arc::clone(&directory);
        tokio::spawn(async move { directory.members("CN=g", &known()).await.map(|members| members.len()) })
    };
    while busy.load(Ordering::SeqCst) == 0 {
        assert!(!members.is_finished(), "the second connection is not used");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(directory.user(&Key::Sam("alice".into())).await.unwrap().is_some());
    assert!(!members.is_finished());
    members.abort();
}

#[tokio::test]
async fn a_large_group_is_read_where_there_is_no_second_connection() {
    let directory = unconnected();
    let (answer, _) = group_of(1_400, 100_000, || panic!("a large domain is not searched through for a small group"));
    directory.link.adopt(&connection(answer).await);
    assert_eq!(directory.members("CN=g", &known()).await.unwrap().len(), 1_400);
}

/// All users that this server gives, in the order of their names.
async fn listed(answer: impl Fn(&Asked) -> Answer + Send + 'static) -> Result<Vec<String>, Error> {
    let directory = directory(answer).await;
    let (sender, mut batches) = tokio::sync::mpsc::channel::<Vec<UserEntry>>(4);
    let taken = async {
        let mut names = Vec::new();
        while let Some(batch) = batches.recv().await {
            names.extend(batch.into_iter().map(|user| user.sam));
        }
        names.sort_unstable();
        names.dedup();
        names
    };
    let (asked, names) = tokio::join!(directory.list_users(None, sender), taken);
    asked.map(|()| names)
}

#[tokio::test]
async fn a_server_that_limits_its_answers_is_asked_for_pages() {
    let names = listed(|asked| match asked.cookie.as_deref() {
        None => Answer::Entries(vec![person("CN=a,DC=x", 1)], 4, b""),
        Some(b"") => Answer::Entries(vec![person("CN=a,DC=x", 1)], 0, b"more"),
        Some(b"more") => Answer::Entries(vec![person("CN=b,DC=x", 2)], 0, b"last"),
        Some(b"last") => Answer::Entries(vec![person("CN=c,DC=x", 3)], 0, b""),
        other => panic!("{other:?}"),
    });
    assert_eq!(names.await.unwrap(), ["a", "b", "c"]);
}

#[tokio::test]
async fn everybody_comes_in_one_answer_where_that_is_whole() {
    let names = listed(|asked| {
        assert!(asked.cookie.is_none(), "nobody needs pages here");
        Answer::Entries((0..1_300).map(|rid| person(&format!("CN=u{rid:04},DC=x"), rid)).collect(), 0, b"")
    });
    let names = names.await.unwrap();
    assert_eq!((names.len(), names[1_299].as_str()), (1_300, "u1299"));
}

#[tokio::test]
async fn an_enumeration_whose_connection_is_lost_is_none() {
    let error = listed(|asked| match asked.cookie.as_deref() {
        None => Answer::Entries(vec![person("CN=a,DC=x", 1)], 4, b""),
        Some(b"") => Answer::Entries(vec![person("CN=a,DC=x", 1)], 0, b"more"),
        _ => Answer::Close,
    });
    let error = error.await.unwrap_err();
    assert!(matches!(&error, Error::Offline(text) if text.contains("broke off")), "{error:?}");
}

#[tokio::test]
async fn result_codes_say_what_to_do_next() {
    for (code, matches) in [
        (50, (|error: &Error| matches!(error, Error::MachineUnauthorized(_))) as fn(&Error) -> bool),
        (3, |error| matches!(error, Error::Offline(_))),
        (51, |error| matches!(error, Error::Offline(_))),
        (12, |error| matches!(error, Error::Protocol(_))),
    ] {
        let directory = directory(move |_| Answer::Entries(Vec::new(), code, b"")).await;
        let error = directory.user(&Key::Sam("alice".into())).await.unwrap_err();
        assert!(matches(&error), "{code}: {error:?}");
    }
}

#[tokio::test]
async fn what_is_gone_is_told_apart_from_what_is_empty() {
    let with_sid = |sid: Sid| one("CN=alice", vec![("objectSid", sid.to_bytes())]);
    let empty = directory(move |_| with_sid(known())).await;
    assert_eq!(empty.token_groups("CN=alice", &known()).await.unwrap(), []);
    let another = directory(move |_| with_sid("S-1-5-21-1-2-3-9999".parse().unwrap())).await;
    assert!(another.token_groups("CN=alice", &known()).await.is_err(), "the DN is another object's by now");
    let gone = directory(|_| Answer::Entries(Vec::new(), 32, b"")).await;
    let error = gone.token_groups("CN=alice", &known()).await.unwrap_err();
    assert!(error.to_string().contains("CN=alice is no more"), "{error}");
}

#[tokio::test]
async fn a_server_that_talks_nonsense_or_nothing_is_an_outage() {
    for answer in [|| Answer::Garbage, || Answer::Abyss, || Answer::Silence, || Answer::Close] {
        let directory = directory(move |_| answer()).await;
        let alice = Key::Sam("alice".into());
        let asked = directory.user(&alice);
        let answer = tokio::time::timeout(Duration::from_secs(60), asked).await.expect("the deadline holds");
        assert!(matches!(answer, Err(Error::Offline(_))), "{answer:?}");
        assert!(!directory.health().online);
    }
}

#[tokio::test]
async fn a_slow_search_does_not_cost_the_others_their_connection() {
    let directory = directory(|asked| {
        if asked.filter.windows(4).any(|part| part == b"slow") {
            Answer::Silence
        } else {
            Answer::Entries(vec![person("CN=alice,DC=x", 1)], 0, b"")
        }
    })
    .await;
    let directory = Arc::new(directory);
    let (slow, alice) = (Key::Sam("slow".into()), Key::Sam("alice".into()));
    let waiting = {
        let directory = Arc::clone(&directory);
        tokio::spawn(async move { directory.user(&slow).await })
    };
    while !waiting.is_finished() {
        assert!(directory.user(&alice).await.unwrap().is_some());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(matches!(waiting.await.unwrap(), Err(Error::Offline(_))));
    assert!(directory.user(&alice).await.unwrap().is_some());
}
