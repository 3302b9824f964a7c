//! What an application gets from glibc for users and groups of the directory.

use entra_plugin_tests::directory::{DOMAIN_USERS, Directory, Members, User};
use entra_plugin_tests::nss_stage::Stage;

const ALICE: &str = "alice:*:674001103:674000513:alice of the directory:/home/alice:/bin/bash";

fn stage() -> Stage {
    Stage::new(env!("CARGO_BIN_EXE_nss-driver"))
}

fn alice() -> User {
    let mut alice = User::new("alice", 674_001_103);
    alice.aliases = vec!["AADDS\\alice".into(), "alice@contoso.com".into()];
    alice
}

fn with_groups(groups: impl IntoIterator<Item = Members>) -> Directory {
    Directory { users: vec![alice()], groups: groups.into_iter().collect() }
}

#[test]
fn a_user_is_found_by_each_form_of_the_name_and_by_uid() {
    let stage = stage();
    let _daemon = stage.knowing_user(alice());
    for word in ["pwnam=alice", "pwnam=AADDS\\alice", "pwnam=alice@contoso.com", "pwuid=674001103"] {
        assert_eq!(stage.ask(word), ALICE, "{word}");
    }
    assert_eq!(stage.ask("pwnam=nobody-there"), "none");
    assert_eq!(stage.ask("pwuid=674009999"), "none");
}

#[test]
fn names_and_texts_outside_ascii_come_through() {
    let stage = stage();
    let mut user = User::new("zoë", 674_001_200);
    user.gecos = "Zoë O'Hara (Ext), 東京".into();
    let _daemon = stage.knowing_user(user);
    assert_eq!(stage.ask("pwnam=zoë"), "zoë:*:674001200:674000513:Zoë O'Hara (Ext), 東京:/home/zoë:/bin/bash");
}

#[test]
fn a_text_with_a_colon_or_a_line_end_makes_no_further_field() {
    let stage = stage();
    let mut user = User::new("eve", 674_001_201);
    user.gecos = "Eve:0:0\nroot::0:0".into();
    let _daemon = stage.knowing_user(user);
    assert_eq!(stage.ask("pwnam=eve"), "eve:*:674001201:674000513:Eve 0 0 root  0 0:/home/eve:/bin/bash");
}

#[test]
fn a_buffer_grows_from_one_byte_until_the_user_fits() {
    let stage = stage();
    let daemon = stage.knowing_user(alice());
    let lines = stage.run(&["sources=entra", "buffer=1", "step=1", "pwnam=alice", "pwuid=674001103"]);
    assert_eq!(lines, [ALICE, ALICE]);
    // Each string with its NUL; the colons stand for five NULs of the seven fields, two of which are numbers.
    let needed = "alice*alice of the directory/home/alice/bin/bash".len() + 5;
    assert_eq!(daemon.connections(), 2 * needed, "the user fits into exactly what its strings take");
}

#[test]
fn a_group_of_five_thousand_comes_whole() {
    let stage = stage();
    let names: Vec<String> = (0..5000).map(|number| format!("user{number:04}")).collect();
    let _daemon = stage.knowing(with_groups([Members::new("everybody", 674_002_000, names.clone())]));
    let wanted = format!("everybody:*:674002000:{}", names.join(","));
    for words in
        [["buffer=1", "grnam=everybody"], ["buffer=65536", "grnam=everybody"], ["buffer=1024", "grgid=674002000"]]
    {
        assert!(stage.run(&words) == [wanted.clone()], "{words:?}");
    }
}

#[test]
fn members_are_aligned_at_every_buffer_length() {
    let stage = stage();
    let group = Members::new("odd", 674_002_001, ["a", "bb", "ccc"].map(str::to_owned));
    let _daemon = stage.knowing(with_groups([group]));
    assert_eq!(stage.run(&["sources=entra", "buffer=1", "step=1", "grnam=odd"]), ["odd:*:674002001:a,bb,ccc"]);
}

#[test]
fn a_group_without_members_is_a_group() {
    let stage = stage();
    let _daemon = stage.knowing(with_groups([Members::new("empty", 674_002_002, [])]));
    assert_eq!(stage.run(&["grnam=empty", "grgid=674002002"]), ["empty:*:674002002:", "empty:*:674002002:"]);
}

#[test]
fn the_groups_of_a_user_are_primary_and_supplementary_ones_each_once() {
    let stage = stage();
    let mut user = alice();
    user.groups = vec![674_000_513, 674_002_000, 674_002_001, 674_002_000];
    let _daemon = stage.knowing_user(user);
    assert_eq!(stage.ask(&format!("grouplist=alice,{DOMAIN_USERS},10")), "3 3 [674000513, 674002000, 674002001]");
    // Another primary group than the directory's: the directory's is one of the others.
    assert_eq!(stage.ask("grouplist=alice,100,10"), "4 4 [100, 674000513, 674002000, 674002001]");
}

#[test]
fn an_array_that_is_too_small_says_how_many_groups_there_are() {
    let stage = stage();
    let mut user = alice();
    user.groups = (0..150).map(|number| 674_002_000 + number).collect();
    let _daemon = stage.knowing_user(user);
    let short = stage.ask(&format!("grouplist=alice,{DOMAIN_USERS},2"));
    assert!(short.starts_with("-1 151 "), "{short}");
    let whole = stage.ask(&format!("grouplist=alice,{DOMAIN_USERS},151"));
    assert!(whole.starts_with("151 151 [674000513, 674002000, ") && whole.ends_with(", 674002149]"), "{whole}");
}

#[test]
fn a_user_without_an_account_has_no_groups_of_ours() {
    let stage = stage();
    let _daemon = stage.knowing_user(alice());
    assert_eq!(stage.ask("grouplist=nobody-there,100,10"), "1 1 [100]");
}

#[test]
fn an_enumeration_gives_every_entry_once_and_then_ends() {
    let stage = stage();
    let users: Vec<User> = (0..8).map(|number| User::new(&format!("user{number}"), 674_003_000 + number)).collect();
    let groups: Vec<Members> = (0..7)
        .map(|number| Members::new(&format!("group{number}"), 674_004_000 + number, [format!("user{number}")]))
        .collect();
    let _daemon = stage.knowing(Directory { users, groups });
    let users: Vec<String> = (0..8)
        .map(|n| format!("user{n}:*:67400300{n}:674000513:user{n} of the directory:/home/user{n}:/bin/bash"))
        .chain(["error ENOENT".into()])
        .collect();
    // The second time from the start again; the third in a buffer that is too small at first.
    assert_eq!(
        stage.run(&["pwent", "pwent", "sources=entra", "buffer=1", "pwent"]),
        [&users[..], &users, &users].concat()
    );
    let groups: Vec<String> =
        (0..7).map(|n| format!("group{n}:*:67400400{n}:user{n}")).chain(["error ENOENT".into()]).collect();
    assert_eq!(stage.run(&["grent", "sources=entra", "buffer=1", "step=1", "grent"]), [&groups[..], &groups].concat());
}

#[test]
fn an_empty_enumeration_ends_at_once() {
    let stage = stage();
    let daemon = stage.knowing(Directory::default());
    assert_eq!(stage.run(&["pwent", "grent"]), ["error ENOENT", "error ENOENT"]);
    assert_eq!(daemon.connections(), 2);
}
