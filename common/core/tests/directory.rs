//! The LDAP adapter against a real domain controller. Needs the lab and is run by it, in a client node, with
//! `--ignored`; the environment says what to expect (see [`Lab`]). Time stands in the output, not in the assertions.

#![allow(clippy::unwrap_used, clippy::panic)]

mod lab;

use std::sync::Arc;
use std::time::{Duration, Instant};

use entra_core::Error;
use entra_core::directory::ldap::LdapDirectory;
use entra_core::directory::{Directory, Key};
use entra_core::discovery::{LocateError, locate};
use entra_core::types::{GroupEntry, UserEntry};
use lab::{Lab, timed};
use tokio::sync::mpsc;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's domain controller"]
async fn users_are_found_by_every_key() {
    let lab = Lab::new("users");
    let directory = lab.directory(|_| ());
    let info = timed("connect and domain info", directory.domain_info()).await.unwrap();
    assert_eq!(info.dns_name, lab.domain);
    assert!(info.sid.is_of_a_domain() && !info.netbios.is_empty(), "{info:?}");
    let alice = timed("first user", directory.user(&Key::Sam("ALICE".into()))).await.unwrap().expect("alice");
    let started = Instant::now();
    for _ in 0..100 {
        directory.user(&Key::Sam("alice".into())).await.unwrap().expect("alice");
    }
    println!("user by sAMAccountName: {:?} each", started.elapsed() / 100);
    let upn = alice.upn.clone().expect("a UPN");
    for key in [
        Key::Upn(upn.to_uppercase()),
        Key::Sid(alice.sid.clone().expect("a SID")),
        Key::SamOrUpn { sam: upn.clone(), upn },
        Key::SamOrUpn { sam: "alice".into(), upn: format!("alice@{}", lab.domain) },
    ] {
        assert_eq!(directory.user(&key).await.unwrap().as_ref(), Some(&alice), "{key:?}");
    }
    for nobody in ["nobody-at-all", "ali*", "*", "alice)(cn=*", "krbtgt\\", lab.principal.as_str()] {
        assert_eq!(directory.user(&Key::Sam(nobody.into())).await.unwrap(), None, "{nobody}");
    }
    assert_eq!(directory.group(&Key::Sam("alice".into())).await.unwrap(), None, "a user is no group");
    let tokens = timed("tokenGroups", directory.token_groups(&alice.dn, alice.sid.as_ref().unwrap())).await.unwrap();
    let primary = info.sid.with_rid(alice.primary_group_rid).unwrap();
    assert!(tokens.contains(&primary), "{tokens:?}");
    let groups = timed(&format!("{} groups by SID", tokens.len()), directory.groups_by_sids(&tokens)).await.unwrap();
    assert_eq!(groups.len(), tokens.len());
    let health = directory.health();
    assert!(health.online && health.searches > 100 && health.latency_us.is_some(), "{health:?}");
    assert_eq!(directory.kdc().await.unwrap().port(), 88);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's domain controller"]
async fn a_large_group_has_all_its_members() {
    let lab = Lab::new("members");
    let directory = lab.directory(|_| ());
    let group = directory.group(&Key::Sam(lab.large_group.clone())).await.unwrap().expect("the large group");
    for _ in 0..3 {
        let members = timed("members", directory.members(&group.dn, group.sid.as_ref().unwrap())).await.unwrap();
        assert_eq!(members.len(), lab.large_group_size);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's domain controller"]
async fn enumeration_gives_everybody_once() {
    let lab = Lab::new("pages");
    let directory = lab.directory(|_| ());
    let started = Instant::now();
    let users = users(&directory, None).await;
    println!("{} users: {:?}", users.len(), started.elapsed());
    let mut sids: Vec<_> = users.into_iter().filter_map(|user| user.sid).collect();
    let count = sids.len();
    sids.sort();
    sids.dedup();
    // Where the server limits its answers, the first 1,000 come again in pages.
    assert!(count - sids.len() <= 1_000, "{count} entries of {} users", sids.len());
    assert!(sids.len() > lab.large_group_size, "{}", sids.len());
    let (sender, mut batches) = mpsc::channel::<Vec<GroupEntry>>(4);
    let taken = async {
        let mut found = false;
        while let Some(batch) = batches.recv().await {
            found |= batch.iter().any(|group| group.sam == lab.large_group);
        }
        found
    };
    let (asked, found) = tokio::join!(directory.list_groups(None, sender), taken);
    asked.unwrap();
    assert!(found, "{} is not listed", lab.large_group);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's domain controller"]
async fn changes_since_a_mark_are_few() {
    let lab = Lab::new("changes");
    let directory = lab.directory(|_| ());
    let mark = timed("mark", directory.change_mark()).await.unwrap();
    assert!(mark.usn > 0 && mark.database.len() > 16, "{mark:?}");
    assert_eq!(directory.change_mark().await.unwrap().database, mark.database);
    let changed = timed("changes", users(&directory, Some(mark.usn))).await;
    assert!(changed.len() < 10, "{} users changed within a moment", changed.len());
    let all = users(&directory, Some(0)).await;
    assert!(all.len() > lab.large_group_size, "{}", all.len());
}

async fn users(directory: &LdapDirectory, since: Option<u64>) -> Vec<UserEntry> {
    let (sender, mut batches) = mpsc::channel(4);
    let taken = async {
        let mut users = Vec::new();
        while let Some(batch) = batches.recv().await {
            users.extend(batch);
        }
        users
    };
    let (asked, users) = tokio::join!(directory.list_users(since, sender), taken);
    asked.unwrap();
    users
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's domain controller"]
async fn many_lookups_share_one_connection() {
    let lab = Lab::new("many");
    let directory = Arc::new(lab.directory(|_| ()));
    directory.domain_info().await.unwrap();
    let started = Instant::now();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..2000 {
        let directory = Arc::clone(&directory);
        asking.spawn(async move { directory.user(&Key::Sam("alice".into())).await });
    }
    let answers = asking.join_all().await;
    println!("2000 concurrent searches: {:?}", started.elapsed());
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Some(_)))));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's domain controller"]
async fn large_requests_and_answers_do_not_block_each_other() {
    let lab = Lab::new("large");
    let directory = Arc::new(lab.directory(|_| ()));
    let domain = directory.domain_info().await.unwrap().sid;
    let everybody = domain.with_rid(513).unwrap();
    let started = Instant::now();
    let mut asking = tokio::task::JoinSet::new();
    // 40 SIDs make a request of some 3 KiB, and a page is an answer of some 600 KiB: each way more than a socket's
    // buffer holds.
    for round in 0..10 {
        let (directory, domain, everybody) = (Arc::clone(&directory), domain.clone(), everybody.clone());
        asking.spawn(async move {
            let unknown = (0..200).filter_map(|rid| domain.with_rid(1_000_000 + round * 1000 + rid));
            let sids: Vec<_> = unknown.chain([everybody]).collect();
            let (users, found) = tokio::join!(users(&directory, None), directory.groups_by_sids(&sids));
            (found.map(|found| found.len()), users.len())
        });
    }
    for (found, users) in asking.join_all().await {
        assert_eq!(found.unwrap(), 1, "Domain Users alone");
        assert!(users > 0);
    }
    println!("large requests: {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's domain controller"]
async fn a_pinned_address_that_is_dead_is_passed_over() {
    let lab = Lab::new("pinned");
    // 192.0.2.1 is nobody's (RFC 5737). The DC is pinned by its address: its name is asked of its rootDSE.
    let directory = lab.directory(|domain| domain.servers = vec!["192.0.2.1".into(), lab.dns.ip().to_string()]);
    timed("connect past a dead server", directory.domain_info()).await.unwrap();
    assert_eq!(directory.health().address.map(|address| address.ip()), Some(lab.dns.ip()));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's domain controller"]
async fn a_pinned_alias_is_asked_for_its_own_name() {
    let lab = Lab::new("alias");
    // The domain's own name leads to its DCs, but no service is named so.
    let directory = lab.directory(|domain| domain.servers = vec![domain.name.clone()]);
    directory.domain_info().await.unwrap();
    let host = directory.health().server.expect("a server");
    assert!(host.ends_with(&format!(".{}", lab.domain)), "{host}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's domain controller"]
async fn filters_and_bases_are_honoured() {
    let lab = Lab::new("filters");
    let excluding = lab.directory(|domain| domain.user_filter = Some("!(sAMAccountName=alice)".into()));
    assert_eq!(excluding.user(&Key::Sam("alice".into())).await.unwrap(), None);
    let elsewhere = lab.directory(|domain| {
        let root = domain.name.split('.').map(|label| format!("DC={label}")).collect::<Vec<_>>().join(",");
        domain.user_bases = vec![format!("CN=Users,{root}")];
    });
    assert_eq!(elsewhere.user(&Key::Sam("alice".into())).await.unwrap(), None);
    assert!(elsewhere.user(&Key::Sam("Administrator".into())).await.unwrap().is_some());
    let group = elsewhere.group(&Key::Sam(lab.large_group.clone())).await.unwrap().expect("groups are not narrowed");
    assert_eq!(
        elsewhere.members(&group.dn, group.sid.as_ref().unwrap()).await.unwrap(),
        [],
        "its members lie elsewhere"
    );
    let missing = lab.directory(|domain| domain.user_bases = vec!["OU=nowhere,DC=invalid".into()]);
    let error = missing.user(&Key::Sam("alice".into())).await.unwrap_err();
    assert!(matches!(&error, Error::Config(text) if text.contains("OU=nowhere")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's domain controller"]
async fn servers_are_located_and_what_is_missing_is_named() {
    let lab = Lab::new("locate");
    let timeout = Duration::from_secs(5);
    let found = timed("locate", locate(&lab.domain, &[lab.dns], timeout)).await.unwrap();
    assert!(found.iter().any(|server| server.host.ends_with(&lab.domain) && server.addr.port() == 389), "{found:?}");
    // Below the domain, so that the lab's DNS server knows for sure.
    let missing = format!("nowhere.{}", lab.domain);
    let error = timed("locate nothing", locate(&missing, &[lab.dns], timeout)).await.unwrap_err();
    println!("{error}");
    assert!(
        matches!(&error, LocateError::Missing { record, .. } if record.contains("dc._msdcs.nowhere.")),
        "{error:?}"
    );
    let error = timed("locate elsewhere", locate("elsewhere.contoso.com", &[lab.dns], timeout)).await.unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains(&lab.dns.ip().to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's domain controller"]
async fn a_refused_machine_is_not_an_outage() {
    let mut lab = Lab::new("refused");
    lab.principal = "NO-SUCH-HOST$".into();
    let error = lab.directory(|_| ()).domain_info().await.unwrap_err();
    assert!(matches!(error, Error::MachineUnauthorized(_)), "{error:?}");
}
