//! IDENTIFY and HEALTH: which SID, name and id belong together, many at once, for programs that speak of SIDs.

use std::sync::Arc;
use std::time::Duration;

use entra_core::Error;
use entra_core::lookup::{Freshness, Holder, Lookup, Query, asked_by};
use entra_core::types::{GroupRecord, Sid, UserRecord};
use entra_wire::codec::Writer;
use entra_wire::guard::name_may_be_ours;
use entra_wire::identity::{Account, Identity, Subject, Subjects};
use entra_wire::lookup_deadline;
use entra_wire::protocol::Status;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// Longest work on one request; what is not known then is answered so. The client waits a moment longer.
const DEADLINE: Duration = lookup_deadline::DEFAULT.saturating_sub(lookup_deadline::WAY);
/// How many subjects are looked up at once: a directory answers several as quickly as one, and other lookups have room
/// beside them.
const AT_ONCE: usize = 8;

/// Answers about each subject, in order, to a process of the uid `asker`.
pub(super) async fn identities(lookup: &Arc<Lookup>, asker: u32, subjects: Subjects<'_>) -> Writer {
    let deadline = Instant::now() + DEADLINE;
    let mut questions = subjects.iter().map(question).enumerate();
    let mut answers = vec![Found::Unknown; subjects.iter().len()];
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE
            && let Some((at, question)) = questions.next()
        {
            let lookup = Arc::clone(lookup);
            running.spawn(async move {
                let found = timeout_at(deadline, asked_by(asker, find(&lookup, question))).await;
                (at, found.unwrap_or(Ok(Found::Unknown)).unwrap_or(Found::Unknown))
            });
        }
        let Some(done) = running.join_next().await else { break };
        if let Ok((at, found)) = done
            && let Some(slot) = answers.get_mut(at)
        {
            *slot = found;
        }
    }
    let mut writer = Writer::reply(Status::Ok);
    writer.count(answers.len());
    for answer in &answers {
        answer.write(&mut writer);
    }
    writer
}

/// How many domains there are, and how many of them answered when they were last asked.
pub(super) fn health(lookup: &Lookup) -> Writer {
    let domains = lookup.domains();
    let online = domains.iter().filter(|domain| lookup.domain_health(domain).0.online).count();
    let mut writer = Writer::reply(Status::Ok);
    writer.count(domains.len()).count(online);
    writer
}

/// Which kinds of records a subject can be, and the query for them; `None`: nobody of ours.
struct Question {
    user: bool,
    group: bool,
    query: Option<Query>,
}

#[derive(Clone)]
enum Found {
    None,
    User(Arc<UserRecord>),
    Group(Arc<GroupRecord>),
    Unknown,
}

impl Found {
    fn write(&self, writer: &mut Writer) {
        let sid = match self {
            Self::User(user) => user.sid.to_bytes(),
            Self::Group(group) => group.sid.to_bytes(),
            Self::None | Self::Unknown => Vec::new(),
        };
        match self {
            Self::None => Identity::None,
            Self::Unknown => Identity::Unknown,
            Self::User(user) => Identity::User(Account { id: user.uid, sid: &sid, name: user.name.as_bytes() }),
            Self::Group(group) => Identity::Group(Account { id: group.gid, sid: &sid, name: group.name.as_bytes() }),
        }
        .write(writer);
    }
}

fn question(subject: Subject<'_>) -> Question {
    let named = |name: &[u8]| {
        let text = std::str::from_utf8(name).ok().filter(|name| name_may_be_ours(name.as_bytes()));
        text.map(Query::name)
    };
    let (user, group, query) = match subject {
        Subject::Sid(sid) => (true, true, Sid::from_bytes(sid).ok().map(Query::Sid)),
        Subject::Uid(uid) => (true, false, Some(Query::Id(uid))),
        Subject::Gid(gid) => (false, true, Some(Query::Id(gid))),
        Subject::User(name) => (true, false, named(name)),
        Subject::Group(name) => (false, true, named(name)),
    };
    Question { user, group, query }
}

/// What is found is published, so that the next process finds it in the shared cache.
async fn find(lookup: &Arc<Lookup>, question: Question) -> Result<Found, Error> {
    let Some(query) = question.query else { return Ok(Found::None) };
    if let Query::Sid(sid) = &query {
        // Who had the SID before answers for it, under the SID of now.
        return Ok(match lookup.holder(sid).await? {
            Some(Holder::User(user)) => {
                lookup.show_user(&user, &query);
                Found::User(user.value)
            }
            Some(Holder::Group(group)) => {
                lookup.show_group(&group, None, &query);
                Found::Group(group.value)
            }
            None => Found::None,
        });
    }
    if question.user {
        match lookup.user(query.clone(), Freshness::Cached).await? {
            Some(user) => {
                lookup.show_user(&user, &query);
                return Ok(Found::User(user.value));
            }
            None => lookup.show_no_user(&query),
        }
    }
    if question.group {
        match lookup.group(query.clone(), Freshness::Cached).await? {
            Some(group) => {
                lookup.show_group(&group, None, &query);
                return Ok(Found::Group(group.value));
            }
            None => lookup.show_no_group(&query),
        }
    }
    Ok(Found::None)
}
