//! Lists: everybody once, in order, and a page costs what it holds.

use rusqlite::StatementStatus;

use super::*;

const A: &str = "a.example";

/// Names of the list that begin so.
pub(super) fn names(store: &IdentityStore, kind: Kind, domain: &str, prefix: &str) -> Vec<String> {
    let page = store.page(kind, domain, Part { prefix, after: None, limit: 1000 }).unwrap();
    page.into_iter().map(|row| row.name).collect()
}

/// So many users, as an enumeration writes them.
fn crowd(count: u32) -> Vec<Change> {
    let rows: Vec<_> =
        (1..=count).map(|rid| Listed { sid: sid(rid), name: format!("user{rid:06}"), id: 200_000 + rid }).collect();
    rows.chunks(1000).map(|rows| Change::Listed(Kind::Users, A.into(), rows.to_vec(), 1)).collect()
}

#[test]
fn pages_hold_everybody_once_in_order() {
    let folder = Folder::new("pages");
    let store = folder.open();
    let users: Vec<_> = (0..25).map(|at| user(at + 1, &format!("user{at:02}"))).collect();
    store.put_users(users.iter().rev(), 1).unwrap();
    store.put_groups([&group(2000, "user05 and friends")], 1).unwrap();
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.page(Kind::Users, A, Part { prefix: "", after: after.as_deref(), limit: 10 }).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.name.clone());
        seen.extend(page);
    }
    assert_eq!(seen, users.iter().map(Listed::from).collect::<Vec<_>>());
    let part = Part { prefix: "user1", after: Some("user13"), limit: 2 };
    let names_of = |rows: Vec<Listed>| rows.into_iter().map(|row| row.name).collect::<Vec<_>>();
    assert_eq!(names_of(store.page(Kind::Users, A, part).unwrap()), ["user14", "user15"]);
    // A place before the names that were asked for, and one behind them.
    assert_eq!(store.page(Kind::Users, A, Part { after: Some("u"), ..part }).unwrap().len(), 2);
    assert!(store.page(Kind::Users, A, Part { after: Some("user2"), ..part }).unwrap().is_empty());
    assert_eq!(names(&store, Kind::Groups, A, "user05"), ["user05 and friends"]);
}

#[test]
fn a_page_goes_on_where_it_ended_while_people_come_and_go() {
    let folder = Folder::new("stable");
    let store = folder.open();
    store.put_users([&user(1, "anna"), &user(2, "berta"), &user(4, "dora")], 1).unwrap();
    let behind = |name| store.page(Kind::Users, A, Part { prefix: "", after: Some(name), limit: 10 }).unwrap();
    store.flush(&sid(2)).unwrap();
    store.put_users([&user(3, "carla"), &user(1, "emma")], 2).unwrap();
    assert_eq!(behind("berta").into_iter().map(|row| row.name).collect::<Vec<_>>(), ["carla", "dora", "emma"]);
}

#[test]
fn a_list_has_the_last_name_of_each() {
    let folder = Folder::new("last-name");
    let store = folder.open();
    store.put_users([&user(1, "alice"), &user(2, "bob")], 1).unwrap();
    store.put_users([&user(1, "alicia")], 2).unwrap();
    assert_eq!(names(&store, Kind::Users, A, ""), ["alicia", "bob"]);
    // bob was deleted and made anew; under the old shape of names too.
    let mut anew = user(3, "bob");
    anew.name = "bob@contoso.com".into();
    store.put_users([&anew], 3).unwrap();
    assert_eq!(names(&store, Kind::Users, A, ""), ["alicia", "bob@contoso.com"]);
    let renamed = Listed { sid: sid(1), name: "ali".into(), id: 1 };
    store.apply(&[Change::Listed(Kind::Users, A.into(), vec![renamed], 4)]).unwrap();
    assert_eq!(names(&store, Kind::Users, A, "al"), ["ali"]);
}

#[test]
fn whoever_an_enumeration_does_not_name_is_gone() {
    let folder = Folder::new("gone");
    let store = folder.open();
    store.put_users([&user(9, "zoe")], 5).unwrap();
    store.put_groups([&group(2000, "staff")], 5).unwrap();
    assert_eq!(store.enumerated(Kind::Users, A).unwrap(), None);
    let two =
        |now| Change::Listed(Kind::Users, A.into(), vec![(&user(1, "alice")).into(), (&user(2, "bob")).into()], now);
    store.apply(&[two(11), Change::Enumerated(Kind::Users, A.into(), 10)]).unwrap();
    assert_eq!(names(&store, Kind::Users, A, ""), ["alice", "bob"]);
    assert_eq!(names(&store, Kind::Groups, A, ""), ["staff"], "groups are another list");
    assert_eq!(store.enumerated(Kind::Users, A).unwrap(), Some(10));
    store.flush_all().unwrap();
    assert_eq!(store.enumerated(Kind::Users, A).unwrap(), None, "an empty list is not whole");
}

/// Steps of SQLite's virtual machine for one page.
fn steps(store: &IdentityStore, prefix: &str, after: Option<&str>) -> i32 {
    let (first, end) = crate::store::listing::bounds(Part { prefix, after, limit: 100 });
    store
        .read(|connection| {
            let mut statement = connection.prepare(crate::store::listing::sql::PAGE)?;
            let mut rows = statement.query((0, A, first, end, 100))?;
            while rows.next()?.is_some() {}
            drop(rows);
            Ok(statement.get_status(StatementStatus::VmStep))
        })
        .unwrap()
}

#[test]
fn a_page_of_fifty_thousand_costs_what_one_of_two_thousand_does() {
    let cost = |count: u32| {
        let folder = Folder::new(&format!("cost-{count}"));
        let store = folder.open();
        store.apply(&crowd(count)).unwrap();
        let middle = format!("user{:06}", count / 2);
        [
            steps(&store, "", None),
            steps(&store, "", Some(&middle)),
            steps(&store, &middle[..9], None),
            steps(&store, "nobody", None),
        ]
    };
    let (few, many) = (cost(2_000), cost(50_000));
    println!("steps of a page of 100: first, in the middle, by a prefix, of nobody: {few:?} and {many:?}");
    for (few, many) in few.into_iter().zip(many) {
        assert!(many * 10 <= few * 11, "{many} steps where {few} are enough");
        assert!(many < 3_000, "{many} steps for a page of 100 rows");
    }
}
