//! A full disk, a store of zeros, a shared cache that vanishes or is garbage, a /run/entra that is empty.

use entra_lab::product;

use super::{DAEMON_AWAY, Fault, PLAIN, counted, shown, start};
use crate::stage::Stage;

const SMALL_DISK: &str = "
rm -rf /root/state && cp -a /var/lib/entra /root/state
mount -t tmpfs -o mode=0700,size=$(($(du -sk /root/state | cut -f1) + 8192))k tmpfs /var/lib/entra
chown --reference=/root/state /var/lib/entra && chmod --reference=/root/state /var/lib/entra
cp -a /root/state/. /var/lib/entra/";

const OLD_DISK: &str = "
rm -rf /root/state && cp -a /var/lib/entra /root/state && umount /var/lib/entra
find /var/lib/entra -mindepth 1 -delete && cp -a /root/state/. /var/lib/entra/ && rm -rf /root/state";

/// Removes the shared cache, or puts garbage of one kind or another in its place, three times a second.
const SPOIL_MAP: &str = r"
cd /run/entra; head -c 4096 cache.map >/root/header; n=0
while :; do
    case $((n % 4)) in
        0) rm -f cache.map ;;
        1) head -c 2097152 /dev/urandom >/run/entra/spoilt; mv spoilt cache.map ;;
        2) (cat /root/header; head -c 2093056 /dev/urandom) >/run/entra/spoilt; mv spoilt cache.map ;;
        3) : >/run/entra/spoilt; mv spoilt cache.map ;;
    esac
    n=$((n + 1)); echo $n; sleep 0.3
done";

pub const FAULTS: &[Fault] = &[
    Fault {
        key: "disk-full",
        title: "no room left in /var/lib/entra",
        before: |stage| {
            product::stop_daemon(&stage.client)?;
            stage.client.sh(SMALL_DISK, &[])?.text()?;
            stage.well()
        },
        make: |stage| {
            stage
                .client
                .sh("dd if=/dev/zero of=/var/lib/entra/filler bs=4k 2>/dev/null; test -s /var/lib/entra/filler", &[])?
                .text()?;
            Ok(None)
        },
        proof: |stage| {
            let free = stage.client.must(&["df", "--output=avail", "/var/lib/entra"])?;
            let told = stage.client.sh("grep -c 'disk is full' /var/log/lab-entrad.log", &[])?.stdout;
            let free = free.lines().last().unwrap_or_default().trim();
            shown(free == "0", format!("{free} KiB free; {} lines of the log say so", told.trim()))
        },
        end: |stage| Ok(stage.client.sh("rm -f /var/lib/entra/filler", &[])?.text().map(drop)?),
        after: |stage| {
            product::stop_daemon(&stage.client)?;
            stage.client.sh(OLD_DISK, &[])?.text()?;
            Ok(product::start_daemon(&stage.client)?)
        },
        ..PLAIN
    },
    Fault {
        key: "store-zeros",
        title: "the store overwritten with zeros, under the daemon and before a start",
        may_fail: DAEMON_AWAY,
        quick: true,
        make: |stage| {
            let zeros = "cd /var/lib/entra && for file in identity.db*; do dd if=/dev/zero of=$file bs=$(stat -c %s $file) count=1 conv=notrunc 2>/dev/null; done";
            stage.client.sh(zeros, &[])?.text()?;
            std::thread::sleep(std::time::Duration::from_secs(3));
            kill_daemon(stage)?;
            stage.client.sh(zeros, &[])?.text()?;
            let left = stage.client.sh("head -c 4096 /var/lib/entra/identity.db | tr -d '\\0' | wc -c", &[])?.stdout;
            stage.noted.set(left.trim().parse().unwrap_or(4096));
            product::start_daemon(&stage.client)?;
            Ok(None)
        },
        proof: |stage| {
            let told = stage.client.sh("grep -c identity.db /var/log/lab-entrad.log", &[])?.stdout;
            shown(
                stage.noted.get() == 0,
                format!("its first page was zeros at the start; {} lines of the log name it", told.trim()),
            )
        },
        ..PLAIN
    },
    Fault {
        key: "map-spoilt",
        title: "cache.map removed or replaced by garbage, three times a second",
        quick: true,
        make: |stage| start(stage, "spoil-map", &["bash", "-c", SPOIL_MAP]).map(|()| None),
        proof: |stage| {
            let times = counted(stage, "spoil-map")?;
            shown(times > 0, format!("{times} removals and replacements"))
        },
        end: |stage| Ok(stage.client.stop("spoil-map")?),
        ..PLAIN
    },
    Fault {
        key: "run-empty",
        title: "an empty file system over /run/entra",
        may_fail: DAEMON_AWAY,
        make: |stage| {
            stage.client.must(&["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run/entra"])?;
            Ok(None)
        },
        proof: |stage| {
            let seen =
                stage.client.sh("ls -A /run/entra | wc -l; grep -c ' /run/entra tmpfs' /proc/mounts", &[])?.stdout;
            shown(seen == "0\n1\n", "the folder is empty, /proc/mounts has the mount".into())
        },
        end: |stage| Ok(stage.client.must(&["umount", "--lazy", "/run/entra"]).map(drop)?),
        ..PLAIN
    },
];

fn kill_daemon(stage: &Stage) -> Result<(), String> {
    stage.client.sh("kill -9 $(cat /run/lab/entrad.pid); for step in $(seq 100); do pgrep -x entrad >/dev/null || exit 0; sleep 0.02; done; exit 1", &[])?.text()?;
    Ok(())
}
