//! The daemon and its helper, killed.

use std::time::Duration;

use entra_lab::product;

use super::{DAEMON_AWAY, Fault, PLAIN, counted, shown, start};
use crate::stage::Stage;
use entra_chaos::Kind;

/// Starts the daemon and kills its worker, its broker or both, again and again; prints what was killed.
const KILL_DAEMON: &str = r#"
killed=0
while [ $killed -lt "$1" ]; do
    /usr/sbin/entrad --foreground >>/var/log/lab-entrad.log 2>&1 &
    worker=$!
    sleep 0.$((RANDOM % 7 + 1))
    # It runs, or the start was refused: another one holds the lock, a file cannot be read.
    grep -q "^State:.[^Z]" /proc/$worker/status || { echo "a daemon that did not start"; exit 1; }
    # On a busy machine it may not have one yet.
    broker=$(pgrep -P $worker -x entrad)
    case $((killed % 3)) in
        0) kill -9 $worker ;;
        1) kill -9 ${broker:-$worker} ;;
        2) kill -9 $worker $broker ;;
    esac
    # Without its broker the worker ends by itself.
    wait $worker
    killed=$((killed + 1))
    echo $killed
done
"#;

/// Kills every helper that it sees, and prints how many those were.
const KILL_HELPER: &str = r"
killed=0
while :; do
    for helper in $(pgrep -x krb5-helper); do
        kill -9 $helper && killed=$((killed + 1)) && echo $killed
    done
    sleep 0.01
done
";

pub const FAULTS: &[Fault] = &[
    Fault {
        key: "daemon-killed",
        title: "entrad killed with -9 in a loop: worker, broker, both",
        lasts: Duration::ZERO,
        may_fail: DAEMON_AWAY,
        make: |stage| {
            product::stop_daemon(&stage.client)?;
            let times = if stage.quick { "20" } else { "200" };
            let output =
                stage.client.run_with(&["bash", "-c", KILL_DAEMON, "bash", times], None, Duration::from_secs(600))?;
            let text = output.text()?;
            stage.noted.set(text.lines().last().and_then(|line| line.parse().ok()).unwrap_or(0));
            Ok(None)
        },
        proof: |stage| {
            let wanted = if stage.quick { 20 } else { 200 };
            shown(stage.noted.get() >= wanted, format!("{} kills", stage.noted.get()))
        },
        end: |stage| Ok(product::start_daemon(&stage.client)?),
        quick: true,
        ..PLAIN
    },
    Fault {
        key: "helper-killed",
        title: "every krb5-helper killed with -9 that is seen",
        lasts: Duration::from_secs(10),
        may_fail: &[Kind::Login, Kind::Guess],
        make: |stage| start(stage, "kill-helper", &["bash", "-c", KILL_HELPER]).map(|()| None),
        proof: |stage| {
            let killed = counted(stage, "kill-helper")?;
            shown(killed > 0, format!("{killed} helpers killed"))
        },
        end: |stage: &Stage| Ok(stage.client.stop("kill-helper")?),
        ..PLAIN
    },
];
