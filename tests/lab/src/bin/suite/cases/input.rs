//! Names, numbers and frames that nobody in good faith sends.

use std::time::Duration;

use entra_lab::{Node, Terminal, product};
use serde_json::Value;

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::{Planted, World};

pub const CASES: &[Case] = &[
    ("input: names and numbers that nobody has are not found, at once", nobody),
    ("input: hostile names at a login are nobody's", logins),
    (
        "input: who sends 64 KiB or a NUL as a password, or hangs up at the prompt, gets nowhere and leaves nothing",
        prompts,
    ),
    ("input: broken frames on each socket cost nobody else anything", frames),
];

const LIMIT: Duration = Duration::from_secs(40);

/// Asks for each name (in hexadecimal) as a user and as a group, and each number as a uid and as a gid; prints what was
/// found, or errno where it is not 0. errno 0: not found (getpwnam(3)).
const ASK: &str = r#"
for my $word (@ARGV) {
    my ($kind, $key) = split /:/, $word, 2;
    $key = pack("H*", $key) if $kind eq "name";
    for my $call ($kind eq "name" ? (sub { getpwnam($key) }, sub { getgrnam($key) })
                                  : (sub { getpwuid($key) }, sub { getgrgid($key) })) {
        $! = 0;
        my @found = $call->();
        print "$word: ", (@found ? "found $found[0]" : "errno $!"), "\n" if @found || $! != 0;
    }
}"#;

fn hostile() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "",
        " ",
        "*",
        "ali*",
        "alice)",
        "(",
        "\\",
        "alice\\",
        "*)(objectClass=*",
        "alice)(|(cn=*",
        "al\\69ce",
        "@",
        "a@",
        "@a",
        "AADDS\\",
        "AADDS\\*",
        "alice@aadds.contoso.com@aadds.contoso.com",
        "nobody-knows",
        "nobody@contoso.com",
        "alice\n",
        "alice:x:0:0",
        "../../etc/passwd",
        "\u{202e}ecila",
        "-",
        "+",
        "S-1-5-21-3623811015-3361044348-30300820-1103",
        "alicé",
        "ａｌｉｃｅ",
    ]
    .map(|name| name.as_bytes().to_vec())
    .into();
    names.extend([b"\xff\xfe".to_vec(), b"alice\xff".to_vec(), b"\xc0\xaf".to_vec(), b"\xed\xa0\x80".to_vec()]);
    names.extend([255, 1024, 1025, 4096].map(|length| vec![b'a'; length]));
    names.push("ü".repeat(2048).into_bytes());
    names
}

fn nobody(world: &World) -> Verdict {
    let node = world.joined()?;
    let mut words: Vec<String> = hostile()
        .iter()
        .map(|name| format!("name:{}", name.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()))
        .collect();
    // Nobody's RID, a range that is not ours, the largest numbers, 32 bits around.
    let numbers = ["674199999", "674000001", "65000", "199999", "2000200000", "4294967293", "4294967294", "4294967295"];
    words.extend(numbers.map(|number| format!("id:{number}")));
    let ask = || -> Result<String, String> {
        let words: Vec<&str> = ["perl", "-e", ASK].into_iter().chain(words.iter().map(String::as_str)).collect();
        check::text("names that nobody has", node.run_with(&words, None, Duration::from_secs(60))?)
    };
    // uid 65534 is nobody's by name and everybody's by number: not among these.
    check::equal("what was found, or could not be told", &ask()?.as_str(), &"")?;
    // The second time nothing is asked of the directory: what is known to be nobody stays so for a while.
    let before = searches(&node)?;
    check::equal("the second time", &ask()?.as_str(), &"")?;
    let (before, after) = (before, searches(&node)?);
    check::that(after <= before + 2, || format!("{} searches for names that are known to be nobody", after - before))?;
    // The words of a filter are a name's letters here: those who have them are found.
    for name in ["paul (ext)", "o'hara"] {
        check::status(name, &node.run(&["getent", "passwd", name])?, 0)?;
    }
    Ok(())
}

fn logins(world: &World) -> Verdict {
    let node = world.joined()?;
    // What no command line can carry is left out, and what pamtester itself refuses: the empty name.
    let names: Vec<Vec<u8>> = hostile().into_iter().filter(|name| !name.is_empty()).collect();
    node.put_file("/tmp/hostile", names.join(&0), 0o644)?;
    // All at once: PAM delays each refusal by two seconds.
    let script = r#"try() { echo Alice-Pass-1 | timeout 30 pamtester sshd "$1" authenticate acct_mgmt >/dev/null 2>&1; echo "$?"; }
        try alice
        export -f try
        xargs -0 -n 1 -P 40 bash -c 'try "$1"' bash </tmp/hostile"#;
    let said = check::text("logins", node.run(&["bash", "-c", script])?)?;
    let mut statuses: Vec<&str> = said.lines().collect();
    statuses.sort_unstable();
    // 0 is alice herself, the control; 1 is pamtester's refusal; 124 would be a login that hangs.
    let refused = vec!["1"; names.len()];
    check::equal("the statuses of the logins", &statuses, &[vec!["0"], refused].concat())
}

fn prompts(world: &World) -> Verdict {
    let node = world.joined()?;
    world.with_planted(&[Planted::user("prompted", "Planted-Pass-1")], |_| {
        for (what, typed) in [
            ("64 KiB", vec![b'p'; 64 * 1024]),
            ("64 KiB and a line's end", [&vec![b'p'; 64 * 1024][..], b"\n"].concat()),
            ("a NUL in the password", b"Planted\0-Pass-1\n".to_vec()),
            ("a NUL before it", b"\0Planted-Pass-1\n".to_vec()),
            ("nothing", Vec::new()),
        ] {
            let output = node.run_with(&["pamtester", "sshd", "prompted", "authenticate"], Some(&typed), LIMIT)?;
            check::status(what, &output, 1)?;
        }
        let mut terminal = Terminal::start(&node, "su localuser -c 'su - prompted'", LIMIT)?;
        terminal.expect(&["assword: "])?;
        terminal.hang_up()?;
        let script =
            "for step in $(seq 100); do pgrep -x 'su|pamtester|krb5-helper' || exit 0; sleep 0.1; done; exit 1";
        check::status("processes that are left", &node.sh(script, &[])?, 0)?;
        check::text("a login", product::ssh(&node, "prompted", "Planted-Pass-1", "true")?).map(drop)
    })
}

/// Sends each frame on a connection of its own, as an ordinary user; prints what came back for those that are not simply
/// closed or told BAD_REQUEST (5) or REFUSED (4).
const SEND: &str = r#"
import os, socket, struct
head = lambda op: struct.pack("<HBB", 0x4E45, 1, op)
frame = lambda body: struct.pack("<I", len(body)) + body
ops = {"nss": [1, 2, 3, 4, 5, 6, 7], "pam": [32, 33, 34, 35, 36, 37, 38], "ctl": [64]}
for name, own in ops.items():
    frames = [b"", b"\0", b"\0\0\0\0", b"\xff\xff\xff\xff", struct.pack("<I", 3) + b"abc", os.urandom(4096),
              frame(os.urandom(64)), frame(b"\0" * 65532), struct.pack("<I", 65537) + b"x" * 65537,
              frame(struct.pack("<HBB", 0x4E45, 99, own[0])), frame(head(255)), frame(head(0))]
    for op in own:
        whole = frame(head(op) + struct.pack("<H", 5) + b"alice")
        frames += [whole[:cut] for cut in range(1, len(whole))]
        # A cursor may hold a NUL.
        frames += [] if op in (6, 7) else [frame(head(op) + struct.pack("<H", 5) + b"al\0ce")]
        frames += [frame(head(op)), frame(head(op) + struct.pack("<H", 65535) + b"short"), frame(head(op) + struct.pack("<H", 2) + b"\xff\xfe" + b"left over")]
    for sent in frames:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(f"/run/entra/{name}.sock")
            try:
                s.sendall(sent)
                s.shutdown(socket.SHUT_WR)
                back = b"".join(iter(lambda: s.recv(65536), b""))
            except (BrokenPipeError, ConnectionResetError):
                back = b""
            # Length, magic, version, status.
            if back and (len(back) < 8 or back[7] not in (4, 5)) and not (name == "ctl" and b'"invalid"' in back):
                print(name, sent[:40], "->", back[:80])
"#;

fn frames(world: &World) -> Verdict {
    let node = world.joined()?;
    let before = check::text("alice", node.run(&["getent", "passwd", "alice"])?)?;
    let pid = node.read_file("/run/lab/entrad.pid")?;
    let words = ["setpriv", "--reuid", "nobody", "--clear-groups", "python3", "-c", SEND];
    let said = check::text("broken frames", node.run_with(&words, None, Duration::from_secs(60))?)?;
    check::equal("answers to broken frames", &said.as_str(), &"")?;
    // A client that says nothing keeps its place and hinders nobody.
    let silent = r#"import socket, time
open_ones = [socket.socket(socket.AF_UNIX) for _ in range(100)]
for s in open_ones: s.connect("/run/entra/nss.sock"); s.send(b"\x10")
print("held", flush=True)
time.sleep(30)"#;
    node.start("silent", &["setpriv", "--reuid", "nobody", "--clear-groups", "python3", "-c", silent])?;
    let script = "for step in $(seq 100); do grep -q held /var/log/lab-silent.log && exit; sleep 0.05; done; exit 1";
    check::status("clients that say nothing", &node.sh(script, &[])?, 0)?;
    let after = node.run(&["getent", "passwd", "alice"]);
    node.stop("silent")?;
    check::equal("alice, behind a hundred silent clients", &check::text("alice", after?)?, &before)?;
    check::status("entractl status", &node.run(&["entractl", "status"])?, 0)?;
    check::equal("the daemon's process", &node.read_file("/run/lab/entrad.pid")?, &pid)?;
    check::that(node.is_running("entrad")?, || "the daemon ended".into())
}

fn searches(node: &Node) -> Result<u64, String> {
    let text = check::text("cache stats", node.run(&["entractl", "cache", "stats", "--json"])?)?;
    let json: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    json["directory_searches"].as_u64().ok_or_else(|| format!("no count of searches: {text}"))
}
