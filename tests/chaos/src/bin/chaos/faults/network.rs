//! Domain controllers that are dead, cut off, half deaf, or far away.

use std::time::Duration;

use entra_lab::Node;

use super::{DIRECTORY_AWAY, Fault, PLAIN, shown};
use crate::stage::Stage;

/// The kernel may lack netem.
const FAR_AWAY: &str = include_str!("../../../../data/far-away.py");

pub const FAULTS: &[Fault] = &[
    Fault {
        key: "dc-killed",
        title: "the DC in use killed, the other one alive",
        quick: true,
        make: |stage| {
            let (node, _) = stage.in_use()?;
            stage.noted.set(u64::from(node.name() == "dc2"));
            kill_samba(node).map(|()| None)
        },
        proof: |stage| dead(stage, noted_node(stage)),
        ..PLAIN
    },
    Fault {
        key: "dc-cut",
        title: "the cable of the DC in use out, the other one alive",
        make: |stage| {
            let (node, _) = stage.in_use()?;
            note_retransmissions(stage)?;
            stage.lab.cut(node.name())?;
            Ok(None)
        },
        proof: retransmitted,
        end: mend,
        ..PLAIN
    },
    Fault {
        key: "dcs-cut",
        title: "the cables of both DCs out",
        quick: true,
        may_fail: DIRECTORY_AWAY,
        make: |stage| {
            note_retransmissions(stage)?;
            stage.lab.cut("dc")?;
            stage.lab.cut("dc2")?;
            Ok(None)
        },
        proof: retransmitted,
        end: mend,
        ..PLAIN
    },
    Fault {
        key: "one-way",
        title: "both DCs hear, and what they send is lost",
        may_fail: DIRECTORY_AWAY,
        make: |stage| {
            for node in [&stage.dc, &stage.dc2] {
                filter(node, &["-A", "OUTPUT", "-d", "10.53.0.20", "-j", "DROP"])?;
            }
            Ok(None)
        },
        proof: |stage| {
            let lost = dropped(&stage.dc, "OUTPUT")? + dropped(&stage.dc2, "OUTPUT")?;
            shown(lost > 0, format!("{lost} packets of the DCs dropped"))
        },
        end: open,
        ..PLAIN
    },
    Fault {
        key: "far-away",
        title: "300 ms from question to answer and 10 % of all packets lost, both DCs",
        lasts: Duration::from_secs(15),
        may_fail: DIRECTORY_AWAY,
        make: |stage| {
            for node in [&stage.dc, &stage.dc2] {
                node.sh("rm -f /var/log/lab-far-away.log", &[])?.text()?;
                node.start("far-away", &["python3", "-u", "-c", FAR_AWAY, "0.15", "0.1"])?;
                // Without anybody who listens the queue loses everything.
                std::thread::sleep(Duration::from_millis(500));
                filter(node, &["-A", "OUTPUT", "-d", "10.53.0.20", "-j", "NFQUEUE", "--queue-num", "7"])?;
                filter(node, &["-A", "INPUT", "-s", "10.53.0.20", "-j", "NFQUEUE", "--queue-num", "7"])?;
            }
            Ok(None)
        },
        proof: |stage| {
            let (mut delayed, mut lost) = (0, 0);
            for node in [&stage.dc, &stage.dc2] {
                let log = node.log("far-away")?;
                let last = log.lines().last().and_then(|line| line.split_once(' '));
                let (more, gone) = last.ok_or_else(|| format!("{} delayed nothing: {log}", node.name()))?;
                delayed += more.parse::<u64>().map_err(|_| log.clone())?;
                lost += gone.parse::<u64>().map_err(|_| log.clone())?;
            }
            shown(delayed > 0 && lost > 0, format!("{delayed} packets held for 150 ms, {lost} lost"))
        },
        end: |stage| {
            open(stage)?;
            stage.dc.stop("far-away")?;
            Ok(stage.dc2.stop("far-away")?)
        },
        ..PLAIN
    },
    Fault {
        key: "dcs-killed",
        title: "both DCs killed, then one back",
        lasts: Duration::from_secs(12),
        may_fail: DIRECTORY_AWAY,
        make: |stage| {
            kill_samba(&stage.dc)?;
            kill_samba(&stage.dc2)?;
            Ok(None)
        },
        proof: |stage| {
            let first = dead(stage, &stage.dc)?;
            Ok(format!("{first}; {}", dead(stage, &stage.dc2)?))
        },
        end: |stage| {
            let nodes = vec!["dc".into()];
            entra_lab::Lab::up(&entra_lab::Options { name: stage.lab.name().into(), nodes })?;
            Ok(())
        },
        ..PLAIN
    },
];

/// As a machine that loses its power: no process of it says goodbye to anybody but the kernel.
fn kill_samba(node: &Node) -> Result<(), String> {
    // The node's own PID namespace: nothing else is reached.
    let script = "for step in 1 2 3; do pkill -9 'samba|smbd|winbindd'; sleep 0.1; done; \
                  rm -f /run/lab/samba.pid /run/lab/limiting-proxy.pid; ! pgrep 'samba|smbd' >/dev/null";
    Ok(node.sh(script, &[])?.text().map(drop)?)
}

fn noted_node(stage: &Stage) -> &Node {
    if stage.noted.get() == 1 { &stage.dc2 } else { &stage.dc }
}

fn dead(stage: &Stage, node: &Node) -> Result<String, String> {
    let address = if node.name() == "dc2" { entra_lab::second::ADDRESS } else { entra_lab::dc::ADDRESS };
    let knock = format!("timeout 2 bash -c '</dev/tcp/{address}/389' 2>&1");
    let refused = stage.client.sh(&knock, &[])?.stdout.contains("refused");
    let left = node.sh("pgrep -c 'samba|smbd'", &[])?.stdout;
    shown(
        refused && left.trim() == "0",
        format!("{}: {} processes of Samba, port 389 refuses", node.name(), left.trim()),
    )
}

fn mend(stage: &Stage) -> Result<(), String> {
    stage.lab.mend("dc")?;
    Ok(stage.lab.mend("dc2")?)
}

/// Puts one rule into the node's own packet filter, which needs the host's iptables.
fn filter(node: &Node, rule: &[&str]) -> Result<String, String> {
    let pid = node.host_pid().to_string();
    let output = std::process::Command::new("nsenter")
        .args(["-t", &pid, "-n", "iptables"])
        .args(rule)
        .output()
        .map_err(|error| format!("iptables: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("iptables {rule:?}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Packets that the rules of a chain have dropped.
fn dropped(node: &Node, chain: &str) -> Result<u64, String> {
    let text = filter(node, &["-L", chain, "-v", "-n", "-x"])?;
    let rules = text.lines().filter(|line| line.contains("DROP") && !line.starts_with("Chain"));
    Ok(rules.filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok()).sum())
}

fn open(stage: &Stage) -> Result<(), String> {
    for node in [&stage.dc, &stage.dc2] {
        filter(node, &["-F"])?;
    }
    Ok(())
}

/// What the client's kernel sent again, because nothing came back: TcpRetransSegs.
fn retransmissions(stage: &Stage) -> Result<u64, String> {
    let text = stage.client.must(&["cat", "/proc/net/snmp"])?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let at = names.split(' ').position(|name| name == "RetransSegs").ok_or("no RetransSegs in /proc/net/snmp")?;
    values.split(' ').nth(at).and_then(|value| value.parse().ok()).ok_or_else(|| values.to_owned())
}

fn note_retransmissions(stage: &Stage) -> Result<(), String> {
    stage.noted.set(retransmissions(stage)?);
    Ok(())
}

fn retransmitted(stage: &Stage) -> Result<String, String> {
    let again = retransmissions(stage)? - stage.noted.get();
    let cut: Vec<&str> =
        ["dc", "dc2"].into_iter().filter(|node| !stage.lab.is_connected(node).unwrap_or(true)).collect();
    shown(again > 0 && !cut.is_empty(), format!("no carrier at {}; {again} TCP segments sent again", cut.join(", ")))
}
