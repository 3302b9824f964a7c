//! Two domain controllers, and what a lookup notices when one of them goes: nothing but a short wait.

use std::time::Duration;

use entra_lab::accounts::ALICE;
use entra_lab::{Lab, Node, dc, product, second};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("failover: the cable of the domain controller in use is out, and a cold lookup takes less than its deadline", cut),
    ("failover: a domain controller that takes connections and says nothing is left", silent),
    ("failover: a domain controller that ends is left, and served by again when it is the one preferred", ended),
    ("failover: the only domain controller left, Samba 4.22, takes a new machine password and a login", rotated),
];

/// The default of lookup_deadline.
const DEADLINE: Duration = Duration::from_secs(3);

fn cut(world: &World) -> Verdict {
    with_first(world, "user0100", |lab, node| {
        lab.cut("dc")?;
        let verdict = left(node, "user0101");
        lab.mend("dc")?;
        verdict
    })
}

fn silent(world: &World) -> Verdict {
    with_first(world, "user0110", |lab, node| {
        // Stopped processes: the kernel goes on taking connections for them.
        let dc = lab.node("dc")?;
        let signal =
            |name: &str| dc.sh(r#"for pid in $(pgrep samba; pgrep -f 'samba:'); do kill -"$1" "$pid"; done"#, &[name]);
        signal("STOP")?;
        let verdict = left(node, "user0111").and_then(|()| {
            // A start with nothing known but two names, the first of them silent.
            product::stop_daemon(node)?;
            product::start_daemon(node)?;
            quick(node, "user0112")
        });
        signal("CONT")?;
        verdict
    })
}

fn ended(world: &World) -> Verdict {
    with_first(world, "user0120", |lab, node| {
        let first = lab.node("dc")?;
        first.stop("samba")?;
        let verdict = left(node, "user0121");
        dc::restart(&first, &[])?;
        verdict?;
        // The way back is taken with the next connection, once the back-off is over.
        std::thread::sleep(Duration::from_secs(6));
        lab.cut("dc2")?;
        let found = node.run(&["getent", "passwd", "user0122"]);
        lab.mend("dc2")?;
        check::text("getent with the other one gone", found?)?;
        check::holds("status", &node.must(&["entractl", "status"])?, dc::HOST)
    })
}

fn rotated(world: &World) -> Verdict {
    with_first(world, "user0130", |lab, node| {
        lab.cut("dc")?;
        let verdict = rotated_at_the_second(node);
        lab.mend("dc")?;
        verdict?;
        // The first one learns the new key: what it says of it until then is of no interest here.
        second::replicate(&lab.node("dc")?)?;
        check::text("with both again", node.run(&["entractl", "testjoin"])?).map(drop)
    })
}

fn rotated_at_the_second(node: &Node) -> Verdict {
    left(node, "user0131")?;
    check::that(!node.run(&["pgrep", "smbd"])?.ok(), || "Samba serves on this node".into())?;
    let versions = || {
        let list = "klist -k /etc/krb5.keytab | awk '/@/ {print $1}' | sort -un | xargs";
        let text = node.must(&["sh", "-c", list])?;
        text.split(' ')
            .map(|word| word.parse::<u32>().map_err(|_| format!("versions {text:?}")))
            .collect::<Result<Vec<_>, _>>()
    };
    let newest = *versions()?.last().ok_or("an empty keytab")?;
    check::text("entractl keytab rotate", node.run(&["entractl", "keytab", "rotate"])?)?;
    check::equal("the newest versions", &versions()?.split_off(versions()?.len() - 2), &vec![newest, newest + 1])?;
    check::text("entractl testjoin", node.run(&["entractl", "testjoin"])?)?;
    check::text("a login", product::ssh_as(node, &ALICE, "klist -s")?)?;
    check::holds("status", &node.must(&["entractl", "status"])?, second::HOST)
}

/// Runs `work` on the client while its daemon is connected to the first domain controller, which the configuration
/// prefers.
fn with_first(world: &World, user: &str, work: impl FnOnce(&Lab, &Node) -> Verdict) -> Verdict {
    let lab = world.two_dcs()?;
    let node = lab.node("client")?;
    let script = r#"sed -i '/^servers\|^dns_servers/d' /etc/entra/entra.toml
        sed -i "/^preset/a servers = [\"$1\", \"$2\"]\ndns_servers = [\"$3\", \"$4\"]" /etc/entra/entra.toml"#;
    node.sh(script, &[dc::HOST, second::HOST, dc::ADDRESS, second::ADDRESS])?.text()?;
    // One that a case before has taken away needs a moment to be reached again, and is passed by meanwhile.
    let mut status = String::new();
    for _ in 0..20 {
        product::start_daemon(&node)?;
        check::text("getent", node.run(&["getent", "passwd", user])?)?;
        status = node.must(&["entractl", "status"])?;
        if status.contains(dc::HOST) {
            break;
        }
        product::stop_daemon(&node)?;
        std::thread::sleep(Duration::from_millis(500));
    }
    check::holds("status", &status, dc::HOST)?;
    let verdict = work(lab, &node);
    product::stop_daemon(&node)?;
    node.must(&["sed", "-i", r"/^servers\|^dns_servers/d", "/etc/entra/entra.toml"])?;
    verdict
}

/// Insists that a user who was never asked for is answered in time, by the second domain controller.
fn left(node: &Node, user: &str) -> Verdict {
    quick(node, user)?;
    check::holds("status", &node.must(&["entractl", "status"])?, second::HOST)
}

fn quick(node: &Node, user: &str) -> Verdict {
    let output = node.run(&["getent", "passwd", user])?;
    let took = output.took;
    check::text(&format!("getent passwd {user}, {:.1} s", took.as_secs_f32()), output)?;
    check::that(took < DEADLINE, || format!("{user} took {:.1} s", took.as_secs_f32()))
}
